//! The settings of Clerk. It is on as soon as its address is known: by `CLERK_ISSUER`, or from the publishable key.

use super::kinds;
use super::reader::Reader;
use crate::accounts::clerk::keys::Source;
use crate::accounts::clerk::publishable::PublishableKey;
use crate::accounts::clerk::rsa::RsaPublicKey;
use crate::accounts::clerk::token::Expected;
use crate::accounts::clerk::{Dashboard, Settings};
use crate::clients::signatures::SigningSecret;
use secrecy::SecretString;
use url::Url;

/// None while Clerk is not set up.
pub(super) fn read_clerk(read: &mut Reader<'_>, public_url: &Url, redirect_base: &Url) -> Option<Settings> {
    let key = read.optional("CLERK_PUBLISHABLE_KEY", |text| PublishableKey::parse(text).map_err(|e| e.to_string()));
    let issuer = read.optional("CLERK_ISSUER", kinds::url).map(|url| url.as_str().trim_end_matches('/').to_owned());
    let sign_in_url = read.optional("CLERK_SIGN_IN_URL", kinds::url);
    let pasted = read.optional("JWT_PUBLIC_KEY", |text| RsaPublicKey::from_pem(text).map_err(|e| e.to_string()));
    let jwks_url = read.optional("CLERK_JWKS_URL", kinds::url);
    let api_key = read.optional("CLERK_API_KEY", kinds::secret);
    let api_base = read.value("CLERK_API_BASE", kinds::url);
    let parties = read.optional("CLERK_AUTHORIZED_PARTIES", kinds::origins);
    let party_required = !read.value("CLERK_ALLOW_NO_PARTY", kinds::yes_or_no);
    let builtin_too = read.value("BUILTIN_SIGN_IN", kinds::yes_or_no);
    let secrets = read.optional("CLERK_WEBHOOK_SECRET", signing_secrets).unwrap_or_default();
    let Some(issuer) = issuer.or_else(|| key.as_ref().map(PublishableKey::issuer)) else {
        require_issuer(read);
        return None;
    };
    let own = public_url.origin().ascii_serialization();
    let parties = parties.unwrap_or_else(|| vec![own.clone(), redirect_base.origin().ascii_serialization()]);
    let expected = Expected { issuer: issuer.clone(), parties, party_required };
    let own_pages = Expected { issuer: issuer.clone(), parties: vec![own], party_required: true };
    let keys = match pasted {
        Some(key) => Source::Pasted(key),
        None => published(jwks_url, &issuer, api_key, &api_base)?,
    };
    let dashboard = key.and_then(|key| {
        let sign_in_url = sign_in_url.or_else(|| key.sign_in_url());
        if sign_in_url.is_none() {
            read.fault("CLERK_SIGN_IN_URL", "is required: the publishable key does not tell where people sign in");
        }
        Some(Dashboard { key, sign_in_url: sign_in_url?, builtin_too })
    });
    Some(Settings { expected, own_pages, keys, webhook_secrets: secrets, dashboard })
}

/// Whoever set any of these wants Clerk, and without its address every token would have to be refused.
fn require_issuer(read: &mut Reader<'_>) {
    let wanted =
        ["CLERK_API_KEY", "JWT_PUBLIC_KEY", "CLERK_JWKS_URL", "CLERK_AUTHORIZED_PARTIES", "CLERK_WEBHOOK_SECRET"];
    let wants = wanted.into_iter().find(|name| read.is_set(name));
    if let Some(name) = wants.filter(|_| !read.is_set("CLERK_ISSUER") && !read.is_set("CLERK_PUBLISHABLE_KEY")) {
        read.fault(
            "CLERK_ISSUER",
            &format!("or CLERK_PUBLISHABLE_KEY is required with {name}: tokens must be made there"),
        );
    }
}

/// The vendor's secret key goes to the vendor's backend API and nowhere else.
fn published(jwks_url: Option<Url>, issuer: &str, api_key: Option<SecretString>, api_base: &Url) -> Option<Source> {
    let well_known = || Url::parse(&format!("{issuer}/.well-known/jwks.json")).ok();
    let url = jwks_url.or_else(well_known)?;
    let bearer = api_key.filter(|_| url.origin() == api_base.origin());
    Some(Source::Published { url, bearer })
}

/// One or more, so that an endpoint can be replaced without losing a message.
fn signing_secrets(text: &str) -> Result<Vec<SigningSecret>, String> {
    let secrets = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
    secrets.map(|part| SigningSecret::parse(part).map_err(|error| error.to_string())).collect()
}
