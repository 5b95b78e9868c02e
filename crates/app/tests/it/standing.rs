//! What is gone or changed on the platform is gone or changed here, within a day and everywhere.

use crate::harness::{BRAND, Harness};
use rejoinder_app::flow::ingest::StandingSweep;
use rejoinder_app::jobs;
use rejoinder_app::model::{Stage, Status};
use time::Duration;

/// Looks everything up that is due by now.
async fn sweep(h: &Harness) {
    let job = StandingSweep { integration_id: h.integration_id };
    jobs::enqueue(&mut *h.conn().await, &job, h.now()).await.unwrap();
    let report = h.run_due().await;
    assert!(report.ran.iter().all(|ran| ran.failure.is_none()), "{:?}", report.ran);
}

/// Everything that is stored, as text.
pub async fn everything(h: &Harness) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'",
    )
    .fetch_all(h.pool())
    .await
    .unwrap();
    let mut all = String::new();
    for table in tables {
        let query = format!("select coalesce(string_agg(t::text, E'\\n'), '') from {table} t");
        let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(h.pool()).await.unwrap();
        all.push_str(&rows);
    }
    all
}

#[tokio::test]
async fn a_text_that_is_deleted_on_the_platform_is_nowhere_here_within_a_day() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("I live in Paw Street 9").await;
    let suggestion = h.write_reply(&item, "Thanks for telling us.").await;
    assert!(everything(&h).await.contains("Paw Street"));
    h.platform.delete_comment(&comment);
    h.advance(Duration::hours(24));
    sweep(&h).await;
    let row = h.comment_row(&item).await;
    assert_eq!((row.text.as_str(), row.author_handle, row.deleted_at.is_some()), ("", None, true));
    assert_eq!(h.item_of(&comment).await.unwrap().state, "ignored");
    assert_eq!(h.stands(&suggestion).await, (Status::Rejected, Stage::Done));
    assert!(h.reason(&suggestion).await.contains("deleted on the platform"));
    assert_eq!(h.suggestion(suggestion.id).await.state.text, None, "a draft may quote");
    let left = everything(&h).await;
    assert!(!left.contains("Paw Street") && !left.contains("curious_cat"), "a copy stayed");
    let closed = h.activity().await.into_iter().find(|row| row.kind == "item.state_changed").unwrap();
    assert!(closed.payload["reason"].as_str().unwrap().contains("deleted"));
    h.finish().await;
}

#[tokio::test]
async fn a_removed_text_goes_too_and_says_who_took_it_down() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("Buy my stuff").await;
    h.platform.remove_comment(&comment);
    h.advance(Duration::hours(24));
    sweep(&h).await;
    assert_eq!(h.comment_row(&item).await.text, "");
    let reason: Option<String> = sqlx::query_scalar("select closed_reason from inbox_items where id = $1")
        .bind(item.id)
        .fetch_one(h.pool())
        .await
        .unwrap();
    assert!(reason.unwrap().contains("moderators"));
    h.finish().await;
}

#[tokio::test]
async fn an_edit_is_noticed_and_the_draft_says_so() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("Which beans?").await;
    let pending = h.write_reply(&item, "Any.").await;
    let (other, approved) = h.ready_reply("Fine.").await;
    let approved = {
        let approve = rejoinder_app::flow::approve::Approve { auto_post: false, ..crate::harness::approve_now() };
        h.approve_as(h.decision(&approved), approve).await.unwrap().0
    };
    h.advance(Duration::hours(5));
    h.platform.edit_comment(&comment, "Which water?");
    h.platform.edit_comment(&other, "How coarse?");
    sweep(&h).await;
    assert_eq!(h.comment_row(&item).await.text, "Which water?");
    assert_eq!(h.suggestion(pending.id).await.state.held_reasons.len(), 1);
    assert_eq!(h.stands(&pending).await, (Status::Pending, Stage::Ready));
    assert_eq!(h.stands(&approved).await, (Status::Pending, Stage::Ready), "approved for another question");
    h.finish().await;
}

#[tokio::test]
async fn everything_is_asked_for_in_hundreds_and_only_when_it_is_due() {
    let h = Harness::start().await;
    for number in 0..250 {
        h.stranger_comments(&format!("Comment {number}"));
    }
    h.poll().await;
    let asked = |h: &Harness| -> u64 {
        h.platform.requests().iter().filter(|(route, _)| *route == "GET /reddit/api/info").map(|(_, count)| count).sum()
    };
    let before = asked(&h);
    sweep(&h).await;
    assert_eq!(asked(&h), before, "a poll has just read all of it");
    h.advance(Duration::hours(4));
    sweep(&h).await;
    assert_eq!(asked(&h) - before, 3, "251 things");
    h.finish().await;
}

#[tokio::test]
async fn an_answer_that_calls_everything_gone_is_believed_only_the_second_time() {
    let h = Harness::start().await;
    let comments: Vec<String> = (0..20).map(|number| h.stranger_comments(&format!("Comment {number}"))).collect();
    h.poll().await;
    for comment in &comments {
        h.platform.delete_comment(comment);
    }
    let gone = async || -> i64 {
        sqlx::query_scalar("select count(*) from comments where deleted_at is not null")
            .fetch_one(h.pool())
            .await
            .unwrap()
    };
    h.advance(Duration::hours(5));
    sweep(&h).await;
    assert_eq!(gone().await, 0);
    h.advance(Duration::minutes(31));
    sweep(&h).await;
    assert_eq!(gone().await, 20);
    h.finish().await;
}

#[tokio::test]
async fn texts_of_an_account_that_is_not_connected_any_more_are_looked_after_by_another_one() {
    let mut h = Harness::start().await;
    let (comment, item) = h.incoming("Delete me later").await;
    let first = h.integration_id;
    let mut tx = h.pool().begin().await.unwrap();
    let integration = h.integration().await;
    rejoinder_app::accounts::integrations::disconnect(&mut tx, &h.app.moment(), &integration, None).await.unwrap();
    tx.commit().await.unwrap();
    let issued = h.platform.issue_token("other_brand", crate::harness::SCOPES);
    h.integration_id = h.connect_team(h.team_id, &issued).await;
    h.platform.delete_comment(&comment);
    h.advance(Duration::hours(24));
    h.integration_id = first;
    sweep(&h).await;
    assert_eq!(h.comment_row(&item).await.text, "");
    h.finish().await;
}

#[tokio::test]
async fn a_new_account_brings_no_old_work() {
    let h = Harness::start().await;
    let old = h.stranger_comments("Said long ago");
    h.advance(Duration::days(3));
    let issued = h.platform.issue_token(BRAND, crate::harness::SCOPES);
    // Connected only now, by another team.
    let team_id = h.another_team().await;
    let id = h.connect_team(team_id, &issued).await;
    let fresh = h.stranger_comments("Said now");
    jobs::enqueue(&mut *h.conn().await, &rejoinder_app::flow::ingest::IntegrationPoll { integration_id: id }, h.now())
        .await
        .unwrap();
    h.run_due().await;
    let open: Vec<String> = sqlx::query_scalar("select target_platform_id from inbox_items where team_id = $1")
        .bind(team_id)
        .fetch_all(h.pool())
        .await
        .unwrap();
    assert_eq!(open, [fresh]);
    let stored: i64 =
        sqlx::query_scalar("select count(*) from comments where team_id = $1 and platform_comment_id = $2")
            .bind(team_id)
            .bind(&old)
            .fetch_one(h.pool())
            .await
            .unwrap();
    assert_eq!(stored, 1, "it is there as context");
    h.finish().await;
}
