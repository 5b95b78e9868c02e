//! How long the check of one Clerk session token takes: claims and signature, with the keys at hand, on one thread. The promise is
//! a median of less than 100 us; what is slower than most waited for the processor.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rejoinder_app::accounts::clerk::keys::Source;
use rejoinder_app::accounts::clerk::token::Expected;
use rejoinder_app::accounts::clerk::{Clerk, Settings};
use rejoinder_app::clients::http;
use rejoinder_app::clock::Clock;
use rejoinder_sandbox::{ClerkToken, Options};
use std::time::{Duration, Instant};

const SITE: &str = "https://app.example.com";
const PROMISE: Duration = Duration::from_micros(100);

#[derive(Debug, Parser)]
pub struct Args {
    /// Different tokens.
    #[arg(long, default_value_t = 500)]
    tokens: usize,
    /// Checks of each; tokens live for a minute, so not too many.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
}

pub async fn run(args: Args) -> Result<()> {
    let sandbox = rejoinder_sandbox::start(Options::default()).await?;
    let issuer = sandbox.base_url().as_str().trim_end_matches('/').to_owned();
    let expected = Expected { issuer: issuer.clone(), parties: vec![SITE.to_owned()], party_required: true };
    let url = sandbox.base_url().join(".well-known/jwks.json")?;
    let keys = Source::Published { url, bearer: None };
    let settings =
        Settings { own_pages: expected.clone(), expected, keys, webhook_secrets: Vec::new(), dashboard: None };
    let clerk = Clerk::new(settings, http::client()?, Clock::System);

    let (control, issuer) = (sandbox.control(), issuer.as_str());
    let users: Vec<String> = (0..args.tokens).map(|number| format!("user_{number:08}")).collect();
    let token = |user: &String| control.clerk_token(ClerkToken { issuer, user, session: "sess_bench", party: SITE });
    let tokens: Vec<String> = users.iter().map(token).collect();
    clerk.verify(&tokens[0]).await.context("the first token is refused")?;
    let mut times = Vec::with_capacity(args.tokens * args.rounds);
    for _ in 0..args.rounds {
        for (token, user) in tokens.iter().zip(&users) {
            let began = Instant::now();
            let claims = clerk.verify(token).await.context("a good token is refused")?;
            times.push(began.elapsed());
            ensure!(claims.subject == *user, "the token of {user} names {}", claims.subject);
        }
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let (median, late) = (at(0.5), at(0.99));
    println!(
        "{} checks of tokens of {} bytes: median {median:?}, 99% within {late:?}, slowest {:?}",
        times.len(),
        tokens[0].len(),
        at(1.0)
    );
    sandbox.stop().await;
    ensure!(median < PROMISE, "the promise is a median of {PROMISE:?}");
    Ok(())
}
