//! SQL of the suggestions table. The only writer of it.

use super::machine::{Draft, State};
use crate::clock::Moment;
use crate::flow::activity::Actor;
use crate::model::{GeneratedBy, Mode, TargetKind};
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// A suggestion with what never changes (`target` and owners) and what does (`state`).
#[derive(Debug, Clone)]
pub struct Suggestion {
    pub id: Uuid,
    pub team_id: Uuid,
    pub integration_id: Uuid,
    pub item_id: Uuid,
    pub post_id: Uuid,
    pub comment_id: Option<Uuid>,
    pub target: Target,
    pub mode: Mode,
    pub wanted_intent_id: Option<Uuid>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub changed_by_name: Option<String>,
    pub changed_how: String,
    pub state: State,
}

/// What the reply answers on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub kind: TargetKind,
    pub platform_id: String,
    pub post_platform_id: String,
}

impl Suggestion {
    /// "It was approved by Ada at 2026-11-22T10:00:00Z." For whoever lost a race.
    pub fn last_change(&self) -> String {
        let at = self.updated_at.replace_nanosecond(0).unwrap_or(self.updated_at).format(&Rfc3339).unwrap_or_default();
        let who = self.changed_by_name.as_deref().unwrap_or("Rejoinder");
        format!("It was {} by {who} at {at}.", self.changed_how)
    }
}

struct Row {
    id: Uuid,
    team_id: Uuid,
    integration_id: Uuid,
    item_id: Uuid,
    post_id: Uuid,
    comment_id: Option<Uuid>,
    target_kind: String,
    target_platform_id: String,
    post_platform_id: String,
    generated_by: String,
    mode: String,
    intent_id: Option<Uuid>,
    wanted_intent_id: Option<Uuid>,
    text: Option<String>,
    original_text: Option<String>,
    edited: bool,
    redrafted: bool,
    alternatives: Value,
    tone: Option<String>,
    language: Option<String>,
    confidence: Option<f64>,
    should_reply: Option<bool>,
    draft_reason: Option<String>,
    sensitive_topic: Option<String>,
    model: Option<String>,
    prompt_hash: Option<String>,
    tokens_prompt: Option<i64>,
    tokens_output: Option<i64>,
    status: String,
    stage: String,
    stage_reason: Option<String>,
    held_reasons: Value,
    version: i32,
    generation_id: Uuid,
    send_after: Option<OffsetDateTime>,
    lease_until: Option<OffsetDateTime>,
    platform_reply_id: Option<String>,
    platform_reply_url: Option<String>,
    posted_at: Option<OffsetDateTime>,
    accepted_reasons: Value,
    waits_for: Option<String>,
    approved_by: Option<Uuid>,
    approved_at: Option<OffsetDateTime>,
    changed_by_name: Option<String>,
    changed_how: String,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<Row> for Suggestion {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            team_id: row.team_id,
            integration_id: row.integration_id,
            item_id: row.item_id,
            post_id: row.post_id,
            comment_id: row.comment_id,
            target: Target {
                kind: row.target_kind.into(),
                platform_id: row.target_platform_id,
                post_platform_id: row.post_platform_id,
            },
            mode: row.mode.into(),
            wanted_intent_id: row.wanted_intent_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
            changed_by_name: row.changed_by_name,
            changed_how: row.changed_how,
            state: State {
                status: row.status.into(),
                stage: row.stage.into(),
                stage_reason: row.stage_reason,
                version: row.version,
                generation_id: row.generation_id,
                text: row.text,
                original_text: row.original_text,
                edited: row.edited,
                redrafted: row.redrafted,
                alternatives: texts(row.alternatives),
                draft: Draft {
                    generated_by: GeneratedBy::from(row.generated_by),
                    intent_id: row.intent_id,
                    tone: row.tone,
                    language: row.language,
                    confidence: row.confidence,
                    should_reply: row.should_reply,
                    reason: row.draft_reason,
                    sensitive_topic: row.sensitive_topic,
                    model: row.model,
                    prompt_hash: row.prompt_hash,
                    tokens_prompt: row.tokens_prompt,
                    tokens_output: row.tokens_output,
                },
                send_after: row.send_after,
                lease_until: row.lease_until,
                approved_by: row.approved_by,
                approved_at: row.approved_at,
                platform_reply_id: row.platform_reply_id,
                platform_reply_url: row.platform_reply_url,
                posted_at: row.posted_at,
                held_reasons: texts(row.held_reasons),
                accepted_reasons: texts(row.accepted_reasons),
                waits_for: row.waits_for.map(Into::into),
            },
        }
    }
}

fn texts(value: Value) -> Vec<String> {
    serde_json::from_value(value).unwrap_or_default()
}

macro_rules! select_suggestions {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select s.id, s.team_id, s.integration_id, s.item_id, s.post_id, s.comment_id, s.target_kind, s.target_platform_id,
                      s.post_platform_id, s.generated_by, s.mode, s.intent_id, s.wanted_intent_id, s.text, s.original_text, s.edited,
                      s.redrafted, s.alternatives, s.tone, s.language, s.confidence, s.should_reply, s.draft_reason, s.sensitive_topic,
                      s.model, s.prompt_hash, s.tokens_prompt, s.tokens_output, s.status, s.stage, s.stage_reason, s.held_reasons,
                      s.version, s.generation_id, s.send_after, s.lease_until, s.platform_reply_id, s.platform_reply_url, s.posted_at,
                      s.accepted_reasons, s.waits_for, s.approved_by, s.approved_at, u.name as "changed_by_name?", s.changed_how,
                      s.created_at, s.updated_at
               from suggestions s
               left join users u on u.id = s.changed_by "# + $rest,
            $($args),*
        )
    };
}

pub async fn load(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<Suggestion>, sqlx::Error> {
    let row = select_suggestions!("where s.id = $1 and s.team_id = $2", id, team_id).fetch_optional(conn).await?;
    Ok(row.map(Suggestion::from))
}

/// Loads the suggestion and holds its row until the transaction ends.
pub async fn lock(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<Suggestion>, sqlx::Error> {
    let held = sqlx::query_scalar!("select id from suggestions where id = $1 and team_id = $2 for update", id, team_id)
        .fetch_optional(&mut *conn)
        .await?;
    match held {
        Some(_) => load(conn, team_id, id).await,
        None => Ok(None),
    }
}

/// For workers: loads many, whatever their teams, and holds their rows. Rows that somebody else holds are left out when `wait` is
/// false: a person who decides right now is not waited for.
pub async fn lock_all(conn: &mut PgConnection, ids: &[Uuid], wait: bool) -> Result<Vec<Suggestion>, sqlx::Error> {
    let rows = if wait {
        select_suggestions!("where s.id = any($1) order by s.id for update of s", ids).fetch_all(conn).await?
    } else {
        select_suggestions!("where s.id = any($1) order by s.id for update of s skip locked", ids)
            .fetch_all(conn)
            .await?
    };
    Ok(rows.into_iter().map(Suggestion::from).collect())
}

/// Stores what changes from the approval on, for many at once. Drafts are not touched.
pub(super) async fn store_all(
    conn: &mut PgConnection,
    moment: &Moment,
    changed: &[(&Suggestion, &State, Actor, &str)],
) -> Result<(), sqlx::Error> {
    let states = || changed.iter().map(|(_, state, _, _)| *state);
    sqlx::query!(
        "update suggestions s
         set status = n.status, stage = n.stage, stage_reason = n.stage_reason, version = n.version, send_after = n.send_after,
             lease_until = n.lease_until, platform_reply_id = n.reply_id, platform_reply_url = n.reply_url, posted_at = n.posted_at,
             approved_by = n.approved_by, approved_at = n.approved_at, held_reasons = n.held_reasons, waits_for = n.waits_for,
             changed_by = n.changed_by, changed_how = n.changed_how, updated_at = $1, text = n.text, edited = n.edited,
             accepted_reasons = n.accepted_reasons
         from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[], $7::timestamptz[], $8::timestamptz[], $9::text[],
                     $10::text[], $11::timestamptz[], $12::uuid[], $13::timestamptz[], $14::jsonb[], $15::text[], $16::uuid[], $17::text[],
                     $18::text[], $19::bool[], $20::jsonb[])
              as n (id, status, stage, stage_reason, version, send_after, lease_until, reply_id, reply_url, posted_at, approved_by,
                    approved_at, held_reasons, waits_for, changed_by, changed_how, text, edited, accepted_reasons)
         where s.id = n.id",
        moment.now,
        &changed.iter().map(|(current, ..)| current.id).collect::<Vec<_>>(),
        &states().map(|next| next.status.as_str()).collect::<Vec<_>>() as &[&str],
        &states().map(|next| next.stage.as_str()).collect::<Vec<_>>() as &[&str],
        &states().map(|next| next.stage_reason.clone()).collect::<Vec<_>>() as &[Option<String>],
        &states().map(|next| next.version).collect::<Vec<_>>(),
        &states().map(|next| next.send_after).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &states().map(|next| next.lease_until).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &states().map(|next| next.platform_reply_id.clone()).collect::<Vec<_>>() as &[Option<String>],
        &states().map(|next| next.platform_reply_url.clone()).collect::<Vec<_>>() as &[Option<String>],
        &states().map(|next| next.posted_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &states().map(|next| next.approved_by).collect::<Vec<_>>() as &[Option<Uuid>],
        &states().map(|next| next.approved_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &states().map(|next| serde_json::json!(next.held_reasons)).collect::<Vec<_>>(),
        &states().map(|next| next.waits_for.map(|switch| switch.as_str())).collect::<Vec<_>>() as &[Option<&str>],
        &changed.iter().map(|(_, _, actor, _)| *actor).collect::<Vec<_>>() as &[Option<Uuid>],
        &changed.iter().map(|(.., how)| *how).collect::<Vec<_>>() as &[&str],
        &states().map(|next| next.text.clone()).collect::<Vec<_>>() as &[Option<String>],
        &states().map(|next| next.edited).collect::<Vec<_>>(),
        &states().map(|next| serde_json::json!(next.accepted_reasons)).collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn store(
    conn: &mut PgConnection,
    moment: &Moment,
    current: &Suggestion,
    next: &State,
    actor: Actor,
    changed_how: &str,
) -> Result<(), sqlx::Error> {
    let draft = &next.draft;
    sqlx::query!(
        "update suggestions
         set generated_by = $3, intent_id = $4, text = $5, original_text = $6, edited = $7, alternatives = $8, tone = $9,
             language = $10, confidence = $11, should_reply = $12, draft_reason = $13, sensitive_topic = $14, model = $15,
             prompt_hash = $16, tokens_prompt = $17, tokens_output = $18, status = $19, stage = $20, stage_reason = $21,
             held_reasons = $22, version = $23, generation_id = $24, send_after = $25, lease_until = $26,
             platform_reply_id = $27, platform_reply_url = $28, approved_by = $29, approved_at = $30, changed_by = $31,
             changed_how = $32, updated_at = $33, redrafted = $34, accepted_reasons = $35, waits_for = $36, posted_at = $37
         where id = $1 and team_id = $2",
        current.id,
        current.team_id,
        draft.generated_by.as_str(),
        draft.intent_id,
        next.text,
        next.original_text,
        next.edited,
        serde_json::json!(next.alternatives),
        draft.tone,
        draft.language,
        draft.confidence,
        draft.should_reply,
        draft.reason,
        draft.sensitive_topic,
        draft.model,
        draft.prompt_hash,
        draft.tokens_prompt,
        draft.tokens_output,
        next.status.as_str(),
        next.stage.as_str(),
        next.stage_reason,
        serde_json::json!(next.held_reasons),
        next.version,
        next.generation_id,
        next.send_after,
        next.lease_until,
        next.platform_reply_id,
        next.platform_reply_url,
        next.approved_by,
        next.approved_at,
        actor,
        changed_how,
        moment.now,
        next.redrafted,
        serde_json::json!(next.accepted_reasons),
        next.waits_for.map(|switch| switch.as_str()),
        next.posted_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A suggestion that does not exist yet. With `text` it is a person's own reply, without it a draft is asked for.
#[derive(Debug)]
pub struct NewSuggestion {
    pub team_id: Uuid,
    pub integration_id: Uuid,
    pub item_id: Uuid,
    pub post_id: Uuid,
    pub comment_id: Option<Uuid>,
    pub target: Target,
    pub mode: Mode,
    pub wanted_intent_id: Option<Uuid>,
    pub created_by: Uuid,
    pub text: Option<String>,
}

/// Returns its id and generation, or None when an open one for the same target exists.
pub async fn insert(
    conn: &mut PgConnection,
    moment: &Moment,
    new: &NewSuggestion,
) -> Result<Option<(Uuid, Uuid)>, sqlx::Error> {
    let (id, generation_id) = (moment.id(), moment.id());
    let (generated_by, stage) = if new.text.is_some() { ("person", "ready") } else { ("ai", "drafting") };
    let inserted = sqlx::query_scalar!(
        "insert into suggestions (id, team_id, integration_id, item_id, post_id, comment_id, target_kind, target_platform_id,
             post_platform_id, generated_by, mode, wanted_intent_id, text, original_text, edited, status, stage, generation_id, created_by, changed_by,
             changed_how, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, false, 'pending', $14, $15, $16, $16, 'asked for', $17, $17)
         on conflict (integration_id, target_platform_id) where status in ('pending', 'approved') do nothing
         returning id",
        id,
        new.team_id,
        new.integration_id,
        new.item_id,
        new.post_id,
        new.comment_id,
        new.target.kind.as_str(),
        new.target.platform_id,
        new.target.post_platform_id,
        generated_by,
        new.mode.as_str(),
        new.wanted_intent_id,
        new.text,
        stage,
        generation_id,
        new.created_by,
        moment.now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(inserted.map(|id| (id, generation_id)))
}

/// What was drafted and never posted for a text that is gone may quote it.
pub async fn forget_drafts(conn: &mut PgConnection, team_id: Uuid, thing_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update suggestions s
         set text = null, original_text = null, alternatives = '[]', draft_reason = null, sensitive_topic = null
         from (select p.integration_id, c.platform_comment_id as platform_id
               from comments c join posts p on p.id = c.post_id where c.id = $2
               union all
               select integration_id, platform_post_id from posts where id = $2) thing
         where s.integration_id = thing.integration_id and s.target_platform_id = thing.platform_id
           and s.team_id = $1 and s.status in ('rejected', 'failed') and s.text is not null",
        team_id,
        thing_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}
