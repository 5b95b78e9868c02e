//! The lists that people look at all day stay on their indexes however much there is, and so does a send however little there was.

use crate::harness::{COMMUNITY, Harness};
use rejoinder_app::lifecycle::BATCH_OPTIONS;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Enough that reading all of it costs more than an index.
const ROWS: i64 = 20_000;

async fn fill(h: &Harness) {
    let (team, integration) = (h.team_id, h.integration_id);
    let statements = [
        "insert into teams (id, owner_user_id, name, created_at)
         select gen_random_uuid(), u.id, 'Team ' || n, now() from users u, generate_series(1, 20) n".to_owned(),
        format!("insert into integrations (id, team_id, platform, platform_account_id, display_name, state, state_since, next_poll_at, created_at, updated_at)
         select gen_random_uuid(), id, 'reddit', 'a' || id, 'a', 'connected', now(), now(), now(), now() from teams where id <> '{team}'"),
        format!("insert into posts (id, team_id, integration_id, platform, platform_post_id, own, title, body, community, platform_created_at, fetched_at, created_at)
         select gen_random_uuid(), i.team_id, i.id, 'reddit', 't3_' || n, true, 'Title', 'Body', '{COMMUNITY}', t, t, t
         from generate_series(1, {ROWS}) n, lateral (select now() - n * interval '1 minute' as t) at,
              lateral (select * from integrations order by (n % 20 = 0) = (id = '{integration}') desc, md5(id::text || n) limit 1) i"),
        "insert into comments (id, team_id, post_id, platform_comment_id, own, text, platform_created_at, fetched_at, created_at)
         select gen_random_uuid(), team_id, id, 't1_' || platform_post_id, false, 'Text', created_at, created_at, created_at from posts".to_owned(),
        "insert into inbox_items (id, team_id, integration_id, target_kind, target_platform_id, post_id, comment_id, state, last_activity_at, created_at, updated_at)
         select gen_random_uuid(), p.team_id, p.integration_id, 'comment', c.platform_comment_id, p.id, c.id,
                (array['open', 'done', 'ignored'])[1 + (random() * 2)::int], p.created_at, p.created_at, p.created_at
         from comments c join posts p on p.id = c.post_id".to_owned(),
        "insert into suggestions (id, team_id, integration_id, item_id, post_id, comment_id, target_kind, target_platform_id, post_platform_id,
            generated_by, mode, text, status, stage, generation_id, changed_how, created_at, updated_at)
         select gen_random_uuid(), team_id, integration_id, id, post_id, comment_id, 'comment', target_platform_id, 't3_x', 'ai', 'draft', 'Text',
                case when id::text < '8' then 'pending' else 'rejected' end, case when id::text < '8' then 'ready' else 'done' end, gen_random_uuid(), 'made', created_at, created_at
         from inbox_items".to_owned(),
        format!("update suggestions set status = 'approved', stage = 'uncertain' where team_id = '{team}' and id::text < '02'"),
        "insert into activity_logs (id, team_id, type, subject_kind, subject_id, payload, created_at)
         select gen_random_uuid(), team_id, 'x', 'item', id, '{}', created_at from inbox_items".to_owned(),
    ];
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement)).execute(h.pool()).await.unwrap();
    }
    sqlx::query("analyze").execute(h.pool()).await.unwrap();
}

/// The query behind a list: every `$n` of the source text filled in.
fn with_values(query: &str, values: &[&str]) -> String {
    let mut filled = query.to_owned();
    for (index, value) in values.iter().enumerate().rev() {
        filled = filled.replace(&format!("${}", index + 1), value);
    }
    filled
}

/// The text of the first query of a function in a source file.
fn query_of(source: &str, function: &str) -> String {
    let body = &source[source.find(&format!("async fn {function}(")).unwrap()..];
    let after_macro = &body[body.find("sqlx::query").unwrap()..];
    let start = after_macro.find('"').unwrap() + 1;
    let raw = after_macro[..start].ends_with("r#\"");
    let end = after_macro[start..].find(if raw { "\"#" } else { "\"," }).unwrap();
    let query = &after_macro[start..start + end];
    // sqlx's notes on columns are not SQL.
    query.replace("?\"", "\"").replace("!\"", "\"")
}

fn scans<'a>(plan: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    if let (Some(kind), Some(table)) = (plan["Node Type"].as_str(), plan["Relation Name"].as_str()) {
        found.push((kind, table));
    }
    for child in plan["Plans"].as_array().into_iter().flatten() {
        scans(child, found);
    }
}

/// The tables that a plan reads, each with the condition by which an index finds the rows.
fn lookups<'a>(plan: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    let scan = plan["Node Type"].as_str().is_some_and(|kind| kind.ends_with("Scan"));
    if let (true, Some(table)) = (scan, plan["Relation Name"].as_str()) {
        let condition = plan["Index Cond"].as_str().or(plan["Recheck Cond"].as_str());
        found.push((table, condition.unwrap_or("none: all of it is read")));
    }
    for child in plan["Plans"].as_array().into_iter().flatten() {
        lookups(child, found);
    }
}

/// The plan that connections for statements on arrays keep for a query, whatever its values are.
async fn kept_plan(conn: &mut PgConnection, query: &str) -> Value {
    let values = (1..).take_while(|number| query.contains(&format!("${number}"))).map(|_| "null");
    let values = values.collect::<Vec<_>>().join(", ");
    sqlx::query(AssertSqlSafe(format!("prepare kept as {query}"))).execute(&mut *conn).await.unwrap();
    let explain = AssertSqlSafe(format!("explain (format json) execute kept ({values})"));
    let plan: Value = sqlx::query_scalar(explain).fetch_one(&mut *conn).await.unwrap();
    sqlx::query("deallocate kept").execute(conn).await.unwrap();
    plan
}

#[tokio::test]
async fn a_plan_made_before_the_first_reply_looks_up_single_rows() {
    let h = Harness::start().await;
    // Nothing was posted yet when somebody counted the rows.
    fill(&h).await;
    let mut conn = h.pool().acquire().await.unwrap().detach();
    for (name, value) in BATCH_OPTIONS.into_iter().chain([("enable_seqscan", "off")]) {
        sqlx::query(AssertSqlSafe(format!("set {name} = '{value}'"))).execute(&mut conn).await.unwrap();
    }
    let manners = query_of(include_str!("../../src/flow/etiquette/mod.rs"), "of");
    let posted = query_of(include_str!("../../src/flow/send/replies.rs"), "stand");
    let released = query_of(include_str!("../../src/flow/send/attempts.rs"), "release_slots");
    let stored = query_of(include_str!("../../src/flow/suggestion/db.rs"), "store_all");
    let lately = query_of(include_str!("../../src/flow/suggestion/find.rs"), "posted_texts");
    let elsewhere = query_of(include_str!("../../src/flow/suggestion/find.rs"), "posted_everywhere");
    let answered = query_of(include_str!("../../src/flow/ingest/inbox.rs"), "answered");
    let by_key = [
        (&manners, "reply_slots", "target_platform_id = "),
        (&manners, "suggestions", "id = "),
        (&manners, "posts", "id = "),
        (&manners, "comments", "id = "),
        (&posted, "suggestions", "id = "),
        (&posted, "posts", "id = "),
        (&released, "reply_slots", "target_platform_id = "),
        (&released, "suggestions", "id = "),
        (&stored, "suggestions", "id = "),
        (&lately, "suggestions", "integration_id = "),
        (&elsewhere, "replies", "posted_at > "),
        (&elsewhere, "suggestions", "id = "),
        (&answered, "inbox_items", "id = "),
    ];
    for (query, table, by) in by_key {
        let plan = kept_plan(&mut conn, query).await;
        let mut found = Vec::new();
        lookups(&plan[0]["Plan"], &mut found);
        let of_table: Vec<_> = found.iter().filter(|(scanned, _)| *scanned == table).collect();
        assert!(!of_table.is_empty(), "{table}\n{query}\n{plan:#}");
        assert!(of_table.iter().all(|(_, condition)| condition.contains(by)), "{of_table:?}\n{query}\n{plan:#}");
    }
    conn.close().await.unwrap();
    h.finish().await;
}

#[tokio::test]
async fn no_hot_list_reads_a_whole_table() {
    let h = Harness::start().await;
    fill(&h).await;
    let team = format!("'{}'::uuid", h.team_id);
    let inbox = query_of(include_str!("../../src/flow/ingest/inbox.rs"), "list");
    let suggestions = query_of(include_str!("../../src/flow/suggestion/find.rs"), "list");
    let activity = query_of(include_str!("../../src/flow/activity/mod.rs"), "list");
    let uncertain = query_of(include_str!("../../src/flow/send/uncertain.rs"), "list");
    let posts = query_of(include_str!("../../src/flow/ingest/thread.rs"), "posts");
    let (no, before, before_id) = ("null", "(now() - interval '3 days')", "gen_random_uuid()");
    let lists = [
        ("inbox_items", with_values(&inbox, &[&team, "'open'", no, no, no, no, "50"])),
        ("inbox_items", with_values(&inbox, &[&team, "'open'", no, before, before_id, no, "50"])),
        ("suggestions", with_values(&suggestions, &[&team, "'pending'", no, no, no, "50", no])),
        ("suggestions", with_values(&suggestions, &[&team, "'pending'", no, before, before_id, "50", no])),
        ("suggestions", with_values(&suggestions, &[&team, "'approved'", no, no, no, "50", "'uncertain'"])),
        ("suggestions", with_values(&suggestions, &[&team, "'approved'", no, before, before_id, "50", "'uncertain'"])),
        ("suggestions", with_values(&uncertain, &[&team, no, no, "50"])),
        ("suggestions", with_values(&uncertain, &[&team, before, before_id, "50"])),
        ("activity_logs", with_values(&activity, &[&team, no, no, no, "50"])),
        ("posts", with_values(&posts, &[&team, no, no, no, "50"])),
        ("posts", with_values(&posts, &[&team, "'reddit'", before, before_id, "50"])),
    ];
    for (table, query) in lists {
        let explain = format!("explain (format json) {query}");
        let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain)).fetch_one(h.pool()).await.unwrap();
        let mut found = Vec::new();
        scans(&plan[0]["Plan"], &mut found);
        assert!(found.iter().any(|(_, scanned)| scanned.starts_with(table)), "{query}\n{plan:#}");
        let whole = found.iter().find(|(kind, scanned)| *kind == "Seq Scan" && scanned.starts_with(table));
        assert_eq!(whole, None, "{query}\n{plan:#}");
    }
    h.finish().await;
}
