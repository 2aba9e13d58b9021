//! What the nightly look leaves: each thing once.

use chrono::Duration;
use costlens_domain::alerts::Surprise;
use costlens_domain::{AnomalyId, Currency, InsightEventId};
use serde_json::{Value, json};

use super::support::{Actor, actor, at, fact, ship};
use crate::testing::{TestDb, unlike_bytes};
use crate::{Anomaly, Cadence, InsightEvent};

async fn note(db: &TestDb, acme: &Actor, kind: &str, detail: Value) -> bool {
    let event = InsightEvent {
        id: InsightEventId::new(at(0), unlike_bytes()),
        kind: kind.to_owned(),
        subject: "2026-10".to_owned(),
        day: at(0).date_naive(),
        currency: Currency::USD,
        amount: "1".parse().unwrap(),
        detail,
        found_at: at(0),
    };
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    let is_new = tx.create_insight_event(&event).await.unwrap();
    tx.commit().await.unwrap();
    is_new
}

#[tokio::test]
async fn each_bill_that_restates_a_month_tells_it_once() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    for (bill, is_new) in [("bil_1", true), ("bil_1", false), ("bil_2", true), ("bil_1", false)] {
        assert_eq!(note(&db, &acme, "month_restated", json!({ "bill_id": bill })).await, is_new, "{bill}");
    }
    assert!(note(&db, &acme, "new_model", json!({})).await);
    assert!(!note(&db, &acme, "new_model", json!({ "models": "x" })).await);
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    let told = tx.told_insight_events(&["new_model", "shadow_use"]).await.unwrap();
    assert_eq!(told, [("new_model".to_owned(), "2026-10".to_owned())]);
}

#[tokio::test]
async fn rows_of_the_rollup_are_counted_from_an_hour_on() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let other = actor(&db, "other").await;
    ship(db.store(), &[fact(&acme, at(0)), fact(&acme, at(1)), fact(&acme, at(7_200)), fact(&other, at(0))])
        .await;
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(tx.count_hourly_spend(at(-100_000)).await.unwrap(), 2);
    assert_eq!(tx.count_hourly_spend(at(3_600)).await.unwrap(), 1);
    assert!(tx.has_calls_before(at(3_600)).await.unwrap());
    assert!(!tx.has_calls_before(at(-3_600)).await.unwrap());
}

#[tokio::test]
async fn the_largest_surprises_are_told_first_and_all_are_counted() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut tx = db.store().tenant(acme.tenant).await.unwrap();
    for (hours, expected, actual, cadence) in [
        (0, "1", "3", Cadence::Hour),
        (1, "1", "50", Cadence::Hour),
        (2, "90", "10", Cadence::Day),
        (3, "1", "2", Cadence::Hour),
        (9, "1", "900", Cadence::Hour),
    ] {
        let new = Anomaly {
            id: AnomalyId::new(at(0), unlike_bytes()),
            series: "total".to_owned(),
            cadence,
            kind: "spike".to_owned(),
            hour: at(0) + Duration::hours(hours),
            detector: "test/1".to_owned(),
            surprise: Surprise {
                expected: expected.parse().unwrap(),
                actual: actual.parse().unwrap(),
                currency: Currency::USD,
            },
            contributors: json!([]),
            explanation: json!({ "parts": [], "contributors": [] }),
            changes: json!([]),
            found_at: at(0),
            decision: None,
            on_bills: None,
        };
        assert!(tx.create_anomaly(&new).await.unwrap());
    }
    let span = (at(0), at(0) + Duration::hours(9));
    for (cadence, largest, count) in
        [(None, vec![2, 1], 4), (Some(Cadence::Hour), vec![1, 0], 3), (Some(Cadence::Day), vec![2], 1)]
    {
        let (found, all) = tx.largest_anomalies(span, cadence, 2).await.unwrap();
        let hours: Vec<_> = found.iter().map(|one| (one.hour - at(0)).num_hours()).collect();
        assert_eq!((hours, all), (largest, count), "{cadence:?}");
    }
}
