//! Charges in the columns of FOCUS 1.2 (FinOps Open Cost and Usage Specification, focus.finops.org, version 1.2).
//!
//! A bill's facts and the proxy's hours stand in one file. What no invoice has shown has no `BilledCost`; what the
//! specification wants filled and nobody knows stays empty rather than become a zero.

use std::borrow::Cow;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, SecondsFormat, TimeDelta, Utc};

use super::{Cell, FOCUS_COLUMNS, HourlySpend};
use crate::BillId;
use crate::bill::DailyFact;
use crate::classify::{Category, Tier, is_usage};
use crate::money::Currency;

/// A row in the making: cells by the names of their columns.
pub(super) struct Row<'a>(pub(super) [Cell<'a>; FOCUS_COLUMNS.len()]);

impl<'a> Row<'a> {
    pub(super) fn of_period(from: DateTime<Utc>, to: Option<DateTime<Utc>>, currency: Currency) -> Self {
        let first = from.date_naive().with_day(1);
        let mut row = Self([const { Cell::Empty }; FOCUS_COLUMNS.len()]);
        row.own("BillingPeriodStart", first.map(midnight));
        row.own(
            "BillingPeriodEnd",
            first.and_then(|day| day.checked_add_months(Months::new(1))).map(midnight),
        );
        row.own("ChargePeriodStart", Some(moment(from)));
        row.own("ChargePeriodEnd", to.map(moment));
        row.own("BillingCurrency", Some(currency));
        row.own("PricingCurrency", Some(currency));
        row.word("ServiceCategory", "AI and Machine Learning");
        row
    }

    pub(super) fn put(&mut self, name: &str, cell: Cell<'a>) {
        let place = FOCUS_COLUMNS.iter().position(|column| column.name == name);
        debug_assert!(place.is_some(), "there is no column {name}");
        if let Some(there) = place.and_then(|place| self.0.get_mut(place)) {
            *there = cell;
        }
    }

    pub(super) fn own(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        self.put(name, Cell::own(value));
    }

    pub(super) fn word(&mut self, name: &str, word: &str) {
        self.put(name, Cell::Own(word.to_owned()));
    }

    /// A text that somebody else chose; nothing where it is empty.
    pub(super) fn text(&mut self, name: &str, text: impl Into<Cow<'a, str>>) {
        let text = text.into();
        self.put(name, if text.is_empty() { Cell::Empty } else { Cell::Text(text) });
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn midnight(day: NaiveDate) -> String {
    moment(day.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// The cells of a bill's charge, in the order of [`FOCUS_COLUMNS`].
#[must_use]
pub fn focus_of_fact(bill: BillId, fact: &DailyFact) -> [Cell<'_>; FOCUS_COLUMNS.len()] {
    let from = fact.day.and_time(chrono::NaiveTime::MIN).and_utc();
    let mut row = Row::of_period(from, from.checked_add_days(Days::new(1)), fact.currency);
    let class = &*fact.class;
    let kind = &*fact.line_item_type;
    row.own("BilledCost", Some(fact.net_unblended));
    // What a commitment pays is billed as nothing on the day, which is no contracted price.
    let paid_ahead = fact.is_paid_by_commitment();
    row.own("ContractedCost", Some(fact.unblended).filter(|_| !paid_ahead));
    row.own("EffectiveCost", fact.known_spread_cost());
    row.own("ListCost", fact.list);
    row.own("PricingCurrencyEffectiveCost", fact.known_spread_cost());
    row.text("BillingAccountId", &*fact.billing_account);
    row.text("SubAccountId", &*fact.usage_account);
    if !fact.usage_account.is_empty() {
        row.word("SubAccountType", "Account");
    }
    row.word("ChargeCategory", charge_category(kind));
    if matches!(kind, "Refund") {
        row.word("ChargeClass", "Correction");
    }
    row.word("ChargeFrequency", charge_frequency(kind));
    let what = class.model.as_deref().unwrap_or(&class.service);
    row.text("ChargeDescription", format!("{what} {}", class.meter.as_str().replace('_', " ")));
    if is_usage(kind) {
        let (quantity, unit) = match fact.tokens {
            Some(tokens) => (tokens, "Tokens"),
            None => (fact.usage_quantity, &*fact.pricing_unit),
        };
        row.own("ConsumedQuantity", Some(quantity.normalize()));
        row.text("ConsumedUnit", unit);
        row.own("PricingQuantity", Some(fact.usage_quantity.normalize()));
        row.text("PricingUnit", &*fact.pricing_unit);
        let category = if paid_ahead { "Committed" } else { pricing_category(kind, class.tier) };
        row.word("PricingCategory", category);
    }
    let seller = if fact.billing_entity.is_empty() { "AWS" } else { &*fact.billing_entity };
    row.text("InvoiceIssuerName", seller);
    row.text("ProviderName", seller);
    row.text("PublisherName", class.vendor.as_deref().unwrap_or(seller));
    row.text("RegionId", &*fact.region);
    row.text("ServiceName", if fact.product_name.is_empty() { &*class.service } else { &*fact.product_name });
    row.word("ServiceSubcategory", subcategory(class.category, class.model.is_some()));
    row.word("SkuMeter", class.meter.as_str());
    row.text("x_Operation", &*fact.operation);
    row.text("x_ServiceCode", &*fact.product_code);
    row.word("x_Source", "bill");
    row.word("x_CostBasis", "billed");
    row.text("x_Model", class.model.as_deref().unwrap_or_default());
    row.text("x_UsageType", &*fact.usage_type);
    row.word("x_ServiceTier", class.tier.as_str());
    row.word("x_Routing", class.routing.as_str());
    row.text("x_Principal", &*fact.principal);
    row.put("x_Count", Cell::Count(fact.lines));
    row.own("x_BillId", Some(bill));
    row.0
}

/// The cells of an hour of calls, in the order of [`FOCUS_COLUMNS`].
#[must_use]
pub fn focus_of_hour(hour: &HourlySpend) -> [Cell<'_>; FOCUS_COLUMNS.len()] {
    let to = hour.hour.checked_add_signed(TimeDelta::hours(1));
    let mut row = Row::of_period(hour.hour, to, Currency::USD);
    let usage = &hour.usage;
    for name in ["ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost"] {
        row.own(name, hour.cost);
    }
    row.word("ChargeCategory", "Usage");
    row.word("ChargeFrequency", "Usage-Based");
    row.text("ChargeDescription", format!("{} calls", hour.model));
    row.put(
        "ConsumedQuantity",
        Cell::Count(usage.total_input().plus(usage.output).plus(usage.audio_output).0),
    );
    row.word("ConsumedUnit", "Tokens");
    row.word("PricingCategory", "Standard");
    for name in ["InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceName", "x_ServiceCode"] {
        row.text(name, &*hour.provider);
    }
    row.word("ServiceSubcategory", "Generative AI");
    row.word("SkuMeter", "tokens");
    row.own("SubAccountId", Some(hour.api_key_id));
    row.word("SubAccountType", "API key");
    row.own("x_Operation", Some(hour.outcome));
    row.word("x_Source", "proxy");
    row.own("x_CostBasis", Some(hour.cost_basis));
    row.text("x_Model", &*hour.model);
    row.put("x_Count", Cell::Count(hour.requests));
    row.0
}

/// FOCUS 1.2, ChargeCategory: its five values.
fn charge_category(line_item_type: &str) -> &'static str {
    match line_item_type {
        // In small letters as Google has it.
        "Tax" | "tax" => "Tax",
        "Credit" => "Credit",
        "Fee" | "RIFee" | "SavingsPlanRecurringFee" | "SavingsPlanUpfrontFee" | "Purchase" => "Purchase",
        // A refund gives back what was charged; the charge's class says so.
        "Refund"
        | "Adjustment"
        | "RoundingAdjustment"
        | "SavingsPlanNegation"
        | "adjustment"
        | "rounding_error" => "Adjustment",
        kind if kind.ends_with("Discount") => "Adjustment",
        _ => "Usage",
    }
}

/// FOCUS 1.2, ChargeFrequency.
fn charge_frequency(line_item_type: &str) -> &'static str {
    match line_item_type {
        "RIFee" | "SavingsPlanRecurringFee" => "Recurring",
        kind if is_usage(kind) || kind == "SavingsPlanNegation" => "Usage-Based",
        _ => "One-Time",
    }
}

/// FOCUS 1.2, PricingCategory.
fn pricing_category(line_item_type: &str, tier: Tier) -> &'static str {
    match (line_item_type, tier) {
        ("DiscountedUsage" | "SavingsPlanCoveredUsage", _) | (_, Tier::Reserved) => "Committed",
        (_, Tier::Standard) => "Standard",
        _ => "Other",
    }
}

/// FOCUS 1.2, ServiceSubcategory of AI and Machine Learning.
fn subcategory(category: Category, of_model: bool) -> &'static str {
    match category {
        _ if of_model => "Generative AI",
        Category::Agents | Category::Guardrail | Category::Customization | Category::Provisioned => {
            "Generative AI"
        }
        Category::Training | Category::Development | Category::DataPreparation | Category::Inference => {
            "AI Platforms"
        }
        _ => "Other (AI and Machine Learning)",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use rust_decimal::Decimal;

    use super::*;
    use crate::classify::{LineKey, classify};
    use crate::request::{CostBasis, Outcome};
    use crate::usage::Tokens;
    use crate::{ApiKeyId, Usage};

    fn told(cells: &[Cell<'_>]) -> BTreeMap<&'static str, String> {
        let text = |cell: &Cell<'_>| {
            let mut text = String::new();
            cell.put_csv(&mut text);
            text
        };
        let cells = FOCUS_COLUMNS.iter().zip(cells).map(|(column, cell)| (column.name, text(cell)));
        cells.filter(|(_, text)| !text.is_empty()).collect()
    }

    fn fact(line_item_type: &str, amount: &str) -> DailyFact {
        let key = LineKey {
            product_code: "AmazonBedrock",
            usage_type: "USE1-NovaPro-input-tokens-batch",
            pricing_unit: "1K tokens",
            line_item_type,
            ..LineKey::default()
        };
        DailyFact {
            day: NaiveDate::from_ymd_opt(2026, 12, 31).unwrap(),
            billing_account: "111".into(),
            usage_account: "222".into(),
            region: "us-east-1".into(),
            billing_entity: "AWS".into(),
            product_code: "AmazonBedrock".into(),
            product_name: "Amazon Bedrock".into(),
            usage_type: key.usage_type.into(),
            operation: "InvokeModelInference".into(),
            principal: "=cmd".into(),
            line_item_type: line_item_type.into(),
            currency: Currency::USD,
            class: Arc::new(classify(&key)),
            pricing_unit: "1K tokens".into(),
            usage_quantity: "1500.0".parse().unwrap(),
            tokens: Some("1500000".parse().unwrap()),
            unblended: amount.parse().unwrap(),
            net_unblended: "0.9".parse().unwrap(),
            amortised: Some("0.8".parse().unwrap()),
            net_amortised: None,
            list: None,
            lines: 3,
        }
    }

    #[test]
    fn a_bills_charge_has_its_months_bounds_its_four_costs_and_what_was_consumed() {
        let at = DateTime::from_timestamp_millis(1_763_800_000_123).unwrap();
        let (bill, fact) = (BillId::new(at, [1; 10]), fact("Usage", "1.0000000001"));
        let told = told(&focus_of_fact(bill, &fact));
        for (name, wanted) in [
            ("BillingPeriodStart", "2026-12-01T00:00:00Z"),
            ("BillingPeriodEnd", "2027-01-01T00:00:00Z"),
            ("ChargePeriodStart", "2026-12-31T00:00:00Z"),
            ("ChargePeriodEnd", "2027-01-01T00:00:00Z"),
            ("BilledCost", "0.9"),
            ("ContractedCost", "1.0000000001"),
            ("EffectiveCost", "0.8"),
            ("ConsumedQuantity", "1500000"),
            ("ConsumedUnit", "Tokens"),
            ("PricingQuantity", "1500"),
            ("PricingUnit", "1K tokens"),
            ("PricingCategory", "Other"),
            ("ChargeCategory", "Usage"),
            ("ChargeDescription", "nova-pro fresh input"),
            ("PublisherName", "amazon"),
            ("x_ServiceTier", "batch"),
            ("x_Principal", "\"'=cmd\""),
            ("x_Count", "3"),
        ] {
            assert_eq!(told.get(name).map(String::as_str), Some(wanted), "{name}");
        }
        assert!(!told.contains_key("ListCost"), "what is not known is not said to be nothing");
    }

    #[test]
    fn a_charge_tells_its_list_price_and_what_is_left_of_its_commitment_after_discounts() {
        let bill = BillId::new(DateTime::from_timestamp_millis(1_763_800_000_123).unwrap(), [1; 10]);
        let known = DailyFact {
            net_amortised: Some("0.72".parse().unwrap()),
            list: Some("1.25".parse().unwrap()),
            ..fact("Usage", "1.0")
        };
        let known = told(&focus_of_fact(bill, &known));
        let costs = ["ListCost", "ContractedCost", "EffectiveCost", "PricingCurrencyEffectiveCost"];
        assert_eq!(costs.map(|name| &*known[name]), ["1.25", "1.0", "0.72", "0.72"]);
    }

    #[test]
    fn what_a_commitment_pays_has_no_contracted_price_of_nothing() {
        let bill = BillId::new(DateTime::from_timestamp_millis(1_763_800_000_123).unwrap(), [1; 10]);
        // As FOCUS has it: nothing billed on the day, and the commitment's part as the effective cost.
        let covered = fact("Usage", "0");
        let told = told(&focus_of_fact(bill, &covered));
        assert_eq!((&*told["EffectiveCost"], &*told["PricingCategory"]), ("0.8", "Committed"));
        assert!(!told.contains_key("ContractedCost"), "{told:?}");
    }

    #[test]
    fn what_a_commitment_of_unknown_worth_pays_has_no_effective_cost() {
        let bill = BillId::new(DateTime::from_timestamp_millis(1_763_800_000_123).unwrap(), [1; 10]);
        // As Azure's actual costs have it: nothing billed, and nothing said of what the commitment is worth.
        let covered = DailyFact { amortised: None, net_unblended: Decimal::ZERO, ..fact("Usage", "0") };
        let told = told(&focus_of_fact(bill, &covered));
        assert_eq!((&*told["BilledCost"], &*told["PricingCategory"]), ("0", "Committed"));
        for name in ["EffectiveCost", "PricingCurrencyEffectiveCost", "ContractedCost"] {
            assert!(!told.contains_key(name), "{name}: {told:?}");
        }
    }

    #[test]
    fn what_is_no_usage_consumes_nothing_and_says_what_it_is() {
        let bill = BillId::new(DateTime::from_timestamp_millis(1_763_800_000_123).unwrap(), [1; 10]);
        for (kind, category, class, frequency) in [
            ("Tax", "Tax", None, "One-Time"),
            ("Credit", "Credit", None, "One-Time"),
            ("Refund", "Adjustment", Some("Correction"), "One-Time"),
            ("EdpDiscount", "Adjustment", None, "One-Time"),
            ("SavingsPlanRecurringFee", "Purchase", None, "Recurring"),
            ("tax", "Tax", None, "One-Time"),
            ("adjustment", "Adjustment", None, "One-Time"),
            ("rounding_error", "Adjustment", None, "One-Time"),
        ] {
            let fact = fact(kind, "-2");
            let told = told(&focus_of_fact(bill, &fact));
            assert_eq!(told.get("ChargeCategory").map(String::as_str), Some(category), "{kind}");
            assert_eq!(told.get("ChargeClass").map(String::as_str), class, "{kind}");
            assert_eq!(told.get("ChargeFrequency").map(String::as_str), Some(frequency), "{kind}");
            assert!(
                !told.contains_key("ConsumedQuantity") && !told.contains_key("PricingCategory"),
                "{kind}"
            );
        }
    }

    #[test]
    fn an_hour_of_calls_was_billed_by_nobody_yet_and_unpriced_is_no_zero() {
        let at = DateTime::from_timestamp(1_763_798_400, 0).unwrap();
        let hour = |cost: Option<&str>| HourlySpend {
            hour: at,
            api_key_id: ApiKeyId::new(at, [2; 10]),
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
            outcome: Outcome::Completed,
            cost_basis: if cost.is_some() { CostBasis::Exact } else { CostBasis::Unpriced },
            requests: 4,
            usage: Usage { fresh_input: Tokens(90), output: Tokens(10), ..Usage::default() },
            cost: cost.map(|cost| cost.parse().unwrap()),
        };
        let priced = hour(Some("0.0300000001"));
        let cells = told(&focus_of_hour(&priced));
        assert_eq!(cells["EffectiveCost"], "0.0300000001");
        assert_eq!((&*cells["ConsumedQuantity"], &*cells["x_CostBasis"]), ("100", "exact"));
        assert_eq!(cells["ChargePeriodEnd"], "2025-11-22T09:00:00Z");
        assert!(!cells.contains_key("BilledCost"));
        let unpriced = hour(None);
        let cells = told(&focus_of_hour(&unpriced));
        assert!(!cells.contains_key("EffectiveCost") && !cells.contains_key("ListCost"), "{cells:?}");
        assert_eq!(cells["x_CostBasis"], "unpriced");
    }
}
