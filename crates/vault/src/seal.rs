//! AES-256-GCM, with each sealed text bound to the tenant, table, column and row it belongs to.
//!
//! Moving a sealed text to another row makes it unreadable. Nonces are random: good for 2^32 texts under one key
//! (NIST SP 800-38D, 8.3). What is here is what all formats share, and the first format, sealed under the master key
//! itself: `0x01 ‖ key id (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`. The second one is in [`crate::tenant_keys`].

use aes_gcm::{Aes256Gcm, KeyInit as _};
use costlens_domain::TenantId;
use costlens_domain::ports::Entropy;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::derive::encode;
use crate::{MasterKey, cipher};

const FORMAT: u8 = 1;

/// Why a sealed text does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Too short, or of a format this release does not know.
    #[error("not a sealed text of a known format")]
    Format,
    /// The tenant has no data key: it never had one, or they were destroyed, and with them all that they sealed.
    #[error("the tenant has no data key")]
    NoKey,
    /// Sealed under a master key or a version of the tenant's data key that is not at hand.
    #[error("sealed under another key")]
    OtherKey,
    /// The key service that wraps the tenant's keys cannot be reached, and the key is not in memory.
    #[error("the key service is away")]
    Away,
    /// The key service refuses: its key is disabled, or we may not use it.
    #[error("the key service refuses")]
    Refused,
    /// So many texts were sealed under the key since the store last heard how many that it is not used further.
    #[error("too many uncounted texts under one key")]
    Uncounted,
    /// Changed, truncated, or moved from another row.
    #[error("the sealed text is damaged or belongs to another row")]
    Rejected,
}

impl SealError {
    /// Whether it may open at another time without anything about the text changing.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Away | Self::Refused | Self::Uncounted)
    }
}

/// The one place a sealed text belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedFor<'a> {
    /// Whose it is.
    pub tenant: TenantId,
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's id.
    pub row: Uuid,
}

impl SealedFor<'_> {
    /// What the first format binds a text to.
    fn associated_data(&self) -> Vec<u8> {
        let tenant = self.tenant.uuid();
        let parts = [
            tenant.as_bytes().as_slice(),
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.row.as_bytes(),
        ];
        encode("costlens/seal/1", &parts)
    }

    /// What the second format binds a text to: the same, and the version of the key.
    pub(crate) fn associated_data_of(&self, version: u32) -> Vec<u8> {
        let (tenant, version) = (self.tenant.uuid(), version.to_be_bytes());
        let parts = [
            tenant.as_bytes().as_slice(),
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.row.as_bytes(),
            version.as_slice(),
        ];
        encode("costlens/seal/2", &parts)
    }
}

/// The first format: seals and opens under one master key. What earlier releases wrote is opened with it; nothing new
/// is sealed so, because it could be destroyed only together with everybody's.
pub struct Sealer {
    cipher: Aes256Gcm,
    key_id: [u8; 4],
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("key_id", &hex::encode(self.key_id)).finish_non_exhaustive()
    }
}

impl Sealer {
    /// A sealer under this key.
    #[must_use]
    pub fn new(key: &MasterKey) -> Self {
        Self { cipher: Aes256Gcm::new(key.bytes().into()), key_id: key.fingerprint() }
    }

    /// Seals a secret for its place.
    ///
    /// # Panics
    /// On a secret of 64 GiB and more.
    #[must_use]
    pub fn seal(&self, place: &SealedFor<'_>, secret: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let head = (FORMAT, self.key_id);
        cipher::seal_with_header(head, &self.cipher, &place.associated_data(), secret, entropy)
    }

    /// Opens what was sealed for this very place.
    pub fn open(&self, place: &SealedFor<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let sealed = cipher::Parts::of(sealed)?;
        if sealed.format != FORMAT {
            return Err(SealError::Format);
        }
        if sealed.key != self.key_id {
            return Err(SealError::OtherKey);
        }
        sealed.open(&self.cipher, &place.associated_data())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;

    fn place(row: u128) -> SealedFor<'static> {
        let tenant = TenantId::from(Uuid::from_u128(1));
        SealedFor { tenant, table: "connection", column: "sealed_secret", row: Uuid::from_u128(row) }
    }

    fn sealer(text: &str) -> Sealer {
        Sealer::new(&MasterKey::parse(text).unwrap())
    }

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const OTHER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn a_sealed_secret_opens_in_its_own_row_only() {
        let sealed = sealer(KEY).seal(&place(2), b"sk-live", &OsEntropy);
        assert!(!sealed.windows(7).any(|window| window == b"sk-live"));
        assert_eq!(sealer(KEY).open(&place(2), &sealed).unwrap().as_slice(), b"sk-live");
        assert_eq!(sealer(KEY).open(&place(3), &sealed), Err(SealError::Rejected));
        let other_tenant = SealedFor { tenant: TenantId::from(Uuid::from_u128(9)), ..place(2) };
        assert_eq!(sealer(KEY).open(&other_tenant, &sealed), Err(SealError::Rejected));
        assert_eq!(sealer(OTHER).open(&place(2), &sealed), Err(SealError::OtherKey));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let sealer = sealer(KEY);
        let sealed = sealer.seal(&place(2), b"sk-live", &OsEntropy);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer.open(&place(2), &changed).is_err(), "byte {index}");
        }
        for length in 0..sealed.len() {
            assert!(sealer.open(&place(2), &sealed[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_known_answer_still_opens() {
        // Sealed once by this format's first release: a change of layout or associated data must not go unnoticed.
        #[derive(Debug)]
        struct Fixed;
        impl Entropy for Fixed {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(0x42);
            }
        }
        let sealed = sealer(KEY).seal(&place(2), b"sk-live", &Fixed);
        assert_eq!(hex::encode(sealed), KNOWN_ANSWER);
    }

    // Checked against an independent implementation of AES-GCM.
    const KNOWN_ANSWER: &str =
        "010cb8e02342424242424242424242424269f754aae4f3c0767c2e35882bca3cae34968b74bafc1b";
}
