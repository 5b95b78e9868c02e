//! A world of its own for trying Rejoinder out: it speaks the vendors' wire protocols over real HTTP on loopback, shows
//! plain pages to people, and gives tests a control handle on its truth, its faults and its clock.
//!
//! One listener serves everything below one base URL:
//!
//! - `/reddit`: both hosts of Reddit (`REDDIT_AUTH_BASE` = `REDDIT_API_BASE` = `{base}/reddit`); the same calls without it, for
//!   clients that can name nothing but a host;
//! - `/instagram`: the hosts of Instagram Login (`INSTAGRAM_DIALOG_BASE` = `INSTAGRAM_TOKEN_BASE` = `INSTAGRAM_GRAPH_BASE` =
//!   `{base}/instagram`);
//! - `/facebook`: the hosts of Facebook Login, with the same Instagram behind them (`META_DIALOG_BASE` = `META_GRAPH_BASE` =
//!   `{base}/facebook`);
//! - `/x`: both hosts of X (`X_AUTH_BASE` = `X_API_BASE` = `{base}/x`), and pages with its posts;
//! - `/gemini`: the Gemini API (`GEMINI_API_BASE` = `{base}/gemini`);
//! - `/v1/client/handshake`, `/.well-known/jwks.json`, `/sign-in`: the frontend API and the page of a Clerk instance, whose issuer is
//!   `{base}`; `/v1/jwks`: its backend API;
//! - `/`: pages for people: communities, threads, a form to comment as a stranger, `/sandbox` with clock, faults, counters;
//! - `/control`: the control handle for other processes, JSON in and out:
//!
//! | route | body or query | answer |
//! |---|---|---|
//! | GET `/control/state` | | now, counts of things, waiting faults, held writes |
//! | GET `/control/journal` | | every request that changed something, oldest first |
//! | GET `/control/requests` | | requests by `METHOD /route` |
//! | GET `/control/ai-requests` | | the last 200 bodies that the language model got |
//! | GET `/control/posts` | | all posts |
//! | GET `/control/replies?parent=t1_x` | or `author=name` | comments as they are, invisible ones too |
//! | POST `/control/accounts` | `{"name"}` | `{"id"}` |
//! | POST `/control/posts` | `{"author","community","title","body"}` | `{"fullname"}` |
//! | POST `/control/comments` | `{"author","parent","text"}` | `{"fullname"}` |
//! | POST `/control/comments/edit` | `{"fullname","text"}` | `{}` |
//! | POST `/control/comments/delete`, `/control/comments/remove` | `{"fullname"}` | `{}` |
//! | POST `/control/comments/score` | `{"fullname","score":5}` | `{}` |
//! | POST `/control/posts/lock`, `/archive`, `/delete`, `/remove` | `{"fullname"}` | `{}` |
//! | POST `/control/communities` | `{"name","access"}`: open, quarantined, private, banned; `{"name","rules":[{"short_name","description","kind"}]}` | `{}` |
//! | POST `/control/accounts/suspend` | `{"name"}` | `{}` |
//! | POST `/control/messages` | `{"from","to","subject","body"}` | `{"fullname"}` |
//! | POST `/control/faults` | `{"writes":[..],"reads":[..],"ai":[..]}`, e.g. `{"writes":[{"kind":"lands_after","millis":500}]}` (kinds: see [`WriteFault`], [`ReadFault`], [`AiFault`]) | `{}` |
//! | POST `/control/faults/clear` | | `{}` |
//! | POST `/control/hold` | `{"point":"before_effect"}` or `after_effect` | `{}` |
//! | GET `/control/hold/arrived?at_least=1&timeout_ms=5000` | | `{"arrived":n}`, 408 when the time is over |
//! | POST `/control/release` | `{"discard":false}` (true: held writes vanish) | `{}` |
//! | POST `/control/tokens/expire`, `/control/tokens/revoke` | | `{}` |
//! | POST `/control/tokens` | `{"account","scope"}` | `{"access_token","refresh_token"}` |
//! | POST `/control/clients` | `{"id","secret"}` | `{}` |
//! | POST `/control/rate` | `{"limit"}` requests per 10 minutes | `{}` |
//! | POST `/control/clock` | `{"now":"RFC 3339"}` or `{"advance_secs":60}` | `{"now"}`, 409 with the system clock |
//! | GET `/control/x/posts` | | all posts of X as they are |
//! | POST `/control/x/posts` | `{"author","text","answers"}` (`answers`: an id, may be missing) | `{"id"}` |
//! | POST `/control/x/tokens` | `{"account","scope"}` | `{"access_token","refresh_token"}` |
//! | GET `/control/x/bill` | | what X charged for |
//! | POST `/control/x/limit` | `{"limit"}` calls per 15 minutes of every route, null: as documented | `{}` |
//! | POST `/control/x/webhook` | `{"url"}`: X asks it a challenge, and sends events there, signed with `sandbox-api-secret` | `{"id"}`, 409 where the challenge is not answered |
//! | POST `/control/instagram/media` | `{"owner","caption"}` | `{"id"}` |
//! | POST `/control/instagram/comments` | `{"author","target","text"}` | `{"id"}` |
//! | GET `/control/instagram/comments?under=id` | | comments as they are, directly below a post or comment |
//! | POST `/control/instagram/close` | `{"media"}`: no more comments | `{}` |
//! | POST `/control/instagram/tokens` | `{"account","scope"}` | `{"access_token","id"}` |
//! | POST `/control/trickle` | | `{"fullname"}` or null: the next prepared stranger speaks |
//!
//! With [`Options::state`] the world outlives the process: every change stands in that file, synced, before its answer
//! goes out. Planned faults, held writes, counters and the request budget are forgotten; a write that was to land
//! later or stay hidden for a while keeps its time. One process at a time may use a file.
//!
//! What can go wrong: the port is taken or the state cannot be read for another reason than being broken (`start` says
//! so); a broken state file is put aside and a fresh world begins; a change that cannot be written closes the
//! connection without an answer. Anything else is asked for by a fault.

// The vendors' objects are wide, and json! recurses once per token.
#![recursion_limit = "512"]

mod clock;
mod connection;
mod control;
mod control_clerk;
mod control_http;
mod control_instagram;
mod control_x;
mod demo_world;
mod pages;
mod pages_instagram;
mod sender;
mod state_file;
mod vendors;
mod world;

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use clock::{Clock, FixedClock};
pub use control::{Control, HoldGuard};
pub use control_clerk::{ClerkToken, ClerkUser, clerk_public_key};
pub use control_instagram::InstagramComment;
pub use control_x::{XPost, x_signature};
pub use vendors::clerk::{Outage, SignedMessage};
pub use vendors::x::activity::{API_SECRET as X_API_SECRET, WEBHOOK_ID as X_WEBHOOK_ID};
pub use vendors::x::things::XBill;
pub use world::faults::{AiFault, HoldPoint, ReadFault, WriteFault};
pub use world::oauth::IssuedToken;
pub use world::rates::{RateHost, RateWindow};
pub use world::{Arrival, CommentView, CommunityAccess, JournalEntry, PostView};

use connection::{CutListener, CutSwitch};
use state_file::StateFile;
use world::World;
use world::faults::Verdict;

/// What the world holds at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorldKind {
    /// Nothing at all.
    Empty,
    /// A small maker of coffee machines, its three communities and their people.
    Demo,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    pub world: WorldKind,
    pub clock: Clock,
    /// How often a prepared stranger comments. Real time, whatever the clock.
    pub trickle: Option<Duration>,
    /// Same seed, same ids and tokens.
    pub seed: u64,
    /// Where the world is kept. A world that is there already wins over `world` and `seed`. None: it dies with the process.
    pub state: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            world: WorldKind::Empty,
            clock: Clock::System,
            trickle: None,
            seed: 1,
            state: None,
        }
    }
}

/// What every handler shares.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    file: Option<StateFile>,
    stopping: CancellationToken,
}

impl Shared {
    /// The world, with everything done whose time has come. Never held across an await.
    pub(crate) fn world(&self) -> WorldGuard<'_> {
        let mut guard = WorldGuard { world: self.lock(), file: self.file.as_ref() };
        guard.settle();
        guard
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False while a change stands in memory only. Tries once more to write it.
    fn all_saved(&self) -> bool {
        drop(self.world());
        self.file.is_none() || !self.lock().unsaved
    }

    /// Sleeps in real time, shorter when the sandbox stops.
    pub(crate) async fn pause(&self, how_long: Duration) {
        let _ = self.stopping.run_until_cancelled(tokio::time::sleep(how_long)).await;
    }
}

/// The locked world. Nobody else sees a change before the file holds it.
pub(crate) struct WorldGuard<'a> {
    world: MutexGuard<'a, World>,
    file: Option<&'a StateFile>,
}

impl Deref for WorldGuard<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for WorldGuard<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Drop for WorldGuard<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.file
            && self.world.unsaved
        {
            self.world.unsaved = !file.save(&self.world);
        }
    }
}

/// A running sandbox.
#[derive(Debug)]
pub struct Sandbox {
    base_url: Url,
    control: Control,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    trickle: Option<tokio::task::JoinHandle<()>>,
    sender: tokio::task::JoinHandle<()>,
}

/// Starts a sandbox. Errors: the address cannot be listened on; the state can neither be read nor put aside, or a fresh
/// one not be written.
pub async fn start(options: Options) -> std::io::Result<Sandbox> {
    let listener = TcpListener::bind(options.addr).await?;
    let base_url = Url::parse(&format!("http://{}", listener.local_addr()?)).map_err(std::io::Error::other)?;
    let (world, file) = open_world(&options)?;
    let shared = Arc::new(Shared { world: Mutex::new(world), file, stopping: CancellationToken::new() });
    let router = router(shared.clone()).into_make_service_with_connect_info::<CutSwitch>();
    let stopping = shared.stopping.clone();
    let server = tokio::spawn(async move {
        axum::serve(CutListener(listener), router).with_graceful_shutdown(stopping.cancelled_owned()).await
    });
    let trickle = options.trickle.map(|every| tokio::spawn(trickle(shared.clone(), every)));
    let sender = tokio::spawn(sender::run(shared.clone()));
    Ok(Sandbox { base_url, control: Control::new(shared), server, trickle, sender })
}

/// The world that the file holds, else a fresh one, which the file then holds.
fn open_world(options: &Options) -> std::io::Result<(World, Option<StateFile>)> {
    let clock = options.clock.clone();
    let file = options.state.clone().map(StateFile::new);
    let kept = file.as_ref().map(|file| file.load(clock.now())).transpose()?.flatten();
    if let Some(truth) = kept {
        return Ok((World::resume(clock, truth), file));
    }
    let mut world = World::new(clock, options.seed);
    if options.world == WorldKind::Demo {
        demo_world::fill(&mut world).map_err(std::io::Error::other)?;
    }
    if let Some(file) = &file {
        file.write(&world)?;
        world.unsaved = false;
    }
    Ok((world, file))
}

impl Sandbox {
    /// Scheme, host and port, without a path.
    pub fn base_url(&self) -> Url {
        self.base_url.clone()
    }

    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Stops serving. Held writes go on, slow answers are cut short; after two seconds nothing is waited for.
    pub async fn stop(mut self) {
        let shared = self.control.shared();
        shared.world().faults.end_hold(None, Verdict::Go);
        shared.stopping.cancel();
        if tokio::time::timeout(Duration::from_secs(2), &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.control.shared().stopping.cancel();
        if let Some(trickle) = &self.trickle {
            trickle.abort();
        }
        self.sender.abort();
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .merge(pages::router())
        .merge(pages_instagram::router())
        .merge(vendors::clerk::router())
        .merge(vendors::reddit::hosts(&shared))
        .nest("/reddit", vendors::reddit::router(&shared))
        .nest("/instagram", vendors::instagram::router(&shared))
        .nest("/facebook", vendors::instagram::facebook_router(&shared))
        .nest("/x", vendors::x::router(&shared))
        .nest("/gemini", vendors::gemini::router())
        .nest("/control", control_http::router())
        .layer(from_fn_with_state(shared.clone(), count_and_keep))
        .with_state(shared)
}

/// Counts the request, and lets no answer out while a change is in memory only.
async fn count_and_keep(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str);
    let route = format!("{} {}", request.method(), if path == "/" { path } else { path.trim_end_matches('/') });
    *shared.world().requests.entry(route).or_default() += 1;
    let response = next.run(request).await;
    if !shared.all_saved() {
        cut.cut();
    }
    response
}

async fn trickle(shared: Arc<Shared>, every: Duration) {
    loop {
        if shared.stopping.run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
            return;
        }
        let mut world = shared.world();
        world.trickle();
        world.x_trickle();
    }
}
