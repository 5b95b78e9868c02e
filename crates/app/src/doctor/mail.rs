//! The mail server: that it is there, greets us, goes over to TLS as told and takes the login. No mail is sent.

use super::{Finding, Look};
use crate::clients::mail::Mailer;

const CHECK: &str = "mail";

pub(super) async fn check(look: &Look<'_>) -> Finding {
    let Some(settings) = &look.config.mail else {
        return Finding::ok(CHECK, "Not set up: links for invitations and passwords are handed over by hand.");
    };
    let place = format!("{}:{}", settings.host, settings.port);
    let mailer = match Mailer::new(settings, &look.config.public_url) {
        Ok(mailer) => mailer,
        Err(reason) => return Finding::fail(CHECK, format!("{reason}."), "Mend SMTP_URL or SMTP_CA."),
    };
    match mailer.greet().await {
        Ok(()) => Finding::ok(CHECK, format!("{place} takes our mail.")),
        Err(error) => Finding::fail(
            CHECK,
            format!("No mail can be handed over to {place}: {error}."),
            "Check host, port, user and password in SMTP_URL, and whether it wants smtp:// (STARTTLS) or smtps://. A certificate of its own needs SMTP_CA.",
        ),
    }
}
