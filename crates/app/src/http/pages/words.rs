//! Numbers and addresses as pages show them.

use std::fmt;
use url::Url;

/// An address on the web that is safe to put into a link: http or https and nothing else, so that a stranger's
/// `javascript:` address can never become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebLink(String);

impl WebLink {
    pub fn parse(text: &str) -> Option<Self> {
        Url::parse(text).ok().and_then(|url| Self::from_url(&url))
    }

    pub fn from_url(url: &Url) -> Option<Self> {
        matches!(url.scheme(), "http" | "https").then(|| Self(url.to_string()))
    }
}

impl fmt::Display for WebLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 10000 as "10,000".
pub fn grouped(number: &u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A value for a query string.
pub fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// "1 comment", "14 comments".
pub fn count(number: &u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if *number == 1 { one } else { many })
}

/// "1st", "2nd", "3rd", "11th".
pub fn ordinal(number: &u64) -> String {
    let ending = match (number % 10, number % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{}{ending}", grouped(number))
}

/// Millionths of a dollar as dollars: four places below a cent's worth of meaning, two above a dollar.
pub fn dollars(millionths: &u64) -> String {
    let places = if *millionths < 1_000_000 { 4 } else { 2 };
    format!("${:.places$}", *millionths as f64 / 1_000_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_become_links() {
        assert!(WebLink::parse("https://www.reddit.com/r/espresso/").is_some());
        for bad in ["javascript:alert(1)", "data:text/html,<b>", "/relative", "file:///etc/passwd", ""] {
            assert_eq!(WebLink::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(grouped(&214), "214");
        assert_eq!(grouped(&10_000), "10,000");
        assert_eq!(grouped(&1_234_567), "1,234,567");
        assert_eq!(count(&1, "comment", "comments"), "1 comment");
        assert_eq!(["1st", "2nd", "3rd", "11th"].map(str::to_owned), [1, 2, 3, 11].map(|n| ordinal(&n)));
        assert_eq!(dollars(&400), "$0.0004");
        assert_eq!(dollars(&2_500_000), "$2.50");
    }
}
