//! The form in which grants wait to be confirmed: one, or several with the accounts that they are for.

use rejoinder_platforms::{Account, Grant, Reached};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// One of several accounts that a consent reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub id: String,
    pub name: String,
    /// What it is reached through.
    pub place: Option<String>,
}

impl Choice {
    pub(super) fn of(reached: &Reached) -> Self {
        let Account { id, name } = reached.account.clone();
        Self { id, name, place: reached.place.clone() }
    }
}

/// A grant as it is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    access_token: String,
    refresh_token: Option<String>,
    scopes: Vec<String>,
    expires_in_secs: Option<i64>,
}

/// What is sealed: one grant, or several with the accounts that they are for.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Sealed {
    One(Kept),
    Several(Vec<(Choice, Kept)>),
}

impl Kept {
    pub(super) fn of(grant: &Grant) -> Self {
        Self {
            access_token: grant.access_token.expose_secret().to_owned(),
            refresh_token: grant.refresh_token.as_ref().map(|token| token.expose_secret().to_owned()),
            scopes: grant.scopes.clone(),
            expires_in_secs: grant.expires_in.map(time::Duration::whole_seconds),
        }
    }

    fn grant(self) -> Grant {
        let (access, refresh) = (Zeroizing::new(self.access_token), self.refresh_token.map(Zeroizing::new));
        Grant {
            access_token: SecretString::from(access.as_str()),
            refresh_token: refresh.map(|token| SecretString::from(token.as_str())),
            scopes: self.scopes,
            expires_in: self.expires_in_secs.map(time::Duration::seconds),
        }
    }
}

impl Sealed {
    /// `own` is the account of a single one.
    pub(super) fn reached(self, own: impl FnOnce() -> Choice) -> Vec<Reached> {
        let kept = match self {
            Self::One(kept) => vec![(own(), kept)],
            Self::Several(kept) => kept,
        };
        let reached = |(choice, kept): (Choice, Kept)| Reached {
            account: Account { id: choice.id, name: choice.name },
            place: choice.place,
            grant: kept.grant(),
        };
        kept.into_iter().map(reached).collect()
    }
}

/// The account that the person means; without a word of theirs the only one.
pub(super) fn chosen(mut reached: Vec<Reached>, account_id: Option<&str>) -> Option<Reached> {
    match account_id {
        Some(id) => reached.into_iter().find(|reached| reached.account.id == id),
        None if reached.len() == 1 => reached.pop(),
        None => None,
    }
}
