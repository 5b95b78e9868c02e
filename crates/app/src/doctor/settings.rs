//! The settings themselves, and the address under which people and platforms find this server.

use super::{Finding, Look};
use crate::config::{AppEnv, Config, ConfigErrors, Source};
use url::Host;

pub(super) fn check(look: &Look<'_>) -> Vec<Finding> {
    vec![settings(look), public_url(look.config), billing()]
}

/// The settings cannot be read: nothing else can be looked at. One finding for each fault.
pub fn unreadable(errors: &ConfigErrors) -> Vec<Finding> {
    let fault = |error: &crate::config::ConfigError| {
        Finding::fail("settings", format!("{} {}.", error.name, error.reason), format!("Example: {}", error.example))
    };
    errors.0.iter().map(fault).collect()
}

fn settings(look: &Look<'_>) -> Finding {
    let set = look.config.settings().iter().filter(|one| matches!(one.source, Source::Env | Source::File)).count();
    let all = look.config.settings().len();
    if look.near_misses.is_empty() {
        return Finding::ok("settings", format!("All {all} settings are valid; {set} of them are set."));
    }
    let todo = "Names that are no setting change nothing; `rejoinder config print` lists those that there are.";
    Finding::warn("settings", format!("The settings are valid, but {}", look.near_misses.join("; ")), todo)
}

fn public_url(config: &Config) -> Finding {
    let check = "public_url";
    let url = &config.public_url;
    let secure = url.scheme() == "https";
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => true,
    };
    let address = url.origin().ascii_serialization();
    match (config.app_env == AppEnv::Production, local, secure) {
        (true, true, _) => Finding::fail(
            check,
            format!(
                "PUBLIC_URL is {address}: nobody outside of this machine gets there, and no platform comes back to it."
            ),
            "Set it to the address that people use, such as https://replies.example.com.",
        ),
        (true, false, false) => Finding::fail(
            check,
            format!("PUBLIC_URL is {address}: passwords and sessions would travel in the clear."),
            "Put TLS in front of this server and set the address with https.",
        ),
        (false, false, false) => Finding::warn(
            check,
            format!("PUBLIC_URL is {address}: passwords and sessions travel in the clear."),
            "Put TLS in front of this server and set the address with https.",
        ),
        _ => Finding::ok(check, format!("People and platforms come to {address}.")),
    }
}

fn billing() -> Finding {
    Finding::ok("billing", "The plan is selfhosted: everything is allowed, nothing is billed.")
}
