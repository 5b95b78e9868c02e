//! Samples of the inbox and its list.

use super::super::inbox::{Decided, Earlier, InboxPage, OpenItem, Step};
use super::super::inbox_list::{Filter, ListPane, Row, RowState};
use super::super::inbox_thread::ThreadPane;
use super::super::{Mark, WebLink};
use super::{ARABIC, HOSTILE, NOW, ago, drafts, frame, id, instagram, reddit, threads, troubled_frame, x};
use time::Duration;

struct Line(u128, Mark, &'static str, Option<&'static str>, &'static str, i64);

fn row(line: Line, judged: Option<(&str, f64)>, state: RowState) -> Row {
    let Line(number, mark, author, place, excerpt, minutes) = line;
    Row {
        id: id(number),
        mark,
        author: author.to_owned(),
        place: place.map(str::to_owned),
        excerpt: excerpt.to_owned(),
        last_activity_at: ago(minutes),
        is_new: number < 104,
        suggestion_id: None,
        intent: judged.map(|(intent, _)| intent.to_owned()),
        confidence: judged.map(|(_, confidence)| confidence),
        state,
        found_by: (number == 102).then(|| "\u{201C}walnut handle\u{201D}".to_owned()),
    }
}

fn rows() -> Vec<Row> {
    let espresso = Some("r/espresso");
    vec![
        row(
            Line(
                101,
                reddit(),
                "u/beanfan",
                espresso,
                "@acme help? Grinder jumps two settings coarser after every cleaning and I can't find the zero point again.",
                2,
            ),
            Some(("how-to", 0.91)),
            RowState::DraftReady,
        ),
        row(
            Line(
                102,
                instagram(),
                "@latte.lena",
                None,
                "Where can I buy the walnut handle? It is not in your shop any more 😢",
                5,
            ),
            Some(("where to buy", 0.84)),
            RowState::DraftReady,
        ),
        row(
            Line(
                103,
                instagram(),
                "@angry.otter",
                None,
                "Your machine gave me a burn and nobody answers my mails. What now?",
                12,
            ),
            Some(("complaint", 0.77)),
            RowState::Held("names an injury".to_owned()),
        ),
        row(Line(104, reddit(), "u/second", espresso, "same here, any fix?", 40), None, RowState::Drafting),
        row(
            Line(105, x(), "@calm", None, "is the new burr set compatible with the 2023 model", 64),
            Some(("how-to", 0.88)),
            RowState::ByHand("can't post by API: copy and open".to_owned()),
        ),
        row(
            Line(
                106,
                reddit(),
                "u/ristretto_rene",
                Some("r/coffee"),
                "Thanks, descaling with the lower dose worked. Do I have to season the boiler again afterwards?",
                95,
            ),
            Some(("how-to", 0.93)),
            RowState::Queued,
        ),
        row(
            Line(
                107,
                reddit(),
                "u/first_crack",
                Some("r/roasting"),
                "Does Acme still ship green beans to Norway?",
                150,
            ),
            Some(("shipping", 0.95)),
            RowState::Posted,
        ),
        row(
            Line(108, reddit(), "u/mod_of_many", Some("r/espresso_deals"), "Any code for the spring sale?", 210),
            Some(("discount", 0.71)),
            RowState::Failed("r/espresso_deals does not let our account post".to_owned()),
        ),
        row(Line(109, instagram(), "@mariam", None, ARABIC, 320), Some(("how-to", 0.80)), RowState::Uncertain),
        row(Line(110, reddit(), "u/pour_over_pete", Some("r/coffee"), "I like it.", 1_500), None, RowState::NoDraft),
        row(
            Line(111, reddit(), "u/moka_mo", Some("r/mokapot"), "Which gasket fits the 6 cup?", 2_900),
            Some(("spare parts", 0.86)),
            RowState::AnsweredElsewhere,
        ),
    ]
}

fn list(rows: Vec<Row>, selected: Option<u128>) -> ListPane {
    ListPane {
        now: NOW,
        filter: Filter::Waiting,
        query: String::new(),
        rows,
        selected: selected.map(id),
        focus_selected: selected.is_some(),
        older: Some("2026-03-10T13:40:00Z_01958a00".to_owned()),
        no_accounts: false,
    }
}

fn empty_list() -> ListPane {
    ListPane { older: None, ..list(vec![], None) }
}

fn hostile_row() -> Row {
    row(
        Line(120, Mark::new("mastodon", HOSTILE), HOSTILE, Some(HOSTILE), HOSTILE, 1),
        Some((HOSTILE, 0.5)),
        RowState::Held(HOSTILE.to_owned()),
    )
}

pub fn lists() -> Vec<(&'static str, ListPane)> {
    let no_match = ListPane { query: HOSTILE.to_owned(), ..empty_list() };
    vec![
        ("full", ListPane { focus_selected: false, ..list(rows(), Some(101)) }),
        ("empty", empty_list()),
        ("no-match", no_match),
        ("hostile", ListPane { query: HOSTILE.to_owned(), ..list(vec![hostile_row()], None) }),
    ]
}

fn open(thread: ThreadPane, draft: super::super::inbox_draft::DraftPane) -> Option<OpenItem> {
    Some(OpenItem { thread, draft })
}

fn earlier(author: &str, what: Decided) -> Option<Earlier> {
    Some(Earlier { item_id: id(106), author: author.to_owned(), platform: "Reddit".to_owned(), what })
}

pub fn pages() -> Vec<(&'static str, InboxPage)> {
    let full = InboxPage {
        frame: frame(),
        list: list(rows(), Some(101)),
        open: open(threads::thread(), drafts::ready()),
        step: Step::Thread,
        earlier: None,
    };
    let with = |draft| InboxPage { open: open(threads::thread(), draft), step: Step::Draft, ..full.clone() };
    let undo = Decided::Approved { suggestion_id: id(502), goes_out_at: NOW + Duration::seconds(8) };
    let approved_before = InboxPage { earlier: earlier("u/ristretto_rene", undo), ..full.clone() };
    let posted = Decided::Posted { permalink: WebLink::parse("https://www.reddit.com/r/coffee/comments/1x/_/k2/") };
    let posted_before = InboxPage { earlier: earlier("u/ristretto_rene", posted), ..full.clone() };
    let mut pages = vec![
        ("full", full.clone()),
        ("list", InboxPage { open: None, list: list(rows(), None), step: Step::List, ..full.clone() }),
        ("empty", InboxPage { open: None, list: empty_list(), step: Step::List, ..full.clone() }),
        (
            "no-accounts",
            InboxPage {
                open: None,
                list: ListPane { no_accounts: true, ..empty_list() },
                step: Step::List,
                ..full.clone()
            },
        ),
        ("trouble", InboxPage { frame: troubled_frame(), ..with(drafts::conflict()) }),
        ("long", InboxPage { open: open(threads::long_thread(), drafts::long()), ..full.clone() }),
        (
            "arabic",
            InboxPage {
                open: open(threads::arabic_thread(), drafts::arabic()),
                list: list(rows(), Some(109)),
                ..full.clone()
            },
        ),
        (
            "hostile",
            InboxPage {
                frame: troubled_frame(),
                list: ListPane { query: HOSTILE.to_owned(), ..list(vec![hostile_row()], Some(120)) },
                open: open(threads::hostile_thread(), drafts::hostile()),
                step: Step::Thread,
                earlier: earlier(HOSTILE, Decided::Closed),
            },
        ),
        ("approved-before", approved_before),
        ("posted-before", posted_before),
    ];
    pages.extend(drafts::panes().into_iter().map(|(name, draft)| (drafts::on_page(name), with(draft))));
    pages
}
