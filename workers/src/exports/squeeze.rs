//! Rows as compressed text. The compressor holds a window and what was not yet taken; nobody else holds anything.

use std::io::{Error, Write as _};

use costlens_domain::export::{Column, ExportFormat, ExportWhat, request_cells, spend_cells};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::pages::Page;

/// A gzip stream in the making.
#[derive(Debug)]
pub(super) struct Squeeze {
    format: ExportFormat,
    columns: &'static [Column],
    gzip: GzEncoder<Vec<u8>>,
}

impl Squeeze {
    pub(super) fn begin(what: ExportWhat, format: ExportFormat) -> Result<Self, Error> {
        let columns = what.columns();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(format.head(columns).as_bytes())?;
        Ok(Self { format, columns, gzip })
    }

    /// Adds rows, and gives what came out so far.
    pub(super) fn add(&mut self, page: &Page) -> Result<Vec<u8>, Error> {
        let mut text = String::new();
        match page {
            Page::Requests(facts) => {
                for fact in facts {
                    self.format.put_row(self.columns, &request_cells(fact), &mut text);
                }
            }
            Page::Hours(hours) => {
                for hour in hours {
                    self.format.put_row(self.columns, &spend_cells(hour), &mut text);
                }
            }
        }
        self.gzip.write_all(text.as_bytes())?;
        Ok(std::mem::take(self.gzip.get_mut()))
    }

    /// The rest.
    pub(super) fn end(self) -> Result<Vec<u8>, Error> {
        self.gzip.finish()
    }
}
