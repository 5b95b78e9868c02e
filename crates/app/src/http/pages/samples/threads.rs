//! Samples of the thread pane.

use super::super::WebLink;
use super::super::inbox_thread::{Comment, ThreadPane, Utterance};
use super::{ARABIC, HOSTILE, NOW, ago, id, instagram, reddit};

fn said(author: &str, text: &str, minutes: i64) -> Utterance {
    Utterance {
        author: Some(author.to_owned()),
        text: text.to_owned(),
        at: Some(ago(minutes)),
        edited_at: None,
        deleted: false,
        is_target: false,
        is_own: false,
    }
}

pub fn thread() -> ThreadPane {
    let post = said(
        "u/beanfan",
        "I have had the Acme G2 for a year and love it. But each time I take the burrs out to brush them, the grind is two settings coarser afterwards, and my morning shot runs in 15 seconds.\n\nI put everything back the way it came out, the screws are tight and the ring clicks. Is there a zero point that I can set again, or is this wear?\n\nBeans: same bag, three days apart. Dose 18 g in, 36 g out.",
        120,
    );
    let comments = vec![
        Comment { depth: 0, said: Utterance { deleted: true, author: None, ..said("", "", 100) } },
        Comment { depth: 0, said: said("u/second", "same here, any fix?", 40) },
        Comment {
            depth: 1,
            said: Utterance {
                is_target: true,
                ..said("u/beanfan", "@acme help? I would rather not send it in for this.", 2)
            },
        },
        Comment {
            depth: 0,
            said: Utterance {
                is_own: true,
                edited_at: Some(ago(20)),
                ..said("u/acme_coffee", "The G2 manual has a page on cleaning, number 14. We hope that helps!", 30)
            },
        },
    ];
    ThreadPane {
        now: NOW,
        item_id: id(101),
        mark: reddit(),
        place: Some("r/espresso".to_owned()),
        title: Some("Grinder jumps two settings after cleaning".to_owned()),
        permalink: WebLink::parse("https://www.reddit.com/r/espresso/comments/1abcde/grinder_jumps/"),
        locked: false,
        post,
        comments,
        not_shown: 11,
    }
}

pub fn long_thread() -> ThreadPane {
    let line = "Long texts wrap and never push the page: ".to_owned() + &"wordwithoutanybreak".repeat(20);
    let comments =
        (0..24).map(|number| Comment { depth: number % 9, said: said("u/deep", &line, i64::from(number)) }).collect();
    ThreadPane { comments, title: Some("A very long title ".repeat(14)), locked: true, ..thread() }
}

pub fn hostile_thread() -> ThreadPane {
    ThreadPane {
        place: Some(HOSTILE.to_owned()),
        title: Some(HOSTILE.to_owned()),
        permalink: WebLink::parse("javascript:alert(1)"),
        post: Utterance { author: Some(HOSTILE.to_owned()), ..said("", HOSTILE, 9) },
        comments: vec![Comment { depth: 0, said: said(HOSTILE, &"🙂".repeat(10_000), 1) }],
        ..thread()
    }
}

pub fn arabic_thread() -> ThreadPane {
    ThreadPane {
        mark: instagram(),
        place: None,
        title: None,
        post: said("@acme.coffee", "New burr set, out today ☕", 400),
        comments: vec![Comment { depth: 0, said: Utterance { is_target: true, ..said("@mariam", ARABIC, 320) } }],
        not_shown: 0,
        ..thread()
    }
}

pub fn panes() -> Vec<(&'static str, ThreadPane)> {
    vec![("target", thread()), ("long", long_thread()), ("arabic", arabic_thread()), ("hostile", hostile_thread())]
}
