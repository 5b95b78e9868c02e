//! Samples of the etiquette page.

use super::super::etiquette::{EtiquettePage, OptOutLine, PauseLine};
use super::{HOSTILE, ago, frame, id, reddit, troubled_frame};

fn pause(number: u128, community: Option<&str>, reason: &str) -> PauseLine {
    PauseLine {
        id: id(number),
        mark: reddit(),
        account: "u/acme_coffee".to_owned(),
        community: community.map(str::to_owned),
        reason: reason.to_owned(),
        at: ago(55),
        lifted: None,
    }
}

fn opt_out(number: u128, who: &str) -> OptOutLine {
    OptOutLine {
        id: id(number),
        mark: reddit(),
        who: who.to_owned(),
        words: "don't reply to me".to_owned(),
        at: ago(300),
        item_id: Some(id(101)),
        lifted: None,
    }
}

pub fn pages() -> Vec<(&'static str, EtiquettePage)> {
    let lifted = Some((ago(10), "Ada Lovelace".to_owned()));
    let full = EtiquettePage {
        frame: frame(),
        pauses: vec![
            pause(801, Some("r/espresso"), "3 replies were removed in r/espresso within 7 days"),
            PauseLine {
                lifted: lifted.clone(),
                ..pause(802, None, "6 replies of the account were removed within 7 days")
            },
        ],
        opt_outs: vec![opt_out(811, "u/angry_otter"), OptOutLine { item_id: None, lifted, ..opt_out(812, "somebody") }],
        may_lift: true,
    };
    let empty = EtiquettePage { pauses: vec![], opt_outs: vec![], ..full.clone() };
    let hostile = EtiquettePage {
        frame: troubled_frame(),
        pauses: vec![pause(803, Some(HOSTILE), HOSTILE)],
        opt_outs: vec![OptOutLine { words: HOSTILE.to_owned(), ..opt_out(813, HOSTILE) }],
        ..full.clone()
    };
    let viewer = EtiquettePage { may_lift: false, ..full.clone() };
    vec![("full", full), ("empty", empty), ("hostile", hostile), ("viewer", viewer)]
}
