//! Checks of a reply's text: at approval, so that a person sees what stands against it, and again at the gate before it goes out.
//!
//! Pure: no database, no clock, no network; the same text in the same context gets the same verdict. What is held goes to a
//! person, who may send it all the same. Every reason names what was found, in words of ours.

mod insults;
mod links;
mod load;
mod similar;
#[cfg(test)]
mod tests;
pub(in crate::flow) mod words;

pub use load::{LATELY, holds_for};
use rejoinder_platforms::LengthRule;

/// A text of ours that stands in some community, whoever of the installation posted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    pub community: String,
    pub text: String,
}

/// What the text is held against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The platform's, for a reply.
    pub length: LengthRule,
    /// Hosts that a reply may link to, each with its subdomains.
    pub link_domains: &'a [String],
    /// What the account posted in the last 24 hours, newest first; at most 50 are looked at.
    pub recent: &'a [String],
    /// Where the reply would stand; None where the platform has no such places.
    pub community: Option<&'a str>,
    /// What the installation posted on the platform in the last 24 hours, newest first.
    pub elsewhere: &'a [Elsewhere],
    /// Another account of the team that answers the same text already, as people write it.
    pub answered_by: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// A person must look. Never empty.
    Hold(Vec<Reason>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Stable, for programs.
    pub code: &'static str,
    /// For a person; stands after "Held: ".
    pub text: String,
}

impl Reason {
    fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

pub fn check(text: &str, context: &Context<'_>) -> Verdict {
    let mut reasons = Vec::new();
    reasons.extend(too_long(text, context.length));
    let words = words::all(text);
    reasons.extend(insults::check(&words));
    reasons.extend(links::check(text, context.link_domains));
    reasons.extend(similar::across(text, &words, context.community, context.elsewhere));
    reasons.extend(similar::check(text, words, context.recent));
    reasons.extend(answered(context.answered_by));
    if reasons.is_empty() { Verdict::Allow } else { Verdict::Hold(reasons) }
}

/// The sentences of the verdict; none where it allows.
pub fn holds(text: &str, context: &Context<'_>) -> Vec<String> {
    match check(text, context) {
        Verdict::Allow => Vec::new(),
        Verdict::Hold(reasons) => reasons.into_iter().map(|reason| reason.text).collect(),
    }
}

/// A second answer to one text is a person's explicit choice.
fn answered(by: Option<&str>) -> Option<Reason> {
    let by = by?;
    let text = format!("another account of the team, {by}, answers the same text already");
    Some(Reason::new("answered", text))
}

fn too_long(text: &str, length: LengthRule) -> Option<Reason> {
    let (has, max) = (length.of(text), length.max);
    (has > max).then(|| Reason::new("too_long", format!("is {has} characters long; the platform takes {max}")))
}
