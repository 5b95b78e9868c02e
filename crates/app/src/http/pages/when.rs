//! Times as people read them: how far away, with the exact moment on hover.

use askama::FastWritable;
use askama::filters::HtmlSafe;
use std::fmt;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

const EXACT: &[FormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
const DAY: &[FormatItem<'_>] = format_description!("[day padding:none] [month repr:short]");
const DAY_OF_YEAR: &[FormatItem<'_>] = format_description!("[day padding:none] [month repr:short] [year]");
const CLOCK: &[FormatItem<'_>] = format_description!("[hour]:[minute] UTC");

/// The distance between `t` and `now` in the largest sensible unit: "just now", "2 min", "in 9 min", "3 d", "4 Mar".
pub fn rel(now: OffsetDateTime, t: OffsetDateTime) -> String {
    let seconds = (now - t).whole_seconds();
    let ahead = seconds < 0;
    let away = seconds.unsigned_abs();
    let text = match away {
        0..45 if !ahead => return "just now".to_owned(),
        0..60 => format!("{away} s"),
        60..3_600 => format!("{} min", away / 60),
        3_600..86_400 => format!("{} h", away / 3_600),
        86_400..604_800 => format!("{} d", away / 86_400),
        _ if t.year() == now.year() => return written(t, DAY),
        _ => return written(t, DAY_OF_YEAR),
    };
    if ahead { format!("in {text}") } else { text }
}

/// Like [`rel`] for a moment that has passed, as a sentence says it: "2 min ago", "on 4 Mar".
pub fn rel_ago(now: OffsetDateTime, t: OffsetDateTime) -> String {
    let said = rel(now, t);
    match (now - t).whole_seconds() {
        45..604_800 => format!("{said} ago"),
        604_800.. => format!("on {said}"),
        _ => said,
    }
}

/// "14:05 UTC", for sentences about a moment today.
pub fn clock(t: &OffsetDateTime) -> String {
    written(t.to_offset(time::UtcOffset::UTC), CLOCK)
}

/// RFC 3339, for attributes that scripts read.
pub fn machine(t: &OffsetDateTime) -> String {
    t.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

fn written(t: OffsetDateTime, format: &[FormatItem<'_>]) -> String {
    t.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

/// A `<time>` element. It holds digits and our own words only, so it needs no escaping.
pub struct When {
    at: OffsetDateTime,
    shown: String,
}

/// For columns: "2 min".
pub fn when(at: &OffsetDateTime, now: &OffsetDateTime) -> When {
    When { at: *at, shown: rel(*now, *at) }
}

/// For sentences: "2 min ago".
pub fn ago(at: &OffsetDateTime, now: &OffsetDateTime) -> When {
    When { at: *at, shown: rel_ago(*now, *at) }
}

/// For plans: "14:05 UTC" today, "4 Mar, 14:05 UTC" on another day.
pub fn moment(at: &OffsetDateTime, now: &OffsetDateTime) -> When {
    let utc = |t: &OffsetDateTime| t.to_offset(time::UtcOffset::UTC).date();
    let day = if utc(at) == utc(now) { String::new() } else { format!("{}, ", written(*at, DAY)) };
    When { at: *at, shown: format!("{day}{}", clock(at)) }
}

impl HtmlSafe for When {}

impl FastWritable for When {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        write!(dest, "{self}").map_err(Into::into)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = written(self.at, EXACT);
        let (machine, shown) = (machine(&self.at), &self.shown);
        write!(f, r#"<time datetime="{machine}" title="{exact}">{shown}</time>"#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_time_reads_as_the_distance_that_a_person_would_say() {
        let now = datetime!(2026-03-12 14:00:00 UTC);
        let said = |t| rel(now, t);
        assert_eq!(said(datetime!(2026-03-12 13:59:40 UTC)), "just now");
        assert_eq!(said(datetime!(2026-03-12 13:58:00 UTC)), "2 min");
        assert_eq!(said(datetime!(2026-03-12 11:30:00 UTC)), "2 h");
        assert_eq!(said(datetime!(2026-03-09 14:00:00 UTC)), "3 d");
        assert_eq!(said(datetime!(2026-02-01 14:00:00 UTC)), "1 Feb");
        assert_eq!(said(datetime!(2025-02-01 14:00:00 UTC)), "1 Feb 2025");
        assert_eq!(said(datetime!(2026-03-12 14:09:00 UTC)), "in 9 min");
        assert_eq!(said(datetime!(2026-03-12 14:00:08 UTC)), "in 8 s");
        assert_eq!(rel_ago(now, datetime!(2026-03-12 13:58:00 UTC)), "2 min ago");
        assert_eq!(rel_ago(now, datetime!(2026-03-12 13:59:59 UTC)), "just now");
        assert_eq!(rel_ago(now, datetime!(2026-02-01 14:00:00 UTC)), "on 1 Feb");
    }

    #[test]
    fn a_plan_names_its_day_unless_it_is_today() {
        let now = datetime!(2026-03-12 23:30 UTC);
        let said = |at| moment(&at, &now).to_string();
        assert!(said(datetime!(2026-03-12 23:59 UTC)).ends_with(">23:59 UTC</time>"));
        assert!(said(datetime!(2026-03-13 02:05 +2)).ends_with(">13 Mar, 00:05 UTC</time>"));
    }

    #[test]
    fn the_exact_moment_is_there_on_hover() {
        let now = datetime!(2026-03-12 14:00:00 UTC);
        let html = when(&datetime!(2026-03-12 15:30:00 +2), &now).to_string();
        assert_eq!(html, r#"<time datetime="2026-03-12T13:30:00Z" title="2026-03-12 13:30:00 UTC">30 min</time>"#);
    }
}
