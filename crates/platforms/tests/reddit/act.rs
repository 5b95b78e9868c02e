//! Changing and taking back our own texts: only what is seen afterwards counts.

use crate::site::{Canned, Site, json, session};
use rejoinder_platforms::{Acted, Action, SendError};
use serde_json::{Value, json as j};

fn edit() -> Action {
    Action::Edit { reply_id: "t1_aaa".into(), text: "Better & shorter".into() }
}

fn delete() -> Action {
    Action::Delete { reply_id: "t1_aaa".into() }
}

/// How the comment stands after the call; None = unknown to Reddit.
fn stands(author: &str, body: &str) -> Option<Value> {
    Some(j!({"kind": "t1", "data": {"name": "t1_aaa", "author": author, "body": body, "parent_id": "t3_p"}}))
}

async fn act(action: Action, change: Canned, stands: Option<Value>) -> (Result<Acted, SendError>, Site) {
    let change = std::sync::Mutex::new(Some(change));
    let site = Site::start(move |asked| match asked.path.as_str() {
        "/api/info" => {
            let children: Vec<_> = stands.iter().collect();
            json(j!({"kind": "Listing", "data": {"children": children, "after": null}}))
        }
        _ => change.lock().unwrap().take().unwrap_or(Canned::Drop),
    })
    .await;
    let (_, writers) = site.connect();
    (writers.get("reddit").unwrap().act(&session(), &action).await, site)
}

fn edited(id: &str) -> Canned {
    json(j!({"json": {"errors": [], "data": {"things": [{"kind": "t1", "data": {"name": id}}]}}}))
}

#[tokio::test]
async fn an_edit_is_one_form_and_done_when_the_new_text_stands() {
    let (done, site) = act(edit(), edited("t1_aaa"), stands("acme", "Better &amp; shorter")).await;
    let logged = serde_json::to_string(&done.unwrap().exchange).unwrap();
    assert!(!logged.contains("shorter") && logged.contains("/api/editusertext"), "{logged}");
    let [asked, looked] = &site.asked()[..] else { panic!("a change and a look") };
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/api/editusertext"));
    let form = |key: &str| asked.form[key].clone();
    assert_eq!([form("thing_id"), form("text"), form("api_type")], ["t1_aaa", "Better & shorter", "json"]);
    assert_eq!((looked.path.as_str(), looked.query["id"].as_str()), ("/api/info", "t1_aaa"));
}

#[tokio::test]
async fn a_deletion_counts_only_when_the_text_is_gone() {
    let agreed = || json(j!({}));
    assert!(act(delete(), agreed(), None).await.0.is_ok());
    assert!(act(delete(), agreed(), stands("[deleted]", "[deleted]")).await.0.is_ok());
    let error = act(delete(), agreed(), stands("acme", "still here")).await.0.unwrap_err();
    assert!(matches!(error, SendError::Uncertain { .. }), "{error:?}");
    let error = act(delete(), agreed(), stands("guest", "theirs")).await.0.unwrap_err();
    assert!(matches!(&error, SendError::Refused { code, .. } if code == "NOT_OURS"), "{error:?}");
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_looking() {
    assert!(act(delete(), Canned::Drop, None).await.0.is_ok());
    assert!(act(edit(), Canned::Drop, stands("acme", "Better & shorter")).await.0.is_ok());
    let (error, site) = act(edit(), Canned::Drop, stands("acme", "as it was")).await;
    assert!(matches!(error, Err(SendError::Uncertain { .. })), "{error:?}");
    assert_eq!(site.times_asked("/api/editusertext"), 1);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code_and_is_not_about_the_account() {
    let errors = json(j!({"json": {"errors": [["TOO_LONG", "this is too long (max: 10000)", "text"]]}}));
    let error = act(edit(), errors, stands("acme", "as it was")).await.0.unwrap_err();
    assert!(matches!(&error, SendError::Refused { code, .. } if code == "TOO_LONG"), "{error:?}");
    let forbidden = Canned::Json(403, r#"{"message":"Forbidden","error":403}"#.into());
    let error = act(edit(), forbidden, None).await.0.unwrap_err();
    assert!(matches!(&error, SendError::Refused { scope: rejoinder_platforms::Scope::Item, .. }), "{error:?}");
    let gone = act(edit(), edited("t1_aaa"), None).await.0.unwrap_err();
    assert!(matches!(&gone, SendError::Refused { code, .. } if code == "GONE"), "{gone:?}");
}

#[tokio::test]
async fn only_a_comment_is_ever_changed() {
    for id in ["t3_p", "t4_m", "t1_a,t1_b", ""] {
        let (error, site) = act(Action::Delete { reply_id: id.into() }, Canned::Drop, None).await;
        assert!(matches!(error, Err(SendError::NotSent(_))) && site.asked().is_empty(), "{id}: {error:?}");
    }
}
