//! What is paid for a person by the month, whether they use it or not.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, Days, NaiveDate};
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::{Category, is_usage};
use rust_decimal::Decimal;

use super::{Confidence, Kind, Recommendation, Window};

/// Whoever has had a seat for fewer days is still new to it.
const NEW: u64 = 14;
/// A bill may be late with so many days of a seat that is still held.
const LATE: u64 = 4;
/// How many names are told.
const MOST_NAMES: usize = 100;

/// The seat of one person.
#[derive(Default)]
struct Seat {
    days: BTreeMap<NaiveDate, Decimal>,
    /// Whether it was held before the window began.
    is_old: bool,
    is_used: bool,
}

impl Seat {
    /// Whether its fee comes on the first of each month, and not day by day.
    fn is_by_month(&self) -> bool {
        self.days.keys().all(|day| day.day() == 1)
    }

    /// What it was billed in the window. A fee by the month may lie in it twice, and counts once.
    fn billed(&self) -> Decimal {
        let count = if self.is_by_month() { 1 } else { self.days.len() };
        self.days.values().rev().take(count).sum()
    }

    /// What the days of the window cost: of a fee by the month their part of it.
    fn cost(&self, window: &Window<'_>) -> Decimal {
        let days = if self.is_by_month() {
            (window.to - window.from).num_days()
        } else {
            super::WINDOW.cast_signed()
        };
        self.billed() * Decimal::from(days) / Decimal::from(super::WINDOW)
    }

    fn is_idle(&self, window: &Window<'_>) -> bool {
        let newest = window.to - Days::new(LATE);
        let billed = if self.is_by_month() { newest.with_day(1).unwrap_or(newest) } else { newest };
        let is_held = self.days.keys().next_back().is_some_and(|last| *last >= billed);
        let is_old = self.days.keys().next().is_some_and(|first| *first + Days::new(NEW) <= window.to);
        is_held && (self.is_old || is_old) && !self.is_used && self.billed() > Decimal::ZERO
    }
}

/// Seats of a service in an account whose holders did nothing there that the bill shows, where it does show what most of the
/// holders did: what a seat includes is not on every bill.
pub(super) fn idle(window: &Window<'_>) -> Vec<Recommendation> {
    let mut services: BTreeMap<(&str, &str), BTreeMap<&str, Seat>> = BTreeMap::new();
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for fact in window.facts.iter().filter(|fact| names_somebody(fact)) {
        let (service, account, who) = whose(fact);
        if fact.class.category == Category::Seats {
            let seats = services.entry((service, account)).or_default();
            *seats.entry(who).or_default().days.entry(fact.day).or_default() += fact.spread_cost();
        } else if fact.usage_quantity > Decimal::ZERO {
            // Whatever account the bill puts it in.
            used.insert((service, who));
        }
    }
    let earlier: BTreeSet<_> = window
        .earlier
        .iter()
        .filter(|fact| names_somebody(fact) && fact.class.category == Category::Seats)
        .map(|fact| whose(fact))
        .collect();
    for ((service, account), seats) in &mut services {
        for (who, seat) in seats {
            seat.is_used = used.contains(&(service, who));
            seat.is_old = earlier.contains(&(service, account, who));
        }
    }
    // How many there are, and how many of them are used.
    let mut of_services: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for ((service, _), seats) in &services {
        let (all, used) = of_services.entry(service).or_default();
        *all += seats.len();
        *used += seats.values().filter(|seat| seat.is_used).count();
    }
    services
        .iter()
        .filter(|((service, _), _)| of_services.get(service).is_some_and(|(all, used)| used * 2 >= *all))
        .filter_map(|((service, account), seats)| of_account(window, service, account, seats))
        .collect()
}

fn names_somebody(fact: &DailyFact) -> bool {
    is_usage(&fact.line_item_type) && !fact.principal.is_empty()
}

/// The service, the account and the person.
fn whose(fact: &DailyFact) -> (&str, &str, &str) {
    (&fact.class.service, &fact.usage_account, &fact.principal)
}

fn of_account(
    window: &Window<'_>,
    service: &str,
    account: &str,
    seats: &BTreeMap<&str, Seat>,
) -> Option<Recommendation> {
    let idle: Vec<(&str, &Seat)> =
        seats.iter().filter(|(_, seat)| seat.is_idle(window)).map(|(who, seat)| (*who, seat)).collect();
    if idle.is_empty() {
        return None;
    }
    let saving: Decimal = idle.iter().map(|(_, seat)| seat.cost(window)).sum();
    let billed: Decimal = idle.iter().map(|(_, seat)| seat.billed()).sum();
    let cost: Decimal = seats.values().map(|seat| seat.cost(window)).sum();
    let filter = [
        ("usage_account", account.to_owned()),
        ("service", service.to_owned()),
        ("category", Category::Seats.as_str().to_owned()),
    ];
    let figures = [
        ("seats", Decimal::from(seats.len())),
        ("idle_seats", Decimal::from(idle.len())),
        ("cost_idle", billed),
    ];
    let assumption = "what these people do is on the bill, as it is for most who have a seat";
    let mut evidence = window.evidence(filter, figures, Some(assumption));
    evidence.who = idle.iter().take(MOST_NAMES).map(|(who, _)| (*who).to_owned()).collect();
    let subject = format!("{service} seats of {account}");
    Some(window.recommend(Kind::IdleSeats, subject, (saving, cost), Confidence::Low, evidence))
}
