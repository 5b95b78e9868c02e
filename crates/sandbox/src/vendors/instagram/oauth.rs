//! The consent page, the token host and the exchange of tokens. The token host words its errors flat, without `error`.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde::Deserialize;
use serde_json::json;
use time::Duration;
use url::Url;

use super::GraphProblem;
use super::store::{LONG_LIFE, SHORT_LIFE};
use crate::Shared;
use crate::pages::{notice, show};
use crate::world::World;

/// What an app may ask for, and what that lets it do in the words of the consent page.
const SCOPES: [(&str, &str); 5] = [
    ("instagram_business_basic", "see the profile and the posts"),
    ("instagram_business_manage_comments", "read, write, hide and delete comments"),
    ("instagram_business_manage_messages", "read and answer messages"),
    ("instagram_business_content_publish", "publish posts"),
    ("instagram_business_manage_insights", "see insights"),
];
/// A token younger than this is not renewed.
const RENEWABLE_AFTER: Duration = Duration::DAY;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/oauth/authorize", get(ask).post(decide))
        .route("/oauth/access_token", post(access_token))
        .route("/access_token", get(exchange))
        .route("/refresh_access_token", get(refresh))
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
}

#[derive(Template)]
#[template(path = "instagram_consent.html")]
struct ConsentPage {
    ask: Ask,
    rights: Vec<(&'static str, &'static str)>,
    /// Chosen at first; empty where no account is the brand's.
    brand: String,
    others: Vec<String>,
    redirect_origin: String,
}

pub(super) fn scopes_of(scope: &str) -> Vec<String> {
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
    let scopes = scopes_of(&ask.scope);
    if scopes.is_empty() || !scopes.iter().all(|scope| SCOPES.iter().any(|(known, _)| known == scope)) {
        return Err("A scope is missing or unknown.");
    }
    Ok(redirect)
}

pub(super) fn refused(reason: &str) -> Response {
    notice(
        StatusCode::BAD_REQUEST,
        "This request for access is not valid",
        reason,
        "It has to be mended where the app was built.",
    )
}

async fn ask(State(shared): State<Arc<Shared>>, Query(ask): Query<Ask>) -> Response {
    let world = shared.world();
    let redirect = match check(&ask, &world) {
        Ok(redirect) => redirect,
        Err(reason) => return refused(reason),
    };
    let brand = world.instagram.brand.clone().unwrap_or_default();
    let mut others: Vec<String> = world.instagram.accounts.iter().map(|account| account.username.clone()).collect();
    others.retain(|name| *name != brand);
    others.sort_unstable();
    let asked = scopes_of(&ask.scope);
    let rights = asked.iter().filter_map(|scope| SCOPES.iter().find(|(known, _)| known == scope).copied()).collect();
    let redirect_origin = redirect.origin().ascii_serialization();
    show(StatusCode::OK, &ConsentPage { ask, rights, brand, others, redirect_origin })
}

/// The person may untick permissions: `grant` comes once for each that is left.
async fn decide(State(shared): State<Arc<Shared>>, Form(fields): Form<Vec<(String, String)>>) -> Response {
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let mut world = shared.world();
    let asked = Ask {
        client_id: field("client_id").to_owned(),
        response_type: field("response_type").to_owned(),
        state: field("state").to_owned(),
        redirect_uri: field("redirect_uri").to_owned(),
        scope: field("scope").to_owned(),
    };
    let mut redirect = match check(&asked, &world) {
        Ok(redirect) => redirect,
        Err(reason) => return refused(reason),
    };
    let account = world.instagram.account(field("account")).map(|account| account.username.clone());
    match account.filter(|_| field("decision") == "allow") {
        Some(account) => {
            let wanted = scopes_of(&asked.scope);
            let ticked = |scope: &&String| fields.iter().any(|(key, value)| key == "grant" && value == *scope);
            let granted: Vec<String> = wanted.iter().filter(ticked).cloned().collect();
            let now = world.now();
            let code = world.instagram.grant_code(&account, &asked.redirect_uri, &granted, now);
            world.note("POST", "/instagram/oauth/authorize", Some(&account), "grant", None);
            redirect.query_pairs_mut().append_pair("code", &code).append_pair("state", &asked.state);
        }
        None => {
            redirect
                .query_pairs_mut()
                .append_pair("error", "access_denied")
                .append_pair("error_reason", "user_denied")
                .append_pair("error_description", "The user denied your request")
                .append_pair("state", &asked.state);
        }
    }
    redirect.set_fragment(Some("_"));
    (StatusCode::FOUND, [(header::LOCATION, redirect.to_string())]).into_response()
}

fn flat(message: &str) -> Response {
    let body = json!({"error_type": "OAuthException", "code": 400, "error_message": message});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

async fn access_token(State(shared): State<Arc<Shared>>, Form(fields): Form<HashMap<String, String>>) -> Response {
    let mut world = shared.world();
    let now = world.now();
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    if !world.oauth.secret_fits(field("client_id"), field("client_secret")) {
        return flat("Invalid platform app");
    }
    if field("grant_type") != "authorization_code" {
        return flat("Invalid grant_type");
    }
    let Some(code) = world.instagram.redeem(field("code"), now).filter(|code| code.facebook.is_none()) else {
        return flat("Matching code was not found or was already used");
    };
    if code.redirect_uri != field("redirect_uri") {
        return flat(
            "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request",
        );
    }
    let token = world.instagram.issue(&code.account, &code.scopes, SHORT_LIFE, now);
    let user_id = world.instagram.ensure_account(&code.account).scoped_id;
    world.note("POST", "/instagram/oauth/access_token", Some(&code.account), "token", None);
    // Documented as a list of one with the permissions in one text.
    Json(json!({"data": [{"access_token": token, "user_id": user_id, "permissions": code.scopes.join(",")}]}))
        .into_response()
}

async fn exchange(State(shared): State<Arc<Shared>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut world = shared.world();
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    if field("grant_type") != "ig_exchange_token" {
        return GraphProblem::new(400, 100, None, "Unsupported grant_type").into_response();
    }
    if !world.oauth.knows_secret(field("client_secret")) {
        return GraphProblem::new(400, 101, None, "Error validating application. Invalid client secret")
            .into_response();
    }
    renewed(&mut world, field("access_token"), "token")
}

async fn refresh(State(shared): State<Arc<Shared>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut world = shared.world();
    let now = world.now();
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    if field("grant_type") != "ig_refresh_token" {
        return GraphProblem::new(400, 100, None, "Unsupported grant_type").into_response();
    }
    match world.instagram.token(field("access_token"), now) {
        Ok(token) if !token.long_lived || now - token.issued_at < RENEWABLE_AFTER => {
            GraphProblem::new(400, 100, None, "(#100) The token is too young to be refreshed").into_response()
        }
        _ => renewed(&mut world, field("access_token"), "refresh"),
    }
}

/// A long-lived token in place of one that works.
fn renewed(world: &mut World, token: &str, effect: &str) -> Response {
    let now = world.now();
    if world.instagram_calls.token_trouble {
        return GraphProblem::trouble().into_response();
    }
    let granted = match world.instagram.token(token, now) {
        Ok(granted) => granted.clone(),
        Err(subcode) => return GraphProblem::dead_token(subcode).into_response(),
    };
    let fresh = world.instagram.issue(&granted.account, &granted.scopes, LONG_LIFE, now);
    world.note("GET", "/instagram/access_token", Some(&granted.account), effect, None);
    Json(json!({"access_token": fresh, "token_type": "bearer", "expires_in": LONG_LIFE.as_secs()})).into_response()
}
