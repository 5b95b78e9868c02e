use super::*;
use proptest::prelude::*;
use time::macros::datetime;

const AT: OffsetDateTime = datetime!(2026-08-12 18:00:30 UTC);
const US: &str = "1111111111111111111";

fn account() -> Account {
    Account { id: US.into(), name: "acme".into() }
}

fn reply(change: impl FnOnce(&mut Value)) -> Value {
    let mut event = json!({"event_uuid": "-5", "filter": {"user_id": US}, "event_type": "post.reply.create", "tag": "t",
        "payload": {"id": "2090000000000000001", "text": "@acme a &amp; b", "author_id": "2222222222222222222",
            "created_at": "2026-08-12T18:00:00.000Z", "conversation_id": "2080761390344937796",
            "in_reply_to_tweet_id": "2080761390344937796", "in_reply_to_user_id": US,
            "edit_history_tweet_ids": ["2090000000000000001"], "public_metrics": {"like_count": 0, "like_count_str": "0"}},
        "includes": {"users": [{"data": {"id": "2222222222222222222", "username": "ana"}}]}});
    change(&mut event);
    event
}

fn one(event: &Value) -> Pushed {
    let mut pushed = split(json!({ "data": event }).to_string().as_bytes()).unwrap();
    assert_eq!(pushed.len(), 1, "{event}");
    pushed.remove(0)
}

fn heard_in(event: &Value) -> Heard {
    let payload: Value = serde_json::from_str(&one(event).payload).unwrap();
    heard(&Url::parse("https://x.com").unwrap(), &account(), &payload, AT)
}

#[test]
fn an_answer_to_our_post_comes_whole_and_a_mention_is_a_post() {
    let event = reply(|_| {});
    let Heard::Comment(comment) = heard_in(&event) else { panic!("{:?}", heard_in(&event)) };
    assert_eq!((comment.text.as_str(), comment.author_name.as_deref()), ("@acme a & b", Some("ana")));
    assert_eq!((comment.post_id.as_str(), comment.by_hand), ("2080761390344937796", None));
    assert_eq!(one(&event).key.as_deref(), Some("1111111111111111111:post.reply.create:2090000000000000001"));
    let mention = reply(|event| {
        event["event_type"] = json!("post.mention.create");
        let post = event["payload"].as_object_mut().unwrap();
        post.remove("in_reply_to_tweet_id");
        post.remove("in_reply_to_user_id");
        post["conversation_id"] = post["id"].clone();
    });
    assert!(matches!(heard_in(&mention), Heard::Post(post) if post.body == "@acme a & b"));
}

#[test]
fn what_stands_in_a_conversation_that_may_not_be_ours_is_read() {
    let deep = reply(|event| event["payload"]["conversation_id"] = json!("2080000000000000000"));
    let named = Named { post_id: None, comment_id: Some("2090000000000000001".into()), mention: false };
    assert_eq!(heard_in(&deep), Heard::Named(named.clone()));
    let elsewhere = reply(|event| event["payload"]["in_reply_to_user_id"] = json!("3"));
    assert_eq!(heard_in(&elsewhere), Heard::Named(named.clone()));
    let nobody = reply(|event| drop(event["payload"].as_object_mut().unwrap().remove("author_id")));
    assert_eq!(heard_in(&nobody), Heard::Named(named));
}

#[test]
fn our_own_words_and_old_ones_are_nothing() {
    let own = reply(|event| event["payload"]["author_id"] = json!(US));
    assert_eq!(heard_in(&own), Heard::Nothing("the account wrote it itself"));
    let old = reply(|event| event["payload"]["created_at"] = json!("2025-08-12T18:00:00.000Z"));
    assert_eq!(heard_in(&old), Heard::Nothing("it is older than X would send"));
    let ahead = reply(|event| event["payload"]["created_at"] = json!("2026-08-12T19:00:00.000Z"));
    let Heard::Comment(ahead) = heard_in(&ahead) else { panic!() };
    assert_eq!(ahead.created_at, AT, "nothing stands above everything until its time has come");
}

#[test]
fn other_events_are_passed_over_and_rubbish_is_named() {
    for kind in ["post.delete", "post.quote.create", "dm.received", "a.kind.of.tomorrow"] {
        let event = reply(|event| event["event_type"] = json!(kind));
        assert_eq!(split(json!({ "data": event }).to_string().as_bytes()), Ok(vec![]), "{kind}");
    }
    for body in ["", "{", "7", "{}", "{\"data\":7}", "{\"data\":{\"secret\":\"words\"}}"] {
        let why = split(body.as_bytes()).unwrap_err();
        assert!(!why.contains("words"), "{why}");
    }
    let homeless = one(&reply(|event| drop(event.as_object_mut().unwrap().remove("filter"))));
    assert_eq!((homeless.key, homeless.problem.as_deref()), (None, Some("the event names no account")));
    assert_eq!(split(json!({ "data": [reply(|_| {}), reply(|_| {})] }).to_string().as_bytes()).unwrap().len(), 2);
}

#[test]
fn what_is_kept_afterwards_holds_no_words_and_no_names() {
    let mut payload: Value = serde_json::from_str(&one(&reply(|_| {})).payload).unwrap();
    assert_eq!(charges(&payload), [Charge { kind: "post_read", thing: "2090000000000000001".into() }]);
    without_words(&mut payload);
    assert!(!payload.to_string().contains("ana") && !payload.to_string().contains("@acme"), "{payload}");
    assert_eq!(payload["payload"]["id"], json!("2090000000000000001"));
}

/// X's own examples, where `REJOINDER_FIXTURES` names their folder.
#[test]
fn documented_events_are_understood() {
    let Some(folder) = std::env::var_os("REJOINDER_FIXTURES") else {
        println!("REJOINDER_FIXTURES is not set: X's examples are skipped");
        return;
    };
    let read = |name: &str| {
        let file = std::path::Path::new(&folder).join("x").join(format!("xaa-event__{name}.json"));
        let file: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        split(file["request"]["body"].as_str().unwrap().as_bytes()).unwrap()
    };
    let heard_at = |pushed: &Pushed| {
        let payload: Value = serde_json::from_str(&pushed.payload).unwrap();
        heard(&Url::parse("https://x.com").unwrap(), &account(), &payload, pushed.sent_at.unwrap())
    };
    let replies = read("post-reply-create");
    let Heard::Comment(comment) = heard_at(&replies[0]) else { panic!("{replies:?}") };
    assert_eq!(comment.text, "@ExampleUser Great post — thanks for sharing!");
    let mentions = read("post-mention-create");
    assert!(matches!(heard_at(&mentions[0]), Heard::Post(post) if post.author_name.as_deref() == Some("OtherUser")));
    assert!(read("post-delete").is_empty() && read("post-quote-create").is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,60}") {
        let _ = split(&body);
        let event = reply(|event| event["payload"]["created_at"] = json!(text));
        let _ = heard_in(&event);
    }
}
