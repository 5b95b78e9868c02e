//! The job `ai.generate`: reads the thread, asks the model without a transaction, writes the draft in one.
//!
//! Passing trouble is tried again with backoff; when the tries are used up, or the model cannot do it, the template writes; when
//! that cannot either, the suggestion fails with the reason and a person may write it or ask again.

use super::context;
use crate::clients::ai::{AiError, Draft, DraftRequest, GeneratedBy, Provider, Tone};
use crate::clock::Moment;
use crate::flow::safety;
use crate::flow::suggestion::{self, Change, Suggestion};
use crate::jobs::State;
use crate::model;
use crate::queue::{Class, Job, JobContext, JobError};
use crate::telemetry::{self, AiOutcome};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A person does not wait longer for the model; then the template writes.
const PATIENCE: time::Duration = time::Duration::minutes(3);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AiGenerate {
    pub suggestion_ids: Vec<Uuid>,
    pub team_id: Uuid,
    pub generation_id: Uuid,
}

#[async_trait]
impl Job<State> for AiGenerate {
    const NAME: &'static str = "ai.generate";
    const CLASS: Class = Class::Ai;
    const MAX_ATTEMPTS: i16 = 6;
    const TIMEOUT: Duration = Duration::from_secs(45);

    fn key(&self) -> Option<String> {
        Some(format!("ai:{}", self.generation_id))
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        for id in &self.suggestion_ids {
            draft_one(state, ctx, &self, *id).await?;
        }
        Ok(())
    }
}

async fn draft_one(state: &State, ctx: &JobContext, job: &AiGenerate, id: Uuid) -> Result<(), JobError> {
    let app = &state.app;
    let mut conn = app.db.acquire().await?;
    let Some(suggestion) = suggestion::load(&mut conn, job.team_id, id).await? else { return Ok(()) };
    if suggestion.state.generation_id != job.generation_id || suggestion.state.stage != model::Stage::Drafting {
        return Ok(());
    }
    let capabilities = match state.capabilities(&mut conn, &suggestion).await {
        Ok(capabilities) => capabilities,
        Err(JobError::Permanent(reason)) => return finish(state, ctx, &suggestion, None, Err(reason)).await,
        Err(error) => return Err(error),
    };
    let request = context::load(&mut conn, &suggestion, capabilities).await?;
    drop(conn);
    let Some(request) = request else {
        return finish(state, ctx, &suggestion, None, Err("the text to answer is gone".to_owned())).await;
    };
    let result = match ask(app.ai.as_ref(), &request).await {
        Ok(draft) => Ok(draft),
        Err(AiError::RetryAfter { after: Some(after), reason }) if worth_waiting(ctx, &suggestion, after) => {
            let at = ctx.now + time::Duration::try_from(after).unwrap_or(time::Duration::MINUTE);
            return Err(JobError::RetryAt { at, reason });
        }
        Err(AiError::RetryAfter { after: None, reason } | AiError::BadAnswer { reason })
            if ctx.attempt < ctx.max_attempts =>
        {
            return Err(JobError::Retry(reason));
        }
        Err(error) => fall_back(state, &request, &error).await,
    };
    let tone = result.as_ref().ok().map(|draft| tone_of(&request, draft.intent));
    finish(state, ctx, &suggestion, tone, result).await
}

/// The tone of the intent that the draft follows, or of the team's first one.
fn tone_of(request: &DraftRequest, intent: Option<Uuid>) -> Tone {
    request.intents.iter().find(|spec| Some(spec.id) == intent).map_or(request.tone, |spec| spec.tone)
}

/// Whether a person who waits for the draft still gets one in time when the model is asked again as late as it wants.
fn worth_waiting(ctx: &JobContext, suggestion: &Suggestion, after: Duration) -> bool {
    let asked_at = suggestion.updated_at;
    time::Duration::try_from(after).is_ok_and(|after| ctx.now + after < asked_at + PATIENCE)
}

async fn ask(provider: &dyn Provider, request: &DraftRequest) -> Result<Draft, AiError> {
    let started = Instant::now();
    let result = provider.draft(request).await;
    telemetry::ai_answered(provider.name(), started.elapsed());
    result
}

/// The template writes instead of the model. What the provider refuses for safety is left to a person.
async fn fall_back(state: &State, request: &DraftRequest, error: &AiError) -> Result<Draft, String> {
    tracing::warn!(%error, "no draft from the model");
    if matches!(error, AiError::Refused { .. }) || state.app.ai.name() == state.template.name() {
        return Err(error.to_string());
    }
    ask(&state.template, request).await.map_err(|_| error.to_string())
}

async fn finish(
    state: &State,
    ctx: &JobContext,
    suggestion: &Suggestion,
    tone: Option<Tone>,
    result: Result<Draft, String>,
) -> Result<(), JobError> {
    let moment = Moment::at(ctx.now, &state.app.entropy);
    let generation_id = suggestion.state.generation_id;
    telemetry::ai_job_ended(match &result {
        Ok(draft) if !draft.should_reply => AiOutcome::Skipped,
        Ok(draft) if draft.generated_by == GeneratedBy::Template => AiOutcome::Template,
        Ok(_) => AiOutcome::Drafted,
        Err(_) => AiOutcome::Failed,
    });
    let mut tx = state.app.db.begin().await?;
    let change = match result {
        Ok(draft) => {
            let length = state.capabilities(&mut tx, suggestion).await.map(|can| can.length).unwrap_or_default();
            let first = draft.variations.first().map_or("", String::as_str);
            let holds = safety::holds_for(&mut tx, suggestion, length, first, moment.now).await?;
            let facts = Box::new(facts(&draft, tone));
            Change::Drafted { generation_id, draft: facts, variations: draft.variations, holds }
        }
        Err(reason) => Change::DraftFailed { generation_id, reason },
    };
    match suggestion::change(&mut tx, &moment, suggestion.team_id, suggestion.id, None, change).await {
        Ok(_) => tx.commit().await?,
        Err(suggestion::ChangeError::Database(error)) => return Err(error.into()),
        // Decided by a person meanwhile: the draft came too late.
        Err(error) => tracing::info!(%error, "draft not used"),
    }
    Ok(())
}

fn facts(draft: &Draft, tone: Option<Tone>) -> suggestion::Draft {
    suggestion::Draft {
        generated_by: match draft.generated_by {
            GeneratedBy::Ai => model::GeneratedBy::Ai,
            GeneratedBy::Template => model::GeneratedBy::Template,
        },
        intent_id: draft.intent,
        tone: tone.map(|tone| tone.as_str().to_owned()),
        language: draft.language.clone(),
        confidence: Some(draft.confidence),
        should_reply: Some(draft.should_reply),
        reason: Some(draft.reason.clone()),
        sensitive_topic: draft.sensitive_topic.clone(),
        model: Some(draft.model.clone()),
        prompt_hash: Some(draft.prompt_hash.clone()),
        tokens_prompt: draft.tokens.map(|tokens| tokens.prompt),
        tokens_output: draft.tokens.map(|tokens| tokens.output),
    }
}
