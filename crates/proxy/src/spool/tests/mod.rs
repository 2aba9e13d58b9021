//! The spool under test: small facts, a clock that stands still, ledgers that fail on command.

mod damage;
mod format;
mod framing;
mod in_flight;
mod kills;
mod room;
mod shipping;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use costlens_domain::ports::Clock;
use costlens_domain::privacy::BodyState;
use costlens_domain::request::{CostBasis, Outcome, PriceReceipt, Provenance, RequestFact};
use costlens_domain::{ApiKeyId, RequestId, TenantId, Tokens, Usage};

use super::{FactSink, Recovered, ShipperConfig, SinkError, Spool, SpoolConfig};

#[derive(Debug)]
struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> DateTime<Utc> {
        at()
    }
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_763_800_000_123).unwrap()
}

fn call_id(number: u64) -> RequestId {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    RequestId::new(at(), random)
}

/// What is shipped if the call's end never comes.
fn intent(number: u64) -> RequestFact {
    RequestFact {
        id: call_id(number),
        tenant_id: TenantId::new(at(), [1; 10]),
        api_key_id: ApiKeyId::new(at(), [2; 10]),
        connection_id: None,
        started_at: at(),
        duration_ms: 0,
        first_byte_ms: None,
        provider: "openai".to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        model_requested: "gpt-4o-mini".to_owned(),
        model_served: None,
        service_tier: None,
        streamed: true,
        status: None,
        outcome: Outcome::Interrupted,
        error_code: None,
        usage: Usage { fresh_input: Tokens(1), ..Usage::default() },
        cost_basis: CostBasis::Estimated,
        cost: "0.00000015".parse().ok(),
        price: PriceReceipt::default(),
        caller_request_id: Some(format!("caller-{number}")),
        provider_request_id: None,
        provenance: Provenance::default(),
        body: BodyState::None,
    }
}

/// How the call really ended; its tokens follow from its number.
pub(super) fn completed(number: u64) -> RequestFact {
    RequestFact {
        duration_ms: 42,
        status: Some(200),
        outcome: Outcome::Completed,
        usage: Usage { fresh_input: Tokens(number), output: Tokens(number * 7), ..Usage::default() },
        cost_basis: CostBasis::Exact,
        provider_request_id: Some("req_0123456789".to_owned()),
        ..intent(number)
    }
}

fn small(dir: &Path) -> SpoolConfig {
    SpoolConfig {
        segment_bytes: SpoolConfig::MIN_SEGMENT_BYTES,
        limit_bytes: 64 << 20,
        ..SpoolConfig::new(dir)
    }
}

fn open(config: SpoolConfig) -> (Spool, Recovered) {
    Spool::open(config, Arc::new(StandingClock)).unwrap()
}

fn quick() -> ShipperConfig {
    ShipperConfig {
        linger: Duration::from_millis(5),
        first_pause: Duration::from_millis(2),
        longest_pause: Duration::from_millis(20),
        ..ShipperConfig::default()
    }
}

/// A ledger in memory that knows ids, as the real one does, and fails as it is told to.
#[derive(Default)]
struct Ledger {
    rows: Mutex<Vec<RequestFact>>,
    /// This many next inserts fail before the commit.
    away: AtomicU64,
    /// This many next inserts commit and then lose the answer.
    deaf: AtomicU64,
    /// Rows that are never taken.
    refused: Mutex<Vec<RequestId>>,
    inserts: AtomicU64,
}

impl Ledger {
    fn rows(&self) -> Vec<RequestFact> {
        self.rows.lock().unwrap().clone()
    }
}

fn take_one(counter: &AtomicU64) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl FactSink for Ledger {
    async fn insert(&self, facts: &[RequestFact]) -> Result<(), SinkError> {
        self.inserts.fetch_add(1, Ordering::SeqCst);
        if take_one(&self.away) {
            return Err(SinkError::Retry("away".into()));
        }
        let refused = self.refused.lock().unwrap().clone();
        if facts.iter().any(|fact| refused.contains(&fact.id)) {
            return Err(SinkError::Poison("refused".into()));
        }
        let mut rows = self.rows.lock().unwrap();
        let known: HashMap<RequestId, RequestFact> = rows.iter().map(|row| (row.id, row.clone())).collect();
        for fact in facts {
            match known.get(&fact.id) {
                None => rows.push(fact.clone()),
                Some(before) => assert_eq!(before, fact, "a call was shipped twice with other figures"),
            }
        }
        drop(rows);
        if take_one(&self.deaf) { Err(SinkError::Retry("deaf".into())) } else { Ok(()) }
    }
}

/// Opens the directory, ships all that is in it and gives back what the ledger then holds.
async fn replay(config: SpoolConfig) -> (Vec<RequestFact>, super::SpoolCounters) {
    let ledger = Arc::new(Ledger::default());
    let (spool, recovered) = open(config);
    let shipper = spool.start_shipper(recovered, ledger.clone(), quick());
    assert_eq!(shipper.close(Duration::from_mins(1)).await.left, 0);
    (ledger.rows(), spool.counters())
}

/// The segment files, oldest first.
fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let found = super::segment::list(dir).unwrap();
    found.into_iter().map(|(number, _)| super::segment::path(dir, number)).collect()
}
