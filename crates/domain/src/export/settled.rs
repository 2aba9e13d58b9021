//! Both sources in one, each dollar once: calls with what they cost by their bill, and what the bills have beside them.
//!
//! The sum of `BilledCost` is the AI on the bills, private discounts taken off, to the last digit; the sums of
//! `ContractedCost` and `EffectiveCost` are the same of the bills' other two costs, and the estimates of calls that no bill
//! has. A call that the bill has not yet stands with what it is expected to cost, and a row of its own takes that off.

use chrono::{Days, NaiveDate};
use rust_decimal::Decimal;

use super::focus::Row;
use super::{Cell, FOCUS_COLUMNS};
use crate::ApiKeyId;
use crate::money::Currency;
use crate::request::{Origin, text_enum};
use crate::settlement::{Issuer, ResidualCode};

text_enum! {
    /// What a settled charge is of.
    SettledKind {
        /// Calls that are settled by what the bill charged.
        Settled = "settled",
        /// Calls that are settled for now: the bill has not their day to its end.
        Provisional = "provisional",
        /// Calls that no bill has.
        Unbilled = "unbilled",
        /// What the bill has beside calls, or lacks of them.
        BesideCalls = "beside_calls",
    }
}

/// A day's charge for calls that have all in common, or of what a bill has beside calls for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledCharge {
    /// What it is of.
    pub kind: SettledKind,
    /// The UTC day.
    pub day: NaiveDate,
    /// Whose bill; `None` of calls that no bill has.
    pub issuer: Option<Issuer>,
    /// Why the bill has it; `None` of calls.
    pub code: Option<ResidualCode>,
    /// The key of calls.
    pub api_key_id: Option<ApiKeyId>,
    /// Who saw the calls; `None` beside them, and of calls that are in no settlement, whose sums do not say it.
    pub origin: Option<Origin>,
    /// The provider of calls; empty beside them.
    pub provider: String,
    /// The model; empty where there is none.
    pub model: String,
    /// The tier that served; empty where nobody said.
    pub service_tier: String,
    /// The account that the bill names.
    pub account: String,
    /// The region that the bill names.
    pub region: String,
    /// The principal that the bill names.
    pub principal: String,
    /// How many calls.
    pub calls: u64,
    /// How many tokens; `None` where nobody counted.
    pub tokens: Option<u64>,
    /// By the price list; `None` where it has no price for some of it, and of what is no calls.
    pub list: Option<Decimal>,
    /// As billed, before private discounts, or by the price list where no bill has it.
    pub contracted: Option<Decimal>,
    /// As billed, private discounts taken off; `None` where no bill has it.
    pub billed: Option<Decimal>,
    /// With commitments spread over what they cover, or by the price list where no bill has it.
    pub effective: Option<Decimal>,
}

/// The cells of a settled charge, in the order of [`FOCUS_COLUMNS`].
#[must_use]
pub fn focus_of_settled(charge: &SettledCharge) -> [Cell<'_>; FOCUS_COLUMNS.len()] {
    let from = charge.day.and_time(chrono::NaiveTime::MIN).and_utc();
    let mut row = Row::of_period(from, from.checked_add_days(Days::new(1)), Currency::USD);
    row.own("BilledCost", charge.billed.map(|cost| cost.normalize()));
    row.own("ContractedCost", charge.contracted.map(|cost| cost.normalize()));
    row.own("EffectiveCost", charge.effective.map(|cost| cost.normalize()));
    row.own("PricingCurrencyEffectiveCost", charge.effective.map(|cost| cost.normalize()));
    row.own("ListCost", charge.list.map(|cost| cost.normalize()));
    let issuer = if let Some(issuer) = charge.issuer { issuer.title() } else { charge.provider.as_str() };
    for name in ["InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceName"] {
        row.text(name, issuer);
    }
    row.text("x_ServiceCode", &*charge.provider);
    row.text("x_Model", &*charge.model);
    row.text("x_ServiceTier", &*charge.service_tier);
    row.text("x_Principal", &*charge.principal);
    row.text("RegionId", &*charge.region);
    row.word("SkuMeter", "tokens");
    row.word(
        "ServiceSubcategory",
        if charge.model.is_empty() { "Other (AI and Machine Learning)" } else { "Generative AI" },
    );
    row.word("x_CostBasis", charge.kind.as_str());
    row.put("x_Count", Cell::Count(charge.calls));
    if charge.kind == SettledKind::BesideCalls {
        row.word("x_Source", "bill");
        row.text("SubAccountId", &*charge.account);
        if !charge.account.is_empty() {
            row.word("SubAccountType", "Account");
        }
    } else {
        let is_imported = charge.origin.is_some_and(|origin| origin != Origin::Proxy);
        row.word("x_Source", if is_imported { "import" } else { "proxy" });
        row.own("SubAccountId", charge.api_key_id);
        row.word("SubAccountType", "API key");
    }
    let (category, frequency, what) = match charge.code {
        None => ("Usage", "Usage-Based", format!("{} calls", charge.model)),
        Some(ResidualCode::Unproxied) => {
            ("Usage", "Usage-Based", format!("{} used around the proxy", charge.model))
        }
        Some(ResidualCode::Tax) => ("Tax", "One-Time", "Tax".to_owned()),
        Some(ResidualCode::Credit) => ("Credit", "One-Time", "Credits and refunds".to_owned()),
        Some(ResidualCode::Unmetered) => {
            ("Usage", "Recurring", "AI that is not charged by the token".to_owned())
        }
        Some(ResidualCode::Lag) => ("Adjustment", "One-Time", "Expected, and not billed yet".to_owned()),
        Some(code) => ("Adjustment", "One-Time", code.as_str().replace('_', " ")),
    };
    row.word("ChargeCategory", category);
    row.word("ChargeFrequency", frequency);
    row.text("ChargeDescription", what);
    if category == "Usage" {
        row.word("PricingCategory", "Standard");
        if let Some(tokens) = charge.tokens {
            row.put("ConsumedQuantity", Cell::Count(tokens));
            row.word("ConsumedUnit", "Tokens");
            row.put("PricingQuantity", Cell::Count(tokens));
            row.word("PricingUnit", "Tokens");
        }
    }
    row.own("x_SettlementCode", charge.code);
    row.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn told(charge: &SettledCharge) -> BTreeMap<&'static str, String> {
        let cells = focus_of_settled(charge);
        let text = |cell: &Cell<'_>| {
            let mut text = String::new();
            cell.put_csv(&mut text);
            text
        };
        let cells = FOCUS_COLUMNS.iter().zip(&cells).map(|(column, cell)| (column.name, text(cell)));
        cells.filter(|(_, text)| !text.is_empty()).collect()
    }

    fn charge(kind: SettledKind, code: Option<ResidualCode>) -> SettledCharge {
        let amount = |text: &str| text.parse::<Decimal>().ok();
        SettledCharge {
            kind,
            day: NaiveDate::from_ymd_opt(2026, 12, 31).unwrap(),
            issuer: Some(Issuer::Aws),
            code,
            api_key_id: None,
            origin: None,
            provider: String::new(),
            model: "nova-pro".to_owned(),
            service_tier: String::new(),
            account: "222".to_owned(),
            region: "us-east-1".to_owned(),
            principal: "=cmd".to_owned(),
            calls: 0,
            tokens: Some(1_000),
            list: None,
            contracted: amount("0.8"),
            billed: amount("0.720"),
            effective: amount("-0.000000000000000001"),
        }
    }

    #[test]
    fn what_a_bill_has_beside_calls_says_why_and_costs_what_the_bill_says() {
        let told = told(&charge(SettledKind::BesideCalls, Some(ResidualCode::Unproxied)));
        for (name, wanted) in [
            ("BilledCost", "0.72"),
            ("ContractedCost", "0.8"),
            ("EffectiveCost", "-0.000000000000000001"),
            ("BillingPeriodEnd", "2027-01-01T00:00:00Z"),
            ("ChargeCategory", "Usage"),
            ("ConsumedQuantity", "1000"),
            ("InvoiceIssuerName", "AWS"),
            ("SubAccountType", "Account"),
            ("x_Source", "bill"),
            ("x_SettlementCode", "unproxied"),
            ("x_Principal", "\"'=cmd\""),
        ] {
            assert_eq!(told.get(name).map(String::as_str), Some(wanted), "{name}");
        }
        assert!(!told.contains_key("ListCost"), "what is not known is not said to be nothing");
    }

    #[test]
    fn a_tax_consumes_nothing_and_a_call_that_no_bill_has_was_billed_nothing_known() {
        let tax = told(&charge(SettledKind::BesideCalls, Some(ResidualCode::Tax)));
        assert_eq!(tax["ChargeCategory"], "Tax");
        assert!(!tax.contains_key("ConsumedQuantity") && !tax.contains_key("PricingCategory"));
        let unbilled = SettledCharge { billed: None, issuer: None, ..charge(SettledKind::Unbilled, None) };
        let told = told(&unbilled);
        assert!(!told.contains_key("BilledCost"), "{told:?}");
        assert_eq!((&*told["x_CostBasis"], &*told["x_Source"]), ("unbilled", "proxy"));
    }

    #[test]
    fn calls_that_others_saw_are_no_calls_of_the_proxy() {
        for (origin, source) in
            [(Origin::Proxy, "proxy"), (Origin::LiteLlm, "import"), (Origin::Otlp, "import")]
        {
            let charge = SettledCharge { origin: Some(origin), ..charge(SettledKind::Settled, None) };
            assert_eq!(told(&charge)["x_Source"], source, "{origin}");
        }
    }
}
