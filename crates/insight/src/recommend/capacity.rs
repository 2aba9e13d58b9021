//! What is paid by the hour, whether it is used or not: throughput, endpoints, notebooks, accelerators, commitments.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, NaiveDate, Weekday};
use costlens_domain::bill::DailyFact;
use costlens_domain::classify::{Category, Meter, without_region};
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

    /// The last days of the window with as many hours as one that runs all day has, counted back without a gap. Whether it was
    /// one, or several for some hours each, sums of days do not tell.
    fn whole_days(&self, window: &Window<'_>) -> usize {
        let is_whole = |back: &u64| {
            let day = window.to - chrono::Days::new(*back);
            day >= window.from && self.days.get(&day).is_some_and(|(hours, _)| *hours >= DAY)
        };
        (1..=super::WINDOW).take_while(is_whole).count()
    }

    /// How many that run all day have the hours that there were at the least on every day of the window.
    fn floor(&self, window: &Window<'_>) -> Decimal {
        let length = usize::try_from((window.to - window.from).num_days()).unwrap_or_default();
        if self.days.len() < length { Decimal::ZERO } else { self.floor_of(length) }
    }

    /// The same of the last so many days.
    fn floor_of(&self, days: usize) -> Decimal {
        let least = self.last(days).map(|(hours, _)| *hours).min().unwrap_or_default();
        (least / DAY).floor()
    }

    /// What the hours of so many that run all day cost, of all that ran in the last so many days.
    fn cost_of_floor(&self, floor: Decimal, days: usize) -> Decimal {
        let hours: Decimal = self.last(days).map(|(hours, _)| *hours).sum();
        let cost: Decimal = self.last(days).map(|(_, cost)| *cost).sum();
        (cost * floor * DAY * Decimal::from(days)).checked_div(hours).unwrap_or_default()
    }

    fn last(&self, days: usize) -> impl Iterator<Item = &(Decimal, Decimal)> {
        self.days.values().rev().take(days)
    }
}

type Place = (String, String, String);

fn running(window: &Window<'_>, wanted: impl Fn(&DailyFact) -> bool) -> BTreeMap<Place, Running> {
    let mut all: BTreeMap<Place, Running> = BTreeMap::new();
    for fact in window.used().filter(|fact| wanted(fact)) {
        if let Some(place) = place_of(fact) {
            all.entry(place).or_default().add(fact);
        }
    }
    all
}

fn place_of(fact: &DailyFact) -> Option<Place> {
    let instance = fact.class.instance_type.clone()?;
    Some((fact.usage_account.to_string(), fact.region.to_string(), instance))
}

fn place_filter((account, region, instance): &Place) -> [(&'static str, String); 3] {
    [("usage_account", account.clone()), ("region", region.clone()), ("instance_type", instance.clone())]
}

fn place_name((account, region, instance): &Place) -> String {
    format!("{instance} in {region} of {account}")
}

/// Endpoints that had the hours of a whole day every day while no byte went in or out of any endpoint of their account and
/// region. Facts of days name no single endpoint, so one that is called hides those beside it.
pub(super) fn idle_endpoints(window: &Window<'_>) -> Vec<Recommendation> {
    idle(window)
        .map(|(place, running)| {
            let days = running.whole_days(window);
            // What it cost in those days goes on: earlier days, when it did not run, say nothing of the next month.
            let cost: Decimal = running.last(days).map(|(_, cost)| *cost).sum();
            let a_window = cost * Decimal::from((window.to - window.from).num_days()) / Decimal::from(days);
            let figures =
                [("days", Decimal::from(days)), ("hours", running.hours()), ("data_bytes", Decimal::ZERO)];
            let evidence = window.evidence(place_filter(&place), figures, None);
            let (subject, amounts) = (place_name(&place), (a_window, a_window));
            window.recommend(Kind::IdleEndpoint, subject, amounts, Confidence::Medium, evidence)
        })
        .collect()
}

/// Where such endpoints are.
fn idle(window: &Window<'_>) -> impl Iterator<Item = (Place, Running)> {
    let called: BTreeSet<(&str, &str)> = window
        .used()
        .filter(|fact| fact.class.service == "sagemaker" && fact.class.category == Category::DataTransfer)
        .filter(|fact| fact.usage_quantity > Decimal::ZERO)
        .map(|fact| (&*fact.usage_account, &*fact.region))
        .collect();
    running(window, is_endpoint)
        .into_iter()
        .filter(move |((account, region, _), _)| !called.contains(&(account.as_str(), region.as_str())))
        .filter(|(_, running)| running.whole_days(window) >= DAYS)
}

/// Up to how many gigabyte-hours for each hour of a virtual CPU a session that works may hold: two gigabytes while its model
/// answers for nineteen twentieths of the time are forty, and half as much again is left to be sure.
const GB_HOURS_AT_WORK: Decimal = Decimal::from_parts(60, 0, 0, false, 0);

/// The memory and the processors of one component of AgentCore in one account and region.
#[derive(Default)]
struct Sessions {
    vcpu_hours: Decimal,
    gb_hours: Decimal,
    memory_cost: Decimal,
    /// What the bill calls the memory.
    memory: String,
}

/// AgentCore charges processors while they compute and memory for as long as a session lives. A session waits for its model most of
/// the time; memory far beyond that is of sessions that wait for nobody, until they are ended for being idle.
pub(super) fn agent_memory(window: &Window<'_>) -> Vec<Recommendation> {
    let mut all: BTreeMap<Place, Sessions> = BTreeMap::new();
    for fact in window.used().filter(|fact| fact.class.service == "bedrock_agentcore") {
        let Some((what, of)) = fact.usage_type.split_once(":Consumption-based:") else { continue };
        // With its region, which a bill without regions says there alone.
        let place = (fact.usage_account.to_string(), fact.region.to_string(), what.to_owned());
        let sessions = all.entry(place).or_default();
        match of {
            "vCPU" => sessions.vcpu_hours += fact.usage_quantity,
            "Memory" => {
                sessions.gb_hours += fact.usage_quantity;
                sessions.memory_cost += fact.spread_cost();
                sessions.memory = fact.usage_type.to_string();
            }
            _ => {}
        }
    }
    all.into_iter()
        .filter_map(|((account, region, what), sessions)| {
            let Sessions { vcpu_hours, gb_hours, memory_cost, memory } = sessions;
            let waiting = (gb_hours - vcpu_hours * GB_HOURS_AT_WORK).max(Decimal::ZERO);
            let saving = (memory_cost * waiting).checked_div(gb_hours)? / Decimal::TWO;
            let filter = [
                ("usage_account", account.clone()),
                ("region", region.clone()),
                ("service", "bedrock_agentcore".to_owned()),
                ("usage_type", memory),
            ];
            let figures = [("gb_hours", gb_hours), ("vcpu_hours", vcpu_hours), ("memory_cost", memory_cost)];
            let assumption = "half of the memory beyond sixty gigabyte-hours an hour of a processor is of sessions that nobody needs any more";
            let evidence = window.evidence(filter, figures, Some(assumption));
            let subject = if region.is_empty() {
                format!("AgentCore {what} of {account}")
            } else {
                format!("AgentCore {} in {region} of {account}", without_region(&what))
            };
            let amounts = (saving, memory_cost);
            Some(window.recommend(Kind::IdleAgentMemory, subject, amounts, Confidence::Low, evidence))
        })
        .collect()
}

/// Hours of a week in which people work.
const WORKING: Decimal = Decimal::from_parts(50, 0, 0, false, 0);
const WEEK: Decimal = Decimal::from_parts(168, 0, 0, false, 0);

/// Notebooks and studios with the hours of a whole day on weekends as on any day. Only the part of their hours that never
/// goes away counts as idle at night: people may start more by day.
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
            let (days, cost) = (running.whole_days(window), running.cost());
            let always = running.cost_of_floor(running.floor_of(days), days);
            let idle = always * (WEEK - WORKING) / WEEK;
            let figures = [("hours", running.hours()), ("whole_days", Decimal::from(days)), ("cost", cost)];
            let assumption =
                "these hours are of notebooks that are never stopped, which are needed fifty hours a week";
            let evidence = window.evidence(place_filter(&place), figures, Some(assumption));
            let subject = place_name(&place);
            window.recommend(Kind::AlwaysOnNotebook, subject, (idle, cost), Confidence::Low, evidence)
        })
        .collect()
}

/// Accelerators that are a generation or more behind.
const OLD: [&str; 5] = ["K80", "M60", "V100", "Inferentia", "Radeon Pro V520"];
/// What a year's commitment takes off at the least, and what a newer generation does, by the vendor's lists.
const COMMITTED: Decimal = Decimal::from_parts(25, 0, 0, false, 2);
const NEWER: Decimal = Decimal::from_parts(2, 0, 0, false, 1);

/// Accelerated instances on demand of which so many hours are used every day, and those of an old generation. Nobody is told to
/// commit to what is to be left, nor to renew what is idle.
pub(super) fn gpus(window: &Window<'_>) -> Vec<Recommendation> {
    let is_old = |fact: &DailyFact| {
        fact.class.accelerator.as_deref().is_some_and(|name| OLD.contains(&name))
            && fact.class.meter == Meter::Hours
    };
    let on_demand = |fact: &DailyFact| {
        fact.class.category == Category::GpuCompute
            && !is_old(fact)
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
            let steady_cost = running.cost_of_floor(floor, running.days.len());
            let figures = [("instances", floor), ("hours", hours), ("cost", cost)];
            let assumption = "as many run by night as by day, and are still needed in a year; a commitment of a year takes \
                a quarter off";
            let evidence = window.evidence(place_filter(&place), figures, Some(assumption));
            let amounts = (steady_cost * COMMITTED, steady_cost);
            found.push(window.recommend(
                Kind::CommitToGpu,
                place_name(&place),
                amounts,
                Confidence::Low,
                evidence,
            ));
        }
    }
    let idle: BTreeSet<Place> = idle(window).map(|(place, _)| place).collect();
    let is_left = |fact: &DailyFact| {
        let is_idle = is_endpoint(fact) && place_of(fact).is_some_and(|place| idle.contains(&place));
        is_old(fact) && !is_idle && !fact.is_paid_by_commitment()
    };
    for (place, running) in self::running(window, is_left) {
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
