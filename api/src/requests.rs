//! Calls, each with its receipt.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::export::{ExportFormat as FileFormat, REQUEST_COLUMNS, request_cells};
use costlens_domain::request::{Origin, Outcome, RepricedNote, RequestFact};
use costlens_domain::{ApiKeyId, ConnectionId, Currency, RequestId, Usage, Usd};
use costlens_store::RequestFilter;
use futures_util::StreamExt as _;
use poem::Body;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Binary, Json};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::bodies::BodyStateView;
use crate::dates;
use crate::error::ApiError;
use crate::imports::ImportClaimView;
use crate::page::{DEFAULT_LIMIT, Page};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "Outcome", rename_all = "snake_case", remote = "Outcome")]
pub enum OutcomeView {
    /// The provider's answer reached its end.
    Completed,
    /// The provider refused, failed, timed out or could not be reached.
    Failed,
    /// The client hung up before the end.
    ClientGone,
    /// The proxy died in the middle; found again in the spool.
    Interrupted,
}

/// Who saw a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "Origin", remote = "Origin")]
pub enum OriginView {
    /// The proxy, which carried it.
    #[oai(rename = "proxy")]
    Proxy,
    /// A LiteLLM proxy, whose spend logs were imported.
    #[oai(rename = "litellm")]
    LiteLlm,
    /// The program that made it, which sent its spans by OTLP.
    #[oai(rename = "otlp")]
    Otlp,
}

/// How sure a cost is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "CostBasis", rename_all = "snake_case", remote = "costlens_domain::request::CostBasis")]
pub enum CostBasisView {
    /// The provider counted and a price is known.
    Exact,
    /// We counted, because the provider did not get to.
    Estimated,
    /// No price is known, or nobody counted its tokens; the amount is null, never zero.
    Unpriced,
}

/// What a call used, in disjoint classes; `reasoning` alone is a part of `output`.
#[derive(Object)]
#[oai(rename = "Usage")]
pub struct UsageView {
    /// Input that was neither read from nor written to a cache.
    pub fresh_input: u64,
    /// Input read from a prompt cache.
    pub cache_read: u64,
    /// Input written to a cache of five minutes.
    pub cache_write_5m: u64,
    /// Input written to a cache of one hour.
    pub cache_write_1h: u64,
    /// Everything the model wrote, reasoning included, audio not.
    pub output: u64,
    /// The part of `output` that was thought and not said.
    pub reasoning: u64,
    /// Fresh audio input.
    pub audio_input: u64,
    /// Audio output.
    pub audio_output: u64,
    /// Web searches that the vendor charges by the call.
    pub web_searches: u64,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            fresh_input: usage.fresh_input.0,
            cache_read: usage.cache_read.0,
            cache_write_5m: usage.cache_write_5m.0,
            cache_write_1h: usage.cache_write_1h.0,
            output: usage.output.0,
            reasoning: usage.reasoning.0,
            audio_input: usage.audio_input.0,
            audio_output: usage.audio_output.0,
            web_searches: usage.web_searches,
        }
    }
}

/// Where a call's price came from.
#[derive(Object)]
#[oai(rename = "PriceReceipt", nullable_all)]
pub struct PriceReceiptView {
    /// The catalogue entry, e.g. `openai/gpt-4o`.
    pub price_id: Option<String>,
    /// Who published the price.
    pub source: Option<String>,
    /// Since when it holds, or when it was last checked.
    pub effective: Option<Wire<chrono::NaiveDate>>,
    /// The sum as text.
    pub formula: Option<String>,
    /// Why there is no price, or why the usage is an estimate.
    pub note: Option<String>,
    /// That the call was priced later than it was recorded; null where it was not.
    pub repriced: Option<RepricedView>,
}

/// A call was priced later, or anew.
#[derive(Object)]
#[oai(rename = "Repriced")]
pub struct RepricedView {
    /// When, the last time.
    pub at: DateTime<Utc>,
    /// The version of the price catalogue; 0 for the prices that came with the program.
    pub price_version: u64,
    /// How sure the first cost was.
    pub first_basis: CostBasisView,
    /// The first cost; null where the call had no price.
    #[oai(nullable)]
    pub first_cost: Option<Wire<Usd>>,
}

impl From<RepricedNote> for RepricedView {
    fn from(note: RepricedNote) -> Self {
        let RepricedNote { at, version, first_basis, first_cost } = note;
        Self { at, price_version: version, first_basis: first_basis.into(), first_cost: first_cost.map(Wire) }
    }
}

/// One call.
#[derive(Object)]
#[oai(rename = "Request")]
pub struct RequestView {
    /// The call.
    pub id: Wire<RequestId>,
    /// The key that made it.
    pub api_key_id: Wire<ApiKeyId>,
    /// The connection it went through; null for the built-in provider.
    #[oai(nullable)]
    pub connection_id: Option<Wire<ConnectionId>>,
    /// When the proxy accepted it.
    pub started_at: DateTime<Utc>,
    /// From acceptance to the provider's last byte.
    pub duration_ms: u32,
    /// From acceptance to the provider's first byte.
    #[oai(nullable)]
    pub first_byte_ms: Option<u32>,
    /// The provider's stable name.
    pub provider: String,
    /// The proxy's route.
    pub endpoint: String,
    /// The model that was asked for.
    pub model_requested: String,
    /// The model that the provider says it served.
    #[oai(nullable)]
    pub model_served: Option<String>,
    /// The service tier that the provider says it served.
    #[oai(nullable)]
    pub service_tier: Option<String>,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// The provider's HTTP status; null where it did not answer.
    #[oai(nullable)]
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: OutcomeView,
    /// A stable code for what went wrong.
    #[oai(nullable)]
    pub error_code: Option<String>,
    /// What it used.
    pub usage: UsageView,
    /// How sure the cost is.
    pub cost_basis: CostBasisView,
    /// The cost, exact to the last digit; null where no price is known, or nobody counted its tokens.
    #[oai(nullable)]
    pub cost: Option<Wire<Usd>>,
    /// What the cost counts.
    pub currency: Wire<Currency>,
    /// Where the price came from.
    pub price: PriceReceiptView,
    /// The client's own id of the call.
    #[oai(nullable)]
    pub caller_request_id: Option<String>,
    /// The provider's id of the call.
    #[oai(nullable)]
    pub provider_request_id: Option<String>,
    /// What became of prompt and answer.
    pub body: BodyStateView,
    /// Who saw the call. One that was imported went through no connection; `endpoint` is its source's word for it.
    pub origin: OriginView,
    /// The region that an imported call says it went to.
    #[oai(nullable)]
    pub region: Option<String>,
    /// The id that the provider gave its answer, in the answer itself.
    #[oai(nullable)]
    pub response_id: Option<String>,
    /// What the source of an imported call says of it; told of one call alone, and null in lists.
    #[oai(nullable)]
    pub claim: Option<ImportClaimView>,
}

impl From<RequestFact> for RequestView {
    fn from(fact: RequestFact) -> Self {
        let price = PriceReceiptView {
            price_id: fact.price.price_id,
            source: fact.price.source,
            effective: fact.price.effective.map(Wire),
            formula: fact.price.formula,
            note: fact.price.note,
            repriced: fact.price.repriced.map(Into::into),
        };
        Self {
            id: Wire(fact.id),
            api_key_id: Wire(fact.api_key_id),
            connection_id: fact.connection_id.map(Wire),
            started_at: fact.started_at,
            duration_ms: fact.duration_ms,
            first_byte_ms: fact.first_byte_ms,
            provider: fact.provider,
            endpoint: fact.endpoint,
            model_requested: fact.model_requested,
            model_served: fact.model_served,
            service_tier: fact.service_tier,
            streamed: fact.streamed,
            status: fact.status,
            outcome: fact.outcome.into(),
            error_code: fact.error_code,
            usage: fact.usage.into(),
            cost_basis: fact.cost_basis.into(),
            cost: fact.cost.map(Wire),
            currency: Wire(Currency::USD),
            price,
            caller_request_id: fact.caller_request_id,
            provider_request_id: fact.provider_request_id,
            body: fact.body.into(),
            origin: fact.provenance.origin.into(),
            region: fact.provenance.region,
            response_id: fact.provenance.response_id,
            claim: None,
        }
    }
}

/// In what form an export comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ExportFormat {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// RFC 4180, with a header line.
    Csv,
}

/// An export.
#[derive(ApiResponse)]
pub enum Exported {
    /// All rows that the filter lets through, newest first, streamed.
    #[oai(status = 200)]
    Rows(
        Binary<Body>,
        /// What a browser saves it as.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

pub(crate) struct RequestsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Requests")]
impl RequestsApi {
    /// List calls
    ///
    /// Newest first.
    #[expect(clippy::too_many_arguments, reason = "each is one query parameter of the contract")]
    #[oai(path = "/requests", method = "get", operation_id = "list_requests")]
    async fn list(
        &self,
        caller: Caller,
        /// Made with this key.
        api_key_id: Query<Option<Wire<ApiKeyId>>>,
        /// Sent to this provider.
        provider: Query<Option<String>>,
        /// Asked for this model, or served by it.
        model: Query<Option<String>>,
        /// Ended like this.
        outcome: Query<Option<OutcomeView>>,
        /// Seen by this.
        origin: Query<Option<OriginView>>,
        /// Accepted at or after this moment.
        from: Query<Option<DateTime<Utc>>>,
        /// Accepted before this moment.
        to: Query<Option<DateTime<Utc>>>,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<RequestId>>>,
    ) -> Result<Json<Page<RequestView>>, ApiError> {
        let tenant = caller.require(Permission::RequestsRead)?;
        let filter = filter((api_key_id.0, origin.0), provider.0, model.0, outcome.0, (from.0, to.0))?;
        let cursor = cursor.0.map(|id| id.0);
        let page = self.0.store.tenant(tenant).await?.list_requests(&filter, cursor, limit.0).await?;
        Ok(Json(Page {
            items: page.items.into_iter().map(Into::into).collect(),
            next_cursor: page.next_cursor.map(|id| id.to_string()),
        }))
    }

    /// Export calls
    ///
    /// Every row that the filter lets through, newest first, streamed as it is read. An export that breaks in the
    /// middle ends its connection early: a whole answer is a whole export.
    #[expect(clippy::too_many_arguments, reason = "each is one query parameter of the contract")]
    #[expect(clippy::unused_async, reason = "every operation is asynchronous in the framework")]
    #[oai(path = "/requests/export", method = "get", operation_id = "export_requests")]
    async fn export(
        &self,
        caller: Caller,
        /// In what form.
        #[oai(default)]
        format: Query<ExportFormat>,
        /// Made with this key.
        api_key_id: Query<Option<Wire<ApiKeyId>>>,
        /// Sent to this provider.
        provider: Query<Option<String>>,
        /// Asked for this model, or served by it.
        model: Query<Option<String>>,
        /// Ended like this.
        outcome: Query<Option<OutcomeView>>,
        /// Seen by this.
        origin: Query<Option<OriginView>>,
        /// Accepted at or after this moment.
        from: Query<Option<DateTime<Utc>>>,
        /// Accepted before this moment.
        to: Query<Option<DateTime<Utc>>>,
    ) -> Result<Exported, ApiError> {
        let tenant = caller.require(Permission::RequestsRead)?;
        let filter = filter((api_key_id.0, origin.0), provider.0, model.0, outcome.0, (from.0, to.0))?;
        let store = self.0.store.clone();
        let format = format.0;
        // Pages, each in a short transaction of its own: no snapshot is held while a slow client reads.
        let pages = futures_util::stream::unfold(Some(None), move |cursor| {
            let (store, filter) = (store.clone(), filter.clone());
            async move {
                let cursor = cursor?;
                let page = match store.tenant(tenant).await {
                    Ok(mut conn) => conn.list_requests(&filter, cursor, EXPORT_PAGE).await,
                    Err(error) => Err(error),
                };
                match page {
                    Ok(page) => {
                        let lines: String = page.items.into_iter().map(|fact| line(format, fact)).collect();
                        Some((Ok(lines), page.next_cursor.map(Some)))
                    }
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "an export broke off");
                        Some((Err(std::io::Error::other(error)), None))
                    }
                }
            }
        });
        let head = match format {
            ExportFormat::Csv => FileFormat::Csv.head(&REQUEST_COLUMNS),
            ExportFormat::Jsonl => String::new(),
        };
        let rows = futures_util::stream::iter([Ok(head)]).chain(pages);
        let name = match format {
            ExportFormat::Csv => "requests.csv",
            ExportFormat::Jsonl => "requests.jsonl",
        };
        let disposition = format!("attachment; filename=\"{name}\"");
        Ok(Exported::Rows(Binary(Body::from_bytes_stream(rows)), disposition))
    }

    /// Get one call
    #[oai(path = "/requests/:id", method = "get", operation_id = "get_request")]
    async fn get(&self, caller: Caller, id: Path<Wire<RequestId>>) -> Result<Json<RequestView>, ApiError> {
        let tenant = caller.require(Permission::RequestsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let mut view = RequestView::from(conn.request(id.0.0).await?);
        if view.origin != OriginView::Proxy {
            view.claim = conn.import_claim(id.0.0).await?.map(Into::into);
        }
        Ok(Json(view))
    }
}

const EXPORT_PAGE: u32 = 1_000;

fn line(format: ExportFormat, fact: RequestFact) -> String {
    match format {
        ExportFormat::Jsonl => {
            use poem_openapi::types::ToJSON as _;
            let mut line = RequestView::from(fact).to_json_string();
            line.push('\n');
            line
        }
        ExportFormat::Csv => {
            let mut line = String::new();
            FileFormat::Csv.put_row(&REQUEST_COLUMNS, &request_cells(&fact), &mut line);
            line
        }
    }
}

fn filter(
    (api_key_id, origin): (Option<Wire<ApiKeyId>>, Option<OriginView>),
    provider: Option<String>,
    model: Option<String>,
    outcome: Option<OutcomeView>,
    (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
) -> Result<RequestFilter, ApiError> {
    Ok(RequestFilter {
        api_key_id: api_key_id.map(|id| id.0),
        connection_id: None,
        provider,
        model,
        outcome: outcome.map(Into::into),
        origin: origin.map(Into::into),
        from: dates::moment("from", from)?,
        to: dates::moment("to", to)?,
    })
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}
