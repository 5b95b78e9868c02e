//! `rejoinder doctor`: looks at everything that a server needs, and says of each what is wrong and what to do.
//!
//! It changes nothing: no row is written, no model is asked for a draft, nothing is posted. Checks run side by side and each ends
//! after [`LIMIT`]; where the database is away, what needs it is left out and the rest is looked at all the same. No text holds a
//! secret: an error of a library is repeated only where it cannot carry one.

mod ai;
mod clerk;
mod database;
mod disk;
mod key;
mod mail;
mod place;
mod platforms;
mod queue;
mod report;
mod settings;

pub use database::hears;
pub use place::Place;
pub use report::{Finding, State, json, lines};
pub use settings::unreadable;

use crate::clock::Clock;
use crate::config::Config;
use std::pin::Pin;
use std::time::Duration;

/// For one check.
pub const LIMIT: Duration = Duration::from_secs(5);

/// What is looked at, and how long one check may take.
#[derive(Debug)]
pub struct Look<'a> {
    pub config: &'a Config,
    pub clock: Clock,
    /// Names in the environment that look like settings and are none.
    pub near_misses: Vec<String>,
    pub limit: Duration,
}

/// Everything, in the order in which it is told.
pub async fn examine(look: &Look<'_>, place: &Place) -> Vec<Finding> {
    let (database, platforms, ai, mail, clerk, disk) = tokio::join!(
        database::check(look, place),
        platforms::check(look),
        look.within("ai", ai::check(look)),
        look.within("mail", mail::check(look)),
        look.within("clerk", clerk::check(look)),
        look.within("disk", disk::check(&look.config.data_dir)),
    );
    let mut findings = settings::check(look);
    findings.extend(database);
    findings.extend(platforms);
    findings.extend([ai, mail, clerk, disk]);
    findings
}

impl Look<'_> {
    /// On the heap: many of them run side by side.
    fn within<'a>(
        &self,
        check: &'static str,
        work: impl Future<Output = Finding> + 'a,
    ) -> Pin<Box<dyn Future<Output = Finding> + 'a>> {
        let (limit, work) = (self.limit, Box::pin(work));
        Box::pin(async move {
            tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
                let secs = limit.as_secs();
                let todo = "Look whether the other side is overloaded, or a firewall swallows the call.";
                Finding::fail(check, format!("No answer within {secs} s."), todo)
            })
        })
    }
}
