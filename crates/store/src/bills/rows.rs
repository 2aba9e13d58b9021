//! A bill's rows, on their way into the tables and out of them.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::bill::{ControlTotal, DailyFact, OtherCosts, ReportFormat, Slice};
use costlens_domain::classify::Classification;
use costlens_domain::{BillId, Currency};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Nullable, Numeric, Text};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{Bill, BillPoint, Drift};
use crate::StoreError;
use crate::db::{Db, from_bigint, mend, mend_json, named, to_bigint};
use crate::schema::{bill, bill_control_total, bill_daily_fact};

/// The longest text of a bill that is kept; AWS' own columns are far shorter.
const LONGEST_TEXT: usize = 4_096;

pub(super) fn mended(text: &str) -> String {
    mend(text, LONGEST_TEXT)
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<serde_json::Value, StoreError> {
    let mut value = serde_json::to_value(value).map_err(StoreError::bug)?;
    mend_json(&mut value);
    Ok(value)
}

fn format_named(name: &str) -> Option<ReportFormat> {
    ReportFormat::ALL.into_iter().find(|format| format.as_str() == name)
}

pub(crate) fn currency_named(name: &str) -> Option<Currency> {
    name.parse().ok()
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = bill)]
pub(super) struct BillRow {
    id: Uuid,
    name: String,
    format: String,
    lines: i64,
    first_day: Option<NaiveDate>,
    last_day: Option<NaiveDate>,
    rules_version: i64,
    files: serde_json::Value,
    resources: serde_json::Value,
    unknown_line_types: Vec<String>,
    skipped: Vec<String>,
    created_at: DateTime<Utc>,
    superseded_at: Option<DateTime<Utc>>,
    given_up: Vec<NaiveDate>,
    withdrawn_at: Option<DateTime<Utc>>,
}

impl TryFrom<BillRow> for Bill {
    type Error = StoreError;

    fn try_from(row: BillRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            format: named("bill.format", &row.format, format_named)?,
            lines: from_bigint(row.lines),
            first_day: row.first_day,
            last_day: row.last_day,
            rules_version: u32::try_from(row.rules_version).map_err(StoreError::bug)?,
            files: serde_json::from_value(row.files).map_err(StoreError::bug)?,
            resources: serde_json::from_value(row.resources).map_err(StoreError::bug)?,
            unknown_line_types: row.unknown_line_types,
            skipped: row.skipped,
            created_at: row.created_at,
            superseded_at: row.superseded_at,
            given_up: row.given_up,
            withdrawn_at: row.withdrawn_at,
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = bill_control_total)]
pub(super) struct TotalRow {
    tenant_id: Uuid,
    bill_id: Uuid,
    line_item_type: String,
    currency: String,
    lines: i64,
    lines_without_cost: i64,
    unblended: Db<Decimal>,
    split_cost: Db<Decimal>,
    ai: Db<Decimal>,
    candidate: Db<Decimal>,
    ai_net_unblended: Option<Db<Decimal>>,
    ai_amortised: Option<Db<Decimal>>,
    ai_net_amortised: Option<Db<Decimal>>,
    ai_list: Option<Db<Decimal>>,
    candidate_net_unblended: Option<Db<Decimal>>,
    candidate_amortised: Option<Db<Decimal>>,
    candidate_net_amortised: Option<Db<Decimal>>,
    candidate_list: Option<Db<Decimal>>,
}

fn known(amount: Option<Db<Decimal>>) -> Option<Decimal> {
    amount.map(|amount| amount.0)
}

impl TotalRow {
    pub(super) fn of(tenant_id: Uuid, bill_id: BillId, total: &ControlTotal) -> Self {
        let (ai, candidate) = (total.ai_costs, total.candidate_costs);
        Self {
            tenant_id,
            bill_id: bill_id.uuid(),
            line_item_type: mended(&total.line_item_type),
            currency: total.currency.to_string(),
            lines: to_bigint(total.lines),
            lines_without_cost: to_bigint(total.lines_without_cost),
            unblended: Db(total.unblended),
            split_cost: Db(total.split_cost),
            ai: Db(total.ai),
            candidate: Db(total.candidate),
            ai_net_unblended: ai.net_unblended.map(Db),
            ai_amortised: ai.amortised.map(Db),
            ai_net_amortised: ai.net_amortised.map(Db),
            ai_list: ai.list.map(Db),
            candidate_net_unblended: candidate.net_unblended.map(Db),
            candidate_amortised: candidate.amortised.map(Db),
            candidate_net_amortised: candidate.net_amortised.map(Db),
            candidate_list: candidate.list.map(Db),
        }
    }

    pub(super) fn into_total(self) -> Result<ControlTotal, StoreError> {
        Ok(ControlTotal {
            line_item_type: self.line_item_type.into(),
            currency: named("bill_control_total.currency", &self.currency, currency_named)?,
            lines: from_bigint(self.lines),
            lines_without_cost: from_bigint(self.lines_without_cost),
            unblended: self.unblended.0,
            split_cost: self.split_cost.0,
            ai: self.ai.0,
            candidate: self.candidate.0,
            ai_costs: OtherCosts {
                net_unblended: known(self.ai_net_unblended),
                amortised: known(self.ai_amortised),
                net_amortised: known(self.ai_net_amortised),
                list: known(self.ai_list),
            },
            candidate_costs: OtherCosts {
                net_unblended: known(self.candidate_net_unblended),
                amortised: known(self.candidate_amortised),
                net_amortised: known(self.candidate_net_amortised),
                list: known(self.candidate_list),
            },
        })
    }
}

#[derive(Insertable)]
#[diesel(table_name = bill_daily_fact)]
pub(super) struct FactRow {
    tenant_id: Uuid,
    bill_id: Uuid,
    n: i64,
    day: NaiveDate,
    billing_account: String,
    usage_account: String,
    region: String,
    billing_entity: String,
    product_code: String,
    product_name: String,
    usage_type: String,
    operation: String,
    principal: String,
    line_item_type: String,
    currency: String,
    verdict: &'static str,
    service: String,
    category: &'static str,
    model: Option<String>,
    meter: &'static str,
    tier: &'static str,
    routing: &'static str,
    class: serde_json::Value,
    pricing_unit: String,
    usage_quantity: Db<Decimal>,
    tokens: Option<Db<Decimal>>,
    unblended: Db<Decimal>,
    net_unblended: Db<Decimal>,
    amortised: Option<Db<Decimal>>,
    lines: i64,
    net_amortised: Option<Db<Decimal>>,
    list: Option<Db<Decimal>>,
}

impl FactRow {
    pub(super) fn of(tenant_id: Uuid, bill_id: BillId, n: i64, fact: &DailyFact) -> Result<Self, StoreError> {
        let class = &fact.class;
        Ok(Self {
            tenant_id,
            bill_id: bill_id.uuid(),
            n,
            day: fact.day,
            billing_account: mended(&fact.billing_account),
            usage_account: mended(&fact.usage_account),
            region: mended(&fact.region),
            billing_entity: mended(&fact.billing_entity),
            product_code: mended(&fact.product_code),
            product_name: mended(&fact.product_name),
            usage_type: mended(&fact.usage_type),
            operation: mended(&fact.operation),
            principal: mended(&fact.principal),
            line_item_type: mended(&fact.line_item_type),
            currency: fact.currency.to_string(),
            verdict: class.verdict.as_str(),
            service: mended(&class.service),
            category: class.category.as_str(),
            model: class.model.as_deref().map(mended),
            meter: class.meter.as_str(),
            tier: class.tier.as_str(),
            routing: class.routing.as_str(),
            class: json(&**class)?,
            pricing_unit: mended(&fact.pricing_unit),
            usage_quantity: Db(fact.usage_quantity),
            tokens: fact.tokens.map(Db),
            unblended: Db(fact.unblended),
            net_unblended: Db(fact.net_unblended),
            amortised: fact.amortised.map(Db),
            lines: to_bigint(fact.lines),
            net_amortised: fact.net_amortised.map(Db),
            list: fact.list.map(Db),
        })
    }
}

/// A fact on its way out.
#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = bill_daily_fact)]
pub(crate) struct KeptFact {
    pub(crate) bill_id: Uuid,
    pub(crate) n: i64,
    pub(crate) day: NaiveDate,
    billing_account: String,
    usage_account: String,
    region: String,
    billing_entity: String,
    product_code: String,
    product_name: String,
    usage_type: String,
    operation: String,
    principal: String,
    line_item_type: String,
    currency: String,
    class: serde_json::Value,
    pricing_unit: String,
    usage_quantity: Db<Decimal>,
    tokens: Option<Db<Decimal>>,
    unblended: Db<Decimal>,
    net_unblended: Db<Decimal>,
    amortised: Option<Db<Decimal>>,
    lines: i64,
    net_amortised: Option<Db<Decimal>>,
    list: Option<Db<Decimal>>,
}

impl KeptFact {
    pub(crate) fn into_fact(self) -> Result<DailyFact, StoreError> {
        Ok(DailyFact {
            day: self.day,
            billing_account: self.billing_account.into(),
            usage_account: self.usage_account.into(),
            region: self.region.into(),
            billing_entity: self.billing_entity.into(),
            product_code: self.product_code.into(),
            product_name: self.product_name.into(),
            usage_type: self.usage_type.into(),
            operation: self.operation.into(),
            principal: self.principal.into(),
            line_item_type: self.line_item_type.into(),
            currency: named("bill_daily_fact.currency", &self.currency, currency_named)?,
            class: serde_json::from_value::<Classification>(self.class).map_err(StoreError::bug)?.into(),
            pricing_unit: self.pricing_unit.into(),
            usage_quantity: self.usage_quantity.0,
            tokens: self.tokens.map(|tokens| tokens.0),
            unblended: self.unblended.0,
            net_unblended: self.net_unblended.0,
            amortised: known(self.amortised),
            net_amortised: known(self.net_amortised),
            list: known(self.list),
            lines: from_bigint(self.lines),
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct SliceRow {
    #[diesel(sql_type = Text)]
    slice: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Nullable<Numeric>)]
    cost: Option<Db<Decimal>>,
    #[diesel(sql_type = Numeric)]
    tokens: Db<Decimal>,
    #[diesel(sql_type = Nullable<Numeric>)]
    token_cost: Option<Db<Decimal>>,
    #[diesel(sql_type = BigInt)]
    lines: i64,
}

impl SliceRow {
    pub(super) fn into_slice(self) -> Result<Slice, StoreError> {
        Ok(Slice {
            key: self.slice,
            currency: named("bill_daily_fact.currency", &self.currency, currency_named)?,
            cost: known(self.cost),
            tokens: self.tokens.0,
            token_cost: known(self.token_cost),
            lines: from_bigint(self.lines),
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct DriftRow {
    #[diesel(sql_type = Text)]
    usage_type: String,
    #[diesel(sql_type = Text)]
    product_code: String,
    #[diesel(sql_type = Text)]
    product_name: String,
    #[diesel(sql_type = Text)]
    service: String,
    #[diesel(sql_type = Text)]
    pricing_unit: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Numeric)]
    cost: Db<Decimal>,
    #[diesel(sql_type = BigInt)]
    lines: i64,
    #[diesel(sql_type = Date)]
    first_day: NaiveDate,
    #[diesel(sql_type = Date)]
    last_day: NaiveDate,
}

impl DriftRow {
    pub(super) fn into_drift(self) -> Result<Drift, StoreError> {
        Ok(Drift {
            usage_type: self.usage_type,
            product_code: self.product_code,
            product_name: self.product_name,
            service: self.service,
            pricing_unit: self.pricing_unit,
            currency: named("bill_daily_fact.currency", &self.currency, currency_named)?,
            cost: self.cost.0,
            lines: from_bigint(self.lines),
            first_day: self.first_day,
            last_day: self.last_day,
        })
    }
}

#[derive(QueryableByName)]
pub(super) struct PointRow {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = Nullable<Text>)]
    slice: Option<String>,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Nullable<Numeric>)]
    cost: Option<Db<Decimal>>,
}

impl PointRow {
    pub(super) fn into_point(self) -> Result<BillPoint, StoreError> {
        Ok(BillPoint {
            day: self.day,
            group: self.slice,
            currency: named("bill_daily_fact.currency", &self.currency, currency_named)?,
            cost: known(self.cost),
        })
    }
}
