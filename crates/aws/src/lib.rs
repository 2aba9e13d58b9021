//! What Costlens asks of AWS. No other crate names its SDK.
//!
//! * [`kms`]: the key service, behind the vault's port.
//! * [`reports`]: customers' roles, and the reports that they let us read.
//!
//! Connections are the workspace's TLS (rustls on ring), credentials come as the SDK finds them: from the environment,
//! the container's or instance's role, or a web identity. Nothing here is stored.

pub mod kms;
pub mod reports;
#[cfg(feature = "testing")]
pub mod testing;

pub use kms::{AwsKms, KmsSettings};
pub use reports::{Assumer, AssumerSettings, ReportError, Reports};
