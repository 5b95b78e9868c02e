//! Changing and taking back our own texts. The answers prove little (`/api/del` says 200 to everything, also for texts of
//! others), so the thing itself is read afterwards, and only what is seen there counts as done.

use super::states;
use super::verdict::{self, Expected, Verdict};
use super::wire;
use super::write::{Call, RedditWriter, Sent};
use crate::error::{FetchError, Remedy, Scope, SendError};
use crate::http::Answer;
use crate::types::{Acted, Action, Exchange, Session, Standing, ThingState};
use serde_json::{Value, json};

pub(super) async fn act(writer: &RedditWriter, session: &Session, action: &Action) -> Result<Acted, SendError> {
    let (Action::Edit { reply_id: id, .. } | Action::Delete { reply_id: id }) = action;
    if wire::bare(id, "t1_").is_none() {
        return Err(SendError::NotSent("this is no comment of Reddit".to_owned()));
    }
    let call = match action {
        Action::Edit { text, .. } => Call {
            name: "editusertext",
            form: vec![("api_type", "json"), ("thing_id", id), ("text", text)],
            logged: json!({
                "method": "POST", "path": "/api/editusertext", "thing_id": id, "text_chars": text.chars().count(),
            }),
        },
        Action::Delete { .. } => Call {
            name: "del",
            form: vec![("id", id)],
            logged: json!({"method": "POST", "path": "/api/del", "id": id}),
        },
    };
    let (told, exchange) = match writer.post(session, call).await? {
        Sent::Answered { answer, request } => {
            let told = said(&answer, action, writer);
            (told, Exchange { request, status: Some(answer.status), answer: verdict::for_the_log(&answer) })
        }
        Sent::Lost { reason, request } => {
            (Verdict::Uncertain(reason), Exchange { request, status: None, answer: Value::Null })
        }
    };
    match told {
        Verdict::Posted { .. } | Verdict::Unseen | Verdict::Uncertain(_) => {
            seen(writer, session, action, told, exchange).await
        }
        refused => Err(verdict::failure(refused, exchange)),
    }
}

/// What the answer to the change means, before anything was read back.
fn said(answer: &Answer, action: &Action, writer: &RedditWriter) -> Verdict {
    let (Action::Edit { reply_id: id, .. } | Action::Delete { reply_id: id }) = action;
    let told = match action {
        Action::Delete { .. } if (200..300).contains(&answer.status) => {
            Verdict::Posted { id: id.clone(), permalink: None }
        }
        _ => verdict::decide(answer, &Expected::Same(id), writer.site()),
    };
    match told {
        // Reddit answers so where the thing is of another kind or of somebody else: it says nothing about the account.
        Verdict::Refused { code, reason, scope: Scope::Account, remedy } if code == "HTTP_403" => {
            Verdict::Refused { code, reason, scope: Scope::Item, remedy }
        }
        told => told,
    }
}

async fn seen(
    writer: &RedditWriter,
    session: &Session,
    action: &Action,
    told: Verdict,
    mut exchange: Exchange,
) -> Result<Acted, SendError> {
    let (Action::Edit { reply_id: id, .. } | Action::Delete { reply_id: id }) = action;
    let stands = match look(writer, session, id).await {
        Ok(stands) => stands,
        Err(error) => {
            let reason = format!("the change was asked for, and the reply could not be read afterwards: {error}");
            return Err(SendError::Uncertain { reason, exchange });
        }
    };
    let standing = stands.as_ref().map_or(Standing::Deleted, |(state, _)| state.standing);
    exchange.answer = json!({"answer": exchange.answer, "seen": {"standing": format!("{standing:?}").to_lowercase()}});
    let refused = |code: &str, reason: &str, exchange| {
        let (code, reason) = (code.to_owned(), reason.to_owned());
        Err(SendError::Refused { code, reason, scope: Scope::Item, remedy: Remedy::Nothing, exchange })
    };
    match (action, stands) {
        (Action::Delete { .. }, _) if standing == Standing::Deleted => Ok(Acted { exchange }),
        (Action::Edit { .. }, _) if standing == Standing::Deleted => {
            refused("GONE", "the reply is not on Reddit any more", exchange)
        }
        (_, Some((_, false))) => refused("NOT_OURS", "the reply belongs to another account", exchange),
        (Action::Edit { text, .. }, Some((state, _))) if is_text(&state, text) => Ok(Acted { exchange }),
        _ => {
            let reason = match told {
                Verdict::Uncertain(reason) => reason,
                _ => "Reddit agreed, and the reply still stands as it was".to_owned(),
            };
            Err(SendError::Uncertain { reason, exchange })
        }
    }
}

fn is_text(state: &ThingState, text: &str) -> bool {
    state.text.as_deref().is_some_and(|stands| wire::normalised(stands) == wire::normalised(text))
}

/// The thing, and whether it may be ours: one without an author is nobody else's. None: Reddit does not know it.
async fn look(writer: &RedditWriter, session: &Session, id: &str) -> Result<Option<(ThingState, bool)>, FetchError> {
    let body = writer.look(session, &["api", "info"], &[("id", id)]).await?;
    let listing = wire::listing(&body);
    let listing = listing.ok_or_else(|| FetchError::Unavailable("it came in an unknown form".to_owned()))?;
    let stands = listing.children.iter().filter_map(|thing| Some((thing, states::state(thing)?)));
    Ok(stands.filter(|(_, state)| state.id == id).map(|(thing, state)| (state, may_be_ours(thing, session))).next())
}

fn may_be_ours(thing: &Value, session: &Session) -> bool {
    let data = wire::data(thing);
    let (id, name) = (wire::author_id(data), wire::author_name(data));
    (id.is_none() && name.is_none()) || wire::is_by(&session.account, id, name)
}
