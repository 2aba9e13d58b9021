//! What is paid by the hour, whether it is used or not: throughput, endpoints, notebooks, accelerators, commitments.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, NaiveDate, Weekday};
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::{Category, Meter};
use rust_decimal::Decimal;

use super::inference::{is_provisioned, on_demand};
use super::{Confidence, Kind, Recommendation, Window};
use crate::events::first::is_endpoint;

/// Days that something must have run without a pause.
const DAYS: usize = 7;
const DAY: Decimal = Decimal::from_parts(24, 0, 0, false, 0);

/// What runs by the hour, in one account and region.
#[derive(Default)]
struct Running {
    days: BTreeMap<NaiveDate, (Decimal, Decimal)>,
}

impl Running {
    fn add(&mut self, fact: &DailyFact) {
        let day = self.days.entry(fact.day).or_default();
        day.0 += fact.usage_quantity;
        day.1 += fact.spread_cost();
    }

    fn cost(&self) -> Decimal {
        self.days.values().map(|(_, cost)| *cost).sum()
    }

    fn hours(&self) -> Decimal {
        self.days.values().map(|(hours, _)| *hours).sum()
    }

    /// The last days of the window on which at least one ran all day, counted back without a gap.
    fn whole_days(&self, window: &Window<'_>) -> usize {
        let is_whole = |back: &u64| {
            let day = window.to - chrono::Days::new(*back);
            day >= window.from && self.days.get(&day).is_some_and(|(hours, _)| *hours >= DAY)
        };
        (1..=super::WINDOW).take_while(is_whole).count()
    }

    /// How many ran at the least on every day of the window.
    fn floor(&self, window: &Window<'_>) -> Decimal {
        let length = usize::try_from((window.to - window.from).num_days()).unwrap_or_default();
        if self.days.len() < length {
            return Decimal::ZERO;
        }
        let least = self.days.values().map(|(hours, _)| *hours).min().unwrap_or_default();
        (least / DAY).floor()
    }
}

type Place = (String, String, String);

fn running(window: &Window<'_>, wanted: impl Fn(&DailyFact) -> bool) -> BTreeMap<Place, Running> {
    let mut all: BTreeMap<Place, Running> = BTreeMap::new();
    for fact in window.used().filter(|fact| wanted(fact)) {
        let Some(instance) = &fact.class.instance_type else { continue };
        let place = (fact.usage_account.to_string(), fact.region.to_string(), instance.clone());
        all.entry(place).or_default().add(fact);
    }
    all
}

fn place_filter((account, region, instance): &Place) -> [(&'static str, String); 3] {
    [("usage_account", account.clone()), ("region", region.clone()), ("instance_type", instance.clone())]
}

fn place_name((account, region, instance): &Place) -> String {
    format!("{instance} in {region} of {account}")
}

/// Endpoints that ran day and night while no byte went in or out of any endpoint of their account and region. Facts of
/// days name no single endpoint, so one that is called hides those beside it.
pub(super) fn idle_endpoints(window: &Window<'_>) -> Vec<Recommendation> {
    let called: BTreeSet<(&str, &str)> = window
        .used()
        .filter(|fact| fact.class.service == "sagemaker" && fact.class.category == Category::DataTransfer)
        .filter(|fact| fact.usage_quantity > Decimal::ZERO)
        .map(|fact| (&*fact.usage_account, &*fact.region))
        .collect();
    running(window, is_endpoint)
        .into_iter()
        .filter(|((account, region, _), _)| !called.contains(&(account.as_str(), region.as_str())))
        .filter(|(_, running)| running.whole_days(window) >= DAYS)
        .map(|(place, running)| {
            let days = running.whole_days(window);
            // What it cost in those days goes on: earlier days, when it did not run, say nothing of the next month.
            let cost: Decimal = running.days.iter().rev().take(days).map(|(_, (_, cost))| *cost).sum();
            let a_window = cost * Decimal::from((window.to - window.from).num_days()) / Decimal::from(days);
            let figures =
                [("days", Decimal::from(days)), ("hours", running.hours()), ("data_bytes", Decimal::ZERO)];
            let evidence = window.evidence(place_filter(&place), figures, None);
            let (subject, amounts) = (place_name(&place), (a_window, a_window));
            window.recommend(Kind::IdleEndpoint, subject, amounts, Confidence::Medium, evidence)
        })
        .collect()
}

/// Hours of a week in which people work.
const WORKING: Decimal = Decimal::from_parts(50, 0, 0, false, 0);
const WEEK: Decimal = Decimal::from_parts(168, 0, 0, false, 0);

/// Notebooks and studios that run on the weekend as on any day.
pub(super) fn notebooks(window: &Window<'_>) -> Vec<Recommendation> {
    let is_notebook =
        |fact: &DailyFact| fact.class.category == Category::Development && fact.class.meter == Meter::Hours;
    running(window, is_notebook)
        .into_iter()
        .filter(|(_, running)| {
            let weekend = |day: &NaiveDate| matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
            let whole = running.days.iter().filter(|(day, (hours, _))| weekend(day) && *hours >= DAY);
            running.whole_days(window) >= DAYS && whole.count() >= 2
        })
        .map(|(place, running)| {
            let cost = running.cost();
            let idle = cost * (WEEK - WORKING) / WEEK;
            let figures = [
                ("hours", running.hours()),
                ("whole_days", Decimal::from(running.whole_days(window))),
                ("cost", cost),
            ];
            let evidence =
                window.evidence(place_filter(&place), figures, Some("they are needed fifty hours a week"));
            let subject = place_name(&place);
            window.recommend(Kind::AlwaysOnNotebook, subject, (idle, cost), Confidence::Medium, evidence)
        })
        .collect()
}

/// Accelerators that are a generation or more behind.
const OLD: [&str; 5] = ["K80", "M60", "V100", "Inferentia", "Radeon Pro V520"];
/// What a year's commitment takes off at the least, and what a newer generation does, by the vendor's lists.
const COMMITTED: Decimal = Decimal::from_parts(25, 0, 0, false, 2);
const NEWER: Decimal = Decimal::from_parts(2, 0, 0, false, 1);

/// Accelerated instances on demand that never stop, and those of an old generation.
pub(super) fn gpus(window: &Window<'_>) -> Vec<Recommendation> {
    let on_demand = |fact: &DailyFact| {
        fact.class.category == Category::GpuCompute
            && &*fact.line_item_type == "Usage"
            // FOCUS calls what a commitment covers usage like any other.
            && !fact.is_paid_by_commitment()
            && fact.usage_type.contains("BoxUsage")
    };
    let mut found = Vec::new();
    for (place, running) in running(window, on_demand) {
        let floor = running.floor(window);
        let (hours, cost) = (running.hours(), running.cost());
        if floor >= Decimal::ONE && (window.to - window.from).num_days() >= 14 {
            let steady = floor * DAY * Decimal::from((window.to - window.from).num_days());
            let steady_cost = cost * steady.checked_div(hours).unwrap_or_default();
            let figures = [("instances_day_and_night", floor), ("hours", hours), ("cost", cost)];
            let assumption = "they are still needed in a year; a commitment of a year takes a quarter off";
            let evidence = window.evidence(place_filter(&place), figures, Some(assumption));
            let amounts = (steady_cost * COMMITTED, steady_cost);
            found.push(window.recommend(
                Kind::CommitToGpu,
                place_name(&place),
                amounts,
                Confidence::Medium,
                evidence,
            ));
        }
    }
    let is_old = |fact: &DailyFact| {
        fact.class.accelerator.as_deref().is_some_and(|name| OLD.contains(&name))
            && fact.class.meter == Meter::Hours
    };
    for (place, running) in self::running(window, is_old) {
        let cost = running.cost();
        let figures = [("hours", running.hours()), ("cost", cost)];
        let assumption = "the next generation does the same for a fifth less";
        let evidence = window.evidence(place_filter(&place), figures, Some(assumption));
        let amounts = (cost * NEWER, cost);
        found.push(window.recommend(
            Kind::OldGpuGeneration,
            place_name(&place),
            amounts,
            Confidence::Low,
            evidence,
        ));
    }
    found
}

/// Throughput that costs more than the calls of its model would on demand, by what the proxy carried. Where that is not
/// known (no calls to Bedrock, or some that tell no model or have no price), nothing is said of its use.
pub(super) fn provisioned(window: &Window<'_>) -> Vec<Recommendation> {
    let mut models: BTreeMap<String, (Decimal, Decimal)> = BTreeMap::new();
    for fact in window.used().filter(|fact| is_provisioned(fact)) {
        if let Some(model) = &fact.class.model {
            let sum = models.entry(model.clone()).or_default();
            sum.0 += fact.usage_quantity;
            sum.1 += fact.spread_cost();
        }
    }
    models
        .into_iter()
        .filter_map(|(model, (quantity, cost))| {
            let used = on_demand(window, &model)?;
            let figures = [("units", quantity), ("cost", cost), ("cost_on_demand", used)];
            let filter = [("model", model.clone()), ("category", "provisioned".to_owned())];
            let assumption = "all calls of this model go through the proxy";
            let evidence = window.evidence(filter, figures, Some(assumption));
            let kind = Kind::ProvisionedThroughputUnused;
            Some(window.recommend(kind, model, (cost - used, cost), Confidence::Medium, evidence))
        })
        .collect()
}

/// The part of commitments that covered nothing: what is left on the fee lines once commitments are spread over what
/// they cover.
pub(super) fn commitments(window: &Window<'_>) -> Vec<Recommendation> {
    let mut fees: BTreeMap<(String, String), Decimal> = BTreeMap::new();
    for fact in &window.facts {
        if matches!(&*fact.line_item_type, "SavingsPlanRecurringFee" | "RIFee") {
            let of = (fact.class.service.to_string(), fact.line_item_type.to_string());
            *fees.entry(of).or_default() += fact.spread_cost();
        }
    }
    fees.into_iter()
        .map(|((service, line_item_type), unused)| {
            let filter = [("service", service.clone()), ("line_item_type", line_item_type.clone())];
            let evidence = window.evidence(filter, [("unused", unused)], None);
            let subject = format!("{service} {line_item_type}");
            window.recommend(Kind::UnusedCommitment, subject, (unused, unused), Confidence::High, evidence)
        })
        .collect()
}
