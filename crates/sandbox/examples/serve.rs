//! Serves the demo world until it is killed: `cargo run -p rejoinder-sandbox --example serve -- 4010 [state file]`.

use std::net::SocketAddr;
use std::time::Duration;

use rejoinder_sandbox::{Options, WorldKind, start};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let state = arguments.next().map(Into::into);
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let trickle = Some(Duration::from_secs(20));
    let sandbox = start(Options { addr, world: WorldKind::Demo, trickle, state, ..Options::default() }).await?;
    println!("{}", sandbox.base_url());
    std::future::pending::<()>().await;
    Ok(())
}
