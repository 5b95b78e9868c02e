//! Webhooks that a team has us call when something happens to its items, replies and accounts. The only writer of `webhook_endpoints` and
//! `webhook_deliveries`.
//!
//! Always: what is to be told is written in the transaction of the change (`announce`, called where the change enters the log), so it is
//! told if and only if the change stands; at least once, possibly twice, and not always in order: receivers go by the id. A body holds ids and
//! our own words; whoever wants the texts reads them through the API, with its own rights. Calls are signed (Standard Webhooks) and
//! go out through `clients::outbound`, which keeps them out of private networks.
//!
//! What can go wrong: a receiver that fails is called again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h; one that answers 410, or takes
//! nothing for five days, is disabled and the team is told. One endpoint's calls go out one after the other, and after a call that
//! was not taken, or ten seconds, the next ones stand behind those of other endpoints: a slow receiver holds up itself alone. What waits for
//! three days is given up. A job that got lost is found by the sweep.

mod announce;
mod deliveries;
mod endpoints;
mod job;
mod settle;

pub use announce::{Event, announce};
pub use deliveries::{DeliveryRow, Span, load as load_delivery, log, recent, replay, replay_span, send_test};
pub use endpoints::{Endpoint, EndpointFields, WebhookError, create, delete, list, load, rotate_secret, update};
pub use job::{WebhookDeliver, WebhookSweep};

/// What every endpoint may be sent on request, whatever it listens to.
pub const TEST_EVENT: &str = "webhook.test";
/// Stands for all events.
pub const ALL_EVENTS: &str = "*";
/// Of a span that is told again.
pub const MOST_REPLAYED: usize = 1_000;
/// How long the log of calls is kept.
pub const KEPT: time::Duration = time::Duration::days(30);
/// How long the old secret signs beside the new one.
pub const BOTH_SECRETS: time::Duration = time::Duration::hours(24);
/// An endpoint that takes nothing for so long is disabled.
pub const GIVE_UP_AFTER: time::Duration = time::Duration::days(5);
/// Between a failed call and the next one of the same event.
pub const RETRIES: [time::Duration; 7] = [
    time::Duration::seconds(5),
    time::Duration::minutes(5),
    time::Duration::minutes(30),
    time::Duration::hours(2),
    time::Duration::hours(5),
    time::Duration::hours(10),
    time::Duration::hours(10),
];
