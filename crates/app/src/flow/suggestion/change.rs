//! The changes that a suggestion can go through, and how each is told: to whoever lost a race, and in the log.

use super::machine::{Draft, State};
use crate::flow::activity::Kind;
use crate::model::{Status, Switch};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A draft came back. Ignored unless it is the generation that was asked for last.
    /// `holds`: what the safety checks say of the first variation.
    Drafted {
        generation_id: Uuid,
        draft: Box<Draft>,
        variations: Vec<String>,
        holds: Vec<String>,
    },
    DraftFailed {
        generation_id: Uuid,
        reason: String,
    },
    Edit {
        text: String,
        version: Option<i32>,
        holds: Vec<String>,
    },
    /// `send_after` queues it for that time; None approves only. `holds`: what the safety checks say of the text. Those that stood
    /// beside it before are accepted with it; a new one keeps it pending.
    Approve {
        text: Option<String>,
        version: Option<i32>,
        send_after: Option<OffsetDateTime>,
        holds: Vec<String>,
    },
    Send {
        send_after: OffsetDateTime,
    },
    Undo,
    Reject {
        reason: Option<String>,
    },
    Regenerate {
        generation_id: Uuid,
    },
    Retry {
        send_after: OffsetDateTime,
    },
    /// A worker takes it; nobody else touches it until the lease ends.
    Claim {
        lease_until: OffsetDateTime,
    },
    /// The worker that died or paused left it; another goes on.
    Reclaim {
        lease_until: OffsetDateTime,
    },
    /// Until then, or until the switch is turned back, whichever comes first.
    Park {
        until: OffsetDateTime,
        reason: String,
        waits_for: Option<Switch>,
    },
    /// The switch that it waited for was turned back.
    Resume,
    /// The gate or a rule wants a person to look again.
    Return {
        reasons: Vec<String>,
    },
    /// The text that it answers is gone on the platform: nothing of it may stay, and a draft may quote it.
    TargetGone {
        reason: String,
    },
    /// The text that it answers says something else now.
    TargetEdited {
        reason: String,
    },
    Posted {
        reply_id: String,
        url: Option<String>,
    },
    Refused {
        reason: String,
    },
    Uncertain {
        reason: String,
        look_again_at: OffsetDateTime,
    },
}

impl Change {
    /// The past tense shown to whoever lost a race.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Drafted { .. } => "drafted",
            Self::DraftFailed { .. } => "failed to draft",
            Self::Edit { .. } => "edited",
            Self::Approve { .. } => "approved",
            Self::Send { .. } => "queued",
            Self::Undo => "taken back",
            Self::Reject { .. } | Self::TargetGone { .. } => "rejected",
            Self::Regenerate { .. } => "asked for again",
            Self::Retry { .. } => "retried",
            Self::Claim { .. } | Self::Reclaim { .. } => "taken up for sending",
            Self::Park { .. } => "parked",
            Self::Resume => "resumed",
            Self::Return { .. } | Self::TargetEdited { .. } => "returned to a person",
            Self::Posted { .. } => "posted",
            Self::Refused { .. } => "refused by the platform",
            Self::Uncertain { .. } => "left uncertain",
        }
    }

    pub fn activity(&self, after: &State) -> Kind {
        match self {
            Self::Approve { .. } if after.status == Status::Pending => Kind::SuggestionHeld,
            Self::Drafted { .. } => Kind::SuggestionDrafted,
            Self::DraftFailed { .. } => Kind::SuggestionDraftFailed,
            Self::Edit { .. } => Kind::SuggestionEdited,
            Self::Approve { .. } => Kind::SuggestionApproved,
            Self::Send { .. } => Kind::SuggestionQueued,
            Self::Undo => Kind::SuggestionUndone,
            Self::Reject { .. } | Self::TargetGone { .. } => Kind::SuggestionRejected,
            Self::TargetEdited { .. } => Kind::SuggestionHeld,
            Self::Regenerate { .. } => Kind::SuggestionRegenerated,
            Self::Retry { .. } => Kind::SuggestionRetried,
            Self::Claim { .. } | Self::Reclaim { .. } => Kind::SuggestionClaimed,
            Self::Park { .. } => Kind::SuggestionParked,
            Self::Resume => Kind::SuggestionResumed,
            Self::Return { .. } => Kind::SuggestionReturned,
            Self::Posted { .. } => Kind::ReplyPosted,
            Self::Refused { .. } => Kind::ReplyRefused,
            Self::Uncertain { .. } => Kind::ReplyUncertain,
        }
    }

    /// Before and after, for the log. Texts here are ours; strangers' texts never enter it.
    pub fn payload(&self, before: &State, after: &State) -> Value {
        let mut payload = json!({
            "before": { "status": before.status, "stage": before.stage, "version": before.version },
            "after": { "status": after.status, "stage": after.stage, "version": after.version },
        });
        // A draft may quote a stranger: only its hash is kept. What a person wrote is ours.
        if before.text != after.text && !matches!(self, Self::Drafted { .. } | Self::TargetGone { .. }) {
            payload["before"]["text"] = json!(before.text);
            payload["after"]["text"] = json!(after.text);
        }
        if let Some(text) = &after.text {
            payload["text_sha256"] = json!(hex(&Sha256::digest(text.as_bytes())));
        }
        if !after.held_reasons.is_empty() && after.held_reasons != before.held_reasons {
            payload["held_reasons"] = json!(after.held_reasons);
        }
        if let Some(switch) = after.waits_for {
            payload["waits_for"] = json!(switch);
        }
        if let Some(reason) = &after.stage_reason {
            payload["reason"] = json!(reason);
        }
        if let Self::Drafted { draft, variations, .. } = self {
            payload["draft"] = json!({
                "generated_by": draft.generated_by, "model": draft.model, "confidence": draft.confidence,
                "intent_id": draft.intent_id, "tokens_prompt": draft.tokens_prompt, "tokens_output": draft.tokens_output,
                "prompt_sha256": draft.prompt_hash, "variations": variations.len(),
            });
        }
        if let Self::Posted { reply_id, url } = self {
            payload["platform_reply_id"] = json!(reply_id);
            payload["platform_reply_url"] = json!(url);
        }
        if after.send_after != before.send_after
            && let Some(at) = after.send_after
        {
            payload["send_after"] = json!(at.unix_timestamp());
        }
        payload
    }
}

impl Change {
    /// Whether it leaves the draft and its alternatives alone.
    pub(super) fn keeps_draft(&self) -> bool {
        matches!(
            self,
            Self::Approve { .. }
                | Self::Claim { .. }
                | Self::Reclaim { .. }
                | Self::Park { .. }
                | Self::Resume
                | Self::Return { .. }
                | Self::Posted { .. }
                | Self::Refused { .. }
                | Self::Uncertain { .. }
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
