//! The mail to an invited person.
//!
//! Names of people and teams are what somebody typed, and this mail goes to strangers in the operator's name: one that a mail program
//! would turn into a link is left out.

use super::Invitation;
use crate::accounts::mails::Mail;
use time::macros::format_description;
use url::Url;

pub(super) fn letter(invitation: &Invitation, team_name: &str, link: &Url) -> Mail {
    let by = harmless(&invitation.invited_by_name).unwrap_or("Somebody");
    let team = harmless(team_name).map_or_else(|| "a team".to_owned(), |name| format!("the team \"{name}\""));
    let until = invitation.expires_at.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC"));
    let text = format!(
        "{by} invites you to {team} on Rejoinder, as {role}.\n\nOpen this link to join:\n{link}\n\nIt works once, until {until}, and only \
         for an account with this e-mail address.\nIf you did not expect it, do nothing: without you nothing happens.\n",
        role = invitation.role,
        until = until.unwrap_or_default(),
    );
    Mail { to: invitation.email.clone(), subject: "You are invited to a team on Rejoinder".to_owned(), text }
}

/// The name, unless a part of it reads like an address.
fn harmless(name: &str) -> Option<&str> {
    let inner_dot = name.split('.').zip(name.split('.').skip(1)).any(|(before, after)| {
        before.chars().next_back().is_some_and(char::is_alphanumeric)
            && after.chars().next().is_some_and(char::is_alphanumeric)
    });
    (!inner_dot && !name.contains(['/', ':', '@', '\\'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_become_a_link_is_left_out() {
        for name in ["Moka & Co.", "J. R. Ångström", "Team 2.", "..."] {
            assert_eq!(harmless(name), Some(name));
        }
        for name in ["evil.example", "see evil.example now", "https://evil", "www.evil", "me@evil", "a.b", "1.2"] {
            assert_eq!(harmless(name), None, "{name}");
        }
    }
}
