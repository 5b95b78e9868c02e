//! Each suggestion explains itself from its rows, to the API and on its page.

use crate::client::Client;
use crate::harness::Harness;
use crate::pages::Browser;
use rejoinder_app::model::{Role, Status};
use rejoinder_sandbox::WriteFault;
use serde_json::{Value, json};
use time::Duration;

async fn steps(client: &Client, path: &str) -> Vec<Value> {
    let (status, answer) = client.get(path).await;
    assert_eq!(status, 200, "{answer}");
    answer["steps"].as_array().unwrap().clone()
}

fn told(steps: &[Value]) -> Vec<&str> {
    steps.iter().map(|step| step["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_reply_tells_who_did_what_what_it_waited_for_and_what_the_platform_answered() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("How fine should a stranger's SECRET grinder grind?").await;
    let asked = h.ask_for_draft(&item).await;
    let client = Client::signed_in(&h).await;
    let (path, one) = (format!("/api/suggestions/{}/story", asked.id), Duration::minutes(1));
    h.advance(one);
    let edit = json!({ "text": "Two steps finer.", "version": asked.state.version });
    assert_eq!(client.patch(&format!("/api/suggestions/{}", asked.id), &edit).await.0, 200);
    h.advance(one);
    h.platform.plan_write(vec![WriteFault::RateLimited { secs: 300 }, WriteFault::DoneThenServerError]);
    h.approve(&h.suggestion(asked.id).await).await.unwrap();
    h.run_due().await;
    let waiting = steps(&client, &path).await;
    let wait = waiting.last().unwrap();
    assert_eq!((&wait["what"], wait["until"].is_string()), (&json!("waited"), true), "{waiting:#?}");
    h.run_for(Duration::minutes(20)).await;
    assert_eq!(h.stands(&asked).await.0, Status::Posted);

    let life = steps(&client, &path).await;
    let kinds: Vec<_> = life.iter().map(|step| step["what"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "requested",
            "drafted",
            "edited",
            "approved",
            "armed",
            "answered",
            "waited",
            "armed",
            "uncertain",
            "answered",
            "posted"
        ],
        "{life:#?}"
    );
    let text = told(&life);
    assert_eq!(text[0], "Ana Lima asked for a reply");
    assert_eq!(text[3], "Ana Lima approved the reply");
    assert!(text[5].starts_with("Attempt 1: nothing was posted (HTTP 200): Reddit says: try again in"), "{}", text[5]);
    assert!(text[8].starts_with("Attempt 2: no clear answer (HTTP 500)"), "{}", text[8]);
    assert_eq!((&life[3]["by"], &life[5]["status"], &life[8]["attempt"]), (&json!("Ana Lima"), &json!(200), &json!(2)));
    let link = life[10]["link"].as_str().unwrap();
    assert!(link.contains(&h.replies_under(&comment)[0].fullname[3..]), "{link}");
    assert!(!life.iter().any(|step| step.to_string().contains("SECRET")), "a stranger's words stay out");

    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let page = browser.get(&format!("/dashboard/inbox?filter=all&item={}&step=draft", item.id)).await;
    let history = page.html.split("<ol class=\"history\">").nth(1).unwrap().split("</ol>").next().unwrap();
    let newest_first = [
        text[10],
        "Attempt 2: no clear answer (HTTP 500)",
        "Waits",
        "Attempt 1: nothing was posted (HTTP 200)",
        "Attempt 1 began",
        text[3],
        "Rejoinder wrote a draft",
        text[0],
    ];
    let places: Vec<usize> = newest_first
        .iter()
        .map(|words| history.find(words).unwrap_or_else(|| panic!("{words} is missing in {history}")))
        .collect();
    assert!(places.is_sorted(), "the newest first: {places:?}");
    assert!(history.contains(&format!("href=\"{link}\"")));
    h.finish().await;
}

#[tokio::test]
async fn a_story_is_told_to_the_members_of_the_team_only() {
    let h = Harness::start().await;
    let (_, ready) = h.ready_reply("Two steps finer.").await;
    let path = format!("/api/suggestions/{}/story", ready.id);
    assert_eq!(told(&steps(&Client::with_role(&h, Role::Viewer).await, &path).await), ["Ana Lima asked for a reply"]);
    assert_eq!(Client::stranger(&h).await.get(&path).await.0, 404);
    h.finish().await;
}

#[tokio::test]
async fn a_list_of_one_stage_shows_that_stage_only() {
    let h = Harness::start().await;
    let (_, queued) = h.queued_reply("One.").await;
    h.platform.plan_write(vec![WriteFault::DoneThenDropped]);
    h.run_due().await;
    h.ready_reply("Two.").await;
    let client = Client::with_role(&h, Role::Viewer).await;
    let ids = async |query: &str| {
        let (status, answer) = client.get(&format!("/api/teams/{}/suggestions?{query}", h.team_id)).await;
        assert_eq!(status, 200, "{answer}");
        answer["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("").await.len(), 2);
    assert_eq!(ids("stage=uncertain").await, [queued.id.to_string()]);
    assert_eq!(ids("stage=uncertain&status=approved").await.len(), 1);
    assert_eq!(ids("stage=ready").await.len(), 1);
    for nothing in ["stage=uncertain&status=posted", "stage=sending", "stage=done"] {
        assert_eq!(ids(nothing).await.len(), 0, "{nothing}");
    }
    assert_eq!(client.get(&format!("/api/teams/{}/suggestions?stage=lost", h.team_id)).await.0, 422);
    assert_eq!(
        Client::stranger(&h).await.get(&format!("/api/teams/{}/suggestions?stage=ready", h.team_id)).await.0,
        404
    );
    h.run_for(Duration::minutes(5)).await;
    h.finish().await;
}
