//! One feed of posts between two ids, newest first. A page may be short or empty and still not be the last: only a missing token says that.

use super::{Api, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Budget, Session};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use wire::{Page, Tweet};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Feed {
    Own,
    Mentions,
    Search(String),
}

/// Ids above `since` and below `until`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    pub feed: Feed,
    pub since: u64,
    pub until: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct RangeRead {
    pub tweets: Vec<Tweet>,
    /// Parents and quoted posts.
    pub others: HashMap<String, Tweet>,
    pub budget: Option<Budget>,
    pub problems: Vec<String>,
    /// What was not reached.
    pub left: Option<Range>,
    pub error: Option<FetchError>,
}

/// At most so many pages; what came before an error counts.
pub(super) async fn read_range(api: &Api, session: &Session, range: Range, pages: usize) -> RangeRead {
    let mut read = RangeRead { left: Some(range.clone()), ..RangeRead::default() };
    let mut token: Option<String> = None;
    for _ in 0..pages {
        let (page, budget) = match page(api, session, &range, token.as_deref()).await {
            Ok(answer) => answer,
            Err(error) => {
                read.error = Some(error);
                return read;
            }
        };
        read.budget = budget.or(read.budget);
        read.problems.extend(page.problems);
        read.others.extend(page.others);
        // As the page names them: an edited post stands there under its newest id, far above its first one.
        let lowest = page.tweets.iter().filter_map(|tweet| wire::number_of(&tweet.listed_id)).min();
        if let (Some(left), Some(lowest)) = (&mut read.left, lowest) {
            left.until = Some(left.until.map_or(lowest, |until| until.min(lowest)));
        }
        read.tweets.extend(page.tweets);
        token = page.next;
        if token.is_none() {
            read.left = None;
            return read;
        }
    }
    read
}

async fn page(
    api: &Api,
    session: &Session,
    range: &Range,
    token: Option<&str>,
) -> Result<(Page, Option<Budget>), FetchError> {
    let id = &session.account.id;
    let (since, until) = (range.since.to_string(), range.until.map(|until| until.to_string()));
    let mut query = Vec::new();
    if range.since > 0 {
        query.push(("since_id", since.as_str()));
    }
    query.extend(until.as_deref().map(|until| ("until_id", until)));
    let (path, scope) = match &range.feed {
        Feed::Own => (vec!["2", "users", id, "tweets"], Scope::Account),
        Feed::Mentions => (vec!["2", "users", id, "mentions"], Scope::Account),
        Feed::Search(words) => {
            query.push(("query", words));
            (vec!["2", "tweets", "search", "recent"], Scope::Item)
        }
    };
    query.extend(token.map(|token| ("pagination_token", token)));
    api.posts(&session.access_token, &path, &query, scope).await
}
