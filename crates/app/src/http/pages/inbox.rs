//! The inbox: list, thread and draft beside each other; on a phone three steps.
//!
//! `?item={id}` opens an item, `&step=draft` its draft on a phone. The three panes are fragments of their own, so
//! that a live update redraws one of them and leaves the rest alone.

use super::frame::{Frame, Section};
use super::inbox_draft::DraftPane;
use super::inbox_list::ListPane;
use super::inbox_thread::ThreadPane;
use super::samples;
use askama::Template;

#[derive(Debug, Clone, Template)]
#[template(path = "inbox.html")]
pub struct InboxPage {
    pub frame: Frame,
    pub list: ListPane,
    pub open: Option<OpenItem>,
    /// Which pane a phone shows; a wide screen shows all.
    pub step: Step,
}

#[derive(Debug, Clone)]
pub struct OpenItem {
    pub thread: ThreadPane,
    pub draft: DraftPane,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    List,
    Thread,
    Draft,
}

impl Step {
    pub fn class(&self) -> &'static str {
        match self {
            Self::List => "step-list",
            Self::Thread => "step-thread",
            Self::Draft => "step-draft",
        }
    }
}

impl InboxPage {
    pub fn section(&self) -> Section {
        Section::Inbox
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::inbox::pages()
    }
}
