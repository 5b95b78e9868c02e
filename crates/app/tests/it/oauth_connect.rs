//! Connecting an account where the frontend lives on another origin: the browser comes back without a session, and nothing is connected
//! before the person who began it says so.

use crate::client::{Client, person};
use crate::harness::{BRAND, Harness, config};
use crate::pages::{Browser, Seen};
use rejoinder_app::accounts::connect::{self, CompleteError, PendingSweep};
use rejoinder_app::accounts::teams;
use rejoinder_app::clock::Moment;
use rejoinder_app::jobs;
use rejoinder_app::model::Role;
use rejoinder_app::upkeep::PollSweep;
use serde_json::{Value, json};
use std::collections::HashMap;
use time::Duration;
use url::Url;
use uuid::Uuid;

const FRONTEND: &str = "https://app.example/replies";
const COMPLETE: &str = "/api/integrations/complete";
/// A window of the platform's budget lasts ten minutes from the first request; so long after its end no request goes out.
const BETWEEN_WINDOWS: Duration = Duration::seconds(2);

async fn world() -> Harness {
    Harness::unconnected(&[("REDIRECT_BASE", FRONTEND)]).await
}

/// The consent page that the team's admin is sent to, as its query.
async fn begin(h: &Harness, body: &Value) -> HashMap<String, String> {
    begin_as(&Client::signed_in(h).await, body).await
}

async fn begin_as(client: &Client, body: &Value) -> HashMap<String, String> {
    let (status, answer) = client.post("/api/integrations/reddit/oauth/start", body).await;
    assert_eq!(status, 200, "{answer}");
    let page = Url::parse(answer["redirect_url"].as_str().unwrap()).unwrap();
    page.query_pairs().into_owned().collect()
}

/// The address that the platform sends the browser back to after a consent.
fn way_back(h: &Harness, asked: &HashMap<String, String>) -> String {
    let code = h.platform.grant_code(BRAND, &asked["redirect_uri"], &asked["scope"]);
    format!("/api/integrations/reddit/oauth/callback?state={}&code={code}", asked["state"])
}

/// Through the consent page; `browser` is the one that comes back.
async fn consent(h: &Harness, browser: &mut Browser) -> Seen {
    let asked = begin(h, &json!({})).await;
    browser.get(&way_back(h, &asked)).await
}

/// Where a browser was led, and with what.
fn led(seen: &Seen) -> (String, HashMap<String, String>) {
    assert_eq!(seen.status, 303);
    let url = Url::parse(&seen.location).unwrap();
    let pairs = url.query_pairs().into_owned().collect();
    let mut page = url.clone();
    page.set_query(None);
    (page.into(), pairs)
}

fn reason(seen: &Seen) -> String {
    let (_, pairs) = led(seen);
    assert_eq!(pairs["integration"], "failed", "{pairs:?}");
    pairs["reason"].clone()
}

async fn ticket_without_session(h: &Harness) -> String {
    let seen = consent(h, &mut Browser::new(h)).await;
    let (page, pairs) = led(&seen);
    assert_eq!(page, "https://app.example/replies/dashboard");
    assert_eq!((pairs["integration"].as_str(), pairs["platform"].as_str()), ("confirm", "reddit"));
    pairs["ticket"].clone()
}

async fn connected(h: &Harness) -> Vec<(Uuid, String)> {
    let rows = sqlx::query_as("select team_id, state from integrations order by created_at");
    rows.fetch_all(h.pool()).await.unwrap()
}

async fn kept_grants(h: &Harness) -> i64 {
    let count = sqlx::query_scalar("select count(*) from pending_connections where sealed_grant is not null");
    count.fetch_one(h.pool()).await.unwrap()
}

fn revoked(h: &Harness) -> usize {
    h.platform.journal().iter().filter(|entry| entry.effect == "revoke").count()
}

async fn set_role(h: &Harness, role: &str) {
    let change = sqlx::query("update team_members set role = $2 where user_id = $1").bind(h.user_id).bind(role);
    change.execute(h.pool()).await.unwrap();
}

async fn sweep(h: &Harness) {
    jobs::enqueue(&mut *h.conn().await, &PendingSweep {}, h.now()).await.unwrap();
}

#[tokio::test]
async fn with_the_session_of_who_began_the_account_is_connected_at_once() {
    let h = world().await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let seen = consent(&h, &mut browser).await;
    assert_eq!(seen.location, format!("{FRONTEND}/dashboard?integration=connected&connected=reddit"));
    assert_eq!(connected(&h).await, [(h.team_id, "connected".to_owned())]);
    assert_eq!(kept_grants(&h).await, 0);
    h.finish().await;
}

#[tokio::test]
async fn a_consent_to_less_is_connected_and_says_what_does_not_work() {
    let h = Harness::unconnected(&[]).await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let asked = begin(&h, &json!({})).await;
    let code = h.platform.grant_code(BRAND, &asked["redirect_uri"], "identity history read submit");
    let callback = format!("/api/integrations/reddit/oauth/callback?state={}&code={code}", asked["state"]);
    assert!(browser.get(&callback).await.location.contains("integration=connected"));
    let page = browser.get("/dashboard/accounts?integration=connected&connected=reddit").await.html;
    for said in
        ["does not hold everything", "<code>privatemessages</code> answers and mentions", "<code>edit</code> a reply"]
    {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page.contains("no reply can be posted"));
    h.finish().await;
}

#[tokio::test]
async fn without_a_session_the_grant_waits_sealed_until_its_person_confirms_it_once() {
    let h = world().await;
    let ticket = ticket_without_session(&h).await;
    assert_eq!(connected(&h).await, [], "nothing is connected by a browser without a session");
    assert_eq!(kept_grants(&h).await, 1);
    let plain: i64 = sqlx::query_scalar("select count(*) from pending_connections where ticket_hash = $1::bytea")
        .bind(ticket.as_bytes())
        .fetch_one(h.pool())
        .await
        .unwrap();
    assert_eq!(plain, 0, "the ticket itself stands nowhere");

    let body = json!({ "ticket": ticket });
    for other in [Client::stranger(&h).await, Client::with_role(&h, Role::Admin).await] {
        assert_eq!(other.post(COMPLETE, &body).await.0, 404, "another person learns nothing");
    }
    let ana = Client::signed_in(&h).await;
    let (status, answer) = ana.post(COMPLETE, &body).await;
    assert_eq!((status, &answer["display_name"], &answer["state"]), (200, &json!(BRAND), &json!("connected")));
    assert_eq!(kept_grants(&h).await, 0, "confirmed, it stands at the integration alone");
    let (status, answer) = ana.post(COMPLETE, &body).await;
    assert_eq!((status, &answer["type"]), (401, &json!("/problems/ticket-used")));
    assert_eq!(connected(&h).await, [(h.team_id, "connected".to_owned())]);
    let comment = h.stranger_comments("Does it fit a V60?");
    h.run_due().await;
    assert!(h.item_of(&comment).await.is_some(), "the first poll follows, with the token that waited");
    h.finish().await;
}

#[tokio::test]
async fn a_browser_with_another_persons_session_never_connects_to_them() {
    let h = world().await;
    let ben = Client::with_role(&h, Role::Admin).await;
    let ben_id: Uuid = sqlx::query_scalar("select user_id from team_members where user_id <> $1")
        .bind(h.user_id)
        .fetch_one(h.pool())
        .await
        .unwrap();
    let seen = consent(&h, &mut Browser::signed_in(&h, ben_id).await).await;
    let (_, pairs) = led(&seen);
    assert_eq!(pairs["integration"], "confirm");
    assert_eq!(connected(&h).await, []);
    let body = json!({ "ticket": pairs["ticket"] });
    assert_eq!(ben.post(COMPLETE, &body).await.0, 404);
    assert_eq!(Client::signed_in(&h).await.post(COMPLETE, &body).await.0, 200);
    h.finish().await;
}

#[tokio::test]
async fn of_two_confirmations_at_once_one_counts() {
    let h = world().await;
    let body = json!({ "ticket": ticket_without_session(&h).await });
    let (one, two) = (Client::signed_in(&h).await, Client::signed_in(&h).await);
    let (one, two) = tokio::join!(one.post(COMPLETE, &body), two.post(COMPLETE, &body));
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    assert_eq!(connected(&h).await.len(), 1);
    h.finish().await;
}

#[tokio::test]
async fn of_consents_that_come_back_at_once_one_connection_stays() {
    let h = world().await;
    let (moment, eve) = (h.app.moment(), person(&h, "eve").await);
    let team = teams::NewTeam { id: moment.id(), member_id: moment.id(), owner_user_id: eve, name: "Others" };
    teams::create(&mut *h.conn().await, team, moment.now).await.unwrap();
    for round in 0..3 {
        let first = way_back(&h, &begin(&h, &json!({})).await);
        let second = way_back(&h, &begin(&h, &json!({})).await);
        let third = way_back(&h, &begin_as(&Client::of(&h, eve).await, &json!({})).await);
        let mut ana = Browser::signed_in(&h, h.user_id).await;
        let (mut again, mut other) = (ana.copy(), Browser::signed_in(&h, eve).await);
        let (one, two, three) = tokio::join!(ana.get(&first), again.get(&second), other.get(&third));
        for seen in [one, two, three] {
            assert_eq!(led(&seen).1["integration"], "connected", "{round}");
        }
        let live = connected(&h).await.iter().filter(|(_, state)| state != "disconnected").count();
        assert_eq!((live, connected(&h).await.len()), (1, 2), "{round}: one row for each team, one of them live");
    }
    h.finish().await;
}

#[tokio::test]
async fn a_role_that_is_taken_away_while_the_platform_answers_connects_nothing() {
    let h = world().await;
    let back = way_back(&h, &begin(&h, &json!({})).await);
    let mut ana = Browser::signed_in(&h, h.user_id).await;
    let mut tx = h.pool().begin().await.unwrap();
    teams::lock(&mut tx, h.team_id).await.unwrap();
    sqlx::query("update team_members set role = 'editor' where user_id = $1")
        .bind(h.user_id)
        .execute(&mut *tx)
        .await
        .unwrap();
    let demoted = async {
        let mut waits = false;
        for _ in 0..20_000 {
            waits = sqlx::query_scalar(
                "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')",
            )
            .fetch_one(h.pool())
            .await
            .unwrap();
            if waits {
                break;
            }
        }
        tx.commit().await.unwrap();
        waits
    };
    let (seen, waited) = tokio::join!(ana.get(&back), demoted);
    assert!(waited, "the consent waits for who changes the team");
    assert_eq!((reason(&seen), revoked(&h)), ("not_admin".to_owned(), 1));
    assert_eq!(connected(&h).await, []);
    h.finish().await;
}

#[tokio::test]
async fn a_ticket_that_is_being_given_back_connects_nothing_by_a_clock_that_is_behind() {
    let h = world().await;
    let ticket = ticket_without_session(&h).await;
    let in_time = Moment::at(h.now(), &h.app.entropy);
    let mut cut_off = config(&h.base_url, &[("REDIRECT_BASE", FRONTEND)]);
    cut_off.reddit.as_mut().unwrap().auth_base = Url::parse("http://127.0.0.1:1").unwrap();
    let worker = h.worker_with(cut_off, 7).await;
    h.advance(Duration::minutes(10));
    sweep(&h).await;
    h.run_due_with(&worker).await;
    assert_eq!(kept_grants(&h).await, 1, "the platform did not answer yet");
    let late = connect::complete(&h.app, &in_time, h.user_id, &ticket, None).await;
    assert!(matches!(late, Err(CompleteError::Expired)), "{late:?}");
    assert_eq!(connected(&h).await, []);
    h.finish().await;
}

#[tokio::test]
async fn a_disconnected_account_is_given_back_to_the_platform() {
    let h = world().await;
    consent(&h, &mut Browser::signed_in(&h, h.user_id).await).await;
    let id: Uuid = sqlx::query_scalar("select id from integrations").fetch_one(h.pool()).await.unwrap();
    let ana = Client::signed_in(&h).await;
    assert_eq!(ana.delete(&format!("/api/integrations/{id}")).await.0, 204);
    assert_eq!((connected(&h).await, revoked(&h)), (vec![(h.team_id, "disconnected".to_owned())], 1));
    assert_eq!(ana.delete(&format!("/api/integrations/{id}")).await.0, 204);
    assert_eq!(revoked(&h), 1, "there is nothing left to give back");
    h.finish().await;
}

#[tokio::test]
async fn a_grant_that_a_newer_consent_replaces_is_given_back_and_the_newer_one_works() {
    let h = world().await;
    let mut ana = Browser::signed_in(&h, h.user_id).await;
    consent(&h, &mut ana).await;
    sweep(&h).await;
    h.run_due().await;
    assert_eq!((revoked(&h), kept_grants(&h).await), (0, 0));
    consent(&h, &mut ana).await;
    assert_eq!((revoked(&h), kept_grants(&h).await), (0, 1), "after the transaction, by the sweep");
    sweep(&h).await;
    h.run_due().await;
    assert_eq!((revoked(&h), kept_grants(&h).await), (1, 0));
    let ticket = ticket_without_session(&h).await;
    assert_eq!(Client::signed_in(&h).await.post(COMPLETE, &json!({ "ticket": ticket })).await.0, 200);
    sweep(&h).await;
    h.run_due().await;
    assert_eq!((revoked(&h), kept_grants(&h).await), (2, 0), "also when a ticket confirmed it");

    let eve = person(&h, "eve").await;
    let moment = h.app.moment();
    let team = teams::NewTeam { id: moment.id(), member_id: moment.id(), owner_user_id: eve, name: "Others" };
    teams::create(&mut *h.conn().await, team, moment.now).await.unwrap();
    let back = way_back(&h, &begin_as(&Client::of(&h, eve).await, &json!({})).await);
    assert_eq!(led(&Browser::signed_in(&h, eve).await.get(&back).await).1["integration"], "connected");
    sweep(&h).await;
    h.run_due().await;
    assert_eq!((revoked(&h), kept_grants(&h).await), (3, 0), "another team's too");
    let comment = h.stranger_comments("Does it fit a V60?");
    h.advance(Duration::hours(2));
    jobs::enqueue(&mut *h.conn().await, &PollSweep {}, h.now()).await.unwrap();
    h.run_due().await;
    let seen: i64 = sqlx::query_scalar("select count(*) from inbox_items where target_platform_id = $1")
        .bind(&comment)
        .fetch_one(h.pool())
        .await
        .unwrap();
    assert_eq!(seen, 1, "read, and renewed, with the grant that stands");
    h.finish().await;
}

#[tokio::test]
async fn team_and_role_count_as_they_are_when_the_ticket_is_used() {
    let h = world().await;
    let body = json!({ "ticket": ticket_without_session(&h).await });
    let ana = Client::signed_in(&h).await;
    set_role(&h, "editor").await;
    let (status, answer) = ana.post(COMPLETE, &body).await;
    assert_eq!(status, 403);
    assert!(answer["detail"].as_str().unwrap().contains("the role admin; yours in this team is editor"), "{answer}");
    sqlx::query("update team_members set accepted_at = null").execute(h.pool()).await.unwrap();
    assert_eq!(ana.post(COMPLETE, &body).await.0, 404, "no member any more");
    assert_eq!(connected(&h).await, []);
    sqlx::query("update team_members set accepted_at = $1, role = 'admin'")
        .bind(h.now())
        .execute(h.pool())
        .await
        .unwrap();
    assert_eq!(ana.post(COMPLETE, &body).await.0, 200, "a refusal does not spend it");
    h.finish().await;
}

#[tokio::test]
async fn too_late_the_grant_is_given_back_and_wiped() {
    let h = world().await;
    let body = json!({ "ticket": ticket_without_session(&h).await });
    h.advance(Duration::minutes(10));
    let (status, answer) = Client::signed_in(&h).await.post(COMPLETE, &body).await;
    assert_eq!((status, &answer["type"]), (409, &json!("/problems/ticket-expired")), "{answer}");
    h.advance(BETWEEN_WINDOWS);
    for _ in 0..2 {
        assert_eq!(Client::signed_in(&h).await.post(COMPLETE, &body).await.0, 409);
        assert_eq!((kept_grants(&h).await, revoked(&h)), (0, 1));
    }
    assert_eq!(connected(&h).await, []);
    h.finish().await;
}

#[tokio::test]
async fn the_sweep_gives_back_what_nobody_confirmed_and_keeps_the_rest() {
    let h = world().await;
    ticket_without_session(&h).await;
    h.advance(Duration::minutes(5));
    let fresh = ticket_without_session(&h).await;
    h.advance(Duration::minutes(5) + BETWEEN_WINDOWS);
    sweep(&h).await;
    h.run_due().await;
    assert_eq!((kept_grants(&h).await, revoked(&h)), (1, 1));
    assert_eq!(Client::signed_in(&h).await.post(COMPLETE, &json!({ "ticket": fresh })).await.0, 200);
    h.finish().await;
}

#[tokio::test]
async fn a_platform_that_does_not_answer_is_asked_again_for_an_hour() {
    let h = world().await;
    ticket_without_session(&h).await;
    let mut cut_off = config(&h.base_url, &[("REDIRECT_BASE", FRONTEND)]);
    // Nothing listens there.
    cut_off.reddit.as_mut().unwrap().auth_base = Url::parse("http://127.0.0.1:1").unwrap();
    let worker = h.worker_with(cut_off, 7).await;
    h.advance(Duration::minutes(30));
    sweep(&h).await;
    h.run_due_with(&worker).await;
    assert_eq!((kept_grants(&h).await, revoked(&h)), (1, 0), "kept to be given back");
    h.advance(Duration::minutes(41));
    sweep(&h).await;
    h.run_due_with(&worker).await;
    assert_eq!((kept_grants(&h).await, revoked(&h)), (0, 0), "and wiped in the end");
    h.finish().await;
}

#[tokio::test]
async fn every_way_to_come_back_wrongly_has_its_answer() {
    let h = world().await;
    let mut ana = Browser::signed_in(&h, h.user_id).await;
    let back = |query: String| format!("/api/integrations/reddit/oauth/callback?{query}");

    let asked = begin(&h, &json!({})).await;
    let good = way_back(&h, &asked);
    assert_eq!(reason(&ana.get(&back("state=never-given-out&code=x".to_owned())).await), "unknown");
    assert_eq!(reason(&ana.get(&back("code=x".to_owned())).await), "unknown");
    assert_eq!(led(&ana.get(&good).await).1["integration"], "connected");
    assert_eq!(reason(&ana.get(&good).await), "spent", "a reload");
    assert_eq!(reason(&Browser::new(&h).get(&good).await), "spent", "copied into another browser");

    let late = begin(&h, &json!({})).await;
    h.advance(Duration::minutes(10));
    assert_eq!(reason(&ana.get(&way_back(&h, &late)).await), "spent");
    h.advance(BETWEEN_WINDOWS);

    let declined = begin(&h, &json!({})).await;
    let state = &declined["state"];
    assert_eq!(reason(&ana.get(&back(format!("state={state}&error=access_denied"))).await), "declined");
    assert_eq!(reason(&ana.get(&way_back(&h, &declined)).await), "spent", "a state that came back works no more");

    let empty = begin(&h, &json!({})).await;
    assert_eq!(reason(&ana.get(&back(format!("state={}", empty["state"]))).await), "incomplete");
    let forged = begin(&h, &json!({})).await;
    assert_eq!(reason(&ana.get(&back(format!("state={}&code=forged", forged["state"]))).await), "spent");

    let demoted = begin(&h, &json!({})).await;
    set_role(&h, "editor").await;
    assert_eq!(reason(&ana.get(&way_back(&h, &demoted)).await), "not_admin");
    assert_eq!(kept_grants(&h).await, 0);
    assert_eq!(connected(&h).await.len(), 1);
    h.finish().await;
}

#[tokio::test]
async fn a_browser_is_led_below_the_frontend_and_nowhere_else() {
    let h = world().await;
    let ana = Client::signed_in(&h).await;
    for hostile in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "https://app.example@evil.example/replies",
        "https://app.example.evil.example/replies",
        "javascript:alert(1)",
        "/replies/../admin",
        "/other",
        "",
    ] {
        let body = json!({ "return_to": hostile });
        let (status, answer) = ana.post("/api/integrations/reddit/oauth/start", &body).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (422, &json!("return_to")), "{hostile}");
    }
    let asked = begin(&h, &json!({ "teamId": h.team_id, "returnTo": "/replies/settings?tab=accounts" })).await;
    let (page, pairs) = led(&Browser::new(&h).get(&way_back(&h, &asked)).await);
    assert_eq!(page, "https://app.example/replies/settings");
    assert_eq!((pairs["tab"].as_str(), pairs["integration"].as_str()), ("accounts", "confirm"));
    let replay = Browser::new(&h).get(&way_back(&h, &asked)).await;
    assert_eq!((led(&replay).0, reason(&replay)), (page, "spent".to_owned()), "also what went wrong is told there");
    h.finish().await;
}

#[tokio::test]
async fn on_the_dashboard_a_person_confirms_with_a_form_and_others_see_none() {
    let h = Harness::unconnected(&[]).await;
    let seen = consent(&h, &mut Browser::new(&h)).await;
    let path = seen.location.strip_prefix("http://localhost:3000").unwrap().to_owned();
    let mut nobody = Browser::new(&h);
    assert!(nobody.get(&path).await.location.starts_with("/signin?next=%2Fdashboard%3Fintegration%3Dconfirm"));
    let ben = Client::with_role(&h, Role::Admin).await;
    let ben_id: Uuid = sqlx::query_scalar("select user_id from team_members where user_id <> $1")
        .bind(h.user_id)
        .fetch_one(h.pool())
        .await
        .unwrap();
    drop(ben);
    let on_accounts = path.replace("/dashboard?", "/dashboard/accounts?");
    let html = Browser::signed_in(&h, ben_id).await.get(&on_accounts).await.html;
    assert!(!html.contains("Is this account yours") && html.contains("someone else began it"));

    let mut ana = Browser::signed_in(&h, h.user_id).await;
    assert_eq!(ana.get(&path).await.location, on_accounts);
    let html = ana.get(&on_accounts).await.html;
    assert!(html.contains("Is this account yours") && html.contains("u/brassfinch"));
    let (_, pairs) = led(&seen);
    let done = ana.post("/dashboard/accounts/complete", &[("ticket", &pairs["ticket"])]).await;
    assert_eq!(done.location, "/dashboard/accounts?integration=connected&connected=reddit");
    assert_eq!(connected(&h).await.len(), 1);
    let again = ana.post("/dashboard/accounts/complete", &[("ticket", &pairs["ticket"])]).await;
    assert_eq!(again.location, "/dashboard/accounts?integration=failed&reason=spent");
    h.finish().await;
}
