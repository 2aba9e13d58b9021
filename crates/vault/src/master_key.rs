//! The key that seals: from the operator's environment, or, for one local machine only, a key file.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use costlens_domain::ports::Entropy;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Why there is no usable master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Neither 64 hexadecimal digits nor the base64 of 32 bytes.
    #[error("the master key must be 32 bytes, as 64 hexadecimal digits or in base64")]
    Shape,
    /// All bytes are the same: a placeholder, not a key.
    #[error("the master key is a placeholder: all its bytes are the same")]
    Weak,
    /// The key file is readable by others.
    #[error("the key file {path} is open to other users (mode {mode:o}); it must be 0600")]
    Exposed {
        /// Where the file is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file cannot be read or made.
    #[error("the key file {path} cannot be used")]
    File {
        /// Where the file is.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Where the key came from, for the line that says so at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The operator gave it.
    Operator,
    /// An existing local key file.
    File(PathBuf),
    /// A key file made just now.
    NewFile(PathBuf),
}

/// Thirty-two secret bytes. Printed by nothing.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    /// The key as an operator writes it: 64 hexadecimal digits or base64.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim();
        let bytes = if text.len() == 64 { hex::decode(text).ok() } else { STANDARD.decode(text).ok() };
        let bytes = Zeroizing::new(bytes.ok_or(MasterKeyError::Shape)?);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| MasterKeyError::Shape)?;
        if key.iter().all(|byte| Some(byte) == key.first()) {
            return Err(MasterKeyError::Weak);
        }
        Ok(Self(Zeroizing::new(key)))
    }

    /// The key in a local file, made with mode 0600 if there is none. A file that others may read is refused.
    pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<(Self, KeySource), MasterKeyError> {
        let failed = |source| MasterKeyError::File { path: path.to_owned(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(mut file) => {
                let mut key = Zeroizing::new([0_u8; 32]);
                entropy.fill(key.as_mut_slice());
                let text = Zeroizing::new(hex::encode(key.as_slice()));
                file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
                Ok((Self(key), KeySource::NewFile(path.to_owned())))
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Ok((Self::parse(&Self::read_file(path)?)?, KeySource::File(path.to_owned())))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// What a key file holds. One that others may read is refused.
    pub fn read_file(path: &Path) -> Result<Zeroizing<String>, MasterKeyError> {
        let failed = |source| MasterKeyError::File { path: path.to_owned(), source };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(failed)?;
        Ok(text)
    }

    /// Whether this is a passphrase or a pattern rather than 32 random bytes: all of it can be typed, or few bytes make
    /// it up, or each follows from the one before. One random key in 10^12 is taken for one.
    #[must_use]
    pub fn looks_made_up(&self) -> bool {
        let bytes = self.0.as_slice();
        let different = bytes.iter().collect::<std::collections::BTreeSet<_>>().len();
        let step = |pair: &[u8]| matches!(pair, [a, b] if b.wrapping_sub(*a) == 1 || a.wrapping_sub(*b) == 1);
        let steps = bytes.windows(2).filter(|pair| step(pair)).count();
        different <= 12 || steps > 16 || bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
    }

    /// Four bytes by which a sealed text names the key that opens it. Tells nothing of the key.
    pub(crate) fn fingerprint(&self) -> [u8; 4] {
        let digest = Sha256::new().chain_update(b"costlens/key-id/1").chain_update(*self.0).finalize();
        let mut id = [0; 4];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        id
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;

    #[test]
    fn both_spellings_give_the_same_key() {
        let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert_eq!(MasterKey::parse(hex).unwrap().bytes(), MasterKey::parse(base64).unwrap().bytes());
    }

    #[test]
    fn weak_and_misshapen_keys_are_refused() {
        assert!(matches!(MasterKey::parse(&"00".repeat(32)), Err(MasterKeyError::Weak)));
        for text in ["", "secret", "AAEC", &"g".repeat(64), &"ab".repeat(31)] {
            assert!(matches!(MasterKey::parse(text), Err(MasterKeyError::Shape)), "{text}");
        }
    }

    #[test]
    fn what_somebody_typed_is_told_from_what_chance_made() {
        let counted = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        for made_up in
            [counted, &"0123456789abcdef".repeat(4), &hex::encode("correct horse battery staple !!!")]
        {
            assert!(MasterKey::parse(made_up).unwrap().looks_made_up(), "{made_up}");
        }
        for _ in 0..10_000 {
            let mut bytes = [0; 32];
            OsEntropy.fill(&mut bytes);
            assert!(!MasterKey::parse(&hex::encode(bytes)).unwrap().looks_made_up(), "{bytes:?}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_private_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/master.key");
        let (made, source) = MasterKey::load_or_create(&path, &OsEntropy).unwrap();
        assert_eq!(source, KeySource::NewFile(path.clone()));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let (read, source) = MasterKey::load_or_create(&path, &OsEntropy).unwrap();
        assert_eq!(source, KeySource::File(path.clone()));
        assert_eq!(made.bytes(), read.bytes());

        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&path, open).unwrap();
        assert!(matches!(
            MasterKey::load_or_create(&path, &OsEntropy),
            Err(MasterKeyError::Exposed { mode: 0o644, .. })
        ));
    }
}
