//! The API over a real database, without workers and without a socket.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod files;
mod links;
mod status;

use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use costlens_api::ApiParts;
use costlens_domain::ports::Clock;
use costlens_objects::Objects;
use costlens_queue::{Queue, QueueConfig};
use costlens_store::testing::{ACQUIRE_TIMEOUT, TestDb};
use costlens_store::{ENQUEUER_ROLES, Neighbour, WORKER_ROLE};
use costlens_vault::{Keyring, MasterKey, OsEntropy};

const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const MAX_BILL_BYTES: u64 = 1_000;

/// When these tests begin.
fn noon() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// A clock that a test moves.
#[derive(Debug)]
struct Hand(Mutex<DateTime<Utc>>);

impl Hand {
    fn at_noon() -> Arc<Self> {
        Arc::new(Self(Mutex::new(noon())))
    }

    fn set(&self, at: DateTime<Utc>) {
        *self.0.lock().unwrap() = at;
    }
}

impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// A database with the queue's tables beside the store's.
async fn database() -> TestDb {
    let db = TestDb::new().await;
    let grants = costlens_queue::grants(&[WORKER_ROLE], &ENQUEUER_ROLES);
    db.add(vec![Neighbour { migrations: costlens_queue::MIGRATIONS, grants }]).await;
    db
}

/// What the API works with: this database, files below this folder, and nothing outside.
fn parts(db: &TestDb, files: &Path, clock: &Arc<Hand>) -> Arc<ApiParts> {
    let worker_url = costlens_store::worker_url(db.runtime_url()).unwrap();
    Arc::new(ApiParts {
        store: db.store().clone(),
        queue: Queue::new(&QueueConfig { acquire_timeout: ACQUIRE_TIMEOUT, ..QueueConfig::new(worker_url) })
            .unwrap(),
        clock: Arc::clone(clock) as _,
        entropy: Arc::new(OsEntropy),
        keyring: Arc::new(Keyring::new(MasterKey::parse(MASTER_KEY).unwrap())),
        egress_policy: costlens_egress::Policy::default(),
        prices: costlens_domain::pricing::PricesInForce::embedded().unwrap(),
        objects: Objects::local(files).unwrap(),
        aws: None,
        max_bill_bytes: MAX_BILL_BYTES,
        arriving: costlens_api::bills::uploads::Arriving::default(),
        last_status: costlens_api::status::LastStatus::default(),
        mail_configured: false,
        public_url: "https://costlens.test".to_owned(),
        limits: Arc::new(costlens_cache::Limits::local([7; 32], Arc::clone(clock) as _)),
        forever_body_days: None,
        outside: Vec::new(),
        passwords: costlens_identity::Passwords::new(),
        sign_up: costlens_api::SignUp::Invited,
        vouchers: costlens_identity::vouching::Vouchers::default(),
        providers: costlens_identity::single_sign_on::Providers::asked_by(
            costlens_egress::Egress::new(costlens_egress::EgressConfig::default()).unwrap(),
            Arc::clone(clock) as _,
        ),
        clerk: None,
        https: true,
    })
}
