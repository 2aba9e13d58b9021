//! What the workers ask of AWS. The binary fills these ports, so that nobody here carries the SDK.

use std::path::Path;

use async_trait::async_trait;
use costlens_domain::aws::{Part, Refusal, Region, ReportPlace};

/// Customers' accounts.
pub trait AwsAccounts: Send + Sync + std::fmt::Debug {
    /// The reports of a place, to be read in sessions of this name. Asks nothing of anybody yet.
    fn open(&self, place: ReportPlace, region: Option<Region>, session: &str) -> Box<dyn ReportBucket>;
}

/// One customer's reports. Its session goes with it, or at the first denial.
#[async_trait]
pub trait ReportBucket: Send + Sync + std::fmt::Debug {
    /// That the role lets us in, and nobody without the ExternalId.
    async fn verify(&self) -> Result<(), BucketRefused>;
    /// Finds the bucket's region, and that prefix and owner are right.
    async fn find(&self) -> Result<Region, BucketRefused>;
    /// A file's version and size; `None` where there is none.
    async fn head(&self, key: &str) -> Result<Option<Part>, BucketRefused>;
    /// A file of at most so many bytes, and its version.
    async fn get(&self, key: &str, most: u64) -> Result<(Part, Vec<u8>), BucketRefused>;
    /// The files below a folder, in the order of their keys.
    async fn list(&self, folder: &str) -> Result<Vec<Part>, BucketRefused>;
    /// Copies a file's very version to a new file. Tells how many bytes came, as they come.
    async fn download(
        &self,
        part: &Part,
        to: &Path,
        came: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), BucketRefused>;
}

/// Why AWS gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum BucketRefused {
    /// For a reason that the account's people can do something about.
    #[error("{detail}")]
    Refused {
        /// Its name.
        refusal: Refusal,
        /// In words.
        detail: String,
    },
    /// A file is another one than it was, or is gone.
    #[error("{key} changed while it was read")]
    Moved {
        /// Its key.
        key: String,
    },
    /// There is no such file.
    #[error("there is no {key}")]
    Missing {
        /// Its key.
        key: String,
    },
    /// AWS cannot be asked now, or the copy cannot be written.
    #[error("{0}")]
    Away(String),
}

impl BucketRefused {
    /// For a reason of the account's people.
    pub(crate) fn of(refusal: Refusal, detail: impl Into<String>) -> Self {
        Self::Refused { refusal, detail: detail.into() }
    }
}
