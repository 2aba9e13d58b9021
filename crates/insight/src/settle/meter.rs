//! The proxy's side: calls added up to bundles of calls that a bill cannot tell apart.

use chrono::NaiveDate;
use hashbrown::{HashMap, HashSet};

use super::atto::Atto;
use super::names::Name;
use super::sku::{Quantities, Variant};

/// Where something was used, and by whom. What nobody said agrees with everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The account that used it.
    pub account: Name,
    /// The region.
    pub region: Name,
    /// The principal that the bill names.
    pub principal: Name,
}

impl Place {
    /// Whether both may be the same.
    pub(super) const fn agrees_with(self, other: Self) -> bool {
        self.account.agrees_with(other.account)
            && self.region.agrees_with(other.region)
            && self.principal.agrees_with(other.principal)
    }
}

/// How sure the proxy is of what a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// The provider counted.
    #[default]
    Exact,
    /// The provider counted what went in; what came out is an estimate.
    OutputEstimated,
    /// All of it is an estimate.
    Estimated,
}

/// What a call's own marks say of how it may have been served, where the meter did not take it into the price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hint {
    /// The tier, route and context price to expect instead of the metered ones.
    pub variant: Option<Variant>,
    /// The cache's lifetime of an hour was asked for.
    pub one_hour_cache: bool,
}

/// One proxied call.
#[derive(Clone, Copy, Debug)]
pub struct MeteredCall {
    /// The UTC day.
    pub day: NaiveDate,
    /// Where it went.
    pub place: Place,
    /// The model in the common spelling.
    pub model: Name,
    /// Whose it is: what settled costs are told apart by, a key and a connection say. Calls of one lane behave alike.
    pub lane: Name,
    /// Which way they went, by one credential: what one place on the bill is charged for. Nothing where calls name their
    /// place themselves, or nobody knows.
    pub route: Name,
    /// Tier, route and context price as metered.
    pub variant: Variant,
    /// What else is known.
    pub hint: Hint,
    /// How sure the usage is.
    pub certainty: Certainty,
    /// What it used.
    pub usage: Quantities,
    /// What it was estimated to cost; `None` where no price was known.
    pub estimate: Option<Atto>,
}

/// What calls of one bundle have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BundleKey {
    /// See [`MeteredCall::day`].
    pub day: NaiveDate,
    /// See [`MeteredCall::place`].
    pub place: Place,
    /// See [`MeteredCall::model`].
    pub model: Name,
    /// See [`MeteredCall::lane`].
    pub lane: Name,
    /// Which way they went, see [`MeteredCall::route`].
    pub route: Name,
    /// See [`MeteredCall::variant`].
    pub variant: Variant,
    /// See [`MeteredCall::hint`].
    pub hint: Hint,
    /// See [`MeteredCall::certainty`].
    pub certainty: Certainty,
}

impl From<&MeteredCall> for BundleKey {
    fn from(call: &MeteredCall) -> Self {
        Self {
            day: call.day,
            place: call.place,
            model: call.model,
            lane: call.lane,
            route: call.route,
            variant: call.variant,
            hint: call.hint,
            certainty: call.certainty,
        }
    }
}

/// Calls that nothing on a bill tells apart, added up.
#[derive(Clone, Copy, Debug)]
pub struct Bundle {
    /// What they have in common.
    pub key: BundleKey,
    /// How many they are.
    pub calls: u64,
    /// How many of them had no price.
    pub unpriced: u64,
    /// What they used.
    pub usage: Quantities,
    /// What they were estimated to cost, unpriced ones at nothing.
    pub estimate: Atto,
}

/// The number of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId(pub(super) u32);

impl BundleId {
    pub(super) fn at(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Adds calls up.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    by_key: HashMap<BundleKey, BundleId>,
    bundles: Vec<Bundle>,
}

impl Meter {
    /// Adds one call and tells its bundle.
    pub fn add(&mut self, call: &MeteredCall) -> BundleId {
        let one = Bundle {
            key: call.into(),
            calls: 1,
            unpriced: u64::from(call.estimate.is_none()),
            usage: call.usage,
            estimate: call.estimate.unwrap_or_default(),
        };
        self.add_bundle(&one)
    }

    /// Adds calls that were added up elsewhere, by a database say.
    pub fn add_bundle(&mut self, more: &Bundle) -> BundleId {
        let next = BundleId(u32::try_from(self.bundles.len()).unwrap_or(u32::MAX));
        let id = *self.by_key.entry(more.key).or_insert(next);
        match self.bundles.get_mut(id.at()) {
            Some(bundle) => {
                bundle.calls += more.calls;
                bundle.unpriced += more.unpriced;
                bundle.estimate += more.estimate;
                for (kind, quantity) in more.usage.iter() {
                    if quantity > 0 {
                        bundle.usage.update(kind, |sum| *sum = sum.saturating_add(quantity));
                    }
                }
            }
            None => self.bundles.push(*more),
        }
        id
    }

    /// The bundle of calls with this in common.
    #[must_use]
    pub fn find(&self, key: &BundleKey) -> Option<BundleId> {
        self.by_key.get(key).copied()
    }

    /// Every bundle, by its number.
    pub fn bundles(&self) -> impl Iterator<Item = (BundleId, &Bundle)> {
        (0..).map(BundleId).zip(&self.bundles)
    }

    /// The regions of all bundles.
    #[must_use]
    pub fn regions(&self) -> HashSet<Name> {
        self.bundles.iter().map(|bundle| bundle.key.place.region).collect()
    }

    /// One bundle.
    #[must_use]
    pub fn bundle(&self, id: BundleId) -> Option<&Bundle> {
        self.bundles.get(id.at())
    }
}
