//! Looking at connected AWS accounts, and reading the months that they deliver.

use chrono::{DateTime, Utc};
use costlens_domain::AwsConnectionId;
use costlens_domain::aws::Month;
use costlens_queue::{Enqueued, Job};
use costlens_store::{StoreError, TenantConn};
use serde::{Deserialize, Serialize};

use crate::{TenantJob, ask, ask_for, job};

/// Looks at one connection: whether we are let in, and what was delivered.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct CheckAwsConnection {
    /// The connection.
    pub connection: AwsConnectionId,
    /// The moment for which it was asked, in milliseconds: one look each.
    pub ask: i64,
    /// Whether months that could not be read are read again though nothing new was delivered.
    #[serde(default)]
    pub retry_failed: bool,
}

impl Job for CheckAwsConnection {
    const QUEUE: &'static str = "aws-check.v1";
    /// A look that fails is made up for by the next one.
    const MAX_ATTEMPTS: u32 = 4;
}

impl TenantJob for CheckAwsConnection {
    fn key(&self) -> Option<String> {
        Some(format!("{}:{}", self.connection, self.ask))
    }
}

/// Asks for a look at this moment.
pub async fn ask_to_check(
    tx: &mut TenantConn,
    connection: AwsConnectionId,
    at: DateTime<Utc>,
    retry_failed: bool,
) -> Result<(), StoreError> {
    ask(tx, &CheckAwsConnection { connection, ask: at.timestamp_millis(), retry_failed }).await.map(drop)
}

/// Asks for a look so much later.
pub async fn ask_to_check_later(
    tx: &mut TenantConn,
    connection: AwsConnectionId,
    (now, later): (DateTime<Utc>, std::time::Duration),
) -> Result<(), StoreError> {
    let ask = now.timestamp_millis().saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX));
    let job = job(&CheckAwsConnection { connection, ask, retry_failed: false })?.run_in(later);
    ask_for(tx, job).await.map(drop)
}

/// Reads the newest delivery of a month.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ReadBillMonth {
    /// The connection.
    pub connection: AwsConnectionId,
    /// The month.
    pub month: Month,
    /// Which ask it is: the month's row knows the last one.
    pub ask: u32,
}

impl Job for ReadBillMonth {
    const QUEUE: &'static str = "bill-month.v1";
    const MAX_ATTEMPTS: u32 = 8;
}

impl TenantJob for ReadBillMonth {
    fn key(&self) -> Option<String> {
        Some(format!("{}:{}:{}", self.connection, self.month, self.ask))
    }
}

/// Asks for a month to be read, in the transaction that says so in the month's row.
pub async fn ask_to_read(
    tx: &mut TenantConn,
    asked: ReadBillMonth,
    manifest_key: &str,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    match ask(tx, &asked).await? {
        Enqueued::New(id) => {
            tx.await_bill_month(asked.connection, asked.month, manifest_key, (id, asked.ask), at).await?;
            Ok(true)
        }
        Enqueued::AlreadyThere => Ok(false),
    }
}
