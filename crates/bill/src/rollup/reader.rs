//! Batches as [`super::Rollup`] needs them: which meanings, and where each stands.

use datafusion::arrow::array::ArrayRef;

use crate::BillError;
use crate::lines::amounts::{self, Amount};
use crate::lines::texts::{Code, TextReader, Texts};
use crate::lines::{
    COMMITMENT_AMOUNTS, FIRST_AMOUNTS, FIRST_FLAGS, FIRST_TEXTS, Layout, Meanings, PLAIN_AMOUNTS,
    PRODUCT_TEXTS, REST_FLAGS, USER_TEXTS,
};

/// What [`Rollup::look`] needs of a batch.
pub(crate) const FIRST: Meanings<'_> = Meanings {
    texts: &FIRST_TEXTS,
    flags: &FIRST_FLAGS,
    amounts: &FIRST_AMOUNTS,
    day: true,
    sku: true,
    resource: false,
};
/// The same without what [`Rollup::wants_invoices`] asks for.
pub(crate) const PLAIN_FIRST: Meanings<'_> = Meanings { flags: &[], ..FIRST };
/// What [`Rollup::add`] needs of a batch.
pub(crate) const REST: Meanings<'_> = Meanings {
    texts: &REST_TEXTS,
    flags: &REST_FLAGS,
    amounts: &REST_AMOUNTS,
    day: false,
    sku: false,
    resource: true,
};
/// The same without what says something of commitments, for batches in which no line is of one.
pub(crate) const PLAIN_REST: Meanings<'_> = Meanings {
    texts: &REST_TEXTS,
    flags: &[],
    amounts: &PLAIN_AMOUNTS,
    day: false,
    sku: false,
    resource: true,
};
/// What both need, for [`BatchReader::split`].
pub(crate) const ALL: Meanings<'_> = Meanings {
    texts: &ALL_TEXTS,
    flags: &ALL_FLAGS,
    amounts: &ALL_AMOUNTS,
    day: true,
    sku: true,
    resource: true,
};

const REST_TEXTS: [&str; PRODUCT_TEXTS.len() + USER_TEXTS.len()] = joined(PRODUCT_TEXTS, USER_TEXTS);
const ALL_FLAGS: [&str; FIRST_FLAGS.len() + REST_FLAGS.len()] = joined(FIRST_FLAGS, REST_FLAGS);
const ALL_TEXTS: [&str; FIRST_TEXTS.len() + REST_TEXTS.len()] = joined(FIRST_TEXTS, REST_TEXTS);
pub(super) const REST_AMOUNTS: [&str; PLAIN_AMOUNTS.len() + COMMITMENT_AMOUNTS.len()] =
    joined(PLAIN_AMOUNTS, COMMITMENT_AMOUNTS);
const ALL_AMOUNTS: [&str; FIRST_AMOUNTS.len() + REST_AMOUNTS.len()] = joined(FIRST_AMOUNTS, REST_AMOUNTS);

#[expect(clippy::indexing_slicing, reason = "used in constants alone, where a wrong place does not compile")]
const fn joined<const A: usize, const B: usize, const N: usize>(
    a: [&'static str; A],
    b: [&'static str; B],
) -> [&'static str; N] {
    let mut out = [""; N];
    let mut at = 0;
    while at < N {
        out[at] = if at < A { a[at] } else { b[at - A] };
        at += 1;
    }
    out
}

/// Why a batch was not added.
#[derive(Debug)]
pub(crate) enum Failed {
    /// A cell is not what its column promises.
    Cell(String),
    /// Anything else.
    Other(BillError),
}

impl Failed {
    /// The error, with the place where it was met.
    pub(crate) fn at(self, file: &str, place: impl FnOnce() -> String) -> BillError {
        match self {
            Self::Cell(reason) => BillError::Corrupt { file: file.to_owned(), place: place(), reason },
            Self::Other(BillError::OutOfRange { what }) => {
                let reason = format!("{what} is out of range");
                BillError::Corrupt { file: file.to_owned(), place: place(), reason }
            }
            Self::Other(error) => error,
        }
    }
}

impl From<BillError> for Failed {
    fn from(error: BillError) -> Self {
        Self::Other(error)
    }
}

/// Finds the meanings in batches of one shape.
#[derive(Debug)]
pub(crate) struct BatchReader {
    layout: Layout,
    texts: TextReader,
}

impl BatchReader {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, texts: TextReader::default() }
    }

    /// The readers for both looks at batches that hold [`ALL`].
    pub(crate) fn split(all: Layout) -> (Self, Self) {
        let Layout { wanted, mut texts, mut flags, mut amounts, day, sku, resource, issuer } = all;
        let rest = Layout {
            wanted: wanted.clone(),
            texts: texts.split_off(FIRST_TEXTS.len().min(texts.len())),
            flags: flags.split_off(FIRST_FLAGS.len().min(flags.len())),
            amounts: amounts.split_off(FIRST_AMOUNTS.len().min(amounts.len())),
            day: Vec::new(),
            sku: Vec::new(),
            resource,
            issuer,
        };
        let first = Layout { wanted, texts, flags, amounts, day, sku, resource: Vec::new(), issuer };
        (Self::new(first), Self::new(rest))
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn codes<const N: usize>(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        from: usize,
        texts: &mut Texts,
    ) -> Result<[Vec<Code>; N], Failed> {
        let mut out = [const { Vec::new() }; N];
        for (codes, sources) in out.iter_mut().zip(self.layout.texts.iter().skip(from)) {
            let read = self.texts.codes(columns, rows, sources, texts);
            *codes = read.map_err(|error| Failed::Cell(error.to_string()))?;
        }
        Ok(out)
    }

    /// What stands in for the usage types of Google's lines; empty where the file has usage types.
    pub(super) fn skus(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        texts: &mut Texts,
    ) -> Result<Vec<Code>, Failed> {
        if self.layout.sku.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.texts.codes(columns, rows, &self.layout.sku, texts);
        read.map_err(|error| Failed::Cell(error.to_string()))
    }

    /// Which lines say what the first of the flags asks; none where the layout has none.
    pub(super) fn flag(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<bool>, Failed> {
        match self.layout.flags.first() {
            Some(sources) => amounts::said(columns, rows, sources).map_err(Failed::Cell),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn amounts<const N: usize>(
        &self,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<[Vec<Amount>; N], Failed> {
        let mut out = [const { Vec::new() }; N];
        for (amounts, sources) in out.iter_mut().zip(&self.layout.amounts) {
            *amounts = amounts::amounts(columns, rows, sources).map_err(Failed::Cell)?;
        }
        Ok(out)
    }
}
