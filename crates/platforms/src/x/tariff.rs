//! What X charges for (docs.x.com, "X API pay-per-usage pricing"): each post and each user that an answer holds, also those that it
//! only refers to, and each post that is made or taken back. The same one again on the same day of UTC is charged once.
//!
//! An answer that broke off may have been charged for without our knowing; it is asked for again, as a rule on the same day.

use super::{length, wire};
use crate::tariff::{Charge, Price, Tariff};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

pub(super) const POST_READ: &str = "post_read";
pub(super) const USER_READ: &str = "user_read";
pub(super) const POST: &str = "post";
pub(super) const POST_WITH_LINK: &str = "post_with_link";
pub(super) const DELETE: &str = "delete";

/// Summoned replies are cheaper than this (0.010), but what exactly counts as one is not said: the meter shows the most.
pub const TARIFF: Tariff = Tariff {
    as_of: "2026-04-20",
    prices: &[
        Price { kind: POST_READ, name: "posts read", micro_usd: 5_000 },
        Price { kind: USER_READ, name: "users read", micro_usd: 10_000 },
        Price { kind: POST, name: "posts", micro_usd: 15_000 },
        Price { kind: POST_WITH_LINK, name: "posts with a link", micro_usd: 200_000 },
        Price { kind: DELETE, name: "posts taken back", micro_usd: 10_000 },
    ],
    reply,
};

fn reply(text: &str) -> &'static str {
    let composed: String = text.nfc().collect();
    if length::urls(&composed).is_empty() { POST } else { POST_WITH_LINK }
}

/// What a call is about, and so what it can cost.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reads {
    /// At most so many posts, each with an answered and a quoted one, and with the authors of all.
    Posts(usize),
    Me,
    /// Nothing that X charges for.
    Nothing,
}

impl Reads {
    pub(super) fn most_micro_usd(self) -> u64 {
        let (posts, users) = match self {
            Self::Posts(count) => (3 * count as u64, 3 * count as u64),
            Self::Me => (0, 1),
            Self::Nothing => (0, 0),
        };
        posts * TARIFF.micro_usd(POST_READ) + users * TARIFF.micro_usd(USER_READ)
    }

    pub(super) fn charges(self, body: &Value) -> Vec<Charge> {
        let data = match self {
            Self::Posts(_) => POST_READ,
            Self::Me => USER_READ,
            Self::Nothing => return Vec::new(),
        };
        let included = body.get("includes").unwrap_or(&Value::Null);
        let users = list(included.get("users")).iter().map(|user| user.get("data").unwrap_or(user));
        let posts = [included.get("tweets"), included.get("posts")].into_iter().flat_map(list);
        let charges = list(body.get("data")).iter().map(|one| (data, one));
        let charges = charges.chain(posts.map(|post| (POST_READ, post))).chain(users.map(|user| (USER_READ, user)));
        let named = |(kind, one): (&'static str, &Value)| Some(Charge { kind, thing: wire::as_id(one.get("id")?)? });
        charges.filter_map(named).collect()
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(all)) => all,
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_that_an_answer_holds_is_charged() {
        let body = json!({
            "data": [{"id": "11"}, {"id": "12"}, {"text": "no id"}],
            "includes": {"users": [{"id": "1"}, {"data": {"id": "2"}}], "posts": [{"id": "13"}]},
            "errors": [{"resource_id": "14"}],
        });
        let charged: Vec<(&str, String)> =
            Reads::Posts(100).charges(&body).into_iter().map(|charge| (charge.kind, charge.thing)).collect();
        let expected = [(POST_READ, "11"), (POST_READ, "12"), (POST_READ, "13"), (USER_READ, "1"), (USER_READ, "2")];
        assert_eq!(charged, expected.map(|(kind, thing)| (kind, thing.to_owned())));
        let me = Reads::Me.charges(&json!({"data": {"id": "7", "username": "acme"}}));
        assert_eq!(me, [Charge { kind: USER_READ, thing: "7".to_owned() }]);
        assert_eq!(Reads::Posts(100).charges(&json!({"meta": {"result_count": 0}})), []);
    }

    #[test]
    fn the_largest_page_is_the_most_that_a_call_costs() {
        assert_eq!(Reads::Posts(100).most_micro_usd(), 300 * 5_000 + 300 * 10_000);
        assert_eq!(Reads::Me.most_micro_usd(), 10_000);
    }

    #[test]
    fn a_link_makes_a_post_dearer_also_without_its_scheme() {
        for (text, kind) in [
            ("See https://acme.com/a", POST_WITH_LINK),
            ("acme.com has it", POST_WITH_LINK),
            ("No link here, e.g. none.", POST),
        ] {
            assert_eq!((TARIFF.reply)(text), kind, "{text}");
        }
    }
}
