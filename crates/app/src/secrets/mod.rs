//! Sealing of platform tokens and other secrets before they reach the database.
//!
//! A value is encrypted with a data key, and the data keys lie in the table `data_keys` wrapped by the key-encryption key,
//! which is never in the database. A sealed value opens only at the place it was sealed for: another row, column or team
//! reads as damage. Nobody but the `Keyring` writes `data_keys`.
//!
//! What can go wrong: a wrong key-encryption key (refused at start by its fingerprint), a data key that a partial restore
//! left behind, damage. None of these is a reason to ask a person to connect an account again before an operator looked.

mod envelope;
mod kek;
mod key;
mod keyring;

pub use envelope::Place;
pub use kek::Kek;
pub use key::{KeyFileError, KeyFormatError, SecretKey32, load_key, load_or_create_key};
pub use keyring::Keyring;

use uuid::Uuid;

/// Why a value could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Not what was sealed for this place with this key: changed, cut short or moved.
    #[error("the sealed value is damaged or belongs to another place")]
    Damaged,
    /// A newer program wrote it.
    #[error("the sealed value has format {0}, which this version does not know")]
    UnknownFormat(u8),
    /// Its data key is not in this database, as after restoring some tables only.
    #[error("the data key {0} of the sealed value is not in the table data_keys")]
    UnknownKey(Uuid),
    /// The data key is wrapped by another key-encryption key than the one configured.
    #[error("the data key {0} cannot be unwrapped with the configured encryption key")]
    ForeignKey(Uuid),
    /// Passing trouble: try again.
    #[error("the data keys could not be read or written")]
    Database(#[from] sqlx::Error),
}
