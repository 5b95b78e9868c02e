//! Several processes on one database: what one leaves behind when it is killed, another settles.

use crate::database::{Database, KEY};
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_of_a_killed_worker_is_settled_by_another_process() {
    let database = Database::start().await;
    let mut stage = Stage::set(&[("DATABASE_URL", &database.url()), ("ENCRYPTION_KEY", KEY)]).await;
    let draft = stage.draft().await;
    let hold = stage.control.hold_writes_after_effect();
    stage.approve(&draft).await;
    hold.write_arrived().await;
    let worker = stage.start_part("worker,scheduler");
    stage.kill();
    hold.release();
    let api = stage.start_part("api");
    let story = stage.until_posted(&draft).await;
    assert!(api.stop().success());
    assert!(worker.stop().success());
    assert_eq!(stage.replies().len(), 1);
    assert_eq!(stage.write_requests(), 1);
    assert_eq!(story["attempts"].as_array().unwrap().len(), 1);
}

/// Two parts that do the same work share it; nothing is done twice.
#[tokio::test(flavor = "multi_thread")]
async fn two_workers_post_one_reply() {
    let database = Database::start().await;
    let mut stage = Stage::set(&[("DATABASE_URL", &database.url()), ("ENCRYPTION_KEY", KEY)]).await;
    let draft = stage.draft().await;
    let worker = stage.start_part("worker");
    stage.approve(&draft).await;
    stage.until_posted(&draft).await;
    stage.stop();
    assert!(worker.stop().success());
    assert_eq!(stage.replies().len(), 1);
    assert_eq!(stage.write_requests(), 1);
}
