//! A tenant's data keys, unwrapped for the moment in which something is sealed or opened.
//!
//! Seals under the newest version and opens every version that is at hand. Layout of the second format: `0x02 ‖ key
//! version (4, big-endian) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`, bound to tenant, table, column, row and version. What
//! an earlier release sealed under the master key itself (the first format) is opened, too.

use std::collections::BTreeMap;
use std::fmt;

use costlens_domain::TenantId;
use costlens_domain::ports::Entropy;
use zeroize::Zeroizing;

use crate::keyring::DataKey;
use crate::{Keyring, SealError, SealedFor, cipher};

const FIRST_FORMAT: u8 = 1;
const FORMAT: u8 = 2;

/// The keys of one tenant. Made by [`Keyring::tenant`].
pub struct TenantKeys<'a> {
    ring: &'a Keyring,
    tenant: TenantId,
    keys: BTreeMap<u32, Result<DataKey, SealError>>,
}

impl fmt::Debug for TenantKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantKeys").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl<'a> TenantKeys<'a> {
    pub(crate) const fn new(
        ring: &'a Keyring,
        tenant: TenantId,
        keys: BTreeMap<u32, Result<DataKey, SealError>>,
    ) -> Self {
        Self { ring, tenant, keys }
    }

    /// The version that seals; `None` for a tenant without keys.
    #[must_use]
    pub fn newest(&self) -> Option<u32> {
        self.keys.last_key_value().map(|(version, _)| *version)
    }

    /// Seals a secret for its place under the newest version. [`SealError::NoKey`] without one, what keeps the newest
    /// from being unwrapped where something does, [`SealError::Rejected`] for another tenant's place, and
    /// [`SealError::Uncounted`] where the store has not heard of the key's last million texts.
    ///
    /// # Panics
    /// On a secret of 64 GiB and more.
    pub fn seal(
        &self,
        place: &SealedFor<'_>,
        secret: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealError> {
        self.check_tenant(place)?;
        let (version, key) = self.keys.last_key_value().ok_or(SealError::NoKey)?;
        let key = key.as_ref().map_err(|reason| *reason)?;
        if !self.ring.counts().one_more(self.tenant, *version) {
            return Err(SealError::Uncounted);
        }
        let head = (FORMAT, version.to_be_bytes());
        let aad = place.associated_data_of(*version);
        Ok(cipher::seal_with_header(head, &key.cipher(), &aad, secret, entropy))
    }

    /// Opens what was sealed for this very place. [`SealError::NoKey`] where the tenant has no key at all,
    /// [`SealError::OtherKey`] where it lacks the one that the text names.
    pub fn open(&self, place: &SealedFor<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.check_tenant(place)?;
        let parts = cipher::Parts::of(sealed)?;
        match parts.format {
            FIRST_FORMAT => return self.ring.open_first_format(place, sealed),
            FORMAT => {}
            _ => return Err(SealError::Format),
        }
        if self.keys.is_empty() {
            return Err(SealError::NoKey);
        }
        let version = u32::from_be_bytes(parts.key);
        let key = self.keys.get(&version).ok_or(SealError::OtherKey)?.as_ref().map_err(|reason| *reason)?;
        parts.open(&key.cipher(), &place.associated_data_of(version))
    }

    fn check_tenant(&self, place: &SealedFor<'_>) -> Result<(), SealError> {
        if place.tenant == self.tenant { Ok(()) } else { Err(SealError::Rejected) }
    }
}

#[cfg(test)]
#[path = "tests/tenant_keys.rs"]
mod tests;
