//! What OpenAI and Anthropic say themselves that an organisation owes them: their cost and usage reports, read into the
//! vocabulary of a bill, so that calls which never touch AWS settle like all others. On paper only: nothing here calls
//! anybody.
//!
//! Promises: every result of the cost report is in exactly one fact and in the control totals; an amount's digits are read
//! as they stand, never through a binary float; tokens come from the usage report where both reports have the same grain,
//! and are unknown otherwise; what no rule knows is kept with `understood = false`.
//!
//! Sources, read 2026-11: Anthropic's *Usage and Cost Admin API* (`/v1/organizations/cost_report`,
//! `/v1/organizations/usage_report/messages`); OpenAI's API reference, *Usage* (`/v1/organization/costs`,
//! `/v1/organization/usage/completions`).

mod anthropic;
mod fold;
mod key;
mod openai;
mod refusal;
mod requests;
#[cfg(test)]
mod tests;

use crate::aws::Month;
use crate::bill::{BillReport, ReportFormat};

pub use key::{AdminKey, BadAdminKey};
pub use refusal::Refusal;
pub use requests::{Report, path};

/// Who bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InvoiceVendor {
    /// Anthropic, for the Claude API.
    Anthropic,
    /// OpenAI, for its API.
    OpenAi,
}

impl InvoiceVendor {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Anthropic, Self::OpenAi];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
        }
    }

    /// The name that a person reads; as a fact's `billing_entity` says it, too.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Anthropic => "Anthropic",
            Self::OpenAi => "OpenAI",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vendor| vendor.as_str() == name)
    }

    /// Which schema its reports have.
    #[must_use]
    pub const fn format(self) -> ReportFormat {
        match self {
            Self::Anthropic => ReportFormat::AnthropicCosts,
            Self::OpenAi => ReportFormat::OpenAiCosts,
        }
    }

    /// Where its API is.
    #[must_use]
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Anthropic => "https://api.anthropic.com",
            Self::OpenAi => "https://api.openai.com",
        }
    }

    /// The service by [`crate::classify::Classification::service`]: of the vendor's own reports, and of no cloud's bill.
    #[must_use]
    pub const fn service(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic_api",
            Self::OpenAi => "openai_api",
        }
    }

    /// What the service is called.
    const fn product(self) -> &'static str {
        match self {
            Self::Anthropic => "Claude API",
            Self::OpenAi => "OpenAI API",
        }
    }
}

/// The account of what the vendor books under no workspace or project: both call theirs the default one.
pub const DEFAULT_ACCOUNT: &str = "default";

/// The answers of a vendor about one month, as they came; their order says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Pages<'a> {
    /// The cost report's.
    pub costs: &'a [String],
    /// The usage report's.
    pub usage: &'a [String],
}

/// Why an answer cannot be taken. Nothing of its month can then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPage {
    /// It is no page of this report: a field is missing, or is another thing.
    #[error("page {page} of the {report} is none: {why}")]
    Shape {
        /// Which report.
        report: Report,
        /// Which of its pages, in the order in which they came; from 1.
        page: usize,
        /// The field that is missing or wrong, and where.
        why: String,
    },
    /// A bucket is no whole day of the month that was asked for.
    #[error("the {report} has a bucket that begins at {start}, which is no day of {month}")]
    NotOfMonth {
        /// Which report.
        report: Report,
        /// What the bucket says.
        start: String,
        /// What was asked for.
        month: Month,
    },
    /// A day is told twice: which of them counts is not to be known.
    #[error("the {report} tells {day} twice")]
    Twice {
        /// Which report.
        report: Report,
        /// The day.
        day: chrono::NaiveDate,
    },
    /// An amount is no decimal, or is larger than anybody's bill.
    #[error("the {report} has the amount {amount}, which is none")]
    Amount {
        /// Which report.
        report: Report,
        /// As it came.
        amount: String,
    },
    /// A currency that is no ISO 4217 code.
    #[error("the {report} has an amount in {currency}, which is no currency")]
    Currency {
        /// Which report.
        report: Report,
        /// As it came.
        currency: String,
    },
    /// More cached tokens than there are.
    #[error("the {report} counts more cached tokens than input tokens of {model}")]
    Tokens {
        /// Which report.
        report: Report,
        /// The model.
        model: String,
    },
}

/// The page after this one: what `page` is to be asked with next; `None` after the last.
pub fn next_page(report: Report, page: usize, text: &str) -> Result<Option<String>, BadPage> {
    requests::next_page(report, page, text)
}

/// A month's bill from its pages. `account` is the paying account of all facts.
pub fn read(
    vendor: InvoiceVendor,
    month: Month,
    account: &str,
    pages: Pages<'_>,
) -> Result<BillReport, BadPage> {
    let mut fold = fold::Fold::new(vendor, month, account);
    match vendor {
        InvoiceVendor::Anthropic => anthropic::read(&mut fold, pages)?,
        InvoiceVendor::OpenAi => openai::read(&mut fold, pages)?,
    }
    Ok(fold.into_report(pages))
}

/// The organisation that the vendor names in its answers, where it does.
#[must_use]
pub fn organisation(vendor: InvoiceVendor, pages: Pages<'_>) -> Option<String> {
    match vendor {
        InvoiceVendor::Anthropic => None,
        InvoiceVendor::OpenAi => openai::organisation(pages.costs),
    }
}
