//! Samples of the watches page.

use super::super::watches::{AccountChoice, NewForm, WatchCard, WatchesPage};
use super::{HOSTILE, ago, frame, id, reddit, troubled_frame};

fn card(number: u128, title: &str) -> WatchCard {
    WatchCard {
        id: id(number),
        mark: reddit(),
        title: title.to_owned(),
        account: "u/acme_coffee".to_owned(),
        active: true,
        last_polled_at: Some(ago(3)),
        problem: None,
        found: 12,
    }
}

pub fn pages() -> Vec<(&'static str, WatchesPage)> {
    let full = WatchesPage {
        frame: frame(),
        watches: vec![
            card(701, "r/espresso"),
            WatchCard {
                problem: Some("refused (private): the community is private".to_owned()),
                found: 0,
                ..card(702, "\u{201C}acme grinder\u{201D} in r/coffee")
            },
            WatchCard { active: false, last_polled_at: None, found: 1, ..card(703, "\u{201C}DF64\u{201D}") },
        ],
        accounts: vec![AccountChoice { id: id(1), name: "u/acme_coffee".to_owned() }],
        new: NewForm::default(),
        may_change: true,
    };
    let empty = WatchesPage { watches: vec![], accounts: vec![], ..full.clone() };
    let refused = WatchesPage {
        new: NewForm {
            integration_id: id(1).to_string(),
            kind: "keyword".to_owned(),
            text: HOSTILE.to_owned(),
            community: "a b".to_owned(),
            error: Some("Not taken: `a b` is no name of a community; write it like `espresso`.".to_owned()),
        },
        ..full.clone()
    };
    let hostile = WatchesPage { frame: troubled_frame(), watches: vec![card(704, HOSTILE)], ..full.clone() };
    let viewer = WatchesPage { may_change: false, ..full.clone() };
    vec![("full", full), ("empty", empty), ("refused", refused), ("hostile", hostile), ("viewer", viewer)]
}
