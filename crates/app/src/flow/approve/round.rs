//! Approvals that arrive together share a transaction. What stands pending and ready is decided here; everything else (approved
//! already, held by somebody at this moment, twice in one round) is left to the path of a single decision, which waits and explains.

use super::{Decision, checked_text};
use crate::clock::{Clock, Entropy, Moment};
use crate::coord::rounds::Work;
use crate::flow::etiquette::{self, Manners};
use crate::flow::safety::{self, Elsewhere};
use crate::flow::send::PostSend;
use crate::flow::suggestion::{self, Change, ChangeError, Refusal, Step, Suggestion};
use crate::jobs;
use crate::model::{Stage, Status};
use async_trait::async_trait;
use rejoinder_platforms::{LengthRule, Readers};
use sqlx::{PgConnection, PgPool};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub struct Approvals {
    pub batch: PgPool,
    pub clock: Clock,
    pub entropy: Entropy,
    pub readers: Readers,
}

#[derive(Debug, Clone)]
pub struct Ask {
    pub decision: Decision,
    pub text: Option<String>,
    pub version: Option<i32>,
    /// Queue it right away; otherwise it waits for `send`.
    pub auto_post: bool,
    pub undo_window: Duration,
    pub request_id: Option<String>,
}

pub enum Approved {
    Decided(Result<Box<(Suggestion, Option<i64>)>, ChangeError>),
    /// Not for a round: decide it by itself.
    Alone,
}

#[async_trait]
impl Work for Approvals {
    type Ask = Ask;
    type Answer = Approved;

    async fn round(&self, asks: &[Ask]) -> Result<Vec<Approved>, sqlx::Error> {
        let moment = Moment::new(&self.clock, &self.entropy);
        let mut tx = self.batch.begin().await?;
        let ids: Vec<Uuid> = asks.iter().map(|ask| ask.decision.suggestion_id).collect();
        let locked = suggestion::lock_all(&mut tx, &ids, false).await?;
        let accounts = accounts(&mut tx, &self.readers, &locked, moment.now).await?;
        let manners = etiquette::of(&mut tx, &ids).await?;
        let mut free: HashMap<Uuid, Suggestion> = locked.into_iter().map(|one| (one.id, one)).collect();
        let (mut answers, mut steps, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (place, ask) in asks.iter().enumerate() {
            answers.push(Approved::Alone);
            let Some(current) = free.remove(&ask.decision.suggestion_id) else { continue };
            let open = (current.state.status, current.state.stage) == (Status::Pending, Stage::Ready);
            if let Some(account) = accounts.get(&current.integration_id).filter(|_| open)
                && current.team_id == ask.decision.team_id
                && let Some(step) = step(ask, manners.get(&current.id), current, account, moment.now)
            {
                steps.push(step);
                places.push(place);
            }
        }
        let changed = suggestion::change_all(&mut tx, &moment, steps).await?;
        let jobs = queue(&mut tx, asks, &places, &changed).await?;
        forget_edits(&mut tx, asks, &places).await?;
        tx.commit().await?;
        for (place, changed) in places.into_iter().zip(changed) {
            answers[place] = Approved::Decided(match changed {
                Ok(suggestion) => {
                    let job = jobs.get(&PostSend::key_of(suggestion.id)).copied();
                    Ok(Box::new((suggestion, job)))
                }
                Err(refusal) => Err(ChangeError::Refused(refusal)),
            });
        }
        Ok(answers)
    }
}

/// What the checks need to know of an account.
struct Account {
    length: LengthRule,
    link_domains: Vec<String>,
    recent: Vec<String>,
    elsewhere: Arc<Vec<Elsewhere>>,
}

async fn accounts(
    conn: &mut PgConnection,
    readers: &Readers,
    suggestions: &[Suggestion],
    now: OffsetDateTime,
) -> Result<HashMap<Uuid, Account>, sqlx::Error> {
    let mut ids: Vec<Uuid> = suggestions.iter().map(|suggestion| suggestion.integration_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = sqlx::query!(
        r#"select i.id as "id!", i.platform as "platform!", coalesce(t.link_domains, '{}') as "link_domains!"
           from integrations i left join team_settings t on t.team_id = i.team_id where i.id = any($1)"#,
        &ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut recent: HashMap<Uuid, Vec<String>> = HashMap::new();
    for (id, text) in suggestion::posted_texts(conn, &ids, now - safety::LATELY).await? {
        recent.entry(id).or_default().push(text);
    }
    let mut platforms: Vec<String> = rows.iter().map(|row| row.platform.clone()).collect();
    platforms.sort_unstable();
    platforms.dedup();
    let mut elsewhere: HashMap<String, Vec<Elsewhere>> = HashMap::new();
    for (platform, text) in suggestion::posted_everywhere(conn, &platforms, now - safety::LATELY).await? {
        elsewhere.entry(platform).or_default().push(text);
    }
    let elsewhere: HashMap<String, Arc<Vec<Elsewhere>>> =
        elsewhere.into_iter().map(|(platform, texts)| (platform, Arc::new(texts))).collect();
    let accounts = rows.into_iter().filter_map(|row| {
        // Without its platform on this server the limits are not known: the single path says so.
        let length = readers.get(&row.platform).ok()?.capabilities().length;
        let recent = recent.remove(&row.id).unwrap_or_default();
        let elsewhere = elsewhere.get(&row.platform).cloned().unwrap_or_default();
        Some((row.id, Account { length, link_domains: row.link_domains, recent, elsewhere }))
    });
    Ok(accounts.collect())
}

/// None where the text is none: the single path tells why.
fn step(
    ask: &Ask,
    manners: Option<&Manners>,
    current: Suggestion,
    account: &Account,
    now: OffsetDateTime,
) -> Option<Step> {
    let text = match &ask.text {
        Some(raw) => Some(checked_text(raw, account.length).ok()?),
        None => None,
    };
    let to_post = text.as_deref().or(current.state.text.as_deref()).unwrap_or_default();
    let context = safety::Context {
        length: account.length,
        link_domains: &account.link_domains,
        recent: &account.recent,
        community: manners.and_then(|manners| manners.community.as_deref()),
        elsewhere: &account.elsewhere,
        answered_by: manners.and_then(|manners| manners.answered_by.as_deref()),
    };
    let holds = safety::holds(to_post, &context);
    let send_after = ask.auto_post.then(|| now + ask.undo_window);
    let change = Change::Approve { text, version: ask.version, send_after, holds };
    Some(Step { current, change, actor: Some(ask.decision.by), request_id: ask.request_id.clone() })
}

/// The jobs of those that are queued now, by key.
async fn queue(
    conn: &mut PgConnection,
    asks: &[Ask],
    places: &[usize],
    changed: &[Result<Suggestion, Refusal>],
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let mut due: BTreeMap<OffsetDateTime, Vec<PostSend>> = BTreeMap::new();
    for (place, suggestion) in places.iter().zip(changed) {
        if let Ok(suggestion) = suggestion
            && asks[*place].auto_post
            && suggestion.state.stage == Stage::Queued
            && let Some(at) = suggestion.state.send_after
        {
            due.entry(at).or_default().push(PostSend::of(suggestion));
        }
    }
    let mut ids = HashMap::new();
    for (at, jobs) in due {
        let added = jobs::enqueue_many(conn, &jobs, at).await?;
        ids.extend(added.into_iter().filter_map(|(key, id)| Some((key?, id))));
    }
    Ok(ids)
}

async fn forget_edits(conn: &mut PgConnection, asks: &[Ask], places: &[usize]) -> Result<(), sqlx::Error> {
    if places.is_empty() {
        return Ok(());
    }
    let decisions = || places.iter().map(|place| asks[*place].decision);
    sqlx::query!(
        "delete from draft_edits e using unnest($1::uuid[], $2::uuid[]) as d (suggestion_id, user_id)
         where e.suggestion_id = d.suggestion_id and e.user_id = d.user_id",
        &decisions().map(|decision| decision.suggestion_id).collect::<Vec<_>>(),
        &decisions().map(|decision| decision.by).collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
