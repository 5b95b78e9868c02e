//! Public writes: post, delete, hide. Each runs to its end in a task of its own, so a client that hangs up (or is killed) stops nothing.
//!
//! Order: noted as arrived, hold before the effect, planned fault, effect, journal, hold after the effect, answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::things::{Landing, XRefusal};
use super::{Caller, answer, page_of_a_gateway, plain, problem};
use crate::Shared;
use crate::connection::CutSwitch;
use crate::world::Arrival;
use crate::world::faults::{HoldPoint, Verdict, WriteFault};

#[derive(Clone, Debug)]
enum Kind {
    Post { text: String, replied_to: Option<u64> },
    Delete(u64),
}

/// How a write ended for the client.
enum End {
    Answer(Box<Response>),
    Cut,
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    body: Bytes,
) -> Response {
    let unreadable =
        || problem(400, "Invalid Request", "One or more parameters to your request was invalid.", "invalid-request");
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(&body) else { return unreadable() };
    let known = ["text", "reply", "made_with_ai", "reply_settings", "quote_tweet_id"];
    if body.keys().any(|key| !known.contains(&key.as_str())) {
        return unreadable();
    }
    let target = body.get("reply").map(|reply| reply["in_reply_to_tweet_id"].as_str().and_then(|id| id.parse().ok()));
    let (Some(text), Some(replied_to)) = (body["text"].as_str(), target.map_or(Some(None), |id| id.map(Some))) else {
        return unreadable();
    };
    detached(shared, caller, cut, Kind::Post { text: text.to_owned(), replied_to }).await
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Path(id): Path<String>,
) -> Response {
    match id.parse() {
        Ok(id) => detached(shared, caller, cut, Kind::Delete(id)).await,
        Err(_) => plain(400),
    }
}

/// An answer to a post of the account; others see it behind a fold.
pub(super) async fn hide(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let wanted = serde_json::from_slice::<Value>(&body).ok().and_then(|body| body["hidden"].as_bool());
    let (Some(hidden), Ok(id)) = (wanted, id.parse::<u64>()) else { return plain(400) };
    let mut world = shared.world();
    let root = world.x.tweets.get(&id).and_then(|tweet| world.x.tweets.get(&tweet.conversation));
    if !root.is_some_and(|root| root.author == caller.user && root.id != id) {
        return plain(403);
    }
    if let Some(tweet) = world.x.tweets.get_mut(&id) {
        tweet.hidden = hidden;
    }
    world.note("PUT", "/x/2/tweets/hidden", None, "hide", Some(&id.to_string()));
    answer(StatusCode::OK, json!({"data": {"hidden": hidden}}))
}

async fn detached(shared: Arc<Shared>, caller: Caller, cut: CutSwitch, kind: Kind) -> Response {
    let write = Write { shared, caller, kind };
    match tokio::spawn(async move { write.run().await }).await {
        Ok(End::Answer(response)) => *response,
        Ok(End::Cut) => {
            cut.cut();
            page_of_a_gateway(503)
        }
        Err(_) => plain(500),
    }
}

struct Write {
    shared: Arc<Shared>,
    caller: Caller,
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
        let fault = self.shared.world().faults.next_write(&self.thing());
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
            WriteFault::DoneThenServerError => End::Answer(Box::new(plain(500))),
            WriteFault::DoneThenDropped | WriteFault::DroppedAndHidden { .. } => End::Cut,
            WriteFault::Slow { millis } => {
                self.shared.pause(Duration::from_millis(millis)).await;
                End::Answer(response)
            }
            WriteFault::EmptyThings => End::Answer(Box::new(answer(StatusCode::CREATED, json!({})))),
            _ => End::Answer(response),
        }
    }

    fn arrive(&self) -> usize {
        let mut world = self.shared.world();
        let account = world.x.user(self.caller.user).map(|user| user.name.clone()).unwrap_or_default();
        let (at, agent, thing) = (world.now(), self.caller.agent.clone(), self.thing());
        world.arrivals.push(Arrival { at, agent, account, thing, fault: None, ended_at: None });
        world.arrivals.len() - 1
    }

    /// What the write is about.
    fn thing(&self) -> String {
        match &self.kind {
            Kind::Post { replied_to, .. } => replied_to.map_or_else(String::new, |id| id.to_string()),
            Kind::Delete(id) => id.to_string(),
        }
    }

    async fn pass(&self, point: HoldPoint) -> bool {
        let hold = self.shared.world().faults.hold_at(point, &self.caller.agent);
        match hold {
            Some(hold) => hold.wait().await == Verdict::Go,
            None => true,
        }
    }

    /// The faults and limits that keep the write from happening now.
    fn fails_before(&self, fault: &WriteFault) -> Option<End> {
        let response = match fault {
            WriteFault::Refuse { code } => refused_as(code),
            WriteFault::RateLimited { secs } => self.limited(*secs, false),
            WriteFault::TooManyRequests { secs } => self.limited(*secs, true),
            WriteFault::Forbidden => {
                problem(403, "Forbidden", "You are not permitted to perform this action.", "about:blank")
            }
            WriteFault::PaymentRequired => plain(402),
            WriteFault::ServerErrorBefore => page_of_a_gateway(503),
            WriteFault::DroppedBefore => return Some(End::Cut),
            WriteFault::LandsAfter { millis } => {
                if let Kind::Post { text, replied_to: Some(replied_to) } = &self.kind {
                    let mut world = self.shared.world();
                    let at = world.now() + Duration::from_millis(*millis);
                    let (author, text) = (self.caller.user, text.clone());
                    world.x.landings.push(Landing { at, author, text, replied_to: *replied_to });
                }
                return Some(End::Cut);
            }
            WriteFault::TokenExpired => {
                self.shared.world().x.grants.expire(&self.caller.token);
                plain(401)
            }
            _ => return self.day_is_used_up(),
        };
        Some(End::Answer(Box::new(response)))
    }

    fn limited(&self, secs: u64, told: bool) -> Response {
        let mut response = problem(429, "Too Many Requests", "Too Many Requests", "about:blank");
        let headers = response.headers_mut();
        let reset = self.caller.now.unix_timestamp() + i64::try_from(secs).unwrap_or(0);
        headers.insert("x-rate-limit-remaining", 0.into());
        headers.insert("x-rate-limit-reset", reset.into());
        if told {
            headers.insert("retry-after", secs.into());
        }
        response
    }

    fn day_is_used_up(&self) -> Option<End> {
        let mut world = self.shared.world();
        let now = world.now().unix_timestamp();
        let (left, until) = world.x_windows.day_limit.as_mut().filter(|(_, until)| *until > now)?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let mut response = problem(429, "Too Many Requests", "Too Many Requests", "about:blank");
        let headers = response.headers_mut();
        headers.insert("x-user-limit-24hour-limit", 17.into());
        headers.insert("x-user-limit-24hour-remaining", 0.into());
        headers.insert("x-user-limit-24hour-reset", (*until).into());
        Some(End::Answer(Box::new(response)))
    }

    /// Changes the world. Ok is the answer of a success, Err the answer of a refusal.
    fn take_effect(&self, fault: &WriteFault) -> Result<Box<Response>, Box<Response>> {
        let mut world = self.shared.world();
        let now = world.now();
        match &self.kind {
            Kind::Delete(id) => {
                let own = world.x.tweets.get_mut(id).filter(|tweet| tweet.author == self.caller.user && !tweet.deleted);
                let Some(tweet) = own else {
                    return Err(Box::new(problem(
                        404,
                        "Not Found Error",
                        "Could not find tweet with id.",
                        "resource-not-found",
                    )));
                };
                tweet.deleted = true;
                world.x.bill.deletes += 1;
                world.note("DELETE", "/x/2/tweets", None, "delete", Some(&id.to_string()));
                Ok(Box::new(answer(StatusCode::OK, json!({"data": {"deleted": true}}))))
            }
            Kind::Post { text, replied_to } => {
                let made =
                    world.x.try_add(self.caller.user, text, *replied_to, now).map_err(|why| Box::new(refusal(why)))?;
                world.x.charge_post(text);
                if let WriteFault::HiddenFor { millis } | WriteFault::DroppedAndHidden { millis } = fault
                    && let Some(tweet) = world.x.tweets.get_mut(&made)
                {
                    tweet.unseen_until = Some(now + Duration::from_millis(*millis));
                }
                world.note("POST", "/x/2/tweets", None, "post", Some(&made.to_string()));
                let stored = world.x.tweets.get(&made).map(|tweet| tweet.text.clone());
                Ok(Box::new(answer(StatusCode::CREATED, json!({"data": {"id": made.to_string(), "text": stored}}))))
            }
        }
    }
}

fn refusal(why: XRefusal) -> Response {
    match why {
        XRefusal::NoText => {
            problem(400, "Invalid Request", "One or more parameters to your request was invalid.", "invalid-request")
        }
        XRefusal::TooLong => problem(403, "Forbidden", "You are not permitted to perform this action.", "about:blank"),
        XRefusal::UnknownTarget => {
            let detail = "You attempted to reply to a Tweet that is deleted or not visible to you.";
            problem(400, "Invalid Request", detail, "invalid-request")
        }
        XRefusal::NotSummoned => refused_as("not_summoned"),
        XRefusal::Duplicate => refused_as("duplicate"),
    }
}

/// Refusals by a word that tests plan.
fn refused_as(word: &str) -> Response {
    match word {
        "not_summoned" => {
            let detail = "You can only reply to or quote posts where you are mentioned or are the author.";
            problem(403, "Authorization Error", detail, "not-authorized-for-resource")
        }
        "duplicate" => {
            problem(403, "Forbidden", "You are not allowed to create a Tweet with duplicate content.", "about:blank")
        }
        "access" => {
            let detail =
                "When authenticating requests to the Twitter API v2 endpoints, you must use keys from a Project.";
            problem(403, "Client Forbidden", detail, "client-forbidden")
        }
        "usage_capped" => {
            let body = json!({
                "title": "UsageCapExceeded", "detail": "Usage cap exceeded: Daily product cap", "period": "Daily", "scope": "Product",
                "account_id": 1_553_086_854_915_936_256_u64, "type": "https://api.x.com/2/problems/usage-capped",
            });
            answer(StatusCode::TOO_MANY_REQUESTS, body)
        }
        other => problem(403, "Forbidden", other, "about:blank"),
    }
}
