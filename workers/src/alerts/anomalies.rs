//! One tenant's hour against its own past: all calls together, and every key. What is surprising, and why, is `insight`'s
//! to say; here it is asked, written down and told.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use costlens_domain::alerts::Surprise;
use costlens_domain::events::EventKind;
use costlens_domain::export::HourlySpend;
use costlens_domain::{AnomalyId, ApiKeyId, Currency, TenantId, Usd};
use costlens_insight::anomalies::{HourRule, calls};
use costlens_jobs::events::happened;
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::Kind;
use costlens_notify::words::{AnomalyAlert, Contributor};
use costlens_store::{
    Anomaly, Cadence, RequestFilter, SpendBucket, SpendGroup, StoreError, TenantConn, TenantSettings,
};
use serde_json::{Value, json};

use crate::{WorkerParts, bug, spend};

/// How many contributors are named.
const NAMED: u32 = 5;
/// An alert that is older than this says what everybody knows.
const USEFUL: TimeDelta = TimeDelta::hours(12);

/// How far back an outage is made up for.
pub(super) const CATCH_UP: TimeDelta = TimeDelta::hours(48);
/// How far before a surprise the audit is asked what was changed, and how much of it is kept.
const CHANGES_BEFORE: TimeDelta = TimeDelta::hours(24);
const MOST_CHANGES: u32 = 200;
const KEPT_CHANGES: usize = 10;
/// What in the audit may change what calls cost.
const CHANGING: [&str; 7] =
    ["key.", "connection.", "settings.", "privacy.", "price_correction.", "limits.", "member.role_changed"];
/// The rows of an hour that an explanation reads at most.
const MOST_ROWS: u32 = 5_000;

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
    let span = spend::between(hour - calls::PAST, hour + TimeDelta::hours(1));
    let points = tx.spend_series(&span, SpendBucket::Hour, Some(SpendGroup::Key)).await?;
    let mut series: BTreeMap<_, calls::Hours> = BTreeMap::new();
    for point in points {
        let key: ApiKeyId = point.group.as_deref().unwrap_or_default().parse().map_err(bug)?;
        series.entry(key).or_default().insert(point.at, point.totals.cost.map(Usd::decimal));
    }
    let found = calls::surprises(&calls::Watched::new(series), hour, &HourRule::default());
    if !found.is_empty() {
        let names = spend::key_names(&mut tx).await?;
        for surprise in found {
            note(&mut tx, parts, &names, &surprise).await?;
        }
    }
    tx.settle_judgement(hour).await?;
    tx.commit().await
}

/// The rollup's rows of the surprising hour and of those that show what was expected.
async fn rows_of(tx: &mut TenantConn, surprise: &calls::Surprise) -> Result<Vec<HourlySpend>, StoreError> {
    let mut rows = Vec::new();
    for hour in surprise.reference.iter().chain([&surprise.hour]) {
        let filter = RequestFilter {
            api_key_id: surprise.key,
            from: Some(*hour),
            to: Some(*hour + TimeDelta::hours(1)),
            ..RequestFilter::default()
        };
        rows.extend(tx.hourly_spend_after(&filter, None, MOST_ROWS).await?);
    }
    Ok(rows)
}

/// What the audit says was changed before the end of a surprise, newest first.
pub(crate) async fn changes_before(
    tx: &mut TenantConn,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Value, StoreError> {
    let events = tx.audit_between(from - CHANGES_BEFORE, to, MOST_CHANGES).await?;
    let changing = events
        .into_iter()
        .filter(|event| CHANGING.iter().any(|of| event.action.starts_with(of)))
        .take(KEPT_CHANGES)
        .map(|event| json!({ "at": event.at, "action": event.action, "target": event.target, "by": event.actor }));
    Ok(changing.collect())
}

async fn note(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    names: &HashMap<String, String>,
    surprise: &calls::Surprise,
) -> Result<(), StoreError> {
    let now = parts.clock.now();
    let hour = surprise.hour;
    let end = hour + TimeDelta::hours(1);
    let series = surprise.key.map_or_else(|| "total".to_owned(), |key| format!("key:{key}"));
    let mut of_series = spend::between(hour, end);
    of_series.api_key_id = surprise.key;
    let parts_of_it = tx.spend_breakdown(&of_series, SpendGroup::Model, NAMED).await?;
    let contributors: Vec<Contributor> = parts_of_it
        .into_iter()
        .map(|slice| Contributor { name: slice.group, cost: slice.totals.cost })
        .collect();
    let explanation = calls::explain_hour(surprise, &rows_of(tx, surprise).await?);
    let (expected, actual) = (surprise.verdict.expected, surprise.verdict.actual);
    let anomaly = Anomaly {
        id: AnomalyId::new(now, parts.entropy.for_id()),
        series: series.clone(),
        cadence: Cadence::Hour,
        kind: "spike".to_owned(),
        hour,
        detector: calls::HOURLY.to_owned(),
        surprise: Surprise { expected, actual, currency: Currency::USD },
        contributors: serde_json::to_value(&contributors).map_err(bug)?,
        explanation: serde_json::to_value(&explanation).map_err(bug)?,
        changes: changes_before(tx, (hour, end)).await?,
        found_at: now,
        decision: None,
        on_bills: None,
    };
    // Hours are judged in any order: one that was told about after this one makes it no news, too.
    let told_lately = tx.anomalies_between(hour - calls::QUIET, hour + calls::QUIET, 10_000).await?;
    let is_same = |other: &Anomaly| other.series == series && other.cadence == Cadence::Hour;
    if !tx.create_anomaly(&anomaly).await? || told_lately.iter().any(is_same) {
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
        series: spend::series_name(&series, names),
        from: hour,
        to: end,
        zone: settings.zone,
        expected: expected.into(),
        actual: actual.into(),
        contributors,
        console: link("/requests")?,
        preferences: link("/notifications")?,
    };
    let telling = Telling {
        about: &format!("anomaly:{series}:{}", hour.timestamp()),
        kind: Kind::AnomalyAlert.as_str(),
        figures: serde_json::to_value(&alert).map_err(bug)?,
        audience: Audience::Alerts,
        at: now,
        expires_at: now + USEFUL,
    };
    tell(tx, &telling, &*parts.entropy).await?;
    happened(tx, EventKind::AnomalyFound, told_of(&anomaly), now, &*parts.entropy).await?;
    Ok(())
}

/// What programs are told of a surprise: the same members, be it of an hour or of a day, of calls or of a bill.
pub(crate) fn told_of(anomaly: &Anomaly) -> Value {
    let is_hour = anomaly.cadence == Cadence::Hour;
    let text = |amount: rust_decimal::Decimal| amount.normalize().to_string();
    json!({
        "anomaly_id": anomaly.id,
        "series": anomaly.series,
        "cadence": anomaly.cadence.as_str(),
        "kind": anomaly.kind,
        "hour": is_hour.then_some(anomaly.hour),
        "day": (!is_hour).then(|| anomaly.hour.date_naive()),
        "currency": anomaly.surprise.currency,
        "expected": text(anomaly.surprise.expected),
        "actual": text(anomaly.surprise.actual),
        "contributors": anomaly.contributors,
        "parts": anomaly.explanation.get("parts"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_the_same_members_of_hours_and_days() {
        let hour: DateTime<Utc> = "2026-11-23T14:00:00Z".parse().unwrap();
        let anomaly = |cadence, hour| Anomaly {
            id: AnomalyId::new(hour, [7; 10]),
            series: "total".to_owned(),
            cadence,
            kind: "spike".to_owned(),
            hour,
            detector: String::new(),
            surprise: Surprise {
                expected: "1.50".parse().unwrap(),
                actual: "60".parse().unwrap(),
                currency: Currency::USD,
            },
            contributors: json!([{ "name": "o3", "cost": "60" }]),
            explanation: json!({ "parts": [1], "contributors": [2] }),
            changes: json!([]),
            found_at: hour,
            decision: None,
            on_bills: None,
        };
        let of_hour = told_of(&anomaly(Cadence::Hour, hour));
        let of_day = told_of(&anomaly(Cadence::Day, hour - TimeDelta::hours(14)));
        let members = |told: &Value| told.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(members(&of_hour), members(&of_day));
        assert_eq!((&of_hour["hour"], &of_hour["day"]), (&json!("2026-11-23T14:00:00Z"), &Value::Null));
        assert_eq!((&of_day["hour"], &of_day["day"]), (&Value::Null, &json!("2026-11-23")));
        for told in [of_hour, of_day] {
            assert_eq!((&told["expected"], &told["currency"]), (&json!("1.5"), &json!("USD")));
            assert_eq!((&told["parts"], &told["contributors"][0]["name"]), (&json!([1]), &json!("o3")));
        }
    }
}
