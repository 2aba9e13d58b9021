//! From a report's files to classified daily facts; and rows as a Parquet file, since the writer comes with the engine.
//!
//! [`read_bill`] reads a legacy CUR, a CUR 2.0, a FOCUS report, a cost export of Azure or the billing export of Google Cloud,
//! as one file or as a folder of them, and says what in it is AI. It promises: the format is told from the columns, never from a name; every line is in the
//! control totals; CSV amounts are added as the exact decimals that they are; a file that is truncated or
//! corrupt is an error that names the place, never a smaller sum; memory stays bounded, whatever the file.
//!
//! How: one pass reads every line, its texts as numbers. A first look at a few cheap columns says which products
//! may be AI; descriptions, maps, accounts and amounts are unpacked for those alone. The classifier
//! ([`costlens_domain::classify`]) sees each way of naming a product once, not each line. What each resource costs
//! is added up beside; where there are more of them than memory holds, portable SQL behind [`engine::RollupEngine`]
//! finds the dearest. This crate is the only one that names DataFusion.

mod columns;
mod csv_table;
mod datafusion_engine;
pub mod engine;
mod error;
mod lines;
mod parquet_file;
mod parquet_table;
mod progress;
mod report;
mod rollup;
mod scan;
mod source;
mod sql;
mod views;

use std::path::PathBuf;

use costlens_domain::bill::BillReport;

pub use error::BillError;
pub use parquet_file::{PRECISION, ParquetFault, ParquetRows, SCALE};
pub use progress::{NoProgress, Progress};

/// How a bill is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// What a query may hold in memory before it spills to disk, in bytes. Half of it may hold resources before that: where they
    /// are more, a query finds the dearest.
    pub memory_bytes: usize,
    /// How many threads read and add up.
    pub partitions: usize,
    /// How many of the dearest resources to name in each currency; 0 for none.
    pub top_resources: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { memory_bytes: 192 * 1024 * 1024, partitions: 2, top_resources: 25 }
    }
}

/// Reads the files and folders as one bill.
///
/// # Errors
/// See [`BillError`]. Nothing is kept or changed on failure.
pub async fn read_bill(
    paths: &[PathBuf],
    options: &ReadOptions,
    progress: &dyn Progress,
) -> Result<BillReport, BillError> {
    let found = paths.to_vec();
    let sources = tokio::task::spawn_blocking(move || source::find(&found))
        .await
        .map_err(|_| BillError::Engine { message: "the search for files was interrupted".to_owned() })??;
    progress.begin(sources.size_bytes());
    let report = report::read(&sources, options, progress).await;
    progress.finish();
    report
}
