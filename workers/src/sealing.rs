//! Opening what a tenant's keys sealed, for the moment in which a job needs it.

use costlens_queue::{ErrorClass, JobError};
use costlens_store::TenantConn;
use costlens_vault::{Keyring, SealedFor};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::store_failure;

/// The text that was sealed for this place. One that does not open is a defect, and is tried again only by hand.
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
    let opened = opened.map_err(|error| JobError::give_up(ErrorClass::Bug, "sealed", error))?;
    let text =
        std::str::from_utf8(&opened).map_err(|error| JobError::give_up(ErrorClass::Bug, "sealed", error))?;
    Ok(Zeroizing::new(text.to_owned()))
}
