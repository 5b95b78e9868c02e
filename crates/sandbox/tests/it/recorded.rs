//! The sandbox's shapes against real recorded answers, where `REJOINDER_FIXTURES` names their folder.

use std::path::PathBuf;

use rejoinder_sandbox::WorldKind;
use serde_json::{Value, json};

use crate::{BRAND, stage};

fn recorded(name: &str) -> Option<Value> {
    let Some(folder) = std::env::var_os("REJOINDER_FIXTURES") else {
        println!("skipped: REJOINDER_FIXTURES is not set");
        return None;
    };
    let file = PathBuf::from(folder).join(name);
    let fixture: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    Some(match &fixture["response"]["body"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        body => body.clone(),
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Fields that both have must be of the same kind, except where the vendor itself is known to vary.
fn same_kinds(ours: &Value, theirs: &Value, varying: &[&str]) {
    let mut common = 0;
    for (name, value) in ours.as_object().unwrap() {
        let Some(other) = theirs.get(name) else {
            continue;
        };
        common += 1;
        let either_null = value.is_null() || other.is_null();
        if !either_null && !varying.contains(&name.as_str()) {
            assert_eq!(kind(value), kind(other), "{name}: {value} against {other}");
        }
    }
    assert!(common >= 4, "too little in common: {common}");
}

/// The first thing of this kind, wherever it stands.
fn first<'a>(value: &'a Value, kind: &str) -> Option<&'a Value> {
    if value["kind"] == kind {
        return Some(&value["data"]);
    }
    match value {
        Value::Array(items) => items.iter().find_map(|item| first(item, kind)),
        Value::Object(fields) => fields.values().find_map(|field| first(field, kind)),
        _ => None,
    }
}

#[tokio::test]
async fn reddit_things_have_the_recorded_kinds_of_fields() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post(BRAND, "corner", "Title", "Body");
    for number in 0..3 {
        let comment = stage.control.add_comment("a", &post, &format!("c{number}"));
        stage.control.add_comment("b", &comment, "below");
    }
    stage.control.add_message("c", BRAND, "Hi", "there");
    let tree = stage.get_json(&format!("/comments/{}?limit=3&raw_json=1", &post[3..])).await;
    let varying = ["edited", "replies"];
    let pairs = [
        ("comments-tree__single-thread-with-more.json", tree.clone(), vec!["t1", "t3", "more"]),
        (
            "user-submitted__new-limit-100.json",
            stage.get_json("/user/brassfinch/submitted").await,
            vec!["t3", "Listing"],
        ),
        ("inbox__unread-mixed-t1-t4-2025.json", stage.get_json("/message/unread").await, vec!["t1", "t4"]),
        ("comment-post__reply-to-submission.json", stage.reply_json(&post, "ours").await, vec!["t1"]),
    ];
    for (name, ours, kinds) in pairs {
        let Some(theirs) = recorded(&format!("reddit/{name}")) else {
            return;
        };
        for kind in kinds {
            let both = (first(&ours, kind), first(&theirs, kind));
            let (Some(ours), Some(theirs)) = both else { panic!("{name} lacks a {kind} in {both:?}") };
            same_kinds(ours, theirs, &varying);
        }
    }
    for (name, path) in [("me__ok-2025.json", "/api/v1/me"), ("rules__rules-2020.json", "/r/corner/about/rules")] {
        let Some(theirs) = recorded(&format!("reddit/{name}")) else {
            return;
        };
        let ours = stage.get_json(path).await;
        if path.ends_with("rules") {
            assert_eq!(
                ours.as_object().unwrap().keys().collect::<Vec<_>>(),
                theirs.as_object().unwrap().keys().collect::<Vec<_>>()
            );
        } else {
            same_kinds(&ours, &theirs, &[]);
        }
    }
}

#[tokio::test]
async fn gemini_answers_have_the_recorded_fields() {
    let stage = stage(WorldKind::Empty).await;
    let Some(theirs) = recorded("gemini/genai-flash-jsonschema-sync.json") else {
        return;
    };
    let schema = json!({"type": "OBJECT", "properties": {"is_fruit": {"type": "BOOLEAN"}}});
    let request = json!({
        "contents": [{"role": "user", "parts": [{"text": "Is a banana a fruit?"}]}],
        "generationConfig": {"responseMimeType": "application/json", "responseSchema": schema},
    });
    let url = stage.url("/gemini/v1beta/models/gemini-flash-latest:generateContent");
    let call = stage.client.post(url).header("x-goog-api-key", "k").json(&request);
    let ours: Value = call.send().await.unwrap().json().await.unwrap();
    for place in ["", "/usageMetadata", "/candidates/0", "/candidates/0/content"] {
        let keys = |body: &Value| body.pointer(place).unwrap().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let (mut ours, mut theirs) = (keys(&ours), keys(&theirs));
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{place}");
    }
}
