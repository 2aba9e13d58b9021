//! What one call costs in the spool: microseconds per `begin` and `complete` together, on one thread and on two.
//!
//! `cargo run --release -p costlens-proxy --example spool_speed [DIRECTORY]`

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use costlens_domain::ports::Clock;
use costlens_domain::privacy::BodyState;
use costlens_domain::request::{CostBasis, Durability, Outcome, PriceReceipt, Provenance, RequestFact};
use costlens_domain::{ApiKeyId, ConnectionId, RequestId, TenantId, Tokens, Usage};
use costlens_proxy::spool::{FactSink, ShipperConfig, SinkError, Spool, SpoolConfig};

const CALLS: u64 = 100_000;

#[derive(Debug)]
struct Standing(DateTime<Utc>);

impl Clock for Standing {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

struct Nowhere;

#[async_trait::async_trait]
impl FactSink for Nowhere {
    async fn insert(&self, _facts: &[RequestFact]) -> Result<(), SinkError> {
        Ok(())
    }
}

fn fact(at: DateTime<Utc>, number: u64) -> RequestFact {
    let mut random = [0; 10];
    random.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
    RequestFact {
        id: RequestId::new(at, random),
        tenant_id: TenantId::new(at, [1; 10]),
        api_key_id: ApiKeyId::new(at, [2; 10]),
        connection_id: Some(ConnectionId::new(at, [3; 10])),
        started_at: at,
        duration_ms: 812,
        first_byte_ms: Some(120),
        provider: "openai".to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        model_requested: "gpt-4o-mini".to_owned(),
        model_served: Some("gpt-4o-mini-2024-07-18".to_owned()),
        service_tier: Some("default".to_owned()),
        streamed: true,
        status: Some(200),
        outcome: Outcome::Completed,
        error_code: None,
        usage: Usage { fresh_input: Tokens(1_234), output: Tokens(567), ..Usage::default() },
        cost_basis: CostBasis::Exact,
        cost: "0.0005253".parse().ok(),
        price: PriceReceipt {
            price_id: Some("openai/gpt-4o-mini".to_owned()),
            source: Some("https://openai.com/api/pricing".to_owned()),
            effective: None,
            formula: Some("1234 fresh_input × 0.15/M + 567 output × 0.6/M".to_owned()),
            note: None,
            repriced: None,
        },
        caller_request_id: None,
        provider_request_id: Some("req_0123456789abcdef".to_owned()),
        provenance: Provenance::default(),
        body: BodyState::None,
    }
}

fn calls(
    spool: &Spool,
    at: DateTime<Utc>,
    first: u64,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for number in first..first + CALLS {
        let fact = fact(at, number);
        spool.begin(&fact)?.complete(fact.clone(), Durability::Spool)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let at = DateTime::from_timestamp_millis(1_763_800_000_123).unwrap_or_default();
    let dir = std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join("spool_speed"), Into::into);
    let (spool, recovered) = Spool::open(SpoolConfig::new(&dir), Arc::new(Standing(at)))?;

    let built = Instant::now();
    (0..CALLS).for_each(|number| drop(std::hint::black_box(fact(at, number))));
    let built = built.elapsed();
    let start = Instant::now();
    calls(&spool, at, 0)?;
    let one = start.elapsed().saturating_sub(built);
    println!("one thread:  {} ns per begin + complete", one.as_nanos() / u128::from(CALLS));

    let start = Instant::now();
    std::thread::scope(|threads| {
        let others = [1, 2].map(|n| {
            threads.spawn({
                let spool = &spool;
                move || calls(spool, at, n * CALLS)
            })
        });
        others
            .into_iter()
            .try_for_each(|other| other.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })?;
    println!(
        "two threads: {} ns per begin + complete, both at once",
        start.elapsed().as_nanos() / u128::from(2 * CALLS)
    );

    let counters = spool.counters();
    let start = Instant::now();
    let shipper = spool.start_shipper(recovered, Arc::new(Nowhere), ShipperConfig::default());
    let drained = shipper.close(Duration::from_mins(1)).await;
    println!(
        "shipping:    {} ns per row without a database, {} rows left; {} bytes per call in the spool",
        start.elapsed().as_nanos() / u128::from(3 * CALLS),
        drained.left,
        counters.allocated_bytes / (3 * CALLS),
    );
    Ok(())
}
