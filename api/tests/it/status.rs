//! The public status: for everybody, from what probes wrote, and nothing else.

use chrono::TimeDelta;
use costlens_api::routes;
use costlens_domain::status::ProbeOutcome;
use costlens_store::StatusMinute;
use poem::{Endpoint as _, IntoResponse as _, Request};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Hand, database, noon, parts};

#[tokio::test]
async fn everybody_sees_how_the_service_is_and_was_and_nothing_of_anybody() {
    let db = database().await;
    db.create_tenant("Secretive").await;
    let files = tempfile::tempdir().unwrap();
    let clock = Hand::at_noon();
    let parts = parts(&db, files.path(), &clock);
    let look = async || {
        let request = Request::builder().uri("/api/v1/status".parse().unwrap()).finish();
        let answer = routes(&parts).call(request).await.unwrap().into_response();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["cache-control"], "public, max-age=15");
        answer.into_body().into_json::<Value>().await.unwrap()
    };
    let note = async |component: &str, ago: i64, outcome: ProbeOutcome| {
        let minute = noon() - TimeDelta::minutes(ago);
        let mut system = db.store().system().await.unwrap();
        let found = StatusMinute { component: component.to_owned(), minute, outcome, latency_ms: Some(7) };
        assert!(system.note_status(&found).await.unwrap());
        system
            .derive_incidents(component, minute, Uuid::from_u128(u128::from(ago.unsigned_abs())))
            .await
            .unwrap();
    };
    let nothing = look().await;
    assert_eq!((&nothing["state"], &nothing["components"]), (&json!("unknown"), &json!([])));
    for ago in [9, 8, 7] {
        note("proxy", ago, ProbeOutcome::Down).await;
    }
    for ago in [6, 5, 4, 1] {
        note("proxy", ago, ProbeOutcome::Ok).await;
    }
    note("api", 1, ProbeOutcome::Degraded).await;
    assert_eq!(look().await, nothing, "for some seconds everybody gets the same answer");
    clock.set(noon() + TimeDelta::seconds(10));
    let told = look().await;
    assert_eq!(told["state"], "degraded");
    let [api, proxy] = told["components"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!(
        (&api["component"], &api["state"], &api["uptime_percent"]),
        (&json!("api"), &json!("degraded"), &json!("0"))
    );
    assert_eq!((&proxy["state"], &proxy["uptime_percent"]), (&json!("ok"), &json!("57.142")));
    let today = json!({"day": "2026-11-20", "ok_minutes": 4, "degraded_minutes": 0, "down_minutes": 3, "unknown_minutes": 713});
    assert_eq!(proxy["days"][89], today);
    let [incident] = told["incidents"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!(
        (&incident["component"], &incident["started_at"]),
        (&json!("proxy"), &json!("2026-11-20T11:51:00+00:00"))
    );
    assert_eq!(incident["ended_at"], "2026-11-20T11:54:00+00:00");
    let text = told.to_string();
    assert!(
        !text.contains("Secretive") && !text.contains("costlens.test") && !text.contains("ten_"),
        "{text}"
    );
    // Nobody looks any more.
    clock.set(noon() + TimeDelta::minutes(3));
    assert_eq!(look().await["state"], "unknown");
}
