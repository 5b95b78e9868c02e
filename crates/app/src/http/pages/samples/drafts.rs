//! Samples of the draft pane: one per state, and texts that try to break it.

use super::super::WebLink;
use super::super::inbox_draft::{DraftPane, DraftState, Editor, Facts, HistoryLine, HouseRule, IntentChoice, Posted};
use super::{ARABIC, HOSTILE, NOW, ago, ahead, id, instagram, reddit, x};
use rejoinder_platforms::LengthRule;
use time::Duration;

const REPLY: &str = "Hi! That jump is the zero point moving, not wear. After cleaning, turn the ring finer until the burrs just touch (you hear it), then back two clicks, and set the dial to 0 there. Your old setting is right again.";

fn facts() -> Facts {
    Facts {
        author: Some("u/beanfan".to_owned()),
        times_answered: Some(3),
        comments: Some(14),
        account: Some("u/acme_coffee".to_owned()),
        rules: vec![
            HouseRule { title: "No ads".to_owned(), description: "Shops may answer, not advertise.".to_owned() },
            HouseRule { title: "Be kind".to_owned(), description: String::new() },
        ],
        caution: None,
        silent_since: None,
        found_by: None,
        intent: Some("how-to".to_owned()),
        confidence: Some(0.91),
        tone: Some("friendly".to_owned()),
        language: Some("en".to_owned()),
        safety: Some((9, 9)),
        written_by: Some("gemini-2.5-flash".to_owned()),
        tokens: Some(612),
        cost_millionths: Some(400),
        history: vec![
            told(1, "Rejoinder wrote a draft with gemini-2.5-flash, confidence 0.91"),
            told(2, "Ada asked for a reply"),
        ],
    }
}

fn told(minutes: i64, text: &str) -> HistoryLine {
    HistoryLine { at: ago(minutes), text: text.to_owned(), until: None, link: None }
}

fn editor(text: &str) -> Editor {
    Editor {
        suggestion_id: id(501),
        version: 3,
        text: text.to_owned(),
        original_text: None,
        theirs: None,
        alternatives: vec![
            "That is the zero point. Turn finer until the burrs touch, go back two clicks and set the dial to 0.".to_owned(),
            "Good news: no wear. The dial only lost its zero; the steps to set it again take a minute.".to_owned(),
            "We know that one! Set the zero point again after each cleaning: burrs just touching, then two clicks back.".to_owned(),
        ],
        held: vec![],
        saved_at: None,
        undo_secs: 8,
    }
}

fn pane(state: DraftState) -> DraftPane {
    DraftPane {
        now: NOW,
        csrf: "sample-token".to_owned(),
        item_id: id(101),
        mark: reddit(),
        length: LengthRule::characters(10_000),
        state,
        conflict: None,
        typed: None,
        intents: vec![
            IntentChoice { id: id(301), name: "how-to".to_owned(), selected: false },
            IntentChoice { id: id(302), name: "where to buy".to_owned(), selected: false },
        ],
        facts: facts(),
        may_act: true,
    }
}

fn before_draft() -> Facts {
    Facts {
        intent: None,
        confidence: None,
        tone: None,
        language: None,
        safety: None,
        written_by: None,
        tokens: None,
        cost_millionths: None,
        history: vec![],
        ..facts()
    }
}

fn posted() -> Posted {
    Posted {
        suggestion_id: id(501),
        text: REPLY.to_owned(),
        by: "Ada Lovelace".to_owned(),
        seen_at: ago(1),
        edited_at: None,
        permalink: WebLink::parse("https://www.reddit.com/r/espresso/comments/1abcde/_/k2x/"),
        gone: None,
        score: None,
        change: None,
        not_changed: None,
        typed: None,
        held_seen: false,
    }
}

pub fn ready() -> DraftPane {
    pane(DraftState::Ready(editor(REPLY)))
}

pub fn conflict() -> DraftPane {
    let mine = Editor {
        text: "My own words, which took me ten minutes, and which must stand here still.".to_owned(),
        original_text: Some(REPLY.to_owned()),
        theirs: Some("Grace's words, which stand there now.".to_owned()),
        ..editor(REPLY)
    };
    DraftPane {
        conflict: Some(
            "It was edited by Grace Hopper at 2026-03-12T13:58:00Z. That was while you were writing. Your words are kept; approving takes yours."
                .to_owned(),
        ),
        ..pane(DraftState::Ready(mine))
    }
}

pub fn long() -> DraftPane {
    pane(DraftState::Ready(editor(&"🙂".repeat(10_000))))
}

pub fn arabic() -> DraftPane {
    let text =
        "أهلاً مريم! هذا ليس تآكلاً: نقطة الصفر تحركت فقط. بعد التنظيف أديري الحلقة حتى تتلامس الشفرات ثم ارجعي نقرتين.";
    let editor = Editor { alternatives: vec![ARABIC.to_owned()], ..editor(text) };
    let facts = Facts { author: Some("@mariam".to_owned()), language: Some("ar".to_owned()), rules: vec![], ..facts() };
    DraftPane { mark: instagram(), length: LengthRule::characters(2_200), facts, ..pane(DraftState::Ready(editor)) }
}

pub fn hostile() -> DraftPane {
    let editor = Editor {
        original_text: Some(HOSTILE.to_owned()),
        alternatives: vec![HOSTILE.to_owned()],
        held: vec![HOSTILE.to_owned()],
        ..editor(&format!("\n{HOSTILE}"))
    };
    let facts = Facts {
        author: Some(HOSTILE.to_owned()),
        intent: Some(HOSTILE.to_owned()),
        history: vec![told(1, HOSTILE)],
        ..facts()
    };
    DraftPane { conflict: Some(HOSTILE.to_owned()), facts, ..pane(DraftState::Ready(editor)) }
}

fn held() -> DraftPane {
    let editor = Editor {
        held: vec!["names a health topic".to_owned()],
        saved_at: Some(ago(2)),
        original_text: Some(REPLY.to_owned()),
        ..editor("We are sorry to hear that. Please write to care@acme.example, and we will sort it out together.")
    };
    pane(DraftState::Ready(editor))
}

fn by_hand(text: Option<&str>) -> DraftPane {
    let state = DraftState::ByHand {
        reason: "X lets our access post only where we are mentioned, and this post does not mention us.".to_owned(),
        permalink: WebLink::parse("https://x.com/calm/status/1"),
        text: text.map(str::to_owned),
    };
    DraftPane { mark: x(), facts: before_draft(), ..pane(state) }
}

fn failed(may_retry: bool) -> DraftPane {
    pane(DraftState::Failed {
        suggestion_id: id(501),
        version: 4,
        text: REPLY.to_owned(),
        reason: "Reddit says that r/espresso does not let new accounts write.".to_owned(),
        what_to_do: "Nothing is on Reddit. Ask the moderators to let u/acme_coffee write, then try again.".to_owned(),
        may_retry,
    })
}

/// Newest first.
fn a_life() -> Vec<HistoryLine> {
    vec![
        told(1, "Rejoinder looked on the platform: the reply is not there (2 times)"),
        told(3, "Attempt 2: no clear answer (HTTP 500): Reddit answered 500"),
        told(3, "Attempt 2 began"),
        HistoryLine { until: Some(ago(4)), ..told(13, "Waits") },
        told(13, "Attempt 1: nothing was posted (HTTP 200): Reddit says: try again in 540 s. We will."),
        told(13, "Attempt 1 began"),
        told(14, "Ada approved the reply"),
        told(16, "Grace changed the text"),
        told(18, "Rejoinder wrote a draft with gemini-2.5-flash, confidence 0.91"),
        told(20, "Ada asked for a reply"),
    ]
}

fn after_approval() -> Vec<(&'static str, DraftPane)> {
    let (suggestion_id, by) = (id(501), "Ada Lovelace".to_owned());
    let text = REPLY.to_owned();
    vec![
        (
            "approved",
            pane(DraftState::Approved { suggestion_id, version: 4, text: text.clone(), by: by.clone(), at: ago(3) }),
        ),
        (
            "queued",
            pane(DraftState::Queued { suggestion_id, text: text.clone(), goes_out_at: NOW + Duration::seconds(8) }),
        ),
        (
            "parked",
            pane(DraftState::Parked {
                suggestion_id,
                text: text.clone(),
                why: "Reddit says: try again in 540 s. We will.".to_owned(),
                next_try_at: Some(ahead(9)),
            }),
        ),
        ("sending", pane(DraftState::Sending { suggestion_id, text: text.clone(), since: NOW })),
        ("posted", pane(DraftState::Posted(posted()))),
        (
            "posted-changing",
            pane(DraftState::Posted(Posted {
                change: Some("Being taken down from Reddit, as Ada wished.".to_owned()),
                ..posted()
            })),
        ),
        (
            "posted-removed",
            pane(DraftState::Posted(Posted {
                gone: Some("Removed by moderators or a filter of r/espresso.".to_owned()),
                score: Some(-4),
                edited_at: Some(ago(5)),
                ..posted()
            })),
        ),
        (
            "posted-not-changed",
            pane(DraftState::Posted(Posted {
                not_changed: Some("The reply was not changed: the account is paused.".to_owned()),
                typed: Some(HOSTILE.to_owned()),
                held_seen: true,
                ..posted()
            })),
        ),
        ("unpublished", pane(DraftState::Unpublished { text: text.clone(), by: by.clone(), at: ago(2) })),
        (
            "uncertain",
            DraftPane {
                facts: Facts { history: a_life(), ..facts() },
                ..pane(DraftState::Uncertain {
                    address: None,
                    suggestion_id,
                    text: text.clone(),
                    reason: "Nobody knows yet whether it stands there: no answer within 20 s".to_owned(),
                    next_look_at: Some(ahead(1)),
                })
            },
        ),
        ("failed", failed(true)),
        ("failed-for-good", failed(false)),
        ("rejected", pane(DraftState::Rejected { suggestion_id, text, by, at: ago(9) })),
    ]
}

pub fn panes() -> Vec<(&'static str, DraftPane)> {
    let nothing = DraftPane { facts: before_draft(), ..pane(DraftState::Nothing) };
    let closed = DraftState::Closed { sentence: "Closed without a reply.".to_owned() };
    let closed = DraftPane { facts: before_draft(), ..pane(closed) };
    let no_draft = DraftState::NoDraft { reason: format!("No draft: {HOSTILE}") };
    let no_draft = DraftPane { facts: before_draft(), typed: Some(HOSTILE.to_owned()), ..pane(no_draft) };
    let silent = DraftState::Silent {
        sentence: "u/beanfan said \u{201C}don't reply to me\u{201D} and is answered no more. An admin may lift that."
            .to_owned(),
    };
    let cautious = Facts {
        silent_since: Some(ago(300)),
        found_by: Some("\u{201C}acme grinder\u{201D}".to_owned()),
        caution: Some(
            "r/espresso is quarantined: a reply is taken and shown to nobody, unless this account opted in on the platform."
                .to_owned(),
        ),
        rules: vec![HouseRule { title: HOSTILE.to_owned(), description: HOSTILE.to_owned() }],
        ..before_draft()
    };
    let silent = DraftPane { facts: cautious, ..pane(silent) };
    let viewer = DraftPane { may_act: false, ..ready() };
    let mut panes = vec![
        ("nothing", nothing),
        ("closed", closed),
        ("no-draft", no_draft),
        ("silent", silent),
        ("by-hand", by_hand(None)),
        ("by-hand-copy", by_hand(Some(REPLY))),
        ("drafting", DraftPane { facts: before_draft(), ..pane(DraftState::Drafting { since: NOW }) }),
        ("ready", ready()),
        ("held", held()),
        ("conflict", conflict()),
        ("viewer", viewer),
        ("long", long()),
        ("arabic", arabic()),
        ("hostile", hostile()),
    ];
    panes.extend(after_approval());
    panes
}

/// Name of a pane's sample where it stands on the whole page.
pub fn on_page(name: &'static str) -> &'static str {
    match name {
        "long" => "draft-long",
        "arabic" => "draft-arabic",
        "hostile" => "draft-hostile",
        other => other,
    }
}
