//! `rejoinder serve`.

use crate::run::{self, Stop};
use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use rejoinder_app::config::{Config, process_env};
use rejoinder_app::lifecycle::{self, Roles};
use secrecy::ExposeSecret;

#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Which parts this process runs.
    #[arg(long, value_delimiter = ',', default_value = "api,worker,scheduler", value_parser = ["api", "worker", "scheduler"])]
    roles: Vec<String>,
}

impl Args {
    fn roles(&self) -> Roles {
        let has = |name: &str| self.roles.iter().any(|role| role == name);
        Roles { api: has("api"), worker: has("worker"), scheduler: has("scheduler") }
    }
}

pub async fn run(args: Args) -> Result<()> {
    let config = Config::load(&process_env)?;
    let roles = args.roles();
    if !(roles.api || roles.worker || roles.scheduler) {
        bail!("--roles names no role; take some of api, worker, scheduler");
    }
    if roles != Roles::ALL {
        config.require_database_url("--roles splits the server over several processes, which share one database")?;
    }
    run::start_logging(&config)?;
    let public_url = config.public_url.clone();
    let mut stop = Stop::listen()?;
    let server = tokio::select! {
        started = lifecycle::start(config, roles) => started?,
        () = stop.asked() => bail!("stopped while starting"),
    };
    if let Some(address) = server.address {
        eprintln!("Rejoinder is ready: {public_url} (listening on {address})");
    } else {
        eprintln!("Rejoinder is ready: {}", args.roles.join(", "));
    }
    if let Some(token) = &server.setup_token {
        let mut link = public_url;
        link.set_path("/setup");
        link.query_pairs_mut().append_pair("token", token.expose_secret());
        eprintln!("No account exists yet. Open this link once, within 24 hours, to make the first one:\n  {link}");
    }
    run::until_stopped(server, &mut stop).await
}
