//! Sign-in through Clerk: whether the keys that its tokens are signed with can be had.

use super::{Finding, Look};
use crate::accounts::clerk::keys::{Source, ask};
use crate::clients::http;

const CHECK: &str = "clerk";

pub(super) async fn check(look: &Look<'_>) -> Finding {
    let Some(settings) = &look.config.clerk else {
        return Finding::ok(CHECK, "Not set up: people have accounts of this server.");
    };
    let Source::Published { url, bearer } = &settings.keys else {
        return Finding::ok(CHECK, "Tokens are verified with the key in JWT_PUBLIC_KEY; Clerk is not asked.");
    };
    let client = match http::client() {
        Ok(client) => client,
        Err(error) => {
            return Finding::fail(CHECK, format!("{}.", error.without_url()), "Mend the TLS set-up of this machine.");
        }
    };
    let place = url.host_str().unwrap_or_default();
    match ask(&client, url, bearer.as_ref()).await {
        Ok(keys) if settings.webhook_secrets.is_empty() => Finding::warn(
            CHECK,
            format!("{place} publishes {keys} signing keys, but CLERK_WEBHOOK_SECRET is not set."),
            "Names, addresses and deletions of people do not come over until it is.",
        ),
        Ok(keys) => Finding::ok(CHECK, format!("{place} publishes {keys} signing keys.")),
        Err(reason) => Finding::fail(
            CHECK,
            format!("The signing keys cannot be had from {place}: {reason}."),
            "Nobody can sign in with Clerk until they can: check CLERK_ISSUER or CLERK_JWKS_URL.",
        ),
    }
}
