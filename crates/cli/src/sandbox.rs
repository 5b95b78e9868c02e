//! `rejoinder sandbox`.

use crate::run::Stop;
use anyhow::{Context, Result};
use clap::{Args as ClapArgs, ValueEnum};
use rejoinder_sandbox::{Clock, Options, WorldKind};
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Where to listen on this machine; 0 takes a free port.
    #[arg(long, default_value_t = 4010)]
    port: u16,
    /// What the world holds at the start.
    #[arg(long, value_enum, default_value_t = World::Demo)]
    world: World,
    /// Seconds between two new comments of strangers; 0 for none.
    #[arg(long, default_value_t = 0)]
    trickle_secs: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum World {
    Empty,
    Demo,
}

pub async fn run(args: Args) -> Result<()> {
    let mut stop = Stop::listen()?;
    let sandbox = rejoinder_sandbox::start(Options {
        addr: SocketAddr::from(([127, 0, 0, 1], args.port)),
        world: match args.world {
            World::Empty => WorldKind::Empty,
            World::Demo => WorldKind::Demo,
        },
        clock: Clock::System,
        trickle: (args.trickle_secs > 0).then(|| Duration::from_secs(args.trickle_secs)),
        ..Options::default()
    })
    .await
    .with_context(|| format!("cannot listen on port {}; stop the other program or choose another --port", args.port))?;
    // A script reads the first line.
    println!("{}", sandbox.base_url());
    eprintln!(
        "Simulated Reddit: REDDIT_AUTH_BASE and REDDIT_API_BASE = {0}reddit, client id sandbox-client, secret sandbox-secret.\n\
         Simulated Instagram: INSTAGRAM_DIALOG_BASE, INSTAGRAM_TOKEN_BASE and INSTAGRAM_GRAPH_BASE = {0}instagram, the same app.\n\
         Instagram by Facebook: META_DIALOG_BASE and META_GRAPH_BASE = {0}facebook, META_APP_ID and META_APP_SECRET the same.\n\
         Simulated X: X_AUTH_BASE and X_API_BASE = {0}x, the same client.\n\
         Simulated Gemini: GEMINI_API_BASE = {0}gemini, any key. Control: {0}control. Ctrl-C stops.",
        sandbox.base_url()
    );
    stop.asked().await;
    sandbox.stop().await;
    Ok(())
}
