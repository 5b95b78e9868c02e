//! SQL of `platform_actions`; this stage is its only writer.

use super::super::pause::SwitchScope;
use super::super::replies::Reply;
use crate::clock::Moment;
use crate::flow::suggestion::Suggestion;
use crate::model::{ActionKind, ActionState, Switch};
use rejoinder_platforms::Exchange;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// One change that a person wants.
#[derive(Debug, Clone)]
pub struct ActionRow {
    pub id: Uuid,
    pub team_id: Uuid,
    pub suggestion_id: Uuid,
    pub integration_id: Uuid,
    pub kind: String,
    pub platform_reply_id: String,
    /// What an edit is to make of it.
    pub text: Option<String>,
    pub state: String,
    pub reason: Option<String>,
    pub requested_by: Uuid,
    pub requested_by_name: Option<String>,
    /// The switch whose turning back it waits for.
    pub waits_for: Option<String>,
    /// When it is too late to make it. None: an hour after it was asked for.
    pub patient_until: Option<OffsetDateTime>,
    pub tries: i32,
    pub worker_id: Option<Uuid>,
    pub armed_at: Option<OffsetDateTime>,
    pub call_ended_at: Option<OffsetDateTime>,
    pub reads: i32,
    pub created_at: OffsetDateTime,
    pub finished_at: Option<OffsetDateTime>,
}

impl ActionRow {
    pub fn kind(&self) -> ActionKind {
        self.kind.clone().into()
    }

    pub fn state(&self) -> ActionState {
        self.state.clone().into()
    }
}

macro_rules! select_actions {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            ActionRow,
            "select id, team_id, suggestion_id, integration_id, kind, platform_reply_id, text, state, reason, requested_by,
                    (select name from users where users.id = requested_by) as requested_by_name,
                    waits_for, patient_until, tries, worker_id, armed_at, call_ended_at, reads, created_at, finished_at
             from platform_actions " + $rest,
            $($args),*
        )
    };
}

/// For jobs, which carry the id alone.
pub(super) async fn load(conn: &mut PgConnection, id: Uuid) -> Result<Option<ActionRow>, sqlx::Error> {
    select_actions!("where id = $1", id).fetch_optional(conn).await
}

pub(super) async fn hold(conn: &mut PgConnection, id: Uuid) -> Result<Option<ActionRow>, sqlx::Error> {
    select_actions!("where id = $1 for no key update", id).fetch_optional(conn).await
}

pub(super) async fn open_of(conn: &mut PgConnection, suggestion_id: Uuid) -> Result<Option<ActionRow>, sqlx::Error> {
    select_actions!("where suggestion_id = $1 and state in ('waiting', 'uncertain')", suggestion_id)
        .fetch_optional(conn)
        .await
}

/// The changes of one reply, oldest first.
pub async fn list(conn: &mut PgConnection, team_id: Uuid, suggestion_id: Uuid) -> Result<Vec<ActionRow>, sqlx::Error> {
    select_actions!("where suggestion_id = $1 and team_id = $2 order by created_at, id", suggestion_id, team_id)
        .fetch_all(conn)
        .await
}

/// Waits for a switch from now on, a day at most from when it was asked for.
pub(super) async fn park(conn: &mut PgConnection, id: Uuid, switch: Switch, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update platform_actions
         set state = 'waiting', waits_for = $2, reason = $3, patient_until = created_at + interval '24 hours' where id = $1",
        id,
        switch.as_str(),
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Open ones that were asked for or armed before `before`, for the sweep; those that wait for a switch when it stands no more, or when
/// they have waited too long.
pub(in super::super) async fn waiting(
    conn: &mut PgConnection,
    before: OffsetDateTime,
    limit: i64,
) -> Result<Vec<ActionRow>, sqlx::Error> {
    select_actions!(
        "where state in ('waiting', 'uncertain') and created_at <= $1
           and (waits_for is null or patient_until <= $1
                or case waits_for
                       when 'instance' then exists (select from instance_switches w where w.name = 'sending' and w.paused_at is null)
                       when 'team' then not exists (select from team_settings t
                                                    where t.team_id = platform_actions.team_id and t.paused_at is not null)
                       else exists (select from integrations i
                                    where i.id = integration_id and i.state not in ('paused', 'needs_reconnect'))
                   end)
         order by created_at limit $2",
        before,
        limit
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    moment: &Moment,
    suggestion: &Suggestion,
    reply: &Reply,
    kind: ActionKind,
    text: Option<&str>,
    by: Uuid,
) -> Result<Uuid, sqlx::Error> {
    let id = moment.id();
    sqlx::query!(
        "insert into platform_actions (id, team_id, suggestion_id, integration_id, kind, platform_reply_id, text, state, requested_by,
             created_at)
         values ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8, $9)",
        id,
        suggestion.team_id,
        suggestion.id,
        suggestion.integration_id,
        kind.as_str(),
        reply.platform_reply_id,
        text,
        by,
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// The row says `uncertain` before the call is made.
pub(super) async fn arm(
    conn: &mut PgConnection,
    moment: &Moment,
    action: &ActionRow,
    worker_id: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update platform_actions
         set state = 'uncertain', reason = null, waits_for = null, tries = tries + 1, worker_id = $2, armed_at = $3, call_ended_at = null, reads = 0
         where id = $1",
        action.id,
        worker_id,
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What the row says from now on.
pub(super) struct Next<'a> {
    pub state: ActionState,
    pub reason: Option<&'a str>,
    pub exchange: Option<&'a Exchange>,
}

pub(super) async fn settle(
    conn: &mut PgConnection,
    moment: &Moment,
    id: Uuid,
    next: &Next<'_>,
) -> Result<(), sqlx::Error> {
    let over = matches!(next.state, ActionState::Done | ActionState::NotDone);
    let exchange = next.exchange.cloned().unwrap_or_default();
    sqlx::query!(
        "update platform_actions
         set state = $2, reason = $3, waits_for = null, call_ended_at = case when armed_at is null then null else coalesce(call_ended_at, $4) end,
             finished_at = case when $5 then $4 end, status = coalesce($6, status),
             request = case when $7 then $8 else request end, answer = case when $7 then $9 else answer end
         where id = $1",
        id,
        next.state.as_str(),
        next.reason,
        moment.now,
        over,
        exchange.status.and_then(|status| i16::try_from(status).ok()),
        next.exchange.is_some(),
        exchange.request,
        exchange.answer,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One more look that did not show the change. Gives how many there are now.
pub(super) async fn count_read(conn: &mut PgConnection, moment: &Moment, id: Uuid) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        "update platform_actions set reads = reads + 1, last_read_at = $2 where id = $1 returning reads",
        id,
        moment.now,
    )
    .fetch_one(conn)
    .await
}

/// Changes of the scope that were armed after `armed_after` and are not over: whoever pauses waits for them too.
pub(in super::super) async fn in_flight(
    conn: &mut PgConnection,
    scope: SwitchScope,
    armed_after: OffsetDateTime,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let (team_id, integration_id) = match scope {
        SwitchScope::Instance => (None, None),
        SwitchScope::Team(team_id) => (Some(team_id), None),
        SwitchScope::Integration { team_id, id } => (Some(team_id), Some(id)),
    };
    sqlx::query_scalar!(
        "select id from platform_actions
         where state = 'uncertain' and call_ended_at is null and armed_at > $1
           and ($2::uuid is null or team_id = $2) and ($3::uuid is null or integration_id = $3)",
        armed_after,
        team_id,
        integration_id,
    )
    .fetch_all(conn)
    .await
}

/// Of these: how many told no end, and how many of them may still run.
pub(in super::super) async fn left_of(
    conn: &mut PgConnection,
    armed: &[Uuid],
    armed_after: OffsetDateTime,
) -> Result<(i64, i64), sqlx::Error> {
    let left = sqlx::query!(
        r#"select count(*) as "open!", count(*) filter (where armed_at > $2) as "may_run!"
           from platform_actions where id = any($1) and state = 'uncertain' and call_ended_at is null"#,
        armed,
        armed_after,
    )
    .fetch_one(conn)
    .await?;
    Ok((left.open, left.may_run))
}
