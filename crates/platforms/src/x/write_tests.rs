use super::*;
use crate::x::wire_tests::NOW;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

fn answer(status: u16, body: &str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    Answer { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn verdict(status: u16, body: &str) -> Verdict {
    decide(&answer(status, body), NOW)
}

fn refused(status: u16, body: &str) -> (String, Scope, Remedy) {
    match verdict(status, body) {
        Verdict::Refused { code, scope, remedy, .. } => (code, scope, remedy),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn only_a_201_with_an_id_is_posted() {
    let id = "1522929456142245888";
    assert_eq!(verdict(201, &format!(r#"{{"data":{{"id":"{id}","text":"x"}}}}"#)), Verdict::Posted { id: id.into() });
    for (status, body) in [
        (201, ""),
        (201, "{}"),
        (201, r#"{"data":{}}"#),
        (201, r#"{"data":{"id":"abc"}}"#),
        (201, r#"{"errors":[{"message":"x"}]}"#),
        (200, r#"{"data":{"id":"1522929456142245888"}}"#),
        (202, "{}"),
        (204, ""),
        (302, ""),
        (408, ""),
        (500, r#"{"data":{"id":"1522929456142245888"}}"#),
        (502, "<html>"),
        (503, ""),
        (520, ""),
    ] {
        assert!(matches!(verdict(status, body), Verdict::Uncertain(_)), "{status} {body}");
    }
    assert_eq!(verdict(200, r#"{"data":{"deleted":true}}"#), Verdict::Deleted);
    assert!(matches!(verdict(200, r#"{"data":{"deleted":false}}"#), Verdict::Uncertain(_)));
}

#[test]
fn every_known_refusal_has_its_code_and_reach() {
    let detail = |text: &str| format!(r#"{{"title":"Forbidden","detail":"{text}","type":"about:blank","status":403}}"#);
    let kind = |kind: &str| format!(r#"{{"title":"x","detail":"y","type":"https://api.x.com/2/problems/{kind}"}}"#);
    for (status, body, code, scope, remedy) in [
        (
            403,
            detail("You are not allowed to create a Tweet with duplicate content."),
            "duplicate_content",
            Scope::Item,
            Remedy::EditUnlessOurs,
        ),
        (
            403,
            detail("You can only reply to or quote posts where you are mentioned or are the author."),
            "not_summoned",
            Scope::Item,
            Remedy::ByHand,
        ),
        (
            403,
            detail(
                "Reply to this conversation is not allowed because you have not been mentioned or otherwise engaged by the author",
            ),
            "not_summoned",
            Scope::Item,
            Remedy::ByHand,
        ),
        (403, detail("You are not permitted to perform this action."), "HTTP_403", Scope::Item, Remedy::Nothing),
        (
            403,
            detail("Your account is not permitted to access this feature"),
            "HTTP_403",
            Scope::Account,
            Remedy::Nothing,
        ),
        (
            403,
            detail("Your account is suspended and is not permitted to access this feature."),
            "account_locked",
            Scope::Account,
            Remedy::StopAccount,
        ),
        (
            403,
            r#"{"errors":[{"message":"temporarily locked","code":326}]}"#.to_owned(),
            "account_locked",
            Scope::Account,
            Remedy::StopAccount,
        ),
        (400, detail("Your Tweet text is too long."), "too_long", Scope::Item, Remedy::Edit),
        (403, kind("client-forbidden"), "client-forbidden", Scope::Account, Remedy::StopAccount),
        (403, kind("unsupported-authentication"), "unsupported-authentication", Scope::Account, Remedy::StopAccount),
        (403, kind("a-kind-of-tomorrow"), "a-kind-of-tomorrow", Scope::Item, Remedy::Nothing),
        (
            403,
            r#"{"errors":[{"message":"a different access level","code":453}]}"#.to_owned(),
            "CODE_453",
            Scope::Account,
            Remedy::StopAccount,
        ),
        (402, kind("credits"), "credits_depleted", Scope::App, Remedy::Nothing),
        (402, String::new(), "credits_depleted", Scope::App, Remedy::Nothing),
        (404, kind("resource-not-found"), "gone", Scope::Item, Remedy::Nothing),
        (
            400,
            detail("You attempted to reply to a Tweet that is deleted or not visible to you."),
            "gone",
            Scope::Item,
            Remedy::Nothing,
        ),
        (400, kind("invalid-request"), "invalid-request", Scope::Item, Remedy::Nothing),
    ] {
        assert_eq!(refused(status, &body), (code.to_owned(), scope, remedy), "{status} {body}");
    }
    assert_eq!(verdict(401, ""), Verdict::AuthExpired);
    let capped = r#"{"title":"UsageCapExceeded","period":"Daily","scope":"Product","type":"https://api.twitter.com/2/problems/usage-capped"}"#;
    assert!(matches!(verdict(429, capped), Verdict::RateLimited { scope: Scope::App, .. }));
    assert!(matches!(verdict(429, "<html>"), Verdict::RateLimited { scope: Scope::Account, .. }));
}

#[test]
fn the_log_holds_ids_and_reasons_and_no_texts() {
    let logged = for_the_log(&answer(201, r#"{"data":{"id":"12","text":"our words"}}"#)).to_string();
    assert!(logged.contains("12") && !logged.contains("our words"), "{logged}");
    let mut page = answer(403, "<title>words of a stranger</title>");
    page.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    assert_eq!(for_the_log(&page), json!({ "not_json_bytes": 34 }));
}
