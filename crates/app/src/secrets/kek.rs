//! The key-encryption key: wraps data keys and tells itself apart from a foreign one. Today it is the installation's own
//! key; a key service becomes another variant, which is why wrapping is asynchronous.

use super::key::SecretKey32;
use super::{SealError, envelope};
use crate::clock::Entropy;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// Cheap to clone; `Debug` shows no key.
#[derive(Debug, Clone)]
pub enum Kek {
    Local(LocalKek),
}

#[derive(Debug, Clone)]
pub struct LocalKek {
    wrapping: SecretKey32,
    fingerprint: String,
}

impl Kek {
    pub fn local(key: &SecretKey32) -> Self {
        // A key of its own for each purpose, so that the public fingerprint says nothing about the wrapping.
        let wrapping = derive(key, b"rejoinder: wrapping of data keys, 1");
        let fingerprint = derive(key, b"rejoinder: fingerprint, 1");
        let fingerprint = fingerprint.expose()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self::Local(LocalKek { wrapping, fingerprint })
    }

    /// 32 hex digits that are the same for the same key and reveal nothing of it.
    pub fn fingerprint(&self) -> &str {
        match self {
            Self::Local(local) => &local.fingerprint,
        }
    }

    pub(super) fn provider(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
        }
    }

    pub(super) fn key_id(&self) -> &str {
        self.fingerprint()
    }

    pub(super) fn version(&self) -> i32 {
        match self {
            Self::Local(_) => 1,
        }
    }

    pub(super) async fn wrap(&self, id: Uuid, data_key: &SecretKey32, entropy: &Entropy) -> Result<Vec<u8>, SealError> {
        match self {
            Self::Local(local) => Ok(envelope::wrap(&local.wrapping, id, data_key, entropy)),
        }
    }

    pub(super) async fn unwrap(&self, id: Uuid, wrapped: &[u8]) -> Result<SecretKey32, SealError> {
        match self {
            Self::Local(local) => envelope::unwrap(&local.wrapping, id, wrapped),
        }
    }
}

fn derive(key: &SecretKey32, purpose: &[u8]) -> SecretKey32 {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
    mac.update(purpose);
    SecretKey32::from_slice(&mac.finalize().into_bytes()).expect("SHA-256 gives 32 bytes")
}
