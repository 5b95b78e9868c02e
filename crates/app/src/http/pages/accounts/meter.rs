//! What a platform that charges for its API charged a team this month, in a sentence.

use crate::coord::usage::Line;
use rejoinder_platforms::tariff;

/// "$1.23 of $20.00 this month: posts read 120, posts 3". None where the platform charges nothing.
pub fn sentence(platform: &str, used: &[Line], budget_cents: Option<i32>) -> Option<String> {
    let tariff = tariff(platform)?;
    let spent: u64 = used.iter().map(Line::micro_usd).sum();
    let budget =
        budget_cents.map_or_else(String::new, |cents| format!(" of {}", dollars(u64::from(cents.unsigned_abs()))));
    let count = |kind: &str| used.iter().find(|line| line.platform == platform && line.kind == kind);
    let parts = tariff.prices.iter().filter_map(|price| Some((price.name, count(price.kind)?.units)));
    let parts: Vec<String> =
        parts.filter(|(_, units)| *units > 0).map(|(name, units)| format!("{name} {units}")).collect();
    let parts = if parts.is_empty() { "nothing read or posted".to_owned() } else { parts.join(", ") };
    Some(format!("{}{budget} this month: {parts}", dollars(spent.div_ceil(10_000))))
}

fn dollars(cents: u64) -> String {
    format!("${}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(platform: &str, kind: &str, units: i64) -> Line {
        Line { platform: platform.to_owned(), kind: kind.to_owned(), units }
    }

    #[test]
    fn the_sentence_tells_the_money_and_what_it_went_for() {
        let used = [line("x", "post_read", 121), line("x", "post_with_link", 1)];
        assert_eq!(
            sentence("x", &used, Some(2_000)).as_deref(),
            Some("$0.81 of $20.00 this month: posts read 121, posts with a link 1")
        );
        assert_eq!(sentence("x", &[], None).as_deref(), Some("$0.00 this month: nothing read or posted"));
        assert_eq!(sentence("reddit", &used, None), None);
    }
}
