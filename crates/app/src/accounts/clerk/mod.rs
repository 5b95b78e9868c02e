//! People who sign in through Clerk: their session tokens, their accounts here, and what its webhooks tell.
//!
//! A token that says the right things and is signed with a key of ours is its person, from the first time it is seen: the account is
//! made then, and filled by webhooks when they come. Accounts are joined by Clerk's id alone, never by an address, since an address
//! can be claimed elsewhere. Who was deleted there stays deleted here, whatever token or webhook still comes.

mod dashboard;
pub mod handshake;
pub mod keys;
mod people;
pub mod publishable;
pub mod rsa;
mod settings;
pub mod token;
pub mod webhook;

pub use dashboard::ended as session_ended;
pub use people::{Person, PersonError};
pub use settings::{Dashboard, Settings};

use crate::accounts::sessions::NewSession;
use crate::clock::{Clock, Moment};
use handshake::Handshake;
use keys::{KeyError, Keys};
use sqlx::PgPool;
use std::sync::Arc;
use token::{Claims, TokenError, Unverified};

/// Why a token opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Nothing can be said about the token; the caller comes back.
    #[error("the keys of the sign-in service cannot be fetched")]
    NoKeys,
    /// Somebody else acts as the person.
    #[error(
        "You act as another person, so you cannot do this. Sign in as yourself; only the person can do it for their account."
    )]
    Impersonated,
    /// We were told that the session is over; its last token may count for a minute longer.
    #[error("the session has ended")]
    Ended,
    /// The account was deleted.
    #[error("the account was deleted")]
    Deleted,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Everything about Clerk that a server needs while it runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clerk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    keys: Keys,
    clock: Clock,
}

impl Clerk {
    pub fn new(settings: Settings, client: reqwest::Client, clock: Clock) -> Self {
        let keys = Keys::new(settings.keys.clone(), client, clock.clone());
        Self(Arc::new(Shared { settings, keys, clock }))
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The claims of a token that counts now, from any of the sites that may call us.
    pub async fn verify(&self, token: &str) -> Result<Claims, SignInError> {
        self.verify_for(token, &self.0.settings.expected).await
    }

    async fn verify_for(&self, token: &str, expected: &token::Expected) -> Result<Claims, SignInError> {
        let read = token::read(token)?;
        // First, so that a token which cannot count asks for no keys.
        read.check(expected, self.0.clock.now())?;
        self.signed(read).await
    }

    /// What Clerk sends a browser back with.
    pub async fn handshake(&self, token: &str) -> Result<Handshake, SignInError> {
        Ok(Handshake::of(self.signed(handshake::read(token)?).await?))
    }

    async fn signed<T>(&self, read: Unverified<'_, T>) -> Result<T, SignInError> {
        match self.0.keys.verify(read.key_id.as_deref(), read.signed, &read.signature).await {
            Ok(()) => Ok(read.into_verified()),
            Err(KeyError::NoMatch) => Err(TokenError::Invalid.into()),
            Err(KeyError::Unavailable) => Err(SignInError::NoKeys),
        }
    }

    /// A session of the dashboard for the token of a cookie, which a page of ours must have asked for.
    pub async fn open_dashboard(&self, db: &PgPool, moment: &Moment, token: &str) -> Result<NewSession, SignInError> {
        let claims = self.verify_for(token, &self.0.settings.own_pages).await?;
        let person = self.person(db, moment, &claims).await?;
        // A session of ours would not show who acts; what they try stands in the log.
        if claims.actor.is_some() {
            return Err(SignInError::Impersonated);
        }
        // Without its id nobody could say that it ended.
        let session = claims.session.as_deref().ok_or(TokenError::NotASession)?;
        dashboard::open(db, moment, person.id, session).await?.ok_or(SignInError::Ended)
    }

    /// The person whom verified claims name; an account is made at the first sight. Of a session that we know to be over no token counts.
    pub async fn person(&self, db: &PgPool, moment: &Moment, claims: &Claims) -> Result<Person, SignInError> {
        if let Some(session) = &claims.session
            && session_ended(&mut *db.acquire().await?, session).await?
        {
            return Err(SignInError::Ended);
        }
        let person = people::at_sight(db, moment, &claims.subject).await.map_err(|error| match error {
            PersonError::Deleted => SignInError::Deleted,
            PersonError::Database(error) => SignInError::Database(error),
        })?;
        if let Some(actor) = &claims.actor {
            people::record_impersonation(db, moment, person.id, claims.session.as_deref(), actor).await?;
        }
        Ok(person)
    }
}
