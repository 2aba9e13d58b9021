//! A tenant's data key gets a successor, and what it sealed is sealed anew.

use chrono::NaiveDate;
use costlens_domain::TenantId;
use costlens_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::TenantJob;

/// Brings a tenant's keys and sealed texts to this version of its data key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateTenantKey {
    /// Whose keys: the tenant's id.
    pub tenant: Uuid,
    /// The version that everything is sealed under afterwards. It is made if it is the next one, and never twice.
    pub version: u32,
    /// The day on which it was asked for (UTC): one of a day is enough, and the next month's is another.
    pub asked_on: NaiveDate,
}

impl RotateTenantKey {
    /// The tenant.
    #[must_use]
    pub fn tenant_id(&self) -> TenantId {
        self.tenant.into()
    }
}

impl Job for RotateTenantKey {
    const QUEUE: &'static str = "rotate_tenant_key.v1";
}

impl TenantJob for RotateTenantKey {
    fn key(&self) -> Option<String> {
        Some(format!("{}:{}:{}", self.tenant_id(), self.version, self.asked_on))
    }
}

/// Brings the data keys of a tenant's subjects to the present master key, gives old ones a successor, and destroys those
/// that nothing needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateSubjectKeys {
    /// Whose subjects: the tenant's id.
    pub tenant: Uuid,
    /// The day on which it was asked for (UTC).
    pub asked_on: NaiveDate,
}

impl RotateSubjectKeys {
    /// The tenant.
    #[must_use]
    pub fn tenant_id(&self) -> TenantId {
        self.tenant.into()
    }
}

impl Job for RotateSubjectKeys {
    const QUEUE: &'static str = "rotate_subject_keys.v1";
}

impl TenantJob for RotateSubjectKeys {
    fn key(&self) -> Option<String> {
        Some(format!("{}:{}", self.tenant_id(), self.asked_on))
    }
}
