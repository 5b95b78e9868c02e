//! Whether a value opens is decided without a database: these tests hold the pure parts and the remembered keys.

use super::*;
use crate::clock::Entropy;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

struct World {
    entropy: Entropy,
    key_id: Uuid,
    key: SecretKey32,
    place: Place,
}

fn world() -> World {
    let entropy = Entropy::seeded(1);
    let (row, team) = (entropy.uuid_v7(NOW), entropy.uuid_v7(NOW));
    let place = Place { table: "integrations", column: "access_token", row, team };
    World { key_id: entropy.uuid_v7(NOW), key: SecretKey32::generate(&entropy), place, entropy }
}

impl World {
    fn seal(&self, plain: &str) -> Vec<u8> {
        envelope::seal(self.key_id, &self.key, self.place, plain, &self.entropy)
    }

    fn open(&self, sealed: &[u8]) -> Result<String, SealError> {
        let plain = envelope::open(&self.key, self.place, sealed)?;
        Ok(String::from_utf8(plain.to_vec()).unwrap())
    }
}

#[test]
fn a_value_opens_at_its_place_and_does_not_show_in_its_sealed_form() {
    let world = world();
    for plain in ["", "token", "ünïcode ✓", &"x".repeat(10_000)] {
        let sealed = world.seal(plain);
        assert_eq!(world.open(&sealed).unwrap(), plain);
        assert!(plain.is_empty() || !sealed.windows(plain.len()).any(|part| part == plain.as_bytes()));
    }
    assert_ne!(world.seal("token"), world.seal("token"), "a nonce is never used twice");
    assert_eq!(envelope::key_id(&world.seal("token")).unwrap(), world.key_id);
}

#[test]
fn a_value_that_was_moved_does_not_open() {
    let world = world();
    let sealed = world.seal("token");
    let other = world.entropy.uuid_v7(NOW);
    let places = [
        Place { table: "oauth_states", ..world.place },
        Place { column: "refresh_token", ..world.place },
        Place { row: other, ..world.place },
        Place { team: other, ..world.place },
        Place { row: world.place.team, team: world.place.row, ..world.place },
        // The same letters, cut differently.
        Place { table: "integrationsa", column: "ccess_token", ..world.place },
    ];
    for place in places {
        let moved = envelope::open(&world.key, place, &sealed);
        assert!(matches!(moved, Err(SealError::Damaged)), "{place:?}");
    }
}

#[test]
fn a_change_of_any_byte_and_any_cut_is_noticed() {
    let world = world();
    let sealed = world.seal("token");
    for position in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        assert!(world.open(&changed).is_err(), "byte {position}");
        assert!(world.open(&sealed[..position]).is_err(), "cut at {position}");
    }
    assert!(world.open(&[sealed.as_slice(), &[0]].concat()).is_err(), "a byte more");
}

#[test]
fn an_unknown_format_is_told_from_damage() {
    let world = world();
    let mut newer = world.seal("token");
    newer[0] = 2;
    assert!(matches!(world.open(&newer), Err(SealError::UnknownFormat(2))));
    let mut other_cipher = world.seal("token");
    other_cipher[1] = 9;
    assert!(matches!(world.open(&other_cipher), Err(SealError::UnknownFormat(9))));
    assert!(matches!(world.open(&[]), Err(SealError::Damaged)));
}

#[test]
fn another_data_key_does_not_open_it() {
    let world = world();
    let sealed = world.seal("token");
    let foreign = SecretKey32::generate(&world.entropy);
    assert!(matches!(envelope::open(&foreign, world.place, &sealed), Err(SealError::Damaged)));
}

#[tokio::test]
async fn a_data_key_unwraps_with_its_own_key_and_id_only() {
    let world = world();
    let kek = Kek::local(&SecretKey32::generate(&world.entropy));
    let wrapped = kek.wrap(world.key_id, &world.key, &world.entropy).await.unwrap();
    let unwrapped = kek.unwrap(world.key_id, &wrapped).await.unwrap();
    assert_eq!(unwrapped.expose(), world.key.expose());

    let foreign = Kek::local(&SecretKey32::generate(&world.entropy));
    assert!(matches!(foreign.unwrap(world.key_id, &wrapped).await, Err(SealError::ForeignKey(_))));
    assert!(matches!(kek.unwrap(world.entropy.uuid_v7(NOW), &wrapped).await, Err(SealError::ForeignKey(_))));
    for position in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[position] ^= 1;
        assert!(kek.unwrap(world.key_id, &changed).await.is_err(), "byte {position}");
    }
}

#[test]
fn the_fingerprint_tells_keys_apart_and_stays_the_same() {
    let entropy = Entropy::seeded(2);
    let (one, two) = (SecretKey32::generate(&entropy), SecretKey32::generate(&entropy));
    let fingerprint = Keyring::new(Kek::local(&one)).fingerprint();
    assert_eq!(fingerprint, Keyring::new(Kek::local(&one)).fingerprint());
    assert_ne!(fingerprint, Keyring::new(Kek::local(&two)).fingerprint());
    assert!(fingerprint.len() == 32 && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn the_stored_form_stays_readable_by_later_versions() {
    let zero = SecretKey32::from_slice(&[0; 32]).unwrap();
    let place = Place { table: "t", column: "c", row: Uuid::nil(), team: Uuid::max() };
    let sealed = envelope::seal(Uuid::nil(), &zero, place, "token", &Entropy::seeded(0));
    assert_eq!(base16(&sealed), STORED_FORM);
    assert_eq!(Kek::local(&zero).fingerprint(), STORED_FINGERPRINT);
}

const STORED_FORM: &str = "010100000000000000000000000000000000374708fff7719dd5979ec875d56cd2286f6d3cf7ec317a3b614f360a484f019bf42e8a5f8c6c1f64a725d69f05";
const STORED_FINGERPRINT: &str = "8f48542eff615baa6c8ef56ea904fd7b";

fn base16(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn remembered_keys_are_bounded_and_nothing_shows_them() {
    let world = world();
    let kek = Kek::local(&world.key);
    let keyring = Keyring::new(kek.clone());
    let ids: Vec<Uuid> = (0..MAX_REMEMBERED_KEYS + 5).map(|_| world.entropy.uuid_v7(NOW)).collect();
    for id in &ids {
        keyring.remember(*id, world.key.clone());
    }
    assert_eq!(keyring.0.remembered.lock().unwrap().len(), MAX_REMEMBERED_KEYS);
    assert!(keyring.recall(ids[0]).is_none(), "the oldest goes first");
    assert!(keyring.recall(ids[ids.len() - 1]).is_some());
    assert_eq!(format!("{keyring:?} {:?}", world.key), "Keyring(..) SecretKey32(..)");
    assert_eq!(
        format!("{kek:?}"),
        format!("Local(LocalKek {{ wrapping: SecretKey32(..), fingerprint: {:?} }})", kek.fingerprint())
    );
}
