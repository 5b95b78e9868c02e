//! What the checks need besides the text, read for one suggestion.

use super::Elsewhere;
use crate::accounts::integrations;
use crate::flow::etiquette;
use crate::flow::suggestion::{self, Suggestion};
use rejoinder_platforms::LengthRule;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

/// How far back texts count as posted lately.
pub const LATELY: Duration = Duration::hours(24);

/// Why a person should look at this text once more before it goes out as this suggestion; empty where nothing speaks against it.
pub async fn holds_for(
    conn: &mut PgConnection,
    suggestion: &Suggestion,
    length: LengthRule,
    text: &str,
    now: OffsetDateTime,
) -> Result<Vec<String>, sqlx::Error> {
    let link_domains =
        sqlx::query_scalar!("select link_domains from team_settings where team_id = $1", suggestion.team_id)
            .fetch_optional(&mut *conn)
            .await?
            .unwrap_or_default();
    let posted = suggestion::posted_texts(conn, &[suggestion.integration_id], now - LATELY).await?;
    let recent: Vec<String> = posted.into_iter().map(|(_, text)| text).collect();
    let integration = integrations::load(conn, suggestion.team_id, suggestion.integration_id).await?;
    let platform: Vec<String> = integration.into_iter().map(|integration| integration.platform).collect();
    let elsewhere: Vec<Elsewhere> =
        suggestion::posted_everywhere(conn, &platform, now - LATELY).await?.into_iter().map(|(_, text)| text).collect();
    let manners = etiquette::of(conn, &[suggestion.id]).await?.remove(&suggestion.id).unwrap_or_default();
    let context = super::Context {
        length,
        link_domains: &link_domains,
        recent: &recent,
        community: manners.community.as_deref(),
        elsewhere: &elsewhere,
        answered_by: manners.answered_by.as_deref(),
    };
    Ok(super::holds(text, &context))
}
