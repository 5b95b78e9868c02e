use super::*;
use serde_json::{Value, json};
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);

fn at(secs: i64) -> i64 {
    NOW.unix_timestamp() + secs
}

fn expected() -> Expected {
    let parties = vec!["https://app.example".to_owned()];
    Expected { issuer: "https://clerk.example".to_owned(), parties, party_required: true }
}

fn header() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": "ins_1", "cat": "cl_B7d4PD111AAA", "oiat": 1 })
}

fn claims() -> Value {
    json!({
        "sub": "user_1", "sid": "sess_1", "iss": "https://clerk.example", "azp": "https://app.example",
        "exp": at(60), "iat": at(0), "nbf": at(-10), "sts": "active", "v": 2, "fva": [0, -1],
        "o": { "id": "org_1", "rol": "admin" },
    })
}

fn written(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode([7; 256]))
}

fn judged(token: &str, expected: &Expected) -> Result<Claims, TokenError> {
    let token = read(token)?;
    token.check(expected, NOW)?;
    Ok(token.into_verified())
}

/// The verdict on the good token with some claims changed; null takes one away.
fn with(changes: Value) -> Result<Claims, TokenError> {
    judged(&written(&header(), &changed(claims(), changes)), &expected())
}

fn with_header(changes: Value) -> Result<Claims, TokenError> {
    judged(&written(&changed(header(), changes), &claims()), &expected())
}

fn changed(mut object: Value, changes: Value) -> Value {
    let fields = object.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    fields.retain(|_, value| !value.is_null());
    object
}

#[test]
fn tokens_of_both_versions_name_the_person() {
    let claims = with(json!({})).unwrap();
    assert_eq!((claims.subject.as_str(), claims.session.as_deref(), claims.actor), ("user_1", Some("sess_1"), None));
    let first = json!({ "v": null, "sts": null, "o": null, "org_id": "org_1", "org_role": "org:admin" });
    assert_eq!(with(first).unwrap().subject, "user_1");
    let acted = with(json!({ "act": { "sub": "user_9", "sid": "sess_9", "iss": "x" } })).unwrap();
    assert_eq!(acted.actor.as_deref(), Some("user_9"));
    assert!(with(json!({ "aud": ["other"], "custom": { "deep": [1, 2] } })).is_ok(), "other claims are not ours");
}

#[test]
fn times_have_five_seconds_to_both_sides() {
    assert!(with(json!({ "exp": at(-4) })).is_ok());
    assert_eq!(with(json!({ "exp": at(-5) })), Err(TokenError::Expired));
    assert!(with(json!({ "nbf": at(5), "iat": at(5) })).is_ok());
    assert_eq!(with(json!({ "nbf": at(6) })), Err(TokenError::NotYetValid));
    assert_eq!(with(json!({ "iat": at(6) })), Err(TokenError::NotYetValid));
    assert!(with(json!({ "nbf": null, "iat": null })).is_ok());
    for exp in [json!(null), json!("9999999999"), json!({})] {
        assert_eq!(with(json!({ "exp": exp })), Err(TokenError::Invalid));
    }
}

#[test]
fn the_token_must_be_made_by_our_service_and_for_our_sites() {
    assert_eq!(with(json!({ "iss": "https://clerk.other" })), Err(TokenError::WrongIssuer));
    assert_eq!(with(json!({ "iss": "https://clerk.example/" })), Err(TokenError::WrongIssuer));
    assert_eq!(with(json!({ "iss": null })), Err(TokenError::WrongIssuer));
    for party in ["https://evil.example", "https://app.example.evil", "https://APP.example", ""] {
        assert_eq!(with(json!({ "azp": party })), Err(TokenError::WrongParty), "{party}");
    }
    assert_eq!(with(json!({ "azp": null })), Err(TokenError::WrongParty));
    let lenient = Expected { party_required: false, ..expected() };
    let none = written(&header(), &changed(claims(), json!({ "azp": null })));
    assert!(judged(&none, &lenient).is_ok());
    let wrong = written(&header(), &changed(claims(), json!({ "azp": "https://evil.example" })));
    assert_eq!(judged(&wrong, &lenient), Err(TokenError::WrongParty));
}

#[test]
fn a_session_that_waits_and_a_machine_are_nobody() {
    assert_eq!(with(json!({ "sts": "pending" })), Err(TokenError::SessionPending));
    assert_eq!(with(json!({ "sts": "something new" })), Err(TokenError::SessionPending));
    assert_eq!(with(json!({ "sub": "mch_1" })), Err(TokenError::NotASession));
    assert_eq!(with_header(json!({ "typ": "at+jwt" })), Err(TokenError::NotASession));
    assert_eq!(
        with_header(json!({ "cat": "cl_B7d4PD222AAA" })),
        Err(TokenError::NotASession),
        "made for a third party"
    );
    assert!(with_header(json!({ "cat": null })).is_ok());
    for token in ["mt_abc", "oat_abc", "ak_abc"] {
        assert_eq!(judged(token, &expected()), Err(TokenError::NotASession), "{token}");
    }
}

#[test]
fn only_rs256_without_extensions_is_read() {
    for alg in ["none", "None", "HS256", "RS384", "RS512", "PS256", "ES256", ""] {
        assert_eq!(with_header(json!({ "alg": alg })), Err(TokenError::Invalid), "{alg}");
    }
    assert_eq!(with_header(json!({ "alg": null })), Err(TokenError::Invalid));
    assert_eq!(with_header(json!({ "crit": ["b64"], "b64": false })), Err(TokenError::Invalid));
    assert_eq!(with_header(json!({ "typ": "JWS" })), Err(TokenError::Invalid));
    assert!(with_header(json!({ "typ": null, "x5u": "https://evil.example", "jku": 7 })).is_ok());
}

#[test]
fn what_is_no_token_of_the_one_spelling_is_refused() {
    let good = written(&header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    for token in [
        "".to_owned(),
        "..".to_owned(),
        format!("{header}.{payload}"),
        format!("{good}.x"),
        format!(".{good}"),
        format!("{header}..{signature}"),
        format!("{good}="),
        format!("{good} "),
        good.replace('.', " ."),
        format!("{header}.{payload}.{}", signature.replace('-', "+").replace('B', "/")),
        format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(r#"["RS256","JWT"]"#)),
        format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","alg":"RS256"}"#)),
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("null")),
        format!("{header}.{payload}.{}", "A".repeat(LONGEST_TOKEN)),
    ] {
        assert_eq!(judged(&token, &expected()).unwrap_err(), TokenError::Invalid, "{token}");
    }
    // 256 bytes leave four unused bits in the last letter.
    let (rest, last) = signature.split_at(signature.len() - 1);
    assert_eq!(last, "w");
    assert_eq!(judged(&format!("{header}.{payload}.{rest}x"), &expected()), Err(TokenError::Invalid));
}

#[test]
fn ids_are_short_and_visible() {
    for sub in [json!(null), json!(""), json!(7), json!("user 1"), json!("user_\u{7}"), json!("u".repeat(256))] {
        assert_eq!(with(json!({ "sub": sub })), Err(TokenError::Invalid));
    }
    assert_eq!(with(json!({ "act": { "sub": "" } })), Err(TokenError::Invalid));
    assert_eq!(with(json!({ "act": "user_9" })), Err(TokenError::Invalid));
    assert_eq!(with(json!({ "v": 3 })), Err(TokenError::Invalid));
}
