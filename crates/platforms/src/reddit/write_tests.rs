use super::*;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};

const TARGET: &str = "t1_aaa";

fn answer(status: u16, body: &str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    Answer { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn verdict(answer: &Answer) -> Verdict {
    decide(answer, &Expected::Under(TARGET), &Url::parse("https://www.reddit.com").unwrap())
}

fn in_band_errors(errors: &str) -> Verdict {
    verdict(&answer(200, &format!(r#"{{"json":{{"errors":{errors}}}}}"#)))
}

#[test]
fn only_an_id_under_our_target_is_posted() {
    let thing = |kind: &str, data: &str| {
        verdict(&answer(
            200,
            &format!(r#"{{"json":{{"errors":[],"data":{{"things":[{{"kind":"{kind}","data":{data}}}]}}}}}}"#),
        ))
    };
    let link = Url::parse("https://www.reddit.com/r/x/comments/p/t/bbb/").unwrap();
    let good = r#"{"name":"t1_bbb","parent_id":"t1_aaa","permalink":"/r/x/comments/p/t/bbb/"}"#;
    assert_eq!(thing("t1", good), Verdict::Posted { id: "t1_bbb".into(), permalink: Some(link) });
    for (kind, data) in [
        ("t1", "{}"),
        ("t3", good),
        ("t1", r#"{"name":"t1_b/b"}"#),
        ("t1", r#"{"name":"t1_b","parent_id":"t1_other"}"#),
    ] {
        assert!(matches!(thing(kind, data), Verdict::Uncertain(_)), "{kind} {data}");
    }
}

#[test]
fn a_200_that_proves_nothing_is_uncertain() {
    let bodies = [
        "",
        "null",
        "{}",
        "[]",
        "<html>",
        r#"{"json":{}}"#,
        r#"{"json":{"errors":[]}}"#,
        r#"{"json":{"data":{"things":[]}}}"#,
        r#"{"json":{"errors":[],"data":{"things":[]}}}"#,
        r#"{"json":{"errors":[[]],"data":{"things":[]}}}"#,
        r#"{"json":{"errors":[7]}}"#,
        r#"{"json":{"errors":"RATELIMIT"}}"#,
        r#"{"success":false,"jquery":[]}"#,
        r#"{"json":{"errors":[["THREAD_LOCKED","",null]],"data":{"things":[{"kind":"t1","data":{"name":"t1_b"}}]}}}"#,
        r#"{"json":{"errors":[],"data":{"things":[{"kind":"t1","data":{"name":"t1_b"}},{"kind":"t1","data":{"name":"t1_c"}}]}}}"#,
    ];
    for body in bodies {
        assert!(matches!(verdict(&answer(200, body)), Verdict::Uncertain(_)), "{body}");
    }
    let mut page = answer(200, r#"{"json":{"errors":[["RATELIMIT","",null]]}}"#);
    page.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    assert!(matches!(verdict(&page), Verdict::Uncertain(_)));
}

#[test]
fn every_known_code_has_its_decision() {
    let item = [
        "NO_TEXT",
        "TOO_LONG",
        "TOO_SHORT",
        "TOO_OLD",
        "THREAD_LOCKED",
        "DELETED_COMMENT",
        "DELETED_LINK",
        "SUBREDDIT_NOTALLOWED",
        "SUBREDDIT_NO_ACCESS",
        "SOMETHING_IS_BROKEN",
        "USER_BLOCKED",
        "USER_MUTED",
        "MUTED_FROM_SUBREDDIT",
        "SUBREDDIT_LINKING_DISALLOWED",
        "SUBREDDIT_OUTBOUND_LINKING_DISALLOWED",
        "COMMENT_UNREPLIABLE",
        "COMMENT_GUIDANCE_VALIDATION_FAILED",
        "A_CODE_OF_TOMORROW",
    ];
    let scoped = item
        .map(|code| (code, Scope::Item))
        .into_iter()
        .chain([("IN_TIMEOUT", Scope::Account), ("USER_REQUIRED", Scope::Account)]);
    for (code, scope) in scoped {
        let told = in_band_errors(&format!(r#"[["{code}","Text in any language",null]]"#));
        assert_eq!(told, Verdict::Refused { code: code.into(), reason: "Text in any language".into(), scope });
    }
    for (code, scope) in [("RATELIMIT", Scope::Account), ("SUBREDDIT_RATELIMIT", Scope::Item)] {
        let told = in_band_errors(&format!(r#"[["{code}","",null]]"#));
        assert_eq!(told, Verdict::RateLimited { retry_after: DEFAULT_WAIT, scope });
    }
    assert!(matches!(in_band_errors(r#"[["TOO_MANY_COMMENTS","",null]]"#), Verdict::RateLimited { .. }));
}

#[test]
fn all_errors_are_looked_at_and_a_lasting_one_wins() {
    let wait = |secs| Verdict::RateLimited { retry_after: Duration::from_secs(secs), scope: Scope::Account };
    assert_eq!(in_band_errors(r#"[["BAD_CAPTCHA","",""],["RATELIMIT","again in 2 minutes",""]]"#), wait(180));
    let locked = in_band_errors(r#"[["RATELIMIT","",""],["THREAD_LOCKED","",""]]"#);
    assert!(matches!(locked, Verdict::Refused { code, .. } if code == "THREAD_LOCKED"));
    let both = in_band_errors(r#"[["THREAD_LOCKED","",""],["IN_TIMEOUT","",""]]"#);
    assert!(matches!(both, Verdict::Refused { scope: Scope::Account, .. }));
}

#[test]
fn the_wait_comes_from_the_number_else_from_the_text() {
    let number = verdict(&answer(
        200,
        r#"{"json":{"ratelimit":76.3,"errors":[["RATELIMIT","again in 1 minute.","ratelimit"]]}}"#,
    ));
    assert_eq!(number, Verdict::RateLimited { retry_after: Duration::from_secs(78), scope: Scope::Account });
    assert_eq!(wait_in("Take a break for 14 minutes before trying again."), Some(Duration::from_secs(900)));
    assert_eq!(wait_in("Take a break for 9 seconds."), Some(Duration::from_secs(10)));
    assert_eq!(wait_in("Take a break for 500 milliseconds."), Some(Duration::from_secs(1)));
    assert_eq!(wait_in("Bitte warte eine Weile."), None);
    assert_eq!(wait_in("99999999999999999999 minutes"), None);
}

#[test]
fn the_status_alone_decides_outside_of_200() {
    for status in [201, 202, 204, 301, 302, 307, 408, 425, 499, 500, 502, 503, 504, 520, 522] {
        assert!(matches!(verdict(&answer(status, "")), Verdict::Uncertain(_)), "{status}");
    }
    for status in [400, 404, 409, 413, 414, 415] {
        assert!(matches!(verdict(&answer(status, "")), Verdict::Refused { scope: Scope::Item, .. }), "{status}");
    }
    assert_eq!(verdict(&answer(401, r#"{"error":401}"#)), Verdict::AuthExpired);
    assert!(matches!(verdict(&answer(402, "")), Verdict::Refused { scope: Scope::App, .. }));
    assert!(matches!(verdict(&answer(429, "<html>")), Verdict::RateLimited { scope: Scope::App, .. }));
}

#[test]
fn a_403_tells_community_permission_and_account_apart() {
    let scope = |answer: &Answer| match verdict(answer) {
        Verdict::Refused { code, scope, .. } => (code, scope),
        other => panic!("{other:?}"),
    };
    let private = answer(403, r#"{"reason":"private","message":"Forbidden","error":403}"#);
    assert_eq!(scope(&private), ("private".into(), Scope::Item));
    assert_eq!(scope(&answer(403, r#"{"message":"Forbidden","error":403}"#)), ("HTTP_403".into(), Scope::Account));
    let mut permission = answer(403, r#"{"error":403}"#);
    permission
        .headers
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="reddit", error="insufficient_scope""#));
    assert_eq!(scope(&permission), ("insufficient_scope".into(), Scope::Account));
}

#[test]
fn a_communitys_own_rule_is_shown_in_its_words() {
    let body = r#"{"error_type":"SUBMIT_VALIDATION_ERROR","explanation":"Needs a flair.","message":"Bad Request","error":400}"#;
    let told = verdict(&answer(400, body));
    let expected = Verdict::Refused {
        code: "SUBMIT_VALIDATION_ERROR".into(),
        reason: "Needs a flair.".into(),
        scope: Scope::Item,
    };
    assert_eq!(told, expected);
}

#[test]
fn the_log_holds_ids_and_no_texts() {
    let body = r#"{"json":{"errors":[],"data":{"things":[{"kind":"t1","data":{"name":"t1_b","body":"our words","author":"x"}}]}}}"#;
    let logged = for_the_log(&answer(200, body)).to_string();
    assert!(logged.contains("t1_b") && !logged.contains("our words"), "{logged}");
}

#[test]
fn nothing_of_a_page_is_logged() {
    let mut page = answer(200, "<title>words of a stranger</title>");
    page.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    assert_eq!(for_the_log(&page), json!({ "not_json_bytes": 34 }));
}
