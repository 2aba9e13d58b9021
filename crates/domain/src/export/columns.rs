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

macro_rules! columns {
    ($($(#[$doc:meta])* $list:ident[$count:literal] { $($name:literal = $about:literal,)* })*) => {$(
        $(#[$doc])*
        pub const $list: [Column; $count] = [$(Column { name: $name, about: $about },)*];
    )*};
}

columns! {
    /// What is told of a call.
    REQUEST_COLUMNS[35] {
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
        "cost" = "the cost, exact to the last digit; empty where no price is known, never 0",
        "currency" = "what the cost counts",
        "price_id" = "the price list's entry that was used",
        "price_source" = "who published that price",
        "price_effective" = "since when that price holds, or when it was last checked",
        "formula" = "the sum as text",
        "note" = "why there is no price, or why the usage is an estimate",
        "caller_request_id" = "the client's own id of the call",
        "provider_request_id" = "the provider's id of the call",
        "body" = "what became of prompt and answer: `none`, `sealed`, `truncated`, `dropped_zdr` or `unavailable`; never they themselves",
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
