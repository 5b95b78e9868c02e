//! The platforms: whether each takes our app's credentials, and the callback address that must be registered there.
//!
//! The token endpoint is asked to refresh a token that never existed: a platform that knows our app refuses the token, one that
//! does not refuses the app. Nothing comes of it on either side.

use super::{Finding, Look};
use crate::accounts::connect;
use crate::config::Config;
use crate::lifecycle;
use rejoinder_platforms::{AuthError, PLATFORMS, Reader, Through};
use secrecy::SecretString;
use std::sync::Arc;

const NO_TOKEN: &str = "rejoinder-doctor-no-such-token";

pub(super) async fn check(look: &Look<'_>) -> Vec<Finding> {
    let readers = match lifecycle::readers(look.config, &look.clock) {
        Ok(readers) => readers,
        Err(error) => return vec![Finding::fail("platforms", format!("{error}."), "Mend the setting that it names.")],
    };
    if readers.iter().next().is_none() {
        let names: Vec<&str> = PLATFORMS.iter().map(|(_, name)| *name).collect();
        return vec![Finding::warn(
            "platforms",
            format!("No platform is set up, so no account can be connected ({} could be).", names.join(", ")),
            format!(
                "Set REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET; register {} there.",
                connect::callback_of(look.config, "reddit")
            ),
        )];
    }
    let mut findings = Vec::new();
    for (slug, reader) in readers.iter() {
        findings.push(look.within(slug, credentials(look.config, slug, reader)).await);
    }
    findings
}

async fn credentials(config: &Config, slug: &'static str, reader: &Arc<dyn Reader>) -> Finding {
    let name = reader.capabilities().name;
    let callback = connect::callback_of(config, slug);
    if reader.own_client().is_none() {
        let text = format!("{name} is open to teams that bring an app of their own; this server has none.");
        return Finding::ok(slug, format!("{text} The redirect address of theirs is {callback}"));
    }
    let answer = reader.refresh(&Through::default(), &SecretString::from(NO_TOKEN)).await;
    match answer {
        // It told our token from nothing, so it knew who asked.
        Err(AuthError::GrantDead(_)) | Ok(_) => taken(config, slug, name, callback.as_str()),
        Err(AuthError::AppRefused(reason)) => Finding::fail(
            slug,
            format!("{name} does not take our app: {reason}."),
            format!("Copy id and secret of the app anew; its redirect address must be exactly {callback}"),
        ),
        Err(AuthError::Unavailable { reason, .. }) => Finding::fail(
            slug,
            format!("{name} cannot be asked: {reason}."),
            "Look whether this machine gets out to it, and whether it has an outage.",
        ),
    }
}

fn taken(config: &Config, slug: &'static str, name: &str, callback: &str) -> Finding {
    let text = format!("{name} takes our app's id and secret. Its redirect address there must be exactly {callback}");
    let anonymous = config.reddit.as_ref().is_some_and(|reddit| reddit.user_agent.contains("unnamed-operator"));
    if slug == "reddit" && anonymous {
        let todo = "Set REDDIT_USER_AGENT with your own Reddit name: anonymous ones are slowed down.";
        return Finding::warn(slug, format!("{text}."), todo);
    }
    Finding::ok(slug, text)
}
