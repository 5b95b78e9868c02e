//! The browser's way through the instance: its page to sign in on, and the handshake that hands cookies to the site.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::{OriginalUri, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde_json::json;
use url::Url;

use super::{Session, token_claims, token_header};
use crate::Shared;

type Asked = Query<HashMap<String, String>>;

/// Sends the browser back to `redirect_url` with the cookies of its session, or with such that say that there is none.
pub(super) async fn handshake(State(shared): State<Arc<Shared>>, headers: HeaderMap, Query(asked): Asked) -> Response {
    let Some(mut back) = asked.get("redirect_url").and_then(|text| Url::parse(text).ok()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let issuer = own_origin(&headers);
    let site = back.origin().ascii_serialization();
    let (session, now, directives_header) = {
        let world = shared.world();
        (world.clerk.browser.clone(), world.now(), token_header())
    };
    let token = |session: &Session| {
        let claims = token_claims(&issuer, &session.user, &session.id, &site, now);
        shared.world().clerk.sign(&token_header(), &claims)
    };
    let rest = "Path=/; Max-Age=315360000; SameSite=Lax";
    let directives = match &session {
        Some(session) => vec![
            format!("__session={}; {rest}", token(session)),
            format!("__client_uat={}; {rest}", session.since.unix_timestamp()),
        ],
        None => vec!["__session=; Path=/; Max-Age=0".to_owned(), format!("__client_uat=0; {rest}")],
    };
    let payload = json!({ "handshake": directives });
    let signed = shared.world().clerk.sign(&directives_header, &payload);
    back.query_pairs_mut().append_pair("__clerk_handshake", &signed);
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, back.to_string())]).into_response()
}

pub(super) async fn sign_in_page(OriginalUri(uri): OriginalUri) -> Html<String> {
    let action = uri.to_string().replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    Html(format!(
        "<!doctype html><title>Sign in</title><h1>Sign in to the sandbox</h1><form method=\"post\" action=\"{action}\">\
         <label>User id <input name=\"user\" value=\"user_sandbox\"></label> <button>Sign in</button></form>"
    ))
}

/// Signs the browser in and sends it back; the cookie tells the site that there is a session to ask for.
pub(super) async fn sign_in(
    State(shared): State<Arc<Shared>>,
    Query(asked): Asked,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    let user = fields.get("user").map_or("user_sandbox", String::as_str);
    let since = {
        let mut world = shared.world();
        let now = world.now();
        world.clerk.sign_in(user, now);
        now.unix_timestamp()
    };
    let back = asked.get("redirect_url").map_or("/", String::as_str);
    ([(header::SET_COOKIE, format!("__client_uat={since}; Path=/; SameSite=Lax"))], Redirect::to(back)).into_response()
}

/// The address under which the browser reached the instance; the sandbox speaks no TLS.
fn own_origin(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}")
}
