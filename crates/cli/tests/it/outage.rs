//! The database goes away and comes back while the server runs.

use crate::database::{Database, KEY};
use crate::stage::Stage;
use crate::wait::until;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Also while every connection hangs.
const ANSWERED_WITHIN: Duration = Duration::from_secs(6);

async fn stage() -> (Stage, Database) {
    let database = Database::start().await;
    let stage = Stage::set(&[("DATABASE_URL", &database.url()), ("ENCRYPTION_KEY", KEY)]).await;
    (stage, database)
}

/// Every door says that it is the database, soon, and when to come back; the process itself lives.
async fn assert_answers_without_database(stage: &Stage) {
    let edit = json!({ "name": "Nobody keeps this" });
    let intents = format!("/api/teams/{}/intents", stage.team);
    for (method, path, body) in [
        (Method::GET, "/api/teams", None),
        (Method::POST, intents.as_str(), Some(edit)),
        (Method::GET, "/api/ready", None),
    ] {
        let began = Instant::now();
        let answer = stage.person.ask(method, path, body).await.unwrap();
        assert!(began.elapsed() < ANSWERED_WITHIN, "{path} took {:?}", began.elapsed());
        assert_eq!(answer.status(), 503, "{path}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json", "{path}");
        let seconds: u64 = answer.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{path}: {seconds}");
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(problem["status"], 503, "{path}");
    }
    assert_eq!(stage.person.get("/api/health").await["status"], "ok");
}

async fn until_back(stage: &Stage) {
    until("ready again", Duration::from_secs(30), async || {
        let ready = stage.person.ask(Method::GET, "/api/ready", None).await.unwrap();
        (ready.status() == 200).then_some(())
    })
    .await;
    assert_eq!(stage.person.team().await, stage.team);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_outlives_the_database_going_away_and_is_posted_once() {
    let (mut stage, mut database) = stage().await;
    let draft = stage.draft().await;
    stage.approve(&draft).await;
    database.stop().await;
    assert_answers_without_database(&stage).await;
    database.start_again().await;
    until_back(&stage).await;
    stage.until_posted(&draft).await;
    stage.stop();
    assert_eq!(stage.replies().len(), 1);
}

/// The worst moment: the platform's answer comes and cannot be written down.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_whose_answer_could_not_be_stored_is_found_and_not_sent_again() {
    let (mut stage, mut database) = stage().await;
    let draft = stage.draft().await;
    let hold = stage.control.hold_writes_after_effect();
    stage.approve(&draft).await;
    hold.write_arrived().await;
    database.stop().await;
    hold.release();
    assert_answers_without_database(&stage).await;
    database.start_again().await;
    until_back(&stage).await;
    let story = stage.until_posted(&draft).await;
    stage.stop();
    assert_eq!(stage.replies().len(), 1);
    assert_eq!(stage.write_requests(), 1);
    assert_eq!(story["attempts"].as_array().unwrap().len(), 1);
}
