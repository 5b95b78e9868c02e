//! X from the consent page to one posted reply, and what it refuses.

use crate::harness::{BRAND, Harness};
use crate::pages::Browser;
use rejoinder_app::accounts::{connect, tokens};
use rejoinder_app::flow::suggest::RequestError;
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::model::{Stage, Status};
use rejoinder_platforms::{Cursor, InboundItem};
use rejoinder_sandbox::{ReadFault, WriteFault, XPost};
use serde_json::json;
use std::collections::HashMap;
use time::Duration;
use uuid::Uuid;

pub const TEXT: &str = "It does, all 58 mm baskets fit.";

/// A team whose account on X is connected and has one post.
pub struct World {
    pub h: Harness,
    pub post: String,
}

pub async fn world() -> World {
    let mut h = unconnected().await;
    let post = h.platform.x_post(BRAND, "The Mk II ships on Monday. Ask us anything.");
    connect_by_consent(&mut h).await;
    World { h, post }
}

async fn unconnected() -> Harness {
    unconnected_with(&[]).await
}

pub async fn unconnected_with(more: &[(&str, &str)]) -> Harness {
    let settings = |base: &url::Url| {
        let pairs = [("X_CLIENT_ID", "sandbox-client"), ("X_CLIENT_SECRET", "sandbox-secret")];
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let bases = ["X_AUTH_BASE", "X_API_BASE"].map(|name| (name.to_owned(), format!("{base}x")));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(bases).chain(more).collect()
    };
    Harness::unconnected_at(settings).await
}

async fn connect_by_consent(h: &mut Harness) {
    h.integration_id = connect_account(h, BRAND).await;
}

/// Through the consent page. Returns the integration.
pub async fn connect_account(h: &Harness, name: &str) -> Uuid {
    h.platform.x_user(name);
    let (app, moment) = (&h.app, h.app.moment());
    let page = connect::start(app, &moment, (h.team_id, h.user_id), "x", None).await.unwrap();
    let asked: HashMap<String, String> = page.query_pairs().into_owned().collect();
    assert_eq!((page.path(), asked["code_challenge_method"].as_str()), ("/x/i/oauth2/authorize", "S256"));
    let code = h.platform.x_grant_code(name, &asked["redirect_uri"], &asked["scope"], &asked["code_challenge"]);
    let callback = connect::Callback { state: asked["state"].clone(), code: Some(code), error: None };
    match connect::come_back(app, &moment, "x", Some(h.user_id), callback).await.arrived {
        Ok(connect::Arrived::Connected(id)) => id,
        other => panic!("{other:?}"),
    }
}

impl World {
    pub fn ours_under(&self, target: &str) -> Vec<XPost> {
        let under = self.h.platform.x_replies_under(target);
        under.into_iter().filter(|post| post.author == BRAND && !post.deleted).collect()
    }

    pub fn posts_sent(&self) -> u64 {
        self.h.platform.requests().get("POST /x/2/tweets").copied().unwrap_or(0)
    }

    /// An answer to our post, a reply to it that was approved, and these faults when it goes out.
    pub async fn send_through(&self, faults: Vec<WriteFault>, time: Duration) -> (String, Suggestion) {
        let answer = self.h.platform.x_reply("curious_cat", &self.post, "Do the old baskets fit?");
        self.h.poll().await;
        let item = self.h.item_of(&answer).await.unwrap();
        let ready = self.h.write_reply(&item, TEXT).await;
        let queued = self.h.approve(&ready).await.unwrap();
        self.h.platform.plan_write(faults);
        self.h.run_for(time).await;
        (answer, queued)
    }
}

#[tokio::test]
async fn an_answer_on_x_becomes_one_posted_reply() {
    let w = world().await;
    let answer = w.h.platform.x_reply("curious_cat", &w.post, "Do the old baskets fit & how?");
    w.h.run_due().await;
    let item = w.h.item_of(&answer).await.expect("the first poll follows from connecting");
    let text = w.h.comment_row(&item).await.text;
    assert_eq!(text, "@brassfinch Do the old baskets fit & how?", "escapes are undone");
    let draft = w.h.ask_for_draft(&item).await;
    assert_eq!(draft.state.status, Status::Pending, "{:?}", draft.state.stage_reason);
    let edited = w.h.edit(&draft, TEXT).await.unwrap();
    let sent = w.h.approve(&edited).await.unwrap();
    w.h.run_due().await;

    let ours = w.ours_under(&answer);
    assert_eq!(ours.iter().map(|post| post.text.as_str()).collect::<Vec<_>>(), [format!("@curious_cat {TEXT}")]);
    let posted = w.h.suggestion(sent.id).await.state;
    assert_eq!((posted.status, posted.platform_reply_id.as_deref()), (Status::Posted, Some(ours[0].id.as_str())));
    assert_eq!(w.h.item_of(&answer).await.unwrap().state, "done");
    let log = w.h.activity().await;
    let exchange = log.iter().find(|row| row.kind == "reply.exchange").unwrap();
    assert_eq!(
        (exchange.payload["status"].as_u64(), exchange.payload["answer"]["id"].as_str()),
        (Some(201), Some(ours[0].id.as_str()))
    );
    w.h.finish().await;
}

#[tokio::test]
async fn mentions_answers_and_answers_to_answers_come_in_once_and_nothing_of_ours() {
    let w = world().await;
    let p = &w.h.platform;
    let mention = p.x_post("latte_lars", "@brassfinch my grinder squeaks");
    let first = p.x_reply("maren", &w.post, "Nice!");
    let second = p.x_reply("tobi", &first, "Agreed.");
    let quote = p.x_quote("kim", &w.post, "@brassfinch look");
    p.x_post("stranger", "Nothing to do with anybody.");
    p.x_reply(BRAND, &first, "Thank you!");
    w.h.poll().await;
    w.h.poll().await;
    let mut found: Vec<String> = w.h.items().await.into_iter().map(|item| item.target_platform_id).collect();
    found.sort();
    let mut expected = vec![mention, first.clone(), second, quote];
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(w.h.item_of(&first).await.unwrap().state, "answered_elsewhere");
    w.h.finish().await;
}

#[tokio::test]
async fn who_did_not_ask_for_us_is_left_to_a_person_before_anything_is_drafted() {
    let w = world().await;
    let first = w.h.platform.x_reply("maren", &w.post, "Nice!");
    let aside = w.h.platform.x_reply("tobi", &first, "Agreed.");
    w.h.poll().await;
    let item = w.h.item_of(&aside).await.unwrap();
    match w.h.request(w.h.request_for(&item)).await {
        Err(RequestError::NotEligible { code: "by-hand-only", reason }) => {
            assert!(reason.contains("x.com"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    assert!(w.h.platform.ai_requests().is_empty());
    w.h.finish().await;
}

#[tokio::test]
async fn a_refused_reply_is_remembered_for_that_post_and_never_held_against_the_account() {
    let w = world().await;
    let refuse = WriteFault::Refuse { code: "not_summoned".to_owned() };
    let (answer, sent) = w.send_through(vec![refuse; 9], Duration::minutes(20)).await;
    assert_eq!(w.h.stands(&sent).await, (Status::Failed, Stage::Done));
    let reason = w.h.reason(&sent).await;
    assert!(reason.contains("not_summoned") && reason.contains("x.com"), "{reason}");
    assert_eq!((w.posts_sent(), w.ours_under(&answer).len()), (1, 0));
    assert_eq!(w.h.integration().await.state, "connected");
    w.h.poll().await;
    let item = w.h.item_of(&answer).await.unwrap();
    let again = w.h.request(w.h.request_for(&item)).await;
    assert!(matches!(again, Err(RequestError::NotEligible { code: "by-hand-only", .. })), "{again:?}");
    w.h.finish().await;
}

#[tokio::test]
async fn whatever_the_answer_to_a_write_is_one_reply_stands_there() {
    let lost = [
        WriteFault::DoneThenServerError,
        WriteFault::DoneThenDropped,
        WriteFault::EmptyThings,
        WriteFault::LandsAfter { millis: 200_000 },
        WriteFault::DroppedBefore,
        WriteFault::ServerErrorBefore,
        WriteFault::RateLimited { secs: 300 },
        WriteFault::TokenExpired,
    ];
    for fault in lost {
        let w = world().await;
        let (answer, sent) = w.send_through(vec![fault.clone()], Duration::minutes(12)).await;
        assert_eq!(w.h.stands(&sent).await, (Status::Posted, Stage::Done), "{fault:?}");
        assert_eq!(w.ours_under(&answer).len(), 1, "{fault:?}");
        w.h.finish().await;
    }
}

#[tokio::test]
async fn no_credits_stop_the_app_and_are_no_reason_to_connect_again() {
    let w = world().await;
    let (answer, _) = w.send_through(vec![WriteFault::PaymentRequired], Duration::ZERO).await;
    let integration = w.h.integration().await;
    assert_eq!((integration.state.as_str(), w.ours_under(&answer).len()), ("paused", 0));
    assert!(integration.state_reason.unwrap_or_default().contains("credits"));
    w.h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn a_refresh_token_is_used_once_and_the_next_one_is_kept() {
    let w = world().await;
    for _ in 0..3 {
        w.h.platform.x_expire_tokens();
        w.h.poll().await;
    }
    assert_eq!(w.h.integration().await.state, "connected");
    let refreshed = w.h.platform.journal().iter().filter(|entry| entry.effect == "refresh").count();
    assert_eq!(refreshed, 3);
    w.h.platform.x_revoke_tokens();
    w.h.poll().await;
    let integration = w.h.integration().await;
    assert_eq!(integration.state, "needs_reconnect");
    assert!(integration.state_reason.unwrap_or_default().contains("does not renew"));
    w.h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn a_refresh_token_is_never_used_twice_by_whoever_read_it_before() {
    let w = world().await;
    let (app, begun_long_ago, read_before) = (&w.h.app, w.h.app.moment(), w.h.integration().await);
    let refreshes = || w.h.platform.requests().get("POST /x/2/oauth2/token").copied().unwrap_or(0);
    let before = refreshes();
    tokens::renew(app, &begun_long_ago, &read_before).await.unwrap();
    tokens::renew(app, &begun_long_ago, &read_before).await.unwrap();
    assert_eq!(refreshes(), before + 1, "the second one takes what the first one brought");
    w.h.advance(Duration::minutes(10));
    let (row, now) = (w.h.integration().await, app.moment());
    let both = tokio::join!(tokens::renew(app, &begun_long_ago, &row), tokens::renew(app, &now, &row));
    assert!(both.0.is_ok() || both.1.is_ok(), "{both:?}");
    assert_eq!(refreshes(), before + 2);
    w.h.poll().await;
    assert_eq!(w.h.integration().await.state, "connected");
    w.h.finish().await;
}

#[tokio::test]
async fn a_text_is_as_long_as_x_counts_it_wherever_it_is_judged() {
    let w = world().await;
    let answer = w.h.platform.x_reply("curious_cat", &w.post, "Do the old baskets fit?");
    w.h.poll().await;
    let item = w.h.item_of(&answer).await.unwrap();
    let ready = w.h.write_reply(&item, TEXT).await;
    let (heavy, light) = ("\u{9577}".repeat(141), format!("See https://acme.com/{}", "a".repeat(400)));
    let mut browser = Browser::signed_in(&w.h, w.h.user_id).await;
    let page = browser.get(&format!("/dashboard/inbox?item={}", item.id)).await.html;
    assert!(page.contains("data-count=\"/dashboard/length/x\"") && page.contains("31/280"), "{page}");
    for (text, length) in [(TEXT, 31), (&*heavy, 282), (&*light, 27), ("  \r\n ", 0)] {
        let counted = browser.post("/dashboard/length/x", &[("text", text)]).await;
        assert_eq!(counted.html, json!({ "length": length }).to_string());
    }
    let approve = format!("/dashboard/suggestions/{}/approve", ready.id);
    let refused = browser.post(&approve, &[("text", &heavy), ("version", &ready.state.version.to_string())]).await;
    assert!(refused.status == 422 && refused.html.contains("282 characters as the platform counts them"));
    browser.post(&approve, &[("text", &light), ("version", &ready.state.version.to_string())]).await;
    let held = w.h.suggestion(ready.id).await;
    let reasons = held.state.held_reasons.join("; ");
    assert!(reasons.contains("acme.com") && !reasons.contains("long"), "only the link is told: {reasons}");
    w.h.approve(&held).await.unwrap();
    w.h.run_due().await;
    assert_eq!(w.ours_under(&answer)[0].text, format!("@curious_cat {light}"));
    w.h.finish().await;
}

#[tokio::test]
async fn an_edited_post_is_read_in_its_newest_version() {
    let w = world().await;
    let answer = w.h.platform.x_reply("curious_cat", &w.post, "Do the old baskets fit?");
    w.h.poll().await;
    let item = w.h.item_of(&answer).await.unwrap();
    w.h.advance(Duration::minutes(10));
    w.h.platform.x_edit(&answer, "@brassfinch Do the new baskets fit?");
    let reader = w.h.app.readers.get("x").unwrap();
    let session = tokens::session(&w.h.app, &w.h.app.moment(), &w.h.integration().await, None).await.unwrap();
    let states = reader.states(&session, std::slice::from_ref(&answer)).await.unwrap();
    let [thing] = &states.things[..] else { panic!("{states:?}") };
    assert_eq!((thing.id.as_str(), thing.text.as_deref()), (&*answer, Some("@brassfinch Do the new baskets fit?")));
    assert_eq!(thing.edited_at, Some(w.h.now()));
    w.h.poll().await;
    assert_eq!(w.h.comment_row(&item).await.text, "@brassfinch Do the new baskets fit?");
    assert_eq!(w.h.items().await.len(), 1, "a new version is no new answer");
    w.h.finish().await;
}

#[tokio::test]
async fn a_reply_under_an_edited_post_is_found_there_whichever_version_x_names() {
    let w = world().await;
    let answer = w.h.platform.x_reply("curious_cat", &w.post, "Do the old baskets fit?");
    w.h.advance(Duration::minutes(10));
    w.h.platform.x_edit(&answer, "@brassfinch Do the new baskets fit?");
    w.h.poll().await;
    let item = w.h.item_of(&answer).await.expect("known by its first version");
    let ready = w.h.write_reply(&item, TEXT).await;
    let sent = w.h.approve(&ready).await.unwrap();
    w.h.platform.plan_write(vec![WriteFault::DoneThenDropped]);
    w.h.run_for(Duration::minutes(12)).await;
    assert_eq!(w.h.stands(&sent).await, (Status::Posted, Stage::Done), "{}", w.h.reason(&sent).await);
    assert_eq!((w.posts_sent(), w.ours_under(&answer).len()), (1, 1));
    assert_ne!(w.ours_under(&answer)[0].replied_to.as_ref(), Some(&answer), "X names the version that stands there");
    w.h.finish().await;
}

#[tokio::test]
async fn a_search_that_failed_is_made_up_for_though_another_one_went_well() {
    let mut h = unconnected().await;
    let posts: Vec<String> = (0..20).map(|number| h.platform.x_post(BRAND, &format!("Post {number}"))).collect();
    connect_by_consent(&mut h).await;
    h.poll().await;
    let last = h.platform.x_reply("maren", &posts[19], "Nice!");
    let aside = h.platform.x_reply("tobi", &last, "Agreed.");
    h.platform.x_reply("kim", &posts[0], "First!");
    h.advance(Duration::minutes(2));
    h.platform.plan_reads(vec![ReadFault::Ok, ReadFault::Ok, ReadFault::Ok, ReadFault::Status { code: 503 }]);
    h.poll().await;
    assert!(h.item_of(&aside).await.is_none() && h.item_of(&last).await.is_some());
    h.poll().await;
    assert!(h.item_of(&aside).await.is_some(), "only a search finds it, and that one had failed");
    h.finish().await;
}

#[tokio::test]
async fn what_was_left_over_longer_ago_than_x_can_search_holds_nothing_up() {
    let w = world().await;
    w.h.poll().await;
    let mut cursor = w.h.integration().await.poll_cursor;
    let old =
        |until: u64| json!({"feed": {"search": "conversation_id:1"}, "since": 1_000_000_u64 << 22, "until": until});
    let now = w.post.parse::<u64>().unwrap();
    cursor["ranges"] = json!([old(2_000_000 << 22), old(now)]);
    let mention = w.h.platform.x_post("latte_lars", "@brassfinch my grinder squeaks");
    let reader = w.h.app.readers.get("x").unwrap();
    let session = tokens::session(&w.h.app, &w.h.app.moment(), &w.h.integration().await, None).await.unwrap();
    let polled = reader.poll(&session, &Cursor(cursor)).await.unwrap();
    assert_eq!(polled.problems, Vec::<String>::new());
    let found = polled.items.iter().any(|item| matches!(item, InboundItem::Post(post) if post.id == mention));
    assert!(found, "{polled:?}");
    assert_eq!(polled.cursor.0["ranges"], json!([]), "nothing of it is left");
    w.h.finish().await;
}
