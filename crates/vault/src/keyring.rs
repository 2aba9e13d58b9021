//! The master key and its predecessors, and what is made with them: wrapped data keys and tags.
//!
//! Every tenant's secrets are sealed under a random data key of its own ([`TenantKeys`]), of which only a wrapped copy
//! is stored. Destroying the copies destroys everything that was sealed under them, in every backup too, and a data key
//! that leaks opens one tenant's rows alone. The wrapping key is HMAC-SHA256 of the master key over tenant and version.
//! So are the keys of those whose prompts and answers are kept ([`SubjectKeys`]), one for each, with the subject as a
//! part of what the wrapping key is derived from.
//! Layout of a wrapped key: `0x01 ‖ master key id (4) ‖ nonce (12) ‖ ciphertext (32) ‖ tag (16) ‖ commitment (32)`.
//! AES-GCM alone would let a ciphertext be made that opens under two keys; the commitment names the one.

use std::fmt;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use costlens_domain::TenantId;
use costlens_domain::ports::Entropy;
use subtle::{Choice, ConstantTimeEq as _};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::derive::{encode, mac};
use crate::{MasterKey, SealError, Sealer, SubjectKeys, TenantKeys};

const FORMAT: u8 = 1;
const WRAPPED_BYTES: usize = 1 + 4 + 12 + 32 + 16 + 32;

/// A data key as it is stored: nothing without the master key that wrapped it.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey(pub Vec<u8>);

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappedKey(…)")
    }
}

/// A tenant's data key in the clear. Printed by nothing.
#[derive(Clone)]
pub(crate) struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    pub(crate) fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.0).into())
    }

    /// The cipher of one text alone.
    pub(crate) fn cipher_of_text(&self, place: &[&[u8]]) -> Aes256Gcm {
        Aes256Gcm::new((&*mac(&self.0, "costlens/text-key/1", place)).into())
    }

    fn commitment(&self) -> Zeroizing<[u8; 32]> {
        mac(&self.0, "costlens/commit/1", &[])
    }
}

/// Whose data key it is: a tenant's, or one subject's of the tenant.
#[derive(Clone, Copy)]
struct Owner {
    tenant: TenantId,
    subject: Option<Uuid>,
    version: u32,
}

/// A master key, ready for use.
struct Master {
    key: MasterKey,
    first_format: Sealer,
}

impl Master {
    fn new(key: MasterKey) -> Self {
        Self { first_format: Sealer::new(&key), key }
    }

    fn wrapping_cipher(&self, owner: &Owner) -> Aes256Gcm {
        let (tenant, version) = (owner.tenant.uuid(), owner.version.to_be_bytes());
        let key = match owner.subject {
            None => mac(self.key.bytes(), "costlens/kek/1", &[tenant.as_bytes(), &version]),
            Some(subject) => mac(
                self.key.bytes(),
                "costlens/subject-kek/1",
                &[tenant.as_bytes(), subject.as_bytes(), &version],
            ),
        };
        Aes256Gcm::new((&*key).into())
    }

    fn tag(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let key = mac(self.key.bytes(), "costlens/tag-key/1", &[purpose.as_bytes()]);
        *mac(&key, "costlens/tag/1", parts)
    }
}

/// The master key that wraps, and older ones that still open. Tells nothing of itself.
pub struct Keyring {
    current: Master,
    older: Vec<Master>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}

impl Keyring {
    /// A ring of one master key.
    #[must_use]
    pub fn new(current: MasterKey) -> Self {
        Self { current: Master::new(current), older: Vec::new() }
    }

    /// Master keys that came before, newest first: they open and verify, and nothing new is made with them.
    #[must_use]
    pub fn with_older(mut self, older: Vec<MasterKey>) -> Self {
        self.older = older.into_iter().map(Master::new).collect();
        self
    }

    /// A fresh data key of 32 random bytes, wrapped under the current master key for this tenant and version.
    #[must_use]
    pub fn new_data_key(&self, tenant: TenantId, version: u32, entropy: &dyn Entropy) -> WrappedKey {
        let mut key = Zeroizing::new([0_u8; 32]);
        entropy.fill(key.as_mut_slice());
        self.wrap(&DataKey(key), Owner { tenant, subject: None, version }, entropy)
    }

    /// The same data key, wrapped anew under the current master key. Fails where no key of the ring opens it.
    pub fn rewrap(
        &self,
        tenant: TenantId,
        version: u32,
        wrapped: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<WrappedKey, SealError> {
        let owner = Owner { tenant, subject: None, version };
        let key = self.unwrap(owner, wrapped)?;
        Ok(self.wrap(&key, owner, entropy))
    }

    /// Whether a wrapped key names the current master key; one that does not wants [`Self::rewrap`].
    #[must_use]
    pub fn is_current(&self, wrapped: &[u8]) -> bool {
        wrapped.starts_with(&self.wrapped_header())
    }

    /// What every key that the current master key wrapped begins with: tells nothing, and finds those of older ones.
    #[must_use]
    pub fn wrapped_header(&self) -> [u8; 5] {
        let [a, b, c, d] = self.current.key.fingerprint();
        [FORMAT, a, b, c, d]
    }

    /// A fresh data key for one subject of a tenant, wrapped like a tenant's own.
    #[must_use]
    pub fn new_subject_key(
        &self,
        tenant: TenantId,
        subject: Uuid,
        version: u32,
        entropy: &dyn Entropy,
    ) -> WrappedKey {
        let mut key = Zeroizing::new([0_u8; 32]);
        entropy.fill(key.as_mut_slice());
        self.wrap(&DataKey(key), Owner { tenant, subject: Some(subject), version }, entropy)
    }

    /// The same key of a subject, wrapped anew under the current master key.
    pub fn rewrap_subject(
        &self,
        (tenant, subject): (TenantId, Uuid),
        version: u32,
        wrapped: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<WrappedKey, SealError> {
        let owner = Owner { tenant, subject: Some(subject), version };
        let key = self.unwrap(owner, wrapped)?;
        Ok(self.wrap(&key, owner, entropy))
    }

    /// A subject's keys, unwrapped; as with [`Self::tenant`], one that does not open is kept as the reason why.
    #[must_use]
    pub fn subject<W: AsRef<[u8]>>(
        &self,
        tenant: TenantId,
        subject: Uuid,
        wrapped: &[(u32, W)],
    ) -> SubjectKeys {
        let open = |(version, wrapped): &(u32, W)| {
            let owner = Owner { tenant, subject: Some(subject), version: *version };
            (*version, self.unwrap(owner, wrapped.as_ref()))
        };
        SubjectKeys::new(tenant, subject, wrapped.iter().map(open).collect())
    }

    /// A tenant's keys, unwrapped. A version that does not open is kept as the reason why: the others still work, and
    /// what was sealed under it is told that reason.
    #[must_use]
    pub fn tenant<W: AsRef<[u8]>>(&self, tenant: TenantId, wrapped: &[(u32, W)]) -> TenantKeys<'_> {
        let open = |(version, wrapped): &(u32, W)| {
            let owner = Owner { tenant, subject: None, version: *version };
            (*version, self.unwrap(owner, wrapped.as_ref()))
        };
        TenantKeys::new(self, tenant, wrapped.iter().map(open).collect())
    }

    /// HMAC-SHA256 of the parts under a key of the purpose's own: for links that nobody can forge, and pseudonyms that
    /// nobody can reverse without the master key. A pseudonym changes with the master key.
    #[must_use]
    pub fn tag(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.current.tag(purpose, parts)
    }

    /// Whether [`Self::tag`] gave this, under the current master key or an older one. Takes the same time wherever the
    /// first wrong byte stands.
    #[must_use]
    pub fn verify_tag(&self, purpose: &str, parts: &[&[u8]], tag: &[u8]) -> bool {
        let same = |master: &Master| master.tag(purpose, parts).as_slice().ct_eq(tag);
        self.masters().fold(Choice::from(0), |any, master| any | same(master)).into()
    }

    /// Opens the first format, under whichever master key it names.
    pub(crate) fn open_first_format(
        &self,
        place: &crate::SealedFor<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let mut last = Err(SealError::OtherKey);
        for master in self.masters() {
            last = master.first_format.open(place, sealed);
            if last.as_ref().err() != Some(&SealError::OtherKey) {
                break;
            }
        }
        last
    }

    fn masters(&self) -> impl Iterator<Item = &Master> {
        std::iter::once(&self.current).chain(&self.older)
    }

    fn wrap(&self, key: &DataKey, owner: Owner, entropy: &dyn Entropy) -> WrappedKey {
        let header = self.wrapped_header();
        let mut nonce = [0_u8; 12];
        entropy.fill(&mut nonce);
        let payload = Payload { msg: key.0.as_slice(), aad: &associated_data(header, &owner) };
        let cipher = self.current.wrapping_cipher(&owner);
        #[expect(clippy::expect_used, reason = "AES-GCM refuses only texts of 64 GiB and more")]
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).expect("a key is small");
        let mut out = Vec::with_capacity(WRAPPED_BYTES);
        out.extend(header);
        out.extend(nonce);
        out.extend(sealed);
        out.extend(*key.commitment());
        WrappedKey(out)
    }

    fn unwrap(&self, owner: Owner, wrapped: &[u8]) -> Result<DataKey, SealError> {
        if wrapped.len() != WRAPPED_BYTES {
            return Err(SealError::Format);
        }
        let (header, rest) = wrapped.split_first_chunk::<5>().ok_or(SealError::Format)?;
        let (nonce, rest) = rest.split_first_chunk::<12>().ok_or(SealError::Format)?;
        let (sealed, commitment) = rest.split_last_chunk::<32>().ok_or(SealError::Format)?;
        let [format, fingerprint @ ..] = header;
        if *format != FORMAT {
            return Err(SealError::Format);
        }
        let named = |master: &&Master| master.key.fingerprint() == *fingerprint;
        let master = self.masters().find(named).ok_or(SealError::OtherKey)?;
        let payload = Payload { msg: sealed, aad: &associated_data(*header, &owner) };
        let opened = master.wrapping_cipher(&owner).decrypt(&Nonce::from(*nonce), payload);
        let opened = Zeroizing::new(opened.map_err(|_| SealError::Rejected)?);
        let mut key = Zeroizing::new([0_u8; 32]);
        if opened.len() != key.len() {
            return Err(SealError::Format);
        }
        key.copy_from_slice(&opened);
        let key = DataKey(key);
        if bool::from(key.commitment().ct_eq(commitment)) { Ok(key) } else { Err(SealError::Rejected) }
    }
}

/// What a wrapped key is bound to: format, master key, owner and version.
fn associated_data(header: [u8; 5], owner: &Owner) -> Vec<u8> {
    let (tenant, version) = (owner.tenant.uuid(), owner.version.to_be_bytes());
    match owner.subject {
        None => encode("costlens/wrap/1", &[&header, tenant.as_bytes(), &version]),
        Some(subject) => {
            encode("costlens/subject-wrap/1", &[&header, tenant.as_bytes(), subject.as_bytes(), &version])
        }
    }
}

#[cfg(test)]
#[path = "tests/keyring.rs"]
mod tests;
