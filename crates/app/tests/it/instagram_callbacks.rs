//! What Meta tells of people: a consent that was taken back, and somebody who wants deleted what is stored of them.

use crate::harness::Harness;
use crate::instagram::{APP_SECRET, BRAND, connected, consent};
use crate::instagram_webhooks::{change, comment, count, delivered};
use crate::standing::everything;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use rejoinder_app::http::router;
use rejoinder_app::jobs;
use rejoinder_app::model::{Stage, Status};
use rejoinder_app::upkeep::Upkeep;
use serde_json::{Value, json};
use sha2::Sha256;
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const DEAUTHORIZE: &str = "/api/webhooks/meta/deauthorize";
const DELETE: &str = "/api/webhooks/meta/data-deletion";

fn signed_as(engine: &impl Engine, secret: &str, payload: &Value) -> String {
    let payload = engine.encode(payload.to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    format!("{}.{payload}", engine.encode(mac.finalize().into_bytes()))
}

fn naming(h: &Harness, user_id: &str) -> Value {
    json!({"algorithm": "HMAC-SHA256", "user_id": user_id, "issued_at": h.now().unix_timestamp()})
}

fn signed(payload: &Value) -> String {
    signed_as(&URL_SAFE_NO_PAD, APP_SECRET, payload)
}

async fn ask(h: &Harness, method: Method, path: &str, body: String) -> (u16, String) {
    let request =
        Request::builder().method(method).uri(path).header("content-type", "application/x-www-form-urlencoded");
    let router = router(h.app.clone(), CancellationToken::new());
    let response = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

async fn tell(h: &Harness, path: &str, signed_request: &str) -> Value {
    let (status, answer) = ask(h, Method::POST, path, format!("signed_request={signed_request}")).await;
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

/// The page that the answer names, asked for by nobody in particular.
async fn state(h: &Harness, answer: &Value) -> String {
    let url: url::Url = answer["url"].as_str().unwrap().parse().unwrap();
    assert_eq!(url.path(), format!("/data-deletion/{}", answer["confirmation_code"].as_str().unwrap()));
    let (status, page) = ask(h, Method::GET, url.path(), String::new()).await;
    assert_eq!(status, 200);
    page
}

async fn disconnections(h: &Harness) -> usize {
    h.activity().await.iter().filter(|row| row.kind == "integration.disconnected").count()
}

#[tokio::test]
async fn a_consent_that_is_taken_back_disconnects_once_and_tells_the_team_once() {
    let (mut h, _) = connected().await;
    let request = signed(&naming(&h, &h.platform.instagram_scoped_id(BRAND)));
    for _ in 0..3 {
        assert_eq!(tell(&h, DEAUTHORIZE, &request).await, json!({"taken": true}));
    }
    let account = h.integration().await;
    assert_eq!((account.state.as_str(), account.access_token), ("disconnected", None));
    assert!(account.state_reason.unwrap().contains("took the consent back"));
    assert_eq!(disconnections(&h).await, 1);
    assert_eq!(count(&h, "notices where resolved_at is null").await, 1);
    // Connected again; the old word comes once more, as Meta repeats what was not answered.
    h.advance(Duration::minutes(10));
    consent(&mut h, None).await.unwrap();
    h.run_due().await;
    tell(&h, DEAUTHORIZE, &request).await;
    assert_eq!(h.integration().await.state, "connected", "a newer consent stands");
    let again = signed(&naming(&h, &h.platform.instagram_scoped_id(BRAND)));
    tell(&h, DEAUTHORIZE, &again).await;
    assert_eq!((h.integration().await.state.as_str(), disconnections(&h).await), ("disconnected", 2));
    h.finish().await;
}

#[tokio::test]
async fn what_is_not_signed_is_refused_counted_and_leaves_nothing() {
    let (h, _) = connected().await;
    let own = naming(&h, &h.platform.instagram_scoped_id(BRAND));
    let mut unnamed = own.clone();
    unnamed["algorithm"] = json!("none");
    let request = signed(&own);
    let forged = [
        String::new(),
        "signed_request=".to_owned(),
        format!("other={request}"),
        format!("signed_request={}", signed_as(&URL_SAFE_NO_PAD, "another secret", &own)),
        format!("signed_request={}", signed(&unnamed)),
        format!("signed_request={}", request.replacen('.', ".A", 1)),
        format!("signed_request=.{}", request.split_once('.').unwrap().1),
    ];
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let counted = metrics::set_default_local_recorder(&recorder);
    for path in [DEAUTHORIZE, DELETE] {
        for body in &forged {
            let (status, answer) = ask(&h, Method::POST, path, body.clone()).await;
            assert_eq!(status, 401, "{body}: {answer}");
            assert!(answer.contains("signature-invalid"));
        }
        assert_eq!(ask(&h, Method::POST, path, "x".repeat(64 << 10)).await.0, 413);
    }
    drop(counted);
    let told = recorder.handle().render();
    assert!(told.contains("platform_webhooks_total{platform=\"instagram\",outcome=\"unsigned\"} 16"), "{told}");
    assert_eq!(count(&h, "data_deletions").await, 0);
    assert_eq!(h.integration().await.state, "connected");
    h.finish().await;
}

#[tokio::test]
async fn whoever_is_named_the_answer_is_alike() {
    let (h, _) = connected().await;
    assert_eq!(tell(&h, DEAUTHORIZE, &signed(&naming(&h, "31337"))).await, json!({"taken": true}));
    // The other alphabet, and a plus that nobody escaped.
    let request = (0..1_000)
        .map(|n| signed_as(&STANDARD, APP_SECRET, &naming(&h, &format!("31337{n}"))))
        .find(|request| request.contains('+'))
        .unwrap();
    let answer = tell(&h, DELETE, &request).await;
    let code = answer["confirmation_code"].as_str().unwrap();
    assert!(code.len() == 32 && code.bytes().all(|byte| byte.is_ascii_hexdigit()), "{code}");
    assert!(state(&h, &answer).await.contains("Under way"));
    h.run_due().await;
    let page = state(&h, &answer).await;
    assert!(page.contains("Done") && !page.contains("31337") && !page.contains(BRAND), "{page}");
    assert!(!everything(&h).await.contains("31337"), "the request names nobody any more");
    for code in ["0".repeat(32), code[1..].to_owned(), format!("{code}'"), "x".repeat(500)] {
        let (status, page) = ask(&h, Method::GET, &format!("/data-deletion/{code}"), String::new()).await;
        assert_eq!(status, 404);
        assert!(page.contains("<dt>State</dt><dd>Unknown"), "{page}");
    }
    assert_eq!((h.integration().await.state.as_str(), disconnections(&h).await), ("connected", 0));
    h.finish().await;
}

#[tokio::test]
async fn what_was_read_through_an_account_goes_with_its_owners_wish() {
    let (h, media) = connected().await;
    let target = h.platform.instagram_comment("curious_cat", &media, "I live in Paw Street 9");
    h.poll().await;
    let item = h.item_of(&target).await.unwrap();
    let draft = h.write_reply(&item, "Paw Street is lovely.").await;
    let (_, value) = comment(&h, &media, "Waits in Paw Street");
    delivered(&h, &change(&h, &value)).await;
    let request = signed(&naming(&h, &h.platform.instagram_scoped_id(BRAND)));
    h.advance(Duration::SECOND);
    let answer = tell(&h, DELETE, &request).await;
    assert_eq!(tell(&h, DELETE, &request).await, answer, "a repetition has the same code");
    h.run_due().await;
    assert!(!everything(&h).await.contains("Paw Street"), "a copy stayed");
    assert!(state(&h, &answer).await.contains("Under way"));
    assert_eq!(h.stands(&draft).await, (Status::Rejected, Stage::Done));
    // What a poll stores that was under way meanwhile.
    sqlx::query("update comments set text = 'Paw Street again', deleted_at = null").execute(h.pool()).await.unwrap();
    h.run_for(Duration::minutes(6)).await;
    assert!(state(&h, &answer).await.contains("Done"));
    let left = everything(&h).await;
    assert!(!left.contains("Paw Street") && !left.contains("curious_cat"), "a copy stayed");
    assert!(!left.contains(&h.platform.instagram_scoped_id(BRAND)), "nobody is named");
    let account = h.integration().await;
    assert_eq!((account.state.as_str(), account.display_name.as_str()), ("disconnected", "deleted account"));
    assert_eq!(account.access_token, None);
    assert_eq!(account.platform_account_id, format!("deleted:{}", account.id));
    let notices: Vec<String> =
        sqlx::query_scalar("select text from notices where resolved_at is null").fetch_all(h.pool()).await.unwrap();
    assert!(matches!(notices.as_slice(), [one] if one.contains("deleted") && !one.contains(BRAND)), "{notices:?}");
    assert!(h.activity().await.iter().any(|row| row.kind == "integration.erased"));
    assert_eq!(tell(&h, DELETE, &request).await, answer, "also when it is done");
    assert!(state(&h, &answer).await.contains("Done"));
    assert_eq!((count(&h, "data_deletions").await, disconnections(&h).await), (1, 1));
    h.finish().await;
}

#[tokio::test]
async fn what_a_person_wrote_elsewhere_goes_and_nothing_of_others() {
    let (h, media) = connected().await;
    let theirs = h.platform.instagram_comment("curious_cat", &media, "I live in Paw Street 9");
    let other = h.platform.instagram_comment("moka_marie", &media, "How loud is it?");
    h.poll().await;
    // Without a date a repetition cannot be told from a new wish.
    let cat = json!({"algorithm": "HMAC-SHA256", "user_id": h.platform.instagram_account("curious_cat")});
    let answer = tell(&h, DELETE, &signed(&cat)).await;
    sqlx::query("delete from graphile_worker._private_jobs").execute(h.pool()).await.unwrap();
    h.run_due().await;
    assert!(state(&h, &answer).await.contains("Under way"), "the job got lost");
    jobs::enqueue(&mut *h.conn().await, &Upkeep {}, h.now()).await.unwrap();
    h.run_due().await;
    assert!(state(&h, &answer).await.contains("Done"), "and was taken up again");
    assert!(!everything(&h).await.contains("Paw Street"));
    assert_eq!(h.item_of(&theirs).await.unwrap().state, "ignored");
    let open = h.item_of(&other).await.unwrap();
    assert_eq!((open.state.as_str(), h.comment_row(&open).await.text.as_str()), ("open", "How loud is it?"));
    assert_eq!(h.integration().await.state, "connected");
    sqlx::query("update comments set text = 'Back in Paw Street', deleted_at = null, author_platform_id = $1 where deleted_at is not null")
        .bind(h.platform.instagram_account("curious_cat"))
        .execute(h.pool())
        .await
        .unwrap();
    assert_eq!(tell(&h, DELETE, &signed(&cat)).await, answer);
    h.run_due().await;
    assert!(!everything(&h).await.contains("Paw Street"), "asked again, done again");
    h.finish().await;
}
