//! Instagram in the Graph API's wire format, for Instagram Login: the consent page, the token host, and graph.instagram.com, all below
//! one path. Errors come as 400 whatever they are; usage headers stand on every answer of the Graph.

mod facebook;
mod fields;
mod oauth;
mod read;
mod shapes;
mod shared;
pub(crate) mod store;
mod write;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Extension, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::Shared;
use crate::connection::CutSwitch;
use crate::world::World;
use crate::world::faults::ReadFault;

/// Who calls, as the door found out.
#[derive(Clone, Debug)]
struct Caller {
    account: String,
    token: String,
    /// As it introduces itself.
    agent: String,
    now: OffsetDateTime,
    /// Set when the reader gets an old copy.
    as_of: Option<OffsetDateTime>,
    /// Where the pages for people are.
    site: String,
    by_facebook: bool,
}

/// An error of the Graph.
#[derive(Clone, Debug, PartialEq)]
struct GraphProblem {
    status: u16,
    code: i64,
    subcode: Option<u32>,
    message: String,
    transient: Option<bool>,
}

type Answered = Result<Value, GraphProblem>;

impl GraphProblem {
    fn new(status: u16, code: i64, subcode: Option<u32>, message: &str) -> Self {
        Self { status, code, subcode, message: message.to_owned(), transient: None }
    }

    fn gone() -> Self {
        let message = "Unsupported request. Object does not exist, cannot be loaded due to missing permissions, or does not support this operation";
        Self::new(400, 100, Some(33), message)
    }

    fn dead_token(subcode: Option<u32>) -> Self {
        Self::new(400, 190, subcode, "Error validating access token")
    }

    fn no_permission() -> Self {
        Self::new(400, 10, None, "(#10) Application does not have permission for this action")
    }

    fn trouble() -> Self {
        let message = "An unexpected error has occurred. Please retry your request later.";
        Self { transient: Some(true), ..Self::new(500, 2, None, message) }
    }
}

impl IntoResponse for GraphProblem {
    fn into_response(self) -> Response {
        let mut error = json!({
            "message": self.message, "type": "OAuthException", "code": self.code, "fbtrace_id": "AsandboxTrace",
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        if let Some(transient) = self.transient {
            error["is_transient"] = json!(transient);
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, Json(json!({"error": error}))).into_response()
    }
}

impl Caller {
    fn answer(&self, answered: Answered) -> Response {
        match answered {
            Ok(body) => Json(body).into_response(),
            Err(problem) => problem.into_response(),
        }
    }

    fn is_me(&self, world: &World, id: &str) -> bool {
        id == "me"
            || world.instagram.account(&self.account).is_some_and(|account| account.id == id || account.scoped_id == id)
    }
}

pub(crate) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let graph = Router::new()
        .route("/{version}/me", get(read::me))
        .route(
            "/{version}/me/subscribed_apps",
            get(write::subscriptions).post(write::subscribe).delete(write::unsubscribe),
        )
        .route("/{version}/{id}", get(read::node).post(write::change).delete(write::delete))
        // As Meta's own libraries write it.
        .route("/{version}/{id}/", get(read::node).post(write::change).delete(write::delete))
        .route("/{version}/{id}/media", get(read::media))
        .route("/{version}/{id}/comments", get(read::comments).post(write::comment))
        .route("/{version}/{id}/replies", get(read::replies).post(write::comment))
        .layer(from_fn_with_state(shared.clone(), door));
    graph.merge(oauth::router()).fallback(nothing)
}

async fn nothing() -> GraphProblem {
    GraphProblem::new(404, 2500, None, "Unknown path components")
}

/// The hosts of Facebook Login.
pub(crate) fn facebook_router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    facebook::router(shared)
}

/// The permission that a call asks for.
fn scope_of(method: &Method, path: &str) -> &'static str {
    let about_comments =
        path.ends_with("/comments") || path.ends_with("/replies") || path.ends_with("/subscribed_apps");
    if *method != Method::GET || about_comments {
        "instagram_business_manage_comments"
    } else {
        "instagram_business_basic"
    }
}

async fn door(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
    next: Next,
) -> Response {
    let scope = scope_of(request.method(), request.uri().path());
    let caller = match identify(&shared, request.headers(), &query, scope) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    admit(&shared, cut, caller, request, next).await
}

/// Budget and planned trouble, then the call itself.
async fn admit(shared: &Shared, cut: CutSwitch, mut caller: Caller, mut request: Request, next: Next) -> Response {
    let (percent, minutes) = shared.world().instagram_calls.spend(&caller.account, caller.now);
    if minutes > 0 {
        let message = "(#80002) There have been too many calls to this Instagram account.";
        return with_usage(GraphProblem::new(400, 80_002, None, message).into_response(), percent, minutes);
    }
    let mut half = false;
    if request.method() == Method::GET {
        let fault = shared.world().faults.next_read();
        match fault {
            ReadFault::Ok => {}
            ReadFault::Status { code: 401 } => return GraphProblem::dead_token(None).into_response(),
            ReadFault::Status { code: 403 } => return GraphProblem::no_permission().into_response(),
            ReadFault::Status { code: 404 } => return GraphProblem::gone().into_response(),
            ReadFault::Status { .. } => return GraphProblem::trouble().into_response(),
            ReadFault::Html { code } => return html_error(code),
            ReadFault::TooManyRequests { secs } => return limited(percent, secs),
            ReadFault::Stale { millis } => caller.as_of = Some(caller.now - Duration::from_millis(millis)),
            ReadFault::Half => half = true,
            ReadFault::Slow { millis } => shared.pause(Duration::from_millis(millis)).await,
            ReadFault::Dropped => {
                cut.cut();
                return html_error(503);
            }
        }
    }
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    with_usage(if half { super::reddit::cut_in_half(response).await } else { response }, percent, 0)
}

fn identify(
    shared: &Shared,
    headers: &HeaderMap,
    query: &HashMap<String, String>,
    scope: &str,
) -> Result<Caller, GraphProblem> {
    let world = shared.world();
    let now = world.now();
    let token = carried(headers, query)?;
    let granted = world.instagram.token(token, now).map_err(GraphProblem::dead_token)?;
    if granted.facebook.is_some() {
        return Err(GraphProblem::dead_token(None));
    }
    if !granted.scopes.iter().any(|held| held == scope) {
        return Err(GraphProblem::no_permission());
    }
    Ok(caller_of(granted.account.clone(), token, headers, now))
}

/// The token in the header, else in the query.
fn carried<'a>(headers: &'a HeaderMap, query: &'a HashMap<String, String>) -> Result<&'a str, GraphProblem> {
    let word = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let carried = word.and_then(|value| value.split_once(' ')).map(|(_, token)| token.trim());
    carried.or_else(|| query.get("access_token").map(String::as_str)).ok_or_else(|| {
        let message = "An active access token must be used to query information about the current user.";
        GraphProblem::new(400, 2500, None, message)
    })
}

fn caller_of(account: String, token: &str, headers: &HeaderMap, now: OffsetDateTime) -> Caller {
    let word = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Caller {
        account,
        token: token.to_owned(),
        agent: word(header::USER_AGENT).unwrap_or_default().to_owned(),
        now,
        as_of: None,
        site: format!("http://{}", word(header::HOST).unwrap_or("localhost")),
        by_facebook: false,
    }
}

fn with_usage(response: Response, percent: u32, minutes: i64) -> Response {
    with_both(response, percent / 2, percent, minutes)
}

/// What is used of the app's budget and of the account's, in percent.
fn with_both(mut response: Response, app: u32, percent: u32, minutes: i64) -> Response {
    let app = json!({"call_count": app, "total_time": 1, "total_cputime": 1});
    let account = json!({"178414": [{
        "type": "instagram", "call_count": percent, "total_cputime": 1, "total_time": 1,
        "estimated_time_to_regain_access": minutes,
    }]});
    for (name, value) in [("x-app-usage", app), ("x-business-use-case-usage", account)] {
        if let Ok(value) = value.to_string().parse() {
            // What a refusal told already stays.
            response.headers_mut().entry(name).or_insert(value);
        }
    }
    response
}

/// The whole app called too often.
fn limited(percent: u32, secs: u64) -> Response {
    let minutes = i64::try_from(secs.div_ceil(60)).unwrap_or(i64::MAX);
    let problem = GraphProblem::new(400, 4, None, "(#4) Application request limit reached");
    with_both(problem.into_response(), 100, percent.max(100), minutes)
}

fn html_error(code: u16) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let page =
        "<!doctype html>\n<html><head><title>Error</title></head><body>Sorry, something went wrong.</body></html>\n";
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

type Knock = Extension<Caller>;
