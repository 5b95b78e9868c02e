//! The instance's signing keys. They were made for this simulator and protect nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use serde_json::{Value, json};

use super::KEY_ID;

const PRIVATE_KEYS: [&[u8]; 3] =
    [include_bytes!("key_1.der"), include_bytes!("key_2.der"), include_bytes!("key_3.der")];

pub(super) const KEYS: usize = PRIVATE_KEYS.len();

fn pair(key: usize) -> KeyPair {
    KeyPair::from_pkcs8(PRIVATE_KEYS[key]).expect("the keys in this folder are RSA keys")
}

/// A JSON Web Token of any content, signed with RS256 whatever its header says.
pub(super) fn sign(key: usize, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let pair = pair(key);
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .expect("the buffer has the length of the modulus");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(super) fn jwk(key: usize) -> Value {
    let pair = pair(key);
    let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let [n, e] = [parts.n, parts.e].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    json!({ "use": "sig", "kty": "RSA", "kid": KEY_ID, "alg": "RS256", "n": n, "e": e })
}
