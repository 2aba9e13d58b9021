//! What the workers need from crates that they do not know, and the process's own endpoints.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use costlens_bill::{BillError, ParquetRows, Progress, ReadOptions, read_bill};
use costlens_domain::bill::BillReport;
use costlens_domain::export::{Cell, Column};
use costlens_proxy::spool::Spool;
use costlens_store::Store;
use costlens_vault::{Keyring, ServiceState};
use costlens_workers::bill_ingestion::{BillRefused, HearProgress, ReadBill};
use costlens_workers::exports::parquet::{NotWritten, ParquetFile, WriteParquet};
use poem::endpoint::make;
use poem::http::StatusCode;
use poem::{Endpoint, IntoResponse as _, Response, get};

/// How long a probe waits for the database's answer.
const PING: Duration = Duration::from_secs(1);

/// What readiness depends on.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) store: Store,
    pub(crate) spool: Spool,
    pub(crate) keyring: Arc<Keyring>,
}

/// `/healthz`: the process is alive. Depends on nothing else, so that an outage elsewhere restarts nobody.
pub(crate) fn alive() -> impl Endpoint {
    get(make(|_| async { json(StatusCode::OK, &serde_json::json!({"status": "alive"})) }))
}

/// `/readyz`: calls can be taken. Not Redis, and no version.
pub(crate) fn ready(health: Health) -> impl Endpoint {
    get(make(move |_| {
        let health = health.clone();
        async move {
            // However long others may wait for a connection: who probes does not.
            let database =
                tokio::time::timeout(PING, health.store.ping()).await.is_ok_and(|pong| pong.is_ok());
            let spool = health.spool.counters();
            let room = spool.allocated_bytes < spool.limit_bytes || spool.unshipped == 0;
            // Without the database, known keys are still served and recorded: taking this process out of service
            // would turn a small outage into a whole one.
            let status = if room { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let word = |good| if good { "ready" } else { "unavailable" };
            let mut body = serde_json::json!({"database": word(database), "spool": word(room)});
            // Keys in memory go on without the key service, and calls that need none.
            if let Some(state) = health.keyring.service_state()
                && let Some(body) = body.as_object_mut()
            {
                let word = match state {
                    ServiceState::Fine => "ready",
                    ServiceState::Away(_) => "unavailable",
                    ServiceState::Refused(_) => "refused",
                };
                body.insert("key_service".to_owned(), word.into());
            }
            json(status, &body)
        }
    }))
}

/// `/openapi.json`.
pub(crate) fn contract(document: String) -> impl Endpoint {
    get(make(move |_| {
        let document = document.clone();
        async move { document.with_content_type("application/json").into_response() }
    }))
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    body.to_string().with_content_type("application/json").with_status(status).into_response()
}

/// The bill engine behind the workers' port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BillAdapter;

/// Hands the engine's progress on.
struct Told<'a>(&'a dyn HearProgress);

impl Progress for Told<'_> {
    fn advance(&self, step: &str, permille: u16) {
        self.0.hear(step, permille);
    }
}

#[async_trait::async_trait]
impl ReadBill for BillAdapter {
    async fn read(&self, path: &Path, progress: &dyn HearProgress) -> Result<BillReport, BillRefused> {
        let read = read_bill(&[path.to_owned()], &ReadOptions::default(), &Told(progress)).await;
        read.map_err(|error| refused(&error))
    }
}

/// Whose fault it is, for who tells the bill's owner.
fn refused(error: &BillError) -> BillRefused {
    let words = error.to_string();
    match error {
        BillError::Engine { .. } | BillError::Open { .. } => BillRefused::Engine(words),
        BillError::NoCost { .. } => BillRefused::NoCost(words),
        BillError::Memory { .. } => BillRefused::TooLarge(words),
        _ => BillRefused::Unreadable(words),
    }
}

/// A Parquet file of the bill crate behind the workers' port.
#[derive(Debug)]
struct ParquetAdapter(ParquetRows);

impl WriteParquet for BillAdapter {
    fn begin(&self, columns: &'static [Column]) -> Result<Box<dyn ParquetFile>, NotWritten> {
        let rows = ParquetRows::begin(columns).map_err(|fault| NotWritten(fault.to_string()))?;
        Ok(Box::new(ParquetAdapter(rows)))
    }
}

impl ParquetFile for ParquetAdapter {
    fn add(&mut self, rows: &[Vec<Cell<'_>>]) -> Result<Vec<u8>, NotWritten> {
        self.0.add(rows).map_err(|fault| NotWritten(fault.to_string()))
    }

    fn end(self: Box<Self>) -> Result<Vec<u8>, NotWritten> {
        self.0.end().map_err(|fault| NotWritten(fault.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_that_takes_too_much_memory_is_too_large_and_not_broken() {
        let full = refused(&BillError::Memory { memory_bytes: 1_024 });
        assert!(
            matches!(&full, BillRefused::TooLarge(words) if words.contains("1024 bytes")),
            "{full:?} is told to its owner"
        );
        let (file, reason) = ("october.csv".to_owned(), "no bill".to_owned());
        let corrupt = BillError::Corrupt { file, place: "in line 1".to_owned(), reason };
        assert!(matches!(refused(&corrupt), BillRefused::Unreadable(_)));
    }
}
