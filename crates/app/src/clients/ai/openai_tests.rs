use super::super::samples::{GOOD, Script, request};
use super::super::{Mode, Tokens};
use super::*;
use serde_json::{Value, json};

fn client(base: Url, key: Option<&str>) -> OpenAi {
    let config = OpenAiConfig {
        api_base: base,
        api_key: key.map(SecretString::from),
        model: "small".into(),
        timeout: Duration::from_secs(5),
        max_tokens_field: None,
    };
    OpenAi::new(config).unwrap()
}

fn chat(content: &str) -> String {
    json!({
        "model": "small-2",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
    })
    .to_string()
}

fn refused(message: &str, param: &str, code: &str) -> String {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}).to_string()
}

fn formats(script: &Script) -> Vec<String> {
    let kind = |body: &Value| match body["response_format"]["type"].as_str() {
        Some("json_schema") if body.to_string().contains("maxLength") => "bounded".to_owned(),
        Some(kind) => kind.to_owned(),
        None => "none".to_owned(),
    };
    script.seen().iter().map(|seen| kind(&seen.body)).collect()
}

#[tokio::test]
async fn a_good_answer_becomes_a_draft() {
    let (script, base) = Script::serve(&[(200, &chat(GOOD))]).await;
    let draft = client(base, Some("sk-1")).draft(&request()).await.unwrap();
    assert_eq!((draft.provider, draft.model.as_str(), draft.variations.len()), ("openai", "small-2", 1));
    assert_eq!(draft.tokens, Some(Tokens { prompt: 90, output: 10, total: 100 }));
    let seen = script.seen();
    assert_eq!(seen[0].path, "/v1/chat/completions");
    assert_eq!(seen[0].headers["authorization"], "Bearer sk-1");
    assert_eq!(seen[0].body["messages"][0]["role"], "system");
    assert!(!seen[0].body["messages"][0].to_string().contains("money back"));
    assert!(seen[0].body["messages"][1].to_string().contains("money back"));
}

#[tokio::test]
async fn servers_without_a_key_get_none() {
    let (script, base) = Script::serve(&[(200, &chat(GOOD))]).await;
    client(base, None).draft(&request()).await.unwrap();
    assert!(!script.seen()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_refused_format_is_weakened_step_by_step_and_remembered() {
    let no = refused("This model does not support response_format", "response_format", "");
    let grammar = r#"{"error": {"code": 400, "message": "Either \"json_schema\" or \"grammar\" can be specified, but not both"}}"#;
    let fenced = chat(&format!("```json\n{GOOD}\n```"));
    let answers =
        [(400, grammar), (400, no.as_str()), (422, no.as_str()), (200, fenced.as_str()), (200, fenced.as_str())];
    let (script, base) = Script::serve(&answers).await;
    let client = client(base, None);
    client.draft(&request()).await.unwrap();
    client.draft(&request()).await.unwrap();
    assert_eq!(formats(&script), ["bounded", "json_schema", "json_object", "none", "none"]);
}

#[tokio::test]
async fn the_name_of_the_limit_and_the_role_follow_the_server() {
    let limit = refused(
        "Unsupported parameter: 'max_tokens' is not supported, use 'max_completion_tokens'.",
        "max_tokens",
        "unsupported_parameter",
    );
    let role = refused(
        "Unsupported value: 'messages[0].role' does not support 'system'.",
        "messages[0].role",
        "unsupported_value",
    );
    let good = chat(GOOD);
    let (script, base) = Script::serve(&[(400, &limit), (400, &role), (200, &good), (200, &good)]).await;
    let client = client(base, None);
    client.draft(&request()).await.unwrap();
    client.draft(&request()).await.unwrap();
    let seen = script.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen[0].body.get("max_tokens").is_some() && seen[0].body.get("max_completion_tokens").is_none());
    assert!(seen[3].body.get("max_tokens").is_none() && seen[3].body.get("max_completion_tokens").is_some());
    assert_eq!(seen[3].body["messages"].as_array().unwrap().len(), 1);
    assert_eq!(seen[3].body["response_format"]["type"], "json_schema");
}

#[tokio::test]
async fn a_server_that_refuses_everything_is_not_asked_for_ever() {
    let no = refused("response_format is not supported", "response_format", "");
    let answers = vec![(400, no.as_str()); 20];
    let (script, base) = Script::serve(&answers).await;
    let error = client(base, None).draft(&request()).await.unwrap_err();
    assert!(matches!(error, AiError::Misconfigured { .. }), "{error}");
    assert_eq!(formats(&script).len(), 4);
}

#[tokio::test]
async fn other_refusals_are_asked_once() {
    for (status, body) in [(401, "{}"), (404, r#"{"error": "model 'x' not found"}"#), (503, "loading"), (429, "{}")] {
        let (script, base) = Script::serve(&[(status, body)]).await;
        client(base, Some("sk-1")).draft(&request()).await.unwrap_err();
        assert_eq!(script.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_silent_server_ends_in_a_retry() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let mut client = client(base, None);
    client.config.timeout = Duration::from_millis(50);
    let error = client.draft(&request()).await.unwrap_err();
    assert!(matches!(error, AiError::RetryAfter { after: None, .. }), "{error}");
}

#[tokio::test]
async fn a_fast_draft_asks_for_one_short_text() {
    let (script, base) = Script::serve(&[(200, &chat(GOOD))]).await;
    let mut request = request();
    request.mode = Mode::Fast;
    client(base, None).draft(&request).await.unwrap();
    let schema = &script.seen()[0].body["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["properties"]["variations"]["maxItems"], 1);
}

#[test]
fn the_base_is_joined_without_doubling() {
    let joined = |base: &str| address(&base.parse().unwrap()).unwrap().to_string();
    assert_eq!(joined("http://h:1"), "http://h:1/v1/chat/completions");
    assert_eq!(joined("http://h:1/v1/"), "http://h:1/v1/chat/completions");
    assert_eq!(joined("https://h/api/v1"), "https://h/api/v1/chat/completions");
    assert_eq!(joined("https://h/v1beta/openai"), "https://h/v1beta/openai/chat/completions");
    assert_eq!(joined("https://h/v1/chat/completions"), "https://h/v1/chat/completions");
    assert_eq!(address(&"mailto:a@b".parse().unwrap()), None);
}

#[tokio::test]
async fn the_list_of_models_tells_of_ours_without_asking_for_a_draft() {
    let listed = json!({ "data": [{ "id": "other" }, { "id": "small" }] }).to_string();
    let (script, base) = Script::serve(&[(200, &listed), (200, r#"{"data":[]}"#), (404, ""), (401, "{}")]).await;
    let client = client(base, Some("sk-1"));
    assert_eq!(client.has_model().await, Ok(true));
    assert_eq!(client.has_model().await, Ok(false));
    assert_eq!(client.has_model().await, Ok(false), "a server without a list");
    assert!(matches!(client.has_model().await, Err(AiError::Misconfigured { .. })));
    let seen = script.seen();
    assert!(seen.iter().all(|seen| seen.path == "/v1/models" && seen.headers["authorization"] == "Bearer sk-1"));
}
