//! What holds for every input, sensible or not.

use chrono::{Days, NaiveDate};
use costlens_domain::classify::Tier;
use costlens_insight::settle::{
    Apart, Atto, Billed, BilledRow, Certainty, Code, Hint, Kind, Meter, MeteredCall, Name, Names, Place,
    Quantities, Sku, State, Terms, Variant, settle,
};
use proptest::prelude::*;
use rust_decimal::Decimal;

const FIRST: &str = "2026-09-01";

fn first() -> NaiveDate {
    FIRST.parse().unwrap()
}

fn names() -> Vec<Name> {
    let mut names = Names::default();
    ["", "a", "b", "c"].iter().map(|text| names.of(text)).collect()
}

fn name() -> impl Strategy<Value = Name> {
    (0..4_usize).prop_map(|at| names()[at])
}

fn place() -> impl Strategy<Value = Place> {
    (name(), name(), name()).prop_map(|(account, region, principal)| Place { account, region, principal })
}

fn variant() -> impl Strategy<Value = Variant> {
    (any::<bool>(), any::<bool>()).prop_map(|(flex, long_context)| Variant {
        tier: if flex { Tier::Flex } else { Tier::Standard },
        long_context,
        ..Variant::default()
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    (0..Kind::ALL.len()).prop_map(|at| Kind::ALL[at])
}

fn day() -> impl Strategy<Value = NaiveDate> {
    (0..4_u64).prop_map(|day| first() + Days::new(day))
}

fn call() -> impl Strategy<Value = MeteredCall> {
    let usage = prop::collection::vec((kind(), 0..5_000_u64), 0..4);
    let estimate = prop::option::of(0..2_000_000_000_000_000_000_i128);
    let hint = (prop::option::of(variant()), any::<bool>());
    (day(), place(), name(), (name(), name()), variant(), hint, 0..3_u8, usage, estimate).prop_map(
        |(day, place, model, (lane, route), variant, (hint, one_hour_cache), certainty, used, estimate)| {
            let mut usage = Quantities::default();
            for (kind, count) in used {
                usage.update(kind, |sum| *sum += count);
            }
            MeteredCall {
                day,
                place,
                model,
                lane,
                route,
                variant,
                hint: Hint { variant: hint, one_hour_cache },
                certainty: match certainty {
                    0 => Certainty::Exact,
                    1 => Certainty::OutputEstimated,
                    _ => Certainty::Estimated,
                },
                usage,
                estimate: estimate.map(Atto),
            }
        },
    )
}

fn row() -> impl Strategy<Value = BilledRow> {
    let amount = -1_000_000_000_000_000_000..9_000_000_000_000_000_000_i128;
    let sku = (kind(), variant()).prop_map(|(kind, variant)| Sku { kind, variant });
    (day(), place(), name(), sku, prop::option::of(0..20_000_u64), amount.clone(), amount, 0..30_u64)
        .prop_map(|(day, place, model, sku, quantity, listed, amount, lines)| BilledRow {
            day,
            place,
            model,
            sku,
            quantity,
            units: Decimal::from(quantity.unwrap_or(7)),
            listed: Atto(listed),
            amount: Atto(amount),
            lines,
        })
}

fn apart() -> impl Strategy<Value = Apart> {
    (day(), place(), name(), -1_000_000_000_i128..1_000_000_000).prop_map(|(day, place, model, amount)| {
        Apart { day, place, model, code: Code::Credit, amount: Atto(amount) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_is_lost_and_nothing_is_made(
        calls in prop::collection::vec(call(), 0..40),
        rows in prop::collection::vec(row(), 0..40),
        apart in prop::collection::vec(apart(), 0..4),
        price in 0..3_000_000_000_000_000_i128,
        complete in 0..5_u64,
    ) {
        let mut meter = Meter::default();
        let ids: Vec<_> = calls.iter().map(|call| meter.add(call)).collect();
        let billed = Billed { rows, apart, dust: Decimal::ZERO };
        // Some things have no price, others a free one; one region is dearer, and another has no price of output.
        let (dear, bare) = (names()[2], names()[3]);
        let prices = move |_: Name, sku: Sku, region: Name, _: NaiveDate| match (sku.kind, sku.variant.tier) {
            (Kind::AudioInput, _) | (_, Tier::Flex) if sku.variant.long_context => None,
            (Kind::Output, _) if region == bare => None,
            (Kind::WebSearch, _) => Some(Atto::ZERO),
            (_, Tier::Flex) => Some(Atto(price / 2)),
            _ if region == dear => Some(Atto(price + price / 10)),
            _ => Some(Atto(price)),
        };
        let terms = Terms {
            complete_through: first() + Days::new(complete),
            rounding_per_line: Terms::ROUNDING_PER_LINE,
        };
        let settlement = settle(&meter, &billed, &prices, &terms);
        let totals = &settlement.totals;
        prop_assert_eq!(totals.estimated + totals.applied.total(), totals.settled);
        prop_assert_eq!(totals.settled + totals.outside.total(), totals.billed);
        prop_assert_eq!(totals.billed, billed.total());
        let mut payout = settlement.payout();
        let paid: Vec<_> = ids.iter().zip(&calls).map(|(id, call)| payout.next(*id, &call.usage)).collect();
        prop_assert_eq!(paid.iter().flatten().copied().sum::<Atto>(), totals.settled);
        // What a look-up says of a call is what it was paid, but for a unit for each kind.
        for ((id, call), paid) in ids.iter().zip(&calls).zip(paid) {
            let looked_up = settlement.cost(*id, &call.usage);
            match (looked_up, paid) {
                (Some(one), Some(other)) => prop_assert!((one - other).0.abs() <= 10, "{one:?} {other:?}"),
                (one, other) => prop_assert_eq!(one, other),
            }
        }
        for bundle in settlement.bundles.iter().filter(|bundle| bundle.state != State::Absent) {
            prop_assert_eq!(bundle.estimate + bundle.applied.total(), bundle.settled);
            let parts: Atto = bundle.parts.iter().map(|(_, part)| part).sum();
            prop_assert_eq!(parts + bundle.even, bundle.settled);
        }
        for coverage in &settlement.coverage {
            prop_assert!(coverage.covered_tokens <= coverage.billed_tokens);
        }
        // The same again is the same.
        let again = settle(&meter, &billed, &prices, &terms);
        prop_assert_eq!(&again.residuals, &settlement.residuals);
        prop_assert_eq!(&again.coverage, &settlement.coverage);
    }
}
