//! The inbox: what a person works through, newest activity first.

use crate::clock::Moment;
use crate::flow::activity::{self, Actor, Entry, Subject};
use crate::model::ItemState;
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// One row of the list, with what is needed to choose it.
#[derive(Debug, Clone)]
pub struct ItemRow {
    pub id: Uuid,
    pub integration_id: Uuid,
    pub platform: String,
    pub target_kind: String,
    pub target_platform_id: String,
    pub post_id: Uuid,
    pub comment_id: Option<Uuid>,
    pub state: String,
    pub post_title: Option<String>,
    pub community: Option<String>,
    pub author_handle: Option<String>,
    pub excerpt: Option<String>,
    pub suggestion_id: Option<Uuid>,
    pub suggestion_status: Option<String>,
    pub suggestion_stage: Option<String>,
    pub suggestion_reason: Option<String>,
    /// Why only a person may send it; a JSON list of texts.
    pub suggestion_held: Option<Value>,
    pub suggestion_confidence: Option<f64>,
    pub intent_name: Option<String>,
    pub last_activity_at: OffsetDateTime,
    /// What the watch that found it follows; none: it came from the account's own posts.
    pub watch_kind: Option<String>,
    pub watch_text: Option<String>,
}

/// What a list shows: one state or all, a text to look for, from before a row.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub state: Option<ItemState>,
    pub search: Option<String>,
    pub before: Option<(OffsetDateTime, Uuid)>,
    pub only: Option<Uuid>,
}

pub async fn list(
    conn: &mut PgConnection,
    team_id: Uuid,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<ItemRow>, sqlx::Error> {
    let (before_at, before_id) = filter.before.unzip();
    let pattern = filter.search.as_deref().map(like_pattern);
    sqlx::query_as!(
        ItemRow,
        r#"select i.id, i.integration_id, p.platform, i.target_kind, i.target_platform_id, i.post_id, i.comment_id, i.state,
                  p.title as post_title, p.community, coalesce(c.author_handle, case when c.id is null then p.author_handle end) as author_handle,
                  left(coalesce(c.text, p.body), 240) as excerpt, s.id as "suggestion_id?", s.status as "suggestion_status?", s.stage as "suggestion_stage?",
                  s.stage_reason as suggestion_reason, s.held_reasons as "suggestion_held?", s.confidence as suggestion_confidence, n.name as "intent_name?", i.last_activity_at,
                  w.kind as "watch_kind?", w.text as "watch_text?"
           from inbox_items i
           join posts p on p.id = i.post_id
           left join comments c on c.id = i.comment_id
           left join lateral (
               select s.id, s.status, s.stage, s.stage_reason, s.held_reasons, s.confidence, s.intent_id
               from suggestions s where s.item_id = i.id
               order by s.created_at desc limit 1
           ) s on true
           left join intents n on n.id = s.intent_id
           left join watches w on w.id = i.watch_id
           where i.team_id = $1
             and ($2::text is null or i.state = $2)
             and ($3::text is null or c.text ilike $3 or p.title ilike $3 or c.author_handle ilike $3)
             and ($4::timestamptz is null or (i.last_activity_at, i.id) < ($4, $5))
             and ($6::uuid is null or i.id = $6)
           order by i.last_activity_at desc, i.id desc
           limit $7"#,
        team_id,
        filter.state.map(|state| state.as_str()),
        pattern,
        before_at,
        before_id,
        filter.only,
        limit,
    )
    .fetch_all(conn)
    .await
}

pub async fn count_open(conn: &mut PgConnection, team_id: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "n!" from inbox_items where team_id = $1 and state = 'open'"#, team_id)
        .fetch_one(conn)
        .await
}

pub async fn item_for_target(
    conn: &mut PgConnection,
    team_id: Uuid,
    integration_id: Uuid,
    target_platform_id: &str,
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select id from inbox_items where integration_id = $1 and target_platform_id = $2 and team_id = $3",
        integration_id,
        target_platform_id,
        team_id,
    )
    .fetch_optional(conn)
    .await
}

/// One row of the list.
pub async fn item(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<ItemRow>, sqlx::Error> {
    let only = Filter { only: Some(id), ..Filter::default() };
    Ok(list(conn, team_id, &only, 1).await?.pop())
}

/// The next open item that nobody has decided on yet, for "approve and next": down the list, then from its top.
pub async fn next_open(conn: &mut PgConnection, team_id: Uuid, after: Uuid) -> Result<Option<Uuid>, sqlx::Error> {
    let here =
        sqlx::query!("select last_activity_at, id from inbox_items where id = $2 and team_id = $1", team_id, after)
            .fetch_optional(&mut *conn)
            .await?;
    if let Some(here) = here
        && let Some(next) = undecided(conn, team_id, after, Some((here.last_activity_at, here.id))).await?
    {
        return Ok(Some(next));
    }
    undecided(conn, team_id, after, None).await
}

async fn undecided(
    conn: &mut PgConnection,
    team_id: Uuid,
    other_than: Uuid,
    below: Option<(OffsetDateTime, Uuid)>,
) -> Result<Option<Uuid>, sqlx::Error> {
    let (below_at, below_id) = below.unzip();
    sqlx::query_scalar!(
        "select i.id from inbox_items i
         where i.team_id = $1 and i.state = 'open' and i.id <> $2
           and ($3::timestamptz is null or (i.last_activity_at, i.id) < ($3, $4))
           and not exists (select 1 from suggestions s where s.item_id = i.id and s.status in ('approved', 'posted'))
         order by i.last_activity_at desc, i.id desc limit 1",
        team_id,
        other_than,
        below_at,
        below_id,
    )
    .fetch_optional(conn)
    .await
}

/// When something last happened at each account of the team.
pub async fn last_activity(conn: &mut PgConnection, team_id: Uuid) -> Result<Vec<(Uuid, OffsetDateTime)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select integration_id, max(last_activity_at) as "at!" from inbox_items where team_id = $1 group by integration_id"#,
        team_id,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.integration_id, row.at)).collect())
}

/// Sets an item's state and says so in the log; None when there is no such item. Setting the same state again changes nothing.
pub async fn set_state(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    item_id: Uuid,
    actor: Actor,
    state: ItemState,
) -> Result<Option<()>, sqlx::Error> {
    let before = sqlx::query_scalar!(
        "select state from inbox_items where id = $1 and team_id = $2 for update",
        item_id,
        team_id
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(before) = before else { return Ok(None) };
    if before == state.as_str() {
        return Ok(Some(()));
    }
    sqlx::query!(
        "update inbox_items set state = $3, updated_at = $4 where id = $1 and team_id = $2",
        item_id,
        team_id,
        state.as_str(),
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({ "before": { "state": before }, "after": { "state": state } });
    activity::record(conn, moment, team_id, actor, activity::Kind::ItemStateChanged, Subject::Item(item_id), payload)
        .await?;
    Ok(Some(()))
}

/// Closes the items whose comment, or post, is gone on the platform. `gone`: ids of our rows with the reason.
pub async fn close_gone(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    gone: &[(Uuid, &str)],
) -> Result<usize, sqlx::Error> {
    if gone.is_empty() {
        return Ok(0);
    }
    let closed = sqlx::query!(
        r#"update inbox_items i
         set state = 'ignored', closed_reason = before.reason, updated_at = $4
         from (select x.id, x.state, g.reason
               from inbox_items x
               join unnest($2::uuid[], $3::text[]) as g (thing_id, reason) on g.thing_id = coalesce(x.comment_id, x.post_id)
               where x.team_id = $1 and x.state in ('open', 'snoozed')
                 and (x.comment_id = any($2) or (x.post_id = any($2) and x.comment_id is null))
               order by x.id for update of x) before
         where i.id = before.id
         returning i.id, before.state as "before!", before.reason as "reason!""#,
        team_id,
        &gone.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &gone.iter().map(|(_, reason)| (*reason).to_owned()).collect::<Vec<_>>(),
        moment.now,
    )
    .fetch_all(&mut *conn)
    .await?;
    let count = closed.len();
    let entries = closed.into_iter().map(|row| Entry {
        team_id,
        actor: None,
        kind: activity::Kind::ItemStateChanged,
        subject: Subject::Item(row.id),
        payload: json!({
            "before": { "state": row.before }, "after": { "state": ItemState::Ignored }, "reason": row.reason,
        }),
        request_id: None,
    });
    activity::record_all(conn, moment, entries.collect()).await?;
    Ok(count)
}

/// Closes the items that a reply of ours now stands under, whatever their teams. Gives what the caller has to log of it.
pub async fn answered(conn: &mut PgConnection, moment: &Moment, item_ids: &[Uuid]) -> Result<Vec<Entry>, sqlx::Error> {
    if item_ids.is_empty() {
        return Ok(Vec::new());
    }
    let closed = sqlx::query!(
        "update inbox_items i set state = 'done', updated_at = $2
         from (select id, state from inbox_items where id = any($1) and state <> 'done' order by id for update) before
         where i.id = before.id
         returning i.id, i.team_id, before.state as before",
        item_ids,
        moment.now,
    )
    .fetch_all(&mut *conn)
    .await?;
    let entries = closed.into_iter().map(|row| Entry {
        team_id: row.team_id,
        actor: None,
        kind: activity::Kind::ItemStateChanged,
        subject: Subject::Item(row.id),
        payload: json!({ "before": { "state": row.before }, "after": { "state": ItemState::Done } }),
        request_id: None,
    });
    Ok(entries.collect())
}

/// "Contains this text", whatever signs stand in it.
fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::like_pattern;

    #[test]
    fn wildcards_of_a_search_are_looked_for_literally() {
        assert_eq!(like_pattern("100%_a\\b"), "%100\\%\\_a\\\\b%");
    }
}
