//! How things stand now, by id: `/api/info`, 100 ids a call, since with more Reddit ignores them all. The order is not
//! kept there and unknown ids are just missing, so both are put right here.

use super::{Api, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Budget, Session, Standing, States, ThingState};
use serde_json::Value;
use std::collections::HashMap;

const IDS_PER_CALL: usize = 100;

pub(super) async fn states(api: &Api, session: &Session, ids: &[String]) -> Result<States, FetchError> {
    let mut told: HashMap<String, ThingState> = HashMap::new();
    let take = |thing: &Value| told.extend(state(thing).map(|state| (state.id.clone(), state)));
    let budget = ask(api, session, ids, take).await?;
    let things =
        ids.iter().map(|id| told.get(id).cloned().unwrap_or_else(|| ThingState::bare(id, Standing::Deleted))).collect();
    Ok(States { things, budget })
}

/// Comment counts of the posts among these that the account sees.
pub(super) async fn counts(api: &Api, session: &Session, ids: &[String]) -> Result<HashMap<String, u64>, FetchError> {
    let mut told = HashMap::new();
    let take = |thing: &Value| {
        let data = wire::data(thing);
        let id = wire::fullname(data, "t3_").filter(|_| wire::kind(thing) == "t3");
        told.extend(id.zip(wire::number(data, "num_comments")).map(|(id, count)| (id, count.max(0.0) as u64)));
    };
    ask(api, session, ids, take).await?;
    Ok(told)
}

async fn ask(
    api: &Api,
    session: &Session,
    ids: &[String],
    mut take: impl FnMut(&Value),
) -> Result<Option<Budget>, FetchError> {
    // Nothing of another shape goes into an address; the platform cannot know it either.
    let mut askable: Vec<&str> = ids.iter().map(String::as_str).filter(|id| is_askable(id)).collect();
    askable.sort_unstable();
    askable.dedup();
    let mut budget: Option<Budget> = None;
    for batch in askable.chunks(IDS_PER_CALL) {
        let query = [("id", batch.join(","))];
        let query: Vec<(&str, &str)> = query.iter().map(|(key, ids)| (*key, ids.as_str())).collect();
        let answer = api.get(&session.access_token, &["api", "info"], &query, Scope::Item).await?;
        budget = answer.budget.or(budget);
        let listing = wire::listing(&answer.body);
        let listing =
            listing.ok_or_else(|| FetchError::Unavailable("the things came in an unknown form".to_owned()))?;
        listing.children.iter().for_each(&mut take);
    }
    Ok(budget)
}

fn is_askable(id: &str) -> bool {
    wire::bare(id, "t1_").or_else(|| wire::bare(id, "t3_")).is_some()
}

/// None for a thing of another kind or without a usable id.
pub(super) fn state(thing: &Value) -> Option<ThingState> {
    let data = wire::data(thing);
    let prefix = match wire::kind(thing) {
        "t1" => "t1_",
        "t3" => "t3_",
        _ => return None,
    };
    let id = wire::fullname(data, prefix)?;
    let standing = wire::standing(data);
    let kept = |text: Option<&str>| text.filter(|_| standing == Standing::Here).map(str::to_owned);
    Some(ThingState {
        standing,
        text: kept(if prefix == "t1_" { wire::text(data, "body") } else { Some(wire::post_body(data)) }),
        title: kept(wire::text(data, "title").filter(|_| prefix == "t3_")),
        author_gone: wire::author_name(data).is_none(),
        edited_at: wire::time(data, "edited"),
        locked: wire::is_locked(data),
        score: wire::number(data, "score").map(|score| score as i64),
        id,
    })
}
