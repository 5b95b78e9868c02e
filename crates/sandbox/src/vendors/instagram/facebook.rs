//! Facebook Login: the consent page on which the person shares Pages, the token calls, the list of Pages, and the same Graph for the
//! accounts behind them. Every call with a token must carry the proof that the caller has the app's secret.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Extension, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use ring::hmac;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::oauth::{refused, scopes_of};
use super::store::{LONG_LIFE, SHORT_LIFE, SharedPages as Granted};
use super::{Caller, GraphProblem, Knock, admit, caller_of, carried, nothing, read, write};
use crate::Shared;
use crate::connection::CutSwitch;
use crate::pages::show;
use crate::world::World;

/// What an app may ask for, and what that lets it do in the words of the consent page.
const SCOPES: [(&str, &str); 5] = [
    ("instagram_basic", "see the Instagram profile and its posts"),
    ("instagram_manage_comments", "read, write, hide and delete comments"),
    ("pages_show_list", "see which Pages you manage"),
    ("pages_read_engagement", "read what is posted on them"),
    ("pages_manage_metadata", "be told of what happens there"),
];
/// The person behind every consent here.
const PERSON: &str = "122000000000001";
/// What a Page may have told. Instagram's own fields are turned on for the app, not here.
const PAGE_FIELDS: [&str; 3] = ["feed", "mention", "messages"];

pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let graph = Router::new()
        .route("/{version}/{id}/subscribed_apps", get(subscriptions).post(subscribe))
        .route("/{version}/{id}", get(node).post(write::change).delete(write::delete))
        .route("/{version}/{id}/media", get(read::media))
        .route("/{version}/{id}/mentions", post(write::mention))
        .route("/{version}/{id}/comments", get(read::comments).post(write::comment))
        .route("/{version}/{id}/replies", get(read::replies).post(write::comment))
        .layer(from_fn_with_state(shared.clone(), door));
    Router::new()
        .route("/{version}/dialog/oauth", get(ask).post(decide))
        .route("/{version}/oauth/access_token", get(access_token))
        .route("/{version}/me/accounts", get(pages))
        .route("/{version}/debug_token", get(debug_token))
        .merge(graph)
        .fallback(nothing)
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
#[template(path = "facebook_consent.html")]
struct ConsentPage {
    action: String,
    ask: Ask,
    rights: Vec<(&'static str, &'static str)>,
    /// Id, name, and the handle of the account that is linked to it.
    pages: Vec<(String, String, String)>,
    redirect_origin: String,
}

fn check(ask: &Ask, world: &World) -> Result<Url, &'static str> {
    if !world.oauth.knows_client(&ask.client_id) {
        return Err("No app has this client_id.");
    }
    let redirect = Url::parse(&ask.redirect_uri).map_err(|_| "The redirect_uri is not a URL.")?;
    if !redirect.host_str().is_some_and(|host| world.oauth.redirect_hosts.iter().any(|known| known == host)) {
        return Err("The redirect_uri is not registered for this app.");
    }
    if ask.response_type != "code" {
        return Err("The response_type must be code: tokens in a fragment never reach a server.");
    }
    let scopes = scopes_of(&ask.scope);
    if scopes.is_empty() || !scopes.iter().all(|scope| SCOPES.iter().any(|(known, _)| known == scope)) {
        return Err("A scope is missing or unknown.");
    }
    Ok(redirect)
}

async fn ask(State(shared): State<Arc<Shared>>, Path(version): Path<String>, Query(ask): Query<Ask>) -> Response {
    let world = shared.world();
    let redirect = match check(&ask, &world) {
        Ok(redirect) => redirect,
        Err(reason) => return refused(reason),
    };
    let asked = scopes_of(&ask.scope);
    let rights = asked.iter().filter_map(|scope| SCOPES.iter().find(|(known, _)| known == scope).copied()).collect();
    let pages = world.instagram.pages.iter();
    let pages = pages.map(|page| (page.id.clone(), page.name.clone(), page.account.clone().unwrap_or_default()));
    let redirect_origin = redirect.origin().ascii_serialization();
    let action = format!("/facebook/{version}/dialog/oauth");
    show(StatusCode::OK, &ConsentPage { action, ask, rights, pages: pages.collect(), redirect_origin })
}

/// `grant` comes once for each permission that is left ticked, `page` for each Page.
async fn decide(State(shared): State<Arc<Shared>>, Form(fields): Form<Vec<(String, String)>>) -> Response {
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let all = |name: &str| fields.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect();
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
    if field("decision") == "allow" {
        let granted: Vec<String> = all("grant");
        let scopes: Vec<String> = scopes_of(&asked.scope).into_iter().filter(|scope| granted.contains(scope)).collect();
        let now = world.now();
        let shared = Granted { client_id: asked.client_id.clone(), pages: all("page") };
        let code = world.instagram.facebook_code(shared, &asked.redirect_uri, &scopes, now);
        world.note("POST", "/facebook/dialog/oauth", None, "grant", None);
        redirect.query_pairs_mut().append_pair("code", &code).append_pair("state", &asked.state);
    } else {
        redirect
            .query_pairs_mut()
            .append_pair("error", "access_denied")
            .append_pair("error_code", "200")
            .append_pair("error_reason", "user_denied")
            .append_pair("error_description", "Permissions error")
            .append_pair("state", &asked.state);
    }
    redirect.set_fragment(Some("_=_"));
    (StatusCode::FOUND, [(header::LOCATION, redirect.to_string())]).into_response()
}

/// Trades a code for the person's token, or that one for one that lasts.
async fn access_token(State(shared): State<Arc<Shared>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut world = shared.world();
    let now = world.now();
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    if !world.oauth.secret_fits(field("client_id"), field("client_secret")) {
        return GraphProblem::new(400, 101, None, "Error validating application. Invalid client secret")
            .into_response();
    }
    let issued = match field("grant_type") {
        "fb_exchange_token" => lasting(&mut world, field("fb_exchange_token")),
        _ => redeemed(&mut world, field("code"), field("redirect_uri")),
    };
    match issued {
        Ok((token, life)) => {
            world.note("GET", "/facebook/oauth/access_token", None, "token", None);
            let secs = (life - now).whole_seconds();
            Json(json!({"access_token": token, "token_type": "bearer", "expires_in": secs})).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

type Issued = Result<(String, time::OffsetDateTime), GraphProblem>;

fn redeemed(world: &mut World, code: &str, redirect_uri: &str) -> Issued {
    let now = world.now();
    let code = world.instagram.redeem(code, now);
    let Some((shared, code)) = code.and_then(|code| Some((code.facebook.clone()?, code))) else {
        return Err(GraphProblem::new(400, 100, Some(36_009), "This authorization code has been used."));
    };
    if code.redirect_uri != redirect_uri {
        let message = "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request";
        return Err(GraphProblem::new(400, 100, Some(36_008), message));
    }
    Ok((world.instagram.issue_facebook("", shared, &code.scopes, Some(SHORT_LIFE), now), now + SHORT_LIFE))
}

fn lasting(world: &mut World, token: &str) -> Issued {
    let now = world.now();
    let granted = world.instagram.token(token, now).map_err(GraphProblem::dead_token)?.clone();
    let shared = granted.facebook.ok_or_else(|| GraphProblem::dead_token(None))?;
    Ok((world.instagram.issue_facebook("", shared, &granted.scopes, Some(LONG_LIFE), now), now + LONG_LIFE))
}

fn hex_of(secret: &str, text: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The proof must be there and fit the app that the token was given to.
fn proven(world: &World, query: &HashMap<String, String>, client_id: &str, token: &str) -> Result<(), GraphProblem> {
    let wrong = |message: &str| Err(GraphProblem::new(400, 100, None, message));
    let Some(proof) = query.get("appsecret_proof") else {
        return wrong("API calls from the server require an appsecret_proof argument");
    };
    match world.oauth.secret_of(client_id) {
        Some(secret) if *proof == hex_of(secret, token) => Ok(()),
        _ => wrong("Invalid appsecret_proof provided in the API argument"),
    }
}

/// A token of this host that works and is proven: whose it is, what it may, what was shared.
fn held(
    world: &World,
    headers: &HeaderMap,
    query: &HashMap<String, String>,
) -> Result<(String, super::store::Token, Granted), GraphProblem> {
    let token = carried(headers, query)?;
    let granted = world.instagram.token(token, world.now()).map_err(GraphProblem::dead_token)?.clone();
    let shared = granted.facebook.clone().ok_or_else(|| GraphProblem::dead_token(None))?;
    proven(world, query, &shared.client_id, token)?;
    Ok((token.to_owned(), granted, shared))
}

/// The Pages that were shared, each with a token of its own. Where comments may not be managed, the list of accounts is as it is.
async fn pages(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut world = shared.world();
    let (now, (_, granted, ticked)) = match held(&world, &headers, &query) {
        Ok(held) => (world.now(), held),
        Err(problem) => return problem.into_response(),
    };
    let may = |scope: &str| granted.scopes.iter().any(|held| held == scope);
    let all: Vec<_> = world.instagram.pages.iter().filter(|page| ticked.pages.contains(&page.id)).cloned().collect();
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(25_usize);
    let start = query.get("after").and_then(|after| after.parse().ok()).unwrap_or(0_usize);
    let mut list = Vec::new();
    for page in all.iter().skip(start).take(limit).filter(|_| may("pages_show_list")) {
        let of_page = Granted { client_id: ticked.client_id.clone(), pages: vec![page.id.clone()] };
        let account = page.account.clone().unwrap_or_default();
        let token = world.instagram.issue_facebook(&account, of_page, &granted.scopes, None, now);
        let mut told =
            json!({"id": page.id, "name": page.name, "access_token": token, "tasks": ["MODERATE", "MANAGE"]});
        if let Some(linked) = world.instagram.account(&account).filter(|_| may("instagram_basic")) {
            told["instagram_business_account"] = json!({"id": linked.id, "username": linked.username});
        }
        list.push(told);
    }
    let mut body = json!({ "data": list });
    if all.len() > start + limit {
        let after = (start + limit).to_string();
        body["paging"] = json!({"cursors": {"before": "0", "after": after}, "next": "https://graph.example/next?access_token=SECRET"});
    }
    Json(body).into_response()
}

/// Only the app itself may look at a token of its people.
async fn debug_token(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let world = shared.world();
    let looked = || -> Result<Value, GraphProblem> {
        let app = carried(&headers, &query)?;
        let (client_id, secret) = app.split_once('|').unwrap_or_default();
        if !world.oauth.secret_fits(client_id, secret) {
            return Err(GraphProblem::new(400, 190, None, "Invalid OAuth access token signature."));
        }
        proven(&world, &query, client_id, app)?;
        let input = query.get("input_token").map_or("", String::as_str);
        let data = match world.instagram.token(input, world.now()) {
            Ok(token) => {
                let shared = token.facebook.clone().ok_or_else(|| GraphProblem::dead_token(None))?;
                json!({
                    "app_id": shared.client_id, "type": "USER", "application": "Rejoinder", "is_valid": true,
                    "expires_at": token.expires_at.unix_timestamp(), "scopes": token.scopes, "user_id": PERSON,
                    "granular_scopes": token.scopes.iter().map(|scope| json!({"scope": scope})).collect::<Vec<_>>(),
                })
            }
            Err(subcode) => json!({"is_valid": false, "error": {"code": 190, "subcode": subcode}}),
        };
        Ok(json!({ "data": data }))
    };
    match looked() {
        Ok(body) => Json(body).into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn scope_of(method: &Method, path: &str) -> &'static str {
    if path.ends_with("/subscribed_apps") {
        "pages_manage_metadata"
    } else if *method != Method::GET || path.ends_with("/comments") || path.ends_with("/replies") {
        "instagram_manage_comments"
    } else {
        "instagram_basic"
    }
}

async fn door(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    Query(query): Query<HashMap<String, String>>,
    mut request: Request,
    next: Next,
) -> Response {
    let scope = scope_of(request.method(), request.uri().path());
    let identified = {
        let world = shared.world();
        held(&world, request.headers(), &query).map(|held| (held, world.now()))
    };
    let ((token, granted, ticked), now) = match identified {
        Ok(identified) => identified,
        Err(problem) => return problem.into_response(),
    };
    if !granted.scopes.iter().any(|held| held == scope) {
        return GraphProblem::no_permission().into_response();
    }
    let caller = caller_of(granted.account, &token, request.headers(), now);
    let caller = Caller { by_facebook: true, ..caller };
    request.extensions_mut().insert(ticked);
    admit(&shared, cut, caller, request, next).await
}

/// A Page, or what the account behind it has.
async fn node(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Extension(ticked): Extension<Granted>,
    Path((version, id)): Path<(String, String)>,
    query: Query<HashMap<String, String>>,
) -> Response {
    let page = shared.world().instagram.page(&id).cloned();
    match page {
        Some(page) if ticked.pages.contains(&page.id) => {
            Json(json!({"id": page.id, "name": page.name})).into_response()
        }
        Some(_) => GraphProblem::gone().into_response(),
        None => read::node(State(shared), Extension(caller), Path((version, id)), query).await,
    }
}

async fn subscriptions(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Knock,
    Extension(ticked): Extension<Granted>,
    Path((_, id)): Path<(String, String)>,
) -> Response {
    if !ticked.pages.contains(&id) {
        return GraphProblem::gone().into_response();
    }
    let fields = shared.world().instagram.subscribed.get(&caller.account).cloned().unwrap_or_default();
    Json(json!({"data": [{"id": ticked.client_id, "subscribed_fields": fields}]})).into_response()
}

async fn subscribe(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Knock,
    Extension(ticked): Extension<Granted>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    if !ticked.pages.contains(&id) {
        return GraphProblem::gone().into_response();
    }
    let wanted = write::fields(query, &body).remove("subscribed_fields").unwrap_or_default();
    let wanted: BTreeSet<String> = wanted.split(',').filter(|field| !field.is_empty()).map(str::to_owned).collect();
    write::turn_on(&shared, &caller, wanted, &PAGE_FIELDS, "/facebook/page/subscribed_apps")
}
