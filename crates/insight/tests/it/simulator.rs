//! Months of calls, the bill that truly follows from them, and gaps between the two whose causes the settler is not told.
//!
//! What is true of a call is decided here, call by call, before anything is added up: which tier served it, how long its
//! cache lived, what it really wrote. The meter then sees it wrongly in the ways in which meters do, and the bill is
//! added up from the truth. The simulator knows the settler's inputs, and none of its methods.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use costlens_domain::Currency;
use costlens_domain::bill::{DailyFact, Text};
use costlens_domain::classify::{Category, Classification, Meter, Routing, Tier, Verdict};
use costlens_insight::settle::{
    Atto, Certainty, Code, Hint, Kind, MeteredCall, Name, Names, Place, Quantities, Sku, Variant,
};
use rust_decimal::Decimal;

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) calls: usize,
    pub(crate) first: NaiveDate,
    pub(crate) days: u64,
    /// Whether the bill names principals.
    pub(crate) principals: bool,
    /// Whether the last days are not, or not wholly, on the bill.
    pub(crate) open: bool,
    /// Whether somebody goes around the proxy.
    pub(crate) shadow: bool,
    /// Whether discounts are lines of their own instead of a net column.
    pub(crate) discount_lines: bool,
    /// Whether calls name the account and principal that they are billed to. The proxy knows the connection that they went
    /// through, and its region.
    pub(crate) named: bool,
}

impl Plan {
    pub(crate) fn month(seed: u64, calls: usize) -> Self {
        Self {
            seed,
            calls,
            first: NaiveDate::from_ymd_opt(2026, 9, 1).unwrap(),
            days: 30,
            principals: true,
            open: true,
            shadow: true,
            discount_lines: false,
            named: true,
        }
    }
}

/// One call, as the proxy saw it and as it was.
pub(crate) struct Call {
    pub(crate) metered: MeteredCall,
    /// What it costs in the end.
    pub(crate) truth: Atto,
}

/// Everything that the settler gets, and what it must find.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) names: Names,
    pub(crate) calls: Vec<Call>,
    pub(crate) facts: Vec<DailyFact>,
    pub(crate) catalogue: Catalogue,
    pub(crate) complete_through: NaiveDate,
    pub(crate) causes: Causes,
}

/// The planted gaps: dollars by day, model and code.
#[derive(Default)]
pub(crate) struct Causes(pub(crate) BTreeMap<(NaiveDate, Name, Code), Atto>);

impl Causes {
    fn add(&mut self, day: NaiveDate, model: Name, code: Code, amount: Atto) {
        *self.0.entry((day, model, code)).or_default() += amount;
    }
}

const MODELS: [(&str, i128, i128); 6] = [
    // Dollars for a million tokens of input and of output, in cents.
    ("claude-sonnet", 300, 1_500),
    ("claude-haiku", 100, 500),
    ("nova-pro", 80, 320),
    ("nova-lite", 6, 24),
    ("llama-70b", 72, 72),
    ("gpt-oss", 15, 60),
];
const SONNET: usize = 0;
const HAIKU: usize = 1;
const NOVA_PRO: usize = 2;
const NOVA_LITE: usize = 3;
const LLAMA: usize = 4;
const GPT_OSS: usize = 5;

const ACCOUNTS: [(&str, &str); 3] =
    [("111111111111", "us-east-1"), ("222222222222", "eu-west-1"), ("333333333333", "us-east-1")];
const KEYS: usize = 12;
const LONG: u64 = 200_000;

/// List prices by model.
#[derive(Clone, Default)]
pub(crate) struct Catalogue {
    models: HashMap<Name, usize>,
}

impl Catalogue {
    /// From now on it does not have this model.
    pub(crate) fn forget(&mut self, model: Name) {
        self.models.remove(&model);
    }

    /// What the settler is told.
    pub(crate) fn per_unit(&self, model: Name, sku: Sku, _day: NaiveDate) -> Option<Atto> {
        let at = *self.models.get(&model)?;
        let price = list(at, sku);
        // Somebody typed this one in for thousands instead of millions.
        Some(if at == NOVA_LITE { Atto(price.0 / 1_000) } else { price })
    }
}

/// The true list price.
fn list(model: usize, sku: Sku) -> Atto {
    let (_, input, output) = MODELS[model];
    // A cent for a million tokens is 1e10 units a token.
    let (input, output) = (input * 10_000_000_000, output * 10_000_000_000);
    let base = match sku.kind {
        Kind::FreshInput => input,
        Kind::CacheRead => input / 10,
        Kind::CacheWrite5m => input * 5 / 4,
        Kind::CacheWrite30m => input * 3 / 2,
        Kind::CacheWrite1h => input * 2,
        Kind::Output => output,
        Kind::AudioInput | Kind::AudioOutput | Kind::WebSearch => return Atto::ZERO,
    };
    let tiered = match sku.variant.tier {
        Tier::Batch | Tier::Flex => base / 2,
        Tier::Priority => base * 7 / 4,
        _ => base,
    };
    let routed = if sku.variant.routing == Routing::Global { tiered } else { tiered * 11 / 10 };
    let long = match (sku.variant.long_context, sku.kind) {
        (false, _) => routed,
        (true, Kind::Output) => routed * 3 / 2,
        (true, _) => routed * 2,
    };
    Atto(long)
}

/// What the vendor really charges for a unit before the contract's discount.
fn charged(model: usize, sku: Sku, day_of_month: u64) -> Atto {
    let list = list(model, sku);
    Atto(match model {
        // A private rate for everything of one model.
        GPT_OSS => list.0 * 85 / 100,
        // The price of output rose in the middle of the month.
        LLAMA if sku.kind == Kind::Output && day_of_month >= 12 => list.0 * 6 / 5,
        _ => list.0,
    })
}

/// The contract: seven per cent off everything.
const NET: (i128, i128) = (93, 100);

/// Numbers that look like chance and are the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Cell {
    day: u64,
    place: Place,
    model: usize,
    sku: Sku,
}

/// What happens to be billed under a cell.
#[derive(Default, Clone, Copy)]
struct Sum {
    tokens: u64,
    charged: i128,
}

struct Build {
    plan: Plan,
    chance: Chance,
    names: Names,
    models: Vec<Name>,
    catalogue: Catalogue,
    bill: BTreeMap<Cell, Sum>,
    causes: Causes,
    odd: Vec<(u64, usize, usize)>,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut names = Names::default();
        let models: Vec<Name> = MODELS.iter().map(|(name, ..)| names.of(name)).collect();
        let catalogue = Catalogue { models: models.iter().copied().zip(0..).collect() };
        let mut build = Build {
            plan,
            chance: Chance(plan.seed),
            names,
            models,
            catalogue,
            bill: BTreeMap::new(),
            causes: Causes::default(),
            // On two days an account's line of one model is dearer for no reason that anybody could know.
            odd: vec![(4, 0, HAIKU), (17, 1, LLAMA)],
        };
        let calls = (0..plan.calls).map(|n| build.call(n)).collect();
        if plan.shadow {
            build.shadow();
        }
        let facts = build.facts();
        let complete = if plan.open { plan.days - 4 } else { plan.days - 1 };
        World {
            plan,
            calls,
            facts,
            complete_through: plan.first + Days::new(complete),
            names: build.names,
            catalogue: build.catalogue,
            causes: build.causes,
        }
    }
}

impl Build {
    fn gateway(&mut self, account: usize) -> Place {
        let (id, region) = ACCOUNTS[account];
        let principal = if self.plan.principals {
            format!("arn:aws:sts::{id}:assumed-role/gateway/costlens")
        } else {
            String::new()
        };
        Place {
            account: self.names.of(id),
            region: self.names.of(region),
            principal: self.names.of(&principal),
        }
    }

    fn call(&mut self, n: usize) -> Call {
        let n = n as u64;
        // Calls come in order of time.
        let day = n * self.plan.days / (self.plan.calls as u64);
        let key = self.chance.below(KEYS as u64) as usize;
        let account = key % ACCOUNTS.len();
        let model = [SONNET, SONNET, SONNET, HAIKU, HAIKU, NOVA_PRO, NOVA_PRO, NOVA_LITE, LLAMA, GPT_OSS]
            [self.chance.below(10) as usize];
        let place = self.gateway(account);
        let caches = model == SONNET || model == HAIKU;

        // What was really used.
        let mut used = Quantities::default();
        let is_long = caches && self.chance.one_in(40);
        let input =
            if is_long { self.chance.between(LONG, LONG * 3) } else { self.chance.between(200, 12_000) };
        used.update(Kind::FreshInput, |count| *count = input);
        let mut out = self.chance.between(40, 2_500);
        let write = if caches && self.chance.one_in(3) { self.chance.between(1_100, 9_000) } else { 0 };
        let read = if caches && !self.chance.one_in(3) { self.chance.between(1_000, 60_000) } else { 0 };
        used.update(Kind::CacheRead, |count| *count = read);

        // What the meter knows.
        let metered_variant = Variant::default();
        let mut metered_usage = used;
        metered_usage.update(Kind::CacheWrite5m, |count| *count = write);
        let certainty = if self.chance.one_in(50) { Certainty::OutputEstimated } else { Certainty::Exact };
        metered_usage.update(Kind::Output, |count| *count = out);
        let is_billed = !self.plan.open || day < self.plan.days - 3 || day == self.plan.days - 3 && n % 5 < 3;
        // Of what is on no bill yet nobody can know that its estimate is off.
        if certainty != Certainty::Exact && is_billed {
            // The stream ran on, or ended sooner, than what was seen of it says.
            out = out * self.chance.between(30, 260) / 100;
        }
        used.update(Kind::Output, |count| *count = out);

        // How it was really served.
        let mut variant = metered_variant;
        if (key, model) == (5, NOVA_PRO) {
            variant.tier = Tier::Flex;
        }
        if (key, model) == (6, HAIKU) || (key, model) == (11, NOVA_PRO) {
            variant.tier = Tier::Priority;
        }
        if (key, model) == (8, SONNET) || (key, model) == (2, SONNET) {
            variant.routing = Routing::Global;
        }
        // Haiku has no such price, whatever the size of a prompt suggests.
        variant.long_context = model == SONNET && input + read + write > LONG;
        let write_kind = if (key, model) == (3, SONNET) || (key, model) == (7, HAIKU) {
            Kind::CacheWrite1h
        } else {
            Kind::CacheWrite5m
        };
        used.update(write_kind, |count| *count = write);

        let over = caches && input + read + write > LONG;
        let hint = Hint {
            variant: over.then_some(Variant { long_context: true, ..metered_variant }),
            one_hour_cache: false,
        };
        let date = self.plan.first + Days::new(day);
        let name = self.models[model];
        let estimate: Atto = metered_usage
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| self.told(model, Sku { kind, variant: metered_variant }).times(count))
            .sum();
        let mut truth = Atto::ZERO;
        for (kind, count) in used.iter().filter(|(_, count)| *count > 0) {
            let metered_kind = if kind == write_kind { Kind::CacheWrite5m } else { kind };
            let cell = Cell { day, place, model, sku: Sku { kind, variant } };
            let before = metered_usage.of(metered_kind);
            let sku = Sku { kind: metered_kind, variant: metered_variant };
            self.explain(date, cell, sku, before, count);
            let gross = charged(model, cell.sku, day).times(count);
            let gross = if self.is_odd(&cell, account) { Atto(gross.0 * 113 / 100) } else { gross };
            let net = Atto(gross.0 * NET.0 / NET.1);
            truth += net;
            self.causes.add(date, name, Code::Discount, net - gross);
            if is_billed {
                let sum = self.bill.entry(cell).or_default();
                sum.tokens += count;
                sum.charged += charged(model, cell.sku, day).times(count).0;
            } else {
                self.causes.add(date, name, Code::Lag, -net);
            }
        }
        let metered = MeteredCall {
            day: date,
            place: if self.plan.named { place } else { Place { region: place.region, ..Place::default() } },
            model: name,
            lane: self.names.of(&format!("key-{key}")),
            route: if self.plan.named { Name::NONE } else { self.names.of(&format!("connection-{account}")) },
            variant: metered_variant,
            hint,
            certainty,
            usage: metered_usage,
            estimate: Some(estimate),
        };
        Call { metered, truth }
    }

    /// The price that the settler is told.
    fn told(&self, model: usize, sku: Sku) -> Atto {
        self.catalogue.per_unit(self.models[model], sku, self.plan.first).unwrap()
    }

    fn is_odd(&self, cell: &Cell, account: usize) -> bool {
        cell.sku.kind == Kind::Output
            && cell.sku.variant == Variant::default()
            && self.odd.contains(&(cell.day, account, cell.model))
    }

    /// Why this many tokens cost something else than what was estimated for them: the causes, one after the other, as
    /// the product's plan orders them, at the prices of the catalogue.
    fn explain(&mut self, date: NaiveDate, cell: Cell, metered: Sku, before: u64, count: u64) {
        let (model, name) = (cell.model, self.models[cell.model]);
        let (one, two) = (self.told(model, metered).times(before), self.told(model, metered).times(count));
        self.causes.add(date, name, Code::AbortedStreams, two - one);
        let mut sku = metered;
        let mut last = two;
        let mut respects = [Code::CacheTtl, Code::Tier, Code::Routing, Code::LongContext].into_iter();
        let steps: [fn(&mut Sku, Sku); 4] = [
            |sku, to| sku.kind = to.kind,
            |sku, to| sku.variant.tier = to.variant.tier,
            |sku, to| sku.variant.routing = to.variant.routing,
            |sku, to| sku.variant.long_context = to.variant.long_context,
        ];
        for step in steps {
            step(&mut sku, cell.sku);
            let next = self.told(model, sku).times(count);
            self.causes.add(date, name, respects.next().unwrap(), next - last);
            last = next;
        }
        let true_list = list(model, cell.sku).times(count);
        self.causes.add(date, name, Code::UnitChange, true_list - last);
        let gross = charged(model, cell.sku, cell.day).times(count);
        let code = if model == GPT_OSS { Code::Discount } else { Code::Price };
        self.causes.add(date, name, code, gross - true_list);
        let account = ACCOUNTS.iter().position(|(id, _)| self.names.of(id) == cell.place.account).unwrap();
        if self.is_odd(&cell, account) {
            self.causes.add(date, name, Code::Unknown, Atto(gross.0 * 13 / 100));
        }
    }

    /// People and programs that call the models themselves.
    fn shadow(&mut self) {
        let days = if self.plan.open { self.plan.days - 3 } else { self.plan.days };
        let users = [
            (0, "alice", SONNET, Tier::Standard),
            (1, "notebook", HAIKU, Tier::Standard),
            (2, "nightly", NOVA_PRO, Tier::Batch),
            (0, "legacy-app", LLAMA, Tier::Standard),
        ];
        // About a fifth of what goes through the proxy.
        let scale = (self.plan.calls as u64) / self.plan.days;
        for day in 0..days {
            for (account, user, model, tier) in users {
                if self.chance.one_in(4) {
                    continue;
                }
                let (id, _) = ACCOUNTS[account];
                let mut place = self.gateway(account);
                if self.plan.principals {
                    place.principal = self.names.of(&format!("arn:aws:iam::{id}:user/{user}"));
                }
                self.use_directly(day, place, model, tier, scale);
            }
            // And somebody borrowed the gateway's own role.
            let place = self.gateway(1);
            self.use_directly(day, place, NOVA_PRO, Tier::Batch, scale / 4);
        }
    }

    fn use_directly(&mut self, day: u64, place: Place, model: usize, tier: Tier, scale: u64) {
        let variant = Variant { tier, ..Variant::default() };
        let date = self.plan.first + Days::new(day);
        for (kind, per_call) in [(Kind::FreshInput, 400), (Kind::Output, 90)] {
            let tokens = scale * per_call * self.chance.between(50, 150) / 100;
            let cell = Cell { day, place, model, sku: Sku { kind, variant } };
            let gross = charged(model, cell.sku, day).times(tokens);
            let sum = self.bill.entry(cell).or_default();
            sum.tokens += tokens;
            sum.charged += gross.0;
            let mut net = gross.0;
            let account = ACCOUNTS.iter().position(|(id, _)| self.names.of(id) == place.account).unwrap();
            if self.is_odd(&cell, account) {
                net = net * 113 / 100;
            }
            let net = Atto(net * NET.0 / NET.1);
            self.causes.add(date, self.models[model], Code::Unproxied, net);
        }
    }

    fn facts(&mut self) -> Vec<DailyFact> {
        let bill = std::mem::take(&mut self.bill);
        let mut facts = Vec::new();
        for (cell, sum) in bill {
            let account =
                ACCOUNTS.iter().position(|(id, _)| self.names.of(id) == cell.place.account).unwrap();
            let charged = if self.is_odd(&cell, account) { sum.charged * 113 / 100 } else { sum.charged };
            let gross = Decimal::from_i128_with_scale(charged, 18).round_dp(10);
            let net = Decimal::from_i128_with_scale(charged * NET.0 / NET.1, 18).round_dp(10);
            let mut fact = self.fact(cell, "Usage");
            fact.tokens = Some(Decimal::from(sum.tokens));
            fact.usage_quantity = Decimal::from(sum.tokens) / Decimal::from(1_000_000);
            fact.unblended = gross;
            fact.net_unblended = net;
            fact.amortised = Some(gross);
            if self.plan.discount_lines {
                let mut discount = self.fact(cell, "EdpDiscount");
                discount.unblended = net - gross;
                facts.push(discount);
            }
            facts.push(fact);
        }
        let cell = Cell {
            day: 0,
            place: self.gateway(0),
            model: SONNET,
            sku: Sku { kind: Kind::Output, variant: Variant::default() },
        };
        for (line, amount, code) in
            [("Tax", "31.27", Code::Tax), ("Credit", "-120.5", Code::Credit), ("Fee", "60", Code::Unmetered)]
        {
            let mut fact = self.fact(cell, line);
            fact.class = Arc::new(Classification { verdict: Verdict::Ai, ..Classification::not_ai() });
            fact.unblended = amount.parse().unwrap();
            fact.net_unblended = fact.unblended;
            fact.amortised = Some(fact.unblended);
            self.causes.add(self.plan.first, Name::NONE, code, Atto::of(fact.unblended).0);
            facts.push(fact);
        }
        facts
    }

    fn fact(&self, cell: Cell, line: &str) -> DailyFact {
        let text = |name: Name| -> Text { self.names.text(name).into() };
        let meter = match cell.sku.kind {
            Kind::FreshInput => Meter::FreshInput,
            Kind::CacheRead => Meter::CacheRead,
            Kind::CacheWrite5m => Meter::CacheWrite5m,
            Kind::CacheWrite30m => Meter::CacheWrite30m,
            Kind::CacheWrite1h => Meter::CacheWrite1h,
            _ => Meter::Output,
        };
        let class = Classification {
            verdict: Verdict::Ai,
            service: "bedrock".into(),
            category: Category::Inference,
            model: Some(MODELS[cell.model].0.to_owned()),
            meter,
            tier: cell.sku.variant.tier,
            routing: cell.sku.variant.routing,
            long_context: cell.sku.variant.long_context,
            tokens_per_unit: Some(1_000_000),
            ..Classification::not_ai()
        };
        DailyFact {
            day: self.plan.first + Days::new(cell.day),
            billing_account: "999999999999".into(),
            usage_account: text(cell.place.account),
            region: text(cell.place.region),
            billing_entity: "AWS".into(),
            product_code: "AmazonBedrock".into(),
            product_name: "".into(),
            usage_type: "".into(),
            operation: "".into(),
            principal: text(cell.place.principal),
            line_item_type: line.into(),
            currency: Currency::USD,
            class: Arc::new(class),
            pricing_unit: "1M tokens".into(),
            usage_quantity: Decimal::ZERO,
            tokens: None,
            unblended: Decimal::ZERO,
            net_unblended: Decimal::ZERO,
            amortised: Some(Decimal::ZERO),
            net_amortised: None,
            list: None,
            lines: 24,
        }
    }
}
