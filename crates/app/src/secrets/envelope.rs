//! The bytes of a sealed value, without the database.
//!
//! A value: format (1 byte), algorithm (1), data key id (16), nonce (24), ciphertext and tag. A wrapped data key: format,
//! algorithm, nonce, ciphertext and tag. The cipher is XChaCha20-Poly1305: its nonce is long enough to be drawn at random.
//! What is authenticated beside the text is the place, each part with its length before it, so that no two places look alike.

use super::SealError;
use super::key::SecretKey32;
use crate::clock::Entropy;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use uuid::Uuid;
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const XCHACHA20_POLY1305: u8 = 1;
const NONCE_BYTES: usize = 24;
const KEY_ID_BYTES: usize = 16;
const HEAD: [u8; 2] = [FORMAT, XCHACHA20_POLY1305];

/// Where a sealed value stands. None of it may change while the value lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub table: &'static str,
    pub column: &'static str,
    pub row: Uuid,
    /// Nil for rows that belong to no team.
    pub team: Uuid,
}

impl Place {
    fn authenticated(&self, key_id: Uuid) -> Vec<u8> {
        join(&[
            &HEAD,
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.row.as_bytes(),
            self.team.as_bytes(),
            key_id.as_bytes(),
        ])
    }
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().fold(Vec::new(), |mut joined, part| {
        joined.extend((part.len() as u64).to_be_bytes());
        joined.extend(*part);
        joined
    })
}

pub(super) fn seal(key_id: Uuid, key: &SecretKey32, place: Place, plain: &str, entropy: &Entropy) -> Vec<u8> {
    let mut sealed = HEAD.to_vec();
    sealed.extend(key_id.as_bytes());
    sealed.extend(encrypt(key, &place.authenticated(key_id), plain.as_bytes(), entropy));
    sealed
}

/// The id of the data key that opens `sealed`.
pub(super) fn key_id(sealed: &[u8]) -> Result<Uuid, SealError> {
    let id = headless(sealed)?.first_chunk::<KEY_ID_BYTES>().ok_or(SealError::Damaged)?;
    Ok(Uuid::from_bytes(*id))
}

pub(super) fn open(key: &SecretKey32, place: Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let key_id = key_id(sealed)?;
    let body = headless(sealed)?.get(KEY_ID_BYTES..).ok_or(SealError::Damaged)?;
    decrypt(key, &place.authenticated(key_id), body).ok_or(SealError::Damaged)
}

pub(super) fn wrap(kek: &SecretKey32, id: Uuid, data_key: &SecretKey32, entropy: &Entropy) -> Vec<u8> {
    let mut wrapped = HEAD.to_vec();
    wrapped.extend(encrypt(kek, &wrapping_place(id), data_key.expose(), entropy));
    wrapped
}

pub(super) fn unwrap(kek: &SecretKey32, id: Uuid, wrapped: &[u8]) -> Result<SecretKey32, SealError> {
    let key = decrypt(kek, &wrapping_place(id), headless(wrapped)?).ok_or(SealError::ForeignKey(id))?;
    SecretKey32::from_slice(&key).ok_or(SealError::Damaged)
}

fn wrapping_place(id: Uuid) -> Vec<u8> {
    join(&[&HEAD, b"data_keys", b"wrapped", id.as_bytes()])
}

fn headless(bytes: &[u8]) -> Result<&[u8], SealError> {
    match bytes {
        [FORMAT, XCHACHA20_POLY1305, rest @ ..] => Ok(rest),
        [FORMAT, other, ..] | [other, ..] => Err(SealError::UnknownFormat(*other)),
        [] => Err(SealError::Damaged),
    }
}

/// Nonce, ciphertext and tag.
fn encrypt(key: &SecretKey32, authenticated: &[u8], plain: &[u8], entropy: &Entropy) -> Vec<u8> {
    let nonce = entropy.bytes::<NONCE_BYTES>();
    let payload = Payload { msg: plain, aad: authenticated };
    let ciphertext = XChaCha20Poly1305::new(key.expose().into())
        .encrypt(&nonce.into(), payload)
        .expect("a text in memory is far below the cipher's limit");
    [&nonce[..], &ciphertext].concat()
}

fn decrypt(key: &SecretKey32, authenticated: &[u8], body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = body.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg: ciphertext, aad: authenticated };
    XChaCha20Poly1305::new(key.expose().into()).decrypt(nonce.into(), payload).ok().map(Zeroizing::new)
}
