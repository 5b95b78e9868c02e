//! People's way in, and the keyring on a real table.

use crate::cluster::TestDatabase;
use crate::harness::START;
use rejoinder_app::accounts::passwords::Passwords;
use rejoinder_app::accounts::setup::{self, FirstAdmin, LinkFault, RedeemError};
use rejoinder_app::accounts::{check_password, sessions, token_hash};
use rejoinder_app::clock::Entropy;
use rejoinder_app::secrets::{Kek, Keyring, Place, SealError, SecretKey32};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Executor, PgConnection};
use time::{Duration, OffsetDateTime};

fn form(email: &str) -> FirstAdmin {
    FirstAdmin {
        name: "Ana".to_owned(),
        email: email.to_owned(),
        password: SecretString::from("a long enough password"),
        team_name: "Brassfinch".to_owned(),
    }
}

#[tokio::test]
async fn of_two_browsers_with_one_link_exactly_one_makes_the_first_account() {
    let database = TestDatabase::create().await;
    let (pool, entropy, passwords) = (&database.pool, Entropy::seeded(5), Passwords::default());
    let mut conn = pool.acquire().await.unwrap();
    let link = setup::ensure_setup_link(&mut conn, START, &entropy).await.unwrap().unwrap();
    let token = link.expose_secret();
    let (one, two) = tokio::join!(
        setup::redeem_first_admin(pool, &passwords, token, form("ana@example.com"), START, &entropy),
        setup::redeem_first_admin(pool, &passwords, token, form("ben@example.com"), START, &entropy),
    );
    let results = [one, two];
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    let lost = results.iter().find_map(|result| result.as_ref().err()).unwrap();
    assert!(matches!(lost, RedeemError::Link(LinkFault::Used | LinkFault::AlreadyDone)), "{lost:?}");
    let users: i64 = sqlx::query_scalar("select count(*) from users").fetch_one(pool).await.unwrap();
    assert_eq!(users, 1);
    assert!(setup::ensure_setup_link(&mut conn, START, &entropy).await.unwrap().is_none(), "no link beside an account");
    drop(conn);
    database.drop().await;
}

#[tokio::test]
async fn the_last_printed_link_works_for_a_day_and_once() {
    let database = TestDatabase::create().await;
    let (pool, entropy) = (&database.pool, Entropy::seeded(5));
    let mut conn = pool.acquire().await.unwrap();
    let first = setup::ensure_setup_link(&mut conn, START, &entropy).await.unwrap().unwrap();
    let second = setup::ensure_setup_link(&mut conn, START, &entropy).await.unwrap().unwrap();
    let fault = |result: Result<(), RedeemError>| match result {
        Err(RedeemError::Link(fault)) => Some(fault),
        Ok(()) => None,
        other => panic!("{other:?}"),
    };
    let day = Duration::hours(24);
    assert_eq!(
        fault(setup::check_first_admin(&mut conn, first.expose_secret(), START).await),
        Some(LinkFault::Unknown)
    );
    assert_eq!(fault(setup::check_first_admin(&mut conn, second.expose_secret(), START).await), None);
    let late = setup::check_first_admin(&mut conn, second.expose_secret(), START + day).await;
    assert_eq!(fault(late), Some(LinkFault::Late));
    let passwords = Passwords::default();
    let token = second.expose_secret();
    setup::redeem_first_admin(pool, &passwords, token, form("ana@example.com"), START, &entropy).await.unwrap();
    assert_eq!(fault(setup::check_first_admin(&mut conn, token, START).await), Some(LinkFault::Used));
    let right = SecretString::from("a long enough password");
    check_password(pool, &passwords, " ANA@example.com", right.clone()).await.unwrap();
    assert!(check_password(pool, &passwords, "ben@example.com", right).await.is_err());
    assert!(check_password(pool, &passwords, "ana@example.com", SecretString::from("wrong password")).await.is_err());
    drop(conn);
    database.drop().await;
}

#[tokio::test]
async fn a_session_ends_when_idle_or_old_and_upkeep_removes_it() {
    let database = TestDatabase::create().await;
    let (pool, entropy) = (&database.pool, Entropy::seeded(5));
    let mut conn = pool.acquire().await.unwrap();
    let link = setup::ensure_setup_link(&mut conn, START, &entropy).await.unwrap().unwrap();
    let passwords = Passwords::default();
    let redeemed =
        setup::redeem_first_admin(pool, &passwords, link.expose_secret(), form("ana@example.com"), START, &entropy);
    let session = redeemed.await.unwrap().session;
    let hash = token_hash(session.token.expose_secret());
    let mut now = START;
    while now < START + sessions::ABSOLUTE_LIFETIME - Duration::days(13) {
        now += Duration::days(13);
        assert!(sessions::lookup(&mut conn, &hash, now).await.unwrap().is_some(), "used, it lives on: {now}");
    }
    let old = START + sessions::ABSOLUTE_LIFETIME;
    assert!(sessions::lookup(&mut conn, &hash, old).await.unwrap().is_none());
    assert_eq!(sessions::delete_expired(&mut conn, old, 10).await.unwrap(), 1);
    drop(conn);
    database.drop().await;
}

struct Sealing {
    entropy: Entropy,
    kek: Kek,
    place: Place,
}

impl Sealing {
    fn new() -> Self {
        let entropy = Entropy::seeded(3);
        let kek = Kek::local(&SecretKey32::generate(&entropy));
        let (row, team) = (entropy.uuid_v7(START), entropy.uuid_v7(START));
        Self { entropy, kek, place: Place { table: "integrations", column: "access_token", row, team } }
    }

    async fn seal(&self, conn: &mut PgConnection, keyring: &Keyring, now: OffsetDateTime) -> Vec<u8> {
        keyring.seal(conn, now, &self.entropy, self.place, &SecretString::from("token")).await.unwrap()
    }

    /// Opens as a process would that has just started.
    async fn open_afresh(&self, conn: &mut PgConnection, kek: &Kek, sealed: &[u8]) -> Result<String, SealError> {
        let opened = Keyring::new(kek.clone()).open(conn, self.place, sealed).await?;
        Ok(opened.expose_secret().to_owned())
    }
}

async fn data_keys(conn: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from data_keys").fetch_one(conn).await.unwrap()
}

#[tokio::test]
async fn a_data_key_serves_thirty_days_and_opens_its_values_for_ever() {
    let database = TestDatabase::create().await;
    let (mut conn, world) = (database.pool.acquire().await.unwrap(), Sealing::new());
    let keyring = Keyring::new(world.kek.clone());
    let first = world.seal(&mut conn, &keyring, START).await;
    world.seal(&mut conn, &keyring, START + Duration::days(29)).await;
    assert_eq!(data_keys(&mut conn).await, 1);
    let later = world.seal(&mut conn, &keyring, START + Duration::days(31)).await;
    assert_eq!(data_keys(&mut conn).await, 2);
    for sealed in [first, later] {
        assert_eq!(world.open_afresh(&mut conn, &world.kek, &sealed).await.unwrap(), "token");
    }
    drop(conn);
    database.drop().await;
}

#[tokio::test]
async fn a_retired_key_opens_but_does_not_seal() {
    let database = TestDatabase::create().await;
    let (mut conn, world) = (database.pool.acquire().await.unwrap(), Sealing::new());
    let keyring = Keyring::new(world.kek.clone());
    let old = world.seal(&mut conn, &keyring, START).await;
    sqlx::query("update data_keys set retired_at = $1").bind(START).execute(&mut *conn).await.unwrap();
    world.seal(&mut conn, &keyring, START).await;
    assert_eq!(data_keys(&mut conn).await, 2, "a new key seals");
    assert_eq!(world.open_afresh(&mut conn, &world.kek, &old).await.unwrap(), "token");
    drop(conn);
    database.drop().await;
}

#[tokio::test]
async fn a_key_whose_transaction_was_rolled_back_seals_nothing_more() {
    let database = TestDatabase::create().await;
    let (mut conn, world) = (database.pool.acquire().await.unwrap(), Sealing::new());
    let keyring = Keyring::new(world.kek.clone());
    conn.execute("begin").await.unwrap();
    world.seal(&mut conn, &keyring, START).await;
    world.seal(&mut conn, &keyring, START).await;
    conn.execute("rollback").await.unwrap();
    let sealed = world.seal(&mut conn, &keyring, START).await;
    assert_eq!(world.open_afresh(&mut conn, &world.kek, &sealed).await.unwrap(), "token");
    drop(conn);
    database.drop().await;
}

#[tokio::test]
async fn a_missing_data_key_and_a_foreign_encryption_key_are_told_apart() {
    let database = TestDatabase::create().await;
    let (mut conn, world) = (database.pool.acquire().await.unwrap(), Sealing::new());
    let sealed = world.seal(&mut conn, &Keyring::new(world.kek.clone()), START).await;
    let foreign = Kek::local(&SecretKey32::generate(&world.entropy));
    let refused = world.open_afresh(&mut conn, &foreign, &sealed).await;
    assert!(matches!(refused, Err(SealError::ForeignKey(_))), "{refused:?}");
    let own = world.seal(&mut conn, &Keyring::new(foreign.clone()), START).await;
    assert_eq!(world.open_afresh(&mut conn, &foreign, &own).await.unwrap(), "token");
    conn.execute("delete from data_keys").await.unwrap();
    let lost = world.open_afresh(&mut conn, &world.kek, &sealed).await;
    assert!(matches!(lost, Err(SealError::UnknownKey(_))), "{lost:?}");
    drop(conn);
    database.drop().await;
}
