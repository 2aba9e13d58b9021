//! What the bills say of a few calls: those of a span, of one key or at one model.

use std::collections::HashMap;

use chrono::{Days, NaiveDate, TimeDelta};
use costlens_domain::ApiKeyId;
use costlens_domain::bill::Measure;
use costlens_domain::settlement::SettlementState;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Date, Jsonb, Nullable, Numeric, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;

use super::calls::{CellKeyRow, cost_within};
use super::{Narrowed, SettledPart, SettlementCellKey, share};
use crate::bills::measure_name;
use crate::db::{Db, from_bigint, named};
use crate::{SpendFilter, StoreError, TenantConn};

/// What the bills say of some calls, in dollars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallsOnBills {
    /// What is estimated for all of them now: prices may have been corrected since.
    pub estimate: Decimal,
    /// What is estimated for those that are settled for good.
    pub settled_estimate: Decimal,
    /// What those cost.
    pub billed: Decimal,
    /// The part of it that calls cost for which there is an estimate.
    pub billed_of_estimated: Decimal,
    /// What is estimated for those of which the bills, whole for their day, know nothing.
    pub absent_estimate: Decimal,
}

impl TenantConn {
    /// What the bills say of a span's calls by one of their costs, exact to 18 places for each kind of tokens.
    pub async fn calls_on_bills(
        &mut self,
        span: &SpendFilter,
        measure: Measure,
    ) -> Result<CallsOnBills, StoreError> {
        let days = days_of(span);
        let rows: Vec<CellOfDay> = diesel::sql_query(include_str!("../sql/cells_of_days.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Date, _>(days.0)
            .bind::<Date, _>(days.1)
            .bind::<Text, _>(measure_name(measure))
            .bind::<Nullable<SqlUuid>, _>(span.api_key_id.map(ApiKeyId::uuid))
            .bind::<Nullable<Text>, _>(span.provider.as_deref())
            .bind::<Nullable<Text>, _>(span.model.as_deref())
            .load(self.conn()?)
            .await?;
        let cells: HashMap<SettlementCellKey, Cell> =
            rows.into_iter().map(CellOfDay::into_cell).collect::<Result<_, StoreError>>()?;
        let mut found = CallsOnBills::default();
        let says_something =
            |cell: &Cell| cell.state == SettlementState::Settled || cell.is_whole_and_absent();
        // Where the bills say nothing, calls need not be added up.
        if !cells.values().any(says_something) {
            return Ok(found);
        }
        for calls in self.narrowed_calls(days, &Narrowed { span: Some(span), ..Narrowed::default() }).await? {
            found.estimate += calls.estimated;
            let Some(cell) = cells.get(&calls.key) else { continue };
            if cell.is_whole_and_absent() {
                found.absent_estimate += calls.estimated;
            } else if cell.state == SettlementState::Settled {
                let billed = cost_within(&cell.parts, cell.even, (calls.calls, cell.calls), &calls.usage);
                found.settled_estimate += calls.estimated;
                found.billed += billed;
                found.billed_of_estimated += share(billed, calls.calls - calls.unpriced_calls, calls.calls);
            }
        }
        Ok(found)
    }

    /// What the calls of the days that a span touches are estimated to cost, as far as the bills have those days, and what
    /// they cost by the bills: nothing, where those know nothing of them. Calls without a price are in neither.
    pub async fn estimated_and_billed(
        &mut self,
        span: &SpendFilter,
        measure: Measure,
    ) -> Result<(Decimal, Decimal), StoreError> {
        let sql = "SELECT COALESCE(sum(estimated), 0) AS estimated, COALESCE(sum(settled), 0) AS billed \
            FROM settlement_cell WHERE tenant_id = $1 AND day >= $2 AND day < $3 AND measure = $4 \
            AND state <> 'provisional' AND unpriced_calls = 0 \
            AND ($5 IS NULL OR api_key_id = $5) AND ($6 IS NULL OR provider = $6) AND ($7 IS NULL OR model = $7)";
        let (from, to) = days_of(span);
        let row: SumRow = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Date, _>(from)
            .bind::<Date, _>(to)
            .bind::<Text, _>(measure_name(measure))
            .bind::<Nullable<SqlUuid>, _>(span.api_key_id.map(ApiKeyId::uuid))
            .bind::<Nullable<Text>, _>(span.provider.as_deref())
            .bind::<Nullable<Text>, _>(span.model.as_deref())
            .get_result(self.conn()?)
            .await?;
        Ok((row.estimated.0, row.billed.0))
    }
}

/// The days that a span touches, the last one exclusive.
fn days_of(span: &SpendFilter) -> (NaiveDate, NaiveDate) {
    let last = (span.to - TimeDelta::nanoseconds(1)).max(span.from).date_naive();
    (span.from.date_naive(), last + Days::new(1))
}

/// What is needed of a cell for the cost of some of its calls.
struct Cell {
    state: SettlementState,
    calls: u64,
    even: Decimal,
    parts: Vec<SettledPart>,
    is_whole: bool,
}

impl Cell {
    fn is_whole_and_absent(&self) -> bool {
        self.state == SettlementState::Absent && self.is_whole
    }
}

#[derive(QueryableByName)]
struct SumRow {
    #[diesel(sql_type = Numeric)]
    estimated: Db<Decimal>,
    #[diesel(sql_type = Numeric)]
    billed: Db<Decimal>,
}

#[derive(QueryableByName)]
struct CellOfDay {
    #[diesel(embed)]
    key: CellKeyRow,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = Numeric)]
    even: Db<Decimal>,
    #[diesel(sql_type = Jsonb)]
    parts: serde_json::Value,
    #[diesel(sql_type = Bool)]
    is_whole: bool,
}

impl CellOfDay {
    fn into_cell(self) -> Result<(SettlementCellKey, Cell), StoreError> {
        let cell = Cell {
            state: named("settlement_cell.state", &self.state, SettlementState::from_name)?,
            calls: from_bigint(self.calls),
            even: self.even.0,
            parts: serde_json::from_value(self.parts).map_err(StoreError::bug)?,
            is_whole: self.is_whole,
        };
        Ok((self.key.try_into()?, cell))
    }
}
