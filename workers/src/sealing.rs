//! Opening what a tenant's keys sealed, for the moment in which a job needs it.

use costlens_domain::TenantId;
use costlens_queue::{ErrorClass, JobError};
use costlens_store::TenantConn;
use costlens_vault::{Keyring, SealError, SealedFor};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{WorkerParts, store_failure};

/// Brings the tenant's keys into memory where a key service has to be asked for them; to be called before a
/// transaction begins, which is not held while the service thinks.
pub(crate) async fn ready(parts: &WorkerParts, tenant: TenantId) -> Result<(), JobError> {
    if !parts.keyring.asks_a_service() {
        return Ok(());
    }
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let keys = system.data_keys_of(tenant).await.map_err(store_failure)?;
    drop(system);
    let wrapped: Vec<_> = keys.iter().map(|key| (key.version, &key.wrapped)).collect();
    parts.keyring.ready(tenant, &wrapped).await.map_err(not_opened)
}

/// What a text or key that does not open means for a job: a key service may answer later; anything else is a defect,
/// and is tried again only by hand.
pub(crate) fn not_opened(error: SealError) -> JobError {
    if error.is_passing() {
        JobError::retry(error).code("key_service")
    } else {
        JobError::give_up(ErrorClass::Bug, "sealed", error)
    }
}

/// The text that was sealed for this place.
pub(crate) async fn open(
    keyring: &Keyring,
    tx: &mut TenantConn,
    (table, column, row): (&str, &str, Uuid),
    sealed: &[u8],
) -> Result<Zeroizing<String>, JobError> {
    let tenant = tx.tenant_id();
    let keys = tx.data_keys().await.map_err(store_failure)?;
    let wrapped: Vec<_> = keys.iter().map(|key| (key.version, &key.wrapped)).collect();
    let place = SealedFor { tenant, table, column, row };
    let opened = keyring.tenant(tenant, &wrapped).open(&place, sealed);
    let opened = opened.map_err(not_opened)?;
    let text =
        std::str::from_utf8(&opened).map_err(|error| JobError::give_up(ErrorClass::Bug, "sealed", error))?;
    Ok(Zeroizing::new(text.to_owned()))
}
