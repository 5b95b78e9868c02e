//! What Meta sends to the webhook address, cut into single changes. Nothing here is asked of Meta.
//!
//! One delivery holds up to 1,000 changes, in no order, and comes again until it is answered 200. Three shapes of a change are taken:
//! `entry[].changes[]` with `value.id`, the same with `value.comment_id`, and `entry[].field` + `entry[].value`; each also inside an
//! array. Messages, insights and other objects come to the same address and are passed over. Source: Meta's pages "Setup Webhooks
//! Subscriptions" and "Webhook Notification Examples".

use super::wire;
use crate::types::{Account, Heard, InboundComment, Named, Pushed};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use time::{Duration, OffsetDateTime};

/// Changes in one delivery at most, ten times what Meta promises.
const MOST_CHANGES: usize = 10_000;
/// Meta sends again for 36 hours; what is older was kept and played back by somebody.
const OLDEST: Duration = Duration::hours(48);
const AHEAD: Duration = Duration::hours(1);

#[derive(Deserialize)]
struct Delivery<'a> {
    #[serde(borrow, default)]
    object: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    time: Option<Value>,
    #[serde(borrow, default)]
    changes: Option<Vec<Change<'a>>>,
    #[serde(borrow, default)]
    field: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Change<'a> {
    #[serde(borrow, default)]
    field: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

/// The names of things in a change; the rest is left where it is.
#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    comment_id: Option<Value>,
    #[serde(default)]
    media_id: Option<Value>,
}

/// The changes that are ours to keep; an error says why the delivery is no delivery. What is meant for others is left out.
pub fn split(body: &[u8]) -> Result<Vec<Pushed>, String> {
    let wrapped = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let parsed: Result<Vec<Delivery<'_>>, _> = if wrapped {
        serde_json::from_slice(body)
    } else {
        serde_json::from_slice(body).map(|delivery| vec![delivery])
    };
    let deliveries = parsed.map_err(|error| format!("not a delivery of Meta: {}", kind_of(&error)))?;
    let mut pushed = Vec::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.object.as_deref() == Some("instagram")) {
        for entry in &delivery.entry {
            let own = entry.field.is_some().then_some((entry.field.as_deref(), entry.value));
            let listed = entry.changes.iter().flatten().map(|change| (change.field.as_deref(), change.value));
            for (field, value) in listed.chain(own) {
                pushed.extend(change(entry, field, value));
                if pushed.len() > MOST_CHANGES {
                    return Err(format!("more than {MOST_CHANGES} changes"));
                }
            }
        }
    }
    let nameless = deliveries.iter().all(|delivery| delivery.object.is_none());
    if nameless {
        return Err("names no object".to_owned());
    }
    Ok(pushed)
}

/// Where it went wrong, without the text that stood there.
fn kind_of(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Syntax => "no JSON",
        serde_json::error::Category::Eof => "the JSON breaks off",
        serde_json::error::Category::Data => "another form than a delivery has",
        serde_json::error::Category::Io => "not readable",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

fn change(entry: &Entry<'_>, field: Option<&str>, value: Option<&RawValue>) -> Option<Pushed> {
    let kind = match field {
        Some("comments") => "comments",
        Some("live_comments") => "live_comments",
        Some("mentions") => "mentions",
        // Messages, insights, and fields of tomorrow.
        _ => return None,
    };
    let account_id = entry.id.and_then(|id| serde_json::from_str::<Value>(id.get()).ok()).and_then(|id| wire::id(&id));
    let seconds = entry.time.as_ref().and_then(Value::as_i64);
    let sent_at = seconds.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let account = account_id.clone().unwrap_or_default();
    let raw = value.map_or("null", RawValue::get);
    let names = serde_json::from_str::<Names>(raw).ok();
    let id = |told: Option<&Value>| told.and_then(wire::id);
    let name = names.as_ref().and_then(|names| match kind {
        "mentions" => {
            let media = id(names.media_id.as_ref())?;
            Some(id(names.comment_id.as_ref()).map_or_else(|| media.clone(), |comment| format!("{media}:{comment}")))
        }
        _ => id(names.id.as_ref()).or_else(|| id(names.comment_id.as_ref())),
    });
    let problem = match (&account_id, &name) {
        (None, _) => Some("the entry names no account".to_owned()),
        (_, None) => Some(format!("a change of {kind} without an id")),
        _ => None,
    };
    let payload =
        format!("{{\"id\":{},\"time\":{},\"field\":\"{kind}\",\"value\":{raw}}}", json!(account), json!(seconds));
    // The same comment is told again for a boosted post, and each delivery again until it is answered.
    let key = name.map(|name| format!("{account}:{kind}:{name}"));
    Some(Pushed { account_id, kind, key, sent_at, payload, problem })
}

/// What a kept change says. `at`: when it came in.
pub(super) fn heard(account: &Account, payload: &Value, at: OffsetDateTime) -> Heard {
    let value = payload.get("value").unwrap_or(&Value::Null);
    let sent_at =
        payload.get("time").and_then(Value::as_i64).and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    if sent_at.is_some_and(|sent| at - sent > OLDEST) {
        return Heard::Nothing("it is older than Meta would send");
    }
    if wire::text(payload, "field") == Some("mentions") {
        let post_id = wire::id_at(value, "media_id");
        return match post_id {
            Some(post_id) => Heard::Named(Named {
                post_id: Some(post_id),
                comment_id: wire::id_at(value, "comment_id"),
                mention: true,
            }),
            None => Heard::Nothing("a mention that names no post"),
        };
    }
    let Some(id) = wire::id_at(value, "id").or_else(|| wire::id_at(value, "comment_id")) else {
        return Heard::Nothing("it names no comment");
    };
    let media = value.get("media").unwrap_or(&Value::Null);
    // Under an ad stands the ad's copy; the post that people know is the original.
    let post_id = wire::id_at(media, "original_media_id").or_else(|| wire::id_at(media, "id"));
    let text = wire::text(value, "text");
    let from = value.get("from").unwrap_or(&Value::Null);
    let known_author = wire::id_at(from, "id").is_some() || wire::text(from, "username").is_some();
    let fresh = sent_at.filter(|sent| (at - *sent).abs() <= AHEAD);
    match (post_id, text, fresh) {
        (Some(post_id), Some(text), Some(created_at)) if known_author => {
            let (author_id, author_name) = wire::author(value, account);
            Heard::Comment(InboundComment {
                by_hand: None,
                parent_comment_id: wire::id_at(value, "parent_id"),
                permalink: None,
                text: text.to_owned(),
                // Meta's clock may go ahead of ours.
                created_at: created_at.min(at),
                edited_at: None,
                deleted: false,
                author_id,
                author_name,
                post_id,
                id,
            })
        }
        (post_id, ..) => Heard::Named(Named { post_id, comment_id: Some(id), mention: false }),
    }
}

/// The change without what people wrote and who they are, to be kept once it was carried out.
pub(super) fn without_words(payload: &mut Value) {
    let Some(value) = payload.get_mut("value").and_then(Value::as_object_mut) else { return };
    value.retain(|key, member| {
        if key == "media" {
            if let Some(media) = member.as_object_mut() {
                media.retain(|key, _| key.ends_with("id") || key == "media_product_type");
            }
            return true;
        }
        key == "id" || key.ends_with("_id")
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const AT: OffsetDateTime = datetime!(2026-07-30 12:00 UTC);

    fn account() -> Account {
        Account { id: "17841405309211844".into(), name: "acme".into() }
    }

    fn comment(value: Value) -> Value {
        json!({"object": "instagram", "entry": [{"id": "17841405309211844", "time": AT.unix_timestamp(),
            "changes": [{"field": "comments", "value": value}]}]})
    }

    fn full() -> Value {
        json!({"id": "5", "text": "Hi", "from": {"id": "9", "username": "ana"}, "media": {"id": "7"}})
    }

    fn one(body: &Value) -> Pushed {
        let mut pushed = split(body.to_string().as_bytes()).unwrap();
        assert_eq!(pushed.len(), 1, "{body}");
        pushed.remove(0)
    }

    fn heard_in(body: &Value) -> Heard {
        let payload: Value = serde_json::from_str(&one(body).payload).unwrap();
        heard(&account(), &payload, AT)
    }

    #[test]
    fn all_shapes_of_a_comment_say_the_same() {
        let mut named_otherwise = full();
        let id = named_otherwise.as_object_mut().unwrap().remove("id").unwrap();
        named_otherwise["comment_id"] = id;
        let flat = json!({"object": "instagram", "entry": [{"id": 17_841_405_309_211_844_u64, "time": AT.unix_timestamp(),
            "field": "comments", "value": full()}]});
        for body in [comment(full()), comment(named_otherwise), flat.clone(), json!([flat])] {
            let Heard::Comment(heard) = heard_in(&body) else { panic!("{body}") };
            assert_eq!((heard.id.as_str(), heard.post_id.as_str(), heard.text.as_str()), ("5", "7", "Hi"));
            assert_eq!((heard.author_id.as_deref(), heard.created_at), (Some("9"), AT));
            assert_eq!(one(&body).key.as_deref(), Some("17841405309211844:comments:5"));
        }
    }

    #[test]
    fn our_own_words_are_known_by_id_or_by_the_mark() {
        for from in [json!({"id": "17841405309211844"}), json!({"id": "3", "self_ig_scoped_id": "4", "username": "x"})]
        {
            let mut value = full();
            value["from"] = from;
            let Heard::Comment(heard) = heard_in(&comment(value)) else { panic!() };
            assert_eq!(heard.author_id, Some(account().id));
        }
    }

    #[test]
    fn a_comment_under_an_ad_belongs_to_the_original_post() {
        let mut value = full();
        value["media"] = json!({"id": "7", "ad_id": "1", "original_media_id": "70", "media_product_type": "AD"});
        let Heard::Comment(heard) = heard_in(&comment(value)) else { panic!() };
        assert_eq!(heard.post_id, "70");
    }

    #[test]
    fn what_is_not_whole_is_read_and_what_is_old_is_left() {
        let named = heard_in(&comment(json!({"id": "5", "text": "This is an example."})));
        assert_eq!(named, Heard::Named(Named { post_id: None, comment_id: Some("5".into()), mention: false }));
        let mention = json!({"object": "instagram", "entry": [{"id": "1", "time": AT.unix_timestamp(),
            "changes": [{"field": "mentions", "value": {"comment_id": "5", "media_id": "7"}}]}]});
        let named = Named { post_id: Some("7".into()), comment_id: Some("5".into()), mention: true };
        assert_eq!(heard_in(&mention), Heard::Named(named));
        assert_eq!(one(&mention).key.as_deref(), Some("1:mentions:7:5"));
        let mut ahead = comment(full());
        ahead["entry"][0]["time"] = json!((AT + Duration::minutes(20)).unix_timestamp());
        let Heard::Comment(ahead) = heard_in(&ahead) else { panic!() };
        assert_eq!(ahead.created_at, AT, "nothing stands above everything until its time has come");
        let mut old = comment(full());
        old["entry"][0]["time"] = json!((AT - Duration::days(365)).unix_timestamp());
        assert!(matches!(heard_in(&old), Heard::Nothing(_)));
        let mut late = comment(full());
        late["entry"][0]["time"] = json!((AT - Duration::hours(20)).unix_timestamp());
        assert!(matches!(heard_in(&late), Heard::Named(_)), "sent again: the time is not the comment's");
    }

    #[test]
    fn messages_insights_and_other_objects_are_passed_over() {
        for body in [
            json!({"object": "page", "entry": [{"id": 1, "time": 5, "messaging": [{"sender": {"id": 2}}]}]}),
            json!({"object": "instagram", "entry": [{"id": "1", "time": "2021-09-08T06:34:04+0000", "standby": []}]}),
            json!({"object": "instagram", "entry": [{"id": "1", "changes": [{"field": "story_insights", "value": {}}]}]}),
            json!({"object": "instagram", "entry": []}),
        ] {
            assert_eq!(split(body.to_string().as_bytes()), Ok(vec![]), "{body}");
        }
    }

    #[test]
    fn rubbish_is_named_without_repeating_it() {
        for body in [
            "",
            "{",
            "null",
            "7",
            "\"secret words\"",
            "{\"entry\":[]}",
            "[{}]",
            "{\"object\":\"instagram\",\"entry\":7}",
        ] {
            let why = split(body.as_bytes()).unwrap_err();
            assert!(!why.contains("secret words"), "{why}");
        }
        let nameless = one(&comment(json!({"text": "Hi"})));
        assert_eq!((nameless.key, nameless.problem.as_deref()), (None, Some("a change of comments without an id")));
        let homeless =
            one(&json!({"object": "instagram", "entry": [{"id": "x", "field": "comments", "value": {"id": "5"}}]}));
        assert!(homeless.problem.is_some());
    }

    #[test]
    fn what_is_kept_afterwards_holds_no_words_and_no_names() {
        let mut value = full();
        value["media"]["ad_title"] = json!("Spring");
        let mut payload: Value = serde_json::from_str(&one(&comment(value)).payload).unwrap();
        without_words(&mut payload);
        assert_eq!(payload["value"], json!({"id": "5", "media": {"id": "7"}}));
    }

    #[test]
    fn a_thousand_changes_come_apart() {
        let changes: Vec<Value> =
            (0..1000).map(|n| json!({"field": "comments", "value": {"id": n.to_string(), "text": "x"}})).collect();
        let body = json!({"object": "instagram", "entry": [{"id": "1", "time": 5, "changes": changes}]});
        assert_eq!(split(body.to_string().as_bytes()).unwrap().len(), 1000);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_every_payload_is_json(body in prop::collection::vec(any::<u8>(), 0..200)) {
            for pushed in split(&body).unwrap_or_default() {
                prop_assert!(serde_json::from_str::<Value>(&pushed.payload).is_ok());
            }
        }

        #[test]
        fn a_delivery_cut_anywhere_is_rubbish_not_a_panic(cut in 0_usize..200) {
            let whole = comment(full()).to_string();
            let cut = cut.min(whole.len() - 1);
            prop_assert!(split(&whole.as_bytes()[..cut]).is_err());
        }
    }
}
