//! The keyring on a real table. `REJOINDER_TEST_DATABASE_URL` names any Postgres; all happens in a temporary table.

use super::*;
use sqlx::{Connection, Executor};
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

struct World {
    conn: PgConnection,
    entropy: Entropy,
    kek: Kek,
    place: Place,
}

async fn world() -> Option<World> {
    let Ok(url) = std::env::var("REJOINDER_TEST_DATABASE_URL") else {
        println!("skipped: REJOINDER_TEST_DATABASE_URL is not set");
        return None;
    };
    let mut conn = PgConnection::connect(&url).await.unwrap();
    conn.execute(
        "create temporary table data_keys (id uuid primary key, kek_provider text not null, kek_key_id text not null,
         kek_version integer not null, wrapped bytea not null, created_at timestamptz not null, retired_at timestamptz)",
    )
    .await
    .unwrap();
    let entropy = Entropy::seeded(3);
    let kek = Kek::local(&SecretKey32::generate(&entropy));
    let place =
        Place { table: "integrations", column: "access_token", row: entropy.uuid_v7(NOW), team: entropy.uuid_v7(NOW) };
    Some(World { conn, entropy, kek, place })
}

impl World {
    async fn seal(&mut self, keyring: &Keyring, now: OffsetDateTime) -> Vec<u8> {
        keyring.seal(&mut self.conn, now, &self.entropy, self.place, &SecretString::from("token")).await.unwrap()
    }

    /// Opens as a process would that has just started.
    async fn open_afresh(&mut self, kek: Kek, sealed: &[u8]) -> Result<String, SealError> {
        let opened = Keyring::new(kek).open(&mut self.conn, self.place, sealed).await?;
        Ok(opened.expose_secret().to_owned())
    }

    async fn data_keys(&mut self) -> i64 {
        sqlx::query_scalar("select count(*) from data_keys").fetch_one(&mut self.conn).await.unwrap()
    }
}

#[tokio::test]
async fn a_data_key_serves_thirty_days_and_opens_its_values_for_ever() {
    let Some(mut world) = world().await else { return };
    let keyring = Keyring::new(world.kek.clone());
    let first = world.seal(&keyring, NOW).await;
    world.seal(&keyring, NOW + time::Duration::days(29)).await;
    assert_eq!(world.data_keys().await, 1);
    let later = world.seal(&keyring, NOW + time::Duration::days(31)).await;
    assert_eq!(world.data_keys().await, 2);
    for sealed in [first, later] {
        assert_eq!(world.open_afresh(world.kek.clone(), &sealed).await.unwrap(), "token");
    }
}

#[tokio::test]
async fn a_retired_key_opens_but_does_not_seal() {
    let Some(mut world) = world().await else { return };
    let keyring = Keyring::new(world.kek.clone());
    let old = world.seal(&keyring, NOW).await;
    sqlx::query("update data_keys set retired_at = $1").bind(NOW).execute(&mut world.conn).await.unwrap();
    let new = world.seal(&keyring, NOW).await;
    assert_ne!(envelope::key_id(&old).unwrap(), envelope::key_id(&new).unwrap());
    assert_eq!(world.open_afresh(world.kek.clone(), &old).await.unwrap(), "token");
}

#[tokio::test]
async fn a_key_whose_transaction_was_rolled_back_seals_nothing_more() {
    let Some(mut world) = world().await else { return };
    let keyring = Keyring::new(world.kek.clone());
    world.conn.execute("begin").await.unwrap();
    world.seal(&keyring, NOW).await;
    world.seal(&keyring, NOW).await;
    world.conn.execute("rollback").await.unwrap();
    let sealed = world.seal(&keyring, NOW).await;
    assert_eq!(world.open_afresh(world.kek.clone(), &sealed).await.unwrap(), "token");
}

#[tokio::test]
async fn a_missing_data_key_and_a_foreign_encryption_key_are_told_apart() {
    let Some(mut world) = world().await else { return };
    let sealed = world.seal(&Keyring::new(world.kek.clone()), NOW).await;
    let foreign = Kek::local(&SecretKey32::generate(&world.entropy));
    let refused = world.open_afresh(foreign.clone(), &sealed).await;
    assert!(matches!(refused, Err(SealError::ForeignKey(_))), "{refused:?}");
    let own = world.seal(&Keyring::new(foreign.clone()), NOW).await;
    assert_eq!(world.open_afresh(foreign, &own).await.unwrap(), "token", "a foreign key makes a data key of its own");
    world.conn.execute("delete from data_keys").await.unwrap();
    let lost = world.open_afresh(world.kek.clone(), &sealed).await;
    assert!(matches!(lost, Err(SealError::UnknownKey(_))), "{lost:?}");
}
