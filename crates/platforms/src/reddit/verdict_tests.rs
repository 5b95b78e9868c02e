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
    assert_eq!(verdict(&answer(200, r#"{"json":{"errors":[],"data":{"things":[]}}}"#)), Verdict::Unseen);
    let mut page = answer(200, r#"{"json":{"errors":[["RATELIMIT","",null]]}}"#);
    page.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    assert!(matches!(verdict(&page), Verdict::Uncertain(_)));
}

/// The table of the sheet, written down once more by hand: what is to be done, how far it reaches.
const TABLE: &[(&str, &str)] = &[
    ("RATELIMIT", "wait 600 s, account"),
    ("SUBREDDIT_RATELIMIT", "wait 600 s, item"),
    ("NO_TEXT", "Edit, item"),
    ("TOO_LONG", "Edit, item"),
    ("TOO_SHORT", "Edit, item"),
    ("TOO_OLD", "Nothing, item"),
    ("THREAD_LOCKED", "Nothing, item"),
    ("DELETED_COMMENT", "Nothing, item"),
    ("DELETED_LINK", "Nothing, item"),
    ("SUBREDDIT_NOTALLOWED", "Nothing, item"),
    ("SUBREDDIT_NO_ACCESS", "Nothing, item"),
    ("SOMETHING_IS_BROKEN", "Nothing, item"),
    ("USER_BLOCKED", "Nothing, item"),
    ("USER_MUTED", "Nothing, item"),
    ("MUTED_FROM_SUBREDDIT", "Nothing, item"),
    ("IN_TIMEOUT", "StopAccount, account"),
    ("USER_REQUIRED", "Reconnect, account"),
    ("SUBREDDIT_LINKING_DISALLOWED", "Edit, item"),
    ("SUBREDDIT_OUTBOUND_LINKING_DISALLOWED", "Edit, item"),
    ("TOO_MANY_COMMENTS", "wait 3600 s, item"),
    ("COMMENT_UNREPLIABLE", "Nothing, item"),
    ("COMMENT_GUIDANCE_VALIDATION_FAILED", "Edit, item"),
    ("A_CODE_OF_TOMORROW", "Nothing, item"),
];

fn described(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Refused { scope, remedy, .. } => format!("{remedy:?}, {}", format!("{scope:?}").to_lowercase()),
        Verdict::RateLimited { retry_after, scope } => {
            format!("wait {} s, {}", retry_after.as_secs(), format!("{scope:?}").to_lowercase())
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn every_code_of_the_sheet_has_its_decision() {
    for (code, expected) in TABLE {
        let told = in_band_errors(&format!(r#"[["{code}","Text in any language",null]]"#));
        assert_eq!(described(&told), *expected, "{code}");
        if let Verdict::Refused { code: shown, reason, .. } = told {
            assert_eq!((shown.as_str(), reason.as_str()), (*code, "Text in any language"));
        }
    }
    let known: Vec<_> = super::codes::CODES.iter().map(|(code, _)| *code).collect();
    assert!(known.iter().all(|code| TABLE.iter().any(|(known, _)| known == code)), "{known:?}");
    assert_eq!(known.len() + 1, TABLE.len());
}

#[test]
fn all_errors_are_looked_at_and_a_lasting_one_wins() {
    let both =
        |first: &str, second: &str| described(&in_band_errors(&format!(r#"[["{first}","",""],["{second}","",""]]"#)));
    assert_eq!(both("BAD_CAPTCHA", "RATELIMIT"), "wait 600 s, account");
    for (first, second, expected) in [
        ("RATELIMIT", "THREAD_LOCKED", "Nothing, item"),
        ("RATELIMIT", "TOO_LONG", "Edit, item"),
        ("THREAD_LOCKED", "IN_TIMEOUT", "StopAccount, account"),
        ("TOO_LONG", "TOO_OLD", "Nothing, item"),
        ("SUBREDDIT_RATELIMIT", "RATELIMIT", "wait 600 s, account"),
        ("NEW_ONE", "NEWER_ONE", "Nothing, item"),
    ] {
        assert_eq!(both(first, second), expected, "{first} {second}");
        assert_eq!(both(second, first), expected, "{second} {first}");
    }
    let recorded = in_band_errors(r#"[["BAD_CAPTCHA","",""],["RATELIMIT","again in 2 minutes",""]]"#);
    assert_eq!(described(&recorded), "wait 180 s, account");
    assert!(matches!(in_band_errors(r#"[["RATELIMIT","",""],{"code":"NEW"}]"#), Verdict::Uncertain(_)));
}

#[test]
fn the_wait_comes_from_the_number_else_from_the_text() {
    let with = |number: &str, words: &str| {
        let body = format!(r#"{{"json":{{"ratelimit":{number},"errors":[["RATELIMIT","{words}","ratelimit"]]}}}}"#);
        described(&verdict(&answer(200, &body)))
    };
    assert_eq!(with("76.342984", "try again in 1 minute."), "wait 78 s, account");
    assert_eq!(with("\"76.3\"", "try again in 1 minute."), "wait 78 s, account");
    assert_eq!(with("1e300", ""), "wait 86400 s, account");
    for no_number in ["null", "0", "-5", "\"soon\"", "[]"] {
        assert_eq!(with(no_number, "Take a break for 9 minutes"), "wait 600 s, account", "{no_number}");
    }
    let texts = [
        ("Take a break for 14 minutes before trying again.", Some(900)),
        ("Take a break for 1 minute before trying again.", Some(120)),
        ("Looks like you've been doing that a lot. Take a break for **9 seconds**.", Some(10)),
        ("you are doing that too much. try again in 59 seconds.", Some(60)),
        ("Take a break for 500 milliseconds before trying again.", Some(1)),
        ("Take a break for 999 milliseconds.", Some(1)),
        ("Mach eine Pause von 5 Minuten.", Some(360)),
        ("Neem 3 minuten pauze.", Some(240)),
        ("try again in (2 hours)", Some(10_800)),
        ("Bitte warte eine Weile.", None),
        ("99999999999999999999 minutes", None),
        ("5", None),
        ("", None),
    ];
    for (text, seconds) in texts {
        assert_eq!(super::codes::wait_in(text), seconds.map(Duration::from_secs), "{text}");
    }
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
        Verdict::Refused { code, scope, remedy, .. } => (code, scope, remedy),
        other => panic!("{other:?}"),
    };
    let nothing = Remedy::Nothing;
    let private = answer(403, r#"{"reason":"private","message":"Forbidden","error":403}"#);
    assert_eq!(scope(&private), ("private".into(), Scope::Item, nothing));
    assert_eq!(
        scope(&answer(403, r#"{"message":"Forbidden","error":403}"#)),
        ("HTTP_403".into(), Scope::Account, nothing)
    );
    let mut permission = answer(403, r#"{"error":403}"#);
    permission
        .headers
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="reddit", error="insufficient_scope""#));
    assert_eq!(scope(&permission), ("insufficient_scope".into(), Scope::Account, Remedy::Reconnect));
}

#[test]
fn a_communitys_own_rule_is_shown_in_its_words() {
    let body = r#"{"error_type":"SUBMIT_VALIDATION_ERROR","explanation":"Needs a flair.","message":"Bad Request","error":400}"#;
    let told = verdict(&answer(400, body));
    let expected = Verdict::Refused {
        code: "SUBMIT_VALIDATION_ERROR".into(),
        reason: "Needs a flair.".into(),
        scope: Scope::Item,
        remedy: Remedy::Edit,
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
