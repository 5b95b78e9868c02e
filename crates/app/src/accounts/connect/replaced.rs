//! Grants that a newer consent to the same account replaces, in this team or another: nobody would use them again, so they go back to the
//! platform. Tokens that it hands out a second time stay: giving them back would end the new connection.

use super::pending;
use crate::accounts::integrations::{self, Integration};
use crate::accounts::tokens;
use crate::app::App;
use crate::clock::Moment;
use crate::error::chain;
use crate::secrets::SealError;
use rejoinder_platforms::{Account, Grant};
use secrecy::ExposeSecret;
use sqlx::PgConnection;
use uuid::Uuid;

/// Keeps the older grants of the account for the sweep that gives them back. The caller holds the account, stores `new` next, and commits.
pub(super) async fn give_back(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    user_id: Uuid,
    (platform, account, new): (&str, &Account, &Grant),
) -> Result<(), SealError> {
    for older in integrations::hold_account(conn, platform, &account.id).await? {
        if let Some(old) = grant_of(app, conn, &older).await?.filter(|old| !shares_a_token(old, new)) {
            let kept = (platform, older.app_id, account, &old);
            pending::give_back_later(app, conn, moment, (older.team_id, user_id), kept).await?;
        }
    }
    Ok(())
}

async fn grant_of(app: &App, conn: &mut PgConnection, older: &Integration) -> Result<Option<Grant>, SealError> {
    match tokens::grant_of(app, conn, older).await {
        Err(SealError::Database(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(error = %chain(&error), "the tokens of an account cannot be opened and are replaced");
            Ok(None)
        }
        grant => grant,
    }
}

fn shares_a_token(old: &Grant, new: &Grant) -> bool {
    let refresh = |grant: &Grant| grant.refresh_token.as_ref().map(|token| token.expose_secret().to_owned());
    old.access_token.expose_secret() == new.access_token.expose_secret()
        || (old.refresh_token.is_some() && refresh(old) == refresh(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    #[test]
    fn tokens_that_the_platform_hands_out_again_are_not_given_back() {
        let grant = |access: &str, refresh: Option<&str>| Grant {
            access_token: SecretString::from(access),
            refresh_token: refresh.map(SecretString::from),
            scopes: Vec::new(),
            expires_in: None,
        };
        let old = grant("a", Some("r"));
        assert!(shares_a_token(&old, &grant("b", Some("r"))));
        assert!(shares_a_token(&old, &grant("a", Some("s"))));
        assert!(!shares_a_token(&old, &grant("b", Some("s"))));
        assert!(!shares_a_token(&grant("a", None), &grant("b", None)), "two that have none share none");
    }
}
