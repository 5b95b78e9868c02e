//! The browser part of the consent and the token endpoint. A wrong client, redirect, scope or response type is a 400
//! page for the person, never a redirect. The token endpoint's statuses are the vendor's own: many errors come as 200.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{plain_error, with_budget};
use crate::pages::{notice, show};
use crate::vendors::DEFAULT_CLIENT;
use crate::world::World;
use crate::world::oauth::{Grant, IssuedToken};
use crate::world::rates::{Budget, RateHost};
use crate::{Shared, WorldGuard};

/// What an app may ask for, and what that lets it do in the words of the consent page.
const SCOPES: [(&str, &str); 14] = [
    ("*", "do everything the account can do"),
    ("account", "change its settings"),
    ("edit", "edit and delete its own posts and comments"),
    ("flair", "choose the flair of its posts"),
    ("history", "see its posts, comments and votes"),
    ("identity", "know its name and since when it exists"),
    ("mysubreddits", "see which communities it follows"),
    ("privatemessages", "read its inbox and send private messages"),
    ("read", "read threads and comments"),
    ("report", "report content to moderators"),
    ("save", "save posts and comments"),
    ("submit", "write posts and comments in its name"),
    ("subscribe", "follow and leave communities"),
    ("vote", "vote on posts and comments"),
];

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/authorize", get(ask).post(decide))
        .route("/api/v1/access_token", post(access_token))
        .route("/api/v1/access_token/", post(access_token))
        .route("/api/v1/revoke_token", post(revoke_token))
        .route("/api/v1/revoke_token/", post(revoke_token))
}

/// What the app asks for; the consent form sends it back with the person's decision.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Ask {
    client_id: String,
    response_type: String,
    state: String,
    redirect_uri: String,
    duration: String,
    scope: String,
    account: String,
    decision: String,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    ask: Ask,
    app: String,
    rights: Vec<(&'static str, &'static str)>,
    /// Chosen at first; empty where no account is the brand's.
    brand: String,
    strangers: Vec<String>,
    redirect_origin: String,
}

/// What people call the app.
fn app_name(client_id: &str) -> String {
    if client_id == DEFAULT_CLIENT { "Rejoinder".to_owned() } else { client_id.to_owned() }
}

fn refused(reason: &str) -> Response {
    let advice = "The app is not told; it has to be mended where it was built.";
    notice(StatusCode::BAD_REQUEST, "This request for access is not valid", reason, advice)
}

fn scopes_of(scope: &str) -> Vec<String> {
    scope.split([' ', ',']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The parsed redirect, or why the person gets a 400 page.
fn check(ask: &Ask, world: &World) -> Result<Url, &'static str> {
    if !world.oauth.knows_client(&ask.client_id) {
        return Err("No app has this client_id.");
    }
    let redirect = Url::parse(&ask.redirect_uri).map_err(|_| "The redirect_uri is not a URL.")?;
    if !redirect.host_str().is_some_and(|host| world.oauth.redirect_hosts.iter().any(|known| known == host)) {
        return Err("The redirect_uri is not registered for this app.");
    }
    if ask.response_type != "code" {
        return Err("The response_type must be code.");
    }
    if ask.state.is_empty() {
        return Err("The state is missing.");
    }
    if !matches!(ask.duration.as_str(), "" | "temporary" | "permanent") {
        return Err("The duration must be temporary or permanent.");
    }
    let scopes = scopes_of(&ask.scope);
    if scopes.is_empty() || !scopes.iter().all(|scope| SCOPES.iter().any(|(known, _)| known == scope)) {
        return Err("A scope is missing or unknown.");
    }
    Ok(redirect)
}

async fn ask(State(shared): State<Arc<Shared>>, Query(ask): Query<Ask>) -> Response {
    let world = shared.world();
    let redirect = match check(&ask, &world) {
        Ok(redirect) => redirect,
        Err(reason) => return refused(reason),
    };
    let brand = world.brand.clone().unwrap_or_default();
    let mut strangers: Vec<String> = world.accounts.iter().map(|account| account.name.clone()).collect();
    strangers.retain(|name| *name != brand);
    strangers.sort_unstable();
    let asked = scopes_of(&ask.scope);
    let rights = asked.iter().filter_map(|scope| SCOPES.iter().find(|(known, _)| known == scope).copied()).collect();
    let app = app_name(&ask.client_id);
    let redirect_origin = redirect.origin().ascii_serialization();
    show(StatusCode::OK, &ConsentPage { ask, app, rights, brand, strangers, redirect_origin })
}

async fn decide(State(shared): State<Arc<Shared>>, Form(ask): Form<Ask>) -> Response {
    let mut world = shared.world();
    let mut redirect = match check(&ask, &world) {
        Ok(redirect) => redirect,
        Err(reason) => return refused(reason),
    };
    let account = world.account(&ask.account).map(|account| account.name.clone());
    let outcome = match account.filter(|_| ask.decision == "allow") {
        Some(account) => {
            let now = world.now();
            world.note("POST", "/reddit/api/v1/authorize", Some(&account), "grant", None);
            let grant = Grant {
                account,
                client_id: ask.client_id.clone(),
                redirect_uri: ask.redirect_uri.clone(),
                scope: scopes_of(&ask.scope).join(" "),
                permanent: ask.duration == "permanent",
            };
            ("code", world.oauth.grant_code(grant, now))
        }
        None => ("error", "access_denied".to_owned()),
    };
    redirect.query_pairs_mut().append_pair("state", &ask.state).append_pair(outcome.0, &outcome.1);
    // The vendor's redirects have been seen with this harmless tail; a client must strip it.
    redirect.set_fragment(Some("_"));
    (StatusCode::FOUND, [(header::LOCATION, redirect.to_string())]).into_response()
}

/// The app that signs with HTTP Basic, if its secret fits.
fn client(headers: &HeaderMap, world: &World) -> Option<String> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    world.oauth.secret_fits(id, secret).then(|| id.to_owned())
}

fn unknown_client() -> Response {
    let body = Json(json!({"message": "Unauthorized", "error": 401}));
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"reddit\"")], body).into_response()
}

fn issued(token: &IssuedToken) -> Response {
    let mut body = json!({
        "access_token": token.access_token, "token_type": "bearer",
        "expires_in": token.expires_in_secs, "scope": token.scope,
    });
    if let Some(refresh_token) = &token.refresh_token {
        body["refresh_token"] = Value::String(refresh_token.clone());
    }
    Json(body).into_response()
}

/// JSON, unlike the API host's.
fn too_many(budget: Budget) -> Response {
    let body = Json(json!({"message": "Too Many Requests", "error": 429}));
    let mut response = (StatusCode::TOO_MANY_REQUESTS, body).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, budget.reset_secs.into());
    response
}

fn in_band(error: &str) -> Response {
    Json(json!({"error": error})).into_response()
}

async fn access_token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    let mut world = shared.world();
    let now = world.now();
    let Some(client) = client(&headers, &world) else {
        return unknown_client();
    };
    let budget = world.spend_request(&client, RateHost::Token);
    if budget.exceeded {
        return too_many(budget);
    }
    with_budget(exchange(&mut world, &client, &fields, now), budget)
}

fn exchange(
    world: &mut WorldGuard<'_>,
    client: &str,
    fields: &HashMap<String, String>,
    now: time::OffsetDateTime,
) -> Response {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    match field("grant_type") {
        "authorization_code" => {
            if field("code").is_empty() {
                return in_band("invalid_request");
            }
            match world.oauth.redeem_code(field("code"), client, field("redirect_uri"), now) {
                Some(token) => {
                    world.note("POST", "/reddit/api/v1/access_token", None, "token", None);
                    issued(&token)
                }
                None => in_band("invalid_grant"),
            }
        }
        "refresh_token" => match world.oauth.refresh(field("refresh_token"), client, now) {
            Some(token) => {
                world.note("POST", "/reddit/api/v1/access_token", None, "refresh", None);
                issued(&token)
            }
            None => plain_error(400),
        },
        "password" => Json(json!({
            "error": "unauthorized_client", "error_description": "this kind of app may not use passwords",
        }))
        .into_response(),
        "" => in_band("invalid_request"),
        _ => in_band("unsupported_grant_type"),
    }
}

/// Unknown tokens are a success too.
async fn revoke_token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    let mut world = shared.world();
    let Some(client) = client(&headers, &world) else {
        return unknown_client();
    };
    let budget = world.spend_request(&client, RateHost::Token);
    if budget.exceeded {
        return too_many(budget);
    }
    let known = fields.get("token").is_some_and(|token| world.oauth.revoke(token));
    if known {
        world.note("POST", "/reddit/api/v1/revoke_token", None, "revoke", None);
    }
    let done = (StatusCode::OK, [(header::CONTENT_TYPE, "application/json; charset=UTF-8")], "").into_response();
    with_budget(done, budget)
}
