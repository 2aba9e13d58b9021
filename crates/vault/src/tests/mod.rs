//! What the vault's tests share.

use costlens_domain::TenantId;
use costlens_domain::ports::Entropy;
use uuid::Uuid;

use crate::{Keyring, MasterKey, SealedFor};

pub(crate) const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub(crate) const NEWER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Gives the same byte for ever.
#[derive(Debug)]
pub(crate) struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x42);
    }
}

pub(crate) fn master(text: &str) -> MasterKey {
    MasterKey::parse(text).unwrap()
}

pub(crate) fn ring(text: &str) -> Keyring {
    Keyring::new(master(text))
}

pub(crate) fn tenant(n: u128) -> TenantId {
    TenantId::from(Uuid::from_u128(n))
}

/// What asks no service outside is done at once.
pub(crate) fn now<T>(done: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(done).unwrap()
}

/// A place of the first tenant.
pub(crate) fn place(row: u128) -> SealedFor<'static> {
    SealedFor { tenant: tenant(1), table: "connection", column: "sealed_secret", row: Uuid::from_u128(row) }
}
