//! The page of unknown outcomes: what went out without an answer, what was done about it, and a person's word that settles it.

use crate::client::Client;
use crate::harness::Harness;
use crate::pages::Browser;
use axum::http::StatusCode;
use rejoinder_app::coord::events::{Event, Kind, Message};
use rejoinder_app::flow::notices::{self, NoticeRow, Which};
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::model::{NoticeKind, Role, Stage, Status};
use rejoinder_sandbox::{ReadFault, WriteFault};
use serde_json::json;
use time::Duration;

const PAGE: &str = "/dashboard/uncertain";

/// A reply without an answer that stands on the platform.
async fn unknown() -> (Harness, String, Suggestion) {
    let h = Harness::start().await;
    let (comment, queued) = h.queued_reply("Ours, <perhaps>.").await;
    h.platform.plan_write(vec![WriteFault::DoneThenServerError]);
    h.run_due().await;
    assert_eq!(h.stands(&queued).await, (Status::Approved, Stage::Uncertain));
    (h, comment, queued)
}

fn address(h: &Harness, comment: &str) -> String {
    let (post, comment) = (h.post.trim_start_matches("t3_"), comment.trim_start_matches("t1_"));
    format!("https://www.reddit.com/r/espresso/comments/{post}/our_new_grinder/{comment}/")
}

/// Reddit lists our own comments to nobody: the thread is stale, then the list is refused.
fn unreadable() -> Vec<ReadFault> {
    vec![ReadFault::Stale { millis: 86_400_000 }, ReadFault::Status { code: 404 }]
}

async fn notices(h: &Harness) -> Vec<NoticeRow> {
    notices::list(&mut *h.conn().await, h.team_id, Which::All, None, 100).await.unwrap()
}

fn row(html: &str) -> &str {
    html.split("<li class=\"card doubt\"").nth(1).expect("a row").split("</li>").next().unwrap()
}

#[tokio::test]
async fn a_reply_without_an_answer_is_told_until_its_outcome_is_known() {
    let h = Harness::start().await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let quiet = browser.get(PAGE).await;
    assert!(quiet.html.contains("Every outcome is known"));
    assert!(!browser.get("/dashboard/inbox").await.html.contains("nav-uncertain"), "no entry while there is nothing");

    let (_, queued) = h.queued_reply("Ours, <perhaps>.").await;
    h.platform.plan_write(vec![WriteFault::DoneThenServerError]);
    h.run_due().await;
    h.platform.plan_reads(vec![ReadFault::Stale { millis: 60_000 }; 2]);
    h.run_for(Duration::seconds(10)).await;
    assert_eq!((h.stands(&queued).await.1, h.attempts(&queued).await[0].absent_reads), (Stage::Uncertain, 1));
    let page = browser.get(PAGE).await;
    assert!(page.html.contains("id=\"nav-uncertain\" href=\"/dashboard/uncertain\" aria-current=\"page\""));
    let told = row(&page.html);
    for words in [
        "Reply to <bdi>u/curious_cat</bdi>",
        "Our new grinder",
        "Ours, &#60;perhaps&#62;.",
        "attempt 1",
        "<bdi>u/brassfinch</bdi>, approved by <bdi>Ana Lima</bdi>",
        "(HTTP 500)",
        "1 time, the last",
        "Next look",
        "Not there in three looks, the last after",
        ">09:02 UTC</time>, it is sent again",
        "You can decide from",
        &format!("item={}", queued.item_id),
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains("<form"), "nobody decides while it could still appear");
    assert!(browser.get("/dashboard/inbox").await.html.contains("nav-uncertain"));
    assert!(browser.get("/dashboard/frame?section=uncertain").await.html.contains("nav-uncertain"));

    h.run_for(Duration::minutes(5)).await;
    assert_eq!(h.stands(&queued).await, (Status::Posted, Stage::Done));
    assert!(browser.get(PAGE).await.html.contains("Every outcome is known"));
    h.finish().await;
}

#[tokio::test]
async fn what_cannot_be_read_back_wants_a_person_whose_word_settles_it_there() {
    let (h, comment, queued) = unknown().await;
    h.platform.plan_reads(unreadable());
    h.run_for(Duration::seconds(10)).await;
    h.advance(Duration::minutes(5));
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let page = browser.get(PAGE).await;
    let told = row(&page.html);
    assert!(told.contains("You must look") && told.contains("cannot be read back"), "{told}");
    assert!(told.contains("<details class=\"resolve\" open>"), "{told}");

    let path = format!("/dashboard/suggestions/{}/resolve", queued.id);
    let wrong = address(&h, &comment);
    let fields = |address| [("from", "uncertain"), ("seen", "found"), ("permalink", address)];
    let refused = browser.post(&path, &fields(wrong.as_str())).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let told = row(&refused.html);
    assert!(told.contains("by u/curious_cat") && told.contains(&format!("value=\"{wrong}\"")), "{told}");
    assert_eq!(h.stands(&queued).await.1, Stage::Uncertain);

    let right = address(&h, &h.replies_under(&comment)[0].fullname);
    let done = browser.post(&path, &fields(right.as_str())).await;
    assert_eq!((done.status, done.location.as_str()), (StatusCode::SEE_OTHER, "/dashboard/uncertain?settled=found"));
    let after = browser.get(&done.location).await;
    assert!(after.html.contains("Noted: the reply stands there.") && after.html.contains("Every outcome is known"));
    assert_eq!(h.stands(&queued).await, (Status::Posted, Stage::Done));
    let again = browser.post(&path, &fields(right.as_str())).await;
    assert!(again.status == StatusCode::CONFLICT && again.html.contains("Its outcome is not in doubt"));
    h.run_for(Duration::hours(2)).await;
    assert_eq!(h.our_texts(&comment).len(), 1);
    h.finish().await;
}

#[tokio::test]
async fn a_viewer_reads_it_without_a_form_and_other_teams_see_nothing() {
    let (h, _, queued) = unknown().await;
    h.advance(Duration::minutes(5));
    let list = format!("/api/teams/{}/suggestions?stage=uncertain", h.team_id);
    let (_, seen) = Client::with_role(&h, Role::Viewer).await.get(&list).await;
    assert_eq!(seen["items"][0]["id"], json!(queued.id));
    assert_eq!(Client::stranger(&h).await.get(&list).await.0, 404);

    let stranger: uuid::Uuid =
        sqlx::query_scalar("select id from users where name = 'stranger'").fetch_one(h.pool()).await.unwrap();
    let theirs = Browser::signed_in(&h, stranger).await.get(PAGE).await;
    assert!(theirs.html.contains("Every outcome is known") && !theirs.html.contains("perhaps"));

    sqlx::query("update team_members set role = 'viewer' where team_id = $1")
        .bind(h.team_id)
        .execute(h.pool())
        .await
        .unwrap();
    let page = Browser::signed_in(&h, h.user_id).await.get(PAGE).await;
    let told = row(&page.html);
    assert!(told.contains("Ours, &#60;perhaps&#62;.") && !told.contains("<form") && !told.contains("You can decide"));
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn the_team_is_told_once_of_a_reply_that_only_a_person_can_settle_until_one_has() {
    let (h, comment, queued) = unknown().await;
    assert_eq!(notices(&h).await.len(), 0, "reading back may still settle it");
    let mut heard = h.app.events.subscribe(h.team_id);
    // Looked at again every hour, in vain.
    for minutes in [1, 61, 61] {
        h.platform.plan_reads(unreadable());
        h.run_for(Duration::minutes(minutes)).await;
        h.sweep().await;
    }
    let told = notices(&h).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let notice = &told[0];
    assert_eq!((notice.kind(), notice.subject_id, notice.is_open()), (NoticeKind::SendUnknown, queued.id, true));
    for words in ["brassfinch (Reddit)", "Reddit does not list our own comments", "on the page Uncertain"] {
        assert!(notice.text.contains(words), "{words}: {}", notice.text);
    }
    let live = loop {
        if let Some(Message::Event(Event { kind: Kind::Notice, object_id, .. })) = heard.next().await {
            break object_id;
        }
    };
    assert_eq!(live, notice.id);

    let path = format!("/api/suggestions/{}/resolve", queued.id);
    let client = Client::signed_in(&h).await;
    let wrong = json!({ "found": address(&h, &comment) });
    assert_eq!(client.post(&path, &wrong).await.0, 422);
    assert!(notices(&h).await[0].is_open(), "nothing is settled yet");
    let right = json!({ "found": address(&h, &h.replies_under(&comment)[0].fullname) });
    assert_eq!(client.post(&path, &right).await.0, 200);
    assert_eq!(notices(&h).await[0].resolved_at, Some(h.now()));
    h.finish().await;
}

#[tokio::test]
async fn a_platform_that_goes_on_failing_to_be_read_is_told_after_ten_minutes_and_asked_on() {
    let (h, _, queued) = unknown().await;
    h.platform.plan_reads(vec![ReadFault::Status { code: 503 }; 200]);
    h.run_for(Duration::minutes(10)).await;
    assert_eq!(notices(&h).await.len(), 0, "it may come back");
    h.run_for(Duration::minutes(4)).await;
    let told = notices(&h).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].kind(), told[0].subject_id, told[0].is_open()), (NoticeKind::SendUnknown, queued.id, true));
    assert!(told[0].text.contains("503"), "{}", told[0].text);

    h.platform.clear_faults();
    h.advance(Duration::hours(2));
    h.sweep().await;
    assert_eq!(h.stands(&queued).await, (Status::Posted, Stage::Done));
    assert_eq!(notices(&h).await[0].resolved_at, Some(h.now()));
    h.finish().await;
}

#[tokio::test]
async fn a_reply_that_could_be_read_back_after_all_needs_no_person_any_more() {
    let (h, _, queued) = unknown().await;
    h.platform.plan_reads(unreadable());
    h.run_for(Duration::minutes(1)).await;
    assert!(notices(&h).await[0].is_open());
    h.advance(Duration::hours(2));
    h.sweep().await;
    assert_eq!(h.stands(&queued).await, (Status::Posted, Stage::Done));
    assert_eq!(notices(&h).await[0].resolved_at, Some(h.now()));
    h.finish().await;
}
