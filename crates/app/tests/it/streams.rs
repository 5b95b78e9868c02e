//! How long a stream of live events stays open, and how many one person has.

use crate::clerk_world::{SECRET, World};
use crate::client::Client;
use crate::harness::Harness;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use futures::future::{Either, select};
use rejoinder_app::accounts::teams;
use rejoinder_app::http::router;
use rejoinder_app::model::Role;
use serde_json::json;
use std::pin::pin;
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

fn server(h: &Harness) -> Router {
    router(h.app.clone(), CancellationToken::new())
}

async fn open(server: &Router, team_id: Uuid, (name, value): (&str, &str)) -> Response {
    let request = Request::builder().uri(format!("/api/teams/{team_id}/events")).header(name, value);
    server.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// Reads a stream to its end.
async fn end(stream: Response) {
    assert_eq!(stream.status(), StatusCode::OK);
    to_bytes(stream.into_body(), 4 << 20).await.unwrap();
}

/// Both are read until one ends, which has to be `ending`; opened after `staying`, it looks at the clock after it.
async fn ends_first(ending: Response, staying: Response) {
    let (ending, staying) = (pin!(end(ending)), pin!(end(staying)));
    assert!(matches!(select(ending, staying).await, Either::Left(_)), "the wrong stream has ended");
}

#[tokio::test]
async fn who_is_removed_from_the_team_hears_nothing_more_within_thirty_seconds() {
    let h = Harness::start().await;
    let (server, admin) = (server(&h), Client::signed_in(&h).await);
    let (member, user_id) = Client::member(&h, "ben", Role::Viewer).await;
    let staying = open(&server, h.team_id, ("cookie", admin.cookie())).await;
    let removed = open(&server, h.team_id, ("cookie", member.cookie())).await;
    let path = format!("/api/teams/{}/members/{user_id}", h.team_id);
    assert_eq!(admin.ask(Method::DELETE, &path, Body::empty()).await.0, 204);
    h.advance(Duration::seconds(30));
    ends_first(removed, staying).await;
    h.finish().await;
}

#[tokio::test]
async fn who_signs_out_hears_nothing_more_within_thirty_seconds() {
    let h = Harness::start().await;
    let (server, admin, member) = (server(&h), Client::signed_in(&h).await, Client::with_role(&h, Role::Viewer).await);
    let staying = open(&server, h.team_id, ("cookie", admin.cookie())).await;
    let signed_out = open(&server, h.team_id, ("cookie", member.cookie())).await;
    sqlx::query("delete from sessions where user_id <> $1").bind(h.user_id).execute(h.pool()).await.unwrap();
    h.advance(Duration::seconds(30));
    ends_first(signed_out, staying).await;
    h.finish().await;
}

/// A server with Clerk, Ana's team there, and the header of each of these sessions of hers.
async fn clerk_team<const N: usize>(sessions: [&str; N]) -> (World, Uuid, [String; N]) {
    let world = World::with_webhooks().await;
    let h = &world.harness;
    let bearers = sessions.map(|session| {
        let token = rejoinder_sandbox::ClerkToken { session, ..world.of("user_ana") };
        format!("Bearer {}", h.platform.clerk_token(token))
    });
    let (_, me) = world.ask(Method::GET, "/api/me", &[("authorization", &bearers[0])], Body::empty()).await;
    let (ana, moment) = (me["id"].as_str().unwrap().parse().unwrap(), h.app.moment());
    let team = teams::NewTeam { id: moment.id(), member_id: moment.id(), owner_user_id: ana, name: "Beans" };
    let team_id = team.id;
    teams::create(&mut *h.conn().await, team, moment.now).await.unwrap();
    (world, team_id, bearers)
}

#[tokio::test]
async fn a_stream_ends_with_the_session_at_clerk_also_when_a_ticket_opened_it() {
    let (world, team_id, [ended, staying]) = clerk_team(["sess_1", "sess_2"]).await;
    let h = &world.harness;
    let server = server(h);
    let (status, made) = {
        let path = format!("/api/teams/{team_id}/events/ticket");
        let headers = [("authorization", ended.as_str()), ("content-type", "application/json")];
        world.ask(Method::POST, &path, &headers, "{}").await
    };
    assert_eq!(status, 201, "{made}");
    let stays = open(&server, team_id, ("authorization", &staying)).await;
    let goes = open(&server, team_id, ("authorization", &ended)).await;
    let stays_too = open(&server, team_id, ("authorization", &staying)).await;
    let uri = format!("/api/teams/{team_id}/events?ticket={}", made["ticket"].as_str().unwrap());
    let by_ticket = server.clone().oneshot(Request::get(uri).body(Body::empty()).unwrap()).await.unwrap();
    let told = json!({ "id": "sess_1", "object": "session", "status": "ended", "user_id": "user_ana" });
    assert_eq!(world.told(&h.platform.clerk_event(SECRET, "session.ended", &told)).await, "done");
    h.advance(Duration::seconds(30));
    ends_first(goes, stays).await;
    ends_first(by_ticket, stays_too).await;
    world.harness.finish().await;
}

#[tokio::test]
async fn a_listener_of_clerk_comes_back_after_a_quarter_of_an_hour_whatever_we_heard() {
    let (world, team_id, [bearer]) = clerk_team(["sess_1"]).await;
    let h = &world.harness;
    let server = server(h);
    let (member, user_id) = (Client::signed_in(h).await, h.user_id);
    sqlx::query("insert into team_members (id, team_id, user_id, role, accepted_at) values ($1, $2, $3, 'viewer', $4)")
        .bind(h.app.moment().id())
        .bind(team_id)
        .bind(user_id)
        .bind(h.now())
        .execute(h.pool())
        .await
        .unwrap();
    let own = open(&server, team_id, ("cookie", member.cookie())).await;
    let clerks = open(&server, team_id, ("authorization", &bearer)).await;
    h.advance(Duration::minutes(15));
    ends_first(clerks, own).await;
    world.harness.finish().await;
}

#[tokio::test]
async fn a_person_has_twenty_streams_in_all_their_sessions_and_others_theirs() {
    let h = Harness::start().await;
    let server = server(&h);
    let (one, same, other) =
        (Client::signed_in(&h).await, Client::signed_in(&h).await, Client::with_role(&h, Role::Viewer).await);
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(open(&server, h.team_id, ("cookie", one.cookie())).await);
    }
    assert!(streams.iter().all(|stream| stream.status() == StatusCode::OK));
    let refused = open(&server, h.team_id, ("cookie", same.cookie())).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "60"));
    assert_eq!(open(&server, h.team_id, ("cookie", other.cookie())).await.status(), StatusCode::OK);
    streams.pop();
    assert_eq!(open(&server, h.team_id, ("cookie", same.cookie())).await.status(), StatusCode::OK);
    h.finish().await;
}
