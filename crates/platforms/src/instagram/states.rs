//! How things stand, one call each: a list of ids fails as a whole where one is missing, and each id counts as a call anyway.
//!
//! Meta words "gone" and "closed to you" alike (100/33), so it is believed only while the account's own list can be read: a permission
//! that was lost must not look like a thousand deletions. The list is asked first; it also tells whether the account has calls to spare.

use super::mentions::{self, Thing};
use super::{Api, calls, readback, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Session, Standing, States, ThingState};
use serde_json::Value;

/// Of the account's budget: left for what is said today.
const KEPT_PERCENT: f64 = 40.0;

pub(super) async fn states(api: &Api, session: &Session, ids: &[String]) -> Result<States, FetchError> {
    let path = [calls::checked(&session.account.id)?, "media"];
    let query = [("fields", "id"), ("limit", "1")];
    let budget = api.get(&session.access_token, &path, &query, Scope::Account).await?.budget;
    if let Some(budget) = budget.filter(|budget| budget.remaining < KEPT_PERCENT) {
        return Err(FetchError::RateLimited { retry_after: budget.resets_in });
    }
    let mut things = Vec::with_capacity(ids.len());
    for id in ids {
        things.push(state(api, session, id).await?);
    }
    Ok(States { things, budget })
}

async fn state(api: &Api, session: &Session, id: &str) -> Result<ThingState, FetchError> {
    if let Some(thing) = Thing::of(id) {
        return mentions::state(api, session, id, thing).await;
    }
    let read = match readback::node(api, session, id, wire::COMMENT_FIELDS).await {
        // A medium has none of a comment's fields.
        Err(FetchError::Refused { code, .. }) if calls::is_about_fields(&code) => {
            readback::node(api, session, id, wire::MEDIA_FIELDS).await?
        }
        read => read?,
    };
    Ok(read.map_or_else(|| ThingState::bare(id, Standing::Deleted), |data| here(id, &data)))
}

fn here(id: &str, data: &Value) -> ThingState {
    let hidden = wire::is_hidden(data);
    ThingState {
        text: wire::text(data, "text").or_else(|| wire::text(data, "caption")).filter(|_| !hidden).map(str::to_owned),
        locked: data.get("is_comment_enabled").and_then(Value::as_bool) == Some(false),
        ..ThingState::bare(id, if hidden { Standing::Removed } else { Standing::Here })
    }
}
