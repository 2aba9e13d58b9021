//! What models cost now, by the prices in force.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::pricing::{ModelPrice, PriceVersion, Rate, RateRow};
use costlens_domain::{ProblemCode, TokenClass};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// What a unit costs in one tier and for one range of context sizes. A class that is null has no known price.
#[derive(Object)]
#[oai(rename = "Rate", nullable_all)]
pub struct RateView {
    /// The service tier: `standard`, `batch`, `flex`, `priority` or `fast`.
    pub tier: Option<String>,
    /// The first day (UTC) on which it holds; null since ever.
    pub from: Option<Wire<NaiveDate>>,
    /// The first day on which it no longer holds; null for ever.
    pub until: Option<Wire<NaiveDate>>,
    /// It holds where the total input is larger than this.
    pub above_input: Option<u64>,
    /// It holds where the total input is at most this.
    pub up_to_input: Option<u64>,
    /// Dollars per million tokens.
    pub fresh_input: Option<String>,
    /// Dollars per million tokens.
    pub cache_read: Option<String>,
    /// Dollars per million tokens.
    pub cache_write_5m: Option<String>,
    /// Dollars per million tokens.
    pub cache_write_1h: Option<String>,
    /// Dollars per million tokens.
    pub output: Option<String>,
    /// Dollars per million tokens.
    pub audio_input: Option<String>,
    /// Dollars per million tokens.
    pub audio_output: Option<String>,
    /// Dollars per thousand searches.
    pub web_search: Option<String>,
    /// Who published the figures.
    pub source: Option<String>,
    /// When they were last checked.
    pub checked: Option<Wire<NaiveDate>>,
}

/// What a model costs.
#[derive(Object)]
#[oai(rename = "Price")]
pub struct PriceView {
    /// The catalogue entry, as receipts name it: `openai/gpt-4o`.
    pub price_id: String,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Other names that it answers to.
    pub names: Vec<String>,
    /// Who published the figures.
    pub source: String,
    /// When they were last checked.
    pub checked: Wire<NaiveDate>,
    /// What a reader should know.
    #[oai(nullable)]
    pub note: Option<String>,
    /// The rates that hold now or later.
    pub rates: Vec<RateView>,
    /// The version of the price catalogue; 0 for the prices that came with the program.
    pub price_version: u64,
}

fn rate(model: &ModelPrice, row: &RateRow) -> RateView {
    let of = |class| row.rates.of(class).map(Rate::text).map(str::to_owned);
    RateView {
        tier: Some(row.tier.as_str().to_owned()),
        from: row.from.map(Wire),
        until: row.until.map(Wire),
        above_input: (row.above_input > 0).then_some(row.above_input),
        up_to_input: row.up_to_input,
        fresh_input: of(TokenClass::FreshInput),
        cache_read: of(TokenClass::CacheRead),
        cache_write_5m: of(TokenClass::CacheWrite5m),
        cache_write_1h: of(TokenClass::CacheWrite1h),
        output: of(TokenClass::Output),
        audio_input: of(TokenClass::AudioInput),
        audio_output: of(TokenClass::AudioOutput),
        web_search: row.rates.web_search().map(Rate::text).map(str::to_owned),
        source: Some(model.source_of(row).to_owned()),
        checked: Some(Wire(model.checked_of(row))),
    }
}

fn price(version: &PriceVersion, model: &ModelPrice, now: DateTime<Utc>) -> PriceView {
    let to_come = |row: &&RateRow| row.until.is_none_or(|until| until > now.date_naive());
    PriceView {
        price_id: model.price_id.clone(),
        provider: model.provider.clone(),
        model: model.id.clone(),
        names: model.names.iter().chain(&model.versions).cloned().collect(),
        source: model.source.clone(),
        checked: Wire(model.checked),
        note: model.note.clone(),
        rates: model.rows.iter().filter(to_come).map(|row| rate(model, row)).collect(),
        price_version: version.n,
    }
}

pub(crate) struct PricesApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Prices")]
impl PricesApi {
    /// List what models cost
    ///
    /// By provider and model, as calls are priced now.
    #[oai(path = "/prices", method = "get", operation_id = "list_prices")]
    #[expect(clippy::unused_async, reason = "every operation is asynchronous in the framework")]
    async fn list(
        &self,
        caller: Caller,
        /// Of this provider alone.
        #[oai(validator(max_length = 200))]
        provider: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        #[oai(validator(max_length = 600))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<Page<PriceView>>, ApiError> {
        caller.require(Permission::SpendRead)?;
        let version = self.0.prices.now();
        let now = self.0.clock.now();
        let mut models: Vec<&ModelPrice> = version
            .catalogue
            .models()
            .filter(|model| provider.0.as_ref().is_none_or(|provider| model.provider == *provider))
            .filter(|model| cursor.0.as_ref().is_none_or(|cursor| model.price_id > *cursor))
            .collect();
        models.sort_unstable_by(|one, other| one.price_id.cmp(&other.price_id));
        let wanted = usize::try_from(limit.0).unwrap_or(usize::MAX).saturating_add(1);
        models.truncate(wanted);
        Ok(Json(Page::of(
            models,
            limit.0,
            |model| model.price_id.clone(),
            |model| price(&version, model, now),
        )))
    }

    /// Look up what a model costs
    ///
    /// By any name that a call of it is priced under, dated and versioned ones included.
    #[oai(path = "/prices/lookup", method = "get", operation_id = "get_price")]
    #[expect(clippy::unused_async, reason = "every operation is asynchronous in the framework")]
    async fn lookup(
        &self,
        caller: Caller,
        /// The provider.
        #[oai(validator(min_length = 1, max_length = 200))]
        provider: Query<String>,
        /// The model, as calls name it.
        #[oai(validator(min_length = 1, max_length = 300))]
        model: Query<String>,
    ) -> Result<Json<PriceView>, ApiError> {
        caller.require(Permission::SpendRead)?;
        let version = self.0.prices.now();
        let Some(found) = version.catalogue.find(&provider.0, &model.0) else {
            let near = version.catalogue.nearest(&model.0, 3).join(", ");
            let detail = format!("no price is known for this model; nearest names: {near}");
            return Err(ApiError::new(ProblemCode::NotFound, detail));
        };
        Ok(Json(price(&version, found, self.0.clock.now())))
    }
}
