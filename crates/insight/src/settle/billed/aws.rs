//! AWS' daily facts as rows: which lines are tokens, which lines of discount belong to which, and what is neither.

use costlens_domain::Currency;
use costlens_domain::bill::{DailyFact, Measure};
use costlens_domain::classify::{Category, Classification, Meter, is_usage};
use costlens_domain::invoices::InvoiceVendor;
use hashbrown::HashMap;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Apart, Billed, BilledRow};
use crate::settle::atto::{Atto, Splitter};
use crate::settle::code::Code;
use crate::settle::meter::Place;
use crate::settle::names::{Name, Names};
use crate::settle::sku::{Kind, Sku, Variant};

/// A discount that has a line of its own, to be joined to what it is a discount on.
struct DiscountLine {
    apart: Apart,
    sku: Option<Sku>,
    service: Name,
}

impl Billed {
    /// The AI of a bill in one currency, as one measure has it. What only may be AI is left out.
    #[must_use]
    pub fn of_facts<'a>(
        facts: impl IntoIterator<Item = &'a DailyFact>,
        currency: Currency,
        measure: Measure,
        names: &mut Names,
    ) -> Self {
        let mut billed = Self::default();
        let mut discounts = Vec::new();
        let mut services = Vec::new();
        for fact in facts {
            if fact.is_ai() && fact.currency == currency {
                billed.add(fact, measure, names, &mut discounts);
                services.resize(billed.rows.len(), names.of(&fact.class.service));
            }
        }
        billed.join(discounts, &services);
        billed
    }

    fn add(
        &mut self,
        fact: &DailyFact,
        measure: Measure,
        names: &mut Names,
        discounts: &mut Vec<DiscountLine>,
    ) {
        let (amount, dust) = Atto::of(charge(fact, measure));
        self.dust += dust;
        let place = Place {
            account: names.of(&fact.usage_account),
            region: names.of(&fact.region),
            principal: names.of(&fact.principal),
        };
        let class = &fact.class;
        let model = class.model.as_deref().map_or(Name::NONE, |model| {
            // A model that its owner tuned has prices of its own.
            if class.custom_model { names.of(&format!("{model} (custom)")) } else { names.of(model) }
        });
        let inferred = class.category == Category::Inference && model.is_known();
        let counted = inferred || searched(class) && !model.is_known();
        let variant = Variant { tier: class.tier, routing: class.routing, long_context: class.long_context };
        let sku = Kind::of_meter(class.meter).filter(|_| counted).map(|kind| Sku { kind, variant });
        let apart = |code| Apart { day: fact.day, place, model, code, amount };
        match (kind_of_line(&fact.line_item_type), sku) {
            (Line::Usage, Some(sku)) => {
                let tokens = if sku.kind.is_tokens() {
                    fact.tokens
                } else {
                    // A vendor's cost report need not tell how many.
                    Some(fact.usage_quantity).filter(|count| !count.is_zero() || amount.is_zero())
                };
                self.rows.push(BilledRow {
                    day: fact.day,
                    place,
                    model,
                    sku,
                    quantity: tokens.and_then(|tokens| tokens.round().to_u64()),
                    units: fact.usage_quantity,
                    listed: Atto::of(before_discounts(fact)).0,
                    amount,
                    lines: fact.lines,
                });
            }
            // What a commitment covers is charged by the hour, and a negation takes back just that.
            (Line::Usage | Line::Negation, None) => self.apart.push(apart(Code::Unmetered)),
            (Line::Discount | Line::Negation, sku) => {
                let service = names.of(&class.service);
                discounts.push(DiscountLine { apart: apart(Code::Discount), sku, service });
            }
            (Line::Apart(code), _) => self.apart.push(apart(code)),
        }
    }

    /// Lines of discount lower what they are a discount on: the line of the same use, else the day's use of the
    /// model, else the day's of the account, each of one service. What finds nothing stands apart. `services` has the
    /// service of each row.
    fn join(&mut self, discounts: Vec<DiscountLine>, services: &[Name]) {
        if discounts.is_empty() {
            return;
        }
        let mut by_account: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, (row, service)) in self.rows.iter().zip(services).enumerate() {
            by_account.entry((row.day, row.place.account, *service)).or_default().push(at);
        }
        for line in discounts {
            let Apart { day, place, model, amount, .. } = line.apart;
            let of_account =
                by_account.get(&(day, place.account, line.service)).map(Vec::as_slice).unwrap_or_default();
            let row = |at: &usize| self.rows.get(*at);
            let of_model = |at: &&usize| row(at).is_some_and(|row| row.model == model);
            let of_use = |at: &&usize| {
                row(at).is_some_and(|row| {
                    row.model == model && Some(row.sku) == line.sku && row.place.agrees_with(place)
                })
            };
            let mut on: Vec<usize> = of_account.iter().filter(of_use).copied().collect();
            if on.is_empty() && model.is_known() {
                on = of_account.iter().filter(of_model).copied().collect();
            } else if on.is_empty() {
                on = of_account.to_vec();
            }
            let weights: Vec<u64> = on.iter().map(|at| row(at).map_or(0, weight)).collect();
            let whole = weights.iter().sum();
            if whole == 0 {
                self.apart.push(line.apart);
                continue;
            }
            let mut splitter = Splitter::new(amount, whole);
            for (at, weight) in on.into_iter().zip(weights) {
                let piece = splitter.next(weight);
                if let Some(row) = self.rows.get_mut(at) {
                    row.amount += piece;
                }
            }
        }
    }
}

/// A row's share in a discount: its charge, in millionths of a millionth.
fn weight(row: &BilledRow) -> u64 {
    u64::try_from(row.listed.0.max(0) / 1_000_000).unwrap_or(u64::MAX / 1_000_000)
}

/// What a fact costs by a measure. Where that is unknown the nearest that is known stands in: amortised for net amortised,
/// as billed for the list, and for what a commitment covers at who knows what.
fn charge(fact: &DailyFact, measure: Measure) -> Decimal {
    match measure {
        Measure::NetAmortised => fact.spread_cost(),
        measure => fact.cost(measure).unwrap_or(fact.unblended),
    }
}

/// What a price list would make of a fact: what was billed on the day, save where a commitment pays, of which nothing was
/// billed. Then it is the list's own price, and where the bill does not tell that, what the commitment is worth.
fn before_discounts(fact: &DailyFact) -> Decimal {
    if fact.is_paid_by_commitment() {
        let worth = fact.amortised.unwrap_or(fact.unblended);
        fact.list.map_or(worth, |list| list.max(worth))
    } else {
        fact.unblended
    }
}

/// Whether it is searches of the web on a vendor's own report, which has no word of the model that asked for them. What
/// clouds call searches are those of files and maps, too, and a unit of theirs may be a thousand.
fn searched(class: &Classification) -> bool {
    class.category == Category::Retrieval
        && class.meter == Meter::Searches
        && InvoiceVendor::ALL.iter().any(|vendor| vendor.service() == class.service)
}

/// What a line is, as far as settlement cares.
enum Line {
    Usage,
    Discount,
    Negation,
    Apart(Code),
}

fn kind_of_line(line_item_type: &str) -> Line {
    match line_item_type {
        usage if is_usage(usage) => Line::Usage,
        // Takes back what a commitment covers; its price is among the fees.
        "SavingsPlanNegation" => Line::Negation,
        "BundledDiscount"
        | "Discount"
        | "EdpDiscount"
        | "EDPDiscount"
        | "PrivateRateDiscount"
        | "RiVolumeDiscount"
        | "SppDiscount"
        | "DistributorDiscount" => Line::Discount,
        // Google's and FOCUS' adjustments are corrections of what was billed before.
        "Credit" | "Refund" | "adjustment" | "Adjustment" => Line::Apart(Code::Credit),
        "Tax" | "tax" => Line::Apart(Code::Tax),
        "RoundingAdjustment" | "rounding_error" => Line::Apart(Code::Rounding),
        "Fee"
        | "Purchase"
        | "RIFee"
        | "SavingsPlanRecurringFee"
        | "SavingsPlanUpfrontFee"
        | "UnusedReservation"
        | "UnusedSavingsPlan" => Line::Apart(Code::Unmetered),
        _ => Line::Apart(Code::Unknown),
    }
}

impl BilledRow {
    /// How many tokens the row would stand for if a unit were so many.
    pub(in crate::settle) fn counted_in(&self, tokens_per_unit: u64) -> Option<u64> {
        (self.units * Decimal::from(tokens_per_unit)).round().to_u64()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use costlens_domain::classify::{LineKey, Verdict, classify};

    use super::*;

    fn fact(product_code: &str, usage_type: &str, line_item_type: &str, cost: &str) -> DailyFact {
        let key = LineKey {
            product_code,
            usage_type,
            pricing_unit: "1K tokens",
            line_item_type,
            billing_entity: "AWS",
            ..LineKey::default()
        };
        let cost: Decimal = cost.parse().unwrap();
        let class = classify(&key);
        let is_use = line_item_type == "Usage" && class.meter.counts_tokens();
        DailyFact {
            day: "2026-10-05".parse().unwrap(),
            billing_account: "111111111111".into(),
            usage_account: "222222222222".into(),
            region: "us-east-1".into(),
            billing_entity: "AWS".into(),
            product_code: product_code.into(),
            product_name: "".into(),
            usage_type: usage_type.into(),
            operation: "".into(),
            principal: "".into(),
            line_item_type: line_item_type.into(),
            currency: Currency::USD,
            class: Arc::new(class),
            pricing_unit: "1K tokens".into(),
            usage_quantity: Decimal::ONE,
            tokens: is_use.then_some(Decimal::ONE_THOUSAND),
            unblended: cost,
            net_unblended: cost,
            amortised: Some(cost),
            net_amortised: Some(cost),
            list: None,
            lines: 1,
        }
    }

    fn dollars(text: &str) -> Atto {
        Atto::of(text.parse().unwrap()).0
    }

    #[test]
    fn what_a_commitment_pays_is_no_gift_at_a_price_of_nothing() {
        let tokens = |unblended: &str, amortised: &str, list: Option<&str>| DailyFact {
            amortised: Some(amortised.parse().unwrap()),
            net_amortised: Some(amortised.parse().unwrap()),
            list: list.map(|list| list.parse().unwrap()),
            ..fact("AmazonBedrock", "USE1-NovaPro-input-tokens", "Usage", unblended)
        };
        // As FOCUS has it: nothing billed, an effective cost of seven of a list price of ten; the same without the list
        // price; half of the day's use covered; and use that nothing covers, with a discount.
        let facts = [
            tokens("0", "7", Some("10")),
            tokens("0", "7", None),
            tokens("5", "8.5", Some("10")),
            tokens("9", "9", Some("10")),
        ];
        let of = |measure| {
            let billed = Billed::of_facts(&facts, Currency::USD, measure, &mut Names::default());
            billed.rows.iter().map(|row| (row.listed, row.amount)).collect::<Vec<_>>()
        };
        let rows = |all: [(&str, &str); 4]| all.map(|(listed, amount)| (dollars(listed), dollars(amount)));
        assert_eq!(of(Measure::Unblended), rows([("10", "0"), ("7", "0"), ("10", "5"), ("9", "9")]));
        let spread = rows([("10", "7"), ("7", "7"), ("10", "8.5"), ("9", "9")]);
        assert_eq!(of(Measure::Amortised), spread);
        assert_eq!(of(Measure::NetAmortised), spread);
    }

    #[test]
    fn a_net_cost_that_is_unknown_is_the_one_before_discounts() {
        let old = DailyFact {
            amortised: Some("8".parse().unwrap()),
            net_amortised: None,
            ..fact("AmazonBedrock", "USE1-NovaPro-input-tokens", "Usage", "9")
        };
        let billed = Billed::of_facts([&old], Currency::USD, Measure::NetAmortised, &mut Names::default());
        assert_eq!(billed.total(), dollars("8"));
    }

    #[test]
    fn what_a_commitment_of_unknown_worth_covers_is_charged_as_billed() {
        let covered = DailyFact {
            amortised: None,
            net_amortised: None,
            ..fact("AmazonBedrock", "USE1-NovaPro-input-tokens", "Usage", "3")
        };
        for measure in [Measure::Amortised, Measure::NetAmortised] {
            let billed = Billed::of_facts([&covered], Currency::USD, measure, &mut Names::default());
            assert_eq!(billed.total(), dollars("3"), "{measure}");
        }
    }

    #[test]
    fn what_is_taken_off_one_service_lowers_no_other() {
        let facts = [
            fact("AmazonBedrock", "USE1-NovaPro-input-tokens", "Usage", "20"),
            fact("AmazonBedrock", "USE1-NovaPro-input-tokens", "EdpDiscount", "-2"),
            fact("AmazonSageMaker", "USE1-Host:ml.g5.xlarge", "SavingsPlanCoveredUsage", "500"),
            fact("AmazonSageMaker", "USE1-Host:ml.g5.xlarge", "SavingsPlanNegation", "-500"),
            fact("AmazonSageMaker", "USE1-Host:ml.g5.xlarge", "EdpDiscount", "-50"),
        ];
        let billed = Billed::of_facts(&facts, Currency::USD, Measure::Unblended, &mut Names::default());
        assert_eq!(billed.rows.iter().map(|row| row.amount).sum::<Atto>(), dollars("18"));
        let apart =
            |code| billed.apart.iter().filter(|one| one.code == code).map(|one| one.amount).sum::<Atto>();
        assert_eq!(apart(Code::Unmetered), Atto::ZERO, "usage and its negation are nothing together");
        assert_eq!(apart(Code::Discount), dollars("-50"));
        assert_eq!(billed.total(), dollars("-32"));
    }

    /// A cloud's searches are of files and maps as well as of the web, and a unit of them may be a thousand.
    #[test]
    fn searches_without_a_model_are_counted_on_vendors_own_reports_alone() {
        let search = |service: &'static str| DailyFact {
            class: Arc::new(Classification {
                verdict: Verdict::Ai,
                service: service.into(),
                category: Category::Retrieval,
                meter: Meter::Searches,
                ..Classification::not_ai()
            }),
            tokens: None,
            ..fact("AmazonBedrock", "", "Usage", "35")
        };
        let of = |fact: &DailyFact| {
            Billed::of_facts([fact], Currency::USD, Measure::Unblended, &mut Names::default())
        };
        for vendor in InvoiceVendor::ALL {
            let billed = of(&search(vendor.service()));
            assert_eq!((billed.rows.len(), billed.apart.len()), (1, 0), "{vendor:?}");
        }
        let bedrock = fact("AmazonBedrock", "USE1-CohereRerank3.5-search-units", "Usage", "35");
        assert_eq!((bedrock.class.category, bedrock.class.meter), (Category::Retrieval, Meter::Searches));
        for cloud in [bedrock, search("azure_openai"), search("google_vertex_ai")] {
            let billed = of(&cloud);
            assert!(billed.rows.is_empty(), "{}", cloud.class.service);
            let apart: Vec<_> = billed.apart.iter().map(|one| (one.code, one.amount)).collect();
            assert_eq!(apart, [(Code::Unmetered, dollars("35"))]);
        }
    }
}
