//! From what came back on the callback address to the accounts that the consent reaches, each with its grant.

use super::{Callback, ConnectError};
use rejoinder_platforms::{AuthError, FetchError, Reached, Reader, Through};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

/// A consent, exchanged.
pub(super) struct Consent {
    /// At least one.
    pub reached: Vec<Reached>,
    pub granted_at: OffsetDateTime,
    /// The app that it was given to.
    pub app_id: Option<Uuid>,
}

pub(super) async fn exchange(
    reader: &dyn Reader,
    through: &Through,
    callback: Callback,
    (redirect_uri, verifier): (&Url, &SecretString),
) -> Result<Vec<Reached>, ConnectError> {
    if let Some(error) = callback.error {
        return Err(match error.as_str() {
            "access_denied" => ConnectError::Declined,
            other => ConnectError::AppRefused(other.chars().filter(|c| c.is_ascii_graphic()).take(60).collect()),
        });
    }
    // Some platforms append `#_`; browsers drop it, copied addresses do not.
    let code = callback.code.as_deref().map(|code| code.trim_end_matches("#_")).unwrap_or_default();
    if code.is_empty() {
        return Err(ConnectError::NoCode);
    }
    let exchanged = reader.exchange_code(through, code, redirect_uri, verifier.expose_secret()).await;
    let grant = exchanged.map_err(|error| match error {
        AuthError::GrantDead(_) => ConnectError::CodeSpent,
        AuthError::AppRefused(reason) => ConnectError::AppRefused(reason),
        AuthError::Unavailable { reason, .. } => ConnectError::Unavailable(reason),
    })?;
    let refused = match reader.accounts(through, &grant).await {
        Ok(reached) if !reached.is_empty() => return Ok(reached),
        Ok(_) => ConnectError::NoAccount,
        Err(error) => match (error.lacks_permission().map(str::to_owned), error) {
            (Some(reason), _) => ConnectError::LacksPermission(reason),
            (None, FetchError::Refused { code, reason, .. }) => ConnectError::AppRefused(format!("{reason} ({code})")),
            (None, other) => ConnectError::Unavailable(other.to_string()),
        },
    };
    // Nobody will use it.
    drop(reader.revoke(through, &grant).await);
    Err(refused)
}
