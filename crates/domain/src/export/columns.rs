//! The columns, and where their cells come from.

use chrono::{DateTime, SecondsFormat, Utc};

use super::Cell;
use crate::request::{CostBasis, Outcome, RequestFact};
use crate::{ApiKeyId, Currency, Usage, Usd};

/// A column of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, in CSV's header and JSON's members.
    pub name: &'static str,
    /// What stands in it, in plain words.
    pub about: &'static str,
}

/// What kind of thing stands in a column, for formats that tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A text or a word.
    Text,
    /// An exact amount, price or quantity.
    Amount,
    /// A moment in UTC.
    Moment,
    /// A count.
    Count,
}

impl Column {
    /// What kind of thing stands in a column of FOCUS.
    #[must_use]
    pub fn kind(&self) -> ColumnKind {
        let name = self.name;
        if name == "x_Count" {
            ColumnKind::Count
        } else if name.ends_with("PeriodStart") || name.ends_with("PeriodEnd") {
            ColumnKind::Moment
        } else if ["Cost", "UnitPrice", "Quantity"].iter().any(|end| name.ends_with(end)) {
            ColumnKind::Amount
        } else {
            ColumnKind::Text
        }
    }
}

macro_rules! columns {
    ($($(#[$doc:meta])* $list:ident[$count:literal] { $($name:literal = $about:literal,)* })*) => {$(
        $(#[$doc])*
        pub const $list: [Column; $count] = [$(Column { name: $name, about: $about },)*];
    )*};
}

columns! {
    /// What is told of a call.
    REQUEST_COLUMNS[36] {
        "id" = "the call's id",
        "started_at" = "when the proxy accepted it, RFC 3339 in UTC with milliseconds",
        "duration_ms" = "milliseconds from acceptance to the provider's last byte",
        "first_byte_ms" = "milliseconds from acceptance to the provider's first byte; empty where there was none",
        "api_key_id" = "the key that made it",
        "connection_id" = "the connection it went through; empty for the built-in provider",
        "provider" = "the provider's stable name",
        "endpoint" = "the proxy's route",
        "model_requested" = "the model that was asked for",
        "model_served" = "the model that the provider says it served; empty where it says nothing",
        "service_tier" = "the service tier that the provider says it served",
        "streamed" = "whether the answer was streamed",
        "status" = "the provider's HTTP status; empty where it did not answer",
        "outcome" = "how it ended: `completed`, `failed`, `client_gone` or `interrupted`",
        "error_code" = "a stable code for what went wrong; empty where nothing did",
        "fresh_input" = "tokens of input that was neither read from nor written to a cache",
        "cache_read" = "tokens of input read from a prompt cache",
        "cache_write_5m" = "tokens of input written to a cache of five minutes",
        "cache_write_1h" = "tokens of input written to a cache of one hour",
        "output" = "tokens of everything the model wrote, `reasoning` included, audio not",
        "audio_input" = "tokens of fresh audio input",
        "audio_output" = "tokens of audio output",
        "reasoning" = "the part of `output` that was thought and not said",
        "web_searches" = "web searches that the vendor charges by the call",
        "cost_basis" = "how sure the cost is: `exact`, `estimated` or `unpriced`",
        "cost" = "the cost, exact to the last digit; empty where no price is known, or nobody counted its tokens, never 0",
        "currency" = "what the cost counts",
        "price_id" = "the price list's entry that was used",
        "price_source" = "who published that price",
        "price_effective" = "since when that price holds, or when it was last checked",
        "formula" = "the sum as text",
        "note" = "why there is no price, or why the usage is an estimate",
        "caller_request_id" = "the client's own id of the call",
        "provider_request_id" = "the provider's id of the call",
        "body" = "what became of prompt and answer: `none`, `sealed`, `truncated`, `dropped_zdr` or `unavailable`; never they themselves",
        "origin" = "who saw the call: `proxy`, or `litellm` or `otlp` where it was imported",
    }
    /// What is told of an hour.
    SPEND_COLUMNS[18] {
        "hour" = "when the hour begins, RFC 3339 in UTC",
        "api_key_id" = "the key that made the calls",
        "provider" = "the provider's stable name",
        "model" = "the model that was served, or asked for where none says it served",
        "outcome" = "how the calls ended: `completed`, `failed`, `client_gone` or `interrupted`",
        "cost_basis" = "how sure the cost is: `exact`, `estimated` or `unpriced`",
        "requests" = "how many calls",
        "fresh_input" = "tokens of input that was neither read from nor written to a cache",
        "cache_read" = "tokens of input read from a prompt cache",
        "cache_write_5m" = "tokens of input written to a cache of five minutes",
        "cache_write_1h" = "tokens of input written to a cache of one hour",
        "output" = "tokens of everything the models wrote, `reasoning` included, audio not",
        "audio_input" = "tokens of fresh audio input",
        "audio_output" = "tokens of audio output",
        "reasoning" = "the part of `output` that was thought and not said",
        "web_searches" = "web searches that the vendor charges by the call",
        "cost" = "the sum of the calls' costs, exact to the last digit; empty for `unpriced`, never 0",
        "currency" = "what the cost counts",
    }
    /// What a chargeback tells of a row.
    CHARGEBACK_COLUMNS[14] {
        "kind" = "`calls` of one key, model or label, the `rest` of them, `beside_calls` for what bills have that no call caused, `unsettled` for what is on a bill and not settled yet",
        "group" = "the key's id, the model, or what the label says; empty for calls of keys without the label",
        "name" = "what the key is called",
        "issuer" = "whose bill, for rows that are no calls",
        "code" = "why the bill has it, by the names of settlement",
        "calls" = "how many calls",
        "estimated" = "what the calls were estimated to cost",
        "settled" = "what calls cost by the bill, for good",
        "provisional" = "what calls cost whose day the bill has not to its end",
        "unbilled_calls" = "how many of the calls no bill has",
        "unbilled" = "the estimates of those",
        "unpriced_calls" = "calls without a known price that are not settled: what they cost is in no sum",
        "amount" = "what is charged, exact to the last digit",
        "currency" = "what the amounts count",
    }
    /// What FOCUS 1.2 tells of a charge, of both sources: its columns by its names, and ours with `x_` in front.
    FOCUS_COLUMNS[69] {
        "AvailabilityZone" = "left empty: bills are kept by region",
        "BilledCost" = "what the invoice says, private discounts taken off; empty for calls that no bill has shown yet, never 0",
        "BillingAccountId" = "the paying account; empty for calls",
        "BillingAccountName" = "left empty",
        "BillingAccountType" = "left empty",
        "BillingCurrency" = "what the amounts count",
        "BillingPeriodEnd" = "before this moment, RFC 3339 in UTC",
        "BillingPeriodStart" = "from this moment, the first of the month",
        "CapacityReservationId" = "left empty",
        "CapacityReservationStatus" = "left empty",
        "ChargeCategory" = "`Usage`, `Purchase`, `Tax`, `Credit` or `Adjustment`",
        "ChargeClass" = "`Correction` for refunds, else empty",
        "ChargeDescription" = "what was used, in a few words",
        "ChargeFrequency" = "`Usage-Based`, `Recurring` or `One-Time`",
        "ChargePeriodEnd" = "before this moment",
        "ChargePeriodStart" = "from this moment: a day of a bill, an hour of calls",
        "CommitmentDiscountCategory" = "left empty",
        "CommitmentDiscountId" = "left empty",
        "CommitmentDiscountName" = "left empty",
        "CommitmentDiscountQuantity" = "left empty",
        "CommitmentDiscountType" = "left empty",
        "CommitmentDiscountUnit" = "left empty",
        "CommitmentDiscountStatus" = "left empty",
        "ConsumedQuantity" = "tokens where tokens are known, else the usage as billed; for usage alone",
        "ConsumedUnit" = "`Tokens`, or the unit as billed",
        "ContractedCost" = "the cost before commitments: as billed, or by the price list for calls; empty for what a commitment pays",
        "ContractedUnitPrice" = "left empty",
        "EffectiveCost" = "the cost with commitments spread over what they cover, after private discounts, or by the price list for calls; empty for what is unpriced, and where the bill does not tell what a commitment is worth",
        "InvoiceId" = "left empty",
        "InvoiceIssuerName" = "who sends the invoice",
        "ListCost" = "by the public price list; empty where the bill does not tell it",
        "ListUnitPrice" = "left empty",
        "PricingCategory" = "`Standard`, `Committed`, `Dynamic` or `Other`; for usage alone",
        "PricingCurrency" = "what prices count",
        "PricingCurrencyContractedUnitPrice" = "left empty",
        "PricingCurrencyEffectiveCost" = "as `EffectiveCost`",
        "PricingCurrencyListUnitPrice" = "left empty",
        "PricingQuantity" = "usage in the unit of the price; for a bill's usage alone",
        "PricingUnit" = "the unit of the price, as billed",
        "ProviderName" = "who provides the service",
        "PublisherName" = "who made the model where that is known, else who provides the service",
        "RegionId" = "the region; empty where there is none",
        "RegionName" = "left empty",
        "ResourceId" = "left empty",
        "ResourceName" = "left empty",
        "ResourceType" = "left empty",
        "ServiceCategory" = "`AI and Machine Learning`",
        "ServiceName" = "the service",
        "ServiceSubcategory" = "`Generative AI` for models, else `AI Platforms` or `Other (AI and Machine Learning)`",
        "SkuId" = "left empty",
        "SkuMeter" = "what is counted: a token class, images, hours",
        "SkuPriceId" = "left empty",
        "SkuPriceDetails" = "left empty",
        "SubAccountId" = "the account that used it, or the API key",
        "SubAccountName" = "left empty",
        "SubAccountType" = "`Account` or `API key`",
        "Tags" = "left empty",
        "x_Operation" = "the operation as billed, or how the calls ended",
        "x_ServiceCode" = "the product code as billed, or the provider's stable name",
        "x_Source" = "`bill`, or `proxy` for calls, imported ones included; of the settled export `import` for imported calls that are in a settlement",
        "x_CostBasis" = "`billed`, `exact`, `estimated` or `unpriced`; of the settled export `settled`, `provisional`, `unbilled` or `beside_calls`",
        "x_Model" = "the model; empty where there is none",
        "x_UsageType" = "the usage type as billed",
        "x_ServiceTier" = "the tier; empty for calls",
        "x_Routing" = "how inference was routed; empty for calls",
        "x_Principal" = "the IAM principal, where the bill carries it",
        "x_Count" = "how many bill lines or calls were added up",
        "x_BillId" = "the bill; empty for calls",
        "x_SettlementCode" = "why a bill has it beside calls, by the names of settlement; of the settled export alone",
    }
}

/// The calls of one hour that one key made to one model, with one outcome and one basis of their cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns say it")]
pub struct HourlySpend {
    pub hour: DateTime<Utc>,
    pub api_key_id: ApiKeyId,
    pub provider: String,
    pub model: String,
    pub outcome: Outcome,
    pub cost_basis: CostBasis,
    pub requests: u64,
    pub usage: Usage,
    pub cost: Option<Usd>,
}

fn tokens(usage: &Usage) -> [Cell<'static>; 9] {
    [
        Cell::Count(usage.fresh_input.0),
        Cell::Count(usage.cache_read.0),
        Cell::Count(usage.cache_write_5m.0),
        Cell::Count(usage.cache_write_1h.0),
        Cell::Count(usage.output.0),
        Cell::Count(usage.audio_input.0),
        Cell::Count(usage.audio_output.0),
        Cell::Count(usage.reasoning.0),
        Cell::Count(usage.web_searches),
    ]
}

/// A call's cells, in the order of [`REQUEST_COLUMNS`].
#[must_use]
pub fn request_cells(fact: &RequestFact) -> [Cell<'_>; REQUEST_COLUMNS.len()] {
    let [fresh_input, cache_read, write_5m, write_1h, output, audio_input, audio_output, reasoning, searches] =
        tokens(&fact.usage);
    [
        Cell::Own(fact.id.to_string()),
        Cell::Own(fact.started_at.to_rfc3339_opts(SecondsFormat::Millis, true)),
        Cell::Count(fact.duration_ms.into()),
        Cell::count(fact.first_byte_ms),
        Cell::Own(fact.api_key_id.to_string()),
        Cell::own(fact.connection_id),
        Cell::text(Some(&fact.provider)),
        Cell::text(Some(&fact.endpoint)),
        Cell::text(Some(&fact.model_requested)),
        Cell::text(fact.model_served.as_ref()),
        Cell::text(fact.service_tier.as_ref()),
        Cell::Flag(fact.streamed),
        Cell::count(fact.status),
        Cell::Own(fact.outcome.to_string()),
        Cell::text(fact.error_code.as_ref()),
        fresh_input,
        cache_read,
        write_5m,
        write_1h,
        output,
        audio_input,
        audio_output,
        reasoning,
        searches,
        Cell::Own(fact.cost_basis.to_string()),
        Cell::own(fact.cost),
        Cell::Own(Currency::USD.to_string()),
        Cell::text(fact.price.price_id.as_ref()),
        Cell::text(fact.price.source.as_ref()),
        Cell::own(fact.price.effective),
        Cell::text(fact.price.formula.as_ref()),
        Cell::text(fact.price.note.as_ref()),
        Cell::text(fact.caller_request_id.as_ref()),
        Cell::text(fact.provider_request_id.as_ref()),
        Cell::Own(fact.body.to_string()),
        Cell::Own(fact.provenance.origin.to_string()),
    ]
}

/// An hour's cells, in the order of [`SPEND_COLUMNS`].
#[must_use]
pub fn spend_cells(row: &HourlySpend) -> [Cell<'_>; SPEND_COLUMNS.len()] {
    let [fresh_input, cache_read, write_5m, write_1h, output, audio_input, audio_output, reasoning, searches] =
        tokens(&row.usage);
    [
        Cell::Own(row.hour.to_rfc3339_opts(SecondsFormat::Secs, true)),
        Cell::Own(row.api_key_id.to_string()),
        Cell::text(Some(&row.provider)),
        Cell::text(Some(&row.model)),
        Cell::Own(row.outcome.to_string()),
        Cell::Own(row.cost_basis.to_string()),
        Cell::Count(row.requests),
        fresh_input,
        cache_read,
        write_5m,
        write_1h,
        output,
        audio_input,
        audio_output,
        reasoning,
        searches,
        Cell::own(row.cost),
        Cell::Own(Currency::USD.to_string()),
    ]
}
