use rejoinder_sandbox::{ReadFault, WorldKind};

use crate::{names, stage};

#[tokio::test]
async fn a_dead_token_is_told_from_a_missing_scope() {
    let mut stage = stage(WorldKind::Empty).await;
    stage.control.expire_tokens();
    let dead = stage.get("/api/v1/me").await;
    assert_eq!(dead.status(), 401);
    assert!(dead.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    stage.token = stage.control.issue_token("brassfinch", "identity").access_token;
    assert_eq!(stage.get("/api/v1/me").await.status(), 200);
    let narrow = stage.get("/user/brassfinch/submitted").await;
    assert_eq!(narrow.status(), 403);
    assert!(narrow.headers()["www-authenticate"].to_str().unwrap().contains("insufficient_scope"));
}

#[tokio::test]
async fn the_budget_is_told_in_the_vendors_number_formats_and_then_enforced() {
    let stage = stage(WorldKind::Empty).await;
    stage.control.set_rate_budget(2);
    let first = stage.get("/api/v1/me").await;
    assert_eq!(first.headers()["x-ratelimit-remaining"], "1.0");
    assert_eq!(first.headers()["x-ratelimit-used"], "1");
    assert_eq!(first.headers()["x-ratelimit-reset"], "600");
    assert_eq!(stage.get("/api/v1/me").await.status(), 200);
    let over = stage.get("/api/v1/me").await;
    assert_eq!(over.status(), 429);
    assert!(over.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(over.headers()["retry-after"], "600");
    assert!(over.headers().get("x-ratelimit-used").is_none());
    stage.control.advance(std::time::Duration::from_secs(600));
    assert_eq!(stage.get("/api/v1/me").await.status(), 200);
}

#[tokio::test]
async fn planned_reads_fail_in_order_and_then_all_is_well() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("brassfinch", "corner", "Hello", "");
    stage.control.advance(std::time::Duration::from_secs(60));
    stage.control.add_comment("a", &post, "new");
    stage.control.plan_reads(vec![
        ReadFault::Status { code: 500 },
        ReadFault::Html { code: 503 },
        ReadFault::Stale { millis: 30_000 },
        ReadFault::Dropped,
    ]);
    let path = format!("/comments/{}", &post[3..]);
    assert_eq!(stage.get(&path).await.status(), 500);
    let page = stage.get(&path).await;
    assert_eq!(page.status(), 503);
    assert!(page.text().await.unwrap().contains("<html>"));
    assert_eq!(names(&stage.get_json(&path).await[1]).len(), 0);
    let cut = stage.client.get(stage.url(&format!("/reddit{path}"))).bearer_auth(&stage.token).send().await;
    assert!(cut.is_err());
    assert_eq!(names(&stage.get_json(&path).await[1]).len(), 1);
    assert_eq!(stage.control.requests()["GET /reddit/comments/{id}"], 5);
}
