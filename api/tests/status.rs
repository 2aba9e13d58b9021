//! The public status: for everybody, from what probes wrote, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use costlens_api::{ApiParts, routes};
use costlens_domain::ports::Clock;
use costlens_domain::status::ProbeOutcome;
use costlens_objects::Objects;
use costlens_queue::{Queue, QueueConfig};
use costlens_store::StatusMinute;
use costlens_store::testing::TestDb;
use costlens_vault::{Keyring, MasterKey, OsEntropy};
use poem::{Endpoint as _, IntoResponse as _, Request};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Debug)]
struct Hand(Mutex<DateTime<Utc>>);

impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

const MASTER_KEY: &str = "8f1d0c6b5a4e3f2d1c0b9a8f7e6d5c4b3a291807f6e5d4c3b2a190817263544f";

fn noon() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn everybody_sees_how_the_service_is_and_was_and_nothing_of_anybody() {
    let db = TestDb::new().await;
    db.create_tenant("Secretive").await;
    let files = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(Mutex::new(noon())));
    let worker_url = costlens_store::worker_url(db.runtime_url()).unwrap();
    let parts = Arc::new(ApiParts {
        store: db.store().clone(),
        queue: Queue::new(&QueueConfig::new(worker_url)).unwrap(),
        clock: Arc::clone(&clock) as _,
        entropy: Arc::new(OsEntropy),
        keyring: Arc::new(Keyring::new(MasterKey::parse(MASTER_KEY).unwrap())),
        egress_policy: costlens_egress::Policy::default(),
        prices: costlens_domain::pricing::PricesInForce::embedded().unwrap(),
        objects: Objects::local(files.path()).unwrap(),
        max_bill_bytes: 1,
        arriving: costlens_api::bills::uploads::Arriving::default(),
        last_status: costlens_api::status::LastStatus::default(),
        mail_configured: false,
        public_url: "https://inner-host.test".to_owned(),
        limits: Arc::new(costlens_cache::Limits::local([7; 32], Arc::clone(&clock) as _)),
        outside: Vec::new(),
        passwords: costlens_identity::Passwords::new(),
        sign_up: costlens_api::SignUp::Invited,
        vouchers: costlens_identity::vouching::Vouchers::default(),
        clerk: None,
        https: true,
    });
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
    *clock.0.lock().unwrap() = noon() + TimeDelta::seconds(10);
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
    assert!(!text.contains("Secretive") && !text.contains("inner-host") && !text.contains("ten_"), "{text}");
    // Nobody looks any more.
    *clock.0.lock().unwrap() = noon() + TimeDelta::minutes(3);
    assert_eq!(look().await["state"], "unknown");
}
