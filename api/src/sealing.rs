//! Sealing a tenant's secret under the tenant's own data key, in the transaction that stores it; and opening it again.

use chrono::{DateTime, Utc};
use costlens_domain::{ProblemCode, TenantId};
use costlens_store::TenantConn;
use costlens_vault::{SealError, SealedFor};
use zeroize::Zeroizing;

use crate::ApiParts;
use crate::error::ApiError;

/// Brings the tenant's keys into memory where a key service has to be asked for them, and makes a first one there. To be
/// called before the transaction begins that seals, which is not held while the service thinks.
pub(crate) async fn ready(parts: &ApiParts, tenant: TenantId) -> Result<(), ApiError> {
    if !parts.keyring.asks_a_service() {
        return Ok(());
    }
    let mut keys = parts.store.tenant(tenant).await?.data_keys().await?;
    if keys.is_empty() {
        let first = parts.keyring.make_data_key(tenant, 1, &*parts.entropy).await;
        let first = first.map_err(|error| not_sealed(tenant, error))?;
        let mut conn = parts.store.tenant(tenant).await?;
        conn.add_data_key(1, &first.0, parts.clock.now()).await?;
        // Read again: of two who come first at once, one wins.
        keys = conn.data_keys().await?;
        conn.commit().await?;
    }
    let wrapped: Vec<_> = keys.iter().map(|key| (key.version, &key.wrapped)).collect();
    // An older key that does not open is in nobody's way here: sealing says whether the newest does.
    let _said_by_whoever_seals = parts.keyring.ready(tenant, &wrapped).await;
    Ok(())
}

/// Seals a secret for its place under the tenant's newest data key. A tenant without one gets its first in the same
/// transaction: there is no text without its key. The key stays until the transaction ends, whoever rotates meanwhile.
pub(crate) async fn seal(
    parts: &ApiParts,
    conn: &mut TenantConn,
    place: &SealedFor<'_>,
    secret: &str,
    now: DateTime<Utc>,
) -> Result<Vec<u8>, ApiError> {
    let mut keys = conn.data_keys().await?;
    if keys.is_empty() {
        let first = parts.keyring.new_data_key(place.tenant, 1, &*parts.entropy);
        conn.add_data_key(1, &first.0, now).await?;
        // Read again: of two who come first at once, one wins.
        keys = conn.data_keys().await?;
    }
    let wrapped: Vec<_> = keys.into_iter().map(|key| (key.version, key.wrapped)).collect();
    let keys = parts.keyring.tenant(place.tenant, &wrapped);
    keys.seal(place, secret.as_bytes(), &*parts.entropy).map_err(|error| not_sealed(place.tenant, error))
}

/// The operator can mend it: the master key that wrapped the tenant's newest key is not at hand, or the key is damaged.
fn not_sealed(tenant: TenantId, error: SealError) -> ApiError {
    if error.is_passing() {
        let detail = format!("{error}, so nothing can be sealed now; nothing was changed");
        return ApiError::new(ProblemCode::KeysUnavailable, &detail);
    }
    tracing::error!(
        tenant.id = %tenant, error = &error as &dyn std::error::Error,
        "the tenant's data key does not open, so nothing can be sealed for it"
    );
    ApiError::new(ProblemCode::Internal, "the cause has been logged under this request's id")
}

/// Opens what was sealed for a place, for the moment in which it is needed.
pub(crate) async fn open(
    parts: &ApiParts,
    place: &SealedFor<'_>,
    sealed: &[u8],
) -> Result<Zeroizing<String>, ApiError> {
    ready(parts, place.tenant).await?;
    let keys = parts.store.tenant(place.tenant).await?.data_keys().await?;
    let wrapped: Vec<_> = keys.into_iter().map(|key| (key.version, key.wrapped)).collect();
    let opened = parts.keyring.tenant(place.tenant, &wrapped).open(place, sealed);
    let opened = opened.map_err(|error| not_opened(place.tenant, error))?;
    let text = std::str::from_utf8(&opened).map_err(|_| not_opened(place.tenant, SealError::Rejected))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn not_opened(tenant: TenantId, error: SealError) -> ApiError {
    if error.is_passing() {
        let detail = format!("{error}, so nothing that is sealed can be used now");
        return ApiError::new(ProblemCode::KeysUnavailable, &detail);
    }
    tracing::error!(tenant.id = %tenant, error = &error as &dyn std::error::Error, "a tenant's secret does not open");
    ApiError::new(ProblemCode::Internal, "the cause has been logged under this request's id")
}
