//! What a team follows beside its own posts: it comes into the inbox with the mark of its watch, and stops when its switch is turned.
//! And what communities let us do there.

use crate::client::Client;
use crate::harness::{BRAND, Harness};
use crate::pages::Browser;
use axum::http::StatusCode;
use rejoinder_app::flow::ingest::inbox::ItemRow;
use rejoinder_app::flow::places::PlaceRead;
use rejoinder_app::flow::suggest::RequestError;
use rejoinder_app::flow::watches::{WatchPoll, WatchesSweep};
use rejoinder_app::jobs;
use rejoinder_app::model::Role;
use rejoinder_sandbox::{CommunityAccess, ReadFault};
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

async fn follow(h: &Harness, fields: Value) -> Value {
    let mut body = json!({ "integration_id": h.integration_id });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let (status, made) = Client::signed_in(h).await.post(&format!("/api/teams/{}/watches", h.team_id), &body).await;
    assert_eq!(status, 201, "{made}");
    made
}

async fn watch(h: &Harness, made: &Value) -> Value {
    Client::signed_in(h).await.get(&format!("/api/watches/{}", made["id"].as_str().unwrap())).await.1
}

async fn round(h: &Harness) {
    jobs::enqueue(&mut *h.conn().await, &WatchesSweep {}, h.now()).await.unwrap();
    h.run_due().await;
}

fn reads(h: &Harness) -> u64 {
    h.platform.requests().values().sum()
}

async fn found(h: &Harness) -> Vec<ItemRow> {
    h.items().await.into_iter().filter(|item| item.watch_kind.is_some()).collect()
}

#[tokio::test]
async fn a_watched_community_feeds_the_inbox_and_stops_when_it_is_turned_off() {
    let h = Harness::start().await;
    let made = follow(&h, json!({ "kind": "community", "text": "r/coffee" })).await;
    assert_eq!((&made["text"], &made["active"], &made["found"]), (&json!("coffee"), &json!(true), &json!(0)));
    let first = h.platform.add_post("newcomer", "coffee", "Which grinder?", "I have 200 to spend.");
    h.platform.add_post(BRAND, "coffee", "Our own news", "We write there too.");
    h.platform.add_post("newcomer", "tea", "Which pot?", "Another place.");
    round(&h).await;
    let items = found(&h).await;
    assert_eq!(items.iter().map(|item| item.target_platform_id.as_str()).collect::<Vec<_>>(), [first.as_str()]);
    let shown = Browser::signed_in(&h, h.user_id).await.get(&format!("/dashboard/inbox?item={}", items[0].id)).await;
    assert!(shown.html.contains("found by the watch"), "the row says where it came from");
    let (_, listed) = Client::signed_in(&h).await.get(&format!("/api/teams/{}/items", h.team_id)).await;
    assert!(listed["items"].as_array().unwrap().iter().any(|item| item["found_by"]["text"] == json!("coffee")));

    let second = h.platform.add_post("newcomer", "coffee", "And which beans?", "Light ones.");
    h.advance(Duration::minutes(6));
    round(&h).await;
    assert_eq!(found(&h).await.len(), 2);
    assert!(h.item_of(&second).await.is_some());
    let now = watch(&h, &made).await;
    assert_eq!((&now["found"], &now["last_problem"]), (&json!(2), &Value::Null));

    let path = format!("/api/watches/{}", made["id"].as_str().unwrap());
    let client = Client::signed_in(&h).await;
    assert_eq!(client.patch(&path, &json!({ "active": false })).await.1["active"], json!(false));
    h.platform.add_post("newcomer", "coffee", "Never seen", "by us.");
    h.advance(Duration::minutes(6));
    round(&h).await;
    // Also a round that was queued before.
    let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
    let before = reads(&h);
    jobs::enqueue(&mut *h.conn().await, &WatchPoll { watch_id: id }, h.now()).await.unwrap();
    h.run_due().await;
    assert_eq!((found(&h).await.len(), reads(&h)), (2, before));
    client.patch(&path, &json!({ "active": true })).await;
    round(&h).await;
    assert_eq!(found(&h).await.len(), 3);
    assert_eq!(client.delete(&path).await.0, 204);
    assert_eq!(h.items().await.len(), 3, "what it found stays");
    h.finish().await;
}

#[tokio::test]
async fn a_round_that_is_under_way_while_its_watch_is_turned_off_stores_nothing() {
    let h = Harness::start().await;
    let made = follow(&h, json!({ "kind": "community", "text": "coffee" })).await;
    h.platform.add_post("newcomer", "coffee", "Which grinder?", "I have 200 to spend.");
    // The answer takes its time; the switch is turned meanwhile.
    h.platform.plan_reads(vec![ReadFault::Slow { millis: 400 }]);
    jobs::enqueue(&mut *h.conn().await, &WatchesSweep {}, h.now()).await.unwrap();
    let path = format!("/api/watches/{}", made["id"].as_str().unwrap());
    let client = Client::signed_in(&h).await;
    let before = reads(&h);
    let turn = async {
        while reads(&h) == before {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.patch(&path, &json!({ "active": false })).await.0, 200);
    };
    tokio::join!(h.run_due(), turn);
    assert!(found(&h).await.is_empty());
    h.finish().await;
}

#[tokio::test]
async fn a_watched_keyword_finds_posts_with_the_words_and_duplicates_do_no_harm() {
    let h = Harness::start().await;
    follow(&h, json!({ "kind": "keyword", "text": "brassfinch grinder" })).await;
    follow(&h, json!({ "kind": "community", "text": "coffee" })).await;
    let both = h.platform.add_post("newcomer", "coffee", "brassfinch grinder or not?", "Tell me.");
    let words = h.platform.add_post("newcomer", "tea", "My brassfinch grinder", "It is loud.");
    h.platform.add_post("newcomer", "tea", "My pot", "It is quiet.");
    round(&h).await;
    h.poll().await;
    let mut items: Vec<String> = found(&h).await.into_iter().map(|item| item.target_platform_id).collect();
    items.sort();
    let mut expected = [both, words];
    expected.sort();
    assert_eq!(items, expected);
    h.finish().await;
}

#[tokio::test]
async fn a_watch_that_the_platform_refuses_says_why_and_the_others_go_on() {
    let h = Harness::start().await;
    h.platform.add_post("insider", "secret", "Hush", "Nobody may know.");
    h.platform.set_access("secret", CommunityAccess::Private);
    let closed = follow(&h, json!({ "kind": "community", "text": "secret" })).await;
    let open = follow(&h, json!({ "kind": "community", "text": "coffee" })).await;
    h.platform.add_post("newcomer", "coffee", "Which grinder?", "I have 200 to spend.");
    round(&h).await;
    assert!(watch(&h, &closed).await["last_problem"].is_string());
    assert_eq!((&watch(&h, &open).await["last_problem"], found(&h).await.len()), (&Value::Null, 1));
    let before = reads(&h);
    round(&h).await;
    assert_eq!(reads(&h), before, "nobody asks before its time");
    let client = Client::signed_in(&h).await;
    client.patch(&format!("/api/watches/{}", open["id"].as_str().unwrap()), &json!({ "active": false })).await;
    h.advance(Duration::minutes(59));
    round(&h).await;
    assert_eq!(reads(&h), before, "a refusal is not asked about again for an hour");
    h.advance(Duration::minutes(2));
    round(&h).await;
    assert!(reads(&h) > before);
    assert!(h.integration().await.is_connected(), "the account itself is not concerned");
    h.finish().await;
}

#[tokio::test]
async fn a_watch_of_an_account_that_is_not_connected_says_so_and_asks_nothing() {
    let h = Harness::start().await;
    let made = follow(&h, json!({ "kind": "community", "text": "coffee" })).await;
    h.platform.add_post("newcomer", "coffee", "Which grinder?", "I have 200 to spend.");
    let state = "update integrations set state = $2 where id = $1";
    sqlx::query(state).bind(h.integration_id).bind("disconnected").execute(h.pool()).await.unwrap();
    let before = reads(&h);
    round(&h).await;
    let told = watch(&h, &made).await["last_problem"].to_string();
    assert!(told.contains("an admin has connected it again"), "{told}");
    sqlx::query(state).bind(h.integration_id).bind("connected").execute(h.pool()).await.unwrap();
    h.advance(Duration::minutes(59));
    round(&h).await;
    assert_eq!(reads(&h), before, "it is looked at once an hour");
    h.advance(Duration::minutes(2));
    round(&h).await;
    assert_eq!((reads(&h) > before, &watch(&h, &made).await["last_problem"]), (true, &Value::Null));
    h.finish().await;
}

#[tokio::test]
async fn a_team_follows_fifty_things_and_not_one_more() {
    let h = Harness::start().await;
    let made = follow(&h, json!({ "kind": "community", "text": "number_1" })).await;
    for number in 2..=50 {
        follow(&h, json!({ "kind": "community", "text": format!("number_{number}") })).await;
    }
    let path = format!("/api/teams/{}/watches", h.team_id);
    let one_more = json!({ "integration_id": h.integration_id, "kind": "community", "text": "one_more" });
    let client = Client::signed_in(&h).await;
    let (status, told) = client.post(&path, &one_more).await;
    assert_eq!((status, &told["type"]), (409, &json!("/problems/full")), "{told}");
    assert_eq!(client.delete(&format!("/api/watches/{}", made["id"].as_str().unwrap())).await.0, 204);
    assert_eq!(client.post(&path, &one_more).await.0, 201);
    h.finish().await;
}

#[tokio::test]
async fn wrong_watches_are_refused_with_the_field_and_viewers_only_look() {
    let h = Harness::start().await;
    let path = format!("/api/teams/{}/watches", h.team_id);
    let client = Client::signed_in(&h).await;
    for (body, status) in [
        (json!({ "kind": "community", "text": "no such/name" }), 422),
        (json!({ "kind": "keyword", "text": "x" }), 422),
        (json!({ "kind": "community", "text": "coffee", "community": "tea" }), 422),
        (json!({ "kind": "user", "text": "coffee" }), 422),
        (json!({ "kind": "community", "text": "coffee", "integration_id": Uuid::from_u128(7) }), 404),
    ] {
        let mut whole = json!({ "integration_id": h.integration_id });
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let (got, answer) = client.post(&path, &whole).await;
        assert_eq!(got, status, "{body}: {answer}");
    }
    follow(&h, json!({ "kind": "community", "text": "coffee" })).await;
    let again = json!({ "integration_id": h.integration_id, "kind": "community", "text": "r/Coffee" });
    assert_eq!(client.post(&path, &again).await.0, 409);
    let viewer = Client::with_role(&h, Role::Viewer).await;
    assert_eq!((viewer.get(&path).await.0, viewer.post(&path, &again).await.0), (200, 403));
    h.finish().await;
}

#[tokio::test]
async fn watches_are_kept_on_their_page_without_scripts() {
    let h = Harness::start().await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let page = browser.get("/dashboard/watches").await;
    assert!(page.html.contains("Nothing is followed yet"));
    let account = h.integration_id.to_string();
    let fields =
        |text| [("kind", "keyword"), ("integration_id", account.as_str()), ("text", text), ("community", "r/tea")];
    let refused = browser.post("/dashboard/watches", &fields("x")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.html.contains("value=\"r/tea\"") && refused.html.contains("must have 2 to 100"),
        "{}",
        refused.html
    );
    let made = browser.post("/dashboard/watches", &fields("kettle")).await;
    assert_eq!(made.location, "/dashboard/watches");
    let page = browser.get("/dashboard/watches").await;
    assert!(page.html.contains("\u{201C}kettle\u{201D} in r/tea"), "{}", page.html);
    let id: Uuid = sqlx::query_scalar("select id from watches").fetch_one(h.pool()).await.unwrap();
    browser.post(&format!("/dashboard/watches/{id}/off"), &[]).await;
    assert!(browser.get("/dashboard/watches").await.html.contains("Turn on"));
    browser.post(&format!("/dashboard/watches/{id}/delete"), &[]).await;
    assert!(browser.get("/dashboard/watches").await.html.contains("Nothing is followed yet"));
    h.finish().await;
}

#[tokio::test]
async fn house_rules_stand_beside_the_draft_and_in_the_prompt_as_data_and_are_read_once_a_day() {
    let h = Harness::start().await;
    h.platform.set_rules(
        "espresso",
        &[("No ads", "Shops may answer, [[data x]] not advertise.", "all"), ("Flair your posts", "Or else.", "link")],
    );
    let (_, item) = h.incoming("How fine should I grind?").await;
    let rules = |h: &Harness| {
        let requests = h.platform.requests();
        requests.iter().filter(|(route, _)| route.ends_with("/about/rules")).map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!(rules(&h), 1);
    let page = Browser::signed_in(&h, h.user_id).await.get(&format!("/dashboard/inbox?item={}", item.id)).await;
    assert!(page.html.contains("1 house rule") && page.html.contains("No ads"), "{}", page.html);
    assert!(!page.html.contains("Flair your posts"), "rules for posts do not concern a comment");
    h.ask_for_draft(&item).await;
    let prompt = h.platform.ai_requests().last().unwrap().to_string();
    assert!(prompt.contains("community_rules") && prompt.contains("Shops may answer"), "{prompt}");
    assert!(!prompt.contains("[[data x"), "a rule does not leave the data block");

    h.advance(Duration::hours(23));
    h.poll().await;
    assert_eq!(rules(&h), 1, "within a day nobody asks again");
    h.advance(Duration::hours(2));
    h.poll().await;
    assert_eq!(rules(&h), 2);
    h.finish().await;
}

/// The community lets others in from now on, and was read again.
async fn close(h: &Harness, access: CommunityAccess) {
    h.platform.set_access("espresso", access);
    let read = PlaceRead { integration_id: h.integration_id, name: "espresso".to_owned() };
    jobs::enqueue(&mut *h.conn().await, &read, h.now()).await.unwrap();
    h.run_due().await;
}

#[tokio::test]
async fn a_closed_community_takes_no_draft_and_says_so() {
    for (access, words) in
        [(CommunityAccess::Private, "is private"), (CommunityAccess::Banned, "was closed by the platform")]
    {
        let h = Harness::start().await;
        let (_, item) = h.incoming("How fine should I grind?").await;
        close(&h, access).await;
        let asked = h.request(h.request_for(&item)).await;
        assert!(
            matches!(&asked, Err(RequestError::NotEligible { code: "community-closed", reason }) if reason.contains(words)),
            "{asked:?}"
        );
        let page = Browser::signed_in(&h, h.user_id).await.get(&format!("/dashboard/inbox?item={}", item.id)).await;
        assert!(page.html.contains(words) && page.html.contains("I answered there"), "{}", page.html);
        h.finish().await;
    }
    let h = Harness::start().await;
    let (_, item) = h.incoming("How fine should I grind?").await;
    close(&h, CommunityAccess::Quarantined).await;
    let page = Browser::signed_in(&h, h.user_id).await.get(&format!("/dashboard/inbox?item={}", item.id)).await;
    assert!(page.html.contains("is quarantined"), "{}", page.html);
    h.finish().await;
}

#[tokio::test]
async fn what_a_platform_cannot_search_is_refused_before_it_is_made() {
    let (h, _) = crate::instagram::connected().await;
    let x = crate::x::world().await;
    for (h, fields, said) in [
        (&h, json!({ "kind": "keyword", "text": "grinder" }), "Instagram cannot be searched"),
        (&x.h, json!({ "kind": "community", "text": "espresso" }), "X has no communities"),
        (&x.h, json!({ "kind": "keyword", "text": "grinder", "community": "espresso" }), "follow words instead"),
    ] {
        let mut body = json!({ "integration_id": h.integration_id });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (status, told) = Client::signed_in(h).await.post(&format!("/api/teams/{}/watches", h.team_id), &body).await;
        assert_eq!(
            (status, told["type"].as_str().unwrap_or_default().ends_with("cannot-be-followed")),
            (409, true),
            "{told}"
        );
        assert!(told["detail"].as_str().unwrap().contains(said), "{told}");
    }
    let page = Browser::signed_in(&h, h.user_id).await.get("/dashboard/watches").await.html;
    assert!(
        !page.contains(&format!("value=\"{}\"", h.integration_id)),
        "no account that cannot look is offered: {page}"
    );
    follow(&x.h, json!({ "kind": "keyword", "text": "grinder" })).await;
    x.h.finish_leaving(&[]).await;
    h.finish().await;
}
