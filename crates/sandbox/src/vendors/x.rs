//! X's API v2: the door that every call passes (token, scope, limits, planned read faults) and the list of calls. Everything of it stands in
//! a world of its own beside Reddit's: accounts with numeric ids, posts whose ids tell their time, grants with refresh tokens that work once.
//!
//! Always: an answer carries `x-rate-limit-*`; only the members that were asked for are shown; what is read is billed once a day.

pub(crate) mod activity;
mod grants;
mod links;
mod oauth;
pub(crate) mod pages;
mod query;
mod read;
mod shapes;
pub(crate) mod things;
mod write;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::Shared;
use crate::connection::CutSwitch;
use crate::world::faults::ReadFault;

pub(crate) use things::XWorld;

pub(crate) fn grant(user: u64, scope: &str) -> grants::Grant {
    grants::Grant { user, scope: scope.to_owned() }
}

type Params = Query<HashMap<String, String>>;

/// Who calls, as the door found out.
#[derive(Clone, Debug)]
struct Caller {
    user: u64,
    token: String,
    agent: String,
    now: OffsetDateTime,
    /// Set when the reader gets an old copy.
    as_of: Option<OffsetDateTime>,
}

pub(crate) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let api = Router::new()
        .route("/2/users/me", get(read::me))
        .route("/2/users/{id}/mentions", get(read::mentions))
        .route("/2/users/{id}/tweets", get(read::own))
        .route("/2/tweets/search/recent", get(read::search))
        .route("/2/tweets", get(read::many).post(write::create))
        .route("/2/tweets/{id}", get(read::one).delete(write::delete))
        .route("/2/tweets/{id}/hidden", put(write::hide))
        .route("/2/activity/subscriptions", get(activity::list).post(activity::subscribe))
        .layer(from_fn_with_state(shared.clone(), door));
    api.merge(oauth::router()).merge(pages::router())
}

/// Scope and calls in 15 minutes of a route, as documented.
fn rules_of(method: &Method, route: &str) -> (&'static str, u32) {
    let route = route.trim_start_matches("/x");
    match (method.as_str(), route) {
        (_, "/2/activity/subscriptions") => ("tweet.read", 500),
        ("POST", _) => ("tweet.write", 100),
        ("DELETE", _) => ("tweet.write", 50),
        ("PUT", _) => ("tweet.moderate.write", 50),
        (_, "/2/users/me") => ("users.read", 75),
        (_, "/2/tweets") => ("tweet.read", 5000),
        (_, route) if route.ends_with("/tweets") || route.ends_with("{id}") => ("tweet.read", 900),
        _ => ("tweet.read", 300),
    }
}

/// What is left of a route's calls for a user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    limit: u32,
    remaining: u32,
    reset: i64,
}

/// Calls in the current quarter of an hour, by user and route. A restart forgets them.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    used: HashMap<(u64, String), (i64, u32)>,
    /// Posts that a user may still make until the second time, where a test set that.
    pub(crate) day_limit: Option<(u32, i64)>,
    /// Instead of the documented limits.
    pub(crate) every_limit: Option<u32>,
}

const WINDOW_SECS: i64 = 15 * 60;

impl Windows {
    /// None: no call is left.
    fn spend(&mut self, user: u64, route: &str, limit: u32, now: OffsetDateTime) -> (Left, bool) {
        let limit = self.every_limit.unwrap_or(limit);
        let window = now.unix_timestamp().div_euclid(WINDOW_SECS);
        let used = self.used.entry((user, route.to_owned())).or_insert((window, 0));
        if used.0 != window {
            *used = (window, 0);
        }
        let allowed = used.1 < limit;
        used.1 += u32::from(allowed);
        (Left { limit, remaining: limit.saturating_sub(used.1), reset: (window + 1) * WINDOW_SECS }, allowed)
    }
}

async fn door(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    route: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let (scope, limit) = rules_of(request.method(), route.as_str());
    let mut caller = match identify(&shared, request.headers(), scope) {
        Ok(caller) => caller,
        Err(refused) => return *refused,
    };
    let counted = format!("{} {}", request.method(), route.as_str());
    let (left, allowed) = shared.world().x_windows.spend(caller.user, &counted, limit, caller.now);
    if !allowed {
        return with_left(problem(429, "Too Many Requests", "Too Many Requests", "about:blank"), left);
    }
    let mut half = false;
    if request.method() == Method::GET {
        let fault = shared.world().faults.next_read();
        match fault {
            ReadFault::Ok => {}
            ReadFault::Status { code } => return with_left(plain(code), left),
            ReadFault::Html { code } => return page_of_a_gateway(code),
            ReadFault::TooManyRequests { secs } => return too_many(&caller, secs, left),
            ReadFault::Stale { millis } => caller.as_of = Some(caller.now - Duration::from_millis(millis)),
            ReadFault::Slow { millis } => shared.pause(Duration::from_millis(millis)).await,
            ReadFault::Half => half = true,
            ReadFault::Dropped => {
                cut.cut();
                return page_of_a_gateway(503);
            }
        }
    }
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    with_left(if half { super::reddit::cut_in_half(response).await } else { response }, left)
}

fn identify(shared: &Shared, headers: &HeaderMap, scope: &str) -> Result<Caller, Box<Response>> {
    let world = shared.world();
    let now = world.now();
    let word = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let token = word(header::AUTHORIZATION).and_then(|value| value.split_once(' ')).map(|(_, token)| token.trim());
    let grant = token.and_then(|token| world.x.grants.holder(token, now));
    let (Some(token), Some(grant)) = (token, grant) else {
        return Err(Box::new(plain(401)));
    };
    if !grant.scope.split(' ').any(|granted| granted == scope) {
        return Err(Box::new(plain(403)));
    }
    let agent = word(header::USER_AGENT).unwrap_or_default().to_owned();
    Ok(Caller { user: grant.user, token: token.to_owned(), agent, now, as_of: None })
}

fn with_left(mut response: Response, left: Left) -> Response {
    let pairs = [
        ("x-rate-limit-limit", i64::from(left.limit)),
        ("x-rate-limit-remaining", i64::from(left.remaining)),
        ("x-rate-limit-reset", left.reset),
    ];
    for (name, value) in pairs {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name, value.into());
        }
    }
    response
}

/// A refusal in X's usual form.
fn problem(status: u16, title: &str, detail: &str, kind: &str) -> Response {
    let kind = if kind == "about:blank" { kind.to_owned() } else { format!("https://api.x.com/2/problems/{kind}") };
    let body = json!({"title": title, "detail": detail, "type": kind, "status": status});
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (code, Json(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
    response
}

fn plain(code: u16) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let title = status.canonical_reason().unwrap_or("Error");
    match code {
        402 => problem(402, "Payment Required", "Your account does not have any credits left.", "credits-depleted"),
        _ => problem(status.as_u16(), title, title, "about:blank"),
    }
}

/// A parameter that does not fit.
fn invalid(parameter: &str, value: &str, message: &str) -> Response {
    let body = json!({
        "errors": [{"parameters": {parameter: [value]}, "message": message}],
        "title": "Invalid Request", "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.x.com/2/problems/invalid-request",
    });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

fn page_of_a_gateway(code: u16) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let page = format!("<html><head><title>{code}</title></head><body><h1>{status}</h1></body></html>");
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

fn too_many(caller: &Caller, secs: u64, left: Left) -> Response {
    let reset = caller.now.unix_timestamp() + i64::try_from(secs).unwrap_or(i64::MAX / 2);
    let response = problem(429, "Too Many Requests", "Too Many Requests", "about:blank");
    with_left(response, Left { remaining: 0, reset, ..left })
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}
