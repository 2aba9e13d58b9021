//! A fact as a record's payload, and what gives way where a completion outgrew its reservation.
//!
//! The payload is MessagePack with short names and without what is absent or zero: it takes fewer bytes and steps than
//! JSON, and a person still finds the texts in a damaged spool. The names are a format on
//! the disk: one is never given another meaning, and a new one has a default, so that a newer program reads what
//! an older one left behind. The first programs wrote the same names as JSON, which is still read.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::privacy::BodyState;
use costlens_domain::request::{CostBasis, Outcome, PriceReceipt, Provenance, RequestFact};
use costlens_domain::{RequestId, Tokens, Usage, Usd};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::frame::{self, Kind};
use super::{SpoolError, compact};

/// A fact on the disk. Its id stands in the record's header.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(rename = "t")]
    tenant_id: Uuid,
    #[serde(rename = "k")]
    api_key_id: Uuid,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    connection_id: Option<Uuid>,
    #[serde(rename = "at", with = "chrono::serde::ts_nanoseconds")]
    started_at: DateTime<Utc>,
    #[serde(rename = "d", default, skip_serializing_if = "none")]
    duration_ms: u32,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<u32>,
    #[serde(rename = "p", borrow)]
    provider: Cow<'a, str>,
    #[serde(rename = "e", borrow)]
    endpoint: Cow<'a, str>,
    #[serde(rename = "m", borrow)]
    model_requested: Cow<'a, str>,
    #[serde(rename = "ms", borrow, default, skip_serializing_if = "Option::is_none")]
    model_served: Option<Cow<'a, str>>,
    #[serde(rename = "st", borrow, default, skip_serializing_if = "Option::is_none")]
    service_tier: Option<Cow<'a, str>>,
    #[serde(rename = "s", default, skip_serializing_if = "none")]
    streamed: bool,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(rename = "o")]
    outcome: Outcome,
    #[serde(rename = "x", borrow, default, skip_serializing_if = "Option::is_none")]
    error_code: Option<Cow<'a, str>>,
    #[serde(rename = "ui", default, skip_serializing_if = "none")]
    fresh_input: u64,
    #[serde(rename = "ur", default, skip_serializing_if = "none")]
    cache_read: u64,
    #[serde(rename = "u5", default, skip_serializing_if = "none")]
    cache_write_5m: u64,
    #[serde(rename = "u1", default, skip_serializing_if = "none")]
    cache_write_1h: u64,
    #[serde(rename = "uo", default, skip_serializing_if = "none")]
    output: u64,
    #[serde(rename = "ut", default, skip_serializing_if = "none")]
    reasoning: u64,
    #[serde(rename = "ua", default, skip_serializing_if = "none")]
    audio_input: u64,
    #[serde(rename = "uv", default, skip_serializing_if = "none")]
    audio_output: u64,
    #[serde(rename = "uw", default, skip_serializing_if = "none")]
    web_searches: u64,
    #[serde(rename = "b")]
    cost_basis: CostBasis,
    #[serde(rename = "$", default, skip_serializing_if = "Option::is_none", with = "compact::cost")]
    cost: Option<Usd>,
    #[serde(rename = "pi", borrow, default, skip_serializing_if = "Option::is_none")]
    price_id: Option<Cow<'a, str>>,
    #[serde(rename = "ps", borrow, default, skip_serializing_if = "Option::is_none")]
    price_source: Option<Cow<'a, str>>,
    #[serde(rename = "pe", default, skip_serializing_if = "Option::is_none", with = "compact::date")]
    price_effective: Option<NaiveDate>,
    #[serde(rename = "pf", borrow, default, skip_serializing_if = "Option::is_none")]
    price_formula: Option<Cow<'a, str>>,
    #[serde(rename = "pn", borrow, default, skip_serializing_if = "Option::is_none")]
    price_note: Option<Cow<'a, str>>,
    #[serde(rename = "ci", borrow, default, skip_serializing_if = "Option::is_none")]
    caller_request_id: Option<Cow<'a, str>>,
    #[serde(rename = "ri", borrow, default, skip_serializing_if = "Option::is_none")]
    provider_request_id: Option<Cow<'a, str>>,
    #[serde(rename = "ai", borrow, default, skip_serializing_if = "Option::is_none")]
    response_id: Option<Cow<'a, str>>,
    #[serde(rename = "by", default = "no_body", skip_serializing_if = "is_no_body")]
    body: BodyState,
}

/// What an earlier release's records say by saying nothing.
const fn no_body() -> BodyState {
    BodyState::None
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_no_body(body: &BodyState) -> bool {
    *body == no_body()
}

fn none<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl<'a> From<&'a RequestFact> for Wire<'a> {
    fn from(fact: &'a RequestFact) -> Self {
        // Named in full, so that a new field of a fact cannot be forgotten here.
        let RequestFact {
            id: _,
            tenant_id,
            api_key_id,
            connection_id,
            started_at,
            duration_ms,
            first_byte_ms,
            provider,
            endpoint,
            model_requested,
            model_served,
            service_tier,
            streamed,
            status,
            outcome,
            error_code,
            usage,
            cost_basis,
            cost,
            price,
            caller_request_id,
            provider_request_id,
            provenance,
            body,
        } = fact;
        let text = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        // A call is priced later in the ledger alone.
        let PriceReceipt { price_id, source, effective, formula, note, repriced: _ } = price;
        // What others saw never comes by the spool.
        let Provenance { origin: _, region: _, response_id } = provenance;
        Self {
            tenant_id: tenant_id.uuid(),
            api_key_id: api_key_id.uuid(),
            connection_id: connection_id.map(costlens_domain::ConnectionId::uuid),
            started_at: *started_at,
            duration_ms: *duration_ms,
            first_byte_ms: *first_byte_ms,
            provider: Cow::Borrowed(provider),
            endpoint: Cow::Borrowed(endpoint),
            model_requested: Cow::Borrowed(model_requested),
            model_served: text(model_served),
            service_tier: text(service_tier),
            streamed: *streamed,
            status: *status,
            outcome: *outcome,
            error_code: text(error_code),
            fresh_input: usage.fresh_input.0,
            cache_read: usage.cache_read.0,
            cache_write_5m: usage.cache_write_5m.0,
            cache_write_1h: usage.cache_write_1h.0,
            output: usage.output.0,
            reasoning: usage.reasoning.0,
            audio_input: usage.audio_input.0,
            audio_output: usage.audio_output.0,
            web_searches: usage.web_searches,
            cost_basis: *cost_basis,
            cost: *cost,
            price_id: text(price_id),
            price_source: text(source),
            price_effective: *effective,
            price_formula: text(formula),
            price_note: text(note),
            caller_request_id: text(caller_request_id),
            provider_request_id: text(provider_request_id),
            response_id: text(response_id),
            body: *body,
        }
    }
}

impl Wire<'_> {
    fn into_fact(self, id: RequestId) -> RequestFact {
        let text = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        RequestFact {
            id,
            tenant_id: self.tenant_id.into(),
            api_key_id: self.api_key_id.into(),
            connection_id: self.connection_id.map(Into::into),
            started_at: self.started_at,
            duration_ms: self.duration_ms,
            first_byte_ms: self.first_byte_ms,
            provider: self.provider.into_owned(),
            endpoint: self.endpoint.into_owned(),
            model_requested: self.model_requested.into_owned(),
            model_served: text(self.model_served),
            service_tier: text(self.service_tier),
            streamed: self.streamed,
            status: self.status,
            outcome: self.outcome,
            error_code: text(self.error_code),
            usage: Usage {
                fresh_input: Tokens(self.fresh_input),
                cache_read: Tokens(self.cache_read),
                cache_write_5m: Tokens(self.cache_write_5m),
                cache_write_1h: Tokens(self.cache_write_1h),
                output: Tokens(self.output),
                reasoning: Tokens(self.reasoning),
                audio_input: Tokens(self.audio_input),
                audio_output: Tokens(self.audio_output),
                web_searches: self.web_searches,
            },
            cost_basis: self.cost_basis,
            cost: self.cost,
            price: PriceReceipt {
                price_id: text(self.price_id),
                source: text(self.price_source),
                effective: self.price_effective,
                formula: text(self.price_formula),
                note: text(self.price_note),
                repriced: None,
            },
            caller_request_id: text(self.caller_request_id),
            provider_request_id: text(self.provider_request_id),
            provenance: Provenance { response_id: text(self.response_id), ..Provenance::default() },
            body: self.body,
        }
    }
}

/// Writes a whole sealed record into `into`, whose old content is dropped.
pub(super) fn encode(into: &mut Vec<u8>, kind: Kind, fact: &RequestFact) -> Result<(), SpoolError> {
    frame::begin(into, kind, fact.id.uuid());
    rmp_serde::encode::write_named(&mut *into, &Wire::from(fact)).map_err(SpoolError::Encode)?;
    frame::seal(into);
    Ok(())
}

/// The fact in a call's payload.
pub(super) fn decode(id: RequestId, payload: &[u8]) -> Result<RequestFact, UnreadablePayload> {
    // No map of MessagePack begins with a brace.
    let wire: Wire<'_> = if payload.first() == Some(&b'{') {
        serde_json::from_slice(payload)?
    } else {
        rmp_serde::from_slice(payload)?
    };
    Ok(wire.into_fact(id))
}

/// A payload that is no fact.
#[derive(Debug, thiserror::Error)]
pub enum UnreadablePayload {
    /// Of today's format.
    #[error(transparent)]
    MessagePack(#[from] rmp_serde::decode::Error),
    /// Of the first format.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The fact with its free texts as they were in the intent, so that it is no longer than the intent by more
/// than digits and names: what the provider said may be shortened, what the call used and cost may not.
pub(super) fn shorten(fact: &RequestFact, intent: &RequestFact) -> RequestFact {
    let clip = |text: &Option<String>| text.as_deref().map(|text| clip(text, 48));
    RequestFact {
        model_served: clip(&fact.model_served),
        service_tier: clip(&fact.service_tier),
        error_code: clip(&fact.error_code),
        provider_request_id: clip(&fact.provider_request_id),
        // A part of an id is another id, or none.
        provenance: Provenance {
            response_id: fact.provenance.response_id.clone().filter(|id| id.len() <= 48),
            ..Provenance::default()
        },
        price: PriceReceipt {
            price_id: clip(&fact.price.price_id),
            source: clip(&fact.price.source),
            effective: fact.price.effective,
            formula: clip(&fact.price.formula),
            note: Some(costlens_domain::pricing::SHORTENED.to_owned()),
            repriced: None,
        },
        caller_request_id: intent.caller_request_id.clone(),
        model_requested: intent.model_requested.clone(),
        provider: intent.provider.clone(),
        endpoint: intent.endpoint.clone(),
        ..fact.clone()
    }
}

/// Printable ASCII, at most `longest` bytes.
fn clip(text: &str, longest: usize) -> String {
    text.chars().filter(char::is_ascii_graphic).take(longest).collect()
}

/// The call's id in a record.
pub(super) fn call(id: Uuid) -> RequestId {
    id.into()
}
