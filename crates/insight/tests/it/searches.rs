//! Searches, which bills charge without the model that asked for them.

use chrono::NaiveDate;
use costlens_insight::settle::{
    Atto, Billed, BilledRow, Certainty, Code, Hint, Kind, Meter, MeteredCall, Name, Names, Place, Quantities,
    Settlement, Sku, State, Terms, Variant, settle,
};
use rust_decimal::Decimal;

/// A cent.
const SEARCH: i128 = 10_000_000_000_000_000;
/// Three dollars a million.
const TOKEN: i128 = 3_000_000_000_000;

#[expect(clippy::unnecessary_wraps, reason = "a catalogue has no price for everything")]
fn price(_: Name, sku: Sku, _: Name, _: NaiveDate) -> Option<Atto> {
    Some(Atto(if sku.kind == Kind::WebSearch { SEARCH } else { TOKEN }))
}

fn day() -> NaiveDate {
    "2026-10-05".parse().unwrap()
}

struct World {
    names: Names,
    meter: Meter,
    billed: Billed,
}

impl World {
    /// Calls of two models, all of whose tokens are on the bill.
    fn new() -> Self {
        let mut world = Self { names: Names::default(), meter: Meter::default(), billed: Billed::default() };
        world.called("claude-sonnet-4-6", 1_000, 5);
        world.called("claude-opus-5", 2_000, 3);
        world
    }

    fn called(&mut self, model: &str, tokens: u64, searches: u64) {
        let model = self.metered(model, tokens, searches);
        let amount = Atto(TOKEN * i128::from(tokens));
        self.billed.rows.push(self.row(model, Kind::FreshInput, Some(tokens), amount));
    }

    /// Calls that the bill says nothing of.
    fn metered(&mut self, model: &str, tokens: u64, searches: u64) -> Name {
        let model = self.names.of(model);
        let mut usage = Quantities::default();
        usage.update(Kind::FreshInput, |count| *count = tokens);
        usage.update(Kind::WebSearch, |count| *count = searches);
        self.meter.add(&MeteredCall {
            day: day(),
            place: Place::default(),
            model,
            lane: Name::NONE,
            route: Name::NONE,
            variant: Variant::default(),
            hint: Hint::default(),
            certainty: Certainty::Exact,
            usage,
            estimate: Some(Atto(TOKEN * i128::from(tokens) + SEARCH * i128::from(searches))),
        });
        model
    }

    fn row(&self, model: Name, kind: Kind, quantity: Option<u64>, amount: Atto) -> BilledRow {
        let mut names = self.names.clone();
        BilledRow {
            day: day(),
            place: Place { account: names.of("default"), ..Place::default() },
            model,
            sku: Sku { kind, variant: Variant::default() },
            quantity,
            units: quantity.map_or(Decimal::ZERO, Decimal::from),
            listed: amount,
            amount,
            lines: 1,
        }
    }

    /// Settled with one charge for searches on the bill.
    fn with_searches(self, quantity: Option<u64>, amount: Atto) -> Settlement {
        let row = self.row(Name::NONE, Kind::WebSearch, quantity, amount);
        self.with(row)
    }

    fn with(self, row: BilledRow) -> Settlement {
        self.with_all([row], day())
    }

    fn with_all(
        mut self,
        rows: impl IntoIterator<Item = BilledRow>,
        complete_through: NaiveDate,
    ) -> Settlement {
        self.billed.rows.extend(rows);
        let terms = Terms { complete_through, rounding_per_line: Terms::ROUNDING_PER_LINE };
        let settlement = settle(&self.meter, &self.billed, &price, &terms);
        let totals = &settlement.totals;
        assert_eq!(totals.settled + totals.outside.total(), self.billed.total());
        assert_eq!(totals.billed, self.billed.total());
        settlement
    }
}

#[test]
fn searches_without_a_model_are_charged_to_the_calls_that_asked() {
    let settlement = World::new().with_searches(Some(10), Atto(10 * SEARCH));
    let totals = &settlement.totals;
    assert_eq!((totals.settled, totals.unknown), (totals.estimated, Atto::ZERO));
    assert_eq!(totals.outside.of(Code::Unproxied), Atto(2 * SEARCH), "two searches went around the proxy");
    assert_eq!(totals.outside.total(), Atto(2 * SEARCH));
    let parts: Vec<Atto> = settlement.bundles.iter().map(|one| one.parts.of(Kind::WebSearch)).collect();
    assert_eq!(parts, [Atto(5 * SEARCH), Atto(3 * SEARCH)]);
}

#[test]
fn a_private_discount_on_searches_is_shared_like_them() {
    let world = World::new();
    let row = world.row(Name::NONE, Kind::WebSearch, Some(8), Atto(8 * SEARCH));
    let settlement = world.with(BilledRow { amount: Atto(4 * SEARCH), ..row });
    let totals = &settlement.totals;
    assert_eq!(totals.settled - totals.estimated, Atto(-4 * SEARCH));
    assert_eq!((totals.applied.of(Code::Discount), totals.unknown), (Atto(-4 * SEARCH), Atto::ZERO));
    let parts: Vec<Atto> = settlement.bundles.iter().map(|one| one.parts.of(Kind::WebSearch)).collect();
    assert_eq!(parts, [Atto(5 * SEARCH / 2), Atto(3 * SEARCH / 2)]);
}

#[test]
fn a_charge_without_a_count_has_that_of_its_price() {
    // As floats have it.
    let settlement = World::new().with_searches(None, Atto(8 * SEARCH + 11));
    assert_eq!(settlement.totals.outside.total(), Atto::ZERO);
    assert_eq!(settlement.totals.unknown, Atto::ZERO);
    let off = settlement.totals.settled - settlement.totals.estimated;
    assert_eq!((off, settlement.totals.applied.of(Code::Rounding)), (Atto(11), Atto(11)));
    // Seven searches and a half are no count.
    let settlement = World::new().with_searches(None, Atto(15 * SEARCH / 2));
    assert_eq!(settlement.totals.outside.of(Code::Unmetered), Atto(15 * SEARCH / 2));
}

#[test]
fn fewer_searches_than_were_asked_for_are_shared() {
    let settlement = World::new().with_searches(Some(4), Atto(4 * SEARCH));
    let parts: Vec<Atto> = settlement.bundles.iter().map(|one| one.parts.of(Kind::WebSearch)).collect();
    assert_eq!(parts, [Atto(2 * SEARCH), Atto(2 * SEARCH)]);
    assert_eq!(settlement.totals.outside.total(), Atto::ZERO);
}

#[test]
fn searches_that_no_call_asked_for_stand_apart() {
    let mut world = World::new();
    world.meter = Meter::default();
    let settlement = world.with_searches(Some(10), Atto(10 * SEARCH));
    assert_eq!(settlement.totals.outside.of(Code::Unmetered), Atto(10 * SEARCH));
}

/// One search made a model look billed, and all else that its calls had used was then missing from the bill.
#[test]
fn calls_of_a_model_that_is_not_on_the_bill_ask_for_nothing() {
    let mut world = World::new();
    world.metered("claude-haiku-4-5", 1_000_000, 1);
    let settlement = world.with_searches(Some(9), Atto(9 * SEARCH));
    let totals = &settlement.totals;
    let states: Vec<State> = settlement.bundles.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Settled, State::Settled, State::Absent]);
    assert_eq!((totals.unknown, totals.settled), (Atto::ZERO, totals.estimated));
    assert_eq!(totals.absent, Atto(1_000_000 * TOKEN + SEARCH));
    assert_eq!(totals.outside.of(Code::Unproxied), Atto(SEARCH), "nobody's, as far as this bill goes");
    // Alone, they leave the charge to nobody.
    let mut world = World::new();
    world.meter = Meter::default();
    world.metered("claude-haiku-4-5", 1_000_000, 1);
    let settlement = world.with_searches(Some(1), Atto(SEARCH));
    assert_eq!(settlement.totals.outside.of(Code::Unmetered), Atto(SEARCH));
    assert_eq!(settlement.totals.calls, 0);
}

#[test]
fn calls_that_are_too_new_for_the_bill_ask_all_the_same() {
    let mut world = World::new();
    world.metered("claude-haiku-4-5", 1_000_000, 1);
    let row = world.row(Name::NONE, Kind::WebSearch, Some(9), Atto(9 * SEARCH));
    let settlement = world.with_all([row], day().pred_opt().unwrap());
    let parts: Vec<Atto> = settlement.bundles.iter().map(|one| one.parts.of(Kind::WebSearch)).collect();
    assert_eq!(parts, [Atto(5 * SEARCH), Atto(3 * SEARCH), Atto(SEARCH)]);
    assert_eq!(settlement.totals.outside.of(Code::Unproxied), Atto::ZERO);
    assert_eq!(settlement.totals.unknown, Atto::ZERO);
}

/// What is left over has one name, on how many lines ever the bill has it.
#[test]
fn searches_beyond_those_asked_for_went_around_the_proxy_on_whichever_charge() {
    let world = World::new();
    let charge = |count: Option<u64>, amount: i128| {
        world.row(Name::NONE, Kind::WebSearch, count, Atto(amount * SEARCH))
    };
    let rows = [charge(Some(8), 8), charge(Some(2), 2), charge(None, 3)];
    let settlement = world.with_all(rows, day());
    let totals = &settlement.totals;
    assert_eq!((totals.settled, totals.unknown), (totals.estimated, Atto::ZERO));
    assert_eq!(totals.outside.of(Code::Unproxied), Atto(5 * SEARCH));
    assert_eq!(totals.outside.total(), Atto(5 * SEARCH));
}
