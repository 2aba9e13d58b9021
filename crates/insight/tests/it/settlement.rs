//! Settlement against simulated months whose truth is known here and hidden from the settler.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use costlens_domain::Currency;
use costlens_domain::bill::Measure;
use costlens_insight::settle::{
    Atto, Billed, BilledRow, Certainty, Code, Hint, Kind, Meter, MeteredCall, Name, Names, Place,
    PriceFinding, Prices, Quantities, Settlement, Side, Sku, State, Terms, Variant, settle,
};

use crate::simulator::{Catalogue, Plan, World};

impl Prices for Catalogue {
    fn per_unit(&self, model: Name, sku: Sku, _region: Name, day: NaiveDate) -> Option<Atto> {
        Catalogue::per_unit(self, model, sku, day)
    }
}

fn measure_of(world: &World) -> Measure {
    if world.plan.discount_lines { Measure::Unblended } else { Measure::NetUnblended }
}

fn settled(world: &mut World) -> (Billed, Settlement, Vec<Atto>) {
    let mut meter = Meter::default();
    let ids: Vec<_> = world.calls.iter().map(|call| meter.add(&call.metered)).collect();
    let measure = measure_of(world);
    let billed = Billed::of_facts(&world.facts, Currency::USD, measure, &mut world.names);
    let terms =
        Terms { complete_through: world.complete_through, rounding_per_line: Terms::ROUNDING_PER_LINE };
    let settlement = settle(&meter, &billed, &world.catalogue, &terms);
    let mut payout = settlement.payout();
    let costs = ids
        .iter()
        .zip(&world.calls)
        .map(|(id, call)| payout.next(*id, &call.metered.usage).unwrap())
        .collect();
    (billed, settlement, costs)
}

type Attributed = BTreeMap<(NaiveDate, Name, Code), Atto>;

/// A way of settling, as far as it is judged: what each call cost, and which money has which code.
struct Answer {
    costs: Vec<Atto>,
    codes: Attributed,
    /// What of the bill is in no call.
    outside: Atto,
}

impl Answer {
    fn of(settlement: &Settlement, costs: Vec<Atto>) -> Self {
        let mut codes = Attributed::new();
        for residual in &settlement.residuals {
            *codes.entry((residual.day, residual.model, residual.code)).or_default() += residual.amount;
        }
        Self { costs, codes, outside: settlement.totals.outside.total() }
    }

    /// What spreading each cell's bill over its calls would say.
    fn pro_rata(world: &mut World, width: Width) -> Self {
        let measure = measure_of(world);
        let billed = Billed::of_facts(&world.facts, Currency::USD, measure, &mut world.names);
        let mut bills: BTreeMap<Cell, Atto> = BTreeMap::new();
        for row in &billed.rows {
            *bills.entry(width.cell(row.day, row.place, row.model, row.sku)).or_default() += row.amount;
        }
        let parts: Vec<Vec<(Cell, Atto)>> =
            world.calls.iter().map(|call| width.parts(&call.metered, &world.catalogue)).collect();
        let mut estimates: BTreeMap<Cell, Atto> = BTreeMap::new();
        for (cell, estimate) in parts.iter().flatten() {
            *estimates.entry(*cell).or_default() += *estimate;
        }
        let mut codes = Attributed::new();
        let mut outside: Atto = billed.apart.iter().map(|apart| apart.amount).sum();
        for apart in &billed.apart {
            *codes.entry((apart.day, apart.model, apart.code)).or_default() += apart.amount;
        }
        for (cell, bill) in &bills {
            let code = if estimates.contains_key(cell) { Code::Unknown } else { Code::Unproxied };
            let estimate = estimates.get(cell).copied().unwrap_or_default();
            *codes.entry((cell.day, cell.model, code)).or_default() += *bill - estimate;
            if code == Code::Unproxied {
                outside += *bill;
            }
        }
        let share = |(cell, estimate): &(Cell, Atto)| {
            let (bill, whole) = (bills.get(cell).copied().unwrap_or_default(), estimates[cell]);
            // In millionths: an approximation is fair enough for what is to fail.
            Atto(bill.0 / 1_000_000 * (estimate.0 * 1_000_000 / whole.0.max(1)))
        };
        let costs = parts.iter().map(|parts| parts.iter().map(share).sum()).collect();
        Self { costs, codes, outside }
    }
}

/// How narrow the cells are within which a rival spreads the bill: always by day, account, region and model.
#[derive(Clone, Copy, Debug)]
struct Width {
    principal: bool,
    /// By token class, tier, routing and context, too, as the proxy metered them.
    sku: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    day: NaiveDate,
    place: Place,
    model: Name,
    sku: Option<Sku>,
}

impl Width {
    const ALL: [Self; 4] = [
        Self { principal: false, sku: false },
        Self { principal: true, sku: false },
        Self { principal: false, sku: true },
        Self { principal: true, sku: true },
    ];

    fn cell(self, day: NaiveDate, place: Place, model: Name, sku: Sku) -> Cell {
        let principal = if self.principal { place.principal } else { Name::NONE };
        Cell { day, place: Place { principal, ..place }, model, sku: self.sku.then_some(sku) }
    }

    /// The cells that a call is in, and its estimate in each.
    fn parts(self, call: &MeteredCall, catalogue: &Catalogue) -> Vec<(Cell, Atto)> {
        let cell = |sku: Sku| self.cell(call.day, call.place, call.model, sku);
        let sku = |kind: Kind| Sku { kind, variant: call.variant };
        if !self.sku {
            return vec![(cell(sku(Kind::FreshInput)), call.estimate.unwrap())];
        }
        let used = call.usage.iter().filter(|(_, quantity)| *quantity > 0);
        used.map(|(kind, quantity)| {
            let each = catalogue.per_unit(call.model, sku(kind), call.day).unwrap_or_default();
            (cell(sku(kind)), Atto(each.0 * i128::from(quantity)))
        })
        .collect()
    }
}

/// The median distance from the truth, in millionths of it.
fn median_miss(world: &World, costs: impl Iterator<Item = Atto>) -> i128 {
    let mut misses: Vec<i128> = world
        .calls
        .iter()
        .zip(costs)
        .filter(|(call, _)| call.truth.0 > 0)
        .map(|(call, cost)| (cost - call.truth).0.abs() * 1_000_000 / call.truth.0)
        .collect();
    misses.sort_unstable();
    misses[misses.len() / 2]
}

/// What is wrong with an answer; nothing, if it is good enough to publish.
fn faults(world: &World, answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    let facts = world.facts.iter().map(|fact| fact.cost(measure_of(world)).unwrap());
    let bill: rust_decimal::Decimal = facts.sum();
    let told = answer.costs.iter().copied().sum::<Atto>() + answer.outside;
    if (told.decimal() - bill).abs() > "0.005".parse().unwrap() {
        faults.push(format!("the parts add up to {} and the bill is {bill}", told.decimal()));
    }
    let miss = median_miss(world, answer.costs.iter().copied());
    let estimated = median_miss(world, world.calls.iter().map(|call| call.metered.estimate.unwrap()));
    if miss >= 5_000 {
        faults.push(format!("the median call is off by {miss} millionths"));
    }
    if miss * 3 >= estimated {
        faults.push(format!("the median call is off by {miss} millionths, its estimate was by {estimated}"));
    }
    let (mut wrong, mut whole) = (Atto::ZERO, Atto::ZERO);
    let mut by_code: BTreeMap<Code, (Atto, Atto, Atto)> = BTreeMap::new();
    for (key, truth) in &world.causes.0 {
        whole += truth.abs();
        let sums = by_code.entry(key.2).or_default();
        sums.0 += truth.abs();
        sums.2 += *truth;
    }
    let keys: std::collections::BTreeSet<_> = world.causes.0.keys().chain(answer.codes.keys()).collect();
    for key in keys {
        let truth = world.causes.0.get(key).copied().unwrap_or_default();
        let told = answer.codes.get(key).copied().unwrap_or_default();
        wrong += (told - truth).abs();
        by_code.entry(key.2).or_default().1 += (told - truth).abs();
    }
    if wrong.0 * 100 > whole.0 {
        faults.push(format!("of {} of differences {} have a wrong reason", whole.decimal(), wrong.decimal()));
    }
    for (code, (truth, wrong, net)) in by_code {
        // What left streams really wrote is told from what others used by principal; where both share one, or none is
        // named, a part of it is anybody's guess.
        let parts = match (code, world.plan.principals) {
            (Code::AbortedStreams, true) => 10,
            (Code::AbortedStreams, false) => 3,
            _ => 50,
        };
        // A tenth of a dollar in all is no difference to speak of.
        if wrong.0 * parts > truth.0 && wrong.decimal() > "0.1".parse().unwrap() {
            faults.push(format!(
                "{}: {} of {} are wrong (net {})",
                code.as_str(),
                wrong.decimal().round_dp(4),
                truth.decimal().round_dp(4),
                net.decimal().round_dp(4),
            ));
        }
    }
    faults
}

fn assert_good(plan: Plan) {
    let mut world = World::new(plan);
    let (billed, settlement, costs) = settled(&mut world);
    assert_identities(&world, &billed, &settlement, &costs);
    let faults = faults(&world, &Answer::of(&settlement, costs));
    assert!(faults.is_empty(), "{plan:?}:\n{}", faults.join("\n"));
}

/// To the last unit, not only to the cent.
fn assert_identities(world: &World, billed: &Billed, settlement: &Settlement, costs: &[Atto]) {
    let totals = &settlement.totals;
    assert_eq!(totals.estimated + totals.applied.total(), totals.settled);
    assert_eq!(totals.settled + totals.outside.total(), totals.billed);
    assert_eq!(costs.iter().copied().sum::<Atto>(), totals.settled);
    let bill: rust_decimal::Decimal =
        world.facts.iter().map(|fact| fact.cost(measure_of(world)).unwrap()).sum();
    assert_eq!(totals.billed.decimal() + billed.dust, bill);
    let applied: Atto =
        settlement.residuals.iter().filter(|one| one.side == Side::Calls).map(|one| one.amount).sum();
    assert_eq!(applied, totals.applied.total());
    for bundle in settlement.bundles.iter().filter(|bundle| bundle.state != State::Absent) {
        assert_eq!(bundle.estimate + bundle.applied.total(), bundle.settled);
    }
}

/// How many calls a simulated month has here; the bench has a million.
const CALLS: usize = 30_000;

#[test]
fn months_with_hidden_gaps_settle_to_the_cent_with_the_right_reasons() {
    for seed in 1..=3 {
        assert_good(Plan::month(seed, CALLS));
    }
}

#[test]
fn closed_months_settle_too() {
    assert_good(Plan {
        open: false,
        first: "2026-02-01".parse().unwrap(),
        days: 28,
        ..Plan::month(11, CALLS)
    });
}

#[test]
fn discounts_on_lines_of_their_own_are_joined_to_what_they_discount() {
    assert_good(Plan { discount_lines: true, ..Plan::month(21, CALLS) });
}

#[test]
fn bills_without_principals_settle_by_counts_alone() {
    assert_good(Plan { principals: false, shadow: false, ..Plan::month(31, CALLS) });
    assert_good(Plan { principals: false, ..Plan::month(32, CALLS) });
}

#[test]
fn calls_that_name_no_account_settle_by_the_ways_that_they_went() {
    for seed in 1..=3 {
        assert_good(Plan { named: false, ..Plan::month(seed, CALLS) });
    }
    assert_good(Plan { named: false, discount_lines: true, ..Plan::month(21, CALLS) });
    assert_good(Plan { named: false, principals: false, shadow: false, ..Plan::month(31, CALLS) });
    assert_good(Plan { named: false, principals: false, ..Plan::month(32, CALLS) });
}

/// One connection's credential becomes another account's in the middle of the month; both accounts have use of others.
#[test]
fn a_way_that_leads_elsewhere_from_some_day_on_is_followed() {
    let mut names = Names::default();
    let [model, region, route] = ["nova-pro", "us-east-1", "connection"].map(|name| names.of(name));
    let place = |names: &mut Names, account: &str, principal: &str| Place {
        account: names.of(account),
        region,
        principal: names.of(principal),
    };
    let [before, after, others] = [("1", "gateway"), ("2", "gateway"), ("1", "batch")]
        .map(|(account, who)| place(&mut names, account, who));
    let first: NaiveDate = "2026-09-01".parse().unwrap();
    let sku = Sku { kind: Kind::FreshInput, variant: Variant::default() };
    let row = |day: NaiveDate, place: Place, tokens: u64| BilledRow {
        day,
        place,
        model,
        sku,
        quantity: Some(tokens),
        units: tokens.into(),
        listed: Atto(i128::from(tokens) * 1_000_000),
        amount: Atto(i128::from(tokens) * 1_000_000),
        lines: 1,
    };
    let (mut meter, mut rows) = (Meter::default(), Vec::new());
    for (n, day) in (0_u64..).zip(first.iter_days().take(30)) {
        let tokens = 70_000 + n * 977;
        let mut usage = Quantities::default();
        usage.update(Kind::FreshInput, |count| *count = tokens);
        meter.add(&MeteredCall {
            day,
            place: Place { region, ..Place::default() },
            model,
            lane: route,
            route,
            variant: Variant::default(),
            hint: Hint::default(),
            certainty: Certainty::Exact,
            usage,
            estimate: Some(Atto(i128::from(tokens) * 1_000_000)),
        });
        rows.push(row(day, if n < 25 { before } else { after }, tokens));
        // Somebody of the first account's gateway goes on, and somebody else of that account was always there.
        if n >= 25 {
            rows.push(row(day, before, 31_000 + n));
        }
        rows.push(row(day, others, 90_000 + n * 13));
    }
    let billed = Billed { rows, ..Billed::default() };
    let terms = Terms {
        complete_through: first + chrono::Days::new(29),
        rounding_per_line: Terms::ROUNDING_PER_LINE,
    };
    let list = |_: Name, _: Sku, _: Name, _: NaiveDate| Some(Atto(1_000_000));
    let settlement = settle(&meter, &billed, &list, &terms);
    let covered = |of: Place| {
        let one = settlement.coverage.iter().find(|one| one.place == of).unwrap();
        (one.covered_tokens, one.billed_tokens)
    };
    let sum = |from: u64, to: u64| (from..to).map(|n| 70_000 + n * 977).sum::<u64>();
    assert_eq!(covered(before).0, sum(0, 25));
    assert_eq!(covered(after), (sum(25, 30), sum(25, 30)));
    assert_eq!(covered(others).0, 0);
    assert!(settlement.totals.unknown.is_zero(), "{:?}", settlement.totals.unknown);
}

#[test]
fn spreading_the_difference_fails_the_same_test() {
    let mut world = World::new(Plan::month(1, CALLS));
    for width in Width::ALL {
        let answer = Answer::pro_rata(&mut world, width);
        let faults = faults(&world, &answer);
        assert!(
            faults.iter().any(|fault| fault.contains("have a wrong reason")),
            "spreading passed: {width:?}: {faults:?}"
        );
    }
    // As wide a cell as the bill and the proxy share without principals gives calls what others spent.
    let answer = Answer::pro_rata(&mut world, Width { principal: false, sku: false });
    let faults = faults(&world, &answer);
    assert!(faults.iter().any(|fault| fault.contains("median")), "{faults:?}");
}

#[test]
fn the_bills_own_prices_show_what_the_price_list_has_wrong_and_nothing_else() {
    let mut world = World::new(Plan::month(1, CALLS));
    let (_, settlement, _) = settled(&mut world);
    let (first, risen) = ("2026-09-01".parse().unwrap(), "2026-09-13".parse().unwrap());
    let mut dearer = None;
    for price in &settlement.prices {
        let (is_output, model) = (price.sku.kind == Kind::Output, world.names.text(price.model));
        // A fifth more for output from the thirteenth on, and fifteen per cent less for all of one model.
        let charged = |hundredths: i128| {
            let listed = price.listed.unwrap().0 / 100 * hundredths;
            (price.charged.0 - listed).abs() * 1_000 <= listed
        };
        let (finding, is_so) = match model {
            "nova-lite" => (PriceFinding::Unit, charged(100_000)),
            "gpt-oss" => (PriceFinding::Discount, charged(85)),
            "llama-70b" if is_output && price.first_day > first => {
                dearer = Some((price.first_day, price.finding));
                (PriceFinding::Differs, charged(120))
            }
            _ => (PriceFinding::Agrees, charged(100)),
        };
        assert!(price.finding == finding && is_so, "{model}: {price:?}");
    }
    assert_eq!(dearer, Some((risen, PriceFinding::Differs)));
    let kinds: std::collections::BTreeSet<&str> =
        settlement.prices.iter().map(|price| world.names.text(price.model)).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}

#[test]
fn what_the_price_list_does_not_have_is_told_with_what_it_cost() {
    let mut world = World::new(Plan::month(1, CALLS));
    let forgotten = world.names.of("gpt-oss");
    world.catalogue.forget(forgotten);
    let (billed, settlement, _) = settled(&mut world);
    let unlisted: Vec<_> =
        settlement.prices.iter().filter(|price| price.finding == PriceFinding::Unlisted).collect();
    assert!(unlisted.iter().all(|price| price.model == forgotten && price.listed.is_none()), "{unlisted:?}");
    let rows = billed.rows.iter().filter(|row| row.model == forgotten);
    let charged: Atto = rows.map(|row| row.listed).sum();
    assert_eq!(unlisted.iter().map(|price| price.charged).sum::<Atto>(), charged);
    assert!(charged.0 > 0);
}
