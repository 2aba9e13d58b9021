//! One look at one tenant's facts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use costlens_domain::alerts::Surprise;
use costlens_domain::bill::{DailyFact, Text};
use costlens_domain::events::EventKind;
use costlens_domain::export::HourlySpend;
use costlens_domain::{AnomalyId, BillId, InsightEventId, RecommendationId};
use costlens_insight::anomalies::{self, DayAnomaly, DayRule, Scope};
use costlens_insight::basis;
use costlens_insight::events::{self, Event};
use costlens_insight::recommend;
use costlens_jobs::events::happened;
use costlens_jobs::insight::{LookAtFacts, Occasion};
use costlens_queue::{ErrorClass, JobContext, JobError};
use costlens_store::{
    Anomaly, Cadence, InsightEvent, Recommendation, RequestFilter, SpendPlace, StoreError, TenantConn,
};
use serde_json::json;

use crate::alerts::anomalies::{changes_before, told_of};
use crate::{WorkerParts, bug, store_failure};

/// How far back facts are looked at.
const PAST: Days = Days::new(120);
/// How many facts and rows a look holds at most. Where there are more, the past begins later, until the newest fit.
const MOST_FACTS: usize = 200_000;
const MOST_ROWS: usize = 200_000;
const ROWS_PER_PAGE: u32 = 10_000;
/// Surprises older than this are written down and told to nobody.
const NEWS: Days = Days::new(7);

/// What is read of a tenant.
struct Facts {
    billed: Vec<DailyFact>,
    /// How far each paying account's facts were read by the newest rules.
    rules: BTreeMap<Text, Rules>,
    calls: Vec<HourlySpend>,
    /// Bills tell of days before those that are looked at.
    bills_are_older: bool,
    /// So do calls.
    calls_are_older: bool,
    /// The earlier and the later delivery of a month that was delivered again, and the later one's bill.
    deliveries: Option<(Vec<DailyFact>, Vec<DailyFact>, BillId)>,
    today: NaiveDate,
}

/// By which rules of classification an account's facts were read.
struct Rules {
    newest: u32,
    /// The first day that the newest read.
    since: NaiveDate,
    /// Others read some, too.
    is_mixed: bool,
}

impl Rules {
    fn note(known: &mut BTreeMap<Text, Self>, version: u32, fact: &DailyFact) {
        let fresh = || Self { newest: version, since: fact.day, is_mixed: false };
        let rules = known.entry(fact.billing_account.clone()).or_insert_with(fresh);
        rules.is_mixed |= rules.newest != version;
        if version > rules.newest {
            (rules.newest, rules.since) = (version, fact.day);
        } else if version == rules.newest {
            rules.since = rules.since.min(fact.day);
        }
    }

    /// Since when names are those of the newest rules, where others gave some before.
    fn named_since(&self) -> Option<NaiveDate> {
        self.is_mixed.then_some(self.since)
    }
}

/// What is found.
struct Found {
    of_bills: Vec<DayAnomaly>,
    of_calls: Vec<DayAnomaly>,
    events: Vec<Event>,
    recommendations: Vec<recommend::Recommendation>,
}

pub(super) async fn look_at_facts(
    job: LookAtFacts,
    _context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let facts = read(&job, &parts).await.map_err(store_failure)?;
    let Some(facts) = facts else { return Ok(()) };
    // Minutes of arithmetic for a large tenant: beside the threads that answer.
    let found = tokio::task::spawn_blocking(move || find(&facts))
        .await
        .map_err(|error| JobError::give_up(ErrorClass::Bug, "insight_failed", error.to_string()))?;
    write(&job, &parts, &found).await.map_err(store_failure)
}

/// `None` where the bill is gone, and with it the occasion.
async fn read(job: &LookAtFacts, parts: &WorkerParts) -> Result<Option<Facts>, StoreError> {
    let today = parts.clock.now().date_naive();
    let mut tx = parts.store.tenant(job.tenant).await?;
    let (bills_from, calls_from) = (bills_begin(&mut tx, today).await?, calls_begin(&mut tx, today).await?);
    let (mut facts, rules, bills_are_older) = billed(&mut tx, bills_from).await?;
    basis::by_one_cost(&mut facts);
    let calls = rows(&mut tx, midnight(calls_from)).await?;
    let calls_are_older = tx.has_calls_before(midnight(calls_from)).await?;
    if bills_from.max(calls_from) > today - PAST {
        tracing::warn!(
            tenant.id = %job.tenant, facts = facts.len(), rows = calls.len(), %bills_from, %calls_from,
            "a tenant has more facts than one look holds, and the newest are looked at"
        );
    }
    let deliveries = match job.occasion {
        Occasion::Day(_) => None,
        Occasion::Bill(id) => {
            let bill = match tx.bill(id).await {
                Ok(bill) => bill,
                Err(StoreError::NotFound) => return Ok(None),
                Err(error) => return Err(error),
            };
            let replaced = tx.replaced_bill(&bill).await?;
            let by_same_rules = match replaced {
                Some(earlier) => tx.bill(earlier).await?.rules_version == bill.rules_version,
                None => false,
            };
            match replaced {
                // Other rules sort the same dollars otherwise, and that restates nothing.
                Some(earlier) if by_same_rules => {
                    let earlier = tx.bill_facts(Some(earlier), NaiveDate::default(), MOST_FACTS).await?;
                    Some((earlier, tx.bill_facts(Some(id), NaiveDate::default(), MOST_FACTS).await?, id))
                }
                _ => None,
            }
        }
    };
    Ok(Some(Facts { billed: facts, rules, calls, bills_are_older, calls_are_older, deliveries, today }))
}

/// The first day of the past whose facts fit.
async fn bills_begin(tx: &mut TenantConn, today: NaiveDate) -> Result<NaiveDate, StoreError> {
    let mut from = today - PAST;
    while tx.count_bill_facts(from).await? > MOST_FACTS {
        let Some(later) = basis::newer_half(from, today) else { break };
        from = later;
    }
    Ok(from)
}

/// The first day of the past whose calls fit.
async fn calls_begin(tx: &mut TenantConn, today: NaiveDate) -> Result<NaiveDate, StoreError> {
    let mut from = today - PAST;
    while tx.count_hourly_spend(midnight(from)).await? > MOST_ROWS {
        let Some(later) = basis::newer_half(from, today) else { break };
        from = later;
    }
    Ok(from)
}

/// The facts of the bills that count, by which rules each paying account's were read, and whether a bill has earlier ones.
async fn billed(
    tx: &mut TenantConn,
    from: NaiveDate,
) -> Result<(Vec<DailyFact>, BTreeMap<Text, Rules>, bool), StoreError> {
    let mut facts = Vec::new();
    let mut rules = BTreeMap::new();
    let mut are_older = false;
    for id in tx.current_bills().await? {
        let bill = tx.bill(id).await?;
        let version = bill.rules_version;
        are_older |= bill.first_day.is_some_and(|first| first < from);
        let of_bill = tx.bill_facts(Some(id), from, MOST_FACTS.saturating_sub(facts.len())).await?;
        for fact in &of_bill {
            Rules::note(&mut rules, version, fact);
        }
        facts.extend(of_bill);
        if facts.len() >= MOST_FACTS {
            break;
        }
    }
    Ok((facts, rules, are_older))
}

async fn rows(tx: &mut TenantConn, from: DateTime<Utc>) -> Result<Vec<HourlySpend>, StoreError> {
    let filter = RequestFilter { from: Some(from), ..RequestFilter::default() };
    let mut rows: Vec<HourlySpend> = Vec::new();
    let mut after: Option<SpendPlace> = None;
    loop {
        let page = tx.hourly_spend_after(&filter, after.as_ref(), ROWS_PER_PAGE).await?;
        let Some(last) = page.last() else { return Ok(rows) };
        after = Some(last.into());
        rows.extend(page);
        if rows.len() >= MOST_ROWS {
            return Ok(rows);
        }
    }
}

fn find(of: &Facts) -> Found {
    let mut events = events::of_calls(&of.calls, of.today);
    if of.calls_are_older {
        events::forget_old_firsts(&mut events, of.today);
    }
    let mut recommendations = Vec::new();
    let mut of_bills = Vec::new();
    let payers = by_payer(&of.billed, of.today);
    for (payer, facts) in &payers {
        let Some(last) = facts.iter().map(|fact| fact.day).max() else { continue };
        let until = last + Days::new(1) - Days::new(anomalies::bill::UNFINISHED_DAYS);
        let named_since = of.rules.get(*payer).and_then(Rules::named_since);
        let mut of_payer = events::find(facts, &of.calls, until, named_since);
        if of.bills_are_older {
            events::forget_old_firsts(&mut of_payer, of.today);
        }
        events.extend(of_payer);
        recommendations.push(((*payer).to_owned(), recommend::find(facts, &of.calls, until)));
        of_bills.extend(anomalies::bill::find(&by_one_set(facts, named_since), &DayRule::default(), None));
    }
    if payers.len() > 1 {
        // One payer's total is nobody's: accounts, services and models have it.
        of_bills.retain(|one| !matches!(one.scope, Scope::Total));
    }
    if let Some((earlier, later, bill)) = &of.deliveries {
        events.extend(restated(earlier, later, *bill));
    }
    Found {
        of_bills,
        of_calls: anomalies::calls::levels(&of.calls, of.today),
        events,
        recommendations: recommend::of_all_payers(recommendations),
    }
}

/// The facts that one set of rules read: what newer ones took for AI, or for something else, is no surprise of its day.
fn by_one_set(facts: &[DailyFact], named_since: Option<NaiveDate>) -> Cow<'_, [DailyFact]> {
    match named_since {
        Some(since) => facts.iter().filter(|fact| fact.day >= since).cloned().collect(),
        None => Cow::Borrowed(facts),
    }
}

/// What each paying account was billed up to today. The bills of two end on days of their own, and a day behind the end of
/// one is no day without use; nor is a day ahead, to which a fee may be dated, one that is over.
fn by_payer(facts: &[DailyFact], today: NaiveDate) -> BTreeMap<&str, Vec<DailyFact>> {
    let mut payers: BTreeMap<&str, Vec<DailyFact>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.day <= today) {
        payers.entry(&fact.billing_account).or_default().push(fact.clone());
    }
    payers
}

async fn write(job: &LookAtFacts, parts: &WorkerParts, found: &Found) -> Result<(), StoreError> {
    let now = parts.clock.now();
    let mut tx = parts.store.tenant(job.tenant).await?;
    // Two looks at once would each end what the other found.
    tx.lock_count("recommendations").await?;
    for (anomalies, of_bills) in [(&found.of_bills, true), (&found.of_calls, false)] {
        for anomaly in anomalies {
            note(&mut tx, parts, anomaly, of_bills).await?;
        }
    }
    note_events(&mut tx, parts, &found.events).await?;
    let mut recommendations = Vec::new();
    for one in &found.recommendations {
        recommendations.push(Recommendation {
            id: RecommendationId::new(now, parts.entropy.for_id()),
            kind: one.kind.as_str().to_owned(),
            subject: one.subject.clone(),
            currency: one.currency,
            monthly_saving: one.monthly_saving,
            monthly_cost: one.monthly_cost,
            confidence: one.confidence.as_str().to_owned(),
            evidence: serde_json::to_value(&one.evidence).map_err(bug)?,
            first_found_at: now,
            found_at: now,
            ended_at: None,
            dismissed: None,
        });
    }
    tx.put_recommendations(&recommendations, now).await?;
    tx.commit().await
}

/// Writes events down, each once by its key. Of what is there for the first time the day is no part of what it is: the past
/// that is looked at begins later every night, and what was told is told no more.
async fn note_events(tx: &mut TenantConn, parts: &WorkerParts, events: &[Event]) -> Result<(), StoreError> {
    let now = parts.clock.now();
    let mut told: BTreeSet<(String, String)> = if events.iter().any(|event| event.kind.is_once()) {
        let kinds: Vec<&str> =
            events::Kind::ALL.into_iter().filter(|kind| kind.is_once()).map(events::Kind::as_str).collect();
        tx.told_insight_events(&kinds).await?.into_iter().collect()
    } else {
        BTreeSet::new()
    };
    for event in events {
        let is_told = !told.insert((event.kind.as_str().to_owned(), event.subject.clone()));
        if event.kind.is_once() && is_told {
            continue;
        }
        tx.create_insight_event(&InsightEvent {
            id: InsightEventId::new(now, parts.entropy.for_id()),
            kind: event.kind.as_str().to_owned(),
            subject: event.subject.clone(),
            day: event.day,
            currency: event.currency,
            amount: event.amount,
            detail: serde_json::to_value(&event.detail).map_err(bug)?,
            found_at: now,
        })
        .await?;
    }
    Ok(())
}

/// By how much a month changed with this bill, which is a part of what happened: the next one may change it again.
fn restated(before: &[DailyFact], after: &[DailyFact], bill: BillId) -> Vec<Event> {
    let mut events = events::restated(before, after);
    for event in &mut events {
        event.detail.insert("bill_id".to_owned(), bill.to_string());
    }
    events
}

/// The facts of the bill that a delivery is about to take the place of. They go with its storing, so whoever stores one
/// reads them before, and says afterwards what the delivery changed. None where other rules than the delivery's read them:
/// those sort the same dollars otherwise, and that restates nothing.
pub(crate) async fn facts_before(
    tx: &mut TenantConn,
    earlier: Option<BillId>,
    rules_version: u32,
) -> Result<Vec<DailyFact>, StoreError> {
    let Some(earlier) = earlier else { return Ok(Vec::new()) };
    match tx.bill(earlier).await {
        Ok(bill) if bill.rules_version == rules_version => {
            tx.bill_facts(Some(earlier), NaiveDate::default(), MOST_FACTS).await
        }
        Ok(_) | Err(StoreError::NotFound) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Writes down that a month was restated, in the transaction that stores its new delivery.
pub(crate) async fn note_restatement(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    bill: BillId,
    (before, after): (&[DailyFact], &[DailyFact]),
) -> Result<(), StoreError> {
    note_events(tx, parts, &restated(before, after, bill)).await
}

async fn note(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    of: &DayAnomaly,
    of_bills: bool,
) -> Result<(), StoreError> {
    let now = parts.clock.now();
    let hour = midnight(of.day);
    let explanation = serde_json::to_value(&of.explanation).map_err(bug)?;
    let models =
        of.explanation.contributors.iter().filter(|one| one.by == anomalies::By::Model && one.name.is_some());
    let contributors = models.map(|one| json!({ "name": one.name, "cost": one.actual })).collect();
    let kind = match of.verdict.kind {
        anomalies::Kind::Spike => "spike",
        anomalies::Kind::NewLevel => "new_level",
    };
    let (expected, actual) = (of.verdict.expected, of.verdict.actual);
    let anomaly = Anomaly {
        id: AnomalyId::new(now, parts.entropy.for_id()),
        series: series(&of.scope, of_bills),
        cadence: Cadence::Day,
        kind: kind.to_owned(),
        hour,
        detector: if of_bills { anomalies::bill::DETECTOR } else { anomalies::calls::DAILY }.to_owned(),
        surprise: Surprise { expected, actual, currency: of.currency },
        contributors,
        explanation,
        changes: changes_before(tx, (hour, hour + TimeDelta::days(1))).await?,
        found_at: now,
        decision: None,
        on_bills: None,
    };
    if tx.create_anomaly(&anomaly).await? && of.day + NEWS >= now.date_naive() {
        happened(tx, EventKind::AnomalyFound, told_of(&anomaly), now, &*parts.entropy).await?;
    }
    Ok(())
}

/// The name under which a series is kept.
fn series(scope: &Scope, of_bills: bool) -> String {
    let name = match scope.name() {
        "" => scope.by().to_owned(),
        name => format!("{}:{name}", scope.by()),
    };
    if of_bills { format!("bill:{name}") } else { name }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}
