//! What settling a month costs: CPU time for adding a million calls up, settling them and pricing each one anew, beside
//! the least that could be done with as many calls, which is to add their estimates up by day and model.
//!
//! `settle_month [CALLS] [--check]`; with `--check` it fails above five CPU seconds.

#![expect(clippy::print_stdout, reason = "it is asked for figures")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement stops at the first surprise"
)]

#[path = "../tests/it/simulator.rs"]
#[allow(
    dead_code,
    clippy::wildcard_imports,
    clippy::struct_excessive_bools,
    clippy::cast_possible_truncation,
    reason = "the tests look at more of it than a measurement"
)]
mod simulator;

use std::collections::HashMap;

use chrono::NaiveDate;
use costlens_domain::Currency;
use costlens_domain::bill::Measure;
use costlens_insight::settle::{Atto, Billed, Meter, Name, Sku, Terms, settle};
use simulator::{Plan, World};

/// The process's own time on the processor, in milliseconds.
fn cpu_ms() -> u64 {
    let told = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    told.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1_000_000
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let calls = arguments.iter().find_map(|one| one.parse().ok()).unwrap_or(1_000_000);
    let mut world = World::new(Plan::month(1, calls));
    let start = cpu_ms();
    let mut least: HashMap<(NaiveDate, Name), Atto> = HashMap::new();
    for call in &world.calls {
        *least.entry((call.metered.day, call.metered.model)).or_default() += call.metered.estimate.unwrap();
    }
    let summed = cpu_ms();
    let mut meter = Meter::default();
    let ids: Vec<_> = world.calls.iter().map(|call| meter.add(&call.metered)).collect();
    let metered = cpu_ms();
    let billed = Billed::of_facts(&world.facts, Currency::USD, Measure::NetUnblended, &mut world.names);
    let terms =
        Terms { complete_through: world.complete_through, rounding_per_line: Terms::ROUNDING_PER_LINE };
    let catalogue = world.catalogue.clone();
    let prices = move |model: Name, sku: Sku, _: Name, day: NaiveDate| catalogue.per_unit(model, sku, day);
    let settlement = settle(&meter, &billed, &prices, &terms);
    let settled = cpu_ms();
    let mut payout = settlement.payout();
    let paid: Atto =
        ids.iter().zip(&world.calls).filter_map(|(id, call)| payout.next(*id, &call.metered.usage)).sum();
    let end = cpu_ms();
    assert_eq!(paid, settlement.totals.settled);
    println!("calls {calls}, bundles {}, bill rows {}", settlement.bundles.len(), billed.rows.len());
    println!(
        "adding up {} ms, settling {} ms, call by call {} ms",
        metered - summed,
        settled - metered,
        end - settled
    );
    let (all, least_ms) = (end - summed, (summed - start).max(1));
    println!(
        "together {all} ms CPU, {} times a plain sum ({least_ms} ms, {} sums)",
        all / least_ms,
        least.len()
    );
    println!(
        "bill {}, estimated {}, settled {}, unknown {}",
        settlement.totals.billed.decimal().round_dp(2),
        settlement.totals.estimated.decimal().round_dp(2),
        settlement.totals.settled.decimal().round_dp(2),
        settlement.totals.unknown.decimal().round_dp(2),
    );
    if arguments.iter().any(|one| one == "--check") && all > 5_000 {
        std::process::exit(1);
    }
}
