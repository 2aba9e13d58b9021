//! Surprises that were found among calls are held against the bills, as soon as those have their calls.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use costlens_domain::bill::Measure;
use costlens_insight::anomalies::confirm::{OnBills, verdict};
use costlens_store::{Anomaly, AnomalyOnBills, Cadence, SpendFilter, StoreError, TenantConn};

use crate::spend;

/// What is paid: a budget counts by it, too.
const MEASURE: Measure = Measure::NetUnblended;
/// The most surprises of a month that are held against its bills, the newest of them: each reads the calls of its hour or
/// day.
const MOST: u32 = 200;
/// So far before a surprise its calls' usual price is looked for.
const BEFORE: Days = Days::new(28);

/// Writes down of each of the month's surprises what its bills make of it, where that has changed.
pub(super) async fn hold_against_bills(
    tx: &mut TenantConn,
    (month, end): (NaiveDate, NaiveDate),
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for anomaly in tx.anomalies_of_calls(midnight(month), midnight(end), MOST).await? {
        let Some(span) = span(&anomaly) else { continue };
        let on = tx.calls_on_bills(&span, MEASURE).await?;
        let day = midnight(span.from.date_naive());
        let before = SpendFilter { from: day - BEFORE, to: day, ..span };
        let (estimate_before, billed_before) = tx.estimated_and_billed(&before, MEASURE).await?;
        let of_estimates = OnBills {
            estimate: on.estimate,
            settled_estimate: on.settled_estimate,
            billed: on.billed_of_estimated,
            absent_estimate: on.absent_estimate,
            estimate_before,
            billed_before,
        };
        let told = verdict(&anomaly.surprise, &of_estimates).map(|verdict| (verdict, on.billed));
        if told != anomaly.on_bills.as_ref().map(|one| (one.verdict, one.billed)) {
            let on_bills = told.map(|(verdict, billed)| AnomalyOnBills { verdict, billed, at: now });
            tx.note_anomaly_on_bills(anomaly.id, on_bills.as_ref()).await?;
        }
    }
    Ok(())
}

/// The calls that a surprise is about; `None` where that has no name.
fn span(anomaly: &Anomaly) -> Option<SpendFilter> {
    let long = match anomaly.cadence {
        Cadence::Hour => TimeDelta::hours(1),
        Cadence::Day => TimeDelta::days(1),
    };
    let mut span = spend::between(anomaly.hour, anomaly.hour + long);
    match anomaly.series.split_once(':') {
        None if anomaly.series == "total" => {}
        Some(("key", id)) => span.api_key_id = Some(id.parse().ok()?),
        Some(("model", name)) => span.model = Some(name.to_owned()),
        _ => return None,
    }
    Some(span)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}
