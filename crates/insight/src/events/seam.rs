//! Where today's rules of classification read what others read before: what is first behind the seam, and what only has
//! another name there.
//!
//! What today's rules named first is as new as everything is in a tenant's first days, and what was billed before under
//! another name, or none, is no news. Accounts, regions and principals are the bill's own names: of them only those are
//! learned anew that came with something of which nobody knows whether the rules of before would have read it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::without_region;

use super::first::{First, named};
use super::{Kind, learned};
use crate::anomalies::bill::is_use;

/// A product's code and name.
type Product<'a> = (&'a str, &'a str);
/// What was used of it, in whatever region.
type Usage<'a> = (Product<'a>, &'a str);
/// The same in one account and region.
type Placed<'a> = (Usage<'a>, &'a str, &'a str);

/// What is known of the facts behind a seam.
pub(super) struct Seam {
    /// What is first on this day or later is learned.
    known_from: NaiveDate,
    /// What today's rules call something that was billed before them.
    renamed: BTreeSet<First>,
    /// The first days of the bill's own names on something that the rules of before read.
    read: BTreeMap<First, NaiveDate>,
}

impl Seam {
    /// `since` is the first day that today's rules read.
    pub(super) fn of(facts: &[&DailyFact], since: NaiveDate) -> Self {
        let before = Before::of(facts, since);
        let mut seam = Self { known_from: learned(since), renamed: BTreeSet::new(), read: BTreeMap::new() };
        for fact in facts.iter().filter(|fact| is_use(fact)) {
            let was_read = fact.day < since || before.knows(fact);
            for first in named(fact) {
                if is_named_by_rules(first.0) {
                    if fact.day >= since && before.knows_as(first.0, fact) {
                        seam.renamed.insert(first);
                    }
                } else if was_read {
                    let day = seam.read.entry(first).or_insert(fact.day);
                    *day = fact.day.min(*day);
                }
            }
        }
        seam
    }

    /// Whether what is first on a day is so behind the seam and by whatever rules.
    pub(super) fn lets_through(&self, first: &First, day: NaiveDate) -> bool {
        if day >= self.known_from {
            !self.renamed.contains(first)
        } else {
            !is_named_by_rules(first.0) && self.read.get(first) == Some(&day)
        }
    }
}

/// What was billed before the seam.
struct Before<'a> {
    usages: BTreeSet<Usage<'a>>,
    placed: BTreeSet<Placed<'a>>,
    /// Products of which today's rules read everything by another usage type.
    renamed: BTreeSet<Product<'a>>,
}

impl<'a> Before<'a> {
    fn of(facts: &[&'a DailyFact], since: NaiveDate) -> Self {
        let mut before = Self { usages: BTreeSet::new(), placed: BTreeSet::new(), renamed: BTreeSet::new() };
        let mut after: BTreeSet<Usage<'a>> = BTreeSet::new();
        // Of a product whose every use had a name, other usage types are other uses.
        let mut unnamed: BTreeSet<Product<'a>> = BTreeSet::new();
        for fact in facts.iter().copied().filter(|fact| is_use(fact)) {
            let usage = usage(fact);
            if fact.day < since {
                before.usages.insert(usage);
                before.placed.insert(placed(fact));
                if fact.class.model.is_none() && fact.class.instance_type.is_none() {
                    unnamed.insert(usage.0);
                }
            } else {
                after.insert(usage);
            }
        }
        let survives: BTreeSet<Product<'a>> =
            after.intersection(&before.usages).map(|(product, _)| *product).collect();
        before.renamed = unnamed.difference(&survives).copied().collect();
        before
    }

    /// Whether the rules of before read the like of this.
    fn knows(&self, fact: &DailyFact) -> bool {
        let usage = usage(fact);
        self.usages.contains(&usage) || self.renamed.contains(&usage.0)
    }

    /// Whether they read what would be first of a kind. An endpoint is one account's in one region.
    fn knows_as(&self, kind: Kind, fact: &DailyFact) -> bool {
        let usage = usage(fact);
        let is_same = match kind {
            Kind::FirstEndpoint => self.placed.contains(&placed(fact)),
            _ => self.usages.contains(&usage),
        };
        is_same || self.renamed.contains(&usage.0)
    }
}

fn usage(fact: &DailyFact) -> Usage<'_> {
    let product: Product<'_> = (&fact.product_code, &fact.product_name);
    (product, without_region(&fact.usage_type))
}

fn placed(fact: &DailyFact) -> Placed<'_> {
    (usage(fact), &fact.usage_account, &fact.region)
}

/// Whether what is first is a name that the rules give, and none that the bill itself has.
const fn is_named_by_rules(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::NewService
            | Kind::NewModel
            | Kind::FirstProvisionedThroughput
            | Kind::FirstEndpoint
            | Kind::NewAccelerator
    )
}
