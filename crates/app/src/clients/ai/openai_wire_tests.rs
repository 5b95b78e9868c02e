use super::super::answer::draft;
use super::super::render;
use super::super::samples::{GOOD, recorded, request};
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn read_body(status: u16, body: &str) -> Result<Spoken, AiError> {
    read(&Answer { status, retry_after: None, body: body.into() }, Some("sk-secret"))
}

fn choice(message: Value, finish: Value) -> String {
    json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}]}).to_string()
}

#[test]
fn only_complete_answers_are_read() {
    let said = |finish: Value| read_body(200, &choice(json!({"content": GOOD}), finish));
    assert!(said(json!("stop")).is_ok() && said(Value::Null).is_ok());
    assert!(matches!(said(json!("length")), Err(AiError::BadAnswer { .. })));
    assert!(matches!(said(json!("tool_calls")), Err(AiError::BadAnswer { .. })));
    assert!(matches!(said(json!("content_filter")), Err(AiError::Refused { .. })));
    let refusal = choice(json!({"content": GOOD, "refusal": "I will not."}), json!("stop"));
    assert!(matches!(read_body(200, &refusal), Err(AiError::Refused { .. })));
    for body in ["", "{}", "<html>", r#"{"choices": []}"#, r#"{"choices": [{"message": {"content": null}}]}"#] {
        assert!(matches!(read_body(200, body), Err(AiError::BadAnswer { .. })), "{body}");
    }
    let parts = choice(json!({"content": [{"type": "text", "text": GOOD}]}), json!("stop"));
    assert_eq!(read_body(200, &parts).unwrap().text, GOOD);
}

#[test]
fn missing_counts_are_unknown_and_not_zero() {
    assert_eq!(read_body(200, &choice(json!({"content": "x"}), json!("stop"))).unwrap().tokens, None);
    let partly =
        json!({"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
    assert_eq!(read_body(200, &partly.to_string()).unwrap().tokens, Some(Tokens { prompt: 3, output: 4, total: 7 }));
}

#[test]
fn errors_lead_to_the_right_decision() {
    let error = |status: u16, code: &str, message: &str| {
        let body = json!({"error": {"message": message, "type": code, "param": null, "code": code}}).to_string();
        let error = read_body(status, &body).unwrap_err();
        assert!(!error.to_string().contains("sk-secret"), "{error}");
        error
    };
    let no_retry = [
        (401, "invalid_api_key", "Incorrect key sk-secret"),
        (403, "forbidden", "country sk-secret"),
        (404, "model_not_found", "no such model"),
        (402, "", "no credit"),
        (429, "insufficient_quota", "You exceeded your current quota"),
        (429, "rate_limit_exceeded", "Request too large for small: Limit 10, Requested 20"),
        (400, "context_length_exceeded", "too long"),
        (500, "server_error", "Context size has been exceeded."),
        (302, "", ""),
    ];
    for (status, code, message) in no_retry {
        assert!(matches!(error(status, code, message), AiError::Misconfigured { .. }), "{status} {code}");
    }
    for (status, code) in
        [(408, ""), (429, "rate_limit_exceeded"), (429, "slow_down"), (500, ""), (503, "unavailable_error")]
    {
        assert!(matches!(error(status, code, "later"), AiError::RetryAfter { .. }), "{status} {code}");
    }
    assert!(matches!(error(400, "content_filter", "filtered"), AiError::Refused { .. }));
    let asked = Answer { status: 429, retry_after: Some(Duration::from_secs(9)), body: "busy".into() };
    assert!(matches!(read(&asked, None), Err(AiError::RetryAfter { after: Some(after), .. }) if after.as_secs() == 9));
}

#[test]
fn a_large_limit_is_not_mistaken_for_an_unknown_option() {
    let body =
        json!({"error": {"message": "max_tokens is too large: 4096", "param": "max_tokens", "code": "invalid_value"}});
    let answer = Answer { status: 400, retry_after: None, body: body.to_string() };
    assert_eq!(Dialect::new(None).after(&answer, false), None);
}

#[test]
fn a_configured_limit_name_is_kept() {
    let body = json!({"error": {"message": "Unsupported parameter: 'max_tokens'", "param": "max_tokens", "code": "unsupported_parameter"}});
    let answer = Answer { status: 400, retry_after: None, body: body.to_string() };
    assert!(Dialect::new(None).after(&answer, false).is_some());
    assert_eq!(Dialect::new(Some(TokenLimitField::MaxTokens)).after(&answer, true), None);
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_break_the_reader(body in any::<String>(), status in 100_u16..600) {
        let wrapped = json!({"error": {"message": body, "code": status}}).to_string();
        for body in [&body, &choice(json!({"content": body}), json!(body)), &wrapped] {
            let answer = Answer { status, retry_after: None, body: body.clone() };
            let _ = (read(&answer, Some(body)), Dialect::new(None).after(&answer, false));
        }
    }
}

/// What each recorded case must come to.
fn expected(name: &str, case: &str, got: &Result<Spoken, AiError>) -> bool {
    match case {
        // Ollama's own protocol, a gateway's error under HTTP 200, and another endpoint.
        _ if name.contains("ollama-gensync")
            || name.contains("openrouter-gensync-jsonschema")
            || name.contains("responses") =>
        {
            matches!(got, Err(AiError::BadAnswer { .. }))
        }
        // This one says of itself that it is complete.
        _ if name == "genai-groq-gensync-maxtokens" => got.is_ok(),
        "moderation" | "finish-length" => matches!(got, Err(AiError::BadAnswer { .. })),
        _ if case.ends_with("-stream") => matches!(got, Err(AiError::BadAnswer { .. })),
        _ if case.starts_with("error-") => matches!(got, Err(AiError::Misconfigured { .. })),
        _ => got.is_ok(),
    }
}

#[test]
fn recorded_answers_lead_to_the_right_decision() {
    for exchange in recorded("openai") {
        let got = read_body(exchange.status, &exchange.body);
        assert!(expected(&exchange.name, &exchange.case, &got), "{} ({}): {got:?}", exchange.name, exchange.case);
        if let Ok(spoken) = got {
            let request = request();
            let drafted = draft(spoken, "openai", "m", &request, &render(&request));
            assert!(matches!(drafted, Err(AiError::BadAnswer { .. })), "{}", exchange.name);
        }
    }
}

#[test]
fn recorded_refusals_of_options_are_understood() {
    for exchange in recorded("openai") {
        let answer = Answer { status: exchange.status, retry_after: None, body: exchange.body };
        let next = Dialect::new(None).after(&answer, false);
        let understood = matches!(exchange.case.as_str(), "error-400-llamacpp" | "error-400-unsupported-role");
        assert_eq!(next.is_some(), understood, "{} ({}): {next:?}", exchange.name, exchange.case);
    }
}
