//! Taking back one of our own texts. Instagram lets no text be changed. Deleting twice does no harm: what is gone counts as deleted.

use super::errors::{self, Decision};
use super::wire;
use super::write::{self, InstagramWriter, Verdict, decide_refusal, verdict_error};
use crate::error::{Remedy, Scope, SendError};
use crate::http::{Answer, address};
use crate::types::{Acted, Action, Exchange, Session};
use serde_json::{Value, json};

pub(super) async fn act(writer: &InstagramWriter, session: &Session, action: &Action) -> Result<Acted, SendError> {
    let reply_id = match action {
        Action::Delete { reply_id } => reply_id,
        Action::Edit { .. } => {
            let reason = "Instagram lets no comment be changed; take it back and write a new one".to_owned();
            let (code, exchange) = ("UNSUPPORTED".to_owned(), Exchange::default());
            return Err(SendError::Refused { code, reason, scope: Scope::Item, remedy: Remedy::Nothing, exchange });
        }
    };
    if !wire::is_id(reply_id) {
        let reason = "a reply under somebody else's post is taken back by hand, in Instagram's app".to_owned();
        return Err(SendError::NotSent(reason));
    }
    let access = write::access_of(&writer.config, session)?;
    let url = address(access.base, &[&writer.config.version, reply_id]);
    let request = access.show(writer.client.delete(url));
    let asked = json!({ "method": "DELETE", "path": format!("/{reply_id}"), "thing_id": reply_id });
    let answer = write::send(session, "delete", request, &asked).await?;
    match deleted(&answer) {
        Ok(()) => Ok(Acted { exchange: write::exchange(asked, &answer) }),
        Err(verdict) => Err(verdict_error(verdict, write::exchange(asked, &answer))),
    }
}

/// Pure: what an answer to a deletion means.
pub(super) fn deleted(answer: &Answer) -> Result<(), Verdict> {
    let body = answer.json();
    let done = body.as_ref().is_some_and(|body| body.get("success") == Some(&Value::Bool(true)));
    if answer.status == 200 && done {
        return Ok(());
    }
    if answer.status < 400 && body.as_ref().and_then(errors::graph_error).is_none() {
        return Err(Verdict::Uncertain(format!("Instagram answered {} without saying that it did it", answer.status)));
    }
    // A server that failed may have done it first, whatever code it names.
    if answer.status == 408 || answer.status >= 500 {
        return Err(Verdict::Uncertain(format!("Instagram answered {}", answer.status)));
    }
    match errors::decide(answer, Scope::Item) {
        Decision::Refused { code, .. } if code == "100/33" => Ok(()),
        decision => Err(decide_refusal(decision)),
    }
}
