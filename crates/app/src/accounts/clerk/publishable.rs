//! The publishable key of an instance: it holds the address of the instance's frontend API, and names its cookies.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::digest;
use url::Url;

/// Letters of a cookie's suffix.
const SUFFIX_CHARS: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishableKey {
    /// `https://clerk.example.com/`.
    pub frontend_api: Url,
    /// Cookies of this instance end with `_` and this.
    pub cookie_suffix: String,
    pub is_development: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a publishable key of Clerk (pk_live_... or pk_test_...); copy it from the page API keys")]
pub struct NotAKey;

impl PublishableKey {
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim();
        let (is_development, encoded) = match (text.strip_prefix("pk_live_"), text.strip_prefix("pk_test_")) {
            (Some(encoded), _) => (false, encoded),
            (_, Some(encoded)) => (true, encoded),
            _ => return Err(NotAKey),
        };
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let decoded = GeneralPurpose::new(&STANDARD, config).decode(encoded).map_err(|_| NotAKey)?;
        let host = String::from_utf8(decoded).ok().and_then(|text| text.strip_suffix('$').map(str::to_owned));
        let host = host.filter(|host| !host.contains(['/', '@', '?', '#', '\\', '$'])).ok_or(NotAKey)?;
        let local = host.starts_with("127.0.0.1:") || host.starts_with("localhost:");
        let scheme = if local { "http" } else { "https" };
        let frontend_api = Url::parse(&format!("{scheme}://{host}/")).map_err(|_| NotAKey)?;
        // As the vendor's own package derives it; nothing hangs on the strength of the digest.
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let cookie_suffix = URL_SAFE.encode(digest)[..SUFFIX_CHARS].to_owned();
        Ok(Self { frontend_api, cookie_suffix, is_development })
    }

    /// Who makes the tokens of this instance.
    pub fn issuer(&self) -> String {
        self.frontend_api.as_str().trim_end_matches('/').to_owned()
    }

    /// The instance's page to sign in on: of the shared domain in development, of the customer's own in production.
    pub fn sign_in_url(&self) -> Option<Url> {
        let host = self.frontend_api.host_str()?;
        // As the vendor's own package does.
        let accounts = [("clerk.accounts.", "accounts."), ("clerk.", "accounts.")];
        let (from, to) = accounts.into_iter().find(|(from, _)| host.contains(from))?;
        let accounts = host.replacen(from, to, 1);
        Url::parse(&format!("https://{accounts}/sign-in")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_the_frontend_api_the_pages_and_the_cookies() {
        let key = PublishableKey::parse("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k").unwrap();
        assert_eq!((key.issuer().as_str(), key.is_development), ("https://clerk.example.com", false));
        assert_eq!(key.sign_in_url().unwrap().as_str(), "https://accounts.example.com/sign-in");
        let key = PublishableKey::parse(" pk_test_aGFwcHktaGlwcG8tMS5jbGVyay5hY2NvdW50cy5kZXYk\n").unwrap();
        assert_eq!((key.issuer().as_str(), key.is_development), ("https://happy-hippo-1.clerk.accounts.dev", true));
        assert_eq!(key.sign_in_url().unwrap().as_str(), "https://happy-hippo-1.accounts.dev/sign-in");
    }

    #[test]
    fn the_suffix_of_cookies_is_the_one_that_the_vendors_package_gives() {
        // By `getCookieSuffix` of @clerk/shared.
        for (key, suffix) in SUFFIXES {
            assert_eq!(PublishableKey::parse(key).unwrap().cookie_suffix, suffix);
        }
    }

    const SUFFIXES: [(&str, &str); 2] = [
        ("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k", "naoXFJnI"),
        ("pk_test_aGFwcHktaGlwcG8tMS5jbGVyay5hY2NvdW50cy5kZXYk", "MWTw9P_R"),
    ];

    #[test]
    fn what_is_no_key_is_refused() {
        let of = |host: &str| format!("pk_live_{}", base64::engine::general_purpose::STANDARD.encode(host));
        for text in ["", "pk_live_", "sk_live_Y2xlcmsuZXhhbXBsZS5jb20k", "pk_live_!!!", &of("clerk.example.com")] {
            assert_eq!(PublishableKey::parse(text), Err(NotAKey), "{text}");
        }
        for host in ["evil.example/x$", "a@evil.example$", "$", "a b$", "clerk.example.com?$"] {
            assert_eq!(PublishableKey::parse(&of(host)), Err(NotAKey), "{host}");
        }
    }
}
