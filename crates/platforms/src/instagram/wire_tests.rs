use super::write::Verdict;
use super::{calls, errors, wire};
use crate::error::{FetchError, Scope};
use crate::http::Answer;
use crate::types::Account;
use bytes::Bytes;
use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use std::time::Duration;
use time::macros::datetime;

pub(super) fn account() -> Account {
    Account { id: "17841400000000001".into(), name: "acme".into() }
}

fn comment(data: &Value) -> Result<crate::InboundComment, String> {
    wire::comment(data, &wire::PostRef { id: "1", permalink: None }, None, &account())
}

fn answer(status: u16, body: &Value) -> Answer {
    let headers =
        HeaderMap::from_iter([("content-type".parse().unwrap(), HeaderValue::from_static("application/json"))]);
    Answer { status, headers, body: Bytes::from(body.to_string()) }
}

fn decided(code: i64, subcode: Option<i64>) -> errors::Decision {
    let error = json!({"error": {"code": code, "error_subcode": subcode, "message": "m"}});
    errors::decide(&answer(400, &error), Scope::Item)
}

#[test]
fn times_of_meta_are_read_and_nonsense_is_none() {
    let at = |told: &str| wire::timestamp(&json!({ "t": told }), "t");
    assert_eq!(at("2020-02-24T09:15:16+0000"), Some(datetime!(2020-02-24 09:15:16 UTC)));
    assert_eq!(at("2020-02-24T09:15:16+0230"), Some(datetime!(2020-02-24 06:45:16 UTC)));
    assert_eq!(at("2020-02-24T09:15:16Z"), Some(datetime!(2020-02-24 09:15:16 UTC)));
    for nonsense in ["", "yesterday", "2020-02-24", "2020-13-24T09:15:16+0000"] {
        assert_eq!(at(nonsense), None, "{nonsense}");
    }
}

#[test]
fn an_id_is_digits_whether_text_or_number_and_never_a_float() {
    assert_eq!(wire::id(&json!(17_892_250_648_466_172_u64)).as_deref(), Some("17892250648466172"));
    assert_eq!(wire::id(&json!("17892250648466172")).as_deref(), Some("17892250648466172"));
    for other in [json!(1.5), json!(-3), json!(""), json!("me"), json!("1/../2"), json!(null), json!("1".repeat(31))] {
        assert_eq!(wire::id(&other), None, "{other}");
    }
}

#[test]
fn our_own_comments_are_known_by_any_of_the_signs() {
    let base = json!({"id": "5", "timestamp": "2020-02-24T09:15:16+0000", "text": "x"});
    let with = |extra: Value| {
        let mut data = base.clone();
        data.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        wire::is_by(&account(), &comment(&data).unwrap())
    };
    assert!(with(json!({"from": {"id": "17841400000000001", "username": "renamed"}})));
    assert!(with(json!({"from": {"id": "9", "username": "acme", "self_ig_scoped_id": "77"}})));
    assert!(with(json!({"username": "Acme"})));
    assert!(with(json!({"user": {"id": "17841400000000001"}})));
    assert!(!with(json!({"from": {"id": "9", "username": "acme"}})), "the id counts before the name");
    assert!(!with(json!({"username": "guest"})));
    assert!(!with(json!({})));
}

#[test]
fn a_list_ends_without_next_even_where_cursors_stand() {
    assert_eq!(wire::after(&json!({"data": [], "paging": {"cursors": {"after": "x"}}})), None);
    assert_eq!(wire::after(&json!({"data": []})), None);
    let more = json!({"paging": {"cursors": {"after": "x"}, "next": "https://graph/..?access_token=t"}});
    assert_eq!(wire::after(&more).as_deref(), Some("x"));
}

#[test]
fn the_table_of_codes_says_who_waits_and_how_far_a_no_reaches() {
    use errors::Decision::{Passing, Refused, TokenDead, Wait};
    for code in [4, 341] {
        assert!(matches!(decided(code, None), Wait { scope: Scope::App, .. }), "{code}");
    }
    for code in [17, 32, 613, 80_001, 80_002, 80_006] {
        assert!(matches!(decided(code, None), Wait { scope: Scope::Account, .. }), "{code}");
    }
    for subcode in [458, 459, 460, 463, 464, 467, 492, 999] {
        assert!(matches!(decided(190, Some(subcode)), TokenDead { .. }), "{subcode}");
    }
    assert!(matches!(decided(102, None), TokenDead { .. }));
    for (code, subcode) in
        [(4, Some(2_207_051)), (3, None), (10, None), (200, None), (299, None), (25, Some(2_207_050)), (368, None)]
    {
        assert!(matches!(decided(code, subcode), Refused { scope: Scope::Account, .. }), "{code}");
    }
    for (code, subcode) in
        [(100, None), (100, Some(33)), (506, None), (2500, None), (36_000, Some(2_207_004)), (424_242, None)]
    {
        assert!(matches!(decided(code, subcode), Refused { scope: Scope::Item, .. }), "{code}");
    }
    for code in [1, 2] {
        assert!(matches!(decided(code, None), Passing(_)), "{code}");
        let lasting = json!({"error": {"code": code, "is_transient": false}});
        assert!(matches!(errors::decide(&answer(400, &lasting), Scope::Item), Refused { .. }), "{code}");
    }
}

#[test]
fn a_failing_server_says_nothing_of_what_it_did_whatever_code_it_names() {
    for code in [1, 2, 4, 10, 17, 32, 100, 102, 190, 368, 506, 613, 80_002, 424_242] {
        for status in [408, 500, 502, 503] {
            let failed = answer(status, &json!({"error": {"code": code, "is_transient": false}}));
            assert!(matches!(super::write::decide(&failed), Verdict::Uncertain(_)), "{code} with {status}");
            assert!(matches!(super::act::deleted(&failed), Err(Verdict::Uncertain(_))), "{code} with {status}");
        }
    }
}

#[test]
fn the_time_to_wait_comes_from_the_header_in_minutes() {
    let mut limited = answer(400, &json!({"error": {"code": 80_002}}));
    let told = r#"{"1784":[{"type":"instagram","call_count":100,"estimated_time_to_regain_access":19}]}"#;
    limited.headers.insert("x-business-use-case-usage", HeaderValue::from_static(told));
    let decision = errors::decide(&limited, Scope::Item);
    let after = Duration::from_secs(19 * 60);
    assert_eq!(decision, errors::Decision::Wait { after, scope: Scope::Account });
}

#[test]
fn an_error_inside_a_200_is_an_error() {
    let read = calls::decide(&answer(200, &json!({"error": {"code": 190, "error_subcode": 463}})), Scope::Item);
    assert_eq!(read.unwrap_err(), FetchError::AuthExpired);
    assert!(calls::decide(&answer(200, &json!({"data": []})), Scope::Item).is_ok());
}

#[test]
fn fewer_fields_are_tried_only_where_a_field_may_be_the_reason() {
    for code in ["10", "100", "200", "100/2018001"] {
        assert!(calls::is_about_fields(code), "{code}");
    }
    for code in ["100/33", "190", "4", "NO_CODE", "BAD_ID", ""] {
        assert!(!calls::is_about_fields(code), "{code}");
    }
}

/// JSON of any shape, with the names that the parsers look for.
fn any_json() -> impl Strategy<Value = Value> {
    let names =
        ["id", "text", "timestamp", "from", "username", "media", "parent_id", "error", "code", "data", "paging"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9:+TZ-]{0,24}".prop_map(Value::from),
        Just(json!("2020-02-24T09:15:16+0000")),
        Just(json!("17892250648466172")),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names.to_vec()), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_makes_the_parsers_panic(value in any_json(), status in 100_u16..600) {
        let _ = comment(&value);
        let _ = wire::media(&value, &account());
        let _ = wire::after(&value);
        let _ = calls::account(&value);
        let _ = calls::decide(&answer(status, &value), Scope::Item);
        let _ = super::write::decide(&answer(status, &value));
        let _ = super::oauth::short_lived(&answer(status, &value));
        let _ = super::oauth::long_lived(&answer(status, &value));
    }
}
