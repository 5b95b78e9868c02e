//! Samples of the log.

use super::super::activity::{ActivityPage, Actor, Event, Exchange};
use super::super::{Mark, Tone};
use super::{HOSTILE, ago, frame, id, instagram, reddit, troubled_frame};

fn event(number: u128, minutes: i64, actor: Actor, what: &str, kind: &str) -> Event {
    Event {
        id: id(800 + number),
        at: ago(minutes),
        actor,
        what: what.to_owned(),
        kind: kind.to_owned(),
        tone: Tone::Plain,
        mark: Some(reddit()),
        object: Some(("Grinder jumps two settings after cleaning".to_owned(), "/dashboard/inbox?item=1".to_owned())),
        before: None,
        after: None,
        exchange: None,
    }
}

fn ada() -> Actor {
    Actor::Person("Ada Lovelace".to_owned())
}

fn posted() -> Event {
    Event {
        tone: Tone::Good,
        exchange: Some(Exchange {
            request: "POST /api/comment\nauthorization: [cut out]\n\nthing_id=t1_k2w&api_type=json&text=(214 characters)".to_owned(),
            answer: "200 OK\nx-ratelimit-remaining: 511.0\n\n{\"json\":{\"errors\":[],\"data\":{\"things\":[{\"kind\":\"t1\",\"data\":{\"name\":\"t1_k2x\"}}]}}}".to_owned(),
        }),
        ..event(1, 1, Actor::Rejoinder, "saw the reply to u/beanfan on Reddit", "reply.posted")
    }
}

fn events() -> Vec<Event> {
    vec![
        posted(),
        event(2, 2, ada(), "approved the reply to u/beanfan", "suggestion.approved"),
        Event {
            before: Some("That jump is wear. Please buy a new burr set.".to_owned()),
            after: Some("That jump is the zero point moving, not wear.".to_owned()),
            ..event(3, 3, ada(), "changed the draft to u/beanfan", "suggestion.edited")
        },
        event(4, 4, Actor::Rejoinder, "wrote a draft, how-to at 0.91", "suggestion.drafted"),
        Event {
            tone: Tone::Held,
            mark: Some(instagram()),
            ..event(
                5,
                12,
                Actor::Rule("Quick thanks".to_owned()),
                "held the reply to @angry.otter: names an injury",
                "suggestion.held",
            )
        },
        Event {
            tone: Tone::Bad,
            object: None,
            mark: Some(instagram()),
            ..event(
                6,
                180,
                Actor::Rejoinder,
                "lost access to @acme.coffee: the token is no longer accepted",
                "integration.needs_reconnect",
            )
        },
        Event {
            mark: None,
            object: Some(("How-to question".to_owned(), "/dashboard/intents?intent=1".to_owned())),
            before: Some("confidence from 0.75".to_owned()),
            after: Some("confidence from 0.80".to_owned()),
            ..event(7, 1_600, ada(), "changed an intent", "intent.changed")
        },
        Event { mark: None, object: None, ..event(8, 30_000, ada(), "signed in for the first time", "user.created") },
    ]
}

pub fn pages() -> Vec<(&'static str, ActivityPage)> {
    let older = Some("2026-02-19T18:00:00Z_0195".to_owned());
    let full = ActivityPage { frame: frame(), events: events(), older, is_older: false };
    let empty = ActivityPage { events: vec![], older: None, ..full.clone() };
    let last = ActivityPage { is_older: true, older: None, ..full.clone() };
    let hostile_event = Event {
        mark: Some(Mark::new("mastodon", HOSTILE)),
        object: Some((HOSTILE.to_owned(), HOSTILE.to_owned())),
        before: Some(HOSTILE.to_owned()),
        after: Some("🙂".repeat(10_000)),
        exchange: Some(Exchange { request: HOSTILE.to_owned(), answer: HOSTILE.to_owned() }),
        ..event(9, 1, Actor::Person(HOSTILE.to_owned()), HOSTILE, HOSTILE)
    };
    let hostile = ActivityPage { frame: troubled_frame(), events: vec![hostile_event], ..full.clone() };
    vec![("full", full), ("empty", empty), ("last-page", last), ("hostile", hostile)]
}
