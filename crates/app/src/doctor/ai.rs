//! The service that writes the drafts: whether it takes the key and has the model. No draft is asked for.

use super::{Finding, Look};
use crate::clients::ai::AiError;
use crate::config::AiProvider;
use crate::lifecycle;

const CHECK: &str = "ai";

pub(super) async fn check(look: &Look<'_>) -> Finding {
    if look.config.ai.provider == AiProvider::Template {
        return Finding::ok(CHECK, "Drafts come from the team's own variations; no model is asked.");
    }
    let provider = match lifecycle::provider(look.config) {
        Ok(provider) => provider,
        Err(error) => return Finding::fail(CHECK, format!("{error}."), "Mend the setting that it names."),
    };
    let (name, model) = (provider.name(), provider.model());
    match provider.has_model().await {
        Ok(true) => Finding::ok(CHECK, format!("The {name} service takes the key and has the model {model}.")),
        Ok(false) => Finding::warn(
            CHECK,
            format!("The {name} service answers, but does not list the model {model}."),
            "Check the name of the model; drafts fail if it is wrong.",
        ),
        Err(AiError::RetryAfter { reason, .. }) => Finding::fail(
            CHECK,
            format!("The {name} service cannot be asked: {reason}."),
            "Try again later, and check its address.",
        ),
        Err(error) => Finding::fail(CHECK, format!("{error}."), "Drafts fail until it is mended."),
    }
}
