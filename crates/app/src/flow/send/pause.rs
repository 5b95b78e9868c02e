//! The switches that keep every reply in: of the installation, of a team, of an account.
//!
//! A switch is a column that arming reads. Arming holds the advisory lock `SWITCH_LOCK` shared from before it reads until it commits.
//! `pause` turns the switch and commits, takes that lock alone for an instant, and so knows: whoever arms from now on sees the switch.
//! What was armed before may still be written: a call starts within five seconds of arming or not at all, and lasts twenty at
//! most. `pause` waits until each of these is over; only then it answers. So after the answer no call starts, and how many were under
//! way is known.
//!
//! Not row locks: sharers of a row let each other pass, and a stream of replies would keep the one who wants to turn its switch
//! waiting for ever. Those who wait for an advisory lock stand in line.
//!
//! What can go wrong: the one who pauses goes away while waiting; the switch is turned all the same. A worker freezes while it
//! arms; after five seconds it may not write any more, so nobody waits for it for longer. A worker dies in mid-call; its attempt
//! tells no end, the wait ends with its time limit, and the answer counts it as `still_running` (what became of it is read back).
//! A worker that the system stops between its last look at the clock and its first byte, for longer than the whole wait, is beyond
//! what a database can fence; reconciliation finds what it did. Clocks of machines must not differ by seconds.

use super::{CALL_OVER, WRITE_WITHIN, act, wake};
use crate::accounts::integrations::{self, Switched};
use crate::accounts::team_settings;
use crate::app::App;
use crate::clock::{Clock, Entropy, Moment};
use crate::flow::activity::{Actor, Subject};
use crate::flow::ingest::normalise;
use crate::flow::notices::{self, Notice};
use crate::model::{IntegrationState, NoticeKind};
use sqlx::{PgConnection, PgPool};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use uuid::Uuid;

/// Longest reason, in characters.
pub const REASON_CHARS: usize = 300;
/// Key of the advisory lock: shared by every arming transaction, taken alone for an instant by whoever pauses.
pub const SWITCH_LOCK: i64 = 0x7265_6a6f_7377_6974;
const LOCK_NOT_AVAILABLE: &str = "55P03";
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a switch stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchScope {
    Instance,
    Team(Uuid),
    Integration { team_id: Uuid, id: Uuid },
}

/// What turning a switch needs, whether a server runs around it or not.
pub struct Switches<'a> {
    pub db: &'a PgPool,
    pub clock: &'a Clock,
    pub entropy: &'a Entropy,
}

/// A switch that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub since: OffsetDateTime,
    pub reason: Option<String>,
    /// None: the machine, or the operator on the command line.
    pub by_name: Option<String>,
}

/// The answer to a pause: nothing starts any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    pub standing: Standing,
    /// Calls that were armed and not over when the switch was turned.
    pub in_flight: usize,
    /// Those of them that told no end within their time limit.
    pub still_running: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Nothing to pause or resume: nothing goes out from it anyway.
    #[error("the account is not connected")]
    NotLive(IntegrationState),
    #[error("the reason has {0} characters, at most {REASON_CHARS} are kept")]
    LongReason(usize),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The switch is turned; only the watch over the calls under way broke off.
    #[error("sending is paused, but whether calls under way have ended could not be seen: {0}")]
    Unwatched(#[source] sqlx::Error),
}

impl<'a> From<&'a App> for Switches<'a> {
    fn from(app: &'a App) -> Self {
        Self { db: &app.db, clock: &app.clock, entropy: &app.entropy }
    }
}

struct Ended {
    in_flight: usize,
    still_running: usize,
}

/// What became of the calls that are waited for.
struct Left {
    /// Told no end.
    open: usize,
    /// Those of them that may start or run.
    may_run: usize,
}

impl Switches<'_> {
    /// Stops the sending of `scope` and waits, at most about 25 s, for calls that are under way. Stopping what is stopped changes
    /// nothing and waits all the same.
    pub async fn pause(&self, scope: SwitchScope, by: Actor, reason: Option<&str>) -> Result<Paused, SwitchError> {
        let reason = clean_reason(reason)?;
        let moment = Moment::new(self.clock, self.entropy);
        let armed_after = moment.now - CALL_OVER;
        let mut tx = self.db.begin().await?;
        let standing = turn_on(&mut tx, &moment, scope, by, reason.as_deref()).await?;
        let armed = in_flight(&mut tx, scope, armed_after).await?;
        tx.commit().await?;
        tracing::warn!(?scope, in_flight = armed.len(), "sending is paused");
        let ended = self.calls_end(scope, armed, armed_after).await.map_err(SwitchError::Unwatched)?;
        Ok(Paused { standing, in_flight: ended.in_flight, still_running: ended.still_running })
    }

    /// Returns when no call of the scope can start or run any more: of `armed` before the switch was turned, and of those that were
    /// being armed beside it.
    async fn calls_end(
        &self,
        scope: SwitchScope,
        mut armed: HashSet<Uuid>,
        armed_after: OffsetDateTime,
    ) -> Result<Ended, sqlx::Error> {
        self.let_arming_end().await?;
        armed.extend(in_flight(&mut *self.db.acquire().await?, scope, armed_after).await?);
        let armed: Vec<Uuid> = armed.into_iter().collect();
        Ok(Ended { in_flight: armed.len(), still_running: self.wait_for(&armed).await? })
    }

    /// Until every transaction that arms and may not have seen the switch is over, or so old that it may not write any more.
    async fn let_arming_end(&self) -> Result<(), sqlx::Error> {
        let mut tx = self.db.begin().await?;
        let patience = format!("{}ms", WRITE_WITHIN.as_millis());
        sqlx::query!("select set_config('lock_timeout', $1, true)", patience).fetch_one(&mut *tx).await?;
        match sqlx::query!("select pg_advisory_xact_lock($1)", SWITCH_LOCK).fetch_one(&mut *tx).await {
            Ok(_) => {}
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => {
                tracing::warn!("somebody has been arming for longer than a call may wait; it may not write any more");
            }
            Err(error) => return Err(error),
        }
        tx.rollback().await
    }

    /// Lets the sending of `scope` go on and wakes what waited for it.
    pub async fn resume(&self, scope: SwitchScope, by: Actor) -> Result<(), SwitchError> {
        let moment = Moment::new(self.clock, self.entropy);
        let mut tx = self.db.begin().await?;
        turn_off(&mut tx, &moment, scope, by).await?;
        wake(&mut tx, &moment).await?;
        tx.commit().await?;
        tracing::warn!(?scope, "sending goes on");
        Ok(())
    }

    /// Until every call is over or out of time; how many are out of time without having told their end.
    async fn wait_for(&self, armed: &[Uuid]) -> Result<usize, sqlx::Error> {
        if armed.is_empty() {
            return Ok(0);
        }
        let began = Instant::now();
        loop {
            let left = left_of(&mut *self.db.acquire().await?, armed, self.clock.now() - CALL_OVER).await?;
            // The second clock cannot be set back.
            if left.may_run == 0 || began.elapsed() >= CALL_OVER {
                return Ok(left.open);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn clean_reason(reason: Option<&str>) -> Result<Option<String>, SwitchError> {
    let reason = reason.map(|reason| normalise::line(reason, normalise::MAX_CHARS).trim().to_owned());
    match reason.filter(|reason| !reason.is_empty()) {
        Some(reason) if reason.chars().count() > REASON_CHARS => Err(SwitchError::LongReason(reason.chars().count())),
        reason => Ok(reason),
    }
}

async fn turn_on(
    conn: &mut PgConnection,
    moment: &Moment,
    scope: SwitchScope,
    by: Actor,
    reason: Option<&str>,
) -> Result<Standing, SwitchError> {
    let why = reason.map(|reason| format!(" ({})", reason.trim_end_matches('.'))).unwrap_or_default();
    match scope {
        SwitchScope::Instance => {
            if switch_instance(conn, moment, Some(reason)).await? {
                let text =
                    format!("All sending on this server is paused{why}. Replies wait until its operator resumes it.");
                notices::raise_everywhere(conn, moment, NoticeKind::InstancePaused, &text).await?;
            }
        }
        SwitchScope::Team(team_id) => {
            if team_settings::switch(conn, moment, team_id, by, Some(reason)).await.map_err(no_team)? {
                let text = format!("All sending of the team is paused{why}. Replies wait until an admin resumes it.");
                let notice = Notice { kind: NoticeKind::TeamPaused, subject: Subject::Team(team_id), text };
                notices::raise(conn, moment, team_id, notice).await?;
            }
        }
        SwitchScope::Integration { team_id, id } => {
            live(integrations::pause_by_person(conn, moment, team_id, id, by, reason).await?)?;
        }
    }
    standing(conn, scope).await?.ok_or(SwitchError::Database(sqlx::Error::RowNotFound))
}

async fn turn_off(conn: &mut PgConnection, moment: &Moment, scope: SwitchScope, by: Actor) -> Result<(), SwitchError> {
    match scope {
        SwitchScope::Instance => {
            switch_instance(conn, moment, None).await?;
            notices::resolve_everywhere(conn, moment, NoticeKind::InstancePaused).await?;
        }
        SwitchScope::Team(team_id) => {
            team_settings::switch(conn, moment, team_id, by, None).await.map_err(no_team)?;
            notices::resolve(conn, moment, team_id, NoticeKind::TeamPaused, team_id).await?;
        }
        SwitchScope::Integration { team_id, id } => {
            live(integrations::resume(conn, moment, team_id, id, by).await?)?;
        }
    }
    Ok(())
}

fn no_team(error: sqlx::Error) -> SwitchError {
    match error {
        sqlx::Error::RowNotFound => SwitchError::NotFound("team"),
        other => SwitchError::Database(other),
    }
}

fn live(switched: Option<Switched>) -> Result<(), SwitchError> {
    match switched {
        Some(Switched::Done(_)) => Ok(()),
        Some(Switched::NotLive(account)) => Err(SwitchError::NotLive(account.state())),
        None => Err(SwitchError::NotFound("integration")),
    }
}

/// True when the switch stood otherwise before.
async fn switch_instance(
    conn: &mut PgConnection,
    moment: &Moment,
    paused: Option<Option<&str>>,
) -> Result<bool, sqlx::Error> {
    let before = sqlx::query!("select paused_at from instance_switches where name = 'sending' for update")
        .fetch_one(&mut *conn)
        .await?;
    if before.paused_at.is_some() == paused.is_some() {
        return Ok(false);
    }
    sqlx::query!(
        "update instance_switches set paused_at = $1, reason = $2, updated_at = $3 where name = 'sending'",
        paused.map(|_| moment.now),
        paused.flatten(),
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// Since when the switch is on and why; None while it is off. Holds nothing.
pub async fn standing(conn: &mut PgConnection, scope: SwitchScope) -> Result<Option<Standing>, sqlx::Error> {
    match scope {
        SwitchScope::Instance => {
            let row = sqlx::query!("select paused_at, reason from instance_switches where name = 'sending'")
                .fetch_one(conn)
                .await?;
            Ok(row.paused_at.map(|since| Standing { since, reason: row.reason, by_name: None }))
        }
        SwitchScope::Team(team_id) => {
            let row = team_settings::load(conn, team_id).await?;
            Ok(row.paused_at.map(|since| Standing { since, reason: row.pause_reason, by_name: row.paused_by_name }))
        }
        SwitchScope::Integration { team_id, id } => {
            let row = integrations::load(conn, team_id, id).await?;
            Ok(row.filter(|row| row.state() == IntegrationState::Paused).map(|row| Standing {
                since: row.state_since,
                reason: row.state_reason,
                by_name: row.paused_by_name,
            }))
        }
    }
}

/// Calls of the scope that were armed after `armed_after` and are not over.
async fn in_flight(
    conn: &mut PgConnection,
    scope: SwitchScope,
    armed_after: OffsetDateTime,
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let (team_id, integration_id) = match scope {
        SwitchScope::Instance => (None, None),
        SwitchScope::Team(team_id) => (Some(team_id), None),
        SwitchScope::Integration { team_id, id } => (Some(team_id), Some(id)),
    };
    let armed = sqlx::query_scalar!(
        "select id from send_attempts
         where outcome = 'uncertain' and call_ended_at is null and armed_at > $1
           and ($2::uuid is null or team_id = $2) and ($3::uuid is null or integration_id = $3)",
        armed_after,
        team_id,
        integration_id,
    )
    .fetch_all(&mut *conn)
    .await?;
    let changes = act::in_flight(conn, scope, armed_after).await?;
    Ok(armed.into_iter().chain(changes).collect())
}

/// Until the caller's transaction ends, whoever pauses waits for it; and a switch that is read after this call is as it stands.
pub(super) async fn hold_switches(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock_shared($1)", SWITCH_LOCK).fetch_one(conn).await?;
    Ok(())
}

async fn left_of(conn: &mut PgConnection, armed: &[Uuid], armed_after: OffsetDateTime) -> Result<Left, sqlx::Error> {
    let left = sqlx::query!(
        r#"select count(*) as "open!", count(*) filter (where armed_at > $2) as "may_run!"
           from send_attempts where id = any($1) and outcome = 'uncertain' and call_ended_at is null"#,
        armed,
        armed_after,
    )
    .fetch_one(&mut *conn)
    .await?;
    let (open, may_run) = act::left_of(conn, armed, armed_after).await?;
    let count = |n: i64| usize::try_from(n).unwrap_or(0);
    Ok(Left { open: count(left.open + open), may_run: count(left.may_run + may_run) })
}
