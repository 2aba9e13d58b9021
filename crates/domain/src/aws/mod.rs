//! A customer's AWS account, as far as its bill is concerned: which role is assumed how, where the reports lie, which
//! files a delivery is made of, and what a newer delivery changed. On paper only: nothing here calls anybody.

mod change;
mod manifest;
mod names;
mod policy;
mod refusal;
#[cfg(test)]
mod tests;

pub use change::{Change, Finality, change, changes, finality};
pub use manifest::{Layout, Manifest, ManifestError, Month, Part};
pub use names::{
    AwsAccountId, BadName, BucketName, ExternalId, KeyPrefix, KmsKeyArn, Region, ReportName, RoleArn,
    looks_like_an_access_key,
};
pub use policy::{ALLOWED_ACTIONS, NOTHING, permissions, quick_create, session_policy, trust};
pub use refusal::Refusal;

/// The name that the role has which our template makes. So its ARN follows from the account's number, and nobody has to
/// copy it.
pub const ROLE_NAME: &str = "CostlensBillReader";

/// How long a session lasts at most (`sts:AssumeRole`, `DurationSeconds`): one role that assumes another gets no longer
/// one either.
pub const SESSION_SECONDS: u32 = 3_600;

/// Where a customer's reports lie, and as whom they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportPlace {
    /// The account that role and bucket belong to.
    pub account: AwsAccountId,
    /// The role that is assumed.
    pub role: RoleArn,
    /// What its trust policy asks for.
    pub external_id: ExternalId,
    /// The bucket.
    pub bucket: BucketName,
    /// What the keys of all reports begin with.
    pub prefix: KeyPrefix,
    /// The report's or export's name.
    pub report: ReportName,
}
