//! Whole lives from made-up rows.

use super::{Step, tell};
use crate::flow::activity::ActivityRow;
use crate::flow::send::Attempt;
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const START: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);

fn at(seconds: i64) -> OffsetDateTime {
    START + Duration::seconds(seconds)
}

fn row(seconds: i64, kind: &str, by: Option<&str>, payload: Value) -> ActivityRow {
    ActivityRow {
        id: Uuid::from_u128(1),
        team_id: Uuid::from_u128(2),
        actor_user_id: None,
        actor_name: by.map(str::to_owned),
        kind: kind.to_owned(),
        subject_kind: "suggestion".to_owned(),
        subject_id: Uuid::from_u128(3),
        subject_name: None,
        payload,
        request_id: None,
        created_at: at(seconds),
    }
}

fn attempt(number: i32, armed: i64, outcome: &str, finished: Option<i64>) -> Attempt {
    Attempt {
        id: Uuid::from_u128(100 + number as u128),
        suggestion_id: Uuid::from_u128(3),
        number,
        worker_id: Uuid::from_u128(5),
        armed_at: at(armed),
        outcome: outcome.to_owned(),
        reason: None,
        status: None,
        request: json!({}),
        answer: json!({}),
        platform_reply_id: None,
        absent_reads: 0,
        last_read_at: None,
        finished_at: finished.map(at),
        call_ended_at: None,
        taken: false,
        words_there: false,
    }
}

fn attempt_id(number: u128) -> Uuid {
    Uuid::from_u128(100 + number)
}

/// One line a step: seconds, sentence and the rest that is there.
fn lines(steps: &[Step]) -> Vec<String> {
    let line = |step: &Step| {
        let until = step.until.map(|until| format!(" until {}", (until - START).whole_seconds())).unwrap_or_default();
        let switch = step.waits_for.map(|switch| format!(" for {switch}")).unwrap_or_default();
        let times = step.times.map(|times| format!(" x{times}")).unwrap_or_default();
        let link = step.link.as_ref().map(|link| format!(" at {link}")).unwrap_or_default();
        format!("{} {}{until}{switch}{times}{link}", (step.at - START).whole_seconds(), step.text)
    };
    steps.iter().map(line).collect()
}

#[test]
fn a_plain_life_is_told_from_the_wish_to_the_place_where_it_stands() {
    let draft = json!({ "draft": { "generated_by": "ai", "model": "gemini-2.5-flash", "confidence": 0.914 } });
    let rows = [
        row(40, "reply.posted", None, json!({ "platform_reply_url": "https://reddit.example/x/" })),
        row(40, "reply.exchange", None, json!({ "attempt_id": attempt_id(1), "outcome": "posted", "status": 200 })),
        row(39, "reply.armed", None, json!({ "attempt_id": attempt_id(1) })),
        row(38, "suggestion.claimed", None, json!({})),
        row(30, "suggestion.approved", Some("Ana Lima"), json!({ "send_after": at(38).unix_timestamp() })),
        row(20, "suggestion.edited", Some("Ben"), json!({ "before": { "text": "Old" }, "after": { "text": "New" } })),
        row(5, "suggestion.drafted", None, draft),
        row(0, "suggestion.requested", Some("Ana Lima"), json!({})),
    ];
    let posted = Attempt { status: Some(200), ..attempt(1, 39, "posted", Some(40)) };
    assert_eq!(
        lines(&tell(&rows, &[posted])),
        [
            "0 Ana Lima asked for a reply",
            "5 Rejoinder wrote a draft with gemini-2.5-flash, confidence 0.91",
            "20 Ben changed the text",
            "30 Ana Lima approved the reply until 38",
            "39 Attempt 1 began",
            "40 Attempt 1: the platform took it (HTTP 200)",
            "40 Rejoinder saw the reply on the platform at https://reddit.example/x/",
        ]
    );
}

#[test]
fn what_it_waited_for_is_told_once_with_its_last_time() {
    let wait = |seconds, reason: &str, until: i64| {
        row(seconds, "suggestion.parked", None, json!({ "reason": reason, "send_after": at(until).unix_timestamp() }))
    };
    let mut paused = wait(400, "the account is paused: too many refusals", 80_000);
    paused.payload["waits_for"] = json!("integration");
    let rows = [
        wait(10, "the day's limit is reached", 100),
        wait(100, "the day's limit is reached", 200),
        wait(200, "the day's limit is reached", 300),
        wait(300, "quiet hours", 400),
        paused,
        row(500, "suggestion.resumed", None, json!({ "send_after": at(500).unix_timestamp() })),
        row(
            600,
            "suggestion.returned",
            None,
            json!({ "reason": "the thread is locked", "held_reasons": ["the thread is locked"] }),
        ),
    ];
    assert_eq!(
        lines(&tell(&rows, &[])),
        [
            "200 Waits: the day's limit is reached until 300 x3",
            "300 Waits: quiet hours until 400",
            "400 Waits: the account is paused: too many refusals for integration",
            "500 Rejoinder took the waiting reply up again",
            "600 Rejoinder gave it back to a person: the thread is locked",
        ]
    );
}

#[test]
fn an_answer_that_never_came_is_told_with_every_look_until_it_is_sent_again() {
    let reason = "read back 3 times and not there: it was never posted, so it is sent again";
    let read = |seconds| row(seconds, "reply.read_back", None, json!({ "attempt_id": attempt_id(1), "found": false }));
    let unclear =
        json!({ "attempt_id": attempt_id(1), "outcome": "uncertain", "status": 500, "reason": "Reddit answered 500" });
    let rows = [
        row(2, "reply.exchange", None, unclear),
        row(2, "reply.uncertain", None, json!({ "reason": "Nobody knows yet", "send_after": at(4).unix_timestamp() })),
        read(10),
        read(80),
        read(150),
        row(150, "suggestion.parked", None, json!({ "reason": reason, "send_after": at(150).unix_timestamp() })),
        row(152, "reply.exchange", None, json!({ "attempt_id": attempt_id(2), "outcome": "refused", "status": 403 })),
        row(152, "reply.refused", None, json!({ "reason": "Reddit says: locked (THREAD_LOCKED)" })),
    ];
    let first = Attempt { reason: Some(reason.to_owned()), status: Some(500), ..attempt(1, 1, "not_sent", Some(150)) };
    let refusal = Some("Reddit says: locked (THREAD_LOCKED)".to_owned());
    let second = Attempt { reason: refusal, status: Some(403), ..attempt(2, 151, "refused", Some(152)) };
    assert_eq!(
        lines(&tell(&rows, &[first, second])),
        [
            "1 Attempt 1 began",
            "2 Attempt 1: no clear answer (HTTP 500): Reddit answered 500",
            "150 Rejoinder looked on the platform: the reply is not there x3",
            "150 Attempt 1: nothing was posted: read back 3 times and not there: it was never posted, so it is sent again",
            "151 Attempt 2 began",
            "152 Attempt 2: the platform refused it (HTTP 403): Reddit says: locked (THREAD_LOCKED)",
        ]
    );
}

#[test]
fn a_worker_that_died_and_a_person_who_looked_are_told() {
    let rows = [
        row(
            90,
            "reply.uncertain",
            None,
            json!({ "reason": "it cannot be read back. Look on the platform and decide." }),
        ),
        row(300, "reply.posted", Some("Ana Lima"), json!({ "platform_reply_url": "https://reddit.example/x/" })),
    ];
    let open = attempt(1, 1, "uncertain", None);
    assert_eq!(
        lines(&tell(&rows[..1], &[open]))[1..],
        ["90 Rejoinder cannot tell what became of it: it cannot be read back. Look on the platform and decide."]
    );
    let found =
        Attempt { reason: Some("a person found it on the platform".to_owned()), ..attempt(1, 1, "posted", Some(300)) };
    assert_eq!(
        lines(&tell(&rows, &[found]))[2..],
        [
            "300 Attempt 1: the platform took it: a person found it on the platform",
            "300 Ana Lima found the reply on the platform at https://reddit.example/x/",
        ]
    );
}

#[test]
fn entries_of_an_older_or_newer_version_break_nothing() {
    let odd = [
        "suggestion.parked",
        "suggestion.held",
        "suggestion.drafted",
        "reply.exchange",
        "reply.read_back",
        "reply.posted",
        "x",
    ];
    for payload in [
        json!(null),
        json!([]),
        json!({ "reason": 7, "send_after": "soon", "attempt_id": 1, "outcome": "uncertain", "status": 99_999 }),
    ] {
        let rows: Vec<_> = odd.iter().map(|kind| row(0, kind, None, payload.clone())).collect();
        assert!(tell(&rows, &[]).len() >= 4, "{payload}");
    }
}
