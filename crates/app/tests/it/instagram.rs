//! Instagram from the consent to the posted reply: the flow is the one of every platform, so what is shown here is where it differs.

use crate::harness::{Harness, START};
use rejoinder_app::accounts::connect;
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::model::{Stage, Status};
use rejoinder_sandbox::WriteFault;
use std::collections::HashMap;
use time::Duration;
use url::Url;

pub const BRAND: &str = "brassfinch";
pub const APP_SECRET: &str = "sandbox-secret";

/// Settings that name the sandbox's Instagram.
pub fn settings(base: &Url) -> Vec<(String, String)> {
    let graph = format!("{}/instagram", base.as_str().trim_end_matches('/'));
    let facebook = format!("{}/facebook", base.as_str().trim_end_matches('/'));
    let pairs = [
        ("META_APP_ID", "sandbox-client"),
        ("META_APP_SECRET", APP_SECRET),
        ("WEBHOOK_SECRET_META", "verify|me"),
        ("INSTAGRAM_DIALOG_BASE", &graph),
        ("INSTAGRAM_TOKEN_BASE", &graph),
        ("INSTAGRAM_GRAPH_BASE", &graph),
        ("META_DIALOG_BASE", &facebook),
        ("META_GRAPH_BASE", &facebook),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// A team without an account, on a server that knows Instagram. The brand has one post; its id is the second.
pub async fn world() -> (Harness, String) {
    let h = Harness::unconnected_at(settings).await;
    let media = h.platform.instagram_media(BRAND, "Our new grinder. Ask us anything.");
    (h, media)
}

/// Through the consent page, as a person does: out with the browser and back with a code. `granted`: what the person left ticked.
pub async fn consent(h: &mut Harness, granted: Option<&str>) -> Result<connect::Arrived, connect::ConnectError> {
    let (app, moment) = (&h.app, h.app.moment());
    let page = connect::start(app, &moment, (h.team_id, h.user_id), "instagram", None).await.unwrap();
    let asked: HashMap<String, String> = page.query_pairs().into_owned().collect();
    assert_eq!((page.path(), asked["response_type"].as_str()), ("/instagram/oauth/authorize", "code"));
    let code = h.platform.instagram_code(BRAND, &asked["redirect_uri"], granted.unwrap_or(&asked["scope"]));
    let callback = connect::Callback { state: asked["state"].clone(), code: Some(format!("{code}#_")), error: None };
    connect::come_back(app, &moment, "instagram", Some(h.user_id), callback).await.arrived
}

pub async fn connected() -> (Harness, String) {
    let (mut h, media) = world().await;
    match consent(&mut h, None).await {
        Ok(connect::Arrived::Connected(id)) => h.integration_id = id,
        other => panic!("{other:?}"),
    }
    h.run_due().await;
    (h, media)
}

/// What our account said directly under this.
pub fn our_texts(h: &Harness, target: &str) -> Vec<String> {
    let ours = h.platform.instagram_under(target).into_iter().filter(|comment| comment.author == BRAND);
    ours.map(|comment| comment.text).collect()
}

/// A stranger's comment that a poll brought, and our own words to it, approved.
pub async fn approved(h: &Harness, target: &str, text: &str) -> Suggestion {
    let item = h.item_of(target).await.expect("the poll brought it");
    let suggestion = h.write_reply(&item, text).await;
    h.approve(&suggestion).await.unwrap()
}

pub async fn stranger(h: &Harness, target: &str, text: &str) -> String {
    let comment = h.platform.instagram_comment("curious_cat", target, text);
    h.poll().await;
    comment
}

#[tokio::test]
async fn a_comment_on_instagram_becomes_one_approved_reply() {
    let (h, media) = connected().await;
    let integration = h.integration().await;
    assert_eq!((integration.platform.as_str(), integration.display_name.as_str()), ("instagram", BRAND));
    assert_eq!(integration.platform_account_id, h.platform.instagram_account(BRAND));
    assert_eq!(integration.scopes, ["instagram_business_basic", "instagram_business_manage_comments"]);
    let expires_at = integration.expires_at.unwrap();
    assert_eq!((expires_at - START).whole_days(), 59, "the token was exchanged for one that lasts");

    let comment = stranger(&h, &media, "Which setting for a V60?").await;
    let item = h.item_of(&comment).await.expect("the poll brought it");
    let draft = h.ask_for_draft(&item).await;
    assert_eq!(draft.state.status, Status::Pending, "{:?}", draft.state.stage_reason);
    let edited = h.edit(&draft, "Start at 24 clicks.").await.unwrap();
    let sent = h.approve(&edited).await.unwrap();
    assert!(our_texts(&h, &comment).is_empty(), "nothing is sent before its job runs");
    h.run_due().await;

    assert_eq!(our_texts(&h, &comment), ["Start at 24 clicks."]);
    let state = h.suggestion(sent.id).await.state;
    assert_eq!(state.status, Status::Posted);
    assert_eq!(state.platform_reply_id.as_deref(), Some(h.platform.instagram_by(BRAND)[0].id.as_str()));
    assert_eq!(h.item_of(&comment).await.unwrap().state, "done");
    h.poll().await;
    assert_eq!(h.items().await.len(), 1, "our own reply is nothing to answer");
    h.finish().await;
}

#[tokio::test]
async fn an_answer_to_an_answer_lands_under_the_top_level_comment_and_is_known_there() {
    let (h, media) = connected().await;
    let top = h.platform.instagram_comment("moka_marie", &media, "How loud is it?");
    let below = h.platform.instagram_comment("curious_cat", &top, "Good question, and how heavy?");
    h.poll().await;
    assert_eq!(h.items().await.len(), 2);
    h.platform.plan_write(vec![WriteFault::DoneThenServerError]);
    let suggestion = approved(&h, &below, "Just under a kilo.").await;
    h.run_due().await;
    assert_eq!(h.stands(&suggestion).await, (Status::Approved, Stage::Uncertain), "500 says nothing");
    h.run_for(Duration::minutes(5)).await;
    assert_eq!(h.stands(&suggestion).await, (Status::Posted, Stage::Done), "{}", h.reason(&suggestion).await);
    assert_eq!(our_texts(&h, &top), ["Just under a kilo."]);
    h.finish().await;
}

#[tokio::test]
async fn whatever_becomes_of_the_answer_one_reply_stands() {
    let faults = [
        WriteFault::DoneThenServerError,
        WriteFault::DoneThenDropped,
        WriteFault::DroppedBefore,
        WriteFault::ServerErrorBefore,
        WriteFault::EmptyThings,
        WriteFault::DroppedAndHidden { millis: 90_000 },
        WriteFault::LandsAfter { millis: 60_000 },
        WriteFault::RateLimited { secs: 120 },
        WriteFault::TokenExpired,
    ];
    for fault in faults {
        let (h, media) = connected().await;
        let comment = stranger(&h, &media, "How fine should I grind?").await;
        // A token younger than a day is not renewed.
        h.run_for(Duration::hours(25)).await;
        h.platform.plan_write(vec![fault.clone()]);
        let suggestion = approved(&h, &comment, "Like table salt.").await;
        h.run_for(Duration::minutes(90)).await;
        let stands = h.stands(&suggestion).await;
        if matches!(fault, WriteFault::TokenExpired) {
            assert_eq!(our_texts(&h, &comment), [""; 0], "{fault:?}");
            assert_eq!(h.integration().await.state, "needs_reconnect");
        } else {
            assert_eq!(
                our_texts(&h, &comment),
                ["Like table salt."],
                "{fault:?}: {stands:?} {}",
                h.reason(&suggestion).await
            );
            assert_eq!(stands.0, Status::Posted, "{fault:?}");
        }
        h.finish().await;
    }
}

#[tokio::test]
async fn a_gone_hidden_or_closed_target_goes_back_to_the_person() {
    for (what, said) in
        [("deleted", "gone"), ("hidden", "locked"), ("closed", "locked"), ("answered", "stands there already")]
    {
        let (h, media) = connected().await;
        let comment = stranger(&h, &media, "How fine?").await;
        let suggestion = approved(&h, &comment, "Like table salt.").await;
        match what {
            "deleted" => h.platform.instagram_delete(&comment),
            "hidden" => h.platform.instagram_hide(&comment, true),
            "closed" => h.platform.instagram_close(&media, true),
            _ => drop(h.platform.instagram_comment(BRAND, &comment, "By hand.")),
        }
        h.run_due().await;
        assert_eq!(h.stands(&suggestion).await.0, Status::Pending, "{what}");
        let suggestion = h.suggestion(suggestion.id).await;
        let told = format!("{:?} {:?}", suggestion.state.stage_reason, suggestion.state.held_reasons);
        assert!(told.contains(said), "{what}: {told}");
        assert!(!our_texts(&h, &comment).contains(&"Like table salt.".to_owned()));
        h.finish().await;
    }
}

#[tokio::test]
async fn a_refusal_says_what_it_is_about() {
    for (code, account_stops) in
        [("506", false), ("100/33", false), ("99999", false), ("368", true), ("25/2207050", true)]
    {
        let (h, media) = connected().await;
        let comment = stranger(&h, &media, "How fine?").await;
        h.platform.plan_write(vec![WriteFault::Refuse { code: code.to_owned() }]);
        let suggestion = approved(&h, &comment, "Like table salt.").await;
        h.run_due().await;
        let stands = (h.stands(&suggestion).await.0, h.outcomes(&suggestion).await, h.integration().await.state);
        let expected = match account_stops {
            // The reply waits until somebody looked after the account.
            true => (Status::Approved, vec!["not_sent".to_owned()], "paused".to_owned()),
            false => (Status::Failed, vec!["refused".to_owned()], "connected".to_owned()),
        };
        assert_eq!(stands, expected, "{code}: {}", h.reason(&suggestion).await);
        h.run_for(Duration::minutes(10)).await;
        assert!(our_texts(&h, &comment).is_empty(), "{code}");
        h.finish().await;
    }
}

#[tokio::test]
async fn a_dead_token_ends_in_one_notice_that_names_the_reason() {
    let (h, media) = connected().await;
    h.run_for(Duration::hours(25)).await;
    h.platform.instagram_kill_tokens(460);
    h.platform.instagram_comment("curious_cat", &media, "Hello?");
    h.poll().await;
    let integration = h.integration().await;
    assert_eq!(integration.state, "needs_reconnect");
    assert!(integration.state_reason.unwrap().contains("password was changed"));
    h.run_for(Duration::hours(3)).await;
    let notices: i64 = sqlx::query_scalar("select count(*) from notices").fetch_one(h.pool()).await.unwrap();
    assert_eq!(notices, 1);
    h.finish().await;
}

#[tokio::test]
async fn a_consent_that_leaves_out_a_permission_says_what_does_not_work() {
    let (mut h, _) = world().await;
    match consent(&mut h, Some("instagram_business_basic")).await {
        Ok(connect::Arrived::Connected(id)) => h.integration_id = id,
        other => panic!("{other:?}"),
    }
    h.run_due().await;
    let mut browser = crate::pages::Browser::signed_in(&h, h.user_id).await;
    let page = browser.get("/dashboard/accounts?integration=connected&connected=instagram").await.html;
    assert!(page.contains("does not hold everything"));
    assert!(page.contains("<code>instagram_business_manage_comments</code> no comment can be read"), "{page}");
    h.finish().await;
}

#[tokio::test]
async fn an_app_that_is_used_up_shuts_its_door_for_everything_until_its_time() {
    let (h, media) = connected().await;
    h.platform.instagram_comment("curious_cat", &media, "Hello?");
    h.platform.plan_reads(vec![rejoinder_sandbox::ReadFault::TooManyRequests { secs: 25 * 60 }]);
    h.poll().await;
    let before = h.platform.requests();
    h.run_for(Duration::minutes(24)).await;
    // Another account of the same app would ask now; so does an event that must be read.
    crate::instagram_webhooks::names_a_new_post(&h).await;
    assert_eq!(h.platform.requests(), before, "asking on makes it longer");
    h.run_for(Duration::minutes(5)).await;
    h.poll().await;
    assert_eq!(h.items().await.len(), 2, "both were heard afterwards");
    h.finish().await;
}

#[tokio::test]
async fn the_last_tenth_of_an_accounts_budget_is_left_for_replies() {
    let (h, media) = connected().await;
    let comment = stranger(&h, &media, "How fine?").await;
    h.platform.instagram_comment("moka_marie", &media, "And how loud?");
    h.platform.instagram_usage(Some(95));
    h.poll().await;
    assert_eq!(h.items().await.len(), 1, "comments wait");
    let suggestion = approved(&h, &comment, "Like table salt.").await;
    h.run_due().await;
    assert_eq!(h.stands(&suggestion).await.0, Status::Posted);
    h.platform.instagram_usage(None);
    h.run_for(Duration::minutes(90)).await;
    h.poll().await;
    assert_eq!(h.items().await.len(), 2);
    h.finish().await;
}

#[tokio::test]
async fn connecting_has_events_sent_and_the_api_says_how_they_come() {
    let (h, media) = connected().await;
    assert_eq!(h.platform.instagram_subscribed(BRAND), ["comments", "live_comments"]);
    let list = format!("/api/teams/{}/integrations", h.team_id);
    let client = crate::client::Client::signed_in(&h).await;
    let events = client.get(&list).await.1["items"][0]["events"].clone();
    assert_eq!(
        events,
        serde_json::json!({"subscribed": ["comments", "live_comments"], "problem": null, "last_event_at": null})
    );
    crate::instagram_webhooks::told_of(&h, &media).await;
    let events = client.get(&list).await.1["items"][0]["events"].clone();
    assert_eq!(events["last_event_at"], "2026-03-02T09:00:00Z");
    let mut browser = crate::pages::Browser::signed_in(&h, h.user_id).await;
    let page = browser.get("/dashboard/accounts").await.html;
    assert!(page.contains("<code>live_comments</code> as they happen"), "{page}");
    h.finish().await;
}

/// Whole days until the access ends.
async fn days_left(h: &Harness) -> i64 {
    (h.integration().await.expires_at.unwrap() - h.now()).whole_days()
}

async fn sweep_tokens(h: &Harness) {
    let job = rejoinder_app::upkeep::TokenSweep {};
    rejoinder_app::jobs::enqueue(&mut *h.conn().await, &job, h.now()).await.unwrap();
    h.run_due().await;
}

#[tokio::test]
async fn the_token_renews_itself_weeks_ahead_and_a_week_before_its_end_the_team_is_told() {
    let (h, _) = connected().await;
    h.run_for(Duration::days(30)).await;
    sweep_tokens(&h).await;
    assert_eq!(days_left(&h).await, 29, "not yet");
    h.run_for(Duration::days(10)).await;
    sweep_tokens(&h).await;
    assert_eq!(days_left(&h).await, 59, "renewed");
    let notices = || async {
        let open = "select count(*) from notices where kind = 'access_ending' and resolved_at is null";
        sqlx::query_scalar::<_, i64>(open).fetch_one(h.pool()).await.unwrap()
    };
    let fail = || h.platform.plan_token_trouble(true);
    fail();
    h.run_for(Duration::days(45)).await;
    sweep_tokens(&h).await;
    assert_eq!(notices().await, 0, "two weeks are left");
    h.run_for(Duration::days(9)).await;
    sweep_tokens(&h).await;
    sweep_tokens(&h).await;
    assert_eq!(notices().await, 1);
    h.platform.plan_token_trouble(false);
    sweep_tokens(&h).await;
    assert_eq!((notices().await, days_left(&h).await), (0, 59), "renewed after all");
    h.finish().await;
}
