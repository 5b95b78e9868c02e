//! What a platform charges for its API. An adapter says what each answer cost, by the ids of what was charged for; who pays, and
//! whether there is still money for it, is the product's matter (`Admission`).

/// One thing that is charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Stored with the units: "post_read".
    pub kind: &'static str,
    /// "posts read"
    pub name: &'static str,
    /// Of one, in millionths of a US dollar.
    pub micro_usd: u64,
}

/// The prices of a platform, as its pages said on a day.
#[derive(Debug, Clone, Copy)]
pub struct Tariff {
    /// "2026-04-20"
    pub as_of: &'static str,
    pub prices: &'static [Price],
    /// What a reply with this text counts as.
    pub reply: fn(&str) -> &'static str,
}

impl Tariff {
    pub fn micro_usd(&self, kind: &str) -> u64 {
        self.prices.iter().find(|price| price.kind == kind).map_or(0, |price| price.micro_usd)
    }
}

/// What was charged for. The same thing again on the same day of UTC costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub kind: &'static str,
    /// The platform's id.
    pub thing: String,
}

/// Money that is set aside for a call under way; None where nobody counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hold(pub Option<i64>);

/// Why a call that costs may not go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unpaid {
    /// It could cost more than what is left of the month's budget. The next month begins after `retry_after`.
    OverBudget { retry_after: std::time::Duration },
    /// Nobody could look.
    Unknown(String),
}
