//! `rejoinder demo`: the whole product in one process beside simulated platforms and a simulated model, in a folder of its own.
//! Real platform credentials are ignored. With `AI_PROVIDER` set, that real model drafts.

use crate::run::{self, Stop};
use anyhow::{Context, Result, bail};
use rejoinder_app::config::{
    AiProvider, AppCredentials, Config, FacebookSettings, InstagramSettings, RedditSettings, XSettings, process_env,
};
use rejoinder_app::demo_team;
use rejoinder_app::lifecycle::{self, Roles};
use rejoinder_sandbox::{Clock, Options, Sandbox, WorldKind};
use secrecy::ExposeSecret;
use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// A new comment appears this often.
const TRICKLE: Duration = Duration::from_secs(20);
/// The simulated platforms show what they took at once; waiting minutes for it would teach nothing.
const SETTLE_WINDOW: Duration = Duration::from_secs(10);

pub async fn run() -> Result<()> {
    let mut config = Config::load_demo(&process_env)?;
    run::start_logging(&config)?;
    let mut stop = Stop::listen()?;
    let _only_one = lock_folder(&config.data_dir)?;
    let sandbox = start_sandbox(&config).await?;
    point_at(&mut config, &sandbox.base_url());
    let public_url = config.public_url.clone();
    let folder = config.data_dir.display().to_string();
    let server = tokio::select! {
        started = lifecycle::start(config, Roles::ALL) => started?,
        () = stop.asked() => bail!("stopped while starting"),
    };
    let token = demo_team::prepare(&server.app).await.context("the demo team could not be made")?;
    let mut link = public_url;
    link.set_path("/enter");
    link.query_pairs_mut().append_pair("token", token.expose_secret());
    eprintln!(
        "\nThe demo is running.\n\n  Dashboard         {link}\n                    (signs you in once; a new link at every start)\n  \
         Simulated Reddit  {0}\n  and Instagram     {0}p\n  and X             {0}x\n\nEverything is kept in {folder}; delete that folder to begin anew. Ctrl-C stops.\n",
        sandbox.base_url()
    );
    let ended = run::until_stopped(server, &mut stop).await;
    sandbox.stop().await;
    ended
}

/// The simulated Reddit keeps its world in the folder too: two demos must not write it.
fn lock_folder(folder: &Path) -> Result<File> {
    let shown = folder.display();
    let hint = "give this user the right to write there or set DATA_DIR";
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {shown}; {hint}"))?;
    let lock = File::create(folder.join("demo.lock")).with_context(|| format!("cannot write to {shown}; {hint}"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => bail!("the folder {shown} is in use by another running demo; stop that one or set DATA_DIR"),
    }
}

/// Beside our own port, so that links stay the same from start to start; on a free one where that is taken.
async fn start_sandbox(config: &Config) -> Result<Sandbox> {
    let options = |port: u16| Options {
        addr: SocketAddr::from(([127, 0, 0, 1], port)),
        world: WorldKind::Demo,
        clock: Clock::System,
        trickle: Some(TRICKLE),
        state: Some(config.data_dir.join("sandbox.json")),
        ..Options::default()
    };
    let beside = config.port.checked_add(1).unwrap_or(0);
    match rejoinder_sandbox::start(options(beside)).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse => rejoinder_sandbox::start(options(0)).await,
        started => started,
    }
    .context("the simulated Reddit could not start")
}

fn point_at(config: &mut Config, base: &Url) {
    let under = |path: &str| {
        let mut url = base.clone();
        url.set_path(path);
        url
    };
    config.reddit = Some(RedditSettings {
        app: Some(AppCredentials { client_id: "sandbox-client".to_owned(), client_secret: "sandbox-secret".into() }),
        user_agent: concat!("demo:rejoinder:v", env!("CARGO_PKG_VERSION"), " (by /u/brassfinch)").to_owned(),
        auth_base: under("/reddit"),
        api_base: under("/reddit"),
        settle_window: SETTLE_WINDOW,
    });
    config.instagram = Some(InstagramSettings {
        app_id: "sandbox-client".to_owned(),
        app_secret: "sandbox-secret".into(),
        dialog_base: under("/instagram"),
        token_base: under("/instagram"),
        graph_base: under("/instagram"),
        version: "v25.0".to_owned(),
        facebook: Some(FacebookSettings {
            app_id: "sandbox-client".to_owned(),
            app_secret: "sandbox-secret".into(),
            dialog_base: under("/facebook"),
            graph_base: under("/facebook"),
        }),
        settle_window: SETTLE_WINDOW,
        signing_secrets: vec!["sandbox-secret".into()],
        verify_token: Some("sandbox-verify-token".into()),
    });
    config.x = Some(XSettings {
        client_id: "sandbox-client".to_owned(),
        client_secret: "sandbox-secret".into(),
        auth_base: under("/x"),
        api_base: under("/x"),
        settle_window: SETTLE_WINDOW,
        api_secret: None,
        webhook_id: None,
    });
    if process_env("AI_PROVIDER").is_none() {
        config.ai.provider = AiProvider::Gemini;
        config.ai.gemini.api_base = under("/gemini");
        config.ai.gemini.api_key = Some("sandbox-key".into());
    }
}
