//! A server from start to stop.
//!
//! Start: database (the private cluster, or `DATABASE_URL`), migrations under a lock, the key's fingerprint, then workers and
//! listener. Every failure is one line that says what to do. Stop, in two steps: no new requests and no new jobs, running ones
//! get time to finish, then everything is let go and the private cluster stops last.

mod pools;

pub use pools::BATCH_OPTIONS;

use crate::accounts::clerk::Clerk;
use crate::accounts::passwords::Passwords;
use crate::accounts::setup;
use crate::app::{App, Shared};
use crate::clients;
use crate::clients::ai::{self, Template};
use crate::clients::mail::Mailer;
use crate::clients::outbound::Outbound;
use crate::clock::{Clock, Entropy};
use crate::cluster::{self, Cluster, ClusterError};
use crate::config::{AiProvider, Config};
use crate::coord::budget::Budgets;
use crate::coord::events::Bus;
use crate::coord::rounds::Rounds;
use crate::engine::Engine;
use crate::error::chain;
use crate::flow::activity;
use crate::flow::approve::Approvals;
use crate::flow::ingest::intake::Intake;
use crate::flow::ingest::webhook_events;
use crate::flow::send::{Identity, Sender, WRITE_TIMEOUT};
use crate::queue;
use crate::secrets::{Kek, Keyring, load_or_create_key};
use crate::telemetry::Metrics;
use crate::{database, http, jobs};
use rejoinder_platforms::{FacebookConfig, InstagramConfig, Readers, RedditConfig, Writers, XConfig};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long running work may take to finish after a stop was asked for.
const GRACE: Duration = Duration::from_secs(25);
const MAX_CONNECTIONS: u32 = 24;
/// How long a command waits for a server that is starting or stopping.
const BETWEEN_PATIENCE: Duration = Duration::from_secs(15);

/// Which parts of the server this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    pub api: bool,
    pub worker: bool,
    pub scheduler: bool,
}

impl Roles {
    pub const ALL: Self = Self { api: true, worker: true, scheduler: true };
}

/// One line: what failed, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Cluster(#[from] ClusterError),
    #[error("cannot reach the database: {0}; check DATABASE_URL and that the server runs")]
    Database(String),
    #[error("{0}")]
    Schema(String),
    #[error("{0}")]
    Key(String),
    #[error("{0}")]
    Setting(String),
    #[error("cannot listen on {address}: {reason}; stop the other program or set {setting}")]
    Listen { address: SocketAddr, reason: String, setting: &'static str },
}

impl From<sqlx::Error> for StartError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(chain(&error))
    }
}

/// Where rows live, and the private cluster if it is ours.
pub struct Database {
    pub pool: PgPool,
    pub options: PgConnectOptions,
    pub cluster: Option<Cluster>,
}

/// Connects to `DATABASE_URL`, or starts the private cluster.
pub async fn open_database(config: &Config) -> Result<Database, StartError> {
    let (options, cluster) = match &config.database_url {
        Some(url) => {
            let options = url.expose_secret().parse::<PgConnectOptions>();
            (options.map_err(|error| StartError::Setting(format!("DATABASE_URL: {error}")))?, None)
        }
        None => {
            let cluster = start_cluster(config).await?;
            if let Some(note) = cluster.location_note() {
                tracing::info!("{note}");
            }
            (cluster.connect_options(), Some(cluster))
        }
    };
    connect(options, MAX_CONNECTIONS, cluster).await
}

/// The private cluster, with room for two processes of ours.
pub(crate) async fn start_cluster(config: &Config) -> Result<Cluster, ClusterError> {
    cluster::start(&cluster::Options {
        data_dir: config.data_dir.clone(),
        bin_dir: config.postgres_bin_dir.clone(),
        max_connections: (MAX_CONNECTIONS + BATCH_CONNECTIONS) * 2 + 10,
    })
    .await
}

async fn connect(
    options: PgConnectOptions,
    max_connections: u32,
    cluster: Option<Cluster>,
) -> Result<Database, StartError> {
    let options = pools::for_ours(options);
    let pool = pools::shared(max_connections).connect_with(options.clone()).await?;
    Ok(Database { pool, options, cluster })
}

/// For one command on an installation, whether its server runs or not: beside a running one its database is shared, else the
/// private cluster is started for the command. Makes no new cluster.
pub async fn reach_database(config: &Config) -> Result<Database, StartError> {
    if config.database_url.is_some() {
        return open_database(config).await;
    }
    let began = Instant::now();
    loop {
        let patient = began.elapsed() < BETWEEN_PATIENCE;
        if let Some(options) = cluster::running(&config.data_dir) {
            match connect(options, 2, None).await {
                // It is coming up, or on its way out.
                Err(_) if patient => {}
                connected => return connected,
            }
        } else if !cluster::exists(&config.data_dir) {
            return Err(StartError::Setting(format!(
                "there is no database in {}; set DATA_DIR to the folder of the installation, or DATABASE_URL",
                config.data_dir.display()
            )));
        } else {
            match open_database(config).await {
                Err(StartError::Cluster(ClusterError::InUse { .. })) if patient => {}
                opened => return opened,
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A server that runs. Stop it with `stop`; dropped, it ends at once and jobs run again elsewhere.
pub struct Server {
    pub app: App,
    pub address: Option<SocketAddr>,
    /// Printed at the first start: whoever opens it makes the first account.
    pub setup_token: Option<SecretString>,
    queue: Option<queue::Running>,
    stopping: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    cluster: Option<Cluster>,
}

/// Starts everything that `roles` names.
pub async fn start(config: Config, roles: Roles) -> Result<Server, StartError> {
    let (clock, entropy) = (Clock::System, Entropy::System);
    // Taken first: a port in use must not cost a cluster start.
    let listener =
        if roles.api { Some(listen(SocketAddr::new(config.bind, config.port), "PORT").await?) } else { None };
    let metrics_listener = match config.metrics_bind {
        Some(address) => Some(listen(address, "METRICS_BIND").await?),
        None => None,
    };
    let metrics = Metrics::start(&rejoinder_platforms::PLATFORMS.iter().map(|(slug, _)| *slug).collect::<Vec<_>>())
        .map_err(|error| StartError::Setting(error.to_string()))?;
    let database = open_database(&config).await?;
    database::migrate(&database.pool).await.map_err(|error| StartError::Schema(error.to_string()))?;
    #[allow(clippy::disallowed_methods, reason = "the one start of a server")]
    let (app, writers) = assemble(config, &database, clock, entropy).await?;
    let moment = app.moment();
    let mut conn = app.db.acquire().await?;
    activity::prepare_months(&mut conn, &moment).await?;
    webhook_events::prepare_months(&mut conn, &moment).await?;
    let setup_token = setup::ensure_setup_link(&mut conn, moment.now, &app.entropy).await?;
    drop(conn);

    let stopping = CancellationToken::new();
    let queue =
        if roles.worker || roles.scheduler { Some(start_queue(&app, writers, &database, roles).await?) } else { None };
    let mut tasks = vec![tokio::spawn(watch_queue(app.clone(), stopping.clone()))];
    if let Some(listener) = metrics_listener {
        tasks.push(tokio::spawn(http::serve_metrics(listener, metrics, stopping.clone())));
    }
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    if let Some(listener) = listener {
        tasks.push(tokio::spawn(http::serve(app.clone(), listener, stopping.clone())));
    }
    Ok(Server { app, address, setup_token, queue, stopping, tasks, cluster: database.cluster })
}

async fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError::Listen { address, reason: error.to_string(), setting })
}

/// Builds the shared parts. The writers come out beside them, to be moved into the sender and nowhere else.
pub async fn assemble(
    config: Config,
    database: &Database,
    clock: Clock,
    entropy: Entropy,
) -> Result<(App, Writers), StartError> {
    let keyring = keyring(&config, &database.pool, &clock, &entropy).await?;
    let (readers, writers) = platforms(&config, &clock)?;
    let ai = provider(&config)?;
    let mail = config.mail.as_ref().map(|mail| Mailer::new(mail, &config.public_url)).transpose();
    let mail = mail.map_err(StartError::Setting)?;
    let events = Bus::listen(&database.pool, clock.clone()).await?;
    let db = database.pool.clone();
    let batch = pools::batch(BATCH_CONNECTIONS).connect_lazy_with(pools::for_batches(&database.options));
    let approving =
        Approvals { batch: batch.clone(), clock: clock.clone(), entropy: entropy.clone(), readers: readers.clone() };
    let approvals = Rounds::start(approving, 1);
    let intake = Intake::start(batch.clone(), clock.clone(), entropy.clone());
    let budgets = Budgets::new(db.clone(), clock.clone());
    let passwords = Passwords::default();
    let outbound =
        Outbound::new(config.webhook_allow_private).map_err(|error| StartError::Setting(error.to_string()))?;
    let clerk = match config.clerk.clone() {
        Some(settings) => {
            let client = clients::http::client().map_err(|error| StartError::Setting(error.to_string()))?;
            Some(Clerk::new(settings, client, clock.clone()))
        }
        None => None,
    };
    let shared = Shared {
        config,
        db,
        batch,
        approvals,
        intake,
        clock,
        entropy,
        keyring,
        readers,
        budgets,
        ai,
        mail,
        outbound,
        events,
        passwords,
        clerk,
    };
    Ok((App::new(shared), writers))
}

/// One round each of approving, claiming, arming and finishing, and of what webhooks bring.
const BATCH_CONNECTIONS: u32 = 5;
/// What one process takes of the database at most: the two pools, and the one that holds its worker's identity.
pub const CONNECTIONS: u32 = MAX_CONNECTIONS + BATCH_CONNECTIONS + 1;

async fn keyring(config: &Config, pool: &PgPool, clock: &Clock, entropy: &Entropy) -> Result<Keyring, StartError> {
    let key = match &config.encryption_key {
        Some(key) => key.clone(),
        None => load_or_create_key(&config.data_dir, entropy).map_err(|error| StartError::Key(error.to_string()))?,
    };
    let keyring = Keyring::new(Kek::local(&key));
    let mut conn = pool.acquire().await?;
    if database::claim_key(&mut conn, &keyring.fingerprint(), clock.now()).await? {
        return Ok(keyring);
    }
    Err(StartError::Key(
        "ENCRYPTION_KEY is not the key that this database was sealed with; set the right key, or nothing stored can be opened".to_owned(),
    ))
}

/// For who only reads; the writers that come with them are dropped here.
pub(crate) fn readers(config: &Config, clock: &Clock) -> Result<Readers, StartError> {
    platforms(config, clock).map(|(readers, _)| readers)
}

fn platforms(config: &Config, clock: &Clock) -> Result<(Readers, Writers), StartError> {
    let reddit = config.reddit.as_ref().map(|reddit| RedditConfig {
        app: reddit.app.clone(),
        user_agent: reddit.user_agent.clone(),
        auth_base: reddit.auth_base.clone(),
        api_base: reddit.api_base.clone(),
        write_timeout: WRITE_TIMEOUT,
        settle_window: reddit.settle_window,
        marks_read: !config.dry_run,
    });
    let instagram = config.instagram.as_ref().map(|instagram| InstagramConfig {
        app_id: instagram.app_id.clone(),
        app_secret: instagram.app_secret.clone(),
        dialog_base: instagram.dialog_base.clone(),
        token_base: instagram.token_base.clone(),
        graph_base: instagram.graph_base.clone(),
        version: instagram.version.clone(),
        facebook: instagram.facebook.as_ref().map(|facebook| FacebookConfig {
            app_id: facebook.app_id.clone(),
            app_secret: facebook.app_secret.clone(),
            dialog_base: facebook.dialog_base.clone(),
            graph_base: facebook.graph_base.clone(),
        }),
        write_timeout: WRITE_TIMEOUT,
        settle_window: instagram.settle_window,
    });
    let x = config.x.as_ref().map(|x| XConfig {
        client_id: x.client_id.clone(),
        client_secret: x.client_secret.clone(),
        auth_base: x.auth_base.clone(),
        api_base: x.api_base.clone(),
        webhook_id: x.webhook_id.clone(),
        write_timeout: WRITE_TIMEOUT,
        settle_window: x.settle_window,
    });
    let clock = clock.clone();
    let settings = rejoinder_platforms::Settings { reddit, instagram, x };
    #[allow(clippy::disallowed_methods, reason = "the one place that makes writers")]
    rejoinder_platforms::connect(settings, Arc::new(move || clock.now()))
        .map_err(|error| StartError::Setting(error.to_string()))
}

/// Time for one draft; the job allows for one such wait and the writing.
const DRAFT_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn provider(config: &Config) -> Result<Arc<dyn ai::Provider>, StartError> {
    let setting = |error: ai::AiError| StartError::Setting(error.to_string());
    Ok(match config.ai.provider {
        AiProvider::Template => Arc::new(Template),
        AiProvider::Gemini => {
            let settings = &config.ai.gemini;
            let api_key = settings.api_key.clone().unwrap_or_default();
            let (api_base, model) = (settings.api_base.clone(), settings.model.clone());
            let config = ai::GeminiConfig { api_base, api_key, model, timeout: DRAFT_TIMEOUT };
            Arc::new(ai::Gemini::new(config).map_err(setting)?)
        }
        AiProvider::OpenAi => {
            let settings = &config.ai.openai;
            let config = ai::OpenAiConfig {
                api_base: settings.api_base.clone(),
                api_key: settings.api_key.clone(),
                model: settings.model.clone(),
                timeout: DRAFT_TIMEOUT,
                max_tokens_field: None,
            };
            Arc::new(ai::OpenAi::new(config).map_err(setting)?)
        }
    })
}

async fn start_queue(
    app: &App,
    writers: Writers,
    database: &Database,
    roles: Roles,
) -> Result<queue::Running, StartError> {
    let identity = Identity::new(database.options.clone(), app.entropy.clone());
    let sender = roles.worker.then(|| Sender::new(app, writers, identity));
    let engine = Engine { app: app.clone(), sender, template: Template };
    let clock = app.clock.clone();
    let mut settings = queue::Settings::new(Arc::new(move || clock.now()));
    settings.scheduler = roles.scheduler;
    if !roles.worker {
        settings.concurrency = queue::Concurrency { ai: 0, send: 0, poll: 0, upkeep: 0, webhook: 0 };
    }
    queue::start(Arc::new(jobs::registry()), Arc::new(engine), app.db.clone(), settings)
        .await
        .map_err(|error| StartError::Schema(error.to_string()))
}

/// Keeps the metrics of waiting jobs fresh.
async fn watch_queue(app: App, stopping: CancellationToken) {
    let registry = jobs::registry();
    loop {
        match queue::depth(&registry, &app.db, app.clock.now()).await {
            Ok(depths) => jobs::report_depths(&depths),
            Err(error) => tracing::warn!(%error, "the queue could not be measured"),
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(15)) => {}
        }
    }
}

impl Server {
    /// Ends when a part broke that the server cannot go on without.
    pub async fn broken(&self) {
        match &self.queue {
            Some(queue) => queue.stopped().await,
            None => std::future::pending().await,
        }
    }

    /// Two steps: nothing new, then what runs may finish; the private cluster stops last.
    pub async fn stop(self) -> Result<(), StartError> {
        self.stopping.cancel();
        if let Some(queue) = self.queue {
            queue.shutdown(GRACE).await;
        }
        for mut task in self.tasks {
            if tokio::time::timeout(GRACE, &mut task).await.is_err() {
                task.abort();
            }
        }
        self.app.batch.close().await;
        self.app.db.close().await;
        if let Some(cluster) = self.cluster {
            cluster.stop().await?;
        }
        Ok(())
    }
}
