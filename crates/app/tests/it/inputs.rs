//! What clients may send, and what they are told when it makes no sense: never that the server broke.

use crate::client::Client;
use crate::harness::Harness;
use axum::body::Body;
use axum::http::Method;
use rejoinder_app::http::limits::{self, ClientAddress};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};

#[tokio::test]
async fn signs_that_the_database_cannot_keep_are_dropped_from_every_text() {
    let harness = Harness::start().await;
    let (_, suggestion) = harness.ready_reply("Two steps finer.").await;
    let client = Client::signed_in(&harness).await;
    let team = suggestion.team_id;

    let intent = json!({ "name": "Tha\u{0}nks", "brand_voice": "Calm\u{0}\u{202E}." });
    let (status, made) = client.post(&format!("/api/teams/{team}/intents"), &intent).await;
    assert_eq!((status, &made["name"], &made["brand_voice"]), (201, &json!("Thanks"), &json!("Calm.")), "{made}");
    let variations = format!("/api/intents/{}/variations", made["id"].as_str().unwrap());
    let (status, variation) = client.post(&variations, &json!({ "text": "Any\u{0} time!" })).await;
    assert_eq!((status, &variation["text"]), (201, &json!("Any time!")), "{variation}");
    assert_eq!(client.post(&variations, &json!({ "text": "\u{0}" })).await.0, 422);

    for path in ["q=%00", "q=fine%00", "q=%E2%80%8B"] {
        assert_eq!(client.get(&format!("/api/teams/{team}/items?{path}")).await.0, 200, "{path}");
        assert_eq!(client.get(&format!("/dashboard/inbox?{path}")).await.0, 200, "{path}");
    }
    assert_eq!(client.get(&format!("/api/teams/{team}/posts?platform=%00")).await.0, 422);
    assert_eq!(client.get("/signin?next=%00").await.0, 303);
    assert_eq!(client.get("/setup?token=%00").await.0, 410);

    let path = format!("/api/suggestions/{}", suggestion.id);
    let (status, edited) = client.ask(Method::PATCH, &path, json!({ "text": "Fin\u{0}er." }).to_string()).await;
    assert_eq!((status, &edited["text"]), (200, &json!("Finer.")), "{edited}");
    let (status, rejected) = client.post(&format!("{path}/reject"), &json!({ "reason": "no\u{0}pe\u{7}" })).await;
    assert_eq!(status, 200, "{rejected}");
    harness.finish().await;
}

#[tokio::test]
async fn a_place_in_a_list_that_no_row_can_have_is_a_wrong_field() {
    let harness = Harness::start().await;
    let (_, item) = harness.incoming("How fine?").await;
    let client = Client::signed_in(&harness).await;
    let team = harness.integration().await.team_id;
    // The years -9999 and 9999, and no such time at all.
    for micros in [-377_705_116_800_000_000_i64, 253_402_300_799_000_000, i64::MIN, i64::MAX] {
        let cursor = base64_url(&[&micros.to_be_bytes()[..], &[7; 16]].concat());
        for list in [
            format!("/api/teams/{team}/items"),
            format!("/api/teams/{team}/posts"),
            format!("/api/teams/{team}/suggestions"),
            format!("/api/teams/{team}/activity"),
            format!("/api/posts/{}/comments", item.post_id),
        ] {
            let (status, told) = client.get(&format!("{list}?cursor={cursor}")).await;
            assert_eq!((status, &told["errors"][0]["field"]), (422, &json!("cursor")), "{list} {micros}");
        }
        let place = format!("{micros}.{}", item.id.simple());
        for page in ["inbox", "activity"] {
            assert_eq!(client.get(&format!("/dashboard/{page}?cursor={place}")).await.0, 200, "{page} {micros}");
        }
    }
    harness.finish().await;
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn a_list_is_no_body_and_a_request_that_takes_none_refuses_one() {
    let harness = Harness::start().await;
    let (_, suggestion) = harness.ready_reply("Two steps finer.").await;
    let client = Client::signed_in(&harness).await;
    let team = suggestion.team_id;
    let (status, told) =
        client.post(&format!("/api/teams/{team}/intents"), &json!(["arr", "witty", 0.5, "Calm."])).await;
    assert_eq!((status, &told["errors"][0]["field"]), (422, &json!("body")));

    let (item, id) = (suggestion.item_id, suggestion.id);
    let integration = harness.integration().await.id;
    let mut bodyless = vec![
        format!("/api/items/{item}/done"),
        format!("/api/items/{item}/answered-elsewhere"),
        format!("/api/integrations/{integration}/refresh"),
    ];
    bodyless.extend(["send", "undo", "retry", "regenerate"].map(|verb| format!("/api/suggestions/{id}/{verb}")));
    for path in bodyless {
        let (status, told) = client.post(&path, &json!({ "version": 1 })).await;
        assert_eq!((status, &told["errors"][0]["field"]), (422, &json!("version")), "{path}");
        assert_eq!(client.post(&path, &json!([])).await.0, 422, "{path}");
        assert_eq!(client.ask(Method::POST, &path, "{").await.0, 400, "{path}");
    }
    let done = format!("/api/items/{item}/done");
    assert_eq!(client.post(&done, &json!({})).await.0, 200);
    assert_eq!(client.ask(Method::POST, &done, Body::empty()).await.0, 200);
    harness.finish().await;
}

#[tokio::test]
async fn a_stranger_who_guesses_does_not_keep_the_owner_of_an_address_out() {
    let harness = Harness::start().await;
    let mut conn = harness.conn().await;
    let now = harness.now();
    let from = |last: u8| ClientAddress(IpAddr::V4(Ipv4Addr::new(203, 0, 113, last)));
    for _ in 0..5 {
        limits::count_sign_in(&mut conn, from(1), "ana@example.com", now).await.unwrap();
    }
    let refused = limits::count_sign_in(&mut conn, from(1), "Ana@example.com ", now).await.unwrap_err();
    assert_eq!(refused.status, 429);
    limits::count_sign_in(&mut conn, from(2), "ana@example.com", now).await.unwrap();
    limits::count_sign_in(&mut conn, from(1), "ben@example.com", now).await.unwrap();

    let mut taken = 6;
    for guess in 0..60 {
        taken += usize::from(limits::count_sign_in(&mut conn, from(10 + guess), "ana@example.com", now).await.is_ok());
    }
    assert_eq!(taken, 50, "many addresses together are held back too");
    drop(conn);
    harness.finish().await;
}
