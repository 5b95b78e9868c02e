use super::super::samples::{GOOD, Script, recorded, request};
use super::*;
use proptest::prelude::*;

fn config(api_base: Url) -> GeminiConfig {
    GeminiConfig {
        api_base,
        api_key: SecretString::from("secret-key-1"),
        model: "gemini-flash-latest".into(),
        timeout: Duration::from_secs(5),
    }
}

fn candidate(parts: Value, finish: &str) -> String {
    json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20, "thoughtsTokenCount": 30, "totalTokenCount": 150},
        "modelVersion": "gemini-9-flash"
    })
    .to_string()
}

fn read_body(status: u16, body: &str) -> Result<Spoken, AiError> {
    read(&Answer { status, retry_after: None, body: body.into() }, "secret-key-1")
}

async fn drafted(status: u16, body: &str) -> (Result<Draft, AiError>, Script) {
    let (script, base) = Script::serve(&[(status, body)]).await;
    (Gemini::new(config(base)).unwrap().draft(&request()).await, script)
}

#[tokio::test]
async fn a_good_answer_becomes_a_draft_and_the_key_stays_out_of_the_address() {
    let parts = json!([{"text": "thinking about {\"variations\": [\"no\"]}", "thought": true}, {"text": GOOD}, {}]);
    let (draft, script) = drafted(200, &candidate(parts, "STOP")).await;
    let draft = draft.unwrap();
    assert_eq!(draft.variations, ["Sorry, Maria! Please send us the order number."]);
    assert_eq!((draft.provider, draft.model.as_str()), ("gemini", "gemini-9-flash"));
    assert_eq!(draft.tokens, Some(Tokens { prompt: 100, output: 50, total: 150 }));
    let seen = script.seen();
    assert_eq!(seen[0].path, "/v1beta/models/gemini-flash-latest:generateContent");
    assert_eq!(seen[0].headers["x-goog-api-key"], "secret-key-1");
    assert_eq!(seen[0].body["generationConfig"]["responseSchema"]["type"], "OBJECT");
    assert!(seen[0].body["generationConfig"].get("thinkingConfig").is_none());
    assert!(!seen[0].body["systemInstruction"].to_string().contains("money back"));
    assert!(seen[0].body["contents"].to_string().contains("money back"));
}

#[tokio::test]
async fn blocked_prompts_and_answers_are_left_to_a_person() {
    let blocked = [
        r#"{"promptFeedback": {"blockReason": "SAFETY"}}"#.to_owned(),
        r#"{"candidates": [], "promptFeedback": {"blockReasonMessage": "no"}}"#.to_owned(),
        candidate(json!([{"text": GOOD}]), "SAFETY"),
        r#"{"candidates": [{"content": {}, "finishReason": "PROHIBITED_CONTENT"}]}"#.to_owned(),
    ];
    for body in blocked {
        let (draft, _) = drafted(200, &body).await;
        assert!(matches!(draft, Err(AiError::Refused { .. })), "{body}: {draft:?}");
    }
}

#[test]
fn cut_empty_and_foreign_answers_are_unusable() {
    let unusable = [
        candidate(json!([{"text": GOOD}]), "MAX_TOKENS"),
        candidate(json!([{"text": GOOD}]), "A_REASON_OF_TOMORROW"),
        candidate(json!([{"text": GOOD, "thought": true}]), "STOP"),
        candidate(json!([]), "STOP"),
        r#"{"candidates": [{"content": {"parts": [{"text": "no reason"}]}}]}"#.to_owned(),
        "<html>hello</html>".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
    ];
    for body in unusable {
        assert!(matches!(read_body(200, &body), Err(AiError::BadAnswer { .. })), "{body}");
    }
}

#[test]
fn errors_lead_to_the_right_decision() {
    let error = |status: u16, body: &str| read_body(status, body).unwrap_err();
    let wrong_key = r#"{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "bad secret-key-1", "details": [{"reason": "API_KEY_INVALID"}]}}"#;
    for (status, body) in [(400, wrong_key), (403, "{}"), (404, "<!DOCTYPE html>"), (400, "{}"), (302, "")] {
        let error = error(status, body);
        assert!(
            matches!(error, AiError::Misconfigured { .. }) && !error.to_string().contains("secret"),
            "{status}: {error}"
        );
    }
    for status in [408, 429, 500, 503, 504] {
        assert!(matches!(error(status, "<html>"), AiError::RetryAfter { after: None, .. }));
    }
    let inside = r#"[{"error": {"code": 503, "message": "overloaded"}}]"#;
    assert!(matches!(error(200, inside), AiError::RetryAfter { .. }));
}

#[test]
fn the_wait_is_read_from_the_details_or_the_sentence() {
    let wait = |details: &str, message: &str| {
        let body = format!(r#"{{"error": {{"code": 429, "message": "{message}", "details": {details}}}}}"#);
        match read_body(429, &body) {
            Err(AiError::RetryAfter { after, .. }) => after.map(|after| after.as_secs_f64()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(wait(r#"[{"@type": "x"}, {"retryDelay": "48s"}]"#, "Please retry in 50s."), Some(48.0));
    assert_eq!(wait(r#"[{"retryDelay": "0.5s"}]"#, ""), Some(0.5));
    assert_eq!(wait("[]", "Please retry in 48.93s."), Some(48.93));
    assert_eq!(wait(r#"[{"retryDelay": "soon"}]"#, "wait"), None);
    assert_eq!(
        wait(r#"[{"violations": [{"quotaId": "RequestsPerDayPerModel"}]}, {"retryDelay": "5s"}]"#, ""),
        Some(3600.0)
    );
}

#[test]
fn the_base_may_carry_a_version() {
    for base in ["https://g.example", "https://g.example/v1beta", "https://g.example/v1beta/"] {
        let mut config = config(base.parse().unwrap());
        config.model = "models/gemini-x".into();
        assert_eq!(
            address(&config, DRAFT).unwrap().as_str(),
            "https://g.example/v1beta/models/gemini-x:generateContent"
        );
    }
    let below_a_path = config("http://127.0.0.1:4020/gemini".parse().unwrap());
    assert!(address(&below_a_path, DRAFT).unwrap().path().starts_with("/gemini/v1beta/models/"));
    let mut config = config("https://g.example".parse().unwrap());
    config.model = " ".into();
    assert!(matches!(Gemini::new(config), Err(AiError::Misconfigured { .. })));
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_break_the_reader(body in any::<String>(), status in 100_u16..600, word in "[A-Z_]{0,12}") {
        let _ = read_body(status, &body);
        let _ = read_body(200, &candidate(json!([{"text": body, "thought": word}, body]), &word));
        let _ = read_body(status, &json!({"error": {"message": body, "details": [{"retryDelay": body}], "code": status}}).to_string());
    }
}

/// What each recorded case must come to, besides never being a draft by our schema.
fn expected(case: &str, got: &Result<Spoken, AiError>) -> bool {
    let case = case.trim_end_matches("-stream");
    match case {
        _ if case.starts_with("prompt-blocked") || case == "finish-safety" || case == "finish-recitation" => {
            matches!(got, Err(AiError::Refused { .. }))
        }
        _ if case.starts_with("error-429") || case.starts_with("error-503") => {
            matches!(got, Err(AiError::RetryAfter { .. }))
        }
        _ if case.starts_with("error-40") => matches!(got, Err(AiError::Misconfigured { .. })),
        _ if case.starts_with("finish-max-tokens") || case == "finish-other-no-content" => {
            matches!(got, Err(AiError::BadAnswer { .. }))
        }
        "edge-wrong-body" | "edge-empty-content" | "edge-empty-text-part" | "cached-content" | "openai-compat" => {
            matches!(got, Err(AiError::BadAnswer { .. })) || case == "cached-content"
        }
        "edge-empty-part" => got.is_ok(),
        _ if case.starts_with("ok") || case.starts_with("structured") || case.starts_with("usage") => got.is_ok(),
        _ => true,
    }
}

#[test]
fn recorded_answers_lead_to_the_right_decision() {
    for exchange in recorded("gemini") {
        let got = read_body(exchange.status, &exchange.body);
        let streamed = exchange.case.ends_with("-stream") && exchange.status == 200;
        if streamed {
            assert!(got.is_err(), "{}: a stream is no single answer", exchange.name);
        } else {
            assert!(expected(&exchange.case, &got), "{} ({}): {got:?}", exchange.name, exchange.case);
        }
        if let Ok(spoken) = got {
            let request = request();
            let drafted = draft(spoken, NAME, "m", &request, &render(&request));
            assert!(matches!(drafted, Err(AiError::BadAnswer { .. })), "{}", exchange.name);
        }
    }
}
