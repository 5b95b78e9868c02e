//! Whether our key is the one that the database's secrets were sealed with. Reads the key file, and makes none.

use super::Finding;
use crate::config::Config;
use crate::secrets::{Kek, Keyring, load_key};
use sqlx::PgPool;

const CHECK: &str = "encryption_key";

pub(super) async fn check(pool: &PgPool, config: &Config) -> Result<Finding, sqlx::Error> {
    let there: bool = sqlx::query_scalar("select to_regclass('instance_facts') is not null").fetch_one(pool).await?;
    let sealed_with: Option<String> = if there {
        sqlx::query_scalar("select value from instance_facts where name = 'key_fingerprint'")
            .fetch_optional(pool)
            .await?
    } else {
        None
    };
    let ours = match &config.encryption_key {
        Some(key) => Ok(Some(key.clone())),
        None => load_key(&config.data_dir),
    };
    let ours = match ours {
        Ok(key) => key.map(|key| Keyring::new(Kek::local(&key)).fingerprint()),
        Err(error) => {
            return Ok(Finding::fail(CHECK, format!("{error}."), "Without the key no stored token can be opened."));
        }
    };
    Ok(match (sealed_with, ours) {
        (None, _) => Finding::ok(CHECK, "Nothing is sealed yet; the first start chooses its key."),
        (Some(theirs), Some(ours)) if theirs == ours => {
            Finding::ok(CHECK, "It is the key that this database was sealed with.")
        }
        (Some(_), Some(_)) => Finding::fail(
            CHECK,
            "ENCRYPTION_KEY is not the key that this database was sealed with: no stored token can be opened.",
            "Set the right key; it stands where this installation was first set up.",
        ),
        (Some(_), None) => Finding::fail(
            CHECK,
            format!(
                "The database is sealed and there is no key: ENCRYPTION_KEY is not set and {} holds no key file.",
                config.data_dir.display()
            ),
            "Set ENCRYPTION_KEY, or put the file encryption.key back from the backup.",
        ),
    })
}
