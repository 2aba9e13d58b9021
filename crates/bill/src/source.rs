//! Which files make up the bill, and what they are: told from their content.
//!
//! A folder is walked; manifests, notes and status files in it are passed over and reported. A file that was
//! asked for by name must be a bill, and so must one in a folder that is named like a bill's data: without a damaged part
//! the others would add up to less than the bill.

mod open;
mod walk;

use std::path::PathBuf;

use costlens_domain::bill::{ReportFile, ReportFormat};
use datafusion::arrow::datatypes::SchemaRef;

use crate::BillError;
use crate::columns::Columns;

pub(crate) use open::csv_reader;

/// How a file is encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Comma-separated text, compressed with gzip or not.
    Csv {
        /// True for gzip.
        gzip: bool,
        /// How many columns the header names.
        width: usize,
    },
    /// Lines of JSON, one object each.
    JsonLines {
        /// True for gzip.
        gzip: bool,
    },
    /// Parquet, with the schema of its footer.
    Parquet {
        /// The Arrow schema.
        schema: SchemaRef,
        /// How many row groups the footer promises.
        row_groups: usize,
    },
}

/// One file of the bill.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The path below what was asked for.
    pub(crate) name: String,
    /// On disk, in bytes.
    pub(crate) size_bytes: u64,
    /// CSV or Parquet.
    pub(crate) encoding: Encoding,
    /// Its columns.
    pub(crate) columns: Columns,
    /// Its format.
    pub(crate) format: ReportFormat,
}

/// The files of one bill, all of one format.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// The format.
    pub(crate) format: ReportFormat,
    /// At least one file.
    pub(crate) files: Vec<SourceFile>,
    /// What was passed over.
    pub(crate) skipped: Vec<String>,
}

impl Sources {
    pub(crate) fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    pub(crate) fn report_files(&self) -> Vec<ReportFile> {
        let file = |file: &SourceFile| ReportFile { name: file.name.clone(), size_bytes: file.size_bytes };
        self.files.iter().map(file).collect()
    }
}

/// Finds the bill's files.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Sources, BillError> {
    let mut files: Vec<SourceFile> = Vec::new();
    let mut skipped = Vec::new();
    for path in paths {
        let meta =
            std::fs::metadata(path).map_err(|source| BillError::Open { path: path.clone(), source })?;
        if meta.is_dir() {
            let before = files.len();
            for (path, name) in walk::files_below(path)? {
                match open::look(&path, name.clone())? {
                    open::Looked::Bill(file) => files.push(*file),
                    open::Looked::Other(seen) if walk::is_named_like_data(&name) => {
                        return Err(BillError::UnknownFormat { file: name, seen });
                    }
                    open::Looked::Other(_) => skipped.push(name),
                }
            }
            if files.len() == before {
                return Err(BillError::NothingFound { path: path.clone(), skipped: skipped.len() });
            }
        } else {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            match open::look(path, name.clone())? {
                open::Looked::Bill(file) => files.push(*file),
                open::Looked::Other(seen) => return Err(BillError::UnknownFormat { file: name, seen }),
            }
        }
    }
    let Some(first) = files.first() else {
        return Err(BillError::NothingFound { path: PathBuf::new(), skipped: skipped.len() });
    };
    if let Some(other) = files.iter().find(|file| file.format != first.format) {
        return Err(BillError::MixedFormats {
            first: first.name.clone(),
            first_format: first.format,
            second: other.name.clone(),
            second_format: other.format,
        });
    }
    walk::one_delivery_per_period(&files)?;
    for file in &files {
        let missing = crate::lines::missing(file.format, &file.columns);
        if !missing.is_empty() {
            let (file, format) = (file.name.clone(), file.format);
            return Err(BillError::MissingColumns { file, format, columns: missing.join(", ") });
        }
        if !crate::lines::has_cost(file.format, &file.columns) {
            let wanted = crate::lines::cost_column(file.format);
            let reason = format!("there is no column {wanted}");
            return Err(BillError::NoCost { file: file.name.clone(), reason });
        }
    }
    Ok(Sources { format: first.format, files, skipped })
}
