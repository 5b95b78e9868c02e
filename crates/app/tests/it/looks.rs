//! Threads are read when something was said there: one request counts the comments under the posts of many accounts.

use crate::harness::{BRAND, Harness, SCOPES};
use rejoinder_app::flow::ingest::{IntegrationPoll, PostsLook};
use rejoinder_app::{jobs, queue};
use rejoinder_sandbox::{CommunityAccess, ReadFault};
use std::collections::BTreeMap;
use time::Duration;
use uuid::Uuid;

/// Another team with an account and a post.
async fn another_brand(h: &Harness, name: &str, community: &str) -> (Uuid, String) {
    let post = h.platform.add_post(name, community, "Our new kettle", "Ask us.");
    let issued = h.platform.issue_token(name, SCOPES);
    let id = h.connect_team(h.another_team().await, &issued).await;
    (id, post)
}

async fn poll(h: &Harness, integration_id: Uuid) {
    jobs::enqueue(&mut *h.conn().await, &IntegrationPoll { integration_id }, h.now()).await.unwrap();
    h.run_due().await;
}

async fn look(h: &Harness) {
    let job = PostsLook { platform: "reddit".to_owned(), app_id: None };
    jobs::enqueue(&mut *h.conn().await, &job, h.now()).await.unwrap();
    h.run_due().await;
}

/// What was asked since the last call.
struct Asked(BTreeMap<String, u64>);

impl Asked {
    fn since(h: &Harness) -> Self {
        Self(h.platform.requests())
    }

    fn now(&mut self, h: &Harness) -> Vec<(String, u64)> {
        let before = std::mem::replace(&mut self.0, h.platform.requests());
        let asked = self.0.iter().map(|(call, count)| (call, count - before.get(call).copied().unwrap_or(0)));
        let short = |call: &str| call.trim_start_matches("GET /reddit/").to_owned();
        asked.filter(|(_, count)| *count > 0).map(|(call, count)| (short(call), count)).collect()
    }
}

fn counted(calls: &[(&str, u64)]) -> Vec<(String, u64)> {
    calls.iter().map(|(call, count)| ((*call).to_owned(), *count)).collect()
}

async fn stands_in_the_inbox(h: &Harness, comment: &str) -> bool {
    let found = sqlx::query_scalar("select exists (select from inbox_items where target_platform_id = $1)");
    found.bind(comment).fetch_one(h.pool()).await.unwrap()
}

/// What the scheduler planned for later runs before the end.
async fn end(h: Harness) {
    h.advance(Duration::hours(25));
    h.finish().await;
}

/// When the post is looked at next.
async fn look_at(h: &Harness, post: &str) -> Option<time::OffsetDateTime> {
    let found = sqlx::query_scalar("select look_at from posts where platform_post_id = $1");
    found.bind(post).fetch_one(h.pool()).await.unwrap()
}

#[tokio::test]
async fn one_request_tells_of_all_accounts_and_only_threads_that_changed_are_read() {
    let h = Harness::start().await;
    let stranger = h.stranger_comments("Hello");
    let quiet = h.platform.add_post(BRAND, "espresso", "Nobody answers", "Ask.");
    let (other, theirs) = another_brand(&h, "kettle_co", "tea").await;
    for id in [h.integration_id, other] {
        poll(&h, id).await;
    }
    look(&h).await;
    h.advance(Duration::minutes(3));
    let mut asked = Asked::since(&h);
    // To each other, and not to us: no inbox tells it.
    let nested = h.platform.add_comment("third_cat", &stranger, "Hello yourself");
    let direct = h.platform.add_comment("third_cat", &theirs, "And the lid?");
    look(&h).await;
    assert_eq!(asked.now(&h), counted(&[("api/info", 1), ("comments/{id}", 2)]));
    assert!(stands_in_the_inbox(&h, &nested).await && stands_in_the_inbox(&h, &direct).await);
    h.advance(Duration::minutes(3));
    look(&h).await;
    assert_eq!(asked.now(&h), counted(&[("api/info", 1)]), "nothing was said");
    assert!(look_at(&h, &quiet).await.unwrap() > look_at(&h, &theirs).await.unwrap() - Duration::SECOND);
    h.finish().await;
}

#[tokio::test]
async fn the_scheduler_looks_by_itself_and_a_round_lists_only_now_and_then() {
    let h = Harness::start().await;
    h.poll().await;
    look(&h).await;
    let mut asked = Asked::since(&h);
    let comment = h.stranger_comments("Hello");
    for _ in 0..72 {
        queue::schedule_due(&jobs::registry(), h.pool(), h.now()).await.unwrap();
        h.run_for(Duration::seconds(5)).await;
    }
    assert!(stands_in_the_inbox(&h, &comment).await);
    let asked = asked.now(&h);
    let times = |call: &str| asked.iter().find(|(asked, _)| asked == call).map_or(0, |(_, count)| *count);
    assert_eq!((times("user/{name}/submitted"), times("message/{place}"), times("comments/{id}")), (0, 1, 1));
    assert!((3..=6).contains(&times("api/info")), "{asked:?}");
    end(h).await;
}

#[tokio::test]
async fn what_another_account_does_not_see_is_told_by_the_list_of_its_own() {
    let h = Harness::start().await;
    h.poll().await;
    h.advance(Duration::seconds(1));
    let (other, theirs) = another_brand(&h, "kettle_co", "closed_club").await;
    poll(&h, other).await;
    h.platform.set_access("closed_club", CommunityAccess::Private);
    h.advance(Duration::minutes(1));
    look(&h).await;
    assert_eq!(look_at(&h, &theirs).await, None);
    assert!(look_at(&h, &h.post).await.is_some());
    for _ in 0..2 {
        h.advance(Duration::minutes(5));
        let mut asked = Asked::since(&h);
        poll(&h, other).await;
        assert!(asked.now(&h).contains(&("user/{name}/submitted".to_owned(), 1)), "its own list in each round");
    }
    h.finish().await;
}

#[tokio::test]
async fn an_account_that_may_not_ask_does_not_keep_the_others_from_being_looked_at() {
    let h = Harness::start().await;
    let silent = h.platform.add_post("kettle_co", "tea", "Our new kettle", "Ask us.");
    let issued = h.platform.issue_token("kettle_co", "identity history privatemessages");
    let other = h.connect_team(h.another_team().await, &issued).await;
    poll(&h, other).await;
    h.advance(Duration::seconds(1));
    h.poll().await;
    h.advance(Duration::minutes(1));
    let comment = h.stranger_comments("Hello");
    assert!(look_at(&h, &silent).await.unwrap() < look_at(&h, &h.post).await.unwrap(), "it would ask first");
    look(&h).await;
    assert!(stands_in_the_inbox(&h, &comment).await);
    h.finish().await;
}

#[tokio::test]
async fn what_could_not_be_asked_or_read_is_asked_and_read_soon() {
    let fine = || ReadFault::Ok;
    let faults: [(Vec<ReadFault>, i64); 3] = [
        (vec![ReadFault::TooManyRequests { secs: 60 }], 65),
        (vec![ReadFault::Status { code: 503 }], 65),
        // The look goes well, the thread does not.
        (vec![fine(), ReadFault::Status { code: 503 }], 65),
    ];
    for (fault, secs) in faults {
        let h = Harness::start().await;
        h.poll().await;
        h.advance(Duration::minutes(2));
        let stranger = h.stranger_comments("Hello");
        h.platform.plan_reads(fault);
        look(&h).await;
        assert!(!stands_in_the_inbox(&h, &stranger).await);
        assert_eq!(h.integration().await.state, "connected");
        for _ in 0..secs / 5 {
            queue::schedule_due(&jobs::registry(), h.pool(), h.now()).await.unwrap();
            h.run_for(Duration::seconds(5)).await;
        }
        assert!(stands_in_the_inbox(&h, &stranger).await);
        end(h).await;
    }
}

#[tokio::test]
async fn accounts_that_cannot_ask_hold_up_no_others() {
    let h = Harness::start().await;
    let mut all = vec![h.integration_id];
    let mut last = String::new();
    for name in ["kettle_one", "kettle_two", "kettle_three"] {
        let (id, post) = another_brand(&h, name, "tea").await;
        all.push(id);
        last = post;
    }
    for id in &all {
        poll(&h, *id).await;
    }
    // The access of the first three has ended, and their posts have waited longest.
    let ended = "update integrations set expires_at = $2, refresh_token = null where id = any($1)";
    let (dead, past) = (&all[..3], h.now() - Duration::hours(1));
    sqlx::query(ended).bind(dead).bind(past).execute(h.pool()).await.unwrap();
    sqlx::query("update posts set look_at = $2 where integration_id = any($1)")
        .bind(dead)
        .bind(past)
        .execute(h.pool())
        .await
        .unwrap();
    look(&h).await;
    assert_eq!(told(&h, &last).await, None, "three were tried");
    h.advance(Duration::seconds(2));
    h.run_due().await;
    assert_eq!(told(&h, &last).await, Some(0));
    end(h).await;
}

/// How many comments the last look counted.
async fn told(h: &Harness, post: &str) -> Option<i32> {
    let found = sqlx::query_scalar("select comments_told from posts where platform_post_id = $1");
    found.bind(post).fetch_one(h.pool()).await.unwrap()
}
