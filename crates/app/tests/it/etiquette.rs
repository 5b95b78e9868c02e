//! What keeps an account a welcome guest: who asks for silence gets it, nearly the same text does not travel, two accounts of a team do
//! not answer one text unseen, and rules stop where their replies are removed.

use crate::client::Client;
use crate::harness::{BRAND, Harness, approve_now};
use crate::pages::Browser;
use rejoinder_app::flow::approve::Approve;
use rejoinder_app::flow::notices::{self, Which};
use rejoinder_app::flow::send::WatchSweep;
use rejoinder_app::flow::suggest::RequestError;
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::jobs;
use rejoinder_app::model::{NoticeKind, Role, Stage, Status};
use serde_json::{Value, json};
use time::Duration;

const TEXT: &str = "Turn the ring two clicks finer, wait for the burrs to touch, then taste the next shot again.";

async fn opt_outs(h: &Harness) -> Vec<Value> {
    let (status, page) = Client::signed_in(h).await.get(&format!("/api/teams/{}/opt-outs", h.team_id)).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

async fn pauses(h: &Harness) -> Vec<Value> {
    let (status, page) = Client::signed_in(h).await.get(&format!("/api/teams/{}/rule-pauses", h.team_id)).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

/// As a rule would have approved it.
async fn by_rule(h: &Harness, suggestion: &Suggestion) {
    sqlx::query("update suggestions set approved_by = null where id = $1")
        .bind(suggestion.id)
        .execute(h.pool())
        .await
        .unwrap();
}

async fn confirm_policy(h: &Harness) {
    let path = format!("/api/integrations/{}/confirm-policy", h.integration_id);
    let (status, answer) = Client::signed_in(h).await.post(&path, &json!({})).await;
    assert_eq!((status, answer["policy_confirmed_at"].is_string()), (200, true), "{answer}");
}

#[tokio::test]
async fn who_asks_for_silence_is_answered_no_more_until_an_admin_lifts_it() {
    let h = Harness::start().await;
    let (_, ready) = h.ready_reply(TEXT).await;
    let later = Approve { undo_window: Duration::minutes(5), ..approve_now() };
    let (queued, _) = h.approve_as(h.decision(&ready), later).await.unwrap();
    let (comment, item) = h.incoming("Don\u{2019}t reply to me, please.").await;
    let noted = opt_outs(&h).await;
    assert_eq!(noted.len(), 1);
    assert_eq!((&noted[0]["words"], &noted[0]["author_handle"]), (&json!("don't reply to me"), &json!("curious_cat")));
    assert_eq!(noted[0]["item_id"], json!(item.id));
    assert!(!noted[0].to_string().contains("please"), "what they said stands in their comment alone");

    // Neither what was approved before goes out, nor is anything drafted.
    h.run_for(Duration::minutes(6)).await;
    assert_eq!((h.stands(&queued).await, h.write_requests()), ((Status::Pending, Stage::Ready), 0));
    assert!(h.reason(&queued).await.contains("asked not to be answered"), "{}", h.reason(&queued).await);
    let other = h.platform.add_comment("curious_cat", &h.post, "And how fine?");
    h.poll().await;
    for target in [&comment, &other] {
        let item = h.item_of(target).await.unwrap();
        let asked = h.request(h.request_for(&item)).await;
        assert!(matches!(asked, Err(RequestError::NotEligible { code: "opted-out", .. })), "{asked:?}");
    }
    h.approve(&h.suggestion(queued.id).await).await.unwrap();
    h.run_due().await;
    assert_eq!(h.write_requests(), 0, "no approval outweighs it");
    let page = Browser::signed_in(&h, h.user_id).await.get(&format!("/dashboard/inbox?item={}", item.id)).await;
    assert!(page.html.contains("is answered no more"), "{}", page.html);

    let lift = format!("/api/opt-outs/{}/lift", noted[0]["id"].as_str().unwrap());
    assert_eq!(Client::with_role(&h, Role::Editor).await.post(&lift, &json!({})).await.0, 403);
    h.advance(Duration::minutes(1));
    let admin = Client::signed_in(&h).await;
    assert_eq!(admin.post(&lift, &json!({})).await.0, 204);
    assert_eq!(admin.post(&lift, &json!({})).await.0, 204, "once more changes nothing");
    h.poll().await;
    let after = opt_outs(&h).await;
    assert_eq!(
        (after.len(), &after[0]["lifted_by_name"]),
        (1, &json!("Ana Lima")),
        "what was said before does not count again"
    );
    h.approve(&h.suggestion(queued.id).await).await.unwrap();
    h.run_due().await;
    assert_eq!(h.stands(&queued).await, (Status::Posted, Stage::Done));

    h.advance(Duration::minutes(1));
    h.platform.add_comment("curious_cat", &h.post, "STOP!");
    h.poll().await;
    assert_eq!(opt_outs(&h).await.len(), 2, "said again, it counts again");
    let kinds: Vec<String> = h.activity().await.into_iter().map(|row| row.kind).collect();
    assert!(["opt_out.noted", "opt_out.lifted"].iter().all(|kind| kinds.contains(&(*kind).to_owned())), "{kinds:?}");
    h.finish().await;
}

#[tokio::test]
async fn only_words_said_to_us_count_and_a_team_has_its_own() {
    let h = Harness::start().await;
    let patched = Client::signed_in(&h)
        .await
        .patch(&format!("/api/teams/{}/settings", h.team_id), &json!({ "opt_out_words": ["  No More Tips ", ""] }))
        .await;
    assert_eq!((patched.0, &patched.1["opt_out_words"]), (200, &json!(["no more tips"])), "{}", patched.1);
    let asked = h.platform.add_comment("asks", &h.post, "How do I stop the drip after a shot?");
    h.platform.add_comment("quarrels", &asked, "Don't reply to me!");
    h.platform.add_comment("tired", &h.post, "No more tips, thanks.");
    h.platform.add_comment("names_us", &asked, &format!("u/{BRAND} leave me alone"));
    h.poll().await;
    let mut noted: Vec<String> =
        opt_outs(&h).await.iter().map(|one| one["author_handle"].as_str().unwrap().to_owned()).collect();
    noted.sort();
    assert_eq!(noted, ["names_us", "tired"]);
    h.finish().await;
}

/// Our own post in another community, a question under it, and an approved answer.
async fn answered_in(h: &Harness, community: &str, text: &str) -> (String, Suggestion) {
    let post = h.platform.add_post(BRAND, community, "Our new grinder", "Ask us anything.");
    let comment = h.platform.add_comment(&format!("asks_{community}"), &post, "How fine should I grind?");
    h.poll().await;
    let item = h.item_of(&comment).await.unwrap();
    let suggestion = h.write_reply(&item, text).await;
    (comment, suggestion)
}

#[tokio::test]
async fn nearly_the_same_text_in_another_community_is_held_until_a_person_has_seen_it() {
    let h = Harness::start().await;
    let (_, first) = answered_in(&h, "coffee", TEXT).await;
    h.approve(&first).await.unwrap();
    h.run_due().await;
    assert_eq!(h.stands(&first).await.0, Status::Posted);

    let nearly = TEXT.replace("again", "once more");
    let (_, second) = answered_in(&h, "grinders", &nearly).await;
    let held = h.approve(&second).await.unwrap();
    assert_eq!(held.state.status, Status::Pending);
    assert!(held.state.held_reasons[0].contains("another community"), "{:?}", held.state.held_reasons);
    h.approve(&held).await.unwrap();
    h.run_due().await;
    assert_eq!(h.stands(&second).await.0, Status::Posted, "a person who saw the reason may");

    let same_place = h.platform.add_comment(
        "asks_again",
        &h.platform.posts().iter().find(|post| post.community == "coffee").unwrap().fullname,
        "And mine?",
    );
    h.poll().await;
    let third = h.write_reply(&h.item_of(&same_place).await.unwrap(), "Any time, enjoy it!").await;
    assert_eq!(h.approve(&third).await.unwrap().state.status, Status::Approved, "a thank-you may stand everywhere");
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn the_gate_holds_a_text_that_went_out_elsewhere_after_the_approval() {
    let h = Harness::start().await;
    let (_, first) = answered_in(&h, "coffee", TEXT).await;
    let (comment, second) = answered_in(&h, "grinders", TEXT).await;
    h.approve(&first).await.unwrap();
    h.approve(&second).await.unwrap();
    h.run_due().await;
    h.run_for(Duration::minutes(1)).await;
    let (one, other) = (h.stands(&first).await.0, h.stands(&second).await.0);
    assert!(
        (one, other) == (Status::Posted, Status::Pending) || (one, other) == (Status::Pending, Status::Posted),
        "{one:?} {other:?}: one went out, the other waits for a person"
    );
    assert!(h.our_texts(&comment).len() <= 1);
    h.finish().await;
}

#[tokio::test]
async fn rules_post_nothing_before_an_admin_has_confirmed_the_policy_and_people_are_not_concerned() {
    let h = Harness::start().await;
    let (_, by_person) = h.queued_reply("A person's words.").await;
    let (_, automatic) = h.queued_reply("A rule's words.").await;
    by_rule(&h, &automatic).await;
    h.run_due().await;
    assert_eq!(h.stands(&by_person).await.0, Status::Posted);
    assert_eq!(h.stands(&automatic).await, (Status::Pending, Stage::Ready));
    assert!(h.reason(&automatic).await.contains("policy"), "{}", h.reason(&automatic).await);

    let path = format!("/api/integrations/{}/confirm-policy", h.integration_id);
    assert_eq!(Client::with_role(&h, Role::Editor).await.post(&path, &json!({})).await.0, 403);
    confirm_policy(&h).await;
    confirm_policy(&h).await;
    let confirmed = h.activity().await.into_iter().filter(|row| row.kind == "integration.policy_confirmed").count();
    assert_eq!(confirmed, 1, "once per account");
    h.approve(&h.suggestion(automatic.id).await).await.unwrap();
    by_rule(&h, &automatic).await;
    h.run_due().await;
    assert_eq!(h.stands(&automatic).await.0, Status::Posted);
    h.finish().await;
}

/// Reddit shows a removed reply to its author as before: who looks is another account of the team.
async fn second_account(h: &Harness) {
    let issued = h.platform.issue_token("moka_and_co", crate::harness::SCOPES);
    h.connect_team(h.team_id, &issued).await;
}

async fn look(h: &Harness) {
    jobs::enqueue(&mut *h.conn().await, &WatchSweep {}, h.now()).await.unwrap();
    h.run_due().await;
}

/// Posted replies, each under a comment of its own.
async fn posted(h: &Harness, count: usize) -> Vec<(String, Suggestion)> {
    let mut replies = Vec::new();
    for number in 0..count {
        let (comment, queued) = h.queued_reply(&format!("Answer number {number}.")).await;
        h.run_due().await;
        replies.push((comment, queued));
    }
    replies
}

async fn story(h: &Harness, suggestion: &Suggestion) -> Vec<String> {
    let path = format!("/api/suggestions/{}/story", suggestion.id);
    let (_, told) = Client::signed_in(h).await.get(&path).await;
    told["steps"].as_array().unwrap().iter().map(|step| step["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_removed_reply_is_noted_with_its_score_and_comes_back_where_moderators_relent() {
    let h = Harness::start().await;
    second_account(&h).await;
    let (comment, sent) = posted(&h, 1).await.pop().unwrap();
    look(&h).await;
    let path = format!("/api/suggestions/{}", sent.id);
    let client = Client::signed_in(&h).await;
    assert_eq!(client.get(&path).await.1["reply"]["checked_at"], Value::Null, "not before ten minutes");
    let reply = h.replies_under(&comment)[0].fullname.clone();
    h.platform.set_score(&reply, -4);
    h.advance(Duration::minutes(11));
    look(&h).await;
    let seen = client.get(&path).await.1["reply"].clone();
    assert_eq!((&seen["standing"], &seen["score"]), (&json!("here"), &json!(-4)));

    h.platform.remove_comment(&reply);
    h.advance(Duration::minutes(30));
    look(&h).await;
    look(&h).await;
    assert_eq!(client.get(&path).await.1["reply"]["standing"], json!("removed"));
    let removed = |steps: &[String]| steps.iter().filter(|step| step.contains("was removed by moderators")).count();
    assert_eq!(removed(&story(&h, &sent).await), 1, "told once");
    let page = Browser::signed_in(&h, h.user_id)
        .await
        .get(&format!("/dashboard/inbox?filter=all&item={}&step=draft", sent.item_id))
        .await;
    assert!(page.html.contains("Removed by moderators or a filter of r/espresso."), "{}", page.html);
    assert!(pauses(&h).await.is_empty(), "one removal is no pattern");
    h.finish().await;
}

#[tokio::test]
async fn several_removals_in_a_community_stop_rules_there_until_an_admin_has_looked() {
    let h = Harness::with(&[("RULES_PAUSE_COMMUNITY", "2"), ("RULES_PAUSE_ACCOUNT", "3")]).await;
    second_account(&h).await;
    confirm_policy(&h).await;
    let sent = posted(&h, 2).await;
    let (_, elsewhere) = answered_in(&h, "coffee", "Elsewhere we say this.").await;
    for (comment, _) in &sent {
        h.platform.remove_comment(&h.replies_under(comment)[0].fullname);
    }
    h.advance(Duration::minutes(11));
    look(&h).await;
    let standing = pauses(&h).await;
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0]["community"], json!("r/espresso"));
    assert_eq!(standing[0]["reason"], json!("2 replies were removed in r/espresso within 7 days"));
    let told = notices::list(&mut *h.conn().await, h.team_id, Which::Open, None, 10).await.unwrap();
    assert_eq!((told.len(), told[0].kind()), (1, NoticeKind::RulesPaused));
    assert!(told[0].text.contains("page Etiquette"), "{}", told[0].text);

    let (_, automatic) = h.queued_reply("A rule's words.").await;
    by_rule(&h, &automatic).await;
    h.approve(&elsewhere).await.unwrap();
    by_rule(&h, &elsewhere).await;
    let (_, by_person) = h.queued_reply("A person's words.").await;
    h.run_due().await;
    assert_eq!(h.stands(&automatic).await, (Status::Pending, Stage::Ready));
    assert!(h.reason(&automatic).await.contains("rules are paused there"), "{}", h.reason(&automatic).await);
    assert_eq!(h.stands(&by_person).await.0, Status::Posted, "people go on");
    assert_eq!(h.stands(&elsewhere).await.0, Status::Posted, "rules go on elsewhere");

    let lift = format!("/api/rule-pauses/{}/lift", standing[0]["id"].as_str().unwrap());
    assert_eq!(Client::with_role(&h, Role::Editor).await.post(&lift, &json!({})).await.0, 403);
    assert_eq!(Client::signed_in(&h).await.post(&lift, &json!({})).await.0, 204);
    assert!(notices::list(&mut *h.conn().await, h.team_id, Which::Open, None, 10).await.unwrap().is_empty());
    h.approve(&h.suggestion(automatic.id).await).await.unwrap();
    by_rule(&h, &automatic).await;
    h.run_due().await;
    assert_eq!(h.stands(&automatic).await.0, Status::Posted);
    h.advance(Duration::hours(5));
    look(&h).await;
    assert_eq!(
        pauses(&h).await.iter().filter(|one| one["lifted_at"].is_null()).count(),
        0,
        "what was seen does not count again"
    );
    h.finish().await;
}

#[tokio::test]
async fn removals_over_all_communities_stop_rules_with_the_account() {
    let h = Harness::with(&[("RULES_PAUSE_COMMUNITY", "9"), ("RULES_PAUSE_ACCOUNT", "2")]).await;
    second_account(&h).await;
    let mut comments: Vec<String> = posted(&h, 1).await.into_iter().map(|(comment, _)| comment).collect();
    let (comment, elsewhere) = answered_in(&h, "coffee", "Elsewhere we say this.").await;
    h.approve(&elsewhere).await.unwrap();
    h.run_due().await;
    comments.push(comment);
    for comment in &comments {
        h.platform.remove_comment(&h.replies_under(comment)[0].fullname);
    }
    h.advance(Duration::minutes(11));
    look(&h).await;
    let standing = pauses(&h).await;
    assert_eq!((standing.len(), &standing[0]["community"]), (1, &Value::Null));
    let page = Browser::signed_in(&h, h.user_id).await.get("/dashboard/etiquette").await;
    assert!(page.html.contains("2 replies of the account were removed within 7 days"), "{}", page.html);
    h.finish().await;
}

#[tokio::test]
async fn a_look_that_fails_says_nothing_about_our_replies() {
    let h = Harness::start().await;
    let (_, sent) = posted(&h, 1).await.pop().unwrap();
    h.advance(Duration::minutes(11));
    h.platform.plan_reads(vec![rejoinder_sandbox::ReadFault::Status { code: 503 }; 3]);
    look(&h).await;
    let path = format!("/api/suggestions/{}", sent.id);
    let client = Client::signed_in(&h).await;
    assert_eq!(client.get(&path).await.1["reply"]["standing"], json!("here"));
    h.platform.clear_faults();
    h.advance(Duration::minutes(16));
    look(&h).await;
    assert!(client.get(&path).await.1["reply"]["checked_at"].is_string(), "it is looked at later");
    h.finish().await;
}

#[tokio::test]
async fn a_second_account_of_the_team_answers_the_same_text_only_by_a_persons_choice() {
    let h = Harness::start().await;
    let (comment, first) = h.queued_reply("The first account's words.").await;
    h.run_due().await;
    assert_eq!(h.stands(&first).await.0, Status::Posted);
    let issued = h.platform.issue_token("moka_and_co", crate::harness::SCOPES);
    let second = h.connect_team(h.team_id, &issued).await;
    // The other account reads the same thread, as a watch would bring it.
    for statement in [
        "insert into posts (id, team_id, integration_id, platform, platform_post_id, own, title, body, community, platform_created_at, fetched_at, created_at)
         select gen_random_uuid(), team_id, $1, platform, platform_post_id, false, title, body, community, platform_created_at, fetched_at, created_at
         from posts where integration_id <> $1",
        "insert into comments (id, team_id, post_id, platform_comment_id, author_handle, author_platform_id, own, text, platform_created_at, fetched_at, created_at)
         select gen_random_uuid(), c.team_id, p.id, c.platform_comment_id, c.author_handle, c.author_platform_id, false, c.text, c.platform_created_at, c.fetched_at, c.created_at
         from comments c join posts old on old.id = c.post_id join posts p on p.platform_post_id = old.platform_post_id and p.integration_id = $1
         where old.integration_id <> $1 and not c.own",
        "insert into inbox_items (id, team_id, integration_id, target_kind, target_platform_id, post_id, comment_id, state, last_activity_at, created_at, updated_at)
         select gen_random_uuid(), c.team_id, $1, 'comment', c.platform_comment_id, c.post_id, c.id, 'open', c.created_at, c.created_at, c.created_at
         from comments c join posts p on p.id = c.post_id where p.integration_id = $1",
    ] {
        sqlx::query(statement).bind(second).execute(h.pool()).await.unwrap();
    }
    let items = h.items().await;
    let item = items.iter().find(|item| item.integration_id == second && item.target_platform_id == comment).unwrap();
    let reply = h.write_reply(item, "The second account's words, which are others.").await;
    let held = h.approve(&reply).await.unwrap();
    assert_eq!(held.state.status, Status::Pending);
    assert!(held.state.held_reasons[0].contains(BRAND), "{:?}", held.state.held_reasons);
    h.approve(&held).await.unwrap();
    h.run_due().await;
    assert_eq!(h.stands(&reply).await.0, Status::Posted, "{}", h.reason(&reply).await);
    let other: i64 = sqlx::query_scalar("select count(*) from reply_slots where target_platform_id = $1")
        .bind(&comment)
        .fetch_one(h.pool())
        .await
        .unwrap();
    assert_eq!(other, 2);
    h.finish().await;
}
