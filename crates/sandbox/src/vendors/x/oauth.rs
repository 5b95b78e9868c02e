//! The browser part of the consent and the token endpoint. PKCE is asked of everybody; the app signs with HTTP Basic.

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
use serde_json::json;
use url::Url;

use super::grants::Grant;
use crate::Shared;
use crate::pages::{notice, show};
use crate::world::World;
use crate::world::oauth::IssuedToken;

const SCOPES: [(&str, &str); 6] = [
    ("tweet.read", "see the posts that the account can see"),
    ("users.read", "see accounts"),
    ("tweet.write", "post and reply in its name, and delete its posts"),
    ("tweet.moderate.write", "hide replies to its posts"),
    ("offline.access", "stay connected until access is withdrawn"),
    ("like.read", "see what it likes"),
];

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/i/oauth2/authorize", get(ask).post(decide))
        .route("/2/oauth2/token", post(token))
        .route("/2/oauth2/revoke", post(revoke))
}

/// What the app asks for; the consent form sends it back with the person's decision.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Ask {
    client_id: String,
    response_type: String,
    state: String,
    redirect_uri: String,
    scope: String,
    code_challenge: String,
    code_challenge_method: String,
    account: String,
    decision: String,
}

#[derive(Template)]
#[template(path = "x_consent.html")]
struct ConsentPage {
    ask: Ask,
    rights: Vec<(&'static str, &'static str)>,
    brand: String,
    others: Vec<String>,
    redirect_origin: String,
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
    if ask.state.is_empty() || ask.state.len() > 500 {
        return Err("The state must have 1 to 500 characters.");
    }
    if ask.code_challenge.is_empty() || ask.code_challenge_method != "S256" {
        return Err("The code_challenge with the method S256 is missing.");
    }
    let known = |scope: &str| SCOPES.iter().any(|(known, _)| *known == scope);
    if ask.scope.trim().is_empty() || !ask.scope.split_whitespace().all(known) {
        return Err("A scope is missing or unknown.");
    }
    Ok(redirect)
}

fn refused(reason: &str) -> Response {
    let advice = "The app is not told; it has to be mended where it was built.";
    notice(StatusCode::BAD_REQUEST, "Something went wrong: you weren't able to give access to the app", reason, advice)
}

async fn ask(State(shared): State<Arc<Shared>>, Query(ask): Query<Ask>) -> Response {
    let world = shared.world();
    let redirect = match check(&ask, &world) {
        Ok(redirect) => redirect,
        Err(reason) => return refused(reason),
    };
    let brand = world.brand.clone().filter(|brand| world.x.user_named(brand).is_some()).unwrap_or_default();
    let others = world.x.users.iter().map(|user| user.name.clone()).filter(|name| *name != brand).collect();
    let asked: Vec<&str> = ask.scope.split_whitespace().collect();
    let rights = SCOPES.into_iter().filter(|(scope, _)| asked.contains(scope)).collect();
    let redirect_origin = redirect.origin().ascii_serialization();
    show(StatusCode::OK, &ConsentPage { ask, rights, brand, others, redirect_origin })
}

async fn decide(State(shared): State<Arc<Shared>>, Form(ask): Form<Ask>) -> Response {
    let mut world = shared.world();
    let mut redirect = match check(&ask, &world) {
        Ok(redirect) => redirect,
        Err(reason) => return refused(reason),
    };
    let user = world.x.user_named(&ask.account).map(|user| user.id).filter(|_| ask.decision == "allow");
    let outcome = match user {
        Some(user) => {
            let now = world.now();
            world.note("POST", "/x/i/oauth2/authorize", Some(&ask.account), "grant", None);
            let grant = Grant { user, scope: ask.scope.clone() };
            ("code", world.x.grants.grant_code(grant, &ask.redirect_uri, Some(&ask.code_challenge), now))
        }
        None => ("error", "access_denied".to_owned()),
    };
    redirect.query_pairs_mut().append_pair("state", &ask.state).append_pair(outcome.0, &outcome.1);
    (StatusCode::FOUND, [(header::LOCATION, redirect.to_string())]).into_response()
}

fn signed(headers: &HeaderMap, world: &World) -> bool {
    let read = || {
        let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
        let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (id, secret) = decoded.split_once(':')?;
        Some(world.oauth.secret_fits(id, secret))
    };
    read().unwrap_or(false)
}

fn unsigned() -> Response {
    let body = json!({"error": "unauthorized_client", "error_description": "Missing valid authorization header"});
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

fn wrong(what: &str) -> Response {
    let body =
        json!({"error": "invalid_request", "error_description": format!("Value passed for the {what} was invalid.")});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

fn issued(token: IssuedToken) -> Response {
    let mut body = json!({
        "token_type": "bearer", "expires_in": token.expires_in_secs, "access_token": token.access_token, "scope": token.scope,
    });
    if let Some(refresh) = token.refresh_token {
        body["refresh_token"] = refresh.into();
    }
    Json(body).into_response()
}

async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    let mut world = shared.world();
    let now = world.now();
    if !signed(&headers, &world) {
        return unsigned();
    }
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let (told, effect, what) = match field("grant_type") {
        "authorization_code" => {
            let told = world.x.grants.redeem(field("code"), field("redirect_uri"), field("code_verifier"), now);
            (told, "token", "authorization code")
        }
        "refresh_token" => (world.x.grants.refresh(field("refresh_token"), now), "refresh", "token"),
        _ => (None, "", "grant type"),
    };
    match told {
        Some(token) => {
            world.note("POST", "/x/2/oauth2/token", None, effect, None);
            issued(token)
        }
        None => wrong(what),
    }
}

async fn revoke(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    let mut world = shared.world();
    if !signed(&headers, &world) {
        return unsigned();
    }
    world.x.grants.revoke(fields.get("token").map_or("", String::as_str));
    world.note("POST", "/x/2/oauth2/revoke", None, "revoke", None);
    Json(json!({"revoked": true})).into_response()
}
