//! Samples of the webhooks page.

use super::super::webhooks::{CallLine, CardState, WebhookCard, WebhookForm, WebhooksPage};
use super::{HOSTILE, ago, ahead, frame, id, troubled_frame};
use crate::model::DeliveryState;

fn call(number: u128, kind: &str, state: DeliveryState, minutes: i64) -> CallLine {
    CallLine {
        id: id(number),
        kind: kind.to_owned(),
        state,
        at: ago(minutes),
        attempts: 1,
        status: Some(204),
        took_ms: Some(48),
        error: None,
        next: None,
        answer: None,
        body: format!(r#"{{"data":{{"suggestion_id":"{0}"}},"id":"{0}","type":"{kind}"}}"#, id(number)),
    }
}

fn form(url: &str) -> WebhookForm {
    WebhookForm {
        url: url.to_owned(),
        description: "Tells the support desk".to_owned(),
        events: "suggestion.posted\nsuggestion.failed".to_owned(),
        error: None,
    }
}

pub fn pages() -> Vec<(&'static str, WebhooksPage)> {
    let works = WebhookCard {
        id: id(901),
        host: "desk.example.com".to_owned(),
        form: form("https://desk.example.com/hooks/rejoinder"),
        state: CardState::Works,
        previous_until: Some(ahead(600)),
        calls: vec![
            call(911, "suggestion.posted", DeliveryState::Delivered, 3),
            CallLine {
                attempts: 2,
                status: Some(503),
                error: Some("the receiver answered 503".to_owned()),
                next: Some(ahead(4)),
                answer: Some("upstream is restarting".to_owned()),
                ..call(912, "suggestion.failed", DeliveryState::Pending, 7)
            },
        ],
    };
    let failing = WebhookCard {
        id: id(902),
        host: "old.example.org".to_owned(),
        form: WebhookForm { description: String::new(), events: "*".to_owned(), ..form("https://old.example.org/") },
        state: CardState::Failing { since: ago(1_900) },
        previous_until: None,
        calls: vec![CallLine {
            attempts: 8,
            status: None,
            took_ms: Some(15_000),
            error: Some("no answer in time".to_owned()),
            ..call(913, "item.created", DeliveryState::Failed, 1_700)
        }],
    };
    let gone = WebhookCard {
        id: id(903),
        host: "gone.example.org".to_owned(),
        state: CardState::Disabled { reason: Some("it answered 410 Gone".to_owned()) },
        calls: Vec::new(),
        ..failing.clone()
    };
    let full = WebhooksPage {
        frame: frame(),
        webhooks: vec![works.clone(), failing, gone],
        secret: None,
        new: WebhookForm::default(),
        open: Some(id(901)),
    };
    let empty = WebhooksPage { webhooks: Vec::new(), open: None, ..full.clone() };
    let made = WebhooksPage {
        secret: Some(("desk.example.com".to_owned(), "whsec_c2FtcGxlIHNlY3JldCBvZiB0aGUgc2FtcGxlcw==".to_owned())),
        webhooks: vec![WebhookCard { calls: Vec::new(), previous_until: None, ..works.clone() }],
        ..full.clone()
    };
    let wrong = WebhooksPage {
        new: WebhookForm {
            error: Some(("url".to_owned(), "leads into a private network, which this server does not call".to_owned())),
            ..form("https://10.0.0.1/hooks")
        },
        ..empty.clone()
    };
    let hostile = WebhooksPage {
        frame: troubled_frame(),
        webhooks: vec![WebhookCard {
            host: HOSTILE.to_owned(),
            form: WebhookForm { description: HOSTILE.to_owned(), ..form(HOSTILE) },
            calls: vec![CallLine { answer: Some(HOSTILE.to_owned()), ..call(914, HOSTILE, DeliveryState::Failed, 2) }],
            ..works
        }],
        ..full.clone()
    };
    vec![("full", full), ("empty", empty), ("made", made), ("wrong", wrong), ("hostile", hostile)]
}
