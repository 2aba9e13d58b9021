//! Which billed tokens are which calls': balances of tokens, day by day and model by model.
//!
//! What the proxy counted exactly is matched first, where account, region and principal are the same (as calls say, or as is
//! found of their routes), to what it was
//! metered as (or, by its marks and its lane's habits, is expected to be billed as), then to what differs in as few
//! respects as possible; then what is left, wherever the places at least do not contradict. Usage that was only
//! estimated takes what then remains, within reason. Nobody's tokens are whatever is left on the bill.

use chrono::NaiveDate;
use costlens_domain::settlement::MatchConfidence;
use hashbrown::HashMap;

use super::atto::split_count;
use super::billed::BilledRow;
use super::lanes::{self, Habits};
use super::meter::{BundleId, Certainty, Meter, Place};
use super::names::Name;
use super::places;
use super::sku::{Family, Kind, Sku, Variant};

/// Tokens of one kind of one bundle, on their way to the bill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) bundle: BundleId,
    pub(super) place: Place,
    pub(super) lane: Name,
    pub(super) route: Name,
    /// The region that its calls were listed by, whatever place is found of them.
    pub(super) listed_in: Name,
    pub(super) metered: Sku,
    pub(super) expected: Sku,
    pub(super) exact: bool,
    pub(super) calls: u64,
    pub(super) certainty: Certainty,
    /// As metered.
    pub(super) quantity: u64,
    /// Not matched yet.
    pub(super) left: u64,
    /// Whether its own counts say what it was billed as.
    pub(super) known: bool,
    /// Whether it fell short because the day is not billed to its end.
    pub(super) late: bool,
    pub(super) confidence: MatchConfidence,
}

/// A row's tokens that nobody has yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sink {
    pub(super) row: usize,
    pub(super) place: Place,
    pub(super) sku: Sku,
    pub(super) left: u64,
    pub(super) slack: u64,
}

/// So many tokens of a source are in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) source: usize,
    pub(super) row: usize,
    pub(super) quantity: u64,
}

/// All matches.
#[derive(Debug, Default)]
pub(super) struct Balance {
    pub(super) sources: Vec<Source>,
    pub(super) sinks: Vec<Sink>,
    pub(super) flows: Vec<Flow>,
}

/// The indices of one day's sources and sinks of one model.
#[derive(Debug, Default)]
pub(super) struct Pool {
    pub(super) sources: Vec<usize>,
    pub(super) sinks: Vec<usize>,
}

impl Balance {
    pub(super) fn of(
        meter: &Meter,
        rows: &[BilledRow],
        takes_part: impl Fn(BundleId) -> bool,
        complete_through: NaiveDate,
    ) -> Self {
        let mut balance = Self::default();
        let mut pools: HashMap<(NaiveDate, Name), Pool> = HashMap::new();
        for (id, bundle) in meter.bundles().filter(|(id, _)| takes_part(*id)) {
            for (kind, quantity) in bundle.usage.iter().filter(|(_, quantity)| *quantity > 0) {
                let source = source_of(id, &bundle.key, bundle.calls, kind, quantity);
                let pool = pools.entry((bundle.key.day, bundle.key.model)).or_default();
                pool.sources.push(balance.sources.len());
                balance.sources.push(source);
            }
        }
        for (at, row) in rows.iter().enumerate() {
            let Some(quantity) = row.quantity.filter(|quantity| *quantity > 0) else { continue };
            let pool = pools.entry((row.day, row.model)).or_default();
            pool.sinks.push(balance.sinks.len());
            let slack = row.lines.max(quantity / 1_000_000);
            balance.sinks.push(Sink { row: at, place: row.place, sku: row.sku, left: quantity, slack });
        }
        let mut pools: Vec<((NaiveDate, Name), Pool)> = pools.into_iter().collect();
        pools.sort_by_key(|(key, _)| *key);
        places::find(&mut balance, &pools);
        let habits = Habits::learn(&mut balance, &pools);
        habits.expect(&mut balance, &pools);
        let ranks = Ranks::of(&balance, &pools);
        let (complete, late): (Vec<_>, Vec<_>) =
            pools.iter().partition(|((day, _), _)| *day <= complete_through);
        for ((_, model), pool) in complete {
            balance.match_pool(pool, false, &ranks, *model);
        }
        balance.expect_the_usual(&pools);
        for ((_, model), pool) in late {
            balance.match_pool(pool, true, &ranks, *model);
        }
        balance
    }

    /// Expects of the days that the bill has not to their end what became of the same calls on the others. A mark that
    /// the bill never heeded is not heeded either.
    fn expect_the_usual(&mut self, pools: &[((NaiveDate, Name), Pool)]) {
        type Of = (Name, Name, Sku, Sku);
        let mut model_of = vec![Name::NONE; self.sources.len()];
        for ((_, model), pool) in pools {
            for at in &pool.sources {
                if let Some(of) = model_of.get_mut(*at) {
                    *of = *model;
                }
            }
        }
        let key = |at: usize, source: &Source, with_lane: bool| -> Of {
            let lane = if with_lane { source.lane } else { Name::NONE };
            let model = model_of.get(at).copied().unwrap_or_default();
            (model, lane, source.metered, if source.known { source.metered } else { source.expected })
        };
        let sku_of: HashMap<usize, Sku> = self.sinks.iter().map(|sink| (sink.row, sink.sku)).collect();
        let mut seen: HashMap<Of, HashMap<Sku, u64>> = HashMap::new();
        for flow in &self.flows {
            let (Some(source), Some(sku)) = (self.sources.get(flow.source), sku_of.get(&flow.row)) else {
                continue;
            };
            for with_lane in [false, true] {
                let sum =
                    seen.entry(key(flow.source, source, with_lane)).or_default().entry(*sku).or_default();
                *sum = sum.saturating_add(flow.quantity);
            }
        }
        // Four tokens of five.
        let usual = |of: &Of| {
            let by_sku = seen.get(of)?;
            let all: u64 = by_sku.values().sum();
            let (sku, most) = by_sku.iter().max_by_key(|(sku, tokens)| (**tokens, **sku))?;
            (u128::from(*most) * 5 >= u128::from(all) * 4).then_some(*sku)
        };
        let usual: Vec<Option<Sku>> = (0..)
            .zip(&self.sources)
            .map(|(at, source)| usual(&key(at, source, true)).or_else(|| usual(&key(at, source, false))))
            .collect();
        for (source, usual) in self.sources.iter_mut().zip(usual) {
            if let Some(usual) = usual.filter(|_| source.left == source.quantity) {
                source.expected = usual;
            }
        }
    }

    fn match_pool(&mut self, pool: &Pool, is_late: bool, ranks: &Ranks, model: Name) {
        let exact: Vec<usize> = self.sources_where(&pool.sources, |source| source.exact);
        for (sources, sinks) in self.same_places(&exact, &pool.sinks) {
            self.pour(&sources, &sinks, is_late);
        }
        for (place, sinks) in self.by_place(&pool.sinks, ranks, model) {
            let sources = self.sources_where(&exact, |source| {
                source.left > 0 && source.place != place && source.place.agrees_with(place)
            });
            if !sources.is_empty() {
                self.pour(&sources, &sinks, is_late);
            }
        }
        if is_late {
            for at in &exact {
                if let Some(source) = self.sources.get_mut(*at) {
                    source.late = source.left > 0;
                }
            }
        }
        self.place_estimates(pool, is_late);
    }

    /// Estimated usage takes what exact usage left, kind by kind.
    fn place_estimates(&mut self, pool: &Pool, is_late: bool) {
        let estimated = self.sources_where(&pool.sources, |source| !source.exact);
        let mut alike: HashMap<(Place, Variant), Vec<usize>> = HashMap::new();
        for at in estimated {
            if let Some(source) = self.sources.get(at) {
                alike.entry((source.place, source.expected.variant)).or_default().push(at);
            }
        }
        let mut alike: Vec<_> = alike.into_iter().collect();
        alike.sort_by_key(|(both, _)| *both);
        for ((place, variant), estimated) in alike {
            // Something else in this place falls short: the day is not over on the bill.
            let short = is_late
                && pool.sources.iter().filter_map(|at| self.sources.get(*at)).any(|source| {
                    source.exact && source.left > source.quantity / 1_000 && source.place == place
                });
            let agrees = |at: &usize| self.sinks.get(*at).is_some_and(|sink| sink.place.agrees_with(place));
            let mut sinks: Vec<usize> = pool.sinks.iter().copied().filter(agrees).collect();
            // What is billed otherwise than these calls are expected to be is somebody else's, unless it is all there is.
            let is_expected =
                |at: &usize| self.sinks.get(*at).is_some_and(|sink| sink.sku.variant == variant);
            if sinks.iter().any(is_expected) {
                sinks.retain(is_expected);
            }
            let foreign = self.foreign(&sinks, &estimated);
            for family in Family::ALL {
                let of_family: Vec<usize> =
                    self.sources_where(&estimated, |source| source.metered.kind.family() == family);
                if of_family.is_empty() {
                    continue;
                }
                let open: u64 = self
                    .sinks_at(&sinks)
                    .filter(|sink| sink.sku.kind.family() == family)
                    .map(|sink| sink.left)
                    .sum();
                self.resize(&of_family, open, foreign, short);
                self.pour(&of_family, &sinks, true);
            }
        }
    }

    /// Whether somebody else's tokens are in these sinks, too: kinds that were all counted exactly are left over.
    fn foreign(&self, sinks: &[usize], estimated: &[usize]) -> bool {
        let uncertain = |family: Family| {
            estimated.iter().filter_map(|at| self.sources.get(*at)).any(|source| {
                source.metered.kind.family() == family || source.certainty == Certainty::Estimated
            })
        };
        self.sinks_at(sinks).any(|sink| !uncertain(sink.sku.kind.family()) && sink.left > sink.slack)
    }

    /// Sets what estimated sources of one family take of what is open.
    fn resize(&mut self, sources: &[usize], open: u64, foreign: bool, short: bool) {
        let metered: Vec<u64> =
            sources.iter().map(|at| self.sources.get(*at).map_or(0, |source| source.quantity)).collect();
        let whole: u64 = metered.iter().sum();
        let calls: u64 = sources.iter().filter_map(|at| self.sources.get(*at)).map(|one| one.calls).sum();
        let is_whole_call = sources
            .iter()
            .filter_map(|at| self.sources.get(*at))
            .any(|source| source.certainty == Certainty::Estimated);
        let bound =
            if is_whole_call { whole.saturating_mul(4) } else { whole.saturating_mul(16) + calls * 16_384 };
        // More than an estimate can be off by is somebody else's.
        let taken = if foreign || open > bound { open.min(whole) } else { open };
        let taken = if short { taken.min(whole) } else { taken };
        for (at, share) in sources.iter().zip(split_count(taken, &metered)) {
            if let Some(source) = self.sources.get_mut(*at) {
                source.left = share;
                source.late = short && share < source.quantity;
            }
        }
    }

    /// Matches sources with sinks, the likeliest pairs first; what several sources have an equal claim on is shared in
    /// the proportion of their tokens.
    fn pour(&mut self, sources: &[usize], sinks: &[usize], may_be_short: bool) {
        let mut pairs: Vec<(u32, usize, usize)> = Vec::new();
        for sink_at in sinks {
            let Some(sink) = self.sinks.get(*sink_at).filter(|sink| sink.left > 0) else { continue };
            for source_at in sources {
                let Some(source) = self.sources.get(*source_at).filter(|source| source.left > 0) else {
                    continue;
                };
                if source.metered.kind.family() == sink.sku.kind.family() {
                    pairs.push((effort(source, sink), *sink_at, *source_at));
                }
            }
        }
        pairs.sort_unstable();
        for claims in pairs.chunk_by(|one, next| (one.0, one.1) == (next.0, next.1)) {
            self.share(claims, may_be_short);
        }
    }

    fn share(&mut self, claims: &[(u32, usize, usize)], may_be_short: bool) {
        let Some((_, sink_at, _)) = claims.first().copied() else { return };
        let Some(sink) = self.sinks.get(sink_at).copied().filter(|sink| sink.left > 0) else { return };
        let left: Vec<u64> =
            claims.iter().map(|(.., at)| self.sources.get(*at).map_or(0, |source| source.left)).collect();
        let wanted: u64 = left.iter().sum();
        let claimants = left.iter().filter(|left| **left > 0).count();
        let scarce = wanted > sink.left + sink.slack && claimants > 1 && !may_be_short;
        let taken = wanted.min(sink.left);
        let shares = if taken == wanted { left } else { split_count(taken, &left) };
        for ((.., source_at), share) in claims.iter().zip(shares) {
            let Some(source) = self.sources.get_mut(*source_at).filter(|_| share > 0) else { continue };
            source.left -= share;
            if scarce {
                source.confidence = MatchConfidence::Shared;
            }
            self.flows.push(Flow { source: *source_at, row: sink.row, quantity: share });
        }
        if let Some(sink) = self.sinks.get_mut(sink_at) {
            sink.left -= taken;
        }
    }

    fn sources_where(&self, of: &[usize], is_wanted: impl Fn(&Source) -> bool) -> Vec<usize> {
        of.iter().copied().filter(|at| self.sources.get(*at).is_some_and(&is_wanted)).collect()
    }

    fn sinks_at<'a>(&'a self, at: &'a [usize]) -> impl Iterator<Item = &'a Sink> {
        at.iter().filter_map(|at| self.sinks.get(*at))
    }

    /// Sources and sinks of the very same place.
    pub(super) fn same_places(&self, sources: &[usize], sinks: &[usize]) -> Vec<(Vec<usize>, Vec<usize>)> {
        let mut places: HashMap<Place, (Vec<usize>, Vec<usize>)> = HashMap::new();
        for at in sources {
            if let Some(source) = self.sources.get(*at) {
                places.entry(source.place).or_default().0.push(*at);
            }
        }
        for at in sinks {
            if let Some(both) = self.sinks.get(*at).and_then(|sink| places.get_mut(&sink.place)) {
                both.1.push(*at);
            }
        }
        let mut places: Vec<_> = places.into_iter().filter(|(_, (_, sinks))| !sinks.is_empty()).collect();
        places.sort_by_key(|(place, _)| *place);
        places.into_iter().map(|(_, both)| both).collect()
    }

    /// Open sinks by place, the likeliest place of the model's calls first.
    fn by_place(&self, sinks: &[usize], ranks: &Ranks, model: Name) -> Vec<(Place, Vec<usize>)> {
        let mut places: HashMap<Place, Vec<usize>> = HashMap::new();
        for at in sinks {
            if let Some(sink) = self.sinks.get(*at).filter(|sink| sink.left > 0) {
                places.entry(sink.place).or_default().push(*at);
            }
        }
        let mut places: Vec<(Place, Vec<usize>)> = places.into_iter().collect();
        places.sort_by_key(|(place, _)| (ranks.of_place(model, *place), *place));
        places
    }
}

fn source_of(id: BundleId, key: &super::meter::BundleKey, calls: u64, kind: Kind, quantity: u64) -> Source {
    let metered = Sku { kind, variant: key.variant };
    let expected_kind = if kind.family() == Family::CacheWrite && key.hint.one_hour_cache {
        Kind::CacheWrite1h
    } else {
        kind
    };
    let expected = Sku { kind: expected_kind, variant: key.hint.variant.unwrap_or(key.variant) };
    let exact = match key.certainty {
        Certainty::Exact => true,
        Certainty::OutputEstimated => !kind.is_written(),
        Certainty::Estimated => false,
    };
    Source {
        bundle: id,
        place: key.place,
        lane: key.lane,
        route: key.route,
        listed_in: key.place.region,
        metered,
        expected,
        exact,
        calls,
        certainty: key.certainty,
        quantity,
        left: quantity,
        known: false,
        late: false,
        confidence: if expected == metered { MatchConfidence::Certain } else { MatchConfidence::Likely },
    }
}

/// In how many respects the bill differs from what is expected.
fn effort(source: &Source, sink: &Sink) -> u32 {
    u32::from(source.expected.kind != sink.sku.kind) + source.expected.variant.distance(sink.sku.variant)
}

/// Where calls do not say who made them, whose use on the bill is likest to theirs over all days.
struct Ranks(HashMap<(Name, Place), u64>);

impl Ranks {
    fn of(balance: &Balance, pools: &[((NaiveDate, Name), Pool)]) -> Self {
        // By model: what was metered in all; by place: the distance on its days, and what was metered on them.
        let mut whole: HashMap<Name, u64> = HashMap::new();
        let mut distances: HashMap<(Name, Place), (u64, u64)> = HashMap::new();
        let is_open = |place: Place| {
            !(place.account.is_known() && place.region.is_known() && place.principal.is_known())
        };
        for ((_, model), pool) in pools {
            let metered: u64 = pool
                .sources
                .iter()
                .filter_map(|at| balance.sources.get(*at))
                .filter(|source| is_open(source.place))
                .map(|source| source.quantity)
                .sum();
            if metered == 0 {
                continue;
            }
            *whole.entry(*model).or_default() += metered;
            let mut billed: HashMap<Place, u64> = HashMap::new();
            for sink in balance.sinks_at(&pool.sinks) {
                *billed.entry(sink.place).or_default() += sink.left;
            }
            for (place, billed) in billed {
                let (distance, present) = distances.entry((*model, place)).or_default();
                *distance = distance.saturating_add(billed.abs_diff(metered));
                *present += metered;
            }
        }
        let with_absence = |((model, place), (distance, present)): ((Name, Place), (u64, u64))| {
            let absent = whole.get(&model).copied().unwrap_or_default().saturating_sub(present);
            ((model, place), distance.saturating_add(absent))
        };
        Self(distances.into_iter().map(with_absence).collect())
    }

    fn of_place(&self, model: Name, place: Place) -> u64 {
        self.0.get(&(model, place)).copied().unwrap_or(u64::MAX)
    }
}

/// What a lane's tokens are by family.
pub(super) type Vector = [u64; 7];

pub(super) fn family_at(family: Family) -> usize {
    Family::ALL.iter().position(|known| *known == family).unwrap_or_default()
}

/// A variant and what is billed of it in one place.
pub(super) fn billed_by_variant(balance: &Balance, sinks: &[usize]) -> Vec<(Variant, Vector)> {
    let mut by_variant: HashMap<Variant, Vector> = HashMap::new();
    for sink in balance.sinks_at(sinks) {
        let vector = by_variant.entry(sink.sku.variant).or_default();
        lanes::add(vector, sink.sku.kind.family(), sink.left);
    }
    let mut by_variant: Vec<_> = by_variant.into_iter().collect();
    by_variant.sort_by_key(|(variant, _)| *variant);
    by_variant
}
