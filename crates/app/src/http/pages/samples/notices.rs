//! Samples of the notices page.

use super::super::notices::{Ended, NoticeLine, NoticesPage};
use super::{HOSTILE, ago, frame, id, troubled_frame};
use crate::model::NoticeKind;

fn line(number: u128, kind: NoticeKind, text: &str, minutes: i64) -> NoticeLine {
    let object = match kind {
        NoticeKind::IntegrationPaused | NoticeKind::ReconnectNeeded | NoticeKind::AccessEnding => {
            Some(("Show the accounts", "/dashboard/accounts".to_owned()))
        }
        NoticeKind::SendUnknown => Some(("Show the reply", format!("/dashboard/suggestions/{}", id(number)))),
        NoticeKind::RulesPaused => Some(("Show where", "/dashboard/etiquette".to_owned())),
        NoticeKind::WebhookDisabled => Some(("Show the webhooks", "/dashboard/webhooks".to_owned())),
        NoticeKind::PlatformBudgetSpent => Some(("Show the settings", "/dashboard/settings".to_owned())),
        NoticeKind::TeamPaused | NoticeKind::InstancePaused => None,
    };
    NoticeLine { id: id(number), kind, text: text.to_owned(), at: ago(minutes), ended: None, object }
}

pub fn pages() -> Vec<(&'static str, NoticesPage)> {
    let open = vec![
        line(
            801,
            NoticeKind::SendUnknown,
            "Nobody knows whether the reply to u/beanfan stands there: Reddit did not answer in time, and its thread cannot be read back. Look there and say what you see.",
            4,
        ),
        line(
            802,
            NoticeKind::IntegrationPaused,
            "acme_support (Reddit) is paused (5 failures within an hour, the last one: that user is banned). Nothing goes out from it until an admin resumes it on the page Accounts; comments still come in.",
            42,
        ),
        line(
            803,
            NoticeKind::ReconnectNeeded,
            "acme.coffee (Instagram) does not let us in any more (the grant was withdrawn). Until an admin connects it again on the page Accounts, nothing comes in and its replies wait.",
            190,
        ),
        line(
            804,
            NoticeKind::InstancePaused,
            "All sending on this server is paused (upgrade). Replies wait until its operator resumes it.",
            200,
        ),
    ];
    let over = NoticeLine {
        ended: Some(Ended::Over { at: ago(1_300) }),
        ..line(
            805,
            NoticeKind::TeamPaused,
            "All sending of the team is paused (wrong price in the drafts). Replies wait until an admin resumes it.",
            1_500,
        )
    };
    let dismissed = NoticeLine {
        ended: Some(Ended::Dismissed { at: ago(1_900), by: Some("Ada Lovelace".to_owned()) }),
        ..line(806, NoticeKind::SendUnknown, "Nobody knows whether the reply to u/second stands there.", 2_000)
    };
    let full = NoticesPage {
        frame: super::super::Frame { notices: 4, ..frame() },
        open,
        earlier: vec![over, dismissed],
        older: Some("1.abc".to_owned()),
        is_older: false,
        may_dismiss: true,
    };
    let empty = NoticesPage { frame: frame(), open: vec![], earlier: vec![], older: None, ..full.clone() };
    let older = NoticesPage { open: vec![], is_older: true, older: None, ..full.clone() };
    let hostile = NoticesPage {
        frame: troubled_frame(),
        open: vec![line(807, NoticeKind::IntegrationPaused, HOSTILE, 3)],
        ..full.clone()
    };
    let viewer = NoticesPage { may_dismiss: false, ..full.clone() };
    vec![("full", full), ("empty", empty), ("older", older), ("hostile", hostile), ("viewer", viewer)]
}
