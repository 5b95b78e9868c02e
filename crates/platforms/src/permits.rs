//! The place of one request in the budget of its app.
//!
//! Platforms count requests per client id, so whoever shares a client id shares what there is. The product says who may
//! go (`Admission`); the adapters ask before each request and tell after each answer, in `http::send`, so that no
//! request of any kind is forgotten or counted twice.

use crate::tariff::{Charge, Hold, Unpaid};
use crate::types::Budget;
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The hosts of a platform count apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    Api,
    /// Where codes and refresh tokens are exchanged.
    Token,
}

impl Host {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Token => "token",
        }
    }
}

/// A request that was let through: the number of the window that it counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    pub window: i64,
}

/// How a request that was let through ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ended {
    /// Nothing of it can have reached the platform.
    NeverLeft,
    /// It counts. `budget`: what the headers told, if they did; `closed_for`: how long nothing may follow.
    Spent { budget: Option<Budget>, closed_for: Option<Duration> },
}

/// Who may go, and who must wait how long.
#[async_trait]
pub trait Admission: Send + Sync {
    async fn admit(&self, host: Host) -> Result<Pass, Duration>;

    async fn ended(&self, host: Host, pass: Pass, ended: Ended);

    /// Sets aside what a call may cost at most.
    async fn afford(&self, most_micro_usd: u64) -> Result<Hold, Unpaid>;

    /// The call is over and this is what it is charged for. Err: it could not be written down.
    async fn charged(&self, hold: Hold, charges: &[Charge]) -> Result<(), String>;

    /// A pass that nobody used.
    fn unused(&self, host: Host, pass: Pass);
}

/// What a caller's requests are admitted by. Without an admission everything may go: for tests and tools.
#[derive(Clone, Default)]
pub struct Permits(Option<Arc<Held>>);

struct Held {
    admission: Arc<dyn Admission>,
    /// Taken ahead of their requests.
    ahead: Mutex<Vec<(Host, Pass)>>,
    spent: AtomicU32,
}

impl Permits {
    pub fn by(admission: Arc<dyn Admission>) -> Self {
        Self(Some(Arc::new(Held { admission, ahead: Mutex::default(), spent: AtomicU32::new(0) })))
    }

    /// Takes a pass now for a request that must not wait when it comes. It is given back if none comes.
    pub async fn secure(&self, host: Host) -> Result<(), Duration> {
        let Some(held) = &self.0 else { return Ok(()) };
        let pass = held.admission.admit(host).await?;
        held.ahead().push((host, pass));
        Ok(())
    }

    /// How many requests went out by these.
    pub fn spent(&self) -> u32 {
        self.0.as_ref().map_or(0, |held| held.spent.load(Ordering::Relaxed))
    }

    pub(crate) async fn afford(&self, most_micro_usd: u64) -> Result<Hold, Unpaid> {
        match &self.0 {
            Some(held) => held.admission.afford(most_micro_usd).await,
            None => Ok(Hold::default()),
        }
    }

    pub(crate) async fn charged(&self, hold: Hold, charges: &[Charge]) -> Result<(), String> {
        match &self.0 {
            Some(held) if hold.0.is_some() || !charges.is_empty() => held.admission.charged(hold, charges).await,
            _ => Ok(()),
        }
    }

    pub(crate) async fn admit(&self, host: Host) -> Result<Option<Pass>, Duration> {
        let Some(held) = &self.0 else { return Ok(None) };
        if let Some(pass) = held.take_ahead(host) {
            return Ok(Some(pass));
        }
        held.admission.admit(host).await.map(Some)
    }

    pub(crate) async fn ended(&self, host: Host, pass: Option<Pass>, ended: Ended) {
        if let (Some(held), Some(pass)) = (&self.0, pass) {
            held.spent.fetch_add(1, Ordering::Relaxed);
            held.admission.ended(host, pass, ended).await;
        }
    }
}

impl Held {
    fn ahead(&self) -> std::sync::MutexGuard<'_, Vec<(Host, Pass)>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_ahead(&self, host: Host) -> Option<Pass> {
        let mut ahead = self.ahead();
        let at = ahead.iter().position(|(of, _)| *of == host)?;
        Some(ahead.swap_remove(at).1)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for (host, pass) in std::mem::take(&mut *self.ahead()) {
            self.admission.unused(host, pass);
        }
    }
}

impl std::fmt::Debug for Permits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Permits(admission)" } else { "Permits(unlimited)" })
    }
}

/// An app as a platform registered it.
#[derive(Debug, Clone)]
pub struct AppCredentials {
    pub client_id: String,
    pub client_secret: SecretString,
}

/// What the calls about consents and tokens go through: an app's credentials and its budget.
#[derive(Debug, Clone, Default)]
pub struct Through {
    /// None: the app of the installation.
    pub app: Option<AppCredentials>,
    /// By which of the platform's `logins`; None: the usual one.
    pub login: Option<String>,
    pub permits: Permits,
}

/// An access token, and the permits that calls with it are counted by.
#[derive(Debug, Clone)]
pub struct AccessToken {
    secret: SecretString,
    pub(crate) permits: Permits,
}

impl AccessToken {
    pub fn new(secret: SecretString, permits: Permits) -> Self {
        Self { secret, permits }
    }

    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    pub fn permits(&self) -> &Permits {
        &self.permits
    }

    pub(crate) fn expose_secret(&self) -> &str {
        self.secret.expose_secret()
    }
}

impl From<&str> for AccessToken {
    fn from(secret: &str) -> Self {
        Self::new(SecretString::from(secret), Permits::default())
    }
}
