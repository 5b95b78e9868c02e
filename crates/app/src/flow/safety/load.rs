//! What the checks need besides the text, read for one suggestion.

use crate::flow::suggestion;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How far back texts count as posted lately.
pub const LATELY: Duration = Duration::hours(24);

/// Whose reply it would be.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    pub team_id: Uuid,
    pub integration_id: Uuid,
    pub max_chars: usize,
}

/// Why a person should look at this text once more; empty where nothing speaks against it.
pub async fn holds_for(
    conn: &mut PgConnection,
    account: Account,
    text: &str,
    now: OffsetDateTime,
) -> Result<Vec<String>, sqlx::Error> {
    let link_domains =
        sqlx::query_scalar!("select link_domains from team_settings where team_id = $1", account.team_id)
            .fetch_optional(&mut *conn)
            .await?
            .unwrap_or_default();
    let posted = suggestion::posted_texts(conn, &[account.integration_id], now - LATELY).await?;
    let recent: Vec<String> = posted.into_iter().map(|(_, text)| text).collect();
    let context = super::Context { max_chars: account.max_chars, link_domains: &link_domains, recent: &recent };
    Ok(super::holds(text, &context))
}
