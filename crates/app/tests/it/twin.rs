//! Another team that has the same things as the one under test, row by row, under ids that are told from its own at sight.

use crate::client::person;
use crate::harness::Harness;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Names under which an address knows a table.
const KNOWN_AS: &[(&str, &str)] =
    &[("items", "inbox_items"), ("tokens", "api_tokens"), ("variations", "intent_variations")];
/// Rows that every team has of its own, or that nothing addresses.
const NOT_COPIED: &[&str] = &["team_members", "team_settings", "event_tickets", "activity_logs"];
/// What is unique among all teams.
const UNIQUE: &[&str] = &["platform_account_id", "target_platform_id", "platform_post_id", "platform_comment_id"];
/// Written by whoever asks, let in or not.
const VOLATILE: &[&str] = &["rate_buckets", "_sqlx_migrations"];

pub struct Twin {
    pub admin: Uuid,
    /// Tables and the team's own row in each.
    own: BTreeMap<String, Uuid>,
    tables: Vec<String>,
}

/// The other team's thing that is like this one.
pub fn of(own: Uuid) -> Uuid {
    Uuid::from_u128(own.as_u128() ^ 0xffff)
}

impl Twin {
    pub async fn make(harness: &Harness) -> Self {
        let admin = person(harness, "stranger").await;
        let mut conn = harness.conn().await;
        let tables = tables(&mut conn).await;
        // The copies are whole, but they are written in no particular order.
        sqlx::query("set session_replication_role = replica").execute(&mut *conn).await.unwrap();
        let mut rows = Vec::new();
        for table in owned(&mut conn).await {
            for row in read(&mut conn, &table, harness.team_id).await {
                rows.push((table.clone(), row));
            }
        }
        let id_of = |row: &Map<String, Value>| row["id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
        let mut ids: BTreeSet<Uuid> = rows.iter().filter_map(|(_, row)| id_of(row)).collect();
        ids.insert(harness.team_id);
        let mut own = BTreeMap::new();
        for (table, row) in &rows {
            own.extend(id_of(row).map(|id| (table.clone(), id)));
            write(&mut conn, table, copy(row, &ids)).await;
        }
        sqlx::query("set session_replication_role = origin").execute(&mut *conn).await.unwrap();
        sqlx::query("insert into teams (id, owner_user_id, name, created_at) values ($1, $2, 'Others', $3)")
            .bind(of(harness.team_id))
            .bind(admin)
            .bind(harness.now())
            .execute(&mut *conn)
            .await
            .unwrap();
        sqlx::query(
            "insert into team_members (id, team_id, user_id, role, accepted_at) values ($1, $2, $3, 'admin', $4)",
        )
        .bind(harness.app.moment().id())
        .bind(of(harness.team_id))
        .bind(admin)
        .bind(harness.now())
        .execute(&mut *conn)
        .await
        .unwrap();
        sqlx::query("insert into team_settings (team_id, updated_at) values ($1, $2)")
            .bind(of(harness.team_id))
            .bind(harness.now())
            .execute(&mut *conn)
            .await
            .unwrap();
        Self { admin, own, tables }
    }

    /// The team's own row in the table that `name` means.
    pub fn own(&self, name: &str) -> Option<Uuid> {
        let known = KNOWN_AS.iter().find(|(known, _)| *known == name).map_or(name, |(_, table)| table);
        self.own.get(&known.replace('-', "_")).copied()
    }

    /// Changes with every row that is written.
    pub async fn fingerprint(&self, harness: &Harness) -> Vec<(String, String)> {
        let tables = self.tables.iter().map(|table| {
            format!("select '{table}', md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {table} t")
        });
        let jobs = "select 'jobs', count(*)::text from graphile_worker._private_jobs".to_owned();
        let query = tables.chain([jobs]).collect::<Vec<_>>().join(" union all ");
        sqlx::query_as(AssertSqlSafe(query)).fetch_all(harness.pool()).await.unwrap()
    }

    /// So that no sweep finds its accounts.
    pub async fn remove(&self, harness: &Harness) {
        let mut conn = harness.conn().await;
        sqlx::query("set session_replication_role = replica").execute(&mut *conn).await.unwrap();
        for table in owned(&mut conn).await {
            let query = format!("delete from {table} t where to_jsonb(t)::text like '%' || $1 || '%'");
            sqlx::query(AssertSqlSafe(query)).bind(of(harness.team_id).to_string()).execute(&mut *conn).await.unwrap();
        }
        sqlx::query("set session_replication_role = origin").execute(&mut *conn).await.unwrap();
    }
}

async fn tables(conn: &mut PgConnection) -> Vec<String> {
    let all: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE' order by 1",
    )
    .fetch_all(conn)
    .await
    .unwrap();
    all.into_iter().filter(|table| !VOLATILE.contains(&table.as_str())).collect()
}

/// Tables whose rows belong to a team and have an id.
async fn owned(conn: &mut PgConnection) -> Vec<String> {
    let all: Vec<String> = sqlx::query_scalar(
        "select c.table_name::text from information_schema.columns c
         join information_schema.columns i on i.table_schema = c.table_schema and i.table_name = c.table_name and i.column_name = 'id'
         where c.table_schema = 'public' and c.column_name = 'team_id' or c.table_name = 'intent_variations' and c.column_name = 'intent_id'
         order by 1",
    )
    .fetch_all(conn)
    .await
    .unwrap();
    all.into_iter().filter(|table| !NOT_COPIED.iter().any(|other| table.starts_with(other))).collect()
}

async fn read(conn: &mut PgConnection, table: &str, team_id: Uuid) -> Vec<Map<String, Value>> {
    let belongs = match table {
        "intent_variations" => "intent_id in (select id from intents where team_id = $1)",
        _ => "team_id = $1",
    };
    let query = format!("select to_jsonb(t) from {table} t where {belongs} order by id");
    let rows: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(query)).bind(team_id).fetch_all(conn).await.unwrap();
    rows.into_iter().filter_map(|row| row.as_object().cloned()).collect()
}

/// The row with every id of the team's things exchanged.
fn copy(row: &Map<String, Value>, ids: &BTreeSet<Uuid>) -> Map<String, Value> {
    let exchanged = |(name, value): (&String, &Value)| {
        let text = value.as_str();
        let id = text.and_then(|text| Uuid::parse_str(text).ok()).filter(|id| ids.contains(id));
        let value = match (id, text) {
            (Some(id), _) => Value::String(of(id).to_string()),
            (None, Some(text)) if UNIQUE.contains(&name.as_str()) => Value::String(format!("{text}b")),
            (None, Some(text)) if name == "token_hash" => Value::String(format!("{text}00")),
            _ => value.clone(),
        };
        (name.clone(), value)
    };
    row.iter().map(exchanged).collect()
}

async fn write(conn: &mut PgConnection, table: &str, row: Map<String, Value>) {
    let query = format!("insert into {table} select * from jsonb_populate_record(null::{table}, $1)");
    sqlx::query(AssertSqlSafe(query)).bind(Value::Object(row)).execute(conn).await.unwrap();
}
