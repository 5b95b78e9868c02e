//! Reddit's API: the door that every call passes (token, scope, budget, planned read faults) and the list of calls.
//!
//! Always: requests are counted per app, and an answer of the API carries the rate headers unless it is a refusal of the door; texts are HTML-escaped
//! unless the caller sent `raw_json=1`. Each route also answers with a trailing slash.

mod inbox;
mod oauth;
mod read;
mod search;
mod shapes;
mod tree;
mod write;

pub(crate) use inbox::kind_for;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::Shared;
use crate::connection::CutSwitch;
use crate::world::faults::ReadFault;
use crate::world::rates::{Budget, RateHost};
use crate::world::{Community, CommunityAccess, View, World};

/// Who calls, as the door found out.
#[derive(Clone, Debug)]
struct Caller {
    account: String,
    client_id: String,
    token: String,
    /// As it introduces itself.
    agent: String,
    view: View,
    raw_json: bool,
}

type Params = Query<HashMap<String, String>>;

/// Both hosts below a path of their own, with links for people.
pub(crate) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let site = Router::new().route("/r/{community}/comments/{*rest}", get(to_page));
    hosts(shared).merge(site).fallback(|| async { not_found() })
}

/// Both hosts without a path, for clients that can name nothing but a host.
pub(crate) fn hosts(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let api = Router::new();
    let api = both(api, "/api/v1/me", get(read::me));
    let api = both(api, "/user/{name}/submitted", get(read::submitted));
    let api = both(api, "/user/{name}/comments", get(read::comments_of_user));
    let api = both(api, "/comments/{id}", get(tree::thread));
    let api = both(api, "/comments/{id}/{slug}", get(tree::thread));
    let api = both(api, "/comments/{id}/{slug}/{comment}", get(tree::thread));
    let api = both(api, "/api/morechildren", get(tree::more_by_query).post(tree::more_by_form));
    let api = both(api, "/api/info", get(read::info));
    let api = both(api, "/r/{community}/new", get(read::new_in_community));
    let api = both(api, "/r/{community}/about/rules", get(read::rules));
    let api = both(api, "/r/{community}/search", get(search::in_community));
    let api = both(api, "/search", get(search::everywhere));
    let api = both(api, "/message/{place}", get(inbox::messages));
    let api = both(api, "/api/read_message", post(inbox::mark_read));
    let api = both(api, "/api/unread_message", post(inbox::mark_unread));
    let api = both(api, "/api/comment", post(write::comment));
    let api = both(api, "/api/editusertext", post(write::edit));
    let api = both(api, "/api/del", post(write::delete));
    let api = api.layer(from_fn_with_state(shared.clone(), door));
    api.merge(oauth::router())
}

fn both(router: Router<Arc<Shared>>, path: &str, calls: MethodRouter<Arc<Shared>>) -> Router<Arc<Shared>> {
    router.route(path, calls.clone()).route(&format!("{path}/"), calls)
}

/// A permalink below the vendor's base leads a person to the page.
async fn to_page(Path((community, rest)): Path<(String, String)>) -> Redirect {
    Redirect::to(&format!("/r/{community}/comments/{rest}"))
}

/// The scope that a route asks for.
fn scope_of(route: &str) -> &'static str {
    let route = route.trim_start_matches("/reddit");
    if route.starts_with("/api/v1/me") {
        "identity"
    } else if route.starts_with("/user/") {
        "history"
    } else if route.starts_with("/message/") || route.contains("read_message") {
        "privatemessages"
    } else if route.starts_with("/api/comment") {
        "submit"
    } else if route.starts_with("/api/editusertext") || route.starts_with("/api/del") {
        "edit"
    } else {
        "read"
    }
}

async fn door(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Query(query): Params,
    route: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let raw_json = query.get("raw_json").is_some_and(|value| value == "1");
    let mut caller = match identify(&shared, request.headers(), raw_json, scope_of(route.as_str())) {
        Ok(caller) => caller,
        Err(refused) => return *refused,
    };
    let budget = shared.world().spend_request(&caller.client_id, RateHost::Api);
    if budget.exceeded {
        return too_many_requests(budget.reset_secs.unsigned_abs());
    }
    let mut half = false;
    if request.method() == Method::GET {
        let fault = shared.world().faults.next_read();
        match fault {
            ReadFault::Ok => {}
            ReadFault::Status { code } => return with_budget(plain_error(code), budget),
            ReadFault::Html { code } => return html_error(code),
            ReadFault::TooManyRequests { secs } => return too_many_requests(secs),
            ReadFault::Stale { millis } => {
                caller.view.as_of = Some(caller.view.now - Duration::from_millis(millis));
            }
            ReadFault::Slow { millis } => shared.pause(Duration::from_millis(millis)).await,
            ReadFault::Half => half = true,
            ReadFault::Dropped => {
                cut.cut();
                return html_error(503);
            }
        }
    }
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    with_budget(if half { cut_in_half(response).await } else { response }, budget)
}

pub(super) async fn cut_in_half(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, whole.slice(..whole.len() / 2).into())
}

fn identify(shared: &Shared, headers: &HeaderMap, raw_json: bool, scope: &str) -> Result<Caller, Box<Response>> {
    let world = shared.world();
    let now = world.now();
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let grant = token.and_then(|token| world.oauth.holder(token, now));
    let (Some(token), Some(grant)) = (token, grant) else {
        return Err(Box::new(bad_token()));
    };
    if grant.scope != "*" && !grant.scope.split([' ', ',']).any(|granted| granted == scope) {
        return Err(Box::new(challenge(StatusCode::FORBIDDEN, "insufficient_scope", json!({"error": 403}))));
    }
    let (account, client_id) = (grant.account.clone(), grant.client_id.clone());
    let view = View { account: Some(account.clone()), now, as_of: None };
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Ok(Caller { account, client_id, token: token.to_owned(), agent, view, raw_json })
}

fn bad_token() -> Response {
    challenge(StatusCode::UNAUTHORIZED, "invalid_token", json!({"message": "Unauthorized", "error": 401}))
}

fn challenge(status: StatusCode, error: &str, body: Value) -> Response {
    let header_value = format!("Bearer realm=\"reddit\", error=\"{error}\"");
    (status, [(header::WWW_AUTHENTICATE, header_value)], Json(body)).into_response()
}

fn with_budget(mut response: Response, budget: Budget) -> Response {
    let headers = response.headers_mut();
    // The remaining number is a decimal, the other two are not: so the vendor sends it.
    let values = [
        ("x-ratelimit-used", budget.used.to_string()),
        ("x-ratelimit-remaining", format!("{}.0", budget.remaining)),
        ("x-ratelimit-reset", budget.reset_secs.to_string()),
    ];
    for (name, value) in values {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    response
}

/// A JSON answer in the vendor's manner.
fn answer(caller: &Caller, raw_in_body: bool, mut body: Value) -> Response {
    if !caller.raw_json && !raw_in_body {
        escape(&mut body);
    }
    Json(body).into_response()
}

fn escape(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(['&', '<', '>']) => {
            *text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        }
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(fields) => fields.values_mut().for_each(escape),
        _ => {}
    }
}

fn plain_error(code: u16) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = status.canonical_reason().unwrap_or("Error");
    if status == StatusCode::UNAUTHORIZED {
        return bad_token();
    }
    (status, Json(json!({"message": message, "error": status.as_u16()}))).into_response()
}

fn forbidden() -> Response {
    plain_error(403)
}

fn not_found() -> Response {
    plain_error(404)
}

/// How a community that lets nobody in answers.
fn closed(community: &Community) -> Option<Response> {
    let (status, body) = match community.access {
        CommunityAccess::Open => return None,
        CommunityAccess::Private => {
            (StatusCode::FORBIDDEN, json!({"reason": "private", "message": "Forbidden", "error": 403}))
        }
        CommunityAccess::Quarantined => {
            let words = "This community is quarantined. Only those who opted in may see it.";
            let body = json!({
                "reason": "quarantined", "quarantine_message": words, "quarantine_message_html": null,
                "message": "Forbidden", "error": 403,
            });
            (StatusCode::FORBIDDEN, body)
        }
        CommunityAccess::Banned => {
            (StatusCode::NOT_FOUND, json!({"reason": "banned", "message": "Not Found", "error": 404}))
        }
    };
    Some((status, Json(body)).into_response())
}

/// The community of a path, or how the vendor answers where there is none or it is closed: an unknown name leads to a search.
fn open_community<'a>(world: &'a World, name: &str) -> Result<&'a Community, Box<Response>> {
    let Some(community) = world.community(name) else {
        let search: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let to = format!("/reddit/subreddits/search?q={search}");
        return Err(Box::new((StatusCode::FOUND, [(header::LOCATION, to)]).into_response()));
    };
    match closed(community) {
        Some(refused) => Err(Box::new(refused)),
        None => Ok(community),
    }
}

fn html_error(code: u16) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let reason = status.canonical_reason().unwrap_or("Error");
    let page = format!(
        "<!doctype html>\n<html><head><title>{reason}</title></head>\n<body><h1>{reason}</h1>\n<p>The sandbox was told to answer this way.</p></body></html>\n"
    );
    (status, [(header::CONTENT_TYPE, "text/html; charset=UTF-8")], page).into_response()
}

fn too_many_requests(secs: u64) -> Response {
    let mut response = html_error(429);
    if let Ok(value) = secs.to_string().parse() {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}
