//! One tenant's hour against its own past: all calls together, and every key.

use std::collections::HashMap;

use chrono::{DateTime, DurationRound as _, TimeDelta, Timelike as _, Utc};
use costlens_domain::alerts::{HourRule, Surprise};
use costlens_domain::events::EventKind;
use costlens_domain::{AnomalyId, TenantId, Usd};
use costlens_jobs::events::happened;
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::Kind;
use costlens_notify::words::{AnomalyAlert, Contributor};
use costlens_store::{Anomaly, SpendBucket, SpendGroup, SpendPoint, StoreError, TenantConn, TenantSettings};
use serde_json::json;

use crate::{WorkerParts, spend};

/// How far back the past goes that an hour is held against.
const PAST: TimeDelta = TimeDelta::days(14);
/// Hours this near to the same time of day count as alike.
const NEAR: u32 = 1;
/// For so long after a surprise the same series is written down and not told again: what is lasting is no news.
const QUIET: TimeDelta = TimeDelta::hours(24);
/// How many contributors are named.
const NAMED: u32 = 5;
/// An alert that is older than this says what everybody knows.
const USEFUL: TimeDelta = TimeDelta::hours(12);

/// How far back an outage is made up for.
const CATCH_UP: TimeDelta = TimeDelta::hours(48);

/// The whole hours to be judged, the earliest first: the last one that was, because calls of its last minutes may have
/// reached the ledger since, and those after it; the last two where none was judged before.
pub(super) fn hours_over(now: DateTime<Utc>, judged: Option<DateTime<Utc>>) -> Vec<DateTime<Utc>> {
    let hour = TimeDelta::hours(1);
    let this = now.duration_trunc(hour).unwrap_or(now);
    let usual = this - hour * 2;
    let mut at = judged.map_or(usual, |judged| judged.min(usual).max(this - CATCH_UP));
    let mut hours = Vec::new();
    while at < this {
        hours.push(at);
        at += hour;
    }
    hours
}

pub(super) async fn find(
    parts: &WorkerParts,
    tenant: TenantId,
    hour: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut tx = parts.store.tenant(tenant).await?;
    let span = spend::between(hour - PAST, hour + TimeDelta::hours(1));
    let all = tx.spend_series(&span, SpendBucket::Hour, None).await?;
    let keys = tx.spend_series(&span, SpendBucket::Hour, Some(SpendGroup::Key)).await?;
    let names = spend::key_names(&mut tx).await?;
    let mut series: HashMap<String, Vec<SpendPoint>> = HashMap::new();
    for point in keys {
        let name = format!("key:{}", point.group.as_deref().unwrap_or_default());
        series.entry(name).or_default().push(point);
    }
    // When one key alone is the tenant, it is told once, by its name.
    if series.len() != 1 {
        series.insert("total".to_owned(), all);
    }
    let mut names_of_series: Vec<&String> = series.keys().collect();
    names_of_series.sort();
    for name in names_of_series {
        let points = series.get(name).map(Vec::as_slice).unwrap_or_default();
        if let Some(surprise) = judge(points, hour) {
            note(&mut tx, parts, (name, &names), hour, surprise).await?;
        }
    }
    tx.commit().await
}

/// Holds the hour against the hours of the same time of day before it. Hours without calls cost nothing, from the
/// series' first call on: what is new has no past. Of hours whose calls all have no price nobody knows the cost: they
/// are no part of the past.
fn judge(points: &[SpendPoint], hour: DateTime<Utc>) -> Option<Surprise> {
    let costs: HashMap<DateTime<Utc>, Option<Usd>> =
        points.iter().map(|point| (point.at, point.totals.cost)).collect();
    let actual = costs.get(&hour).copied().flatten()?;
    let first = points.iter().map(|point| point.at).min()?;
    let mut past = Vec::new();
    let mut at = first;
    while at < hour {
        if is_near(at.hour(), hour.hour()) {
            past.extend(costs.get(&at).copied().unwrap_or(Some(Usd::ZERO)));
        }
        at += TimeDelta::hours(1);
    }
    HourRule::default().judge(&past, actual)
}

fn is_near(one: u32, other: u32) -> bool {
    let apart = one.abs_diff(other);
    apart.min(24 - apart) <= NEAR
}

async fn note(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    (series, names): (&str, &HashMap<String, String>),
    hour: DateTime<Utc>,
    surprise: Surprise,
) -> Result<(), StoreError> {
    let now = parts.clock.now();
    let end = hour + TimeDelta::hours(1);
    let mut of_series = spend::between(hour, end);
    of_series.api_key_id = series.strip_prefix("key:").and_then(|id| id.parse().ok());
    let parts_of_it = tx.spend_breakdown(&of_series, SpendGroup::Model, NAMED).await?;
    let contributors: Vec<Contributor> = parts_of_it
        .into_iter()
        .map(|slice| Contributor { name: slice.group, cost: slice.totals.cost })
        .collect();
    let contributors_json =
        serde_json::to_value(&contributors).map_err(|error| StoreError::Bug(Box::new(error)))?;
    let anomaly = Anomaly {
        id: AnomalyId::new(now, parts.entropy.for_id()),
        series: series.to_owned(),
        hour,
        detector: HourRule::DETECTOR.to_owned(),
        surprise,
        contributors: contributors_json.clone(),
        found_at: now,
    };
    let told_lately = tx.anomalies_between(hour - QUIET, hour, 10_000).await?;
    if !tx.create_anomaly(&anomaly).await? || told_lately.iter().any(|other| other.series == series) {
        return Ok(());
    }
    // What an outage kept from being found stands in the list; as an alert it says what everybody knows.
    if now - end > USEFUL {
        return Ok(());
    }
    let settings = tx.settings().await?.unwrap_or_else(|| TenantSettings::initial(now));
    let link = |path: &str| parts.links.to(path).map_err(|bad| StoreError::Bug(Box::new(bad)));
    let alert = AnomalyAlert {
        tenant: tx.tenant().await?.name,
        series: spend::series_name(series, names),
        from: hour,
        to: end,
        zone: settings.zone,
        expected: surprise.expected,
        actual: surprise.actual,
        contributors,
        console: link("/requests")?,
        preferences: link("/notifications")?,
    };
    let telling = Telling {
        about: &format!("anomaly:{series}:{}", hour.timestamp()),
        kind: Kind::AnomalyAlert.as_str(),
        figures: serde_json::to_value(&alert).map_err(|error| StoreError::Bug(Box::new(error)))?,
        audience: Audience::Alerts,
        at: now,
        expires_at: now + USEFUL,
    };
    tell(tx, &telling, &*parts.entropy).await?;
    let payload = json!({
        "anomaly_id": anomaly.id,
        "series": series,
        "hour": hour,
        "expected": surprise.expected,
        "actual": surprise.actual,
        "contributors": contributors_json,
    });
    happened(tx, EventKind::AnomalyFound, payload, now, &*parts.entropy).await?;
    Ok(())
}
