//! The proof of an erasure: what was done when, and that a look at every table found nothing; under a tag that only the
//! holder of the master key can make.

use chrono::{DateTime, Utc};
use costlens_domain::ErasureId;
use costlens_queue::{ErrorClass, JobError};
use costlens_store::Erasure;
use costlens_vault::Keyring;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{WorkerParts, store_failure};

/// What the tag is for.
const PURPOSE: &str = "costlens/certificate/1";

/// A certificate of deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its number, and all that names the account.
    pub number: ErasureId,
    /// When the account's end was asked for.
    pub requested_at: DateTime<Utc>,
    /// When erasing began.
    pub begun_at: Option<DateTime<Utc>>,
    /// When nothing was left.
    pub erased_at: DateTime<Utc>,
    /// By when nothing had to be left.
    pub deadline_at: DateTime<Utc>,
    /// What each step did, in rows, files, keys.
    pub steps: Value,
    /// HMAC-SHA256 over everything above, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Proves it: removes the account itself and keeps the certificate, in one transaction, which fails while anything is
/// left.
pub(super) async fn issue(parts: &WorkerParts, erasure: &Erasure) -> Result<(), JobError> {
    let now = parts.clock.now();
    let mut certificate = Certificate {
        number: erasure.id,
        requested_at: erasure.requested_at,
        begun_at: erasure.begun_at,
        erased_at: now,
        deadline_at: erasure.deadline_at,
        steps: erasure.evidence.clone(),
        tag: None,
    };
    let tag = parts.keyring.tag(PURPOSE, &[&signed(&certificate)?]);
    certificate.tag = Some(hex::encode(tag));
    let certificate = serde_json::to_value(&certificate)?;
    let mut system = parts.store.system().await.map_err(store_failure)?;
    system.certify_erasure(erasure.id, &certificate, now).await.map_err(store_failure)?;
    tracing::info!(erasure.id = %erasure.id, "an account was erased");
    Ok(())
}

/// Whether we issued this certificate, in every word of it.
#[must_use]
pub fn is_genuine(keyring: &Keyring, certificate: &Certificate) -> bool {
    let tag = certificate.tag.as_deref().and_then(|tag| hex::decode(tag).ok());
    let Some(tag) = tag else { return false };
    let Ok(signed) = signed(certificate) else { return false };
    keyring.verify_tag(PURPOSE, &[&signed], &tag)
}

/// What the tag is over: the certificate without it. The members' order is the type's, and of the steps the alphabet's.
fn signed(certificate: &Certificate) -> Result<Vec<u8>, JobError> {
    let without = Certificate { tag: None, ..certificate.clone() };
    serde_json::to_vec(&without).map_err(|error| JobError::give_up(ErrorClass::Bug, "certificate", error))
}
