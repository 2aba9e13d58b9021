//! The master key and its predecessors, and what is made with them: wrapped data keys and tags.
//!
//! Every tenant's secrets are sealed under a random data key of its own ([`TenantKeys`]), of which only a wrapped copy
//! is stored. Destroying the copies destroys everything that was sealed under them, in every backup too, and a data key
//! that leaks opens one tenant's rows alone. The wrapping key is HMAC-SHA256 of the master key over tenant and version.
//! So are the keys of those whose prompts and answers are kept ([`SubjectKeys`]), one for each, with the subject as a
//! part of what the wrapping key is derived from.
//! Layout of a wrapped key: `0x01 ‖ master key id (4) ‖ nonce (12) ‖ ciphertext (32) ‖ tag (16) ‖ commitment (32)`.
//! Where a key service wraps (see [`crate::service`]), the layout is another, the master key makes tags alone, and data keys
//! must be fetched before they are used: [`Keyring::ready`].
//! AES-GCM alone would let a ciphertext be made that opens under two keys; the commitment names the one.

use std::fmt;
use std::sync::Arc;

use aes_gcm::{Aes256Gcm, KeyInit as _};
use costlens_domain::TenantId;
use costlens_domain::ports::{Clock, Entropy};
use subtle::{Choice, ConstantTimeEq as _};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::derive::{encode, mac};
use crate::seal_counts::SealCounts;
use crate::service::{self, KeyService, Service, ServiceState};
use crate::{MasterKey, SealCount, SealError, Sealer, SubjectKeys, TenantKeys, cipher};

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
    pub(crate) const fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key, if this is its commitment.
    pub(crate) fn committed_to(self, commitment: &[u8]) -> Result<Self, SealError> {
        if bool::from(self.commitment().ct_eq(commitment)) { Ok(self) } else { Err(SealError::Rejected) }
    }

    pub(crate) fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.0).into())
    }

    /// The cipher of one text alone.
    pub(crate) fn cipher_of_text(&self, place: &[&[u8]]) -> Aes256Gcm {
        Aes256Gcm::new((&*mac(&self.0, "costlens/text-key/1", place)).into())
    }

    pub(crate) fn commitment(&self) -> Zeroizing<[u8; 32]> {
        mac(&self.0, "costlens/commit/1", &[])
    }
}

/// Whose data key it is: a tenant's, or one subject's of the tenant.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) tenant: TenantId,
    pub(crate) subject: Option<Uuid>,
    pub(crate) version: u32,
}

impl Owner {
    const fn tenant(tenant: TenantId, version: u32) -> Self {
        Self { tenant, subject: None, version }
    }

    const fn subject(tenant: TenantId, subject: Uuid, version: u32) -> Self {
        Self { tenant, subject: Some(subject), version }
    }
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
    /// Newest first.
    services: Vec<Service>,
    /// Whether the first of the services wraps, and not the master key.
    service_wraps: bool,
    counts: SealCounts,
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
        Self {
            current: Master::new(current),
            older: Vec::new(),
            services: Vec::new(),
            service_wraps: false,
            counts: SealCounts::default(),
        }
    }

    /// Master keys that came before, newest first: they open and verify, and nothing new is made with them.
    #[must_use]
    pub fn with_older(mut self, older: Vec<MasterKey>) -> Self {
        self.older = older.into_iter().map(Master::new).collect();
        self
    }

    /// Key services, newest first, that open what they wrapped; if `wrap`, the first of them wraps from now on, and
    /// the master key only makes tags.
    #[must_use]
    pub fn with_services(
        mut self,
        services: Vec<Arc<dyn KeyService>>,
        wrap: bool,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        self.services = services.into_iter().map(|one| Service::new(one, Arc::clone(clock))).collect();
        self.service_wraps = wrap && !self.services.is_empty();
        self
    }

    /// A fresh data key, wrapped for this tenant and version by what wraps now. Where that is a key service it is
    /// asked, so: in no transaction.
    pub async fn make_data_key(
        &self,
        tenant: TenantId,
        version: u32,
        entropy: &dyn Entropy,
    ) -> Result<WrappedKey, SealError> {
        self.make(Owner::tenant(tenant, version), entropy).await
    }

    /// A fresh data key of 32 random bytes, wrapped under the current master key for this tenant and version. In a
    /// ring whose keys a service wraps, the next rotation has it wrapped there: see [`Self::make_data_key`].
    #[must_use]
    pub fn new_data_key(&self, tenant: TenantId, version: u32, entropy: &dyn Entropy) -> WrappedKey {
        self.new_key(&Owner::tenant(tenant, version), entropy)
    }

    /// The same data key, wrapped anew by what wraps now. Fails where nothing of the ring opens it. May ask a key
    /// service, so: in no transaction.
    pub async fn rewrap(
        &self,
        tenant: TenantId,
        version: u32,
        wrapped: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<WrappedKey, SealError> {
        self.rewrap_of(Owner::tenant(tenant, version), wrapped, entropy).await
    }

    /// Whether anything of this ring lies with a key service, and [`Self::ready`] may have something to do.
    #[must_use]
    pub const fn asks_a_service(&self) -> bool {
        !self.services.is_empty()
    }

    /// Whether a key service wraps what is wrapped now.
    #[must_use]
    pub const fn wraps_by_service(&self) -> bool {
        self.service_wraps
    }

    /// Fetches what only a key service can unwrap, so that [`Self::tenant`] finds it in memory. To be called before a
    /// transaction begins that seals or opens. The first reason for which a key is not there; the others are tried
    /// nevertheless.
    pub async fn ready<W: AsRef<[u8]>>(
        &self,
        tenant: TenantId,
        wrapped: &[(u32, W)],
    ) -> Result<(), SealError> {
        self.ready_of(|version| Owner::tenant(tenant, version), wrapped).await
    }

    /// The same for [`Self::subject`].
    pub async fn ready_subject<W: AsRef<[u8]>>(
        &self,
        (tenant, subject): (TenantId, Uuid),
        wrapped: &[(u32, W)],
    ) -> Result<(), SealError> {
        self.ready_of(|version| Owner::subject(tenant, subject, version), wrapped).await
    }

    /// How the service fares that wraps, and else the first of those that open; `None` in a ring without services.
    #[must_use]
    pub fn service_state(&self) -> Option<ServiceState> {
        self.services.first().map(Service::state)
    }

    /// Overwrites unwrapped keys that were kept for a quarter of an hour. To be called every minute or so: what nobody
    /// asks for goes by nothing else.
    pub fn forget_expired(&self) {
        self.services.iter().for_each(Service::forget_expired);
    }

    #[cfg(test)]
    pub(crate) fn kept_by_services(&self) -> usize {
        self.services.iter().map(Service::kept).sum()
    }

    /// How often each data key sealed something that the store has not heard of.
    #[must_use]
    pub fn seals_to_count(&self) -> Vec<SealCount> {
        self.counts.waiting()
    }

    /// The store has these counts now.
    pub fn seals_were_counted(&self, counts: &[SealCount]) {
        self.counts.carried(counts);
    }

    /// Whether a wrapped key names the current master key; one that does not wants [`Self::rewrap`].
    #[must_use]
    pub fn is_current(&self, wrapped: &[u8]) -> bool {
        wrapped.starts_with(&self.wrapped_header())
    }

    /// What every key that the current master key wrapped begins with: tells nothing, and finds those of older ones.
    #[must_use]
    pub fn wrapped_header(&self) -> [u8; 5] {
        self.wrapping_service().map_or_else(|| self.master_header(), Service::header)
    }

    /// A fresh data key for one subject of a tenant, wrapped by what wraps now. Where that is a key service it is asked,
    /// so: in no transaction.
    pub async fn make_subject_key(
        &self,
        (tenant, subject): (TenantId, Uuid),
        version: u32,
        entropy: &dyn Entropy,
    ) -> Result<WrappedKey, SealError> {
        self.make(Owner::subject(tenant, subject, version), entropy).await
    }

    /// The same key of a subject, wrapped anew by what wraps now; as with [`Self::rewrap`].
    pub async fn rewrap_subject(
        &self,
        (tenant, subject): (TenantId, Uuid),
        version: u32,
        wrapped: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<WrappedKey, SealError> {
        self.rewrap_of(Owner::subject(tenant, subject, version), wrapped, entropy).await
    }

    /// A subject's keys, unwrapped; as with [`Self::tenant`], one that does not open is kept as the reason why. Those of
    /// a key service must be [ready](Self::ready_subject).
    #[must_use]
    pub fn subject<W: AsRef<[u8]>>(
        &self,
        tenant: TenantId,
        subject: Uuid,
        wrapped: &[(u32, W)],
    ) -> SubjectKeys {
        let open = |(version, wrapped): &(u32, W)| {
            (*version, self.unwrap(&Owner::subject(tenant, subject, *version), wrapped.as_ref()))
        };
        SubjectKeys::new(tenant, subject, wrapped.iter().map(open).collect())
    }

    /// A tenant's keys, unwrapped. A version that does not open is kept as the reason why: the others still work, and
    /// what was sealed under it is told that reason.
    #[must_use]
    pub fn tenant<W: AsRef<[u8]>>(&self, tenant: TenantId, wrapped: &[(u32, W)]) -> TenantKeys<'_> {
        let open = |(version, wrapped): &(u32, W)| {
            (*version, self.unwrap(&Owner::tenant(tenant, *version), wrapped.as_ref()))
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

    pub(crate) const fn counts(&self) -> &SealCounts {
        &self.counts
    }

    fn wrapping_service(&self) -> Option<&Service> {
        self.services.first().filter(|_| self.service_wraps)
    }

    fn service_of(&self, wrapped: &[u8]) -> Option<&Service> {
        self.services.iter().find(|service| wrapped.starts_with(&service.header()))
    }

    fn master_header(&self) -> [u8; 5] {
        let [a, b, c, d] = self.current.key.fingerprint();
        [FORMAT, a, b, c, d]
    }

    async fn ready_of<W: AsRef<[u8]>>(
        &self,
        owner: impl Fn(u32) -> Owner,
        wrapped: &[(u32, W)],
    ) -> Result<(), SealError> {
        let mut all = Ok(());
        for (version, wrapped) in wrapped {
            if let Some(service) = self.service_of(wrapped.as_ref()) {
                all = all.and(service.fetch(&owner(*version), wrapped.as_ref()).await.map(|_| ()));
            }
        }
        all
    }

    async fn make(&self, owner: Owner, entropy: &dyn Entropy) -> Result<WrappedKey, SealError> {
        match self.wrapping_service() {
            Some(service) => service.generate(&owner).await,
            None => Ok(self.new_key(&owner, entropy)),
        }
    }

    fn new_key(&self, owner: &Owner, entropy: &dyn Entropy) -> WrappedKey {
        let mut key = Zeroizing::new([0_u8; 32]);
        entropy.fill(key.as_mut_slice());
        self.wrap(&DataKey(key), owner, entropy)
    }

    async fn rewrap_of(
        &self,
        owner: Owner,
        wrapped: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<WrappedKey, SealError> {
        let key = match self.service_of(wrapped) {
            Some(service) => service.fetch(&owner, wrapped).await?,
            None => self.unwrap(&owner, wrapped)?,
        };
        match self.wrapping_service() {
            Some(service) => service.wrap(&key, &owner).await,
            None => Ok(self.wrap(&key, &owner, entropy)),
        }
    }

    fn wrap(&self, key: &DataKey, owner: &Owner, entropy: &dyn Entropy) -> WrappedKey {
        let header = self.master_header();
        let mut nonce = [0_u8; 12];
        entropy.fill(&mut nonce);
        let cipher = self.current.wrapping_cipher(owner);
        let sealed = cipher::seal(&cipher, nonce, &associated_data(header, owner), key.0.as_slice());
        let mut out = Vec::with_capacity(WRAPPED_BYTES);
        out.extend(header);
        out.extend(nonce);
        out.extend(sealed);
        out.extend(*key.commitment());
        WrappedKey(out)
    }

    fn unwrap(&self, owner: &Owner, wrapped: &[u8]) -> Result<DataKey, SealError> {
        if let Some(service) = self.service_of(wrapped) {
            return service.at_hand(owner, wrapped);
        }
        if wrapped.first() == Some(&service::FORMAT) && wrapped.len() > WRAPPED_BYTES {
            return Err(SealError::OtherKey);
        }
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
        let cipher = master.wrapping_cipher(owner);
        let opened = cipher::open(&cipher, *nonce, &associated_data(*header, owner), sealed)?;
        let mut key = Zeroizing::new([0_u8; 32]);
        if opened.len() != key.len() {
            return Err(SealError::Format);
        }
        key.copy_from_slice(&opened);
        DataKey(key).committed_to(commitment)
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
