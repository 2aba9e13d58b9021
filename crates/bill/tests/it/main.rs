//! Bills from outside: files in, reports out.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod broken;
mod clouds;
mod folders;
mod formats;
mod generator;
mod hostile;
mod labelled;
mod measures;
mod resources;
mod rules;
mod shared_data;

use std::path::PathBuf;

use costlens_bill::{BillError, NoProgress, ReadOptions, read_bill};
use costlens_domain::bill::BillReport;

/// Reads one file as a user would.
async fn read(path: PathBuf) -> Result<BillReport, BillError> {
    read_bill(&[path], &ReadOptions::default(), &NoProgress).await
}

/// Reads several files or folders as one bill.
async fn read_all(paths: &[PathBuf]) -> Result<BillReport, BillError> {
    read_bill(paths, &ReadOptions::default(), &NoProgress).await
}

/// Writes a file into a folder of its own and reads it.
async fn read_text(name: &str, text: &str) -> Result<BillReport, BillError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    read(path).await
}
