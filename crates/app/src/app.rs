//! What every part of the server shares. Cheap to clone. Holds no `Writer`: nothing reachable from here can post.

use crate::accounts::clerk::Clerk;
use crate::accounts::passwords::Passwords;
use crate::clients::ai;
use crate::clients::mail::Mailer;
use crate::clients::outbound::Outbound;
use crate::clock::{Clock, Entropy, Moment};
use crate::config::Config;
use crate::coord::budget::Budgets;
use crate::coord::events::Bus;
use crate::coord::rounds::Rounds;
use crate::flow::approve::Approvals;
use crate::flow::ingest::intake::Intake;
use crate::secrets::Keyring;
use rejoinder_platforms::Readers;
use sqlx::PgPool;
use std::ops::Deref;
use std::sync::Arc;

#[derive(Clone)]
pub struct App(Arc<Shared>);

pub struct Shared {
    pub config: Config,
    pub db: PgPool,
    /// For statements on many rows at once: few connections that keep their plans.
    pub batch: PgPool,
    pub approvals: Rounds<Approvals>,
    /// Where webhooks of platforms come in.
    pub intake: Intake,
    pub clock: Clock,
    pub entropy: Entropy,
    pub keyring: Keyring,
    pub readers: Readers,
    pub budgets: Budgets,
    pub ai: Arc<dyn ai::Provider>,
    /// None: this server sends no mail.
    pub mail: Option<Mailer>,
    /// Calls the receivers of webhooks.
    pub outbound: Outbound,
    pub events: Bus,
    pub passwords: Passwords,
    pub clerk: Option<Clerk>,
}

impl App {
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Whether accounts of this server sign in with their passwords.
    pub fn takes_passwords(&self) -> bool {
        let dashboard = self.clerk.as_ref().and_then(|clerk| clerk.settings().dashboard.as_ref());
        dashboard.is_none_or(|dashboard| dashboard.builtin_too)
    }

    /// The client id of the installation's own app, by platform.
    pub fn own_clients(&self) -> Vec<(&'static str, &str)> {
        self.readers.iter().filter_map(|(slug, reader)| Some((slug, reader.own_client()?))).collect()
    }

    /// Now, with a source of ids.
    pub fn moment(&self) -> Moment {
        Moment::new(&self.clock, &self.entropy)
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
