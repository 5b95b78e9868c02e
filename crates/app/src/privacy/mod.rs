//! What people may ask of us about themselves, by way of the platform they use: a consent is taken back, what is stored is deleted. Actors:
//! a platform's signed callback, and the job `person.erase`.
//!
//! Always: whoever is named is answered alike, known or not; a request that comes again changes nothing; what a person asked is
//! written down before it is answered and carried out by the job, which the hourly upkeep takes up again should it get lost.

mod deletions;
mod job;

pub use deletions::{Looked, look, take_up};
pub use job::PersonErase;

use crate::accounts::integrations;
use crate::clients::meta::SignedRequest;
use crate::clock::Moment;
use crate::jobs;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

/// The person took the consent back. Their accounts are disconnected, unless they gave it again since.
pub async fn deauthorise(
    conn: &mut PgConnection,
    moment: &Moment,
    platform: &str,
    request: &SignedRequest,
) -> Result<(), sqlx::Error> {
    let issued_at = request.issued_at.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    // Whole seconds are told: whatever was consented within that one is older.
    let before = issued_at.map_or(moment.now, |at| at.saturating_add(Duration::SECOND));
    for account in integrations::owned_by(conn, platform, &request.user_id, before).await? {
        integrations::withdraw(conn, moment, &account).await?;
    }
    Ok(())
}

/// The person wants deleted what is stored of them. Gives the code by which they look up how it stands.
pub async fn ask_deletion(
    conn: &mut PgConnection,
    moment: &Moment,
    platform: &str,
    request: &SignedRequest,
) -> Result<String, sqlx::Error> {
    let asked = deletions::ask(conn, moment, platform, request).await?;
    if asked.open {
        jobs::enqueue_if_absent(conn, &PersonErase { deletion_id: asked.id }, moment.now).await?;
    }
    Ok(asked.code)
}
