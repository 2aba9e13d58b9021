//! The vocabulary of an ingested bill: what a report is, what a daily fact says, and how facts add up.
//!
//! Promises: every amount is an exact decimal in the currency its line was billed in; amounts of two currencies
//! never meet in one sum; the control totals cover every line of the report, not only those about AI, so that
//! they can be held against an independent sum of the same files.

mod breakdown;
mod measure;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use breakdown::{Dimension, Share, Slice, breakdown, shares};
pub use measure::{Measure, OtherCosts};

use crate::classify::{Classification, Verdict, is_usage};
use crate::money::Currency;

/// A text that many facts share.
pub type Text = Arc<str>;

/// The schemas that bills come in: those of AWS, those of vendors' own reports, and those of Azure and Google. FOCUS is one
/// schema, and three formats: a format says whose bill it is, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportFormat {
    /// The Cost and Usage Report with `lineItem/UnblendedCost` or `line_item_unblended_cost`.
    LegacyCur,
    /// CUR 2.0 from Data Exports: fixed columns, maps for product, tags and cost categories.
    Cur2,
    /// The FinOps Open Cost and Usage Specification, 1.x, of AWS or of whoever else is neither Azure nor Google.
    Focus,
    /// Anthropic's cost report, see [`crate::invoices`].
    AnthropicCosts,
    /// OpenAI's costs, see [`crate::invoices`].
    #[serde(rename = "openai_costs")]
    OpenAiCosts,
    /// Azure Cost Management's export of actual costs.
    AzureCosts,
    /// The same of amortised costs: reservations and savings plans are spread over what they cover, so that no line says
    /// what was billed for them.
    AzureAmortised,
    /// FOCUS from Azure.
    AzureFocus,
    /// Google Cloud's billing export, as rows.
    GoogleCosts,
    /// FOCUS from Google Cloud.
    GoogleFocus,
}

impl ReportFormat {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::LegacyCur,
        Self::Cur2,
        Self::Focus,
        Self::AnthropicCosts,
        Self::OpenAiCosts,
        Self::AzureCosts,
        Self::AzureAmortised,
        Self::AzureFocus,
        Self::GoogleCosts,
        Self::GoogleFocus,
    ];

    /// The stable name, as in JSON and SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LegacyCur => "legacy_cur",
            Self::Cur2 => "cur2",
            Self::Focus => "focus",
            Self::AnthropicCosts => "anthropic_costs",
            Self::OpenAiCosts => "openai_costs",
            Self::AzureCosts => "azure_costs",
            Self::AzureAmortised => "azure_amortised",
            Self::AzureFocus => "azure_focus",
            Self::GoogleCosts => "google_costs",
            Self::GoogleFocus => "google_focus",
        }
    }

    /// The name that a person reads.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::LegacyCur => "legacy Cost and Usage Report",
            Self::Cur2 => "CUR 2.0",
            Self::Focus => "FOCUS",
            Self::AnthropicCosts => "Anthropic's cost report",
            Self::OpenAiCosts => "OpenAI's costs",
            Self::AzureCosts => "Azure's actual costs",
            Self::AzureAmortised => "Azure's amortised costs",
            Self::AzureFocus => "FOCUS from Azure",
            Self::GoogleCosts => "Google Cloud's billing export",
            Self::GoogleFocus => "FOCUS from Google Cloud",
        }
    }
}

impl fmt::Display for ReportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// Line-item types (CUR), charge types (Azure), cost types (Google) and charge categories (FOCUS) whose cost rules are known. Any other is kept with its
/// unblended cost and listed in [`BillReport::unknown_line_types`].
pub const KNOWN_LINE_TYPES: [&str; 30] = [
    "Usage",
    "DiscountedUsage",
    "SavingsPlanCoveredUsage",
    "SavingsPlanNegation",
    "SavingsPlanRecurringFee",
    "SavingsPlanUpfrontFee",
    "RIFee",
    "Fee",
    "Credit",
    "Refund",
    "Tax",
    "BundledDiscount",
    "Discount",
    "EdpDiscount",
    "PrivateRateDiscount",
    "EDPDiscount",
    "FlatRateSubscription",
    "RoundingAdjustment",
    "RiVolumeDiscount",
    "SppDiscount",
    "Purchase",
    "Adjustment",
    "DistributorDiscount",
    "UnusedReservation",
    "UnusedSavingsPlan",
    "regular",
    "usage",
    "tax",
    "adjustment",
    "rounding_error",
];

/// One file of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFile {
    /// The path below what the reader was given.
    pub name: String,
    /// The size on disk in bytes, compressed as delivered.
    pub size_bytes: u64,
}

/// The sum of all lines of one line-item type and currency: the figures to hold against an independent sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlTotal {
    /// As the bill writes it; empty where the bill left the cell empty.
    pub line_item_type: Text,
    /// What the amounts count; `XXX` (ISO 4217: no currency) where the bill left the cell empty.
    pub currency: Currency,
    /// How many lines there are.
    pub lines: u64,
    /// How many of them carry no cost at all (an empty cell, which is not a zero).
    pub lines_without_cost: u64,
    /// The sum of the cost column.
    pub unblended: Decimal,
    /// The part of `unblended` on container split-cost rows, which repeats what the instance's own line says.
    pub split_cost: Decimal,
    /// The part of `unblended` that is AI.
    pub ai: Decimal,
    /// The part of `unblended` that may be AI, see [`Verdict::Candidate`].
    pub candidate: Decimal,
    /// What the AI part costs by the other measures.
    pub ai_costs: OtherCosts,
    /// What the part that may be AI costs by the other measures.
    pub candidate_costs: OtherCosts,
}

/// The AI (or candidate) spend of one day with one set of properties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DailyFact {
    /// The UTC day of use; the first day of the period for what has no day.
    pub day: NaiveDate,
    /// The paying account.
    pub billing_account: Text,
    /// The account that used it.
    pub usage_account: Text,
    /// The region code, such as `us-east-1`; empty where the bill names none.
    pub region: Text,
    /// `AWS`, `AWS Marketplace` or another seller.
    pub billing_entity: Text,
    /// The product code as billed (opaque for Marketplace products).
    pub product_code: Text,
    /// The product's name where the bill gives one.
    pub product_name: Text,
    /// The usage type as billed.
    pub usage_type: Text,
    /// The operation as billed.
    pub operation: Text,
    /// The IAM principal of Bedrock inference, where the export carries it.
    pub principal: Text,
    /// The line-item type (CUR) or charge category (FOCUS) as billed.
    pub line_item_type: Text,
    /// What the amounts count.
    pub currency: Currency,
    /// What the line is, by the rules of [`crate::classify`].
    pub class: Arc<Classification>,
    /// The unit in which usage is counted, as billed.
    pub pricing_unit: Text,
    /// Usage in that unit; counted for usage lines only, never for taxes, fees or negations.
    pub usage_quantity: Decimal,
    /// Tokens, where the unit is known to count tokens.
    pub tokens: Option<Decimal>,
    /// The cost as billed.
    pub unblended: Decimal,
    /// The cost after private discounts; the unblended cost where the bill has no net column.
    pub net_unblended: Decimal,
    /// The cost with upfront and recurring commitments spread over the usage they cover; `None` for a commitment, and for
    /// what one covers, on a bill that says only what was billed (Azure's actual costs).
    pub amortised: Option<Decimal>,
    /// The same after private discounts; `None` there, too, and for a fact that was kept before this was read.
    pub net_amortised: Option<Decimal>,
    /// The cost by the public on-demand price; `None` where the bill does not say it.
    pub list: Option<Decimal>,
    /// How many bill lines were added up.
    pub lines: u64,
}

impl DailyFact {
    /// True where the line is AI beyond doubt.
    #[must_use]
    pub fn is_ai(&self) -> bool {
        self.class.verdict == Verdict::Ai
    }

    /// The amount that the chosen measure takes of this fact; `None` where it is unknown.
    #[must_use]
    pub const fn cost(&self, measure: Measure) -> Option<Decimal> {
        match measure {
            Measure::Unblended => Some(self.unblended),
            Measure::NetUnblended => Some(self.net_unblended),
            Measure::Amortised => self.amortised,
            Measure::NetAmortised => self.net_amortised,
            Measure::List => self.list,
        }
    }

    /// What it really costs its payer: net amortised, or amortised where that is unknown; `None` where both are.
    #[must_use]
    pub fn known_spread_cost(&self) -> Option<Decimal> {
        self.net_amortised.or(self.amortised)
    }

    /// The same, and what was billed where it is unknown: what forecasts and surprises, which want an amount of every
    /// fact, go by.
    #[must_use]
    pub fn spread_cost(&self) -> Decimal {
        self.known_spread_cost().unwrap_or(self.net_unblended)
    }

    /// Whether it is use of which a commitment pays more than the bill charges on the day: what a reservation covers, in
    /// FOCUS all that is covered (`EffectiveCost` above `BilledCost`), and what is covered by who knows how much. Its
    /// unblended cost is then no price of what was used.
    #[must_use]
    pub fn is_paid_by_commitment(&self) -> bool {
        is_usage(&self.line_item_type) && self.amortised.is_none_or(|amortised| amortised > self.unblended)
    }
}

/// What one resource cost over the whole report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceCost {
    /// The ARN or name as billed.
    pub resource_id: Text,
    /// The account that used it.
    pub usage_account: Text,
    /// The service by [`Classification::service`].
    pub service: Text,
    /// Whether it is AI or may be.
    pub verdict: Verdict,
    /// What the amount counts.
    pub currency: Currency,
    /// The cost as billed.
    pub unblended: Decimal,
    /// How many bill lines were added up.
    pub lines: u64,
}

/// What a bill said, as far as AI is concerned, with the totals that prove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillReport {
    /// Which schema the files have.
    pub format: ReportFormat,
    /// The files, in the order they were found.
    pub files: Vec<ReportFile>,
    /// How many lines were read.
    pub lines: u64,
    /// The earliest day of any line; `None` for a bill without dates.
    pub first_day: Option<NaiveDate>,
    /// The latest day of any line.
    pub last_day: Option<NaiveDate>,
    /// The first and the last month that it is of, by their first days: those with a fair part of its lines. AWS adds
    /// days of neighbouring months to a month's bill, and these are not its.
    pub months: Option<(NaiveDate, NaiveDate)>,
    /// Whether every line that costs something names the invoice that it is on. AWS fills that in once it has made the invoice.
    pub has_invoices: bool,
    /// The version of the classification rules, [`crate::classify::RULES_VERSION`].
    pub rules_version: u32,
    /// Every line, by line-item type and currency.
    pub totals: Vec<ControlTotal>,
    /// The AI and candidate lines, by day and property.
    pub facts: Vec<DailyFact>,
    /// The dearest AI and candidate resources, dearest first, currency by currency.
    pub resources: Vec<ResourceCost>,
    /// Line-item types without a rule of their own; their unblended cost was kept.
    pub unknown_line_types: Vec<Text>,
    /// Files of a directory that were no bill and were left out.
    pub skipped: Vec<String>,
}

impl BillReport {
    /// The whole bill and its AI part per currency: what "share of the bill" is computed from.
    #[must_use]
    pub fn by_currency(&self) -> BTreeMap<Currency, Share> {
        shares(&self.totals)
    }

    /// The AI facts that no rule could take apart: counted as AI, but without a known category.
    pub fn unclassified(&self) -> impl Iterator<Item = &DailyFact> {
        self.facts.iter().filter(|fact| fact.is_ai() && !fact.class.understood)
    }
}
