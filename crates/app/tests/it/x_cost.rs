//! What X charges: the meter against the sandbox's own bill, and the budget that stops reading before it is passed.

use crate::client::Client;
use crate::harness::{BRAND, Harness};
use crate::pages::Browser;
use crate::x::{TEXT, World, world};
use rejoinder_app::flow::notices::{self, Which};
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::jobs;
use rejoinder_app::model::{NoticeKind, Role, Stage, Status};
use rejoinder_app::upkeep::PollSweep;
use rejoinder_sandbox::{WriteFault, XBill};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const LINKED: &str = "They do: https://acme.com/baskets";

async fn usage(h: &Harness) -> Value {
    let (status, usage) = Client::signed_in(h).await.get(&format!("/api/teams/{}/usage", h.team_id)).await;
    assert_eq!(status, 200, "{usage}");
    usage
}

/// Units by kind.
pub async fn metered(h: &Harness) -> BTreeMap<String, u64> {
    let usage = usage(h).await;
    assert_eq!(usage["platforms"].as_array().unwrap().len(), 1, "{usage}");
    let items = usage["platforms"][0]["items"].as_array().unwrap().clone();
    items.iter().map(|item| (item["kind"].as_str().unwrap().to_owned(), item["units"].as_u64().unwrap())).collect()
}

pub fn billed(bill: &XBill) -> BTreeMap<String, u64> {
    let kinds = [
        ("post_read", bill.post_reads),
        ("user_read", bill.user_reads),
        ("post", bill.posts),
        ("post_with_link", bill.posts_with_link),
        ("delete", bill.deletes),
    ];
    kinds.map(|(kind, units)| (kind.to_owned(), units)).into()
}

/// In millionths of a dollar, by the prices of 2026-04-20.
fn money(bill: &XBill) -> u64 {
    let reads = 5_000 * bill.post_reads + 10_000 * bill.user_reads;
    reads + 15_000 * bill.posts + 200_000 * bill.posts_with_link + 10_000 * bill.deletes
}

/// Time passes as it does with the scheduler running.
async fn live(h: &Harness, time: Duration) {
    let until = h.now() + time;
    while h.now() < until {
        jobs::enqueue(&mut *h.conn().await, &PollSweep {}, h.now()).await.unwrap();
        h.run_for(Duration::minutes(5).min(until - h.now())).await;
    }
}

async fn set_budget(h: &Harness, cents: Value) {
    let path = format!("/api/teams/{}/settings", h.team_id);
    let (status, settings) = Client::signed_in(h).await.patch(&path, &json!({ "platform_budget_cents": cents })).await;
    assert_eq!((status, &settings["platform_budget_cents"]), (200, &cents), "{settings}");
}

async fn reply_to(w: &World, mention: &str, text: &str) -> Suggestion {
    let item = w.h.item_of(mention).await.unwrap();
    let ready = w.h.write_reply(&item, text).await;
    w.h.approve(&ready).await.unwrap()
}

fn reads(h: &Harness) -> u64 {
    let requests = h.platform.requests();
    requests.iter().filter(|(call, _)| call.starts_with("GET /x/2/")).map(|(_, count)| count).sum()
}

async fn told(h: &Harness, which: Which) -> usize {
    let rows = notices::list(&mut *h.conn().await, h.team_id, which, None, 50).await.unwrap();
    rows.iter().filter(|row| row.kind() == NoticeKind::PlatformBudgetSpent).count()
}

#[tokio::test]
async fn after_a_day_of_reading_and_replying_the_meter_shows_what_x_bills() {
    let w = world().await;
    let settings = format!("/api/teams/{}/settings", w.h.team_id);
    Client::signed_in(&w.h).await.patch(&settings, &json!({ "link_domains": ["acme.com"] })).await;
    let mut sent = Vec::new();
    for hour in 0..24 {
        let mention = w.h.platform.x_post(&format!("guest_{}", hour % 5), &format!("@{BRAND} question {hour}"));
        w.h.platform.x_reply("maren", &mention, "I wonder too.");
        live(&w.h, Duration::minutes(20)).await;
        match hour {
            3 => sent.push(reply_to(&w, &mention, TEXT).await),
            9 => sent.push(reply_to(&w, &mention, LINKED).await),
            15 => {
                w.h.platform.plan_write(vec![WriteFault::DoneThenDropped]);
                sent.push(reply_to(&w, &mention, "The lost one, all the same posted.").await);
            }
            16 => {
                let path = format!("/api/suggestions/{}/unpublish", sent[0].id);
                let (status, body) = Client::signed_in(&w.h).await.post(&path, &json!({})).await;
                assert_eq!(status, 202, "{body}");
            }
            _ => {}
        }
        live(&w.h, Duration::minutes(40)).await;
    }
    for reply in &sent {
        assert_eq!(w.h.stands(reply).await, (Status::Posted, Stage::Done), "{}", w.h.reason(reply).await);
    }
    let bill = w.h.platform.x_bill();
    assert_eq!(metered(&w.h).await, billed(&bill));
    assert_eq!((bill.posts, bill.posts_with_link, bill.deletes), (2, 1, 1));
    assert!(bill.post_reads > 40 && bill.user_reads > 5, "{bill:?}");
    let usage = usage(&w.h).await;
    assert_eq!((&usage["month"], &usage["micro_usd"]), (&json!("2026-03"), &json!(money(&bill))));
    w.h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn reading_stops_before_the_budget_is_passed_and_approved_replies_go_out() {
    let w = world().await;
    let asked = w.h.platform.x_post("curious_cat", &format!("@{BRAND} do the old baskets fit?"));
    live(&w.h, Duration::minutes(10)).await;
    set_budget(&w.h, json!(100)).await;
    let mut guests = 0;
    while told(&w.h, Which::Open).await == 0 {
        assert!(guests < 300, "the budget does not stop the reading: {:?}", w.h.platform.x_bill());
        for _ in 0..10 {
            guests += 1;
            w.h.platform.x_post(&format!("guest_{guests}"), &format!("@{BRAND} question {guests}"));
        }
        live(&w.h, Duration::minutes(5)).await;
        assert!(money(&w.h.platform.x_bill()) <= 1_000_000, "passed: {:?}", w.h.platform.x_bill());
    }
    let (read, account) = (reads(&w.h), w.h.integration().await);
    assert_eq!(account.next_poll_at, datetime!(2026-04-01 0:00 UTC), "{:?}", account.last_poll_problem);
    live(&w.h, Duration::hours(3)).await;
    assert_eq!((reads(&w.h), account.state.as_str()), (read, "connected"), "nothing more is read");
    assert_eq!((told(&w.h, Which::All).await, told(&w.h, Which::Open).await), (1, 1), "said once");

    let page = Browser::signed_in(&w.h, w.h.user_id).await.get("/dashboard/accounts").await.html;
    assert!(page.contains("used up for this month") && page.contains(" of $1.00 this month: "), "{page}");

    let sent = reply_to(&w, &asked, TEXT).await;
    w.h.run_for(Duration::minutes(2)).await;
    assert_eq!(w.h.stands(&sent).await, (Status::Posted, Stage::Done), "{}", w.h.reason(&sent).await);
    assert_eq!(metered(&w.h).await, billed(&w.h.platform.x_bill()));

    let missed = w.h.platform.x_post("late_lisa", &format!("@{BRAND} still there?"));
    set_budget(&w.h, json!(10_000)).await;
    live(&w.h, Duration::minutes(5)).await;
    assert!(w.h.item_of(&missed).await.is_some(), "a higher budget is used at once");
    assert_eq!(told(&w.h, Which::Open).await, 0);
    assert_eq!(w.h.integration().await.last_poll_problem, None);
    w.h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn a_small_budget_reads_in_small_pages_and_is_not_passed_either() {
    let w = world().await;
    set_budget(&w.h, json!(100)).await;
    w.h.poll().await;
    let mentions: Vec<String> =
        (0..15).map(|n| w.h.platform.x_post(&format!("guest_{n}"), &format!("@{BRAND} question {n}"))).collect();
    live(&w.h, Duration::minutes(30)).await;
    for mention in &mentions {
        assert!(w.h.item_of(mention).await.is_some(), "{:?}", w.h.integration().await.last_poll_problem);
    }
    assert!(money(&w.h.platform.x_bill()) <= 1_000_000);
    assert_eq!(metered(&w.h).await, billed(&w.h.platform.x_bill()));
    w.h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn the_next_month_has_a_budget_of_its_own() {
    let w = world().await;
    live(&w.h, Duration::minutes(10)).await;
    set_budget(&w.h, json!(45)).await;
    w.h.poll().await;
    assert_eq!(told(&w.h, Which::Open).await, 1, "what was read before counts too");
    let mention = w.h.platform.x_post("curious_cat", &format!("@{BRAND} anybody?"));
    w.h.advance(datetime!(2026-03-31 23:58 UTC) - w.h.now());
    live(&w.h, Duration::minutes(1)).await;
    assert!(w.h.item_of(&mention).await.is_none());
    w.h.advance(Duration::minutes(2));
    w.h.poll().await;
    assert!(w.h.item_of(&mention).await.is_some());
    assert_eq!((usage(&w.h).await["month"].as_str(), told(&w.h, Which::Open).await), (Some("2026-04"), 0));
    w.h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn what_another_call_may_still_cost_counts_while_it_is_under_way() {
    let w = world().await;
    live(&w.h, Duration::minutes(10)).await;
    set_budget(&w.h, json!(900)).await;
    hold(&w.h, w.h.now() + Duration::minutes(1)).await;
    let read = reads(&w.h);
    w.h.poll().await;
    let account = w.h.integration().await;
    assert_eq!(reads(&w.h), read);
    assert!(account.last_poll_problem.unwrap_or_default().contains("other calls of the team"));
    assert!(account.next_poll_at < w.h.now() + Duration::minutes(2), "{}", account.next_poll_at);
    assert_eq!(told(&w.h, Which::All).await, 0, "that is no empty budget");
    w.h.advance(Duration::minutes(1));
    w.h.poll().await;
    assert!(reads(&w.h) > read, "what a dead process set aside is free again");
    let held: i64 = sqlx::query_scalar("select count(*) from platform_holds where until > $1")
        .bind(w.h.now())
        .fetch_one(w.h.pool())
        .await
        .unwrap();
    assert_eq!(held, 0, "each call lets go of its own");
    w.h.finish_leaving(&[]).await;
}

async fn hold(h: &Harness, until: OffsetDateTime) {
    let sql = "insert into platform_holds (team_id, micro_usd, until) values ($1, 4500000, $2)";
    sqlx::query(sql).bind(h.team_id).bind(until).execute(h.pool()).await.unwrap();
}

#[tokio::test]
async fn admins_set_the_budget_everybody_sees_it() {
    let w = world().await;
    let h = &w.h;
    let path = format!("/api/teams/{}/settings", h.team_id);
    for cents in [json!(-1), json!(100_000_001)] {
        let (status, problem) = Client::signed_in(h).await.patch(&path, &json!({ "platformBudgetCents": cents })).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("platform_budget_cents")), "{problem}");
    }
    set_budget(h, json!(2_050)).await;
    let (editor, editor_id) = Client::member(h, "eve", Role::Editor).await;
    assert_eq!(editor.patch(&path, &json!({ "platform_budget_cents": 1 })).await.0, 403);
    let (_, seen) = editor.get(&format!("/api/teams/{}/usage", h.team_id)).await;
    assert_eq!((&seen["budget_cents"], &seen["platforms"][0]["platform"]), (&json!(2_050), &json!("x")));
    assert!(Browser::signed_in(h, editor_id).await.get("/dashboard/settings").await.html.contains("$20.50 a month"));
    let (status, _) = Client::stranger(h).await.get(&format!("/api/teams/{}/usage", h.team_id)).await;
    assert_eq!(status, 404);

    let mut admin = Browser::signed_in(h, h.user_id).await;
    let page = admin.get("/dashboard/settings").await.html;
    assert!(page.contains("name=\"platform_budget\"") && page.contains("value=\"20.50\""), "{page}");
    let fields = |budget| {
        let empty = ["daily_cap", "gap_secs", "quiet_from", "quiet_to", "link_domains"].map(|name| (name, ""));
        [("timezone", "UTC"), ("platform_budget", budget)].into_iter().chain(empty).collect::<Vec<_>>()
    };
    let refused = admin.post("/dashboard/settings", &fields("20,50 or so")).await;
    assert!(refused.status == 422 && refused.html.contains("is no amount"), "{}", refused.html);
    admin.post("/dashboard/settings", &fields("30.5")).await;
    assert_eq!(usage(h).await["budget_cents"], json!(3_050));
    admin.post("/dashboard/settings", &fields("")).await;
    assert_eq!(usage(h).await["budget_cents"], Value::Null);
    w.h.finish_leaving(&[]).await;
}
