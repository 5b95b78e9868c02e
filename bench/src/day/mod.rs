//! A day of reading under one request budget, in simulated time: 200 accounts over HTTP against the simulated Reddit (`http`), and
//! 2,000 in the scheduler alone (`scheduler`). A breach ends with a failure: a window that was passed, a refused request, a lost text.

mod http;
mod scheduler;

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use time::Duration;

#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Accounts that are read over HTTP.
    #[arg(long, default_value_t = 200)]
    integrations: usize,
    /// Posts that each of them follows.
    #[arg(long, default_value_t = 100)]
    posts: usize,
    /// Accounts of the scheduler-only simulation.
    #[arg(long, default_value_t = 2_000)]
    scheduled: usize,
    /// Simulated hours over HTTP.
    #[arg(long, default_value_t = 24)]
    hours: i64,
    /// Simulated hours of the scheduler alone.
    #[arg(long, default_value_t = 24)]
    scheduled_hours: i64,
    /// The scheduler alone.
    #[arg(long)]
    no_http: bool,
    /// Three hours of a few accounts over HTTP and twelve of the scheduler, as in `./test`.
    #[arg(long)]
    small: bool,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub async fn run(mut args: Args) -> Result<()> {
    if args.small {
        (args.hours, args.scheduled_hours) = (3, 12);
    }
    let time = Duration::hours(args.scheduled_hours);
    let mut reports = Vec::new();
    for accounts in [args.integrations, args.scheduled] {
        let report = scheduler::run(accounts, args.posts, time, args.seed);
        report.print("scheduler only");
        reports.push(report);
    }
    if args.small {
        (args.integrations, args.posts) = (12, 10);
    }
    if !args.no_http {
        let read = http::run(&args).await?;
        read.print("over HTTP");
        reports.push(read);
    }
    reports.iter().try_for_each(Report::check)
}

/// What a simulation showed.
#[derive(Debug, Default)]
struct Report {
    accounts: usize,
    followed_posts: usize,
    hours: f64,
    /// Most requests that the platform counted in a window, and its limit.
    most_in_window: u32,
    limit: u32,
    windows: usize,
    requests: u64,
    /// What the requests were for.
    kinds: Vec<(String, u64)>,
    refused: u64,
    lost: usize,
    /// Seconds by lane or kind.
    delays: Vec<(&'static str, Delays)>,
    /// How the interval of most accounts was at the end, and how it was wanted.
    interval: Option<(Duration, Duration)>,
}

#[derive(Debug, Default, Clone)]
struct Delays {
    count: usize,
    sum_secs: f64,
    most_secs: f64,
}

impl Delays {
    fn add(&mut self, delay: Duration) {
        let secs = delay.as_seconds_f64().max(0.0);
        self.count += 1;
        self.sum_secs += secs;
        self.most_secs = self.most_secs.max(secs);
    }
}

impl Report {
    fn per_thousand_posts_and_hour(&self, requests: u64) -> f64 {
        requests as f64 / self.hours / (self.followed_posts as f64 / 1_000.0)
    }

    fn per_account_and_hour(&self, requests: u64) -> f64 {
        requests as f64 / self.hours / self.accounts as f64
    }

    fn print(&self, title: &str) {
        println!(
            "{title}: {} accounts, {} followed posts, {} simulated hours",
            self.accounts, self.followed_posts, self.hours
        );
        println!(
            "  budget     at most {} of {} requests in a window, {} windows, {} refused",
            self.most_in_window, self.limit, self.windows, self.refused
        );
        println!(
            "  requests   {}, that is {:.0} per 1,000 followed posts and hour, or {:.1} per account and hour",
            self.requests,
            self.per_thousand_posts_and_hour(self.requests),
            self.per_account_and_hour(self.requests)
        );
        for (kind, requests) in &self.kinds {
            println!(
                "    {kind:<34} {requests:>8}, {:>6.1} per 1,000 posts, {:>5.2} per account",
                self.per_thousand_posts_and_hour(*requests),
                self.per_account_and_hour(*requests)
            );
        }
        println!("  lost       {}", self.lost);
        if let Some((wanted, kept)) = self.interval {
            println!(
                "  interval   {:.1} min instead of {:.1}",
                kept.as_seconds_f64() / 60.0,
                wanted.as_seconds_f64() / 60.0
            );
        }
        for (name, delays) in &self.delays {
            let mean = delays.sum_secs / delays.count.max(1) as f64;
            println!("  {name:<30} {:>7} times, mean {mean:>7.1} s, largest {:>7.1} s", delays.count, delays.most_secs);
        }
    }

    fn check(&self) -> Result<()> {
        if self.most_in_window > self.limit || self.refused > 0 {
            bail!(
                "the budget was passed: {} of {} in a window, {} refused",
                self.most_in_window,
                self.limit,
                self.refused
            );
        }
        if self.lost > 0 {
            bail!("{} texts were lost", self.lost);
        }
        if self.requests == 0 {
            bail!("nothing was asked");
        }
        Ok(())
    }
}
