//! The port to whoever writes Parquet: the binary fills it, so that the workers are built without the query engine.

use costlens_domain::export::{Cell, Column};

/// What cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the Parquet file cannot be written: {0}")]
pub struct NotWritten(pub String);

/// Writes Parquet.
pub trait WriteParquet: Send + Sync + std::fmt::Debug {
    /// A file with these columns, in the making.
    ///
    /// # Errors
    /// [`NotWritten`] where a file cannot be begun.
    fn begin(&self, columns: &'static [Column]) -> Result<Box<dyn ParquetFile>, NotWritten>;
}

/// A file in the making. What was written stands in the bytes that are given back, in their order.
pub trait ParquetFile: Send + std::fmt::Debug {
    /// Adds rows, each with a cell for each column, and gives what came out so far.
    ///
    /// # Errors
    /// [`NotWritten`] where a cell is not of its column's kind, or an amount is finer than the file can say.
    fn add(&mut self, rows: &[Vec<Cell<'_>>]) -> Result<Vec<u8>, NotWritten>;

    /// The rest.
    ///
    /// # Errors
    /// [`NotWritten`] where the end cannot be written.
    fn end(self: Box<Self>) -> Result<Vec<u8>, NotWritten>;
}
