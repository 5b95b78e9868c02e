//! How often people are invited, how often a link is tried and how often strangers sign up. Counted in Postgres, for all processes
//! together, before anything else is looked at.

use super::{ClientAddress, line_of, short_hash, whole_secs};
use crate::coord::buckets::{self, TakeError};
use crate::error::Problem;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// At most so many at once, which come back over so many seconds.
#[derive(Clone, Copy)]
struct Allowed {
    most: f64,
    secs: f64,
}

const INVITATIONS_PER_TEAM: Allowed = Allowed { most: 60.0, secs: 3600.0 };
const ACCEPTANCES_PER_ADDRESS: Allowed = Allowed { most: 30.0, secs: 900.0 };
/// Who holds a link may try a few addresses by mistake, not a list of them.
const ACCEPTANCES_PER_LINK: Allowed = Allowed { most: 10.0, secs: 3600.0 };
const SIGN_UPS_PER_ADDRESS: Allowed = Allowed { most: 5.0, secs: 3600.0 };

/// Counts an invitation that a team sends or renews.
pub async fn count_invitation(conn: &mut PgConnection, team_id: Uuid, now: OffsetDateTime) -> Result<(), Problem> {
    let key = format!("invite-team:{}", team_id.simple());
    count(conn, &key, INVITATIONS_PER_TEAM, "The team sent many invitations within the hour", now).await
}

/// Counts a try to accept an invitation.
pub async fn count_acceptance(
    conn: &mut PgConnection,
    address: ClientAddress,
    token: &str,
    now: OffsetDateTime,
) -> Result<(), Problem> {
    let line = format!("accept-address:{}", short_hash(&line_of(address.0).to_be_bytes()));
    let link = format!("accept-link:{}", short_hash(token.as_bytes()));
    count(conn, &line, ACCEPTANCES_PER_ADDRESS, "Too many tries to accept an invitation", now).await?;
    count(conn, &link, ACCEPTANCES_PER_LINK, "Too many tries with this link", now).await
}

/// Counts a stranger who wants an account.
pub async fn count_sign_up(
    conn: &mut PgConnection,
    address: ClientAddress,
    now: OffsetDateTime,
) -> Result<(), Problem> {
    let line = format!("signup-address:{}", short_hash(&line_of(address.0).to_be_bytes()));
    count(conn, &line, SIGN_UPS_PER_ADDRESS, "Too many accounts were asked for from your address", now).await
}

async fn count(
    conn: &mut PgConnection,
    key: &str,
    allowed: Allowed,
    why: &str,
    now: OffsetDateTime,
) -> Result<(), Problem> {
    match buckets::take(conn, key, 1.0, allowed.most, allowed.most / allowed.secs, now).await {
        Ok(()) => Ok(()),
        Err(TakeError::Wait { until }) => {
            let secs = whole_secs((until - now).as_seconds_f64());
            Err(Problem::too_many(secs, format!("{why}. Try again in {} min.", secs.div_ceil(60))))
        }
        Err(TakeError::Database(error)) => Err(error.into()),
    }
}
