//! The log in words: what each kind of entry says about its object; and the lines of a suggestion's history.

use super::inbox_draft::HistoryLine;
use super::marks::Tone;
use super::words::WebLink;
use crate::flow::activity::ActivityRow;
use crate::flow::story::Step;
use serde_json::Value;

/// What happened, as it follows a name: "approved the reply"; and what that means for the person.
pub fn told(row: &ActivityRow) -> (String, Tone) {
    let (what, tone) = match row.kind.as_str() {
        "team.created" => ("made the team", Tone::Plain),
        "team.renamed" => ("renamed the team", Tone::Plain),
        "platform_app.set" => ("set the app that accounts are connected through", Tone::Plain),
        "platform_app.removed" => ("removed the app that accounts were connected through", Tone::Held),
        "team.settings_changed" => ("changed the settings of the team", Tone::Plain),
        "team.paused" => ("paused all replies of the team", Tone::Held),
        "team.resumed" => ("resumed the replies of the team", Tone::Plain),
        "account.password_changed" => ("changed the own password", Tone::Plain),
        "account.password_reset" => ("set a new password by a link", Tone::Plain),
        "account.reset_link_made" => ("made a link for a new password", Tone::Held),
        "account.totp_on" => ("turned the second step of signing in on", Tone::Plain),
        "account.totp_off" => ("turned a second step of signing in off", Tone::Held),
        "account.recovery_code_used" => ("got in with a recovery code", Tone::Held),
        "account.sessions_ended" => ("signed out sessions", Tone::Plain),
        "member.made_admin" => ("made somebody an admin", Tone::Held),
        "integration.connected" => ("connected an account", Tone::Plain),
        "integration.reconnect_needed" => ("lost access to an account", Tone::Bad),
        "integration.paused" => ("paused an account", Tone::Held),
        "integration.resumed" => ("resumed an account", Tone::Plain),
        "integration.disconnected" => ("disconnected an account", Tone::Plain),
        "integration.erased" => ("deleted what was read through an account, as its owner asked", Tone::Held),
        "integration.token_refreshed" => ("renewed the access of an account", Tone::Plain),
        "integration.event_unreadable" => ("got an event of the platform that cannot be read", Tone::Held),
        "api_token.created" => ("made an API token", Tone::Plain),
        "api_token.revoked" => ("revoked an API token", Tone::Plain),
        "webhook.created" => ("added a webhook", Tone::Plain),
        "webhook.changed" => ("changed a webhook", Tone::Plain),
        "webhook.secret_rotated" => ("made a new secret for a webhook", Tone::Plain),
        "webhook.disabled" => ("disabled a webhook", Tone::Bad),
        "webhook.deleted" => ("deleted a webhook", Tone::Plain),
        "intent.created" => ("made an intent", Tone::Plain),
        "intent.changed" => ("changed an intent", Tone::Plain),
        "intent.deleted" => ("deleted an intent", Tone::Plain),
        "variation.created" => ("added a variation", Tone::Plain),
        "variation.changed" => ("changed a variation", Tone::Plain),
        "variation.deleted" => ("deleted a variation", Tone::Plain),
        "item.state_changed" => ("moved an item", Tone::Plain),
        "suggestion.requested" => ("asked for a draft", Tone::Plain),
        "suggestion.drafted" => ("wrote a draft", Tone::Ask),
        "suggestion.draft_failed" => ("could not write a draft", Tone::Bad),
        "suggestion.edited" => ("changed the draft", Tone::Plain),
        "suggestion.approved" => ("approved the reply", Tone::Plain),
        "suggestion.queued" => ("queued the reply", Tone::Busy),
        "suggestion.claimed" => ("took the reply up for sending", Tone::Busy),
        "suggestion.undone" => ("took the approval back", Tone::Plain),
        "suggestion.rejected" => ("rejected the draft", Tone::Plain),
        "suggestion.regenerated" => ("asked for a new draft", Tone::Plain),
        "suggestion.retried" => ("wants the reply sent again", Tone::Plain),
        "suggestion.parked" => ("let the reply wait", Tone::Held),
        "suggestion.resumed" => ("took the waiting reply up again", Tone::Busy),
        "suggestion.held" => ("holds the reply for a person", Tone::Held),
        "suggestion.returned" => ("gave the reply back to a person", Tone::Held),
        "reply.armed" => ("began an attempt to post", Tone::Busy),
        "reply.posted" => ("saw the reply on the platform", Tone::Good),
        "reply.refused" => ("was refused by the platform", Tone::Bad),
        "reply.not_sent" => ("did not send the reply", Tone::Held),
        "reply.uncertain" => ("does not know yet whether the reply stands there", Tone::Held),
        "reply.exchange" => ("talked to the platform", Tone::Plain),
        "reply.read_back" => ("looked on the platform for the reply", Tone::Plain),
        "reply.unpublish_requested" => ("wants the reply taken down", Tone::Plain),
        "reply.revise_requested" => ("wants the posted reply changed", Tone::Plain),
        "reply.change_armed" => ("began to change the posted reply", Tone::Busy),
        "reply.change_put_off" => ("tries the change later", Tone::Held),
        "reply.change_uncertain" => ("does not know yet whether the reply was changed", Tone::Held),
        "reply.change_failed" => ("did not change the posted reply", Tone::Bad),
        "reply.unpublished" => ("took the reply down", Tone::Good),
        "reply.removed" => ("saw that the reply was removed there", Tone::Bad),
        "reply.vanished" => ("saw that the reply is gone there", Tone::Bad),
        "reply.back" => ("saw the reply stand there again", Tone::Good),
        "rules.paused" => ("paused rules, since replies were removed", Tone::Held),
        "rules.resumed" => ("let rules go on", Tone::Plain),
        "integration.policy_confirmed" => ("confirmed the platform's policy for an account", Tone::Plain),
        "watch.created" => ("began to follow something", Tone::Plain),
        "watch.changed" => ("changed what is followed", Tone::Plain),
        "watch.deleted" => ("follows something no more", Tone::Plain),
        "opt_out.noted" => ("noted that somebody wants no answers", Tone::Held),
        "opt_out.lifted" => ("lifted somebody's wish for no answers", Tone::Held),
        "reply.revised" => ("changed the posted reply", Tone::Good),
        other => (other, Tone::Plain),
    };
    if let Some(what) = about_people(row) {
        return (what, tone);
    }
    let mut what = what.to_owned();
    if row.kind == "item.state_changed"
        && let Some(state) = row.payload["after"]["state"].as_str()
    {
        what = format!("moved an item to {}", state.replace('_', " "));
    }
    if let Some(name) = subject_name(&row.payload) {
        what.push_str(&format!(" ({name})"));
    }
    (what, tone)
}

/// Who joined, left, was asked in or may do something else now.
fn about_people(row: &ActivityRow) -> Option<String> {
    let whom = row.subject_name.as_deref().unwrap_or("somebody");
    let role = |when: &str| row.payload[when]["role"].as_str().unwrap_or("another role").to_owned();
    let address = || {
        let places = [&row.payload["address"], &row.payload["after"]["address"]];
        places.into_iter().find_map(Value::as_str).unwrap_or("somebody").to_owned()
    };
    Some(match row.kind.as_str() {
        "member.joined" => format!("joined the team as {}", role("after")),
        "member.role_changed" => format!("changed the role of {whom} from {} to {}", role("before"), role("after")),
        "member.removed" => format!("removed {whom} from the team"),
        "member.left" => "left the team".to_owned(),
        "team.owner_changed" => format!("handed the team over to {whom}"),
        "invitation.created" => format!("invited {} as {}", address(), role("after")),
        "invitation.renewed" => format!("renewed the invitation of {}", address()),
        "invitation.withdrawn" => format!("withdrew the invitation of {}", address()),
        _ => return None,
    })
}

/// The name that the entry itself holds, of an intent or an account of ours.
fn subject_name(payload: &Value) -> Option<&str> {
    let places = [
        &payload["account"],
        &payload["after"]["name"],
        &payload["before"]["name"],
        &payload["after"]["host"],
        &payload["before"]["host"],
    ];
    places.into_iter().find_map(Value::as_str)
}

/// One line of a suggestion's history.
pub fn line(step: Step) -> HistoryLine {
    let times = step.times.map(|times| format!(" ({times} times)")).unwrap_or_default();
    let link = step.link.as_deref().and_then(WebLink::parse);
    HistoryLine { at: step.at, text: format!("{}{times}", step.text), until: step.until, link }
}
