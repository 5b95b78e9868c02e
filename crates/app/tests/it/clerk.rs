//! People who come with session tokens of Clerk.

use crate::harness::{Harness, START};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use rejoinder_app::accounts::clerk::SignInError;
use rejoinder_app::accounts::{sessions, teams};
use rejoinder_app::flow::activity;
use rejoinder_app::http::router;
use rejoinder_sandbox::{ClerkToken, ClerkUser, Outage, SignedMessage};
use serde_json::{Value, json};
use std::collections::HashSet;
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

const SITE: &str = "http://localhost:3000";

/// A server with Clerk, and its caller.
struct World {
    harness: Harness,
    router: Router,
    issuer: String,
}

impl World {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let harness = Harness::unconnected_at(|base| {
            let issuer = base.as_str().trim_end_matches('/').to_owned();
            let own = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            [("CLERK_ISSUER".to_owned(), issuer)].into_iter().chain(own).collect()
        })
        .await;
        let issuer = harness.base_url.as_str().trim_end_matches('/').to_owned();
        let router = router(harness.app.clone(), CancellationToken::new());
        Self { harness, router, issuer }
    }

    fn of<'a>(&'a self, user: &'a str) -> ClerkToken<'a> {
        ClerkToken { issuer: &self.issuer, user, session: "sess_1", party: SITE }
    }

    fn token(&self, user: &str) -> String {
        self.harness.platform.clerk_token(self.of(user))
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 4 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn me(&self, token: &str) -> (u16, Value) {
        let bearer = format!("Bearer {token}");
        self.ask(Method::GET, "/api/me", &[(header::AUTHORIZATION.as_str(), &bearer)], Body::empty()).await
    }

    /// The code of the refusal.
    async fn refused(&self, token: &str) -> String {
        let (status, body) = self.me(token).await;
        assert_eq!(status, 401, "{body}");
        body["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
    }

    /// How often the keys were asked for.
    fn key_requests(&self) -> u64 {
        self.harness.platform.requests().get("GET /.well-known/jwks.json").copied().unwrap_or(0)
    }
}

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

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

impl World {
    async fn with_webhooks() -> Self {
        Self::with(&[("CLERK_WEBHOOK_SECRET", &format!("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, {SECRET}"))]).await
    }

    async fn deliver(&self, message: &SignedMessage) -> (u16, Value) {
        let headers: Vec<(&str, &str)> = message.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.ask(Method::POST, "/api/webhooks/clerk", &headers, message.body.clone()).await
    }

    /// A change of Ana, `after` seconds later than the start.
    fn ana(&self, kind: &str, first_name: &str, email: Option<(&str, bool)>, after: i64) -> SignedMessage {
        let updated_at = START + Duration::seconds(after);
        let user = ClerkUser { id: "user_ana", first_name, last_name: "Lima", email, updated_at };
        self.harness.platform.clerk_user_event(SECRET, kind, user)
    }

    async fn told(&self, message: &SignedMessage) -> String {
        let (status, body) = self.deliver(message).await;
        assert_eq!(status, 200, "{body}");
        body["outcome"].as_str().unwrap().to_owned()
    }

    fn deletion(&self, user: &str) -> SignedMessage {
        let data = json!({ "id": user, "object": "user", "deleted": true });
        self.harness.platform.clerk_event(SECRET, "user.deleted", &data)
    }
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
    assert_eq!(
        (harness.story(shared).await, harness.story(own).await),
        (vec!["person.deleted".to_owned()], vec!["person.deleted".to_owned()])
    );
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

impl World {
    fn forged(&self, key_id: &str) -> String {
        let (mut header, claims) = self.harness.platform.clerk_claims(self.of("user_eve"));
        header["kid"] = json!(key_id);
        let token = self.harness.platform.clerk_sign(&header, &claims);
        if key_id == "ins_sandbox" {
            // Signed, then changed.
            let (signed, _) = token.rsplit_once('.').unwrap();
            return format!("{signed}.{}", "A".repeat(342));
        }
        token
    }

    async fn forge(&self, many: usize) {
        for number in 0..many {
            let token =
                if number % 2 == 0 { self.forged(&format!("ins_{number}")) } else { self.forged("ins_sandbox") };
            assert_eq!(self.verdict(&token).await, Err("token_invalid"), "number {number}");
        }
    }

    /// Past the limit of requests, which would end such a storm much earlier.
    async fn verdict(&self, token: &str) -> Result<String, &'static str> {
        match self.harness.app.clerk.as_ref().unwrap().verify(token).await {
            Ok(claims) => Ok(claims.subject),
            Err(SignInError::Token(error)) => Err(error.code()),
            Err(SignInError::NoKeys) => Err("no keys"),
            Err(error) => panic!("{error}"),
        }
    }

    async fn welcome(&self) {
        assert_eq!(self.verdict(&self.token("user_ana")).await.as_deref(), Ok("user_ana"));
    }
}

#[tokio::test]
async fn forged_tokens_cost_one_question_in_thirty_seconds_and_no_person_their_access() {
    let world = World::start().await;
    world.welcome().await;
    assert_eq!(world.key_requests(), 1);
    world.forge(500).await;
    assert_eq!(world.key_requests(), 1, "asked a moment ago");
    for window in 1..=4 {
        world.harness.advance(Duration::seconds(30));
        world.forge(250).await;
        world.welcome().await;
        assert_eq!(world.key_requests(), 1 + window);
        world.harness.advance(Duration::seconds(29));
        world.forge(50).await;
        world.welcome().await;
        assert_eq!(world.key_requests(), 1 + window);
    }
    world.harness.finish().await;
}

#[tokio::test]
async fn a_changed_key_is_found_although_its_id_stays_the_same() {
    let world = World::start().await;
    world.welcome().await;
    let old = world.token("user_ana");
    world.harness.advance(Duration::seconds(31));
    world.harness.platform.clerk_rotate(true);
    world.welcome().await;
    assert_eq!(world.key_requests(), 2);
    assert_eq!(world.verdict(&old).await.as_deref(), Ok("user_ana"), "its key is still published");
    world.harness.platform.clerk_rotate(false);
    world.harness.advance(Duration::seconds(20));
    assert_eq!(world.verdict(&old).await.as_deref(), Ok("user_ana"), "nobody told us yet");
    world.harness.advance(Duration::minutes(5));
    let (header, mut claims) = world.harness.platform.clerk_claims(world.of("user_ana"));
    claims["exp"] = json!(world.harness.now().unix_timestamp() + 3600);
    let long = world.harness.platform.clerk_sign(&header, &claims);
    assert!(world.verdict(&long).await.is_ok());
    world.harness.platform.clerk_rotate(false);
    world.harness.advance(Duration::minutes(5));
    assert_eq!(
        world.verdict(&long).await,
        Err("token_invalid"),
        "a key that is gone counts no longer than five minutes"
    );
    world.harness.finish().await;
}

#[tokio::test]
async fn while_clerk_is_down_people_come_in_with_the_keys_from_before() {
    let world = World::start().await;
    world.welcome().await;
    for outage in [Outage::Cut, Outage::Status(503), Outage::Nonsense, Outage::NoKeys] {
        world.harness.platform.clerk_outage(Some(outage));
        let before = world.key_requests();
        world.harness.advance(Duration::hours(5));
        for _ in 0..20 {
            world.welcome().await;
        }
        world.forge(20).await;
        assert_eq!(world.key_requests(), before + 1, "{outage:?}");
    }
    world.harness.advance(Duration::hours(4));
    assert_eq!(world.verdict(&world.token("user_ana")).await, Err("no keys"), "a day is over");
    let (status, body) = world.me(&world.token("user_ana")).await;
    assert_eq!((status, &body["type"]), (503, &json!("/problems/unavailable")), "{body}");
    world.harness.platform.clerk_outage(None);
    world.harness.advance(Duration::seconds(5));
    world.welcome().await;
    world.harness.finish().await;
}

#[tokio::test]
async fn many_who_come_first_together_ask_for_the_keys_once_and_one_person_is_one_account() {
    let world = World::start().await;
    let token = world.token("user_ana");
    let answers = futures::future::join_all((0..40).map(|_| world.me(&token))).await;
    let ids: HashSet<String> = answers.iter().map(|(_, me)| me["id"].to_string()).collect();
    assert!(answers.iter().all(|(status, _)| *status == 200));
    assert_eq!((ids.len(), world.key_requests()), (1, 1));
    world.harness.finish().await;
}

#[tokio::test]
async fn who_acts_as_somebody_else_stands_in_the_log_of_each_team_once_a_session() {
    let world = World::start().await;
    let harness = &world.harness;
    let ana = world.me(&world.token("user_ana")).await.1["id"].as_str().unwrap().parse::<Uuid>().unwrap();
    let (moment, team_id) = (harness.app.moment(), harness.app.moment().id());
    let team = teams::NewTeam { id: team_id, member_id: moment.id(), owner_user_id: ana, name: "Beans" };
    teams::create(&mut *harness.conn().await, team, moment.now).await.unwrap();
    let (header, mut claims) = harness.platform.clerk_claims(world.of("user_ana"));
    claims["act"] = json!({ "iss": "https://dashboard.clerk.com", "sid": "sess_staff", "sub": "user_staff" });
    let token = harness.platform.clerk_sign(&header, &claims);
    for _ in 0..2 {
        assert_eq!(world.me(&token).await.1["id"], json!(ana));
    }
    let rows = activity::list(&mut *harness.conn().await, team_id, None, None, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].kind.as_str(), rows[0].actor_user_id), ("person.impersonated", Some(ana)));
    assert_eq!(rows[0].payload, json!({ "by": "user_staff", "session": "sess_1" }));
    world.harness.finish().await;
}

#[tokio::test]
async fn keys_come_from_the_backend_api_with_its_key_or_from_a_pasted_text() {
    let harness = Harness::unconnected_at(|base| {
        let base = base.as_str().trim_end_matches('/');
        let settings = [
            ("CLERK_ISSUER", base.to_owned()),
            ("CLERK_JWKS_URL", format!("{base}/v1/jwks")),
            ("CLERK_API_BASE", base.to_owned()),
            ("CLERK_API_KEY", "sk_test_sandbox".to_owned()),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
    })
    .await;
    let issuer = harness.base_url.as_str().trim_end_matches('/').to_owned();
    let router = router(harness.app.clone(), CancellationToken::new());
    let world = World { harness, router, issuer };
    world.welcome().await;
    assert_eq!(world.harness.platform.requests()["GET /v1/jwks"], 1);
    world.harness.finish().await;

    let world = World::with(&[("JWT_PUBLIC_KEY", &rejoinder_sandbox::clerk_public_key().replace('\n', "\\n"))]).await;
    world.welcome().await;
    let (mut header, claims) = world.harness.platform.clerk_claims(world.of("user_ana"));
    header.as_object_mut().unwrap().remove("kid");
    assert!(world.verdict(&world.harness.platform.clerk_sign(&header, &claims)).await.is_ok());
    world.harness.platform.clerk_rotate(true);
    assert_eq!(world.verdict(&world.token("user_ana")).await, Err("token_invalid"));
    assert_eq!(world.key_requests(), 0, "a pasted key needs no network");
    world.harness.finish().await;
}
