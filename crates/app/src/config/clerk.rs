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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigErrors};
    use std::collections::HashMap;

    fn load(settings: &[(&str, &str)]) -> Result<Option<Settings>, ConfigErrors> {
        let env: HashMap<&str, &str> = settings.iter().copied().collect();
        Config::load(&|name| env.get(name).map(|value| (*value).to_owned())).map(|config| config.clerk)
    }

    fn on(settings: &[(&str, &str)]) -> Settings {
        load(settings).unwrap().unwrap()
    }

    const KEY: &str = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k";

    #[test]
    fn clerk_is_on_by_its_issuer_or_by_the_publishable_key() {
        assert!(load(&[]).unwrap().is_none());
        let api_only = on(&[("CLERK_ISSUER", "https://clerk.example.com/")]);
        assert_eq!(api_only.expected.issuer, "https://clerk.example.com");
        assert!(api_only.dashboard.is_none(), "the dashboard keeps its passwords");
        let whole = on(&[("CLERK_PUBLISHABLE_KEY", KEY)]);
        assert_eq!(whole.expected.issuer, "https://clerk.example.com");
        let dashboard = whole.dashboard.unwrap();
        assert_eq!(dashboard.sign_in_url.as_str(), "https://accounts.example.com/sign-in");
        assert!(!dashboard.builtin_too);
        for name in ["CLERK_API_KEY", "CLERK_JWKS_URL", "CLERK_AUTHORIZED_PARTIES"] {
            let faults = load(&[(name, "https://api.clerk.com")]).unwrap_err().to_string();
            assert!(faults.contains("CLERK_ISSUER") && faults.contains(name), "{faults}");
        }
    }

    #[test]
    fn tokens_count_from_our_own_sites_unless_others_are_named() {
        let own = [
            ("CLERK_ISSUER", "https://clerk.example.com"),
            ("PUBLIC_URL", "https://replies.example.com"),
            ("REDIRECT_BASE", "https://app.example.com/start"),
        ];
        let settings = on(&own);
        assert_eq!(settings.expected.parties, ["https://replies.example.com", "https://app.example.com"]);
        assert!(settings.expected.party_required);
        let named = [own[0], own[1], ("CLERK_AUTHORIZED_PARTIES", "https://a.example, http://localhost:5173/")];
        let named = on(&named);
        assert_eq!(named.expected.parties, ["https://a.example", "http://localhost:5173"]);
        assert_eq!(named.own_pages.parties, ["https://replies.example.com"], "for the cookie nobody else counts");
    }

    #[test]
    fn the_secret_key_goes_to_the_backend_api_alone() {
        let issuer = ("CLERK_ISSUER", "https://clerk.example.com");
        let key = ("CLERK_API_KEY", "sk_test_x");
        let source = |settings: &[(&str, &str)]| match on(settings).keys {
            Source::Published { url, bearer } => (url.to_string(), bearer.is_some()),
            Source::Pasted(_) => panic!("nothing was pasted"),
        };
        let well_known = "https://clerk.example.com/.well-known/jwks.json";
        assert_eq!(source(&[issuer, key]), (well_known.to_owned(), false));
        let api = "https://api.clerk.com/v1/jwks";
        assert_eq!(source(&[issuer, key, ("CLERK_JWKS_URL", api)]), (api.to_owned(), true));
        let elsewhere = "https://api.clerk.com.evil.example/v1/jwks";
        assert_eq!(source(&[issuer, key, ("CLERK_JWKS_URL", elsewhere)]), (elsewhere.to_owned(), false));
    }

    #[test]
    fn several_webhook_secrets_may_stand_there() {
        let issuer = ("CLERK_ISSUER", "https://clerk.example.com");
        let one = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert_eq!(on(&[issuer, ("CLERK_WEBHOOK_SECRET", &format!("{one}, {one}\n{one}"))]).webhook_secrets.len(), 3);
        let faults = load(&[issuer, ("CLERK_WEBHOOK_SECRET", "hush")]).unwrap_err().to_string();
        assert!(faults.contains("CLERK_WEBHOOK_SECRET") && !faults.contains("hush"), "{faults}");
    }
}
