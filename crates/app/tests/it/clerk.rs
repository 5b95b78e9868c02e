//! People who come with session tokens of Clerk, and what its webhooks tell of them.

use axum::http::{Method, header};
use rejoinder_app::accounts::api_tokens::{self, NewToken};
use rejoinder_app::accounts::{invitations, sessions, teams, token_hash};
use rejoinder_app::model::Role;
use rejoinder_sandbox::{ClerkToken, SignedMessage};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clerk_world::{SECRET, World};

#[tokio::test]
async fn a_person_with_a_session_of_clerk_uses_the_api_from_the_first_request_on() {
    let world = World::start().await;
    let (status, me) = world.me(&world.token("user_ana")).await;
    assert_eq!((status, &me["email"], &me["teams"]), (200, &Value::Null, &json!([])), "{me}");
    let again = world.me(&world.token("user_ana")).await.1;
    assert_eq!(again["id"], me["id"]);
    let other = world.me(&world.token("user_ben")).await.1;
    assert_ne!(other["id"], me["id"]);
    assert_eq!(world.key_requests(), 1);
    world.harness.finish().await;
}

#[tokio::test]
async fn a_token_that_does_not_count_is_told_why() {
    let world = World::start().await;
    let (header, good) = world.harness.platform.clerk_claims(world.of("user_ana"));
    let now = world.harness.now().unix_timestamp();
    let with = |changes: Value| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        world.harness.platform.clerk_sign(&header, &claims)
    };
    for (changes, code) in [
        (json!({ "exp": now - 10 }), "token_expired"),
        (json!({ "nbf": now + 60 }), "token_not_yet_valid"),
        (json!({ "iss": "https://clerk.other.example" }), "wrong_issuer"),
        (json!({ "azp": "https://evil.example" }), "wrong_party"),
        (json!({ "azp": null }), "wrong_party"),
        (json!({ "sts": "pending" }), "session_pending"),
        (json!({ "sub": "mch_1" }), "token_not_a_session"),
        (json!({ "sub": null }), "token_invalid"),
    ] {
        assert_eq!(world.refused(&with(changes.clone())).await, code, "{changes}");
    }
    let token = world.token("user_ana");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let tampered = format!("{signed}.{}A", &signature[..signature.len() - 1].replace('A', "B"));
    assert_eq!(world.refused(&tampered).await, "token_invalid");
    assert_eq!(world.refused("ak_1234567890").await, "token_not_a_session");
    assert_eq!(world.refused("rubbish").await, "token_invalid");
    let rows: i64 = sqlx::query_scalar("select count(*) from users where clerk_id is not null")
        .fetch_one(world.harness.pool())
        .await
        .unwrap();
    assert_eq!(rows, 0, "a token that does not count makes nobody");
    world.harness.finish().await;
}

#[tokio::test]
async fn password_second_step_and_sessions_are_no_business_of_a_token() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.token("user_ada"));
    assert_eq!(world.me(&world.token("user_ada")).await.0, 200);
    let headers = [(header::AUTHORIZATION.as_str(), bearer.as_str()), ("content-type", "application/json")];
    let routes = [
        (Method::POST, "/api/me/password", json!({ "current_password": "x", "new_password": "y" })),
        (Method::GET, "/api/me/sessions", Value::Null),
        (Method::DELETE, "/api/me/sessions", Value::Null),
        (Method::DELETE, "/api/me/sessions/0195f3a0-0000-7000-8000-000000000001", Value::Null),
        (Method::GET, "/api/me/totp", Value::Null),
        (Method::POST, "/api/me/totp", json!({ "password": "x" })),
        (Method::POST, "/api/me/totp/confirm", json!({ "code": "000000" })),
        (Method::POST, "/api/me/totp/disable", json!({ "password": "x", "code": "000000" })),
    ];
    for (method, path, body) in routes {
        let (status, answer) = world.ask(method.clone(), path, &headers, body.to_string()).await;
        assert_eq!((status, &answer["type"]), (403, &"/problems/session-only".into()), "{method} {path}: {answer}");
    }
    world.harness.finish().await;
}

#[tokio::test]
async fn webhooks_fill_the_account_in_whatever_order_they_come() {
    let world = World::with_webhooks().await;
    let id = world.me(&world.token("user_ana")).await.1["id"].clone();
    let updated = world.ana("user.updated", "Anna", Some(("Ana@Example.com", true)), 60);
    let created = world.ana("user.created", "Ana", None, 0);
    assert_eq!(world.told(&updated).await, "done");
    assert_eq!(world.told(&updated).await, "repeated");
    assert_eq!(world.told(&created).await, "ignored", "older than what is known");
    let me = world.me(&world.token("user_ana")).await.1;
    // The harness has a built-in account of this address: it stays that account's alone.
    assert_eq!((&me["id"], &me["name"], &me["email"]), (&id, &json!("Anna Lima"), &Value::Null));
    let verified: Option<String> = sqlx::query_scalar("select verified_email from users where clerk_id = 'user_ana'")
        .fetch_one(world.harness.pool())
        .await
        .unwrap();
    assert_eq!(verified.as_deref(), Some("ana@example.com"));
    assert_eq!(world.told(&world.ana("user.updated", "Anna", Some(("anna@example.com", false)), 61)).await, "done");
    assert_eq!(world.me(&world.token("user_ana")).await.1["email"], Value::Null, "not verified");
    assert_eq!(world.told(&world.ana("user.updated", "Anna", Some(("anna@example.com", true)), 62)).await, "done");
    assert_eq!(world.me(&world.token("user_ana")).await.1["email"], "anna@example.com");
    assert_eq!(world.told(&world.harness.platform.clerk_event(SECRET, "session.created", &json!({}))).await, "ignored");
    world.harness.finish().await;
}

#[tokio::test]
async fn who_was_deleted_stays_deleted() {
    let world = World::with_webhooks().await;
    let token = world.token("user_ana");
    assert_eq!(world.told(&world.ana("user.created", "Ana", Some(("a@example.com", true)), 0)).await, "done");
    assert_eq!(world.me(&token).await.0, 200);
    assert_eq!(world.told(&world.deletion("user_ana")).await, "done");
    assert_eq!(world.refused(&token).await, "account_deleted");
    assert_eq!(world.told(&world.ana("user.updated", "Ana", Some(("a@example.com", true)), 99)).await, "ignored");
    assert_eq!(world.told(&world.deletion("user_ana")).await, "ignored");
    assert_eq!(world.refused(&token).await, "account_deleted");
    let row: (String, Option<String>, Option<String>) =
        sqlx::query_as("select name, email, verified_email from users where clerk_id = 'user_ana'")
            .fetch_one(world.harness.pool())
            .await
            .unwrap();
    assert_eq!(row, ("Deleted person".to_owned(), None, None));
    // The deletion of somebody never seen holds as well.
    assert_eq!(world.told(&world.deletion("user_ben")).await, "done");
    assert_eq!(world.refused(&world.token("user_ben")).await, "account_deleted");
    world.harness.finish().await;
}

#[tokio::test]
async fn a_team_outlives_its_owner() {
    let world = World::with_webhooks().await;
    let harness = &world.harness;
    let ana = world.me(&world.token("user_ana")).await.1["id"].as_str().unwrap().parse::<Uuid>().unwrap();
    let ben = world.me(&world.token("user_ben")).await.1["id"].as_str().unwrap().parse::<Uuid>().unwrap();
    let moment = harness.app.moment();
    let team = |id, owner_user_id| teams::NewTeam { id, member_id: moment.id(), owner_user_id, name: "Beans" };
    let (shared, own) = (moment.id(), moment.id());
    teams::create(&mut *harness.conn().await, team(shared, ana), moment.now).await.unwrap();
    teams::create(&mut *harness.conn().await, team(own, ana), moment.now).await.unwrap();
    sqlx::query("insert into team_members (id, team_id, user_id, role, accepted_at) values ($1, $2, $3, 'admin', $4)")
        .bind(moment.id())
        .bind(shared)
        .bind(ben)
        .bind(moment.now)
        .execute(harness.pool())
        .await
        .unwrap();
    sessions::create(&mut *harness.conn().await, ana, moment.now, &harness.app.entropy).await.unwrap();

    assert_eq!(world.told(&world.deletion("user_ana")).await, "done");
    let owners: Vec<(Uuid, Uuid)> =
        sqlx::query_as("select id, owner_user_id from teams where name = 'Beans' order by id")
            .fetch_all(harness.pool())
            .await
            .unwrap();
    assert_eq!(owners, [(shared, ben), (own, ana)], "the other admin owns it now; without one nobody new does");
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from team_members where user_id = $1) + (select count(*) from sessions where user_id = $1)",
    )
    .bind(ana)
    .fetch_one(harness.pool())
    .await
    .unwrap();
    assert_eq!(left, 0);
    assert_eq!(harness.story(ana).await, ["person.deleted", "person.deleted"], "in the log of each team");
    world.harness.finish().await;
}

#[tokio::test]
async fn only_what_clerk_signed_is_believed_and_only_in_its_shape() {
    let world = World::with_webhooks().await;
    let good = world.ana("user.created", "Ana", None, 0);
    let with = |name: &str, value: &str| {
        let mut message = good.clone();
        message.headers.retain(|(header, _)| *header != name || !value.is_empty());
        message.headers.iter_mut().filter(|(header, _)| *header == name).for_each(|(_, text)| *text = value.to_owned());
        message
    };
    let other_body = SignedMessage { body: good.body.replace("Ana", "Eve"), ..good.clone() };
    for message in [&with("svix-signature", ""), &with("svix-id", "msg_2"), &with("svix-timestamp", "1"), &other_body] {
        let (status, body) = world.deliver(message).await;
        assert_eq!((status, &body["type"]), (401, &json!("/problems/signature-invalid")));
    }
    let body = |text: &str| world.harness.platform.clerk_signed_body(SECRET, text.to_owned());
    for (text, field) in [
        ("", "body"),
        ("[]", "body"),
        (r#"{"type":"user.created"}"#, "body"),
        (r#"{"type":"user.created","data":{"id":7}}"#, "data.id"),
        (r#"{"type":"user.created","data":{"id":"","updated_at":1}}"#, "data.id"),
        (r#"{"type":"user.created","data":{"id":"u","updated_at":9223372036854775807}}"#, "data.updated_at"),
        (r#"{"type":"user.deleted","data":{}}"#, "data"),
    ] {
        let (status, answer) = world.deliver(&body(text)).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (422, &json!(field)), "{text}: {answer}");
    }
    assert_eq!(world.told(&good).await, "done");
    let rows: i64 =
        sqlx::query_scalar("select count(*) from webhook_seen").fetch_one(world.harness.pool()).await.unwrap();
    assert_eq!(rows, 1, "what was refused may come again");
    world.harness.finish().await;

    let off = World::start().await;
    let (status, answer) = off.deliver(&good).await;
    assert_eq!((status, &answer["type"]), (404, &json!("/problems/webhooks-off")));
    off.harness.finish().await;
}

#[tokio::test]
async fn a_deletion_ends_everything_that_opened_something() {
    let world = World::with_webhooks().await;
    let h = &world.harness;
    let ana = world.me(&world.token("user_ana")).await.1["id"].as_str().unwrap().parse::<Uuid>().unwrap();
    let (moment, mut conn) = (h.app.moment(), h.conn().await);
    let id = moment.id();
    let team = teams::NewTeam { id, member_id: moment.id(), owner_user_id: ana, name: "Beans" };
    teams::create(&mut conn, team, moment.now).await.unwrap();
    let new = NewToken { name: "Program", role: Role::Admin, expires_at: None };
    api_tokens::create(&mut conn, &moment, id, (ana, Role::Admin), new).await.unwrap();
    invitations::create(&h.app, &mut conn, &moment, id, ana, "second@example.com", Role::Admin).await.unwrap();
    let made = "with new as (select gen_random_uuid() as id, sha256(gen_random_uuid()::text::bytea) as hash, $2::timestamptz as at),
        a as (insert into totp_secrets (user_id, secret, created_at, confirmed_at) select $1, hash, at, at from new),
        b as (insert into recovery_codes (id, user_id, code_hash, created_at) select id, $1, hash, at from new),
        c as (insert into password_resets (id, user_id, token_hash, asked_by, created_at, expires_at)
            select id, $1, hash, 'operator', at, at + interval '1 hour' from new)
        insert into second_steps (id, user_id, token_hash, created_at, expires_at)
            select id, $1, hash, at, at + interval '1 hour' from new";
    sqlx::query(made).bind(ana).bind(moment.now).execute(&mut *conn).await.unwrap();
    let open = "select array[
        (select count(*) from api_tokens where created_by = $1 and revoked_at is null),
        (select count(*) from invitations where invited_by = $1 and accepted_at is null and withdrawn_at is null),
        (select count(*) from totp_secrets where user_id = $1), (select count(*) from recovery_codes where user_id = $1),
        (select count(*) from password_resets where user_id = $1 and used_at is null),
        (select count(*) from second_steps where user_id = $1)]";
    let open = async || sqlx::query_scalar::<_, Vec<i64>>(open).bind(ana).fetch_one(h.pool()).await.unwrap();
    assert_eq!(open().await, [1; 6]);
    assert_eq!(world.told(&world.deletion("user_ana")).await, "done");
    assert_eq!(open().await, [0; 6]);
    // A session that was being opened while the person was deleted.
    let late = sessions::create(&mut conn, ana, moment.now, &h.app.entropy).await.unwrap();
    let hash = token_hash(late.token.expose_secret());
    assert_eq!(sessions::lookup(&mut conn, &hash, moment.now).await.unwrap(), None);
    drop(conn);
    world.harness.finish().await;
}

#[tokio::test]
async fn who_acts_as_somebody_else_makes_no_tokens_and_changes_no_people() {
    let world = World::start().await;
    let h = &world.harness;
    let ana = world.me(&world.token("user_ana")).await.1["id"].as_str().unwrap().parse::<Uuid>().unwrap();
    let (moment, id) = (h.app.moment(), h.app.moment().id());
    let team = teams::NewTeam { id, member_id: moment.id(), owner_user_id: ana, name: "Beans" };
    teams::create(&mut *h.conn().await, team, moment.now).await.unwrap();
    let (header, mut claims) = h.platform.clerk_claims(world.of("user_ana"));
    claims["act"] = json!({ "sub": "user_staff" });
    let acting = format!("Bearer {}", h.platform.clerk_sign(&header, &claims));
    let own = format!("Bearer {}", world.token("user_ana"));
    let headers = |bearer| [("authorization", bearer), ("content-type", "application/json")];
    let invitations = format!("/api/teams/{id}/invitations");
    for (path, body) in [
        ("/api/tokens", json!({ "name": "Program", "role": "viewer" })),
        (invitations.as_str(), json!({ "email": "eve@example.com", "role": "admin" })),
    ] {
        let (status, told) = world.ask(Method::POST, path, &headers(&acting), body.to_string()).await;
        assert_eq!((status, &told["type"]), (403, &json!("/problems/impersonated")), "{path}: {told}");
        let (status, told) = world.ask(Method::POST, path, &headers(&own), body.to_string()).await;
        assert_eq!(status, 201, "{path}: {told}");
    }
    world.harness.finish().await;
}

#[tokio::test]
async fn a_token_of_a_session_that_ended_is_refused_before_it_expires() {
    let world = World::with_webhooks().await;
    for (session, kind) in [("sess_1", "session.ended"), ("sess_2", "session.revoked"), ("sess_3", "session.removed")] {
        let token = world.harness.platform.clerk_token(ClerkToken { session, ..world.of("user_ana") });
        assert_eq!(world.me(&token).await.0, 200, "{kind}");
        let ended = json!({ "id": session, "object": "session", "status": "ended", "user_id": "user_ana" });
        assert_eq!(world.told(&world.harness.platform.clerk_event(SECRET, kind, &ended)).await, "done");
        assert_eq!(world.refused(&token).await, "session_ended", "{kind}");
    }
    let other = world.harness.platform.clerk_token(ClerkToken { session: "sess_4", ..world.of("user_ana") });
    assert_eq!(world.me(&other).await.0, 200, "another session goes on");
    assert_eq!(world.told(&world.deletion("user_ana")).await, "done");
    assert_eq!(world.refused(&other).await, "account_deleted");
    world.harness.finish().await;
}
