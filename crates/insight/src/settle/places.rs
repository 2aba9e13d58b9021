//! Where calls were billed that do not say whose they are: the proxy knows the way that a call went, and the bill the account
//! and principal that it came by.
//!
//! What goes one way is one credential's, and so one place's on the bill. Where the exact counts of some ways add up to
//! everything that a place was billed of a model on a day, in every kind of token at once, it was these. What was found so on
//! four days of five, of two at least, is believed of the days, too, whose own counts prove nothing, as far as the bill has
//! that place on them.

use chrono::NaiveDate;
use hashbrown::{HashMap, HashSet};

use super::balance::{Balance, Pool, Source, Vector};
use super::lanes::{add, subset, usual};
use super::meter::Place;
use super::names::Name;

/// Of more ways at once sums prove little, and a search for them takes long.
const MOST_ROUTES: usize = 16;

/// Gives sources whose place is open the place of their route: by the day's own counts, or else by what is usual.
pub(super) fn find(balance: &mut Balance, pools: &[((NaiveDate, Name), Pool)]) {
    let own: Vec<HashMap<Name, Place>> = pools.iter().map(|(_, pool)| proven(balance, pool)).collect();
    let mut found: HashMap<Name, HashMap<Place, u32>> = HashMap::new();
    for (route, place) in own.iter().flatten() {
        *found.entry(*route).or_default().entry(*place).or_default() += 1;
    }
    if found.is_empty() {
        return;
    }
    let places: HashMap<Name, Place> =
        found.into_iter().filter_map(|(route, places)| Some((route, usual(&places)?))).collect();
    for ((_, pool), own) in pools.iter().zip(own) {
        let billed = billed_places(balance, pool);
        for at in &pool.sources {
            if let Some(source) = balance.sources.get_mut(*at)
                && let Some(place) = own.get(&source.route).or_else(|| places.get(&source.route))
                && billed.contains(place)
                && source.place.agrees_with(*place)
            {
                source.place = *place;
            }
        }
    }
}

fn billed_places(balance: &Balance, pool: &Pool) -> HashSet<Place> {
    pool.sinks.iter().filter_map(|at| balance.sinks.get(*at)).map(|sink| sink.place).collect()
}

/// The routes whose places one day's counts of one model prove; none that they prove of two.
fn proven(balance: &Balance, pool: &Pool) -> HashMap<Name, Place> {
    let sources = || pool.sources.iter().filter_map(|at| balance.sources.get(*at));
    let billed = billed_places(balance, pool);
    let is_open = |source: &&Source| source.route.is_known() && !billed.contains(&source.place);
    let mut routes: HashMap<(Name, Place), Vector> = HashMap::new();
    for source in sources().filter(is_open).filter(|source| source.exact) {
        let counts = routes.entry((source.route, source.place)).or_default();
        add(counts, source.metered.kind.family(), source.quantity);
    }
    let mut billed: Vec<Place> = billed.into_iter().collect();
    billed.sort_unstable();
    let mut proven: HashMap<Name, Option<Place>> = HashMap::new();
    for place in billed {
        let mut near: Vec<(Name, Vector)> = routes
            .iter()
            .filter(|((_, of), _)| of.agrees_with(place))
            .map(|((route, _), counts)| (*route, *counts))
            .collect();
        if near.is_empty() || near.len() > MOST_ROUTES {
            continue;
        }
        near.sort_unstable();
        let (mut wanted, mut slack) = (Vector::default(), Vector::default());
        for sink in
            pool.sinks.iter().filter_map(|at| balance.sinks.get(*at)).filter(|sink| sink.place == place)
        {
            add(&mut wanted, sink.sku.kind.family(), sink.left);
            add(&mut slack, sink.sku.kind.family(), sink.slack);
        }
        // What estimates may be off by.
        for source in sources().filter(|source| !source.exact && source.place.agrees_with(place)) {
            add(&mut slack, source.metered.kind.family(), source.quantity.saturating_mul(2));
        }
        let counts: Vec<Vector> = near.iter().map(|(_, counts)| *counts).collect();
        let sum = subset(&counts, &wanted, &slack).unwrap_or_default();
        for (route, _) in sum.into_iter().filter_map(|at| near.get(at)) {
            proven.entry(*route).and_modify(|found| *found = None).or_insert(Some(place));
        }
    }
    proven.into_iter().filter_map(|(route, place)| Some((route, place?))).collect()
}
