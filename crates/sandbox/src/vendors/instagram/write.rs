//! Public writes: comment, answer, hide, delete; and the subscription of an account. Each write runs to its end in a task of its own, so
//! a client that hangs up (or is killed) stops nothing, as on the real platform.
//!
//! Order: noted as arrived, hold before the effect, planned fault, effect, journal, hold after the effect, answer.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::store::{Landing, Refusal};
use super::{Answered, Caller, GraphProblem, Knock, html_error, limited};
use crate::Shared;
use crate::connection::CutSwitch;
use crate::world::faults::{HoldPoint, Verdict, WriteFault};
use crate::world::{Arrival, World};

type Fields = HashMap<String, String>;

/// Parameters come in the query, as a form or as JSON, in whatever mix.
pub(super) fn fields(query: Fields, body: &Bytes) -> Fields {
    let mut fields = query;
    if let Ok(Value::Object(members)) = serde_json::from_slice(body) {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fields.extend(members.into_iter().map(|(key, value)| (key, text(value))));
    } else {
        fields.extend(url::form_urlencoded::parse(body).into_owned());
    }
    fields
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Comment {
        text: String,
    },
    /// On a post of others that names the account.
    Mention {
        text: String,
    },
    Hide(bool),
    Delete,
}

pub(super) async fn comment(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Knock,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Path((_, target)): Path<(String, String)>,
    Query(query): Query<Fields>,
    body: Bytes,
) -> Response {
    let text = fields(query, &body).remove("message").unwrap_or_default();
    detached(Write { shared, caller, target, kind: Kind::Comment { text } }, cut).await
}

/// An answer to whoever named the account: under their comment, else under their post.
pub(super) async fn mention(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Knock,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<Fields>,
    body: Bytes,
) -> Response {
    let mut fields = fields(query, &body);
    let target = fields.remove("comment_id").or_else(|| fields.remove("media_id")).unwrap_or_default();
    if !caller.is_me(&shared.world(), &id) {
        return GraphProblem::gone().into_response();
    }
    let text = fields.remove("message").unwrap_or_default();
    detached(Write { shared, caller, target, kind: Kind::Mention { text } }, cut).await
}

pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Knock,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Path((_, target)): Path<(String, String)>,
    Query(query): Query<Fields>,
    body: Bytes,
) -> Response {
    let hide = match fields(query, &body).get("hide").map(String::as_str) {
        Some("true") => true,
        Some("false") => false,
        _ => return GraphProblem::new(400, 100, None, "(#100) The parameter hide is required").into_response(),
    };
    detached(Write { shared, caller, target, kind: Kind::Hide(hide) }, cut).await
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Knock,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Path((_, target)): Path<(String, String)>,
) -> Response {
    detached(Write { shared, caller, target, kind: Kind::Delete }, cut).await
}

/// How a write ended for the client.
enum End {
    Answer(Box<Response>),
    Cut,
}

async fn detached(write: Write, cut: CutSwitch) -> Response {
    match tokio::spawn(async move { write.run().await }).await {
        Ok(End::Answer(response)) => *response,
        Ok(End::Cut) => {
            cut.cut();
            html_error(503)
        }
        Err(_) => GraphProblem::trouble().into_response(),
    }
}

struct Write {
    shared: Arc<Shared>,
    caller: Caller,
    target: String,
    kind: Kind,
}

impl Write {
    async fn run(self) -> End {
        let arrival = self.arrive();
        let end = self.go(arrival).await;
        let mut world = self.shared.world();
        world.arrivals[arrival].ended_at = Some(world.now());
        end
    }

    async fn go(&self, arrival: usize) -> End {
        if !self.pass(HoldPoint::BeforeEffect).await {
            return End::Cut;
        }
        let fault = self.shared.world().faults.next_write(&self.target);
        self.shared.world().arrivals[arrival].fault = Some(fault.clone());
        if let Some(end) = self.fails_before(&fault) {
            return end;
        }
        let done = self.take_effect(&fault);
        if !self.pass(HoldPoint::AfterEffect).await {
            return End::Cut;
        }
        let body = match done {
            Ok(body) => body,
            Err(problem) => return End::Answer(Box::new(problem.into_response())),
        };
        match fault {
            WriteFault::DoneThenServerError => End::Answer(Box::new(GraphProblem::trouble().into_response())),
            WriteFault::DoneThenDropped | WriteFault::DroppedAndHidden { .. } => End::Cut,
            WriteFault::EmptyThings => End::Answer(Box::new(Json(json!({})).into_response())),
            WriteFault::Slow { millis } => {
                self.shared.pause(Duration::from_millis(millis)).await;
                End::Answer(Box::new(Json(body).into_response()))
            }
            _ => End::Answer(Box::new(Json(body).into_response())),
        }
    }

    /// Notes that the write is here. Returns its place among all that came.
    fn arrive(&self) -> usize {
        let mut world = self.shared.world();
        let arrival = Arrival {
            at: world.now(),
            agent: self.caller.agent.clone(),
            account: self.caller.account.clone(),
            thing: self.target.clone(),
            fault: None,
            ended_at: None,
        };
        world.arrivals.push(arrival);
        world.arrivals.len() - 1
    }

    /// Waits where a hold says so. False: the write ends here.
    async fn pass(&self, point: HoldPoint) -> bool {
        let hold = self.shared.world().faults.hold_at(point, &self.caller.agent);
        match hold {
            Some(hold) => hold.wait().await == Verdict::Go,
            None => true,
        }
    }

    /// The faults that keep the write from happening now.
    fn fails_before(&self, fault: &WriteFault) -> Option<End> {
        let told = "the sandbox was told to answer this way";
        let response = match fault {
            WriteFault::Refuse { code } => planned_refusal(code, told).into_response(),
            WriteFault::RateLimited { secs } | WriteFault::TooManyRequests { secs } => limited(100, *secs),
            WriteFault::Forbidden | WriteFault::PaymentRequired => GraphProblem::no_permission().into_response(),
            WriteFault::ServerErrorBefore => html_error(503),
            WriteFault::DroppedBefore => return Some(End::Cut),
            WriteFault::LandsAfter { millis } => {
                if let Kind::Comment { text } = &self.kind {
                    let mut world = self.shared.world();
                    let at = world.now() + Duration::from_millis(*millis);
                    let (author, target) = (self.caller.account.clone(), self.target.clone());
                    world.instagram.landings.push(Landing { at, author, target, text: text.clone() });
                }
                return Some(End::Cut);
            }
            WriteFault::TokenExpired => {
                self.shared.world().instagram.kill(&self.caller.token, 463);
                GraphProblem::dead_token(Some(463)).into_response()
            }
            _ => return None,
        };
        Some(End::Answer(Box::new(response)))
    }

    /// Changes the world.
    fn take_effect(&self, fault: &WriteFault) -> Answered {
        let mut world = self.shared.world();
        let now = world.now();
        let account = self.caller.account.clone();
        if let Kind::Mention { text } = &self.kind {
            return answer_mention(&mut world, &account, &self.target, text);
        }
        let media = world.instagram.comment(&self.target).map_or(&self.target, |comment| &comment.media);
        if world.instagram.media(media).is_none_or(|media| media.owner != account) {
            return Err(GraphProblem::gone());
        }
        match &self.kind {
            Kind::Mention { .. } => Err(GraphProblem::trouble()),
            Kind::Comment { text } => {
                let made = world.instagram.try_comment(&account, &self.target, text, now).map_err(refusal)?;
                if let WriteFault::HiddenFor { millis } | WriteFault::DroppedAndHidden { millis } = fault
                    && let Some(comment) = world.instagram.comment_mut(&made)
                {
                    comment.hidden_until = Some(now + Duration::from_millis(*millis));
                }
                world.note("POST", "/instagram/replies", Some(&account), "comment", Some(&made));
                Ok(json!({"id": made}))
            }
            Kind::Hide(hide) => {
                let comment = world.instagram.comment_mut(&self.target).ok_or_else(GraphProblem::gone)?;
                // The owner's own comments stay visible.
                comment.hidden = *hide && comment.author != account;
                world.note("POST", "/instagram/comment", Some(&account), "hide", Some(&self.target));
                Ok(json!({"success": true}))
            }
            Kind::Delete => {
                let comment = world.instagram.comment_mut(&self.target).filter(|comment| !comment.deleted);
                comment.ok_or_else(GraphProblem::gone)?.deleted = true;
                world.note("DELETE", "/instagram/comment", Some(&account), "delete", Some(&self.target));
                Ok(json!({"success": true}))
            }
        }
    }
}

fn answer_mention(world: &mut World, account: &str, target: &str, text: &str) -> Answered {
    let now = world.now();
    let store = &world.instagram;
    let said = store.comment(target).filter(|comment| !comment.deleted).map(|comment| &comment.text);
    let said = said.or_else(|| store.media(target).map(|media| &media.caption));
    if !said.is_some_and(|said| super::shapes::names(said, account)) {
        return Err(GraphProblem::gone());
    }
    let made = world.instagram.try_comment(account, target, text, now).map_err(refusal)?;
    world.note("POST", "/facebook/mentions", Some(account), "comment", Some(&made));
    Ok(json!({"id": made}))
}

/// "100/33", "368", or a code of tomorrow.
fn planned_refusal(code: &str, message: &str) -> GraphProblem {
    let (code, subcode) = code.split_once('/').map_or((code, None), |(code, subcode)| (code, subcode.parse().ok()));
    GraphProblem::new(400, code.parse().unwrap_or(100), subcode, message)
}

fn refusal(refusal: Refusal) -> GraphProblem {
    match refusal {
        Refusal::NoText => GraphProblem::new(400, 100, None, "(#100) The parameter message is required"),
        Refusal::TooLong => GraphProblem::new(400, 100, None, "(#100) Param message is too long"),
        Refusal::Closed => GraphProblem::new(400, 100, Some(2_207_078), "Comments are turned off for this post"),
        Refusal::Hidden => GraphProblem::new(400, 100, Some(2_207_079), "A hidden comment takes no replies"),
        Refusal::Gone => GraphProblem::gone(),
    }
}

pub(super) async fn subscriptions(State(shared): State<Arc<Shared>>, Extension(caller): Knock) -> Response {
    let world = shared.world();
    let fields = world.instagram.subscribed.get(&caller.account).cloned().unwrap_or_default();
    let list =
        if fields.is_empty() { json!([]) } else { json!([{"id": "sandbox-client", "subscribed_fields": fields}]) };
    Json(json!({"data": list})).into_response()
}

pub(super) async fn subscribe(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Knock,
    Query(query): Query<Fields>,
    body: Bytes,
) -> Response {
    let wanted = fields(query, &body).remove("subscribed_fields").unwrap_or_default();
    let wanted: BTreeSet<String> = wanted.split(',').filter(|field| !field.is_empty()).map(str::to_owned).collect();
    const KNOWN: [&str; 5] = ["comments", "live_comments", "mentions", "messages", "story_insights"];
    turn_on(&shared, &caller, wanted, &KNOWN, "/instagram/me/subscribed_apps")
}

/// Has the account's events sent, where all of the fields are known here.
pub(super) fn turn_on(
    shared: &Shared,
    caller: &Caller,
    wanted: BTreeSet<String>,
    known: &[&str],
    path: &str,
) -> Response {
    if wanted.is_empty() || !wanted.iter().all(|field| known.contains(&field.as_str())) {
        return GraphProblem::new(
            400,
            100,
            None,
            "(#100) Param subscribed_fields is missing or names an unknown field",
        )
        .into_response();
    }
    let mut world = shared.world();
    world.instagram.subscribed.insert(caller.account.clone(), wanted);
    world.note(Method::POST.as_str(), path, Some(&caller.account), "subscribe", None);
    Json(json!({"success": true})).into_response()
}

pub(super) async fn unsubscribe(State(shared): State<Arc<Shared>>, Extension(caller): Knock) -> Response {
    let mut world = shared.world();
    world.instagram.subscribed.remove(&caller.account);
    world.note("DELETE", "/instagram/me/subscribed_apps", Some(&caller.account), "unsubscribe", None);
    Json(json!({"success": true})).into_response()
}
