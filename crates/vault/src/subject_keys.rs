//! The data keys of one subject of a tenant: whoever's prompts and answers they seal, and nobody else's.
//!
//! Each text is sealed under a key of its own, HMAC-SHA256 of the data key over the text's place: so a subject may call
//! as often as it likes without two texts ever sharing a key and a nonce, and a text's key opens that text alone. Layout:
//! `0x03 ‖ key version (4, big-endian) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`, bound to tenant, subject, table, column,
//! row and version. A stored data key names itself by its commitment, and the text's key follows from it, so no text
//! opens under two keys.

use std::collections::BTreeMap;
use std::fmt;

use aes_gcm::Aes256Gcm;
use costlens_domain::TenantId;
use costlens_domain::ports::Entropy;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::derive::encode;
use crate::keyring::DataKey;
use crate::{SealError, SealedFor, cipher};

const FORMAT: u8 = 3;

/// The keys of one subject. Made by [`crate::Keyring::subject`]; knows no master key.
#[derive(Clone)]
pub struct SubjectKeys {
    tenant: TenantId,
    subject: Uuid,
    keys: BTreeMap<u32, Result<DataKey, SealError>>,
}

impl fmt::Debug for SubjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectKeys").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl SubjectKeys {
    pub(crate) const fn new(
        tenant: TenantId,
        subject: Uuid,
        keys: BTreeMap<u32, Result<DataKey, SealError>>,
    ) -> Self {
        Self { tenant, subject, keys }
    }

    /// Whose they are.
    #[must_use]
    pub const fn subject(&self) -> Uuid {
        self.subject
    }

    /// The version that seals, where it opens; [`SealError::NoKey`] for a subject without keys.
    pub fn newest(&self) -> Result<u32, SealError> {
        let (version, key) = self.keys.last_key_value().ok_or(SealError::NoKey)?;
        key.as_ref().map(|_| *version).map_err(|reason| *reason)
    }

    /// Seals a text for its place under the newest version. Fails as [`Self::newest`] does, and with
    /// [`SealError::Rejected`] for another tenant's place.
    ///
    /// # Panics
    /// On a text of 64 GiB and more.
    pub fn seal(
        &self,
        place: &SealedFor<'_>,
        text: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealError> {
        self.check_tenant(place)?;
        let (version, key) = self.keys.last_key_value().ok_or(SealError::NoKey)?;
        let key = key.as_ref().map_err(|reason| *reason)?;
        let head = (FORMAT, version.to_be_bytes());
        let aad = self.associated_data(place, *version);
        Ok(cipher::seal_with_header(head, &of_text(key, place), &aad, text, entropy))
    }

    /// Opens what was sealed for this very place. [`SealError::NoKey`] where the subject has no key at all,
    /// [`SealError::OtherKey`] where the one that the text names is not at hand: destroyed, or another's.
    pub fn open(&self, place: &SealedFor<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.check_tenant(place)?;
        let parts = cipher::Parts::of(sealed)?;
        if parts.format != FORMAT {
            return Err(SealError::Format);
        }
        if self.keys.is_empty() {
            return Err(SealError::NoKey);
        }
        let version = u32::from_be_bytes(parts.key);
        let key = self.keys.get(&version).ok_or(SealError::OtherKey)?.as_ref().map_err(|reason| *reason)?;
        parts.open(&of_text(key, place), &self.associated_data(place, version))
    }

    fn check_tenant(&self, place: &SealedFor<'_>) -> Result<(), SealError> {
        if place.tenant == self.tenant { Ok(()) } else { Err(SealError::Rejected) }
    }

    fn associated_data(&self, place: &SealedFor<'_>, version: u32) -> Vec<u8> {
        let tenant = place.tenant.uuid();
        let parts = [
            tenant.as_bytes().as_slice(),
            self.subject.as_bytes(),
            place.table.as_bytes(),
            place.column.as_bytes(),
            place.row.as_bytes(),
            &version.to_be_bytes(),
        ];
        encode("costlens/seal/3", &parts)
    }
}

fn of_text(key: &DataKey, place: &SealedFor<'_>) -> Aes256Gcm {
    key.cipher_of_text(&[place.table.as_bytes(), place.column.as_bytes(), place.row.as_bytes()])
}

#[cfg(test)]
#[path = "tests/subject_keys.rs"]
mod tests;
