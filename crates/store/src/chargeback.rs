//! Chargeback: every dollar of a month's bills and calls, and who it is charged to.
//!
//! A call is charged what it cost by its bill; what the bill has not to its end yet is in part what the bill is expected to
//! charge, and a call that no settlement has is charged its estimate. What the bills have beside calls is a row of its own
//! under its residual's code, never spread. So all rows together are the bills and what is on no bill, to the last digit.

use chrono::{Months, NaiveDate};
use costlens_domain::bill::{Measure, ReportFormat};
use costlens_domain::settlement::{Issuer, ResidualCode, ResidualSide};
use costlens_domain::{ApiKeyId, Currency};
use diesel::QueryableByName;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Date, Nullable, Numeric, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::bills::measure_name;
use crate::db::{Db, from_bigint, named};
use crate::schema::settlement;
use crate::{ResidualSum, Settlement, SettlementKey, StoreError, TenantConn};

/// Which month is meant, and which of the bills' costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthKey {
    /// The month's first day.
    pub month: NaiveDate,
    /// Which cost.
    pub measure: Measure,
}

impl MonthKey {
    /// The day after the month's last.
    #[must_use]
    pub fn end(self) -> NaiveDate {
        self.month.checked_add_months(Months::new(1)).unwrap_or(self.month)
    }
}

/// To whom calls are charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargebackBy {
    /// The key that made them.
    Key,
    /// The model that served, or was asked for.
    Model,
    /// What this label of their key says; see [`crate::KeyLabel`].
    Label(String),
}

/// What calls are charged. Amounts are dollars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChargedCalls {
    /// How many.
    pub calls: u64,
    /// What all of them were estimated to cost.
    pub estimated: Decimal,
    /// How many are settled for good.
    pub settled_calls: u64,
    /// What those cost by the bill.
    pub settled: Decimal,
    /// How many are settled for now: the bill has not their day to its end.
    pub provisional_calls: u64,
    /// What those cost, in part by what the bill is expected to charge.
    pub provisional: Decimal,
    /// How many no bill has: of their issuer there is none, or they came after it was settled.
    pub unbilled_calls: u64,
    /// What those are estimated to cost.
    pub unbilled: Decimal,
    /// How many of the calls that are not settled for good have no known price. What they cost is in no sum.
    pub unpriced_calls: u64,
}

impl ChargedCalls {
    /// What they are charged.
    #[must_use]
    pub fn total(&self) -> Decimal {
        self.settled + self.provisional + self.unbilled
    }

    /// Adds another's.
    fn add(&mut self, more: &Self) {
        self.calls += more.calls;
        self.estimated += more.estimated;
        self.settled_calls += more.settled_calls;
        self.settled += more.settled;
        self.provisional_calls += more.provisional_calls;
        self.provisional += more.provisional;
        self.unbilled_calls += more.unbilled_calls;
        self.unbilled += more.unbilled;
        self.unpriced_calls += more.unpriced_calls;
    }
}

/// Whom calls are charged to, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargedSlice {
    /// The key's id, the model, or what the key's label says; `None` for keys without the label, and for the rest.
    pub group: Option<String>,
    /// What the key is called; `None` where rows are no keys, and for a key that is not known.
    pub name: Option<String>,
    /// Whether it is everybody after the rows that were asked for.
    pub is_rest: bool,
    /// What.
    pub calls: ChargedCalls,
}

/// What an issuer's bills of a month say, and how far they are settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerBalance {
    /// Whose bills.
    pub issuer: Issuer,
    /// The AI on the bills that count, in dollars.
    pub billed: Decimal,
    /// How the month was settled last; `None` before it is.
    pub settlement: Option<Settlement>,
    /// The settlement's differences, by code and side.
    pub residuals: Vec<ResidualSum>,
}

impl IssuerBalance {
    /// What is on the bills and in no settlement yet: nothing, but between a bill's coming and its settling.
    #[must_use]
    pub fn unsettled(&self) -> Decimal {
        self.billed - self.settlement.as_ref().map_or(Decimal::ZERO, |one| one.billed)
    }

    /// What the bills have beside calls, by code, and what they lack of calls for another reason than being late.
    pub fn beside_calls(&self) -> impl Iterator<Item = &ResidualSum> {
        self.residuals.iter().filter(|one| one.side == ResidualSide::Outside && one.code != ResidualCode::Lag)
    }

    /// What calls are expected to cost that are not on the bills yet.
    #[must_use]
    pub fn late(&self) -> Decimal {
        let is_late = |one: &&ResidualSum| one.side == ResidualSide::Outside && one.code == ResidualCode::Lag;
        -self.residuals.iter().filter(is_late).map(|one| one.amount).sum::<Decimal>()
    }
}

/// A month's chargeback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chargeback {
    /// What calls are charged, dearest first.
    pub slices: Vec<ChargedSlice>,
    /// The bills, of each issuer that has any.
    pub issuers: Vec<IssuerBalance>,
    /// AI that is billed in other currencies, which is settled with nothing and in no sum.
    pub other_currencies: Vec<(Issuer, Currency, Decimal)>,
}

impl Chargeback {
    /// All calls together.
    #[must_use]
    pub fn calls(&self) -> ChargedCalls {
        let mut sum = ChargedCalls::default();
        for slice in &self.slices {
            sum.add(&slice.calls);
        }
        sum
    }

    /// The AI on the bills, in dollars.
    #[must_use]
    pub fn billed(&self) -> Decimal {
        self.issuers.iter().map(|one| one.billed).sum()
    }

    /// What is charged and on no bill: calls whose day is not billed to its end, and calls that no bill has.
    #[must_use]
    pub fn not_billed(&self) -> Decimal {
        self.issuers.iter().map(IssuerBalance::late).sum::<Decimal>() + self.calls().unbilled
    }

    /// What all rows add up to.
    #[must_use]
    pub fn total(&self) -> Decimal {
        let beside =
            |one: &IssuerBalance| one.beside_calls().map(|sum| sum.amount).sum::<Decimal>() + one.unsettled();
        self.calls().total() + self.issuers.iter().map(beside).sum::<Decimal>()
    }

    /// Whether all of it may be taken for final: every bill is settled, and every call by it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        let calls = self.calls();
        calls.settled_calls == calls.calls
            && !self.issuers.is_empty()
            && self
                .issuers
                .iter()
                .all(|one| one.unsettled().is_zero() && one.late().is_zero() && one.settlement.is_some())
    }
}

impl TenantConn {
    /// A month's chargeback, with the `most` dearest rows and one for the rest.
    pub async fn chargeback(
        &mut self,
        key: MonthKey,
        by: &ChargebackBy,
        most: u32,
    ) -> Result<Chargeback, StoreError> {
        let key = self.as_settled(key).await?;
        let (what, label) = match by {
            ChargebackBy::Key => ("key", None),
            ChargebackBy::Model => ("model", None),
            ChargebackBy::Label(name) => ("label", Some(name.as_str())),
        };
        let rows: Vec<SliceRow> = diesel::sql_query(include_str!("sql/chargeback.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Date, _>(key.month)
            .bind::<Date, _>(key.end())
            .bind::<Text, _>(measure_name(key.measure))
            .bind::<Nullable<Text>, _>(label)
            .bind::<BigInt, _>(i64::from(most))
            .bind::<Text, _>(what)
            .load(self.conn()?)
            .await?;
        let slices = rows
            .into_iter()
            .map(|row| row.into_slice(by))
            .collect::<Result<Vec<ChargedSlice>, StoreError>>()?;
        let (mut issuers, mut other_currencies) = (Vec::new(), Vec::new());
        let bills = self.billed_of(key).await?;
        for issuer in Issuer::ALL.iter().copied() {
            let of_issuer = bills.iter().filter(|(of, ..)| *of == issuer);
            let mut dollars = None::<Decimal>;
            for (_, currency, billed) in of_issuer {
                if *currency == Currency::USD {
                    dollars = Some(dollars.unwrap_or_default() + billed);
                } else {
                    other_currencies.push((issuer, *currency, *billed));
                }
            }
            let of = SettlementKey { issuer, month: key.month, measure: key.measure };
            let settlement = match self.settlement(of).await {
                Ok(settlement) => Some(settlement),
                Err(StoreError::NotFound) => None,
                Err(error) => return Err(error),
            };
            if dollars.is_none() && settlement.is_none() {
                continue;
            }
            let residuals =
                if settlement.is_some() { self.settlement_residuals(of).await? } else { Vec::new() };
            let billed = dollars.unwrap_or_default();
            issuers.push(IssuerBalance { issuer, billed, settlement, residuals });
        }
        Ok(Chargeback { slices, issuers, other_currencies })
    }

    /// The month by the cost before discounts, where it was settled before there was the one after them: calls without a
    /// settlement and a bill without one would be the same dollars twice.
    async fn as_settled(&mut self, key: MonthKey) -> Result<MonthKey, StoreError> {
        if key.measure != Measure::NetAmortised {
            return Ok(key);
        }
        let measures: Vec<String> = settlement::table
            .filter(settlement::tenant_id.eq(self.tenant_id().uuid()))
            .filter(settlement::month.eq(key.month))
            .select(settlement::measure)
            .load(self.conn()?)
            .await?;
        let is_older =
            !measures.is_empty() && measures.iter().all(|name| name != measure_name(Measure::NetAmortised));
        Ok(if is_older { MonthKey { measure: Measure::Amortised, ..key } } else { key })
    }

    /// The AI on the bills that count.
    async fn billed_of(&mut self, key: MonthKey) -> Result<Vec<(Issuer, Currency, Decimal)>, StoreError> {
        let rows: Vec<BilledRow> = diesel::sql_query(include_str!("sql/chargeback_bills.sql"))
            .bind::<SqlUuid, _>(self.tenant_id().uuid())
            .bind::<Date, _>(key.month)
            .bind::<Date, _>(key.end())
            .bind::<Text, _>(measure_name(key.measure))
            .load(self.conn()?)
            .await?;
        rows.into_iter()
            .map(|row| {
                let format = named("bill.format", &row.format, |name| {
                    ReportFormat::ALL.into_iter().find(|one| one.as_str() == name)
                })?;
                let currency =
                    named("bill_daily_fact.currency", &row.currency, |code| code.parse::<Currency>().ok())?;
                Ok((Issuer::of(format), currency, row.billed.0))
            })
            .collect()
    }
}

#[derive(QueryableByName)]
struct BilledRow {
    #[diesel(sql_type = Text)]
    format: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Numeric)]
    billed: Db<Decimal>,
}

#[derive(QueryableByName)]
struct SliceRow {
    #[diesel(sql_type = Nullable<Text>)]
    slice: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = Bool)]
    is_rest: bool,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = Numeric)]
    estimated: Db<Decimal>,
    #[diesel(sql_type = BigInt)]
    settled_calls: i64,
    #[diesel(sql_type = Numeric)]
    settled: Db<Decimal>,
    #[diesel(sql_type = BigInt)]
    provisional_calls: i64,
    #[diesel(sql_type = Numeric)]
    provisional: Db<Decimal>,
    #[diesel(sql_type = BigInt)]
    unbilled_calls: i64,
    #[diesel(sql_type = Numeric)]
    unbilled: Db<Decimal>,
    #[diesel(sql_type = BigInt)]
    unpriced_calls: i64,
}

impl SliceRow {
    fn into_slice(self, by: &ChargebackBy) -> Result<ChargedSlice, StoreError> {
        let group = match (self.slice.filter(|_| !self.is_rest), by) {
            (Some(id), ChargebackBy::Key) => {
                Some(ApiKeyId::from(id.parse::<Uuid>().map_err(StoreError::bug)?).to_string())
            }
            (group, _) => group,
        };
        Ok(ChargedSlice {
            group,
            name: self.name.filter(|_| !self.is_rest),
            is_rest: self.is_rest,
            calls: ChargedCalls {
                calls: from_bigint(self.calls),
                estimated: self.estimated.0,
                settled_calls: from_bigint(self.settled_calls),
                settled: self.settled.0,
                provisional_calls: from_bigint(self.provisional_calls),
                provisional: self.provisional.0,
                unbilled_calls: from_bigint(self.unbilled_calls),
                unbilled: self.unbilled.0,
                unpriced_calls: from_bigint(self.unpriced_calls),
            },
        })
    }
}
