//! The keys that Clerk's tokens are signed with: asked for seldom, kept while Clerk is down, found again when they change.

use crate::harness::Harness;
use rejoinder_app::accounts::teams;
use rejoinder_app::flow::activity;
use rejoinder_app::http::router;
use rejoinder_sandbox::Outage;
use serde_json::json;
use std::collections::HashSet;
use time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clerk_world::World;

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
