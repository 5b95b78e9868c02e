//! The state machine as a whole: what each change does to each state, and that no sequence leads anywhere else.

use proptest::prelude::*;
use rejoinder_app::flow::suggestion::change::Change;
use rejoinder_app::flow::suggestion::machine::{Draft, State, step};
use rejoinder_app::model::{GeneratedBy, Stage, Status, Switch};
use std::fmt::Write;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const NOW: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);
const ANA: Uuid = Uuid::from_u128(1);
const BEN: Uuid = Uuid::from_u128(2);
const GENERATION: Uuid = Uuid::from_u128(10);

/// The pairs that the database allows too.
fn fits(status: Status, stage: Stage) -> bool {
    match status {
        Status::Pending => matches!(stage, Stage::Drafting | Stage::Ready),
        Status::Approved => !matches!(stage, Stage::Drafting | Stage::Done),
        Status::Rejected | Status::Posted | Status::Failed => stage == Stage::Done,
    }
}

fn draft() -> Draft {
    Draft {
        generated_by: GeneratedBy::Ai,
        intent_id: None,
        tone: None,
        language: None,
        confidence: Some(0.5),
        should_reply: Some(true),
        reason: None,
        sensitive_topic: None,
        model: None,
        prompt_hash: None,
        tokens_prompt: None,
        tokens_output: None,
    }
}

fn state(status: Status, stage: Stage) -> State {
    let decided = matches!(status, Status::Approved | Status::Posted | Status::Failed);
    State {
        status,
        stage,
        stage_reason: None,
        version: 3,
        generation_id: GENERATION,
        text: (stage != Stage::Drafting).then(|| "text".to_owned()),
        original_text: None,
        edited: false,
        redrafted: false,
        alternatives: Vec::new(),
        draft: draft(),
        send_after: matches!(stage, Stage::Queued | Stage::Parked).then_some(NOW),
        lease_until: (stage == Stage::Sending).then_some(NOW),
        approved_by: decided.then_some(ANA),
        approved_at: decided.then_some(NOW),
        platform_reply_id: (status == Status::Posted).then(|| "t1_x".to_owned()),
        platform_reply_url: None,
        posted_at: (status == Status::Posted).then_some(NOW),
        held_reasons: Vec::new(),
        accepted_reasons: Vec::new(),
        waits_for: None,
    }
}

fn changes() -> Vec<(&'static str, Change)> {
    let later = NOW + Duration::minutes(1);
    vec![
        (
            "drafted",
            Change::Drafted {
                generation_id: GENERATION,
                draft: Box::new(draft()),
                variations: vec!["a".to_owned(), "b".to_owned()],
                holds: Vec::new(),
            },
        ),
        (
            "drafted-old",
            Change::Drafted {
                generation_id: BEN,
                draft: Box::new(draft()),
                variations: vec!["old".to_owned()],
                holds: Vec::new(),
            },
        ),
        ("draft-failed", Change::DraftFailed { generation_id: GENERATION, reason: "no".to_owned() }),
        ("edit", Change::Edit { text: "other".to_owned(), version: None, holds: Vec::new() }),
        ("edit-stale", Change::Edit { text: "other".to_owned(), version: Some(99), holds: Vec::new() }),
        ("approve", Change::Approve { text: None, version: None, send_after: None, holds: Vec::new() }),
        ("approve-and-send", Change::Approve { text: None, version: None, send_after: Some(NOW), holds: Vec::new() }),
        ("approve-stale", Change::Approve { text: None, version: Some(99), send_after: None, holds: Vec::new() }),
        (
            "approve-other-text",
            Change::Approve { text: Some("other".to_owned()), version: None, send_after: Some(NOW), holds: Vec::new() },
        ),
        ("send", Change::Send { send_after: NOW }),
        ("undo", Change::Undo),
        ("reject", Change::Reject { reason: None }),
        ("regenerate", Change::Regenerate { generation_id: BEN }),
        ("retry", Change::Retry { send_after: NOW }),
        ("claim", Change::Claim { lease_until: later }),
        ("reclaim", Change::Reclaim { lease_until: later }),
        (
            "approve-held",
            Change::Approve { text: None, version: None, send_after: Some(NOW), holds: vec!["a link".to_owned()] },
        ),
        ("park", Change::Park { until: later, reason: "wait".to_owned(), waits_for: None }),
        ("park-for-switch", Change::Park { until: later, reason: "off".to_owned(), waits_for: Some(Switch::Team) }),
        ("resume", Change::Resume),
        ("return", Change::Return { reasons: vec!["look".to_owned()] }),
        ("posted", Change::Posted { reply_id: "t1_y".to_owned(), url: None }),
        ("refused", Change::Refused { reason: "no".to_owned() }),
        ("target-gone", Change::TargetGone { reason: "gone".to_owned() }),
        ("target-edited", Change::TargetEdited { reason: "edited".to_owned() }),
        ("uncertain", Change::Uncertain { reason: "?".to_owned(), look_again_at: later }),
    ]
}

#[test]
fn each_change_of_each_state_is_decided() {
    let mut table = String::new();
    for &status in Status::ALL {
        for &stage in Stage::ALL.iter().filter(|stage| fits(status, **stage)) {
            writeln!(table, "{status} {stage}").unwrap();
            for (name, change) in changes() {
                let by_other = |actor| step(&state(status, stage), &change, Some(actor), NOW);
                let told = |actor| match by_other(actor) {
                    Ok(Some(next)) => format!("{} {}", next.status, next.stage),
                    Ok(None) => "stays".to_owned(),
                    Err(refusal) => format!("! {}", refusal.code),
                };
                let (same, other) = (told(ANA), told(BEN));
                let by_ben = if same == other { String::new() } else { format!("   (by another: {other})") };
                writeln!(table, "  {name:<20}{same}{by_ben}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

proptest! {
    #[test]
    fn no_sequence_of_changes_leads_out_of_the_machine(picks in prop::collection::vec((0usize..26, any::<bool>(), 0i64..90), 1..60)) {
        let mut current = state(Status::Pending, Stage::Drafting);
        let mut now = NOW;
        for (pick, ana, minutes) in picks {
            now += Duration::minutes(minutes);
            let (name, change) = changes().swap_remove(pick);
            let Ok(Some(next)) = step(&current, &change, Some(if ana { ANA } else { BEN }), now) else { continue };
            prop_assert!(fits(next.status, next.stage), "{name}: {} {}", next.status, next.stage);
            prop_assert_eq!(next.version, current.version + 1, "{}", name);
            prop_assert!(next.status != Status::Posted || next.platform_reply_id.is_some());
            prop_assert!(next.stage == Stage::Drafting || next.status == Status::Failed || next.text.is_some() || next.status == Status::Rejected);
            prop_assert!(current.status != Status::Posted, "{}: what is posted stays posted", name);
            // What answers a text that is gone may quote it, so nothing of it stays.
            if current.status == Status::Approved && name != "target-gone" {
                prop_assert_eq!(&next.text, &current.text, "{}: an approved text does not change", name);
            }
            if next.status == Status::Approved {
                prop_assert!(next.approved_at.is_some() && next.approved_by.is_some());
            }
            if matches!(next.stage, Stage::Queued | Stage::Parked) {
                prop_assert!(next.send_after.is_some(), "{}: what waits has a time", name);
            }
            // Only a worker that takes it up, or the settling of an attempt, leads out of an unknown outcome: nobody's wish does.
            if current.stage == Stage::Uncertain && next.stage != Stage::Uncertain {
                prop_assert!(["reclaim", "park", "park-for-switch", "return", "posted", "refused"].contains(&name), "{name}");
            }
            current = next;
        }
    }
}
