//! Public writes: comment, edit, delete. Each runs to its end in a task of its own, so a client that hangs up (or is
//! killed) stops nothing, as on the real platform.
//!
//! Order: noted as arrived, hold before the effect, planned fault, effect, journal, hold after the effect, answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use serde_json::{Value, json};

use super::{Caller, answer, bad_token, forbidden, html_error, plain_error, shapes, too_many_requests};
use crate::Shared;
use crate::connection::CutSwitch;
use crate::world::faults::{HoldPoint, Verdict, WriteFault};
use crate::world::{Arrival, MAX_COMMENT_CHARS, Refusal, Shown, World};

type Fields = HashMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Comment,
    Edit,
    Delete,
}

/// How a write ended for the client.
enum End {
    Answer(Box<Response>),
    Cut,
}

pub(super) async fn comment(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Form(fields): Form<Fields>,
) -> Response {
    detached(shared, caller, cut, Kind::Comment, fields).await
}

pub(super) async fn edit(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Form(fields): Form<Fields>,
) -> Response {
    detached(shared, caller, cut, Kind::Edit, fields).await
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Form(fields): Form<Fields>,
) -> Response {
    detached(shared, caller, cut, Kind::Delete, fields).await
}

async fn detached(shared: Arc<Shared>, caller: Caller, cut: CutSwitch, kind: Kind, fields: Fields) -> Response {
    let write = Write { shared, caller, kind, fields };
    match tokio::spawn(async move { write.run().await }).await {
        Ok(End::Answer(response)) => *response,
        Ok(End::Cut) => {
            cut.cut();
            html_error(503)
        }
        Err(_) => plain_error(500),
    }
}

struct Write {
    shared: Arc<Shared>,
    caller: Caller,
    kind: Kind,
    fields: Fields,
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
        let fault = self.shared.world().faults.next_write(self.thing());
        self.shared.world().arrivals[arrival].fault = Some(fault.clone());
        if let Some(end) = self.fails_before(&fault) {
            return end;
        }
        let done = self.take_effect(&fault);
        if !self.pass(HoldPoint::AfterEffect).await {
            return End::Cut;
        }
        let response = match done {
            Ok(response) => response,
            Err(refused) => return End::Answer(refused),
        };
        match fault {
            WriteFault::DoneThenServerError => End::Answer(Box::new(plain_error(500))),
            WriteFault::DoneThenDropped | WriteFault::DroppedAndHidden { .. } => End::Cut,
            WriteFault::Slow { millis } => {
                self.shared.pause(Duration::from_millis(millis)).await;
                End::Answer(response)
            }
            WriteFault::EmptyThings => End::Answer(Box::new(answer(&self.caller, self.raw(), without_things()))),
            _ => End::Answer(response),
        }
    }

    /// Notes that the write is here. Returns its place among all that came.
    fn arrive(&self) -> usize {
        let mut world = self.shared.world();
        let arrival = Arrival {
            at: world.now(),
            agent: self.caller.agent.clone(),
            account: self.caller.account.clone(),
            thing: self.thing().to_owned(),
            fault: None,
            ended_at: None,
        };
        world.arrivals.push(arrival);
        world.arrivals.len() - 1
    }

    /// What the write is about.
    fn thing(&self) -> &str {
        self.field(if self.kind == Kind::Delete { "id" } else { "thing_id" })
    }

    /// Waits where a hold says so. False: the write ends here.
    async fn pass(&self, point: HoldPoint) -> bool {
        let hold = self.shared.world().faults.hold_at(point, &self.caller.agent);
        match hold {
            Some(hold) => hold.wait().await == Verdict::Go,
            None => true,
        }
    }

    fn raw(&self) -> bool {
        self.field("raw_json") == "1"
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The faults that keep the write from happening now.
    fn fails_before(&self, fault: &WriteFault) -> Option<End> {
        let response = match fault {
            WriteFault::Refuse { code } => self.refused(code, "the sandbox was told to refuse this", None),
            WriteFault::RateLimited { secs } => self.refused("RATELIMIT", &wait_message(*secs), Some("ratelimit")),
            WriteFault::TooManyRequests { secs } => too_many_requests(*secs),
            WriteFault::Forbidden => forbidden(),
            WriteFault::CommunityRule { explanation } => against_a_rule(explanation),
            WriteFault::PaymentRequired => html_error(402),
            WriteFault::ServerErrorBefore => html_error(503),
            WriteFault::DroppedBefore => return Some(End::Cut),
            WriteFault::LandsAfter { millis } => {
                let later = Duration::from_millis(*millis);
                let (parent, text) = (self.field("thing_id"), self.field("text"));
                self.shared.world().land_later(later, &self.caller.account, parent, text);
                return Some(End::Cut);
            }
            WriteFault::TokenExpired => {
                self.shared.world().oauth.expire(&self.caller.token);
                bad_token()
            }
            _ => return None,
        };
        Some(End::Answer(Box::new(response)))
    }

    /// An error inside an HTTP 200, the vendor's usual way.
    fn refused(&self, code: &str, message: &str, field: Option<&str>) -> Response {
        answer(&self.caller, self.raw(), json!({"json": {"errors": [[code, message, field]]}}))
    }

    /// Changes the world. Ok is the answer of a success, Err the answer of a refusal.
    fn take_effect(&self, fault: &WriteFault) -> Result<Box<Response>, Box<Response>> {
        let mut world = self.shared.world();
        let body = match self.kind {
            Kind::Comment => self.comment_in(&mut world, fault)?,
            Kind::Edit => self.edit_in(&mut world)?,
            Kind::Delete => self.delete_in(&mut world),
        };
        Ok(Box::new(answer(&self.caller, self.raw(), body)))
    }

    fn comment_in(&self, world: &mut World, fault: &WriteFault) -> Result<Value, Box<Response>> {
        let author = &self.caller.account;
        let parent = self.field("thing_id");
        let now = world.now();
        let fullname = match world.try_comment(author, parent, self.field("text"), now) {
            Ok(fullname) => fullname,
            Err(refusal) => return Err(Box::new(self.refusal(refusal))),
        };
        if *fault == WriteFault::EmptyThings
            && let Some(comment) = world.comment_mut(&fullname)
        {
            comment.unlisted = true;
        }
        if let WriteFault::HiddenFor { millis } | WriteFault::DroppedAndHidden { millis } = fault {
            let until = now + Duration::from_millis(*millis);
            if let Some(comment) = world.comment_mut(&fullname) {
                comment.hidden_until = Some(until);
            }
        }
        world.note("POST", "/reddit/api/comment", Some(author), "comment", Some(&fullname));
        let listed = world.comment(&fullname).is_some_and(|comment| !comment.unlisted);
        Ok(if listed { created(world, &fullname) } else { without_things() })
    }

    fn edit_in(&self, world: &mut World) -> Result<Value, Box<Response>> {
        let author = self.caller.account.clone();
        let fullname = self.field("thing_id").to_owned();
        let text = self.field("text");
        if text.trim().is_empty() {
            return Err(Box::new(self.refusal(Refusal::NoText)));
        }
        if text.chars().count() > MAX_COMMENT_CHARS {
            return Err(Box::new(self.refusal(Refusal::TooLong)));
        }
        let now = world.now();
        let own = world.comment_mut(&fullname).filter(|comment| comment.author == author && !comment.deleted);
        let Some(comment) = own else {
            return Err(Box::new(forbidden()));
        };
        comment.body = text.to_owned();
        comment.edited_at = Some(now);
        world.note("POST", "/reddit/api/editusertext", Some(&author), "edit", Some(&fullname));
        Ok(created(world, &fullname))
    }

    /// Always a success on the wire, also for things that are missing or belong to others.
    fn delete_in(&self, world: &mut World) -> Value {
        let author = self.caller.account.clone();
        let fullname = self.field("id").to_owned();
        let own_comment = world.comment_mut(&fullname).filter(|comment| comment.author == author && !comment.deleted);
        let mut changed = own_comment.map(|comment| comment.deleted = true).is_some();
        let own_post = world.post_mut(&fullname).filter(|post| post.author == author && !post.deleted);
        changed |= own_post.map(|post| post.deleted = true).is_some();
        if changed {
            world.note("POST", "/reddit/api/del", Some(&author), "delete", Some(&fullname));
        }
        json!({})
    }

    fn refusal(&self, refusal: Refusal) -> Response {
        let too_long = format!("this is too long (max: {MAX_COMMENT_CHARS})");
        match refusal {
            Refusal::NoText => self.refused("NO_TEXT", "we need something here", Some("text")),
            Refusal::TooLong => self.refused("TOO_LONG", &too_long, Some("text")),
            Refusal::Locked => self.refused("THREAD_LOCKED", "Comments are locked.", Some("parent")),
            Refusal::Archived => self.refused("TOO_OLD", "this thread is archived", Some("parent")),
            Refusal::ParentDeleted => self.refused("DELETED_COMMENT", "that comment has been deleted", Some("parent")),
            Refusal::Suspended => self.refused("IN_TIMEOUT", "this account is suspended", None),
            Refusal::UnknownParent | Refusal::Closed => forbidden(),
        }
    }
}

fn against_a_rule(explanation: &str) -> Response {
    let body = json!({
        "fields": ["text"], "explanation": explanation, "message": "Bad Request", "reason": "SUBMIT_VALIDATION_ERROR",
        "error_type": "SUBMIT_VALIDATION_ERROR", "error": 400,
    });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// Neither an error nor a comment: taken, and not shown in the thread.
fn without_things() -> Value {
    json!({"json": {"errors": [], "data": {"things": []}}})
}

fn created(world: &World, fullname: &str) -> Value {
    let thing = world.comment(fullname).map(|made| shapes::comment(world, made, Shown::Whole, None, json!("")));
    json!({"json": {"errors": [], "data": {"things": thing.into_iter().collect::<Vec<_>>()}}})
}

/// The wait in words only, in the largest unit that fits and rounded down, as the vendor words it.
fn wait_message(secs: u64) -> String {
    let (number, unit) = if secs >= 60 { (secs / 60, "minute") } else { (secs, "second") };
    let plural = if number == 1 { "" } else { "s" };
    format!("You have been doing that a lot. Take a break for {number} {unit}{plural} before trying again.")
}
