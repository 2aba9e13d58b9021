//! What the operations of chargebacks take and give.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::aws::Month;
use costlens_domain::{BillId, Currency};
use costlens_store::{Chargeback, IssuerBalance};
use poem_openapi::{Enum, Object};

use super::rows::Row;
use crate::settlements::views::CostMeasureView;
use crate::settlements::{IssuerView, ResidualCodeView, ResidualView};
use crate::wire::{Exact, Wire};

/// To whom calls are charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "ChargebackDimension", rename_all = "snake_case")]
pub enum ChargebackDimension {
    /// The label `team` of their key.
    #[default]
    Team,
    /// The key that made them.
    Key,
    /// The model that served, or was asked for.
    Model,
    /// The label `user` of their key.
    User,
    /// Another label of their key: `tag` says which.
    Tag,
}

impl ChargebackDimension {
    /// The stable name.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Key => "key",
            Self::Model => "model",
            Self::User => "user",
            Self::Tag => "tag",
        }
    }
}

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ChargebackRowKind", rename_all = "snake_case")]
pub enum ChargebackRowKind {
    /// Calls of one key or model, or of keys that a label calls the same; without a group of keys that have no such label.
    Calls,
    /// The calls of everybody after the rows that were asked for.
    Rest,
    /// What a bill has that no call caused, or lacks, for the reason that `code` names.
    BesideCalls,
    /// What is on a bill that is not settled yet. Its calls stand with their estimates until then.
    Unsettled,
}

impl ChargebackRowKind {
    /// The stable name.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Rest => "rest",
            Self::BesideCalls => "beside_calls",
            Self::Unsettled => "unsettled",
        }
    }
}

/// A row of a chargeback. What does not go with its kind is null.
#[derive(Object)]
#[oai(rename = "ChargebackRow")]
pub struct ChargebackRowView {
    /// What it is of.
    pub kind: ChargebackRowKind,
    /// The key's id, the model, or what the label says.
    #[oai(nullable)]
    pub group: Option<String>,
    /// What the key is called.
    #[oai(nullable)]
    pub name: Option<String>,
    /// Whose bill, for what is no calls.
    #[oai(nullable)]
    pub issuer: Option<IssuerView>,
    /// Why the bill has it.
    #[oai(nullable)]
    pub code: Option<ResidualCodeView>,
    /// How many calls.
    #[oai(nullable)]
    pub calls: Option<u64>,
    /// What they were estimated to cost.
    #[oai(nullable)]
    pub estimated: Option<Wire<Exact>>,
    /// What calls cost by the bill, for good.
    #[oai(nullable)]
    pub settled: Option<Wire<Exact>>,
    /// What calls cost whose day the bill has not to its end, in part by what it is expected to charge.
    #[oai(nullable)]
    pub provisional: Option<Wire<Exact>>,
    /// How many of the calls no bill has.
    #[oai(nullable)]
    pub unbilled_calls: Option<u64>,
    /// What those are estimated to cost.
    #[oai(nullable)]
    pub unbilled: Option<Wire<Exact>>,
    /// Calls without a known price that are not settled for good. What they cost is in no sum.
    #[oai(nullable)]
    pub unpriced_calls: Option<u64>,
    /// What is charged: `settled`, `provisional` and `unbilled` of calls.
    pub amount: Wire<Exact>,
}

impl From<Row> for ChargebackRowView {
    fn from(row: Row) -> Self {
        let calls = row.calls.as_ref();
        Self {
            kind: row.kind,
            issuer: row.issuer.map(Into::into),
            code: row.code.map(Into::into),
            calls: calls.map(|one| one.calls),
            estimated: calls.map(|one| Wire(Exact(one.estimated))),
            settled: calls.map(|one| Wire(Exact(one.settled))),
            provisional: calls.map(|one| Wire(Exact(one.provisional))),
            unbilled_calls: calls.map(|one| one.unbilled_calls),
            unbilled: calls.map(|one| Wire(Exact(one.unbilled))),
            unpriced_calls: calls.map(|one| one.unpriced_calls),
            amount: Wire(Exact(row.amount)),
            group: row.group,
            name: row.name,
        }
    }
}

/// The sums of a chargeback: `amount` is what all rows add up to, and `billed` plus `not_billed`.
#[derive(Object)]
pub struct ChargebackTotals {
    /// How many calls.
    pub calls: u64,
    /// What they were estimated to cost.
    pub estimated: Wire<Exact>,
    /// What calls cost by the bills, for good.
    pub settled: Wire<Exact>,
    /// What calls cost whose day the bills have not to its end.
    pub provisional: Wire<Exact>,
    /// The estimates of calls that no bill has.
    pub unbilled: Wire<Exact>,
    /// Calls without a known price that are not settled for good. What they cost is in no sum.
    pub unpriced_calls: u64,
    /// All of it.
    pub amount: Wire<Exact>,
    /// The AI on the bills.
    pub billed: Wire<Exact>,
    /// What is on no bill: calls that are late, or that no bill has.
    pub not_billed: Wire<Exact>,
}

/// Whose bills a month has.
#[derive(Object)]
pub struct ChargebackIssuer {
    /// Whose.
    pub issuer: IssuerView,
    /// The AI on the bills that count.
    pub billed: Wire<Exact>,
    /// The newest bill that it is settled by; null before it is.
    #[oai(nullable)]
    pub version: Option<Wire<BillId>>,
    /// The last day that the bills have to its end.
    #[oai(nullable)]
    pub complete_through: Option<Wire<NaiveDate>>,
    /// When it was settled.
    #[oai(nullable)]
    pub settled_at: Option<DateTime<Utc>>,
    /// Every difference between estimates, calls and bills, by its reason.
    pub residuals: Vec<ResidualView>,
}

impl From<&IssuerBalance> for ChargebackIssuer {
    fn from(one: &IssuerBalance) -> Self {
        let settlement = one.settlement.as_ref();
        Self {
            issuer: one.issuer.into(),
            billed: Wire(Exact(one.billed)),
            version: settlement.map(|of| Wire(of.version)),
            complete_through: settlement.map(|of| Wire(of.complete_through)),
            settled_at: settlement.map(|of| of.settled_at),
            residuals: one.residuals.iter().cloned().map(Into::into).collect(),
        }
    }
}

/// AI that is billed in another currency than dollars. It is settled with nothing and in no sum.
#[derive(Object)]
pub struct OtherCurrency {
    /// Whose bill.
    pub issuer: IssuerView,
    /// What the amount counts.
    pub currency: Wire<Currency>,
    /// How much.
    pub billed: Wire<Exact>,
}

/// A month's chargeback. All amounts are dollars, but for `other_currencies`.
#[derive(Object)]
#[oai(rename = "Chargeback")]
pub struct ChargebackReport {
    /// The month.
    pub month: Wire<Month>,
    /// To whom calls are charged.
    pub by: ChargebackDimension,
    /// Which tag; null where it is by none.
    #[oai(nullable)]
    pub tag: Option<String>,
    /// Which of the bills' costs.
    pub measure: CostMeasureView,
    /// Whether every bill is settled and every call by it. A later delivery may still restate a bill.
    pub is_final: bool,
    /// The sums.
    pub totals: ChargebackTotals,
    /// Calls, dearest first, then what the bills have beside them.
    pub items: Vec<ChargebackRowView>,
    /// The bills.
    pub issuers: Vec<ChargebackIssuer>,
    /// AI in other currencies.
    pub other_currencies: Vec<OtherCurrency>,
}

impl ChargebackReport {
    pub(super) fn of(
        month: Month,
        (by, tag): (ChargebackDimension, Option<String>),
        measure: CostMeasureView,
        found: &Chargeback,
        rows: Vec<Row>,
    ) -> Self {
        let calls = found.calls();
        let other = found.other_currencies.iter().map(|(issuer, currency, billed)| OtherCurrency {
            issuer: (*issuer).into(),
            currency: Wire(*currency),
            billed: Wire(Exact(*billed)),
        });
        Self {
            month: Wire(month),
            by,
            tag,
            measure,
            is_final: found.is_final(),
            totals: ChargebackTotals {
                calls: calls.calls,
                estimated: Wire(Exact(calls.estimated)),
                settled: Wire(Exact(calls.settled)),
                provisional: Wire(Exact(calls.provisional)),
                unbilled: Wire(Exact(calls.unbilled)),
                unpriced_calls: calls.unpriced_calls,
                amount: Wire(Exact(found.total())),
                billed: Wire(Exact(found.billed())),
                not_billed: Wire(Exact(found.not_billed())),
            },
            items: rows.into_iter().map(Into::into).collect(),
            issuers: found.issuers.iter().map(Into::into).collect(),
            other_currencies: other.collect(),
        }
    }
}
