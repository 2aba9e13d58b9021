//! Rows as a file's bytes: compressed text, or Parquet. The compressor holds a window and what was not yet taken; nobody
//! else holds anything, but for the rows of one Parquet group.

use std::io::{Error, Write as _};

use costlens_domain::export::{
    Cell, Column, ExportFormat, ExportWhat, focus_of_fact, focus_of_hour, focus_of_settled, request_cells,
    spend_cells,
};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::pages::Page;
use super::parquet::{NotWritten, ParquetFile, WriteParquet};

/// A file in the making.
#[derive(Debug)]
pub(super) struct Squeeze {
    what: ExportWhat,
    file: File,
}

#[derive(Debug)]
enum File {
    Text { format: ExportFormat, columns: &'static [Column], gzip: Box<GzEncoder<Vec<u8>>> },
    Parquet(Box<dyn ParquetFile>),
}

impl Squeeze {
    pub(super) fn begin(
        what: ExportWhat,
        format: ExportFormat,
        parquet: &dyn WriteParquet,
    ) -> Result<Self, Error> {
        let columns = what.columns();
        let file = match format {
            ExportFormat::Parquet => File::Parquet(parquet.begin(columns).map_err(Error::other)?),
            ExportFormat::Csv | ExportFormat::Jsonl => {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
                gzip.write_all(format.head(columns).as_bytes())?;
                File::Text { format, columns, gzip: Box::new(gzip) }
            }
        };
        Ok(Self { what, file })
    }

    /// Adds rows, and gives what came out so far.
    pub(super) fn add(&mut self, page: &Page) -> Result<Vec<u8>, Error> {
        let rows = rows(self.what, page);
        match &mut self.file {
            File::Text { format, columns, gzip } => {
                let mut text = String::new();
                for row in &rows {
                    format.put_row(columns, row, &mut text);
                }
                gzip.write_all(text.as_bytes())?;
                Ok(std::mem::take(gzip.get_mut()))
            }
            File::Parquet(file) => file.add(&rows).map_err(not_written),
        }
    }

    /// The rest.
    pub(super) fn end(self) -> Result<Vec<u8>, Error> {
        match self.file {
            File::Text { gzip, .. } => gzip.finish(),
            File::Parquet(file) => file.end().map_err(not_written),
        }
    }
}

fn not_written(error: NotWritten) -> Error {
    Error::other(error)
}

/// A page's rows as cells.
fn rows(what: ExportWhat, page: &Page) -> Vec<Vec<Cell<'_>>> {
    match page {
        Page::Requests(facts) => facts.iter().map(|fact| request_cells(fact).into()).collect(),
        Page::Hours(hours) if what == ExportWhat::Focus => {
            hours.iter().map(|hour| focus_of_hour(hour).into()).collect()
        }
        Page::Hours(hours) => hours.iter().map(|hour| spend_cells(hour).into()).collect(),
        Page::Charges(charges) => {
            charges.iter().map(|(bill, fact)| focus_of_fact(*bill, fact).into()).collect()
        }
        Page::Settled(charges) => charges.iter().map(|charge| focus_of_settled(charge).into()).collect(),
    }
}
