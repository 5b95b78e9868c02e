//! What a team sets about its replies, and what it is told when that makes no sense.

use crate::client::Client;
use crate::harness::Harness;
use rejoinder_app::model::Role;
use serde_json::{Value, json};
use time::Duration;

fn path(h: &Harness) -> String {
    format!("/api/teams/{}/settings", h.team_id)
}

/// What was written to the log about settings, the oldest first.
async fn logged(h: &Harness) -> Vec<Value> {
    let mut rows = h.activity().await;
    rows.retain(|row| row.kind == "team.settings_changed");
    rows.into_iter().rev().map(|row| row.payload).collect()
}

#[tokio::test]
async fn a_new_team_is_as_the_server_is_set() {
    let h = Harness::start().await;
    let (status, settings) = Client::signed_in(&h).await.get(&path(&h)).await;
    assert_eq!((status, &settings["timezone"]), (200, &json!("UTC")));
    for field in ["daily_cap", "gap_secs", "quiet_from", "quiet_to", "paused_at"] {
        assert_eq!(settings[field], Value::Null, "{field}");
    }
    h.finish().await;
}

#[tokio::test]
async fn a_change_sets_what_is_given_gives_back_what_is_null_and_is_logged() {
    let h = Harness::start().await;
    let client = Client::signed_in(&h).await;
    let all = json!({ "timezone": "europe/berlin", "dailyCap": 40, "gap_secs": 0, "quiet_from": "22:00", "quietTo": "07:30",
        "link_domains": ["Docs.Example.com", "example.com", "docs.example.com"] });
    let (status, settings) = client.patch(&path(&h), &all).await;
    assert_eq!(status, 200, "{settings}");
    let wanted = json!({ "timezone": "Europe/Berlin", "daily_cap": 40, "gap_secs": 0, "quiet_from": "22:00",
        "quiet_to": "07:30", "link_domains": ["docs.example.com", "example.com"] });
    for (field, value) in wanted.as_object().unwrap() {
        assert_eq!(&settings[field], value, "{field}");
    }
    let (_, unchanged) = client.patch(&path(&h), &json!({ "daily_cap": 40, "gap_secs": 0 })).await;
    assert_eq!(unchanged, settings);
    h.advance(Duration::seconds(1));
    let given_back = json!({ "daily_cap": null, "quiet_from": null, "quiet_to": null, "timezone": null });
    let (_, settings) = client.patch(&path(&h), &given_back).await;
    let seen = [&settings["daily_cap"], &settings["quiet_from"], &settings["timezone"], &settings["gap_secs"]];
    assert_eq!(seen, [&Value::Null, &Value::Null, &json!("UTC"), &json!(0)]);

    let log = logged(&h).await;
    assert_eq!(log.len(), 2, "what changes nothing is no line: {log:?}");
    let cap = |payload: &Value, when: &str| payload[when]["daily_cap"].clone();
    let caps: Vec<Value> = log.iter().flat_map(|line| [cap(line, "before"), cap(line, "after")]).collect();
    assert_eq!(caps, [Value::Null, json!(40), json!(40), Value::Null]);
    assert!(log[1]["after"].get("gap_secs").is_none(), "only what changed: {log:?}");
    h.finish().await;
}

#[tokio::test]
async fn a_wrong_field_is_named_with_an_example_and_nothing_is_changed() {
    let h = Harness::start().await;
    let client = Client::signed_in(&h).await;
    let (_, before) = client.get(&path(&h)).await;
    let table = [
        (json!({ "timezone": "Mars/Olympus" }), "timezone", "Europe/Berlin"),
        (json!({ "timezone": "" }), "timezone", "Europe/Berlin"),
        (json!({ "timezone": 2 }), "timezone", "string"),
        (json!({ "daily_cap": -1 }), "daily_cap", "between 0 and 1000000"),
        (json!({ "daily_cap": 1_000_001 }), "daily_cap", "between 0 and 1000000"),
        (json!({ "daily_cap": 4_294_967_296_i64 }), "daily_cap", "between 0 and 1000000"),
        (json!({ "daily_cap": 1.5 }), "daily_cap", "i64"),
        (json!({ "gap_secs": 86_401 }), "gap_secs", "between 0 and 86400"),
        (json!({ "quiet_from": "10 pm", "quiet_to": "07:00" }), "quiet_from", "22:00"),
        (json!({ "quiet_from": "22:00", "quiet_to": "24:00" }), "quiet_to", "22:00"),
        (json!({ "quiet_from": "22:00" }), "quiet_to", "07:00"),
        (json!({ "quiet_from": "22:00", "quiet_to": "22:00" }), "quiet_to", "start"),
        (json!({ "link_domains": ["https://example.com/shop"] }), "link_domains", "example.com"),
        (json!({ "link_domains": "example.com" }), "link_domains", "sequence"),
        (json!({ "paused_at": null }), "paused_at", "unknown field"),
        // One wrong field spoils the rest.
        (json!({ "daily_cap": 5, "gap_secs": -5 }), "gap_secs", "between 0 and 86400"),
    ];
    for (body, field, words) in table {
        let (status, told) = client.patch(&path(&h), &body).await;
        assert_eq!((status, &told["errors"][0]["field"]), (422, &json!(field)), "{body}: {told}");
        assert!(told["errors"][0]["message"].as_str().unwrap().contains(words), "{body}: {told}");
    }
    assert_eq!(client.get(&path(&h)).await.1, before);
    assert_eq!(logged(&h).await.len(), 0);
    h.finish().await;
}

#[tokio::test]
async fn admins_set_others_read_and_other_teams_see_nothing() {
    let h = Harness::start().await;
    let body = json!({ "daily_cap": 5 });
    for role in [Role::Viewer, Role::Editor] {
        let client = Client::with_role(&h, role).await;
        assert_eq!(client.get(&path(&h)).await.0, 200);
        let (status, told) = client.patch(&path(&h), &body).await;
        assert_eq!(status, 403, "{told}");
    }
    let stranger = Client::stranger(&h).await;
    assert_eq!((stranger.get(&path(&h)).await.0, stranger.patch(&path(&h), &body).await.0), (404, 404));
    assert_eq!(Client::signed_in(&h).await.get(&path(&h)).await.1["daily_cap"], Value::Null);
    h.finish().await;
}
