//! The 32-byte key of an installation: given as `ENCRYPTION_KEY`, or kept in a file beside the private Postgres.
//!
//! The file is made once, complete or not at all, readable by its owner only, and never overwritten: two starts at the same
//! time end with one key. A damaged file stops the start, since a new key could open nothing.

use crate::clock::Entropy;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

const KEY_BYTES: usize = 32;
const KEY_FILE: &str = "encryption.key";

/// 32 secret bytes; wiped when dropped, never printed.
#[derive(Clone)]
pub struct SecretKey32(Zeroizing<[u8; KEY_BYTES]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormatError {
    #[error("is not base64; make a key with `openssl rand -base64 32`")]
    NotBase64,
    #[error("is {0} bytes long after decoding, not 32; make a key with `openssl rand -base64 32`")]
    WrongLength(usize),
}

impl SecretKey32 {
    pub fn generate(entropy: &Entropy) -> Self {
        Self(Zeroizing::new(entropy.bytes()))
    }

    /// Takes the standard and the URL-safe alphabet, with or without padding, and blanks around.
    pub fn from_base64(text: &str) -> Result<Self, KeyFormatError> {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
        let decoded =
            GeneralPurpose::new(alphabet, config).decode(text.trim()).map_err(|_| KeyFormatError::NotBase64)?;
        let decoded = Zeroizing::new(decoded);
        Self::from_slice(&decoded).ok_or(KeyFormatError::WrongLength(decoded.len()))
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self(Zeroizing::new([0; KEY_BYTES]));
        if bytes.len() != KEY_BYTES {
            return None;
        }
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(general_purpose::STANDARD.encode(self.expose()))
    }
}

impl fmt::Debug for SecretKey32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey32(..)")
    }
}

/// The operator must look at the folder or the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("the key file {path} cannot be read or made: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the key file {path} {reason}. Put the right file back: no other key opens what is sealed here")]
    Format { path: PathBuf, reason: KeyFormatError },
}

/// The key in `data_dir/encryption.key`; on the first start the folder and the file are made.
pub fn load_or_create_key(data_dir: &Path, entropy: &Entropy) -> Result<SecretKey32, KeyFileError> {
    if let Some(key) = load_key(data_dir)? {
        return Ok(key);
    }
    let path = data_dir.join(KEY_FILE);
    let io_error = |source| KeyFileError::Io { path: path.clone(), source };
    let key = SecretKey32::generate(entropy);
    match write_new(data_dir, &path, &key, entropy) {
        Ok(()) => Ok(key),
        // Another start was faster: its key counts.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => load_or_create_key(data_dir, entropy),
        Err(error) => Err(io_error(error)),
    }
}

/// The key in `data_dir/encryption.key`, if there is one. Makes nothing.
pub fn load_key(data_dir: &Path) -> Result<Option<SecretKey32>, KeyFileError> {
    let path = data_dir.join(KEY_FILE);
    match read_if_there(&path) {
        Ok(None) => Ok(None),
        Ok(Some(text)) => {
            SecretKey32::from_base64(&text).map(Some).map_err(|reason| KeyFileError::Format { path, reason })
        }
        Err(source) => Err(KeyFileError::Io { path, source }),
    }
}

fn read_if_there(path: &Path) -> std::io::Result<Option<Zeroizing<String>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Zeroizing::new(String::new());
    file.take(4096).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Writes beside the goal and links it there, so that the goal is never half a key and never replaced.
fn write_new(data_dir: &Path, path: &Path, key: &SecretKey32, entropy: &Entropy) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let unfinished = data_dir.join(format!(".{KEY_FILE}.{}", entropy.token(8)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let mut line = key.to_base64();
    line.push('\n');
    let linked = file
        .write_all(line.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&unfinished, path))
        .and_then(|()| File::open(data_dir)?.sync_all());
    line.zeroize();
    std::fs::remove_file(&unfinished)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A folder of its own under the system's temporary folder, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("rejoinder-key-{}", Entropy::System.token(9));
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_first_start_makes_a_key_that_later_starts_find_again() {
        let folder = Folder::new();
        let first = load_or_create_key(&folder.0, &Entropy::System).unwrap();
        let second = load_or_create_key(&folder.0, &Entropy::System).unwrap();
        assert_eq!(first.expose(), second.expose());
        let mode = std::fs::metadata(folder.0.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "nothing unfinished stays");
    }

    #[test]
    fn many_starts_at_once_end_with_one_key() {
        let folder = Folder::new();
        let keys: Vec<SecretKey32> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| load_or_create_key(&folder.0, &Entropy::System).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| key.expose() == keys[0].expose()));
    }

    #[test]
    fn a_damaged_key_file_is_refused_and_not_replaced() {
        let folder = Folder::new();
        load_or_create_key(&folder.0, &Entropy::System).unwrap();
        let path = folder.0.join(KEY_FILE);
        std::fs::write(&path, "c2hvcnQ=\n").unwrap();
        let error = load_or_create_key(&folder.0, &Entropy::System).unwrap_err();
        assert!(matches!(error, KeyFileError::Format { reason: KeyFormatError::WrongLength(5), .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "c2hvcnQ=\n");
    }

    #[test]
    fn a_key_is_read_in_each_usual_spelling_of_base64() {
        let key = SecretKey32::from_slice(&[0xfb; 32]).unwrap();
        let standard = key.to_base64();
        let spellings = [
            standard.to_string(),
            format!(" {}\n", standard.as_str()),
            standard.trim_end_matches('=').to_owned(),
            standard.replace('+', "-").replace('/', "_"),
        ];
        for text in spellings {
            assert_eq!(SecretKey32::from_base64(&text).unwrap().expose(), key.expose(), "{text}");
        }
        assert_eq!(SecretKey32::from_base64("not base64!").unwrap_err(), KeyFormatError::NotBase64);
    }
}
