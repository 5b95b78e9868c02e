use super::wire::*;
use crate::types::Account;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use url::Url;

pub(super) const NOW: OffsetDateTime = datetime!(2026-11-23 10:00 UTC);

pub(super) fn account() -> Account {
    Account { id: "1577730467436138501".to_owned(), name: "acme".to_owned() }
}

pub(super) fn site() -> Url {
    Url::parse("https://x.com").unwrap()
}

fn one(data: Value) -> Tweet {
    page(&json!({"data": [data]})).unwrap().tweets.remove(0)
}

#[test]
fn both_spellings_are_read() {
    for (tweet, post) in [("tweet", "tweets"), ("post", "posts")] {
        let body = json!({
            "data": [{
                "id": "1900000000000000003", "text": "cut…", format!("note_{tweet}"): {"text": "the whole &amp; more"},
                format!("edit_history_{tweet}_ids"): ["1900000000000000002", "1900000000000000003"], "author_id": "7",
                format!("referenced_{post}"): [{"type": "replied_to", "id": "1900000000000000001"}],
                "conversation_id": "1900000000000000001",
            }],
            "includes": {post: [{"id": "1900000000000000001", "author_id": "1577730467436138501", "text": "x"}],
                "users": [{"id": "7", "username": "kim", "name": "Kim"}]},
        });
        let told = page(&body).unwrap().tweets.remove(0);
        assert_eq!((told.id.as_str(), told.text.as_str()), ("1900000000000000002", "the whole & more"));
        assert_eq!(
            (told.author_name.as_deref(), told.replied_to.as_deref()),
            (Some("kim"), Some("1900000000000000001"))
        );
        assert_eq!(told.newer, None, "this is the newest one");
        assert!(told.edited_at.is_some() && told.summons(&account()), "an answer to our own post asks for us");
    }
}

#[test]
fn ids_keep_all_their_digits_whatever_their_type() {
    assert_eq!(as_id(&json!(1553086854915936256_u64)).as_deref(), Some("1553086854915936256"));
    assert_eq!(as_id(&json!("18446744073709551615")).as_deref(), Some("18446744073709551615"));
    for wrong in [json!("12.0"), json!(1.5), json!("-3"), json!(""), json!("99999999999999999999"), json!(null)] {
        assert_eq!(as_id(&wrong), None, "{wrong}");
    }
    let at = datetime!(2026-01-02 03:04:05.678 UTC);
    assert_eq!(time_of(&first_id_at(at).to_string()), Some(at));
    assert_eq!((time_of("20"), first_id_at(datetime!(2006-01-01 0:00 UTC))), (None, 0));
}

#[test]
fn short_links_become_where_they_lead_and_escapes_are_undone() {
    let url =
        json!({"start": 10, "end": 33, "url": "https://t.co/aaaaaaaaaa", "expanded_url": "https://acme.com/a?b=1&c=2"});
    let told = one(json!({"id": "5", "text": "😀 a &lt; b https://t.co/aaaaaaaaaa", "entities": {"urls": [
        {"start": 13, "end": 36, "url": "https://t.co/aaaaaaaaaa", "expanded_url": "https://acme.com/a"}, url]}}));
    assert_eq!(told.text, "😀 a < b https://t.co/aaaaaaaaaa", "an index that does not fit is left");
    let told = one(json!({"id": "5", "text": "😀 see &amp; https://t.co/aaaaaaaaaa now", "entities": {"urls": [
        {"start": 12, "end": 35, "url": "https://t.co/aaaaaaaaaa", "expanded_url": "https://acme.com/a"}]}}));
    assert_eq!(told.text, "😀 see & https://acme.com/a now");
    assert_eq!(one(json!({"id": "5", "text": "&amp;lt;"})).text, "&lt;");
}

#[test]
fn an_empty_page_has_no_data_and_a_strange_one_is_none() {
    let empty = page(&json!({"meta": {"result_count": 0, "next_token": "abc"}})).unwrap();
    assert_eq!((empty.tweets.len(), empty.next.as_deref()), (0, Some("abc")));
    for strange in [json!(null), json!([]), json!({}), json!({"data": 7})] {
        assert!(page(&strange).is_none(), "{strange}");
    }
    let gone =
        page(&json!({"errors": [{"value": "12", "title": "Forbidden", "detail": "User has been suspended: [12].",
        "type": "https://api.x.com/2/problems/resource-not-found"}]}))
        .unwrap();
    assert_eq!(gone.missing.iter().map(|one| (one.id.as_str(), one.not_found)).collect::<Vec<_>>(), [("12", true)]);
}

#[test]
fn only_who_asked_for_us_is_answered_by_a_program() {
    let us = "1577730467436138501";
    let tweet = |data: Value| {
        let mut all = json!({"id": "9", "author_id": "7", "text": "x"});
        all.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        one(all)
    };
    assert!(tweet(json!({"entities": {"mentions": [{"username": "ACME"}]}})).summons(&account()));
    assert!(tweet(json!({"entities": {"mentions": [{"id": us}]}})).summons(&account()));
    assert!(tweet(json!({"in_reply_to_user_id": us})).summons(&account()));
    assert!(tweet(json!({"author_id": us})).summons(&account()));
    for stranger in
        [json!({}), json!({"in_reply_to_user_id": "8"}), json!({"entities": {"mentions": [{"username": "acme_fan"}]}})]
    {
        let told = tweet(stranger).by_hand(&account()).unwrap();
        assert!(told.contains("@acme") && told.contains("x.com"), "{told}");
    }
}

#[test]
fn a_reply_is_known_again_with_added_names_and_short_links() {
    let ours = "See acme.com/help & https://acme.com/a?b=1, thanks";
    assert_eq!(
        comparable(ours),
        comparable("@kim @acme See https://t.co/abc &amp; https://t.co/def, thanks").replace("&amp;", "&")
    );
    assert_ne!(comparable(ours), comparable("@kim See https://t.co/abc"));
}

proptest! {
    #[test]
    fn no_answer_breaks_the_reading(text in ".{0,80}", id in "[0-9]{0,22}", start in 0_u64..90, end in 0_u64..90) {
        let data = json!({"id": id, "text": text, "entities": {"urls": [
            {"start": start, "end": end, "url": "https://t.co/a", "expanded_url": "https://acme.com"}], "mentions": [{"id": id}]}});
        let told = page(&json!({"data": [data], "meta": {}})).unwrap();
        prop_assert_eq!(told.tweets.len() + told.problems.len(), 1);
        prop_assert!(comparable(&text).len() <= text.len() * 4 + 8);
    }
}
