//! `rejoinder doctor`. The look itself is `rejoinder_app::doctor`.

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use rejoinder_app::clock::Clock;
use rejoinder_app::config::{Config, near_misses, process_env};
use rejoinder_app::doctor::{self, Finding, LIMIT, Look, Place, State};

#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<()> {
    let findings = match Config::load(&process_env) {
        Ok(config) => examined(&config).await?,
        Err(errors) => doctor::unreadable(&errors),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&doctor::json(&findings))?);
    } else {
        print!("{}", doctor::lines(&findings));
    }
    if findings.iter().any(|finding| finding.state == State::Fail) {
        bail!("something does not work; see the lines with FAIL (in JSON: \"state\": \"fail\")");
    }
    Ok(())
}

async fn examined(config: &Config) -> Result<Vec<Finding>> {
    let near_misses = near_misses(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
    let look = Look { config, clock: Clock::System, near_misses, limit: LIMIT };
    let place = Place::find(config).await;
    let findings = doctor::examine(&look, &place).await;
    place.leave().await?;
    Ok(findings)
}
