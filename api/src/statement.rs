//! A month's statement: what it came to, to whom it is charged and what may still change, as one page to print and keep.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, NaiveTime, Utc};
use costlens_domain::aws::Month;
use costlens_domain::bill::Measure;
use costlens_notify::statement::{
    Charge, ChargedTo, Difference, IssuedBills, Statement, Surprising, Unproxied,
};
use costlens_store::{
    Anomaly, Chargeback, ChargebackBy, ChargedSlice, IssuerBalance, MonthKey, SettlementCoverage,
    SettlementDay, SettlementKey, StoreError, TenantConn,
};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Html;
use poem_openapi::{ApiResponse, OpenApi};
use rust_decimal::Decimal;

use crate::error::ApiError;
use crate::principal::{Caller, Permission};
use crate::settlements::views::CostMeasureView;
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// Teams that have a row of their own, and models and keys that are named.
const MOST_TEAMS: u32 = 200;
const MOST_NAMED: u32 = 10;
/// Surprises and users around the proxy that are told of.
const MOST_TOLD: u32 = 20;
/// Keys whose names are known to surprises.
const MOST_KEYS: u32 = 1_000;

/// For a page whose styles stand in it and which runs and loads nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; sandbox";

/// A month's statement.
///
/// # Errors
/// [`StoreError`] where the database fails.
pub async fn statement(
    conn: &mut TenantConn,
    month: Month,
    measure: Measure,
    now: DateTime<Utc>,
) -> Result<Statement, StoreError> {
    let key = MonthKey { month: month.first_day(), measure };
    let tenant = conn.tenant().await?.name;
    let team = ChargebackBy::Label("team".to_owned());
    let by_team = conn.chargeback(key, &team, MOST_TEAMS).await?;
    let by_model = conn.chargeback(key, &ChargebackBy::Model, MOST_NAMED).await?;
    let by_key = conn.chargeback(key, &ChargebackBy::Key, MOST_NAMED).await?;
    let (mut bills, mut unproxied) = (Vec::new(), Vec::new());
    for one in &by_team.issuers {
        let of = SettlementKey { issuer: one.issuer, month: key.month, measure };
        let days = conn.settlement_days(of).await?;
        bills.push(issued(one, &days));
        let used = conn.settlement_coverage(of, MOST_TOLD + 1).await?;
        unproxied.extend(used.into_iter().filter_map(around));
    }
    unproxied.sort_by_key(|one: &Unproxied| std::cmp::Reverse(one.amount));
    let told = usize::try_from(MOST_TOLD).unwrap_or(usize::MAX);
    let more_unproxied = unproxied.len() > told;
    unproxied.truncate(told);
    let midnight = |day: chrono::NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let span = (midnight(key.month), midnight(key.end()));
    let (surprises, all_surprises) = conn.largest_anomalies(span, None, MOST_TOLD).await?;
    let keys: HashMap<String, String> = conn
        .list_keys(None, MOST_KEYS)
        .await?
        .into_iter()
        .map(|key| (key.id.to_string(), key.name))
        .collect();
    let calls = by_team.calls();
    Ok(Statement {
        tenant,
        month: key.month,
        measure: in_words(measure).to_owned(),
        made_at: now,
        is_final: by_team.is_final(),
        estimated: calls.estimated,
        settled: calls.settled,
        provisional: calls.provisional,
        unbilled: calls.unbilled,
        billed: by_team.billed(),
        not_billed: by_team.not_billed(),
        amount: by_team.total(),
        calls: calls.calls,
        unpriced_calls: calls.unpriced_calls,
        chargeback: charges(&by_team),
        models: by_model.slices.iter().map(charge).collect(),
        keys: by_key.slices.iter().map(charge).collect(),
        bills,
        unproxied,
        more_unproxied,
        surprises: surprises.iter().map(|one| surprising(one, &keys)).collect(),
        all_surprises,
        other_currencies: by_team.other_currencies,
    })
}

/// Calls first, then what the bills have beside them.
fn charges(found: &Chargeback) -> Vec<Charge> {
    let nobody = |to, amount| Charge { to, calls: None, open: Decimal::ZERO, amount };
    let beside = found.issuers.iter().flat_map(|one| {
        let beside =
            one.beside_calls().map(move |sum| nobody(ChargedTo::Beside(one.issuer, sum.code), sum.amount));
        beside.chain([nobody(ChargedTo::Unsettled(one.issuer), one.unsettled())])
    });
    let calls = found.slices.iter().map(charge);
    calls.chain(beside.filter(|row| !row.amount.is_zero())).collect()
}

fn charge(slice: &ChargedSlice) -> Charge {
    let to = match (slice.is_rest, slice.name.as_ref().or(slice.group.as_ref())) {
        (true, _) => ChargedTo::Rest,
        (false, Some(name)) => ChargedTo::Named(name.clone()),
        (false, None) => ChargedTo::Unlabelled,
    };
    let calls = &slice.calls;
    Charge { to, calls: Some(calls.calls), open: calls.provisional + calls.unbilled, amount: calls.total() }
}

fn issued(one: &IssuerBalance, days: &[SettlementDay]) -> IssuedBills {
    let mut versions: BTreeMap<_, (DateTime<Utc>, Decimal)> = BTreeMap::new();
    for day in days {
        let (at, billed) = versions.entry(day.version).or_insert((day.settled_at, Decimal::ZERO));
        *at = day.settled_at.max(*at);
        *billed += day.billed;
    }
    let mut versions: Vec<(DateTime<Utc>, Decimal)> = versions.into_values().collect();
    versions.sort_unstable();
    let settlement = one.settlement.as_ref();
    let differences =
        one.residuals.iter().map(|sum| Difference { code: sum.code, side: sum.side, amount: sum.amount });
    IssuedBills {
        issuer: one.issuer,
        billed: one.billed,
        complete_through: settlement.map(|of| of.complete_through),
        tokens: settlement.map(|of| (of.billed_tokens, of.covered_tokens)),
        differences: differences.collect(),
        versions,
    }
}

/// What of a principal's use went around the proxy; nothing where nothing did.
fn around(used: SettlementCoverage) -> Option<Unproxied> {
    let amount = used.billed - used.covered;
    let SettlementCoverage { principal, account, model, .. } = used;
    (amount > Decimal::ZERO).then_some(Unproxied { principal, account, model, amount })
}

fn surprising(one: &Anomaly, keys: &HashMap<String, String>) -> Surprising {
    let name_of = |series: &str| match series.split_once(':') {
        Some(("key", id)) => format!("key {}", keys.get(id).map_or(id, String::as_str)),
        Some((by, name)) => format!("{by} {name}"),
        None => "all calls".to_owned(),
    };
    let series = match one.series.strip_prefix("bill:") {
        Some(of_bills) => format!("{} on the bill", of_bills.replacen(':', " ", 1)),
        None => name_of(&one.series),
    };
    let costlens_domain::alerts::Surprise { expected, actual, currency } = one.surprise;
    Surprising { at: one.hour, series, expected, actual, currency }
}

/// What a measure is called on paper.
const fn in_words(measure: Measure) -> &'static str {
    match measure {
        Measure::Unblended => "as billed",
        Measure::NetUnblended => "after private discounts",
        Measure::Amortised => "commitments spread over what they cover",
        Measure::NetAmortised => "commitments spread over what they cover, after private discounts",
        // No month is settled by it.
        Measure::List => "by the public price list",
    }
}

/// A statement as a page.
#[derive(ApiResponse)]
pub enum StatementPage {
    /// A whole HTML document: no script, nothing fetched, to be printed on A4.
    #[oai(status = 200)]
    Page(
        Html<String>,
        /// That it may run and load nothing.
        #[oai(header = "Content-Security-Policy")]
        String,
    ),
}

pub(crate) struct StatementApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Spend")]
impl StatementApi {
    /// A month's statement
    ///
    /// What the month came to by estimate and by bill, its chargeback by team, its dearest models and keys, why bills and
    /// estimates differ, what went around the proxy, restatements, surprises, and what may still change: one page.
    #[oai(path = "/months/:month/statement", method = "get", operation_id = "get_statement")]
    async fn get(
        &self,
        caller: Caller,
        /// The month, in UTC.
        month: Path<Wire<Month>>,
        /// Which of the bills' costs.
        #[oai(default)]
        measure: Query<CostMeasureView>,
    ) -> Result<StatementPage, ApiError> {
        let tenant = caller.require(Permission::BillsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let found = statement(&mut conn, month.0.0, measure.0.into(), self.0.clock.now()).await?;
        let html = found.html().map_err(|error| crate::broken(&error))?;
        Ok(StatementPage::Page(Html(html), POLICY.to_owned()))
    }
}
