//! Drafts a reply to each comment of a JSON Lines file through an OpenAI-compatible server and counts the valid ones.
//!
//! `OPENAI_API_BASE=http://127.0.0.1:8080/v1 OPENAI_MODEL=small cargo run --example draft_comments -- comments.jsonl`
//! A line is `{"author": "...", "post": "...", "text": "..."}`. Exit code 1 when a comment ends without a draft. An
//! unusable answer is asked for again twice, as the drafting job does.

use anyhow::Context;
use rejoinder_app::clients::ai::*;
use rejoinder_platforms::LengthRule;
use secrecy::SecretString;
use serde::Deserialize;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use uuid::Uuid;

const MOST_TRIES: u64 = 3;

#[derive(Deserialize)]
struct Comment {
    author: String,
    post: String,
    text: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let path = std::env::args().nth(1).context("usage: draft_comments <comments.jsonl>")?;
    let comments = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let provider = OpenAi::new(OpenAiConfig {
        api_base: std::env::var("OPENAI_API_BASE").context("OPENAI_API_BASE is not set")?.parse()?,
        api_key: std::env::var("OPENAI_API_KEY").ok().map(SecretString::from),
        model: std::env::var("OPENAI_MODEL").context("OPENAI_MODEL is not set")?,
        timeout: Duration::from_secs(120),
        max_tokens_field: None,
    })?;
    let (mut valid, mut first_time, mut total) = (0, 0, 0);
    let mut waited = Duration::ZERO;
    for line in comments.lines().filter(|line| !line.trim().is_empty()) {
        let comment: Comment = serde_json::from_str(line).context("a line is not a comment")?;
        total += 1;
        let start = Instant::now();
        let (draft, tries) = drafted(&provider, &comment, total).await;
        let took = start.elapsed();
        waited += took;
        match draft {
            Ok(draft) => {
                valid += 1;
                first_time += u32::from(tries == 1);
                println!(
                    "{total:2}  {:5.1} s  {:.2}  {}",
                    took.as_secs_f64(),
                    draft.confidence,
                    draft.variations[0].replace('\n', " ")
                );
            }
            Err(error) => println!("{total:2}  {:5.1} s  no draft: {error}", took.as_secs_f64()),
        }
    }
    println!(
        "{valid} of {total} drafts valid ({first_time} at the first try), {:.1} s per draft",
        waited.as_secs_f64() / total.max(1) as f64
    );
    Ok(if valid == total && total > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn drafted(provider: &OpenAi, comment: &Comment, number: u64) -> (Result<Draft, AiError>, u64) {
    let mut tries = 1;
    loop {
        match provider.draft(&request(comment, number * 100 + tries)).await {
            Err(AiError::BadAnswer { .. }) if tries < MOST_TRIES => tries += 1,
            result => return (result, tries),
        }
    }
}

fn request(comment: &Comment, seed: u64) -> DraftRequest {
    let thread = |author: Option<&str>, text: &str| ThreadText {
        author: author.map(str::to_owned),
        title: None,
        text: text.to_owned(),
    };
    DraftRequest {
        community_rules: Vec::new(),
        brand_voice: "Warm, short and honest.".into(),
        tone: Tone::Friendly,
        intents: vec![
            intent(1, "question", "Good question! Here is how it works."),
            intent(2, "thanks", "Thank you, that made our day!"),
            intent(3, "complaint", "We are sorry. Please send us your order number."),
        ],
        wanted_intent: None,
        community: None,
        platform: "instagram".into(),
        length: LengthRule::characters(280),
        mode: Mode::Fast,
        post: thread(None, &comment.post),
        parents: Vec::new(),
        target: thread(Some(&comment.author), &comment.text),
        our_name: "Ferry Coffee".into(),
        seed,
    }
}

fn intent(number: u128, name: &str, example: &str) -> IntentSpec {
    IntentSpec {
        id: Uuid::from_u128(number),
        name: name.into(),
        tone: Tone::Friendly,
        brand_voice: String::new(),
        confidence_threshold: 0.8,
        variations: vec![VariationSpec { text: example.into(), weight: 10 }],
    }
}
