//! The control handle over HTTP, for other processes. The routes stand in the header of the crate. A body that names
//! something unknown answers 404, a malformed one 422; both change nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::world::faults::{AiFault, HoldPoint, ReadFault, Verdict, WriteFault};
use crate::world::{CommunityAccess, Rule};
use crate::{Control, Shared};

type World = State<Arc<Shared>>;
type Fields = Json<HashMap<String, String>>;
type Answer = Result<Json<Value>, StatusCode>;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/state", get(state))
        .route("/journal", get(|world: World| async move { Json(json!(control(&world).journal())) }))
        .route("/requests", get(|world: World| async move { Json(json!(control(&world).requests())) }))
        .route("/ai-requests", get(|world: World| async move { Json(json!(control(&world).ai_requests())) }))
        .route("/posts", get(|world: World| async move { Json(json!(control(&world).posts())) }).post(add_post))
        .route("/replies", get(replies))
        .route("/accounts", post(add_account))
        .route("/accounts/suspend", post(suspend))
        .route("/comments", post(add_comment))
        .route("/comments/edit", post(edit_comment))
        .route("/comments/delete", post(|world: World, fields: Fields| change(world, fields, Control::delete_comment)))
        .route("/comments/remove", post(|world: World, fields: Fields| change(world, fields, Control::remove_comment)))
        .route("/comments/score", post(set_score))
        .route("/communities", post(set_community))
        .route("/posts/remove", post(|world: World, fields: Fields| change(world, fields, Control::remove_post)))
        .route("/posts/lock", post(|world: World, fields: Fields| change(world, fields, Control::lock_post)))
        .route("/posts/archive", post(|world: World, fields: Fields| change(world, fields, Control::archive)))
        .route("/posts/delete", post(|world: World, fields: Fields| change(world, fields, Control::delete_post)))
        .route("/x/posts", get(|world: World| async move { Json(json!(control(&world).x_posts())) }).post(x_post))
        .route("/x/tokens", post(x_token))
        .route("/x/limit", post(x_limit))
        .route("/x/webhook", post(x_webhook))
        .merge(crate::control_instagram::router())
        .route("/x/bill", get(|world: World| async move { Json(json!(control(&world).x_bill())) }))
        .route("/messages", post(add_message))
        .route("/faults", post(plan))
        .route("/faults/clear", post(|world: World| done(world, Control::clear_faults)))
        .route("/hold", post(hold))
        .route("/hold/arrived", get(arrived))
        .route("/release", post(release))
        .route("/tokens", post(issue_token))
        .route("/tokens/expire", post(|world: World| done(world, Control::expire_tokens)))
        .route("/tokens/revoke", post(|world: World| done(world, Control::revoke_tokens)))
        .route("/clients", post(add_client))
        .route("/rate", post(set_rate))
        .route("/clock", post(set_clock))
        .route(
            "/trickle",
            post(|world: World| async move { Json(json!({"fullname": control(&world).trickle_once()})) }),
        )
}

fn control(world: &World) -> Control {
    Control::new(world.0.clone())
}

fn field<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, StatusCode> {
    fields.get(name).map(String::as_str).ok_or(StatusCode::UNPROCESSABLE_ENTITY)
}

async fn done(world: World, act: fn(&Control)) -> Json<Value> {
    act(&control(&world));
    Json(json!({}))
}

/// 404 unless the post or comment exists, so that the panics of [`Control`] stay with tests in the same process.
fn existing(world: &World, fullname: &str) -> Result<(), StatusCode> {
    let world = world.0.world();
    let known = world.comment(fullname).is_some() || world.post(fullname).is_some();
    if known { Ok(()) } else { Err(StatusCode::NOT_FOUND) }
}

fn of_kind(world: &World, fullname: &str, comment: bool) -> Result<(), StatusCode> {
    let world = world.0.world();
    let known = if comment { world.comment(fullname).is_some() } else { world.post(fullname).is_some() };
    if known { Ok(()) } else { Err(StatusCode::NOT_FOUND) }
}

async fn change(world: World, fields: Fields, act: fn(&Control, &str)) -> Answer {
    let fullname = field(&fields, "fullname")?;
    let comment = fullname.starts_with("t1_");
    of_kind(&world, fullname, comment)?;
    act(&control(&world), fullname);
    Ok(Json(json!({})))
}

async fn state(world: World) -> Json<Value> {
    let world = world.0.world();
    let hold = world.faults.hold();
    Json(json!({
        "now": world.now().format(&Rfc3339).ok(),
        "accounts": world.accounts.len(), "posts": world.posts.len(), "comments": world.comments.len(),
        "brand": world.brand, "prepared": world.prepared.len(),
        "planned": {"writes": world.faults.writes, "reads": world.faults.reads, "ai": world.faults.ai},
        "hold": hold.map(|hold| json!({"point": hold.point, "arrived": hold.arrived_count()})),
    }))
}

async fn replies(world: World, Query(query): Query<HashMap<String, String>>) -> Answer {
    let control = control(&world);
    match (query.get("parent"), query.get("author")) {
        (Some(parent), None) => Ok(Json(json!(control.replies_under(parent)))),
        (None, Some(author)) => Ok(Json(json!(control.comments_by(author)))),
        _ => Err(StatusCode::UNPROCESSABLE_ENTITY),
    }
}

async fn add_account(world: World, fields: Fields) -> Answer {
    Ok(Json(json!({"id": control(&world).add_account(field(&fields, "name")?)})))
}

async fn suspend(world: World, fields: Fields) -> Answer {
    let name = field(&fields, "name")?;
    if world.0.world().account(name).is_none() {
        return Err(StatusCode::NOT_FOUND);
    }
    control(&world).suspend_account(name);
    Ok(Json(json!({})))
}

async fn add_post(world: World, fields: Fields) -> Answer {
    let [author, community, title] = ["author", "community", "title"].map(|name| field(&fields, name));
    let body = fields.get("body").map_or("", String::as_str);
    Ok(Json(json!({"fullname": control(&world).add_post(author?, community?, title?, body)})))
}

async fn add_comment(world: World, fields: Fields) -> Answer {
    let [author, parent, text] = ["author", "parent", "text"].map(|name| field(&fields, name));
    existing(&world, parent?)?;
    Ok(Json(json!({"fullname": control(&world).add_comment(author?, parent?, text?)})))
}

async fn edit_comment(world: World, fields: Fields) -> Answer {
    let fullname = field(&fields, "fullname")?;
    of_kind(&world, fullname, true)?;
    control(&world).edit_comment(fullname, field(&fields, "text")?);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct ScoreBody {
    fullname: String,
    score: i64,
}

async fn set_score(world: World, Json(body): Json<ScoreBody>) -> Answer {
    of_kind(&world, &body.fullname, true)?;
    control(&world).set_score(&body.fullname, body.score);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct CommunityBody {
    name: String,
    access: Option<CommunityAccess>,
    rules: Option<Vec<Rule>>,
}

async fn set_community(world: World, Json(body): Json<CommunityBody>) -> Json<Value> {
    let control = control(&world);
    if let Some(access) = body.access {
        control.set_access(&body.name, access);
    }
    if let Some(rules) = body.rules {
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| (rule.short_name.as_str(), rule.description.as_str(), rule.kind.as_str()))
            .collect();
        control.set_rules(&body.name, &rules);
    }
    Json(json!({}))
}

async fn x_post(world: World, fields: Fields) -> Answer {
    let (author, text) = (field(&fields, "author")?, field(&fields, "text")?);
    let id = match fields.get("answers") {
        None => control(&world).x_post(author, text),
        Some(id) => {
            let known = id.parse::<u64>().is_ok_and(|id| world.0.world().x.tweets.contains_key(&id));
            known.then(|| control(&world).x_reply(author, id, text)).ok_or(StatusCode::NOT_FOUND)?
        }
    };
    Ok(Json(json!({"id": id})))
}

async fn x_token(world: World, fields: Fields) -> Answer {
    let scope = fields.get("scope").map_or("tweet.read users.read tweet.write offline.access", String::as_str);
    let token = control(&world).x_issue_token(field(&fields, "account")?, scope);
    Ok(Json(json!({"access_token": token.access_token, "refresh_token": token.refresh_token})))
}

#[derive(Deserialize)]
struct LimitBody {
    limit: Option<u32>,
}

async fn x_limit(world: World, Json(body): Json<LimitBody>) -> Json<Value> {
    control(&world).x_rate_limit(body.limit);
    Json(json!({}))
}

async fn x_webhook(world: World, fields: Fields) -> Answer {
    let url = field(&fields, "url")?;
    let address = url::Url::parse(url).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
    if !crate::sender::answers_challenge(&address).await {
        return Err(StatusCode::CONFLICT);
    }
    control(&world).x_webhook(url);
    Ok(Json(json!({"id": crate::X_WEBHOOK_ID})))
}

async fn add_message(world: World, fields: Fields) -> Answer {
    let [from, to, subject, body] = ["from", "to", "subject", "body"].map(|name| field(&fields, name));
    Ok(Json(json!({"fullname": control(&world).add_message(from?, to?, subject?, body?)})))
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Plan {
    writes: Vec<WriteFault>,
    reads: Vec<ReadFault>,
    ai: Vec<AiFault>,
}

async fn plan(world: World, Json(plan): Json<Plan>) -> Json<Value> {
    let control = control(&world);
    control.plan_write(plan.writes);
    control.plan_reads(plan.reads);
    control.plan_ai(plan.ai);
    Json(json!({}))
}

#[derive(Deserialize)]
struct HoldBody {
    point: HoldPoint,
}

/// Unlike a guard in the same process this hold lasts until it is released by a call.
async fn hold(world: World, Json(body): Json<HoldBody>) -> Json<Value> {
    world.0.world().faults.start_hold(body.point, None);
    Json(json!({}))
}

#[derive(Deserialize)]
struct ArrivedQuery {
    #[serde(default = "one")]
    at_least: u64,
    #[serde(default = "five_seconds")]
    timeout_ms: u64,
}

fn one() -> u64 {
    1
}

fn five_seconds() -> u64 {
    5000
}

async fn arrived(world: World, Query(query): Query<ArrivedQuery>) -> Answer {
    let hold = world.0.world().faults.hold().ok_or(StatusCode::CONFLICT)?;
    let limit = Duration::from_millis(query.timeout_ms.min(60_000));
    match tokio::time::timeout(limit, hold.arrived(query.at_least)).await {
        Ok(()) => Ok(Json(json!({"arrived": hold.arrived_count()}))),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

#[derive(Deserialize)]
struct ReleaseBody {
    #[serde(default)]
    discard: bool,
}

async fn release(world: World, Json(body): Json<ReleaseBody>) -> Json<Value> {
    let verdict = if body.discard { Verdict::Discard } else { Verdict::Go };
    world.0.world().faults.end_hold(None, verdict);
    Json(json!({}))
}

async fn issue_token(world: World, fields: Fields) -> Answer {
    let scope = fields.get("scope").map_or("*", String::as_str);
    let token = control(&world).issue_token(field(&fields, "account")?, scope);
    Ok(Json(json!({"access_token": token.access_token, "refresh_token": token.refresh_token})))
}

async fn add_client(world: World, fields: Fields) -> Answer {
    control(&world).add_client(field(&fields, "id")?, field(&fields, "secret")?);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct RateBody {
    limit: u32,
}

async fn set_rate(world: World, Json(body): Json<RateBody>) -> Json<Value> {
    control(&world).set_rate_budget(body.limit);
    Json(json!({}))
}

#[derive(Deserialize)]
struct ClockBody {
    now: Option<String>,
    advance_secs: Option<u64>,
}

async fn set_clock(world: World, Json(body): Json<ClockBody>) -> Answer {
    let control = control(&world);
    let moved = match (body.now, body.advance_secs) {
        (Some(now), None) => {
            control.set_now(OffsetDateTime::parse(&now, &Rfc3339).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?)
        }
        (None, Some(secs)) => control.advance(Duration::from_secs(secs)),
        _ => return Err(StatusCode::UNPROCESSABLE_ENTITY),
    };
    if !moved {
        return Err(StatusCode::CONFLICT);
    }
    Ok(Json(json!({"now": control.now().format(&Rfc3339).ok()})))
}
