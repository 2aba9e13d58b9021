//! Why a bill could not be read, with the place where it went wrong.

use std::path::PathBuf;

use costlens_domain::bill::ReportFormat;

/// Why a bill could not be read. Nothing was kept or changed.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// The path does not exist or may not be read.
    #[error("cannot open {}", path.display())]
    Open {
        /// What was asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A folder holds no bill.
    #[error("no bill found in {}: {skipped} other files were looked at", path.display())]
    NothingFound {
        /// The folder.
        path: PathBuf,
        /// How many files were no bill.
        skipped: usize,
    },
    /// A file has the schema of no bill.
    #[error("{file} is no bill that we know: {seen}")]
    UnknownFormat {
        /// The file.
        file: String,
        /// What was seen in it.
        seen: String,
    },
    /// Two formats in one read: the same spend may stand in both.
    #[error("{first} is a {first_format} and {second} a {second_format}: read them one at a time")]
    MixedFormats {
        /// A file of one format.
        first: String,
        /// Its format.
        first_format: ReportFormat,
        /// A file of the other.
        second: String,
        /// Its format.
        second_format: ReportFormat,
    },
    /// A file of a known format that leaves out what cannot be done without.
    #[error("{file} looks like {format}, but has no column {columns}")]
    MissingColumns {
        /// The file.
        file: String,
        /// What it looks like.
        format: ReportFormat,
        /// The names of the columns.
        columns: String,
    },
    /// Two versions of one period's bill in one read, or two exports of it: each repeats the other.
    #[error(
        "{first} and {second} are two deliveries of the same period: read the newer one alone, or each export by itself"
    )]
    TwoDeliveries {
        /// The folder of one delivery.
        first: String,
        /// The folder of the other.
        second: String,
    },
    /// A file that breaks off or does not hold what its format promises.
    #[error("{file} is corrupt {place}: {reason}")]
    Corrupt {
        /// The file.
        file: String,
        /// Where: "in line 7", "in row group 3", "in its footer".
        place: String,
        /// What was wrong.
        reason: String,
    },
    /// Lines that say more together than any bill can: a sum or a day that is out of range. Which of the files is wrong
    /// nobody can say.
    #[error("the bill is corrupt: {what} is out of range")]
    OutOfRange {
        /// What is.
        what: &'static str,
    },
    /// The report carries no cost: either no cost column, or nothing in it.
    #[error("{file} carries no cost: {reason}")]
    NoCost {
        /// The file.
        file: String,
        /// No column, or empty cells.
        reason: String,
    },
    /// Grouping did not fit into its memory bound, not even with spilling to disk.
    #[error("the bill needs more memory than the bound of {memory_bytes} bytes allows")]
    Memory {
        /// The bound.
        memory_bytes: usize,
    },
    /// The query engine failed in a way that is not the file's fault.
    #[error("the bill engine failed: {message}")]
    Engine {
        /// What it said.
        message: String,
    },
}
