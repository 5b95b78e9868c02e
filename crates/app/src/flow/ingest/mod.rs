//! From a platform's answer to posts, comments and the inbox. Actors: the job `integration.poll`; `posts.look`, which tells it under
//! which posts something was said; and for webhooks the intake, which keeps what came before it is answered, and the job
//! `post.process`, which works it.
//!
//! Always: the same thing read twice is one row (unique by platform id); what our own account wrote never becomes an item; texts
//! are normalised before they are stored; a text that is gone on the platform is gone here. The cursor is stored in the same
//! transaction as the rows, so a crash between two polls repeats a poll and never skips one.

mod db;
pub mod inbox;
pub mod intake;
pub mod job;
pub mod looks;
pub mod normalise;
pub mod process;
pub mod rhythm;
pub mod standing;
pub mod sweep;
pub mod thread;
pub mod webhook_events;

pub use db::{found_by, leave_to_people};
pub use job::IntegrationPoll;
pub use looks::PostsLook;
pub use process::PostProcess;
pub use sweep::StandingSweep;

use crate::accounts::integrations::Integration;
use crate::clock::Moment;
use crate::coord::events;
use crate::webhooks;
use rejoinder_platforms::{InboundComment, InboundItem, InboundPost};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// The account that was polled.
#[derive(Debug, Clone)]
pub struct Source {
    pub team_id: Uuid,
    pub integration_id: Uuid,
    pub platform: String,
    pub account_id: String,
    pub account_name: String,
    /// Texts from before become context only.
    pub items_since: OffsetDateTime,
}

/// How far back a newly connected account brings work.
const BACKFILL: time::Duration = time::Duration::DAY;

impl Source {
    pub fn of(integration: &Integration) -> Self {
        Self {
            team_id: integration.team_id,
            integration_id: integration.id,
            platform: integration.platform.clone(),
            account_id: integration.platform_account_id.clone(),
            account_name: integration.display_name.clone(),
            items_since: integration.created_at - BACKFILL,
        }
    }
}

/// What one round brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    pub posts: usize,
    pub comments: usize,
    pub new_items: usize,
    /// Of these, in threads of others.
    pub new_elsewhere: usize,
}

/// Stores one round on the caller's transaction.
pub async fn store(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    items: Vec<InboundItem>,
) -> Result<Stored, sqlx::Error> {
    let (mut posts, mut comments): (Vec<InboundPost>, Vec<InboundComment>) = (Vec::new(), Vec::new());
    let mut to_answer: Vec<String> = Vec::new();
    for item in items {
        match item {
            InboundItem::Post(post) => {
                to_answer.push(post.id.clone());
                posts.push(post);
            }
            InboundItem::Thread(post) => posts.push(post),
            InboundItem::Comment(comment) => comments.push(comment),
        }
    }
    // One statement cannot touch a row twice: of two readings in one round the later one counts.
    keep_last(&mut posts, |post| post.id.clone());
    keep_last(&mut comments, |comment| comment.id.clone());
    // Two polls that overlap take the rows in the same order.
    posts.sort_by(|a, b| a.id.cmp(&b.id));
    comments.sort_by(|a, b| a.id.cmp(&b.id));

    let edited = standing::edited_among(conn, source, &comments).await?;
    db::upsert_posts(conn, moment, source, &posts).await?;
    db::upsert_comments(conn, moment, source, &comments).await?;
    let ids: Vec<String> = comments.iter().map(|comment| comment.id.clone()).collect();
    db::link_parents(conn, source, &ids).await?;
    let mut new_items = db::open_items(conn, moment, source, &ids).await?;
    new_items.extend(db::open_post_items(conn, moment, source, &to_answer).await?);
    let gone: Vec<String> =
        comments.iter().filter(|comment| comment.deleted).map(|comment| comment.id.clone()).collect();
    let gone = standing::gone_among(conn, source, &gone).await?;
    let closed = db::close_items(conn, moment, source, &ids).await?;
    let changed = standing::tell(conn, moment, source, &gone, &edited).await?;
    if !new_items.is_empty() || closed > 0 || changed {
        events::notify(conn, source.team_id, events::Kind::Item, source.integration_id).await?;
    }
    let told = new_items.iter().map(|id| webhooks::Event::item_created(source, *id));
    webhooks::announce(conn, moment, &told.collect::<Vec<_>>()).await?;
    let new_elsewhere = db::elsewhere(conn, source, &new_items).await?;
    Ok(Stored { posts: posts.len(), comments: comments.len(), new_items: new_items.len(), new_elsewhere })
}

fn keep_last<T>(items: &mut Vec<T>, key: impl Fn(&T) -> String) {
    let mut seen = std::collections::HashSet::new();
    items.reverse();
    items.retain(|item| seen.insert(key(item)));
}

#[cfg(test)]
mod tests {
    use super::keep_last;

    #[test]
    fn of_two_readings_in_one_round_the_later_one_counts() {
        let mut items = vec![("a", 1), ("b", 2), ("a", 3)];
        keep_last(&mut items, |item| item.0.to_owned());
        items.sort_unstable();
        assert_eq!(items, [("a", 3), ("b", 2)]);
    }
}
