//! When what happens: waves of approvals, a kill into each, a worker stopped in the middle of a call now and then, and Postgres crashes.

use super::Args;
use super::approvals::Approvals;
use super::cast::Cast;
use super::faults::STALE_MOST;
use crate::home::{Home, agent};
use crate::rng::Rng;
use anyhow::{Result, bail};
use rejoinder_sandbox::{HoldGuard, HoldPoint, WriteFault};
use std::time::{Duration, Instant};

/// One kill in so many hits the API.
const API_KILLS: usize = 7;
const KILL_LEAST: Duration = Duration::from_secs(1);
const KILL_MOST: Duration = Duration::from_secs(3);
/// From a wave of approvals to the kill into it: claiming, arming, writing and settling all lie in here.
const INTO_WAVE_MOST: Duration = Duration::from_millis(350);
/// Everything is approved so long before the expected end, or in the first half: what nobody answered for takes its time to settle.
const APPROVED_BEFORE_END: Duration = Duration::from_secs(40);
/// How long a worker has to get into a call before another one is tried.
const CALL_PATIENCE: Duration = Duration::from_secs(10);
/// What a stopped worker wrote stands there for so long, before it goes on, that no reader gets an older answer.
const SEEN_BY_ALL: Duration = Duration::from_secs(STALE_MOST.as_secs() + 1);
/// A worker that went on is not killed for so long.
const SPARED: Duration = Duration::from_secs(6);
const LATE: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(20);
const SPEAK_EVERY: Duration = Duration::from_secs(10);

/// What was done in the run.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub kills: usize,
    pub api_kills: usize,
    pub stops: usize,
    /// Calls that were held in the middle while their worker was stopped.
    pub held_calls: usize,
    pub restarts: usize,
}

pub(super) struct Conductor<'a> {
    home: &'a mut Home,
    cast: Cast,
    approvals: Approvals,
    args: &'a Args,
    rng: Rng,
    trouble: Trouble,
    began: Instant,
    expected: Duration,
    allowed: usize,
    next_kill: Instant,
    stopped: Option<Stopped>,
    spoke: Instant,
}

struct Stopped {
    worker: usize,
    /// Its calls are let go then, and the worker a little later.
    release_at: Instant,
    hold: Option<HoldGuard>,
}

impl<'a> Conductor<'a> {
    pub(super) fn new(home: &'a mut Home, cast: Cast, approvals: Approvals, args: &'a Args) -> Self {
        let now = Instant::now();
        let kills = Duration::from_millis(2_200) * u32::try_from(args.kills).unwrap_or(u32::MAX);
        let stops = Duration::from_secs(args.stop_secs + 8) * u32::try_from(args.stops).unwrap_or(u32::MAX);
        Self {
            home,
            cast,
            approvals,
            args,
            rng: Rng::new(args.seed).fork("conductor"),
            trouble: Trouble::default(),
            began: now,
            expected: Duration::from_secs(3) + kills.max(stops),
            allowed: 0,
            next_kill: now,
            stopped: None,
            spoke: now,
        }
    }

    pub(super) fn end(self) -> (Cast, Approvals, Trouble) {
        (self.cast, self.approvals, self.trouble)
    }

    /// Until everything that was asked for has been done and everything is approved.
    pub(super) async fn play(&mut self) -> Result<()> {
        while !self.finished() {
            self.cast.check_alive()?;
            self.approvals.check()?;
            if self.began.elapsed() > self.expected * 3 + LATE {
                bail!("not all of the trouble could be made in three times the expected time: {:?}", self.trouble);
            }
            self.let_go_on_when_due().await?;
            if self.restart_is_due() {
                self.crash_postgres().await?;
            } else if self.stop_is_due() {
                self.stop_in_a_call().await?;
            }
            if Instant::now() >= self.next_kill && !self.kills_are_over() {
                self.kill_into_a_wave().await?;
            }
            if self.args.kills == 0 {
                self.wave();
            }
            self.speak();
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    }

    fn finished(&self) -> bool {
        let (done, args) = (&self.trouble, self.args);
        done.kills >= args.kills
            && done.stops >= args.stops
            && done.restarts >= args.restarts
            && self.stopped.is_none()
            && self.approvals.all_done()
    }

    /// The quota is met, and nothing new goes out that a kill could hit.
    fn kills_are_over(&self) -> bool {
        self.trouble.kills >= self.args.kills && self.approvals.all_done()
    }

    /// Early, and then spread over the run.
    fn restart_is_due(&self) -> bool {
        let (done, all) = (self.trouble.restarts, self.args.restarts);
        // A stopped worker's lock would be lost with its session, and with it what says that its call may still be under way.
        let in_a_call = self.stopped.as_ref().is_some_and(|stopped| stopped.hold.is_some());
        let due = self.expected.mul_f64((done as f64 + 0.05) / all.max(1) as f64);
        done < all && !in_a_call && self.began.elapsed() >= due
    }

    fn stop_is_due(&self) -> bool {
        let started = self.trouble.stops + usize::from(self.stopped.is_some());
        let due = Duration::from_secs(3)
            + Duration::from_secs(self.args.stop_secs + 8) * u32::try_from(started).unwrap_or(u32::MAX);
        self.stopped.is_none() && started < self.args.stops && self.began.elapsed() >= due
    }

    async fn crash_postgres(&mut self) -> Result<()> {
        self.wave();
        tokio::time::sleep(self.rng.between(Duration::ZERO, INTO_WAVE_MOST)).await;
        self.home.crash_postgres().await?;
        self.trouble.restarts += 1;
        Ok(())
    }

    /// Lets as many approve as the time that has passed allows, all at once.
    fn wave(&mut self) {
        let time = self.expected.saturating_sub(APPROVED_BEFORE_END).max(self.expected / 2);
        let share = self.began.elapsed().div_duration_f64(time).min(1.0);
        let until_now = (self.args.suggestions as f64 * share).ceil() as usize;
        let more = until_now.min(self.args.suggestions).saturating_sub(self.allowed);
        self.approvals.allow(more);
        self.allowed += more;
    }

    async fn kill_into_a_wave(&mut self) -> Result<()> {
        self.wave();
        tokio::time::sleep(self.rng.between(Duration::ZERO, INTO_WAVE_MOST)).await;
        let free = self.cast.free();
        if self.trouble.kills % API_KILLS == 2 || free.is_empty() {
            self.cast.kill_api(self.home).await?;
            self.trouble.api_kills += 1;
        } else {
            let worker = *self.rng.pick(&free);
            self.cast.kill_worker(self.home, worker).await?;
        }
        self.trouble.kills += 1;
        self.next_kill = Instant::now() + self.rng.between(KILL_LEAST, KILL_MOST);
        Ok(())
    }

    /// Stops a worker that has a call under way. Every other time the platform keeps that call back as well, so that what protects the
    /// reply is that nobody touches the attempt of a worker that lives.
    async fn stop_in_a_call(&mut self) -> Result<()> {
        let free = self.cast.free();
        if free.is_empty() {
            return Ok(());
        }
        let worker = *self.rng.pick(&free);
        let agent = agent(self.cast.name(worker));
        let held = self.trouble.stops.is_multiple_of(2);
        let hold = held.then(|| self.home.control.hold_writes_of(&agent, HoldPoint::BeforeEffect));
        let before = self.calls_of(&agent);
        let deadline = Instant::now() + CALL_PATIENCE;
        while self.calls_of(&agent) == before {
            if Instant::now() > deadline {
                return Ok(());
            }
            self.wave();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.cast.stop_worker(worker)?;
        let release_at = Instant::now() + Duration::from_secs(self.args.stop_secs);
        self.stopped = Some(Stopped { worker, release_at, hold });
        Ok(())
    }

    fn calls_of(&self, agent: &str) -> usize {
        self.home.control.arrivals().iter().filter(|arrival| arrival.agent == agent).count()
    }

    /// What the stopped worker wrote takes effect now, whoever else has looked meanwhile; then it goes on itself.
    async fn let_go_on_when_due(&mut self) -> Result<()> {
        let Some(stopped) = self.stopped.take_if(|stopped| stopped.release_at <= Instant::now()) else { return Ok(()) };
        if let Some(hold) = stopped.hold {
            let agent = agent(self.cast.name(stopped.worker));
            let arrivals = self.home.control.arrivals();
            let held = arrivals.iter().filter(|arrival| arrival.agent == agent && arrival.fault.is_none());
            for arrival in held {
                // Late it is already; anything later would break the promise of the world.
                self.home.control.plan_write_under(&arrival.thing, vec![WriteFault::Ok]);
                self.trouble.held_calls += 1;
            }
            hold.release();
            tokio::time::sleep(SEEN_BY_ALL).await;
        }
        self.cast.let_go_on(stopped.worker, SPARED)?;
        self.trouble.stops += 1;
        Ok(())
    }

    fn speak(&mut self) {
        if self.spoke.elapsed() < SPEAK_EVERY {
            return;
        }
        self.spoke = Instant::now();
        let Trouble { kills, stops, restarts, .. } = self.trouble;
        let (seconds, approved) = (self.began.elapsed().as_secs(), self.approvals.done());
        eprintln!(
            "{seconds:>4} s: {approved} approved, {kills} kills, {stops} stops over, {restarts} Postgres crashes"
        );
    }
}
