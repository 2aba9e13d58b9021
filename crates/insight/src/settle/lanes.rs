//! Which lanes were billed as something else than they were metered as: counts of tokens are fingerprints.
//!
//! Where a bill has tokens of a tier that nobody metered, and the tokens of some lanes add up to exactly those in every
//! kind at once, it was these lanes. What a lane was found to do on most days it is expected to do on the others.

use chrono::NaiveDate;
use costlens_domain::settlement::MatchConfidence;
use hashbrown::{HashMap, HashSet};

use super::balance::{Balance, Pool, Vector, billed_by_variant, family_at};
use super::names::Name;
use super::sku::{Family, Kind, Variant};

/// How many combinations of lanes one search looks at.
const SEARCH: u32 = 20_000;
/// Fewer tokens than this may agree by chance.
const TELLING: u64 = 1_000;
/// A habit is believed after so many days.
const DAYS: u32 = 2;

const WRITES: [Kind; 3] = [Kind::CacheWrite5m, Kind::CacheWrite30m, Kind::CacheWrite1h];

/// What lanes were found to do, by model and by what they were metered as.
#[derive(Debug, Default)]
pub(super) struct Habits {
    variants: HashMap<(Name, Name, Variant), HashMap<Variant, u32>>,
    lifetimes: HashMap<(Name, Name, Kind), HashMap<Kind, u32>>,
}

/// One lane's exactly counted tokens that were metered alike in one place on one day.
struct Strand {
    lane: Name,
    sources: Vec<usize>,
    vector: Vector,
}

impl Habits {
    /// Finds what counts prove, marks the sources that it is proven of, and remembers it.
    pub(super) fn learn(balance: &mut Balance, pools: &[((NaiveDate, Name), Pool)]) -> Self {
        let mut habits = Self::default();
        for ((_, model), pool) in pools {
            let exact: Vec<usize> = pool
                .sources
                .iter()
                .copied()
                .filter(|at| balance.sources.get(*at).is_some_and(|source| source.exact))
                .collect();
            for (sources, sinks) in balance.same_places(&exact, &pool.sinks) {
                let slack = slack(balance, pool, &sources, &sinks);
                habits.learn_variants(balance, *model, &sources, &sinks, &slack);
                habits.learn_lifetimes(balance, *model, &sources, &sinks, &slack);
            }
        }
        habits
    }

    fn learn_variants(
        &mut self,
        balance: &mut Balance,
        model: Name,
        sources: &[usize],
        sinks: &[usize],
        slack: &Vector,
    ) {
        let billed = billed_by_variant(balance, sinks);
        let mut metered: HashMap<Variant, Vector> = HashMap::new();
        for source in sources.iter().filter_map(|at| balance.sources.get(*at)) {
            let vector = metered.entry(source.expected.variant).or_default();
            add(vector, source.metered.kind.family(), source.quantity);
        }
        let of = |variant: &Variant| {
            billed.iter().find(|(known, _)| known == variant).map(|(_, vector)| *vector).unwrap_or_default()
        };
        let short: Vec<Variant> = {
            let mut short: Vec<_> = metered
                .iter()
                .filter(|(variant, vector)| exceeds(vector, &of(variant), slack))
                .map(|(variant, _)| *variant)
                .collect();
            short.sort_unstable();
            short
        };
        for from in short {
            let surplus: Vec<(Variant, Vector)> = billed
                .iter()
                .filter(|(variant, _)| *variant != from)
                .map(|(variant, vector)| {
                    (*variant, minus(vector, &metered.get(variant).copied().unwrap_or_default()))
                })
                .filter(|(_, vector)| exceeds(vector, &Vector::default(), slack))
                .collect();
            if surplus.is_empty() {
                continue;
            }
            let mut strands = strands(balance, sources, |source| {
                source.metered.variant == from && source.expected.variant == from
            });
            let mut moved = Vec::new();
            for (to, wanted) in &surplus {
                let vectors: Vec<Vector> = strands.iter().map(|strand| strand.vector).collect();
                if let Some(found) = subset(&vectors, wanted, slack) {
                    moved.extend(take(&mut strands, &found).into_iter().map(|strand| (strand, *to)));
                }
            }
            if let ([(to, _)], true) = (surplus.as_slice(), moved.is_empty()) {
                // Somebody else's tokens may be among those of the other variant, but not among what stayed.
                let vectors: Vec<Vector> = strands.iter().map(|strand| strand.vector).collect();
                if let Some(stayed) = subset(&vectors, &of(&from), slack) {
                    let stayed = take(&mut strands, &stayed);
                    moved = std::mem::replace(&mut strands, stayed)
                        .into_iter()
                        .map(|strand| (strand, *to))
                        .collect();
                }
            }
            if moved.is_empty() {
                continue;
            }
            for strand in &strands {
                *self.variants.entry((strand.lane, model, from)).or_default().entry(from).or_default() += 1;
            }
            for (strand, to) in moved {
                *self.variants.entry((strand.lane, model, from)).or_default().entry(to).or_default() += 1;
                for at in strand.sources {
                    if let Some(source) = balance.sources.get_mut(at) {
                        source.expected.variant = to;
                        source.known = true;
                    }
                }
            }
        }
    }

    fn learn_lifetimes(
        &mut self,
        balance: &mut Balance,
        model: Name,
        sources: &[usize],
        sinks: &[usize],
        slack: &Vector,
    ) {
        let variants: HashSet<Variant> = sources
            .iter()
            .filter_map(|at| balance.sources.get(*at))
            .map(|source| source.expected.variant)
            .collect();
        let mut variants: Vec<Variant> = variants.into_iter().collect();
        variants.sort_unstable();
        let room = slack.get(family_at(Family::CacheWrite)).copied().unwrap_or_default();
        for variant in variants {
            for from in WRITES {
                let billed = |balance: &Balance, kind: Kind| -> u64 {
                    let of_kind = sinks.iter().filter_map(|at| balance.sinks.get(*at));
                    of_kind
                        .filter(|sink| sink.sku.variant == variant && sink.sku.kind == kind)
                        .map(|sink| sink.left)
                        .sum()
                };
                let metered = |balance: &Balance, kind: Kind| -> u64 {
                    let of_kind = sources.iter().filter_map(|at| balance.sources.get(*at));
                    of_kind
                        .filter(|source| source.expected.variant == variant && source.expected.kind == kind)
                        .map(|source| source.quantity)
                        .sum()
                };
                let stays = billed(balance, from);
                if metered(balance, from) <= stays + room {
                    continue;
                }
                let others = WRITES.into_iter().filter(|kind| *kind != from);
                let surplus: Vec<(Kind, u64)> = others
                    .map(|kind| (kind, billed(balance, kind).saturating_sub(metered(balance, kind))))
                    .filter(|(_, surplus)| *surplus > room)
                    .collect();
                let [(to, wanted)] = surplus.as_slice() else { continue };
                let mut strands = strands(balance, sources, |source| {
                    source.expected.variant == variant && source.expected.kind == from
                });
                let vectors: Vec<Vector> = strands.iter().map(|strand| strand.vector).collect();
                let only_writes = |tokens: u64| {
                    let mut vector = Vector::default();
                    add(&mut vector, Family::CacheWrite, tokens);
                    vector
                };
                let moved = match subset(&vectors, &only_writes(*wanted), slack) {
                    Some(found) => take(&mut strands, &found),
                    None => match subset(&vectors, &only_writes(stays), slack) {
                        Some(stayed) => {
                            let stayed = take(&mut strands, &stayed);
                            std::mem::replace(&mut strands, stayed)
                        }
                        None => continue,
                    },
                };
                for strand in &strands {
                    *self
                        .lifetimes
                        .entry((strand.lane, model, from))
                        .or_default()
                        .entry(from)
                        .or_default() += 1;
                }
                for strand in moved {
                    *self.lifetimes.entry((strand.lane, model, from)).or_default().entry(*to).or_default() +=
                        1;
                    for at in strand.sources {
                        if let Some(source) = balance.sources.get_mut(at) {
                            source.expected.kind = *to;
                            source.known = true;
                        }
                    }
                }
            }
        }
    }

    /// Expects of what its own counts do not prove what its lane does on other days.
    pub(super) fn expect(&self, balance: &mut Balance, pools: &[((NaiveDate, Name), Pool)]) {
        for ((_, model), pool) in pools {
            for at in &pool.sources {
                let Some(source) = balance.sources.get_mut(*at).filter(|source| !source.known) else {
                    continue;
                };
                let metered = source.metered;
                // Beside what a call's own marks say: a lane's habit is about the respects that they leave open.
                if let Some(usual) =
                    self.variants.get(&(source.lane, *model, metered.variant)).and_then(usual)
                {
                    let expected = &mut source.expected.variant;
                    if expected.tier == metered.variant.tier {
                        expected.tier = usual.tier;
                    }
                    if expected.routing == metered.variant.routing {
                        expected.routing = usual.routing;
                    }
                    expected.long_context |= usual.long_context;
                }
                if source.expected.kind == metered.kind {
                    let kind = self.lifetimes.get(&(source.lane, *model, metered.kind)).and_then(usual);
                    source.expected.kind = kind.unwrap_or(metered.kind);
                }
                if source.expected != metered {
                    source.confidence = source.confidence.max(MatchConfidence::Likely);
                }
            }
        }
    }
}

/// What was found on four days of five, of two at least.
pub(super) fn usual<T: Copy + Ord>(found: &HashMap<T, u32>) -> Option<T> {
    let all: u32 = found.values().sum();
    let (most, days) = found.iter().max_by_key(|(value, days)| (**days, **value))?;
    (*days >= DAYS && days * 5 >= all * 4).then_some(*most)
}

fn strands(
    balance: &Balance,
    sources: &[usize],
    is_wanted: impl Fn(&super::balance::Source) -> bool,
) -> Vec<Strand> {
    let mut by_lane: HashMap<Name, Strand> = HashMap::new();
    for at in sources {
        let Some(source) = balance.sources.get(*at).filter(|source| is_wanted(source)) else { continue };
        let strand = by_lane.entry(source.lane).or_insert_with(|| Strand {
            lane: source.lane,
            sources: Vec::new(),
            vector: Vector::default(),
        });
        strand.sources.push(*at);
        add(&mut strand.vector, source.metered.kind.family(), source.quantity);
    }
    let mut strands: Vec<Strand> = by_lane.into_values().collect();
    // The heaviest first: a search that takes them first ends soonest.
    strands.sort_by_key(|strand| (std::cmp::Reverse(strand.vector.iter().sum::<u64>()), strand.lane));
    strands
}

/// Takes the strands at these places out.
fn take(strands: &mut Vec<Strand>, at: &[usize]) -> Vec<Strand> {
    let (mut taken, mut rest) = (Vec::new(), Vec::new());
    for (place, strand) in std::mem::take(strands).into_iter().enumerate() {
        if at.contains(&place) { taken.push(strand) } else { rest.push(strand) }
    }
    *strands = rest;
    taken
}

/// By how much sums of each family may differ and still be the same: the rounding of counts, and what estimates in the
/// same place may be off by.
fn slack(balance: &Balance, pool: &Pool, sources: &[usize], sinks: &[usize]) -> Vector {
    let rounding = sinks.iter().filter_map(|at| balance.sinks.get(*at)).map(|sink| sink.slack).max();
    let mut slack = [rounding.unwrap_or_default(); 7];
    let place = sources.first().and_then(|at| balance.sources.get(*at)).map(|source| source.place);
    let of_place = |source: &&super::balance::Source| Some(source.place) == place && !source.exact;
    for source in pool.sources.iter().filter_map(|at| balance.sources.get(*at)).filter(of_place) {
        add(&mut slack, source.metered.kind.family(), source.quantity.saturating_mul(2));
    }
    slack
}

pub(super) fn add(vector: &mut Vector, family: Family, quantity: u64) {
    if let Some(sum) = vector.get_mut(family_at(family)) {
        *sum = sum.saturating_add(quantity);
    }
}

fn minus(one: &Vector, other: &Vector) -> Vector {
    let mut rest = *one;
    for (rest, other) in rest.iter_mut().zip(other) {
        *rest = rest.saturating_sub(*other);
    }
    rest
}

fn exceeds(one: &Vector, other: &Vector, slack: &Vector) -> bool {
    one.iter().zip(other).zip(slack).any(|((one, other), slack)| *one > other.saturating_add(*slack))
}

/// The vectors whose sum is the wanted one, but for the slack in each part. `None` where there are none or several such
/// sets, where the search grew too long, or where so few tokens prove nothing.
pub(super) fn subset(vectors: &[Vector], wanted: &Vector, slack: &Vector) -> Option<Vec<usize>> {
    if !exceeds(wanted, &Vector::default(), slack) {
        return Some(Vec::new());
    }
    // Only what is told apart by more than the slack tells anything.
    let telling = wanted.iter().zip(slack).filter(|(wanted, slack)| *wanted > *slack);
    if telling.map(|(wanted, slack)| wanted - slack).sum::<u64>() < TELLING {
        return None;
    }
    // What the vectors from each place on have together.
    let mut rest = vec![Vector::default(); vectors.len() + 1];
    for at in (0..vectors.len()).rev() {
        let mut sum = rest.get(at + 1).copied()?;
        for (sum, part) in sum.iter_mut().zip(vectors.get(at)?) {
            *sum = sum.saturating_add(*part);
        }
        *rest.get_mut(at)? = sum;
    }
    let mut search =
        Search { vectors, rest: &rest, wanted, slack, steps: SEARCH, taken: Vec::new(), found: Vec::new() };
    search.from(0, Vector::default());
    match search.found.as_slice() {
        [only] if search.steps > 0 => Some(only.clone()),
        _ => None,
    }
}

struct Search<'a> {
    vectors: &'a [Vector],
    rest: &'a [Vector],
    wanted: &'a Vector,
    slack: &'a Vector,
    steps: u32,
    taken: Vec<usize>,
    found: Vec<Vec<usize>>,
}

impl Search<'_> {
    fn from(&mut self, at: usize, sum: Vector) {
        if self.steps == 0 || self.found.len() > 1 || exceeds(&sum, self.wanted, self.slack) {
            return;
        }
        self.steps -= 1;
        let (Some(next), Some(rest)) = (self.vectors.get(at), self.rest.get(at)) else {
            if !exceeds(self.wanted, &sum, self.slack) {
                self.found.push(self.taken.clone());
            }
            return;
        };
        let mut most = sum;
        for (most, rest) in most.iter_mut().zip(rest) {
            *most = most.saturating_add(*rest);
        }
        if exceeds(self.wanted, &most, self.slack) {
            return;
        }
        let mut with = sum;
        for (with, part) in with.iter_mut().zip(next) {
            *with = with.saturating_add(*part);
        }
        self.taken.push(at);
        self.from(at + 1, with);
        self.taken.pop();
        self.from(at + 1, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(input: u64, output: u64) -> Vector {
        let mut vector = Vector::default();
        add(&mut vector, Family::FreshInput, input);
        add(&mut vector, Family::Output, output);
        vector
    }

    #[test]
    fn lanes_are_found_by_their_sum_in_every_family() {
        let lanes = [two(90_001, 4_000), two(50_000, 7_001), two(50_000, 3_333), two(1_234, 99)];
        assert_eq!(subset(&lanes, &two(51_234, 3_432), &[0; 7]), Some(vec![2, 3]));
        assert_eq!(subset(&lanes, &two(51_234, 3_431), &[0; 7]), None);
        assert_eq!(subset(&lanes, &two(51_236, 3_431), &[2; 7]), Some(vec![2, 3]));
        assert_eq!(subset(&lanes, &two(0, 0), &[0; 7]), Some(vec![]));
        assert_eq!(subset(&lanes, &two(999, 0), &[10; 7]), None);
    }

    #[test]
    fn where_two_sets_of_lanes_fit_neither_is_believed() {
        let lanes = [two(50_000, 4_000), two(50_000, 4_000), two(7_000, 900)];
        assert_eq!(subset(&lanes, &two(50_000, 4_000), &[0; 7]), None);
        assert_eq!(subset(&lanes, &two(100_000, 8_000), &[0; 7]), Some(vec![0, 1]));
    }

    #[test]
    fn a_search_without_end_gives_up() {
        let lanes: Vec<Vector> = (0..200).map(|n| two(1_000_000 + n * 7, 1_000_000 + n * 13)).collect();
        assert_eq!(subset(&lanes, &two(100_000_003, 100_000_007), &[0; 7]), None);
    }
}
