//! Requests counted per app and host, in windows of ten minutes. A restart forgets them.

use std::collections::BTreeMap;

pub(crate) const WINDOW_SECS: i64 = 600;
const API_LIMIT: u32 = 1000;
const TOKEN_LIMIT: u32 = 300;

/// The hosts of the vendor count apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RateHost {
    Api,
    Token,
}

/// What one app asked of one host in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateWindow {
    pub client_id: String,
    pub host: RateHost,
    /// Epoch seconds.
    pub began_at: i64,
    pub used: u32,
    /// Answered 429 because nothing was left.
    pub refused: u32,
}

/// The request budget after counting one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) used: u32,
    pub(crate) remaining: u32,
    pub(crate) reset_secs: i64,
    pub(crate) exceeded: bool,
}

#[derive(Debug)]
pub(crate) struct Rates {
    api_limit: u32,
    token_limit: u32,
    windows: BTreeMap<(String, RateHost, i64), RateWindow>,
}

impl Default for Rates {
    fn default() -> Self {
        Self { api_limit: API_LIMIT, token_limit: TOKEN_LIMIT, windows: BTreeMap::new() }
    }
}

impl Rates {
    /// Forgets what was asked so far.
    pub(crate) fn reset(&mut self, host: RateHost, limit: u32) {
        self.windows.retain(|(_, of, _), _| *of != host);
        *self.limit_of(host) = limit;
    }

    fn limit_of(&mut self, host: RateHost) -> &mut u32 {
        match host {
            RateHost::Api => &mut self.api_limit,
            RateHost::Token => &mut self.token_limit,
        }
    }

    /// Counts one request. What is refused uses nothing.
    pub(crate) fn spend(&mut self, client_id: &str, host: RateHost, now_secs: i64) -> Budget {
        let limit = *self.limit_of(host);
        let began_at = now_secs.div_euclid(WINDOW_SECS) * WINDOW_SECS;
        let window = self.windows.entry((client_id.to_owned(), host, began_at)).or_insert_with(|| RateWindow {
            client_id: client_id.to_owned(),
            host,
            began_at,
            used: 0,
            refused: 0,
        });
        let exceeded = window.used >= limit;
        if exceeded {
            window.refused += 1;
        } else {
            window.used += 1;
        }
        let (used, reset_secs) = (window.used, began_at + WINDOW_SECS - now_secs);
        Budget { used, remaining: limit.saturating_sub(used), reset_secs, exceeded }
    }

    pub(crate) fn windows(&self) -> Vec<RateWindow> {
        self.windows.values().cloned().collect()
    }
}
