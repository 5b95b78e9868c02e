//! People who sign in through Clerk: their session tokens, their accounts here, and what its webhooks tell.
//!
//! A token that says the right things and is signed with a key of ours is its person, from the first time it is seen: the account is
//! made then, and filled by webhooks when they come. Accounts are joined by Clerk's id alone, never by an address, since an address
//! can be claimed elsewhere. Who was deleted there stays deleted here, whatever token or webhook still comes.

pub mod keys;
mod people;
pub mod publishable;
pub mod rsa;
mod settings;
pub mod token;
pub mod webhook;

pub use people::{Person, PersonError};
pub use settings::{Dashboard, Settings};

use crate::clock::{Clock, Moment};
use keys::{KeyError, Keys};
use sqlx::PgPool;
use std::sync::Arc;
use token::{Claims, TokenError};

/// Why a token opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Nothing can be said about the token; the caller comes back.
    #[error("the keys of the sign-in service cannot be fetched")]
    NoKeys,
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

    /// The same for the cookie of our own pages: nobody else's page may have made it.
    pub async fn verify_cookie(&self, token: &str) -> Result<Claims, SignInError> {
        self.verify_for(token, &self.0.settings.own_pages).await
    }

    async fn verify_for(&self, token: &str, expected: &token::Expected) -> Result<Claims, SignInError> {
        let read = token::read(token)?;
        // First, so that a token which cannot count asks for no keys.
        read.check(expected, self.0.clock.now())?;
        match self.0.keys.verify(read.key_id.as_deref(), read.signed, &read.signature).await {
            Ok(()) => Ok(read.into_verified()),
            Err(KeyError::NoMatch) => Err(TokenError::Invalid.into()),
            Err(KeyError::Unavailable) => Err(SignInError::NoKeys),
        }
    }

    /// The person whom verified claims name; an account is made at the first sight.
    pub async fn person(&self, db: &PgPool, moment: &Moment, claims: &Claims) -> Result<Person, SignInError> {
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
