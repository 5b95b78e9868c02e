//! The job `post.process`: what webhooks brought for one account becomes posts, comments and items.
//!
//! It takes no list of events: it works what stands there, oldest first, so nothing is lost when a job is. Most comments come whole, cost
//! no call and are stored before anything is read; then a post that is not stored yet, and what an event only named, is read, each post once.
//! What cannot be read now stays and is tried again. Where the platform asks to wait, that holds for whatever comes meanwhile. Our own words are told by their author or by the id that we got for them; they open no item.

use super::webhook_events::{self, Done, Waiting};
use super::{Source, store};
use crate::accounts::integrations::{self, Integration};
use crate::accounts::platform_apps;
use crate::accounts::tokens::{self, TokenError};
use crate::clock::Moment;
use crate::coord::budget::{Lane, Urgency};
use crate::coord::usage::{self, Payer};
use crate::engine::Engine;
use crate::flow::etiquette::opt_outs;
use crate::flow::places;
use crate::jobs;
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{
    AccessToken, Account, FetchError, Heard, InboundItem, KnownPosts, Named, Reader, Scope, Session,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// Events of one run.
const AT_ONCE: i64 = 500;
/// Events come again for 36 hours until they are answered.
const TOLD_WITHIN: time::Duration = time::Duration::hours(48);
/// Calls of one run.
const READS: usize = 40;
/// So many in a row that get no answer: the platform is away, the rest would wait for nothing.
const UNANSWERED: usize = 3;
const SOON: Duration = Duration::from_secs(1);
const NO_BUDGET: &str = "the request budget of the platform is used up";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PostProcess {
    pub integration_id: Uuid,
}

#[async_trait]
impl Job<Arc<Engine>> for PostProcess {
    const NAME: &'static str = "post.process";
    const CLASS: Class = Class::Poll;
    const MAX_ATTEMPTS: i16 = 25;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn key(&self) -> Option<String> {
        Some(format!("process:{}", self.integration_id))
    }

    /// Two at once would read the same things twice.
    fn serial_queue(&self) -> Option<String> {
        Some(format!("process:{}", self.integration_id))
    }

    async fn run(self, engine: &Arc<Engine>, ctx: &JobContext) -> Result<(), JobError> {
        let app = &engine.app;
        let moment = Moment::at(ctx.now, &app.entropy);
        let mut conn = app.db.acquire().await?;
        let Some(integration) = integrations::load_any_team(&mut conn, self.integration_id).await? else {
            return Ok(());
        };
        let waiting = webhook_events::waiting(&mut conn, integration.id, AT_ONCE).await?;
        drop(conn);
        let more = waiting.len() as i64 == AT_ONCE;
        // Kept until somebody connects the account again.
        if waiting.is_empty() || !integration.is_read() {
            return Ok(());
        }
        let reader = app.readers.get(&integration.platform).map_err(|error| JobError::Permanent(error.to_string()))?;
        let work = Round { engine, moment: &moment, integration: &integration, reader };
        let later = work.run(waiting).await?;
        if let Some((after, reason)) = later {
            return Err(JobError::RetryAt { at: ctx.now + after, reason });
        }
        if more {
            jobs::enqueue(&mut *app.db.acquire().await?, &self, ctx.now).await?;
        }
        Ok(())
    }
}

struct Round<'a> {
    engine: &'a Arc<Engine>,
    moment: &'a Moment,
    integration: &'a Integration,
    reader: &'a Arc<dyn Reader>,
}

/// What becomes of an event in this round.
#[allow(clippy::large_enum_variant, reason = "lives for one round; most are items")]
enum Fate {
    /// It brings this comment or post.
    Item(InboundItem),
    /// These must be read first.
    Read(Named),
    Over(String),
}

type Event = (Waiting, Value, Fate);
type Later = Option<(Duration, String)>;

/// What stands in the way of a reading.
enum NotNow {
    /// Of every other one, too: budget, token.
    Stop(Duration, String),
    /// Of this one; the others are read.
    Skip(Duration, String),
}

impl Round<'_> {
    async fn run(&self, waiting: Vec<Waiting>) -> Result<Later, JobError> {
        let account =
            Account { id: self.integration.platform_account_id.clone(), name: self.integration.display_name.clone() };
        let events: Vec<Event> = waiting.into_iter().map(|event| self.hear(&account, event)).collect();
        let mut known = self.known_posts(&events).await?;
        let (mut open, ready): (Vec<Event>, Vec<Event>) =
            events.into_iter().partition(|(_, _, fate)| must_wait(fate, &known));
        if !ready.is_empty() {
            self.keep(&account, ready, Vec::new()).await?;
        }
        if open.is_empty() {
            return Ok(None);
        }
        let mut items: Vec<InboundItem> = Vec::new();
        let later = self.read_missing(&mut open, &mut known, &mut items).await?;
        self.keep(&account, open, items).await?;
        Ok(later)
    }

    /// Of the posts that these events are about, those that stand here, each with its address.
    async fn known_posts(&self, events: &[Event]) -> Result<KnownPosts, JobError> {
        let posts: BTreeSet<String> = events.iter().filter_map(|(_, _, fate)| named_post(fate)).collect();
        let posts: Vec<String> = posts.into_iter().collect();
        let mut conn = self.engine.app.db.acquire().await?;
        let owner = (self.integration.team_id, self.integration.id);
        Ok(webhook_events::known_posts(&mut conn, owner, &posts).await?)
    }

    fn hear(&self, account: &Account, event: Waiting) -> Event {
        let Ok(payload) = serde_json::from_str::<Value>(&event.payload) else {
            return (event, Value::Null, Fate::Over("unreadable".to_owned()));
        };
        let fate = match self.reader.heard(account, &payload, event.received_at) {
            Heard::Comment(comment) => Fate::Item(InboundItem::Comment(comment)),
            Heard::Post(post) => Fate::Item(InboundItem::Post(post)),
            Heard::Named(named) => Fate::Read(named),
            Heard::Nothing(why) => Fate::Over(format!("nothing to do: {why}")),
        };
        (event, payload, fate)
    }

    /// Reads the posts that are not stored, and what events only named. What could not be read now is left as it is.
    async fn read_missing(
        &self,
        events: &mut [Event],
        known: &mut KnownPosts,
        items: &mut Vec<InboundItem>,
    ) -> Result<Later, JobError> {
        let mut wanted: BTreeMap<(Option<String>, Option<String>, bool), Vec<usize>> = BTreeMap::new();
        for (place, (_, _, fate)) in events.iter().enumerate() {
            match fate {
                Fate::Read(named) => {
                    let key = (named.post_id.clone(), named.comment_id.clone(), named.mention);
                    wanted.entry(key).or_default().push(place);
                }
                fate => {
                    if let Some(post) = post_of(fate).filter(|post| !known.contains_key(post)) {
                        wanted.entry((Some(post), None, false)).or_default().push(place);
                    }
                }
            }
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        if let Some(until) = self.integration.read_after.filter(|until| *until > self.moment.now) {
            let after = Duration::try_from(until - self.moment.now).unwrap_or(SOON);
            put_back(events, wanted.into_values().flatten());
            return Ok(Some((after, NO_BUDGET.to_owned())));
        }
        let mut session = match self.session(None).await {
            Ok(session) => session,
            Err(error) => {
                put_back(events, wanted.into_values().flatten());
                return Ok(Some(put_off(error)));
            }
        };
        let (mut later, mut stop, mut unanswered) = (None, false, 0);
        for (number, ((post_id, comment_id, mention), places)) in wanted.into_iter().enumerate() {
            let named = Named { post_id, comment_id, mention };
            let read = match number < READS && !stop && unanswered < UNANSWERED {
                // Came with another one of its comments.
                true if post_only(&named).is_some_and(|post| known.contains_key(post)) => Ok(Ok(Vec::new())),
                true => self.read(&mut session, &named, known).await,
                false => Err(NotNow::Stop(SOON, "more is to be read".to_owned())),
            };
            unanswered = if matches!(read, Err(NotNow::Skip(..))) { unanswered + 1 } else { 0 };
            match read {
                Ok(Ok(read)) => {
                    known.extend(read.iter().filter_map(post_in));
                    items.extend(read);
                    // A named comment came with what was read; a whole one stays as it is.
                    for place in places {
                        if matches!(events[place].2, Fate::Read(_)) {
                            events[place].2 = Fate::Over("stored".to_owned());
                        }
                    }
                }
                Ok(Err(why)) => places.into_iter().for_each(|place| events[place].2 = Fate::Over(why.clone())),
                Err(not_now) => {
                    stop |= matches!(not_now, NotNow::Stop(..));
                    let (NotNow::Stop(after, why) | NotNow::Skip(after, why)) = not_now;
                    for place in places {
                        // What nobody can read for two days is not worth the wait of the others.
                        let old = events[place].0.received_at + TOLD_WITHIN < self.moment.now;
                        events[place].2 = match old {
                            true => Fate::Over(format!("could not be read: {why}")),
                            false => Fate::Read(named.clone()),
                        };
                    }
                    later.get_or_insert((after, why));
                }
            }
        }
        Ok(later)
    }

    /// Somebody spoke just now.
    async fn session(&self, dead: Option<&AccessToken>) -> Result<Session, TokenError> {
        tokens::session_for(&self.engine.app, self.moment, self.integration, dead, Urgency::of(Lane::Busy)).await
    }

    /// Ok(Err): it can never be read. Err: not now.
    async fn read(
        &self,
        session: &mut Session,
        named: &Named,
        known: &KnownPosts,
    ) -> Result<Result<Vec<InboundItem>, String>, NotNow> {
        for refreshed in [false, true] {
            match self.reader.read_named(session, named, known).await {
                Ok(items) => return Ok(Ok(items)),
                Err(FetchError::AuthExpired) if !refreshed => {
                    *session = self.session(Some(&session.access_token)).await.map_err(|error| {
                        let (after, reason) = put_off(error);
                        NotNow::Stop(after, reason)
                    })?;
                }
                Err(FetchError::Refused { reason, scope: Scope::Item, .. }) => {
                    return Ok(Err(format!("could not be read: {reason}")));
                }
                Err(FetchError::RateLimited { retry_after }) => {
                    self.wait_for(retry_after).await?;
                    return Err(NotNow::Stop(retry_after, NO_BUDGET.to_owned()));
                }
                Err(error) => return Err(NotNow::Skip(Duration::from_secs(60), error.to_string())),
            }
        }
        Err(NotNow::Stop(Duration::from_secs(60), "the platform does not accept a fresh token".to_owned()))
    }

    /// An event that comes meanwhile brings this job back at once, and must not ask before its time.
    async fn wait_for(&self, after: Duration) -> Result<(), NotNow> {
        let until = self.moment.now + after;
        let (team_id, id) = (self.integration.team_id, self.integration.id);
        let stored = async {
            let mut conn = self.engine.app.db.acquire().await?;
            integrations::read_not_before(&mut conn, team_id, id, until).await
        };
        stored.await.map_err(|error| NotNow::Stop(after, format!("the database did not answer: {error}")))
    }

    /// Stores what came and marks its events, in one transaction.
    async fn keep(&self, account: &Account, events: Vec<Event>, mut items: Vec<InboundItem>) -> Result<(), JobError> {
        let mut done = Vec::new();
        let mut source = Source::of(self.integration);
        if let Some(first) = events.iter().map(|(event, ..)| event.received_at).min() {
            // What is played back later is context: an event tells of what was said just now.
            source.items_since = source.items_since.max(first - TOLD_WITHIN);
        }
        let mut tx = self.engine.app.db.begin().await?;
        let told: Vec<String> = events.iter().filter_map(|(_, _, fate)| told_id(fate)).collect();
        let gone = webhook_events::gone(&mut tx, (source.team_id, source.integration_id), &told).await?;
        for (event, mut payload, fate) in events {
            let outcome = match fate {
                fate if told_id(&fate).is_some_and(|id| gone.contains(&id)) => "nothing to do: it is gone".to_owned(),
                Fate::Item(item) => {
                    items.push(item);
                    "stored".to_owned()
                }
                Fate::Over(outcome) => outcome,
                Fate::Read(_) => continue,
            };
            let key = platform_apps::key_of(&self.engine.app, self.integration);
            let (team_id, platform) = (source.team_id, key.platform.as_str());
            let payer = Payer { team_id, platform, client_id: &key.client_id };
            usage::count(&mut tx, payer, &self.reader.told_charges(&payload), event.received_at).await?;
            self.reader.without_words(&mut payload);
            let (id, received_at) = (event.id, event.received_at);
            done.push(Done { id, received_at, outcome, payload: payload.to_string() });
        }
        let ids: Vec<String> = items.iter().filter_map(|item| item.comment_id().map(str::to_owned)).collect();
        let ours = webhook_events::sent_by_us(&mut tx, (source.team_id, source.integration_id), &ids).await?;
        for item in &mut items {
            if let InboundItem::Comment(comment) = item
                && ours.contains(&comment.id)
            {
                comment.author_id = Some(account.id.clone());
            }
        }
        let posts: Vec<String> = items.iter().map(|item| item.post_id().to_owned()).collect();
        let stored = store(&mut tx, self.moment, &source, items).await?;
        opt_outs::notice(&mut tx, self.moment, &source, &ids, &self.engine.app.config.opt_out_words).await?;
        places::wanted(&mut tx, self.moment, &source, &posts).await?;
        webhook_events::done(&mut tx, self.moment, &done).await?;
        tx.commit().await?;
        tracing::debug!(?stored, events = done.len(), "processed");
        Ok(())
    }
}

/// These are tried again: a comment that came whole waits for its post.
fn put_back(events: &mut [Event], places: impl Iterator<Item = usize>) {
    for place in places {
        if let Some(post_id) = post_of(&events[place].2) {
            events[place].2 = Fate::Read(Named { post_id: Some(post_id), comment_id: None, mention: false });
        }
    }
}

/// Whether something must be read before it can be stored.
fn must_wait(fate: &Fate, known: &KnownPosts) -> bool {
    match fate {
        Fate::Read(_) => true,
        Fate::Item(item) => !known.contains_key(item.post_id()),
        Fate::Over(_) => false,
    }
}

fn named_post(fate: &Fate) -> Option<String> {
    match fate {
        Fate::Read(named) if !named.mention => named.post_id.clone(),
        fate => post_of(fate),
    }
}

/// The post of a reading that is about nothing else.
fn post_only(named: &Named) -> Option<&String> {
    named.post_id.as_ref().filter(|_| named.comment_id.is_none() && !named.mention)
}

fn post_in(item: &InboundItem) -> Option<(String, Option<Url>)> {
    match item {
        InboundItem::Post(post) | InboundItem::Thread(post) => Some((post.id.clone(), post.permalink.clone())),
        InboundItem::Comment(_) => None,
    }
}

fn put_off(error: TokenError) -> (Duration, String) {
    match error {
        TokenError::Wait { after, reason } => (after, reason),
        // The next poll says so to the team; once it is connected again, these are worked.
        TokenError::Reconnect(reason) | TokenError::App(reason) => (Duration::from_secs(3600), reason),
    }
}

fn post_of(fate: &Fate) -> Option<String> {
    match fate {
        Fate::Item(InboundItem::Comment(comment)) => Some(comment.post_id.clone()),
        _ => None,
    }
}

/// The comment that an event brought whole.
fn told_id(fate: &Fate) -> Option<String> {
    match fate {
        Fate::Item(item) => item.comment_id().map(str::to_owned),
        Fate::Read(_) | Fate::Over(_) => None,
    }
}
