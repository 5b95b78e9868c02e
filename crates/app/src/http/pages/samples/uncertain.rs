//! Samples of the page of unknown outcomes.

use super::super::WebLink;
use super::super::frame::{Frame, Notice};
use super::super::marks::Tone;
use super::super::uncertain::{Doubt, Mishap, UncertainPage};
use super::{ARABIC, HOSTILE, NOW, ago, ahead, frame, id, reddit, troubled_frame, x};

fn doubt(number: u128) -> Doubt {
    Doubt {
        suggestion_id: id(number),
        item_id: id(number + 100),
        mark: reddit(),
        account: "u/acme_coffee".to_owned(),
        author: Some("u/beanfan".to_owned()),
        title: Some("Grinder jumps two settings after cleaning".to_owned()),
        thread: WebLink::parse("https://www.reddit.com/r/espresso/comments/1abcde/_/k2w/"),
        text: "That jump is the zero point moving, not wear. Turn the collar until the burrs just touch, then two clicks back.".to_owned(),
        approved_by: Some("Ada Lovelace".to_owned()),
        attempt: 1,
        went_out_at: ago(1),
        answer: "no answer within 20 s".to_owned(),
        reads: 1,
        last_read_at: Some(NOW),
        next_look_at: Some(ahead(1)),
        decidable_at: ahead(2),
        wants_person: None,
        mishap: None,
    }
}

fn for_a_person() -> Doubt {
    Doubt {
        author: Some("u/second".to_owned()),
        title: None,
        text: "Thanks, we have sent it on to the workshop.".to_owned(),
        attempt: 2,
        went_out_at: ago(190),
        answer: "Reddit answered 500 (HTTP 500)".to_owned(),
        reads: 0,
        last_read_at: None,
        decidable_at: ago(187),
        wants_person: Some(
            "Nobody knows whether it stands there, and it cannot be read back: Reddit does not list our own comments (HTTP_404). Look on the platform and decide.".to_owned(),
        ),
        ..doubt(902)
    }
}

pub fn pages() -> Vec<(&'static str, UncertainPage)> {
    let frame = Frame { unknown: 2, ..frame() };
    let full = UncertainPage {
        frame: frame.clone(),
        doubts: vec![doubt(901), for_a_person()],
        older: Some("1773322200000000.0195".to_owned()),
        is_older: false,
        may_act: true,
    };
    let settled = Notice { tone: Tone::Good, text: "Noted: the reply stands there. Its item is done.".to_owned() };
    let empty = UncertainPage {
        frame: Frame { unknown: 0, notice: Some(settled), ..frame },
        doubts: vec![],
        older: None,
        ..full.clone()
    };
    let mishap = Mishap {
        suggestion_id: id(902),
        sentence: "The address leads to a comment by u/second, not by u/acme_coffee.".to_owned(),
        address: "https://www.reddit.com/r/espresso/comments/1abcde/grinder/k2w/".to_owned(),
    };
    let wrong =
        UncertainPage { doubts: vec![Doubt { mishap: Some(mishap), ..for_a_person() }], older: None, ..full.clone() };
    let viewer = UncertainPage { may_act: false, is_older: true, older: None, ..full.clone() };
    let hostile = Doubt {
        mark: x(),
        account: HOSTILE.to_owned(),
        author: Some(HOSTILE.to_owned()),
        title: Some(ARABIC.to_owned()),
        thread: None,
        text: HOSTILE.repeat(8),
        approved_by: Some(HOSTILE.to_owned()),
        answer: "a".repeat(300),
        mishap: Some(Mishap { suggestion_id: id(903), sentence: HOSTILE.to_owned(), address: HOSTILE.to_owned() }),
        wants_person: Some(HOSTILE.to_owned()),
        decidable_at: ago(5),
        ..doubt(903)
    };
    let hostile = UncertainPage { frame: troubled_frame(), doubts: vec![hostile], ..full.clone() };
    vec![("full", full), ("empty", empty), ("wrong-address", wrong), ("viewer", viewer), ("hostile", hostile)]
}
