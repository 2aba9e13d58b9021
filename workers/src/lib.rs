//! What happens later: every workflow, one folder each.
//!
//! A workflow is a job (or a durable run) of [`costlens_queue`], a handler, and mostly a schedule. It promises to be
//! safe to run twice, at once, and to be killed anywhere: the queue runs everything at least once.

mod alerts;
pub mod audit_anchors;
pub mod aws_accounts;
pub mod bill_ingestion;
mod candidates;
mod clerk;
mod dead_letters;
mod digest;
pub mod erasure;
pub mod exports;
mod insight;
mod invoices;
mod key_rotation;
mod links;
mod messages;
mod partitions;
mod people;
mod prices;
mod queue_rows;
mod retention;
mod sealing;
mod settlement;
mod single_sign_on;
mod spend;
mod status;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::ports::{Clock, Entropy};
use costlens_egress::Egress;
use costlens_identity::Clerk;
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::webhooks::svix::Svix;
use costlens_notify::words::{ChannelDisabled, Medium};
use costlens_notify::{Kind, Mailer};
use costlens_objects::Objects;
use costlens_queue::schedule::{self, CatchUp, Schedule};
use costlens_queue::{Job, JobContext, JobError, Queue, QueueConfig, QueueError, Settings, Workers};
use costlens_store::{ENQUEUER_ROLES, Neighbour, Store, StoreError, WORKER_ROLE};
use costlens_store::{TenantConn, TenantSettings};
use costlens_vault::Keyring;

pub use invoices::InvoiceHosts;
pub use links::Links;
pub use prices::{PricesUrl, RefusedPricesUrl};
pub use status::{StatusTarget, StatusTargets};

/// How often schedules are looked at.
const TICK: Duration = Duration::from_secs(5);

/// How far a process's clock may be from the database's.
pub const CLOCKS_APART: TimeDelta = TimeDelta::minutes(5);

/// What handlers work with.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each part is documented where it is defined")]
pub struct WorkerParts {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    /// How far the clock may be from the database's, see [`CLOCKS_APART`]; `None` for one that a test moves.
    pub clocks_apart: Option<TimeDelta>,
    pub keyring: Arc<Keyring>,
    pub entropy: Arc<dyn Entropy>,
    pub objects: Objects,
    /// The most bytes of an export's file.
    pub max_export_bytes: u64,
    pub bills: Arc<dyn bill_ingestion::ReadBill>,
    /// Who writes Parquet.
    pub parquet: Arc<dyn exports::parquet::WriteParquet>,
    /// Customers' AWS accounts; `None` where none can be connected.
    pub aws: Option<Arc<dyn aws_accounts::port::AwsAccounts>>,
    /// Where deliveries lie while they are read.
    pub scratch: aws_accounts::ScratchDir,
    /// The most bytes of a bill's files.
    pub max_bill_bytes: u64,
    /// Where vendors' own reports are asked for.
    pub invoices: InvoiceHosts,
    /// The way out to addresses that tenants gave.
    pub egress: Egress,
    /// The operator's mail server, if there is one.
    pub mailer: Option<Mailer>,
    /// The operator's Svix, if there is one.
    pub svix: Option<Arc<Svix>>,
    /// That Clerk keeps people and organisations.
    pub clerk: Option<Arc<Clerk>>,
    pub links: Links,
    /// Where the service is looked at from outside.
    pub status: StatusTargets,
    /// Where price documents are fetched from, if the operator named a place.
    pub prices_url: Option<PricesUrl>,
    /// After how many days what tenants keep for ever is let go of; `None` if never.
    pub forever_body_days: Option<u32>,
}

/// The queue's schema, to be migrated beside the store's own. The queue knows tenants as a column; that a tenant's
/// transaction sees and leaves its own jobs alone is said here.
#[must_use]
pub fn schema() -> Neighbour {
    let grants = costlens_queue::grants(&[WORKER_ROLE], &ENQUEUER_ROLES);
    Neighbour { migrations: costlens_queue::MIGRATIONS, grants: grants + include_str!("policies.sql") }
}

/// Why the process cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The queue cannot be reached, or refuses.
    #[error("the queue is not ready")]
    Queue(#[from] QueueError),
    /// The database's URL cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The queue in the store's database, as the role that works on it; `wait` is how long it waits for a connection, where
/// that is not as usual.
pub fn queue(runtime_url: &str, wait: Option<Duration>) -> Result<Queue, SetupError> {
    let mut config = QueueConfig::new(costlens_store::worker_url(runtime_url)?);
    config.acquire_timeout = wait.unwrap_or(config.acquire_timeout);
    Ok(Queue::new(&config)?)
}

/// Writes the schedules, and refuses a database with another clock. Work that this version does not know stops nothing:
/// it is left to whoever knows it, buried when nobody has for an hour, and brought back by whoever does again.
pub async fn prepare(queue: &Queue, parts: &WorkerParts) -> Result<(), SetupError> {
    hold_clock(queue, parts).await?;
    let mut conn = queue.conn().await?;
    let known = workers(queue.clone(), "", parts);
    dead_letters::unbury_known(&mut conn, &known.queues()).await?;
    dead_letters::bury_unknown(&mut conn, &known.queues()).await?;
    for left in costlens_queue::unknown_work(&mut conn, &known.queues()).await? {
        tracing::warn!(
            queue = left.queue,
            jobs = left.rows,
            oldest = %left.oldest,
            "there are jobs that this version does not know; they wait for one that does"
        );
    }
    let schedules = schedules()?;
    for schedule in &schedules {
        schedule::put(&mut conn, schedule, parts.clock.now()).await?;
    }
    // Those of a workflow that is gone would leave jobs that nobody does.
    let names: Vec<&str> = schedules.iter().map(|schedule| schedule.name.as_str()).collect();
    schedule::keep_only(&mut conn, &names).await?;
    Ok(())
}

/// Holds the clock against the database's, before something that only the right time allows.
async fn hold_clock(queue: &Queue, parts: &WorkerParts) -> Result<(), QueueError> {
    let Some(most_apart) = parts.clocks_apart else { return Ok(()) };
    let mut conn = queue.conn().await?;
    costlens_queue::check_clock(&mut conn, parts.clock.now(), most_apart).await
}

/// Another worker may have the right time, and this one again.
fn wrong_clock(error: QueueError) -> JobError {
    let is_wrong = matches!(error, QueueError::Clock { .. });
    let error = JobError::retry(error);
    if is_wrong { error.code("clock") } else { error }
}

/// Every workflow's worker, and what ticks their schedules. `host` stands in the story of what fails here.
pub fn workers(queue: Queue, host: &str, parts: &WorkerParts) -> Workers {
    let clock = Arc::clone(&parts.clock);
    let workers = Workers::new(queue, host).schedules(TICK, parts.clocks_apart, move || clock.now());
    let workers = add(workers, parts, partitions::ensure_partitions);
    let workers = add(workers, parts, retention::purge_expired);
    let workers = add(workers, parts, key_rotation::rotate_keys);
    let workers = add(workers, parts, key_rotation::rotate_tenant_key);
    let workers = add(workers, parts, key_rotation::rotate_subject_keys);
    let workers = add(workers, parts, audit_anchors::anchor_audit);
    let workers = add(workers, parts, alerts::check_budgets);
    let workers = add(workers, parts, alerts::find_anomalies);
    let workers = add(workers, parts, insight::find_facts);
    let workers = insight::add(workers, parts);
    let workers = add(workers, parts, digest::write_digests);
    let workers = add(workers, parts, erasure::find_erasures);
    let workers = add(workers, parts, erasure::erase_account);
    let workers = add(workers, parts, messages::find_messages);
    let workers = add(workers, parts, prices::refresh_prices);
    let workers = add(workers, parts, prices::price_unpriced);
    let workers = add(workers, parts, prices::spread_correction);
    let workers = add_walks(workers, parts);
    let workers = add_calls(workers, parts, messages::send_message);
    let workers = add_calls(workers, parts, people::send_user_link);
    let workers = add_calls(workers, parts, people::send_invitation);
    let workers = add_calls(workers, parts, webhooks::spread_event);
    let workers = add_calls(workers, parts, webhooks::deliver_webhook);
    let workers = add_calls(workers, parts, webhooks::mirror_endpoint);
    let workers = add_calls(workers, parts, clerk::heed_clerk);
    let workers = add(workers, parts, clerk::sweep_clerk);
    let workers = add(workers, parts, single_sign_on::look_for_domains);
    let workers = add(workers, parts, webhooks::find_deliveries);
    let workers = bill_ingestion::add(workers, parts);
    let workers = add(workers, parts, bill_ingestion::sweep_uploads);
    let workers = aws_accounts::add(workers, parts);
    let workers = add(workers, parts, aws_accounts::find_aws_checks);
    let workers = invoices::add(workers, parts);
    let workers = add(workers, parts, invoices::find_invoice_fetches);
    let workers = add_settling(workers, parts);
    let workers = add_deciding(workers, parts);
    let workers = add(workers, parts, settlement::find_settlements);
    let workers = exports::add(workers, parts);
    let workers = add(workers, parts, exports::sweep_exports);
    let workers = add(workers, parts, status::probe_status);
    let workers = add(workers, parts, dead_letters::find_dead_letters);
    add(workers, parts, queue_rows::prune_queue)
}

/// A worker for jobs that are each a short call to somewhere else: several at a time, and never all for one tenant.
fn add_calls<J, H, Fut>(workers: Workers, parts: &WorkerParts, handler: H) -> Workers
where
    J: Job,
    H: Fn(J, JobContext, WorkerParts) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), JobError>> + Send + 'static,
{
    let parts = parts.clone();
    let settings =
        Settings { timeout: Some(Duration::from_mins(2)), per_tenant: Some(4), ..Settings::default() };
    workers.job(settings, 8, move |job: J, context: JobContext| handler(job, context, parts.clone()))
}

/// Walks over tenants' calls: some tenants at a time, and one walk of each.
fn add_walks(workers: Workers, parts: &WorkerParts) -> Workers {
    let parts = parts.clone();
    let settings =
        Settings { timeout: Some(Duration::from_mins(10)), per_tenant: Some(1), ..Settings::default() };
    workers.job(settings, 2, move |job, context| prices::reprice_tenant(job, context, parts.clone()))
}

/// Settling: some tenants at a time, and one month of each.
fn add_settling(workers: Workers, parts: &WorkerParts) -> Workers {
    let parts = parts.clone();
    let settings =
        Settings { timeout: Some(Duration::from_mins(10)), per_tenant: Some(1), ..Settings::default() };
    workers.job(settings, 2, move |job, context| settlement::settle_month(job, context, parts.clone()))
}

/// Deciding of candidates: some tenants at a time, and one decision of each.
fn add_deciding(workers: Workers, parts: &WorkerParts) -> Workers {
    let parts = parts.clone();
    let settings =
        Settings { timeout: Some(Duration::from_mins(10)), per_tenant: Some(1), ..Settings::default() };
    workers.job(settings, 2, move |job, context| candidates::decide_candidates(job, context, parts.clone()))
}

/// The schedules; their times are UTC.
fn schedules() -> Result<Vec<Schedule>, QueueError> {
    Ok(vec![
        Schedule::of("bill-uploads", "*/10 * * * *", "UTC", &bill_ingestion::SweepUploads {})?,
        Schedule::of("budgets", "*/10 * * * *", "UTC", &alerts::CheckBudgets {})?,
        Schedule::of("aws-checks", "* * * * *", "UTC", &aws_accounts::FindAwsChecks {})?,
        Schedule::of("anomalies", "20 * * * *", "UTC", &alerts::FindAnomalies {})?,
        // Every quarter of an hour: time zones are apart by such.
        Schedule::of("digests", "1,16,31,46 * * * *", "UTC", &digest::WriteDigests {})?,
        // After midnight by UTC, and again: what failed in the night is made up for in the day.
        Schedule::of("audit-anchors", "25 0,6,12,18 * * *", "UTC", &audit_anchors::AnchorAudit {})?,
        Schedule::of("clerk-sweep", "50 3 * * *", "UTC", &clerk::SweepClerk::default())?,
        // After midnight by UTC, when the day's last calls have long reached the ledger.
        Schedule::of("insight", "35 5 * * *", "UTC", &insight::FindFacts {})?,
        // Between the night's prices and the look at the facts.
        Schedule::of("settlements", "10 5 * * *", "UTC", &settlement::FindSettlements {})?,
        Schedule::of("erasures", "*/10 * * * *", "UTC", &erasure::FindErasures {})?,
        Schedule::of("exports", "3,13,23,33,43,53 * * * *", "UTC", &exports::SweepExports {})?,
        Schedule::of("invoice-fetches", "2,12,22,32,42,52 * * * *", "UTC", &invoices::FindInvoiceFetches {})?,
        Schedule::of("messages", "5,15,25,35,45,55 * * * *", "UTC", &messages::FindMessages {})?,
        Schedule::of("deliveries", "8,18,28,38,48,58 * * * *", "UTC", &webhooks::FindDeliveries {})?,
        Schedule::of("partitions", "7 * * * *", "UTC", &partitions::EnsurePartitions {})?,
        Schedule::of("prices", "25 */6 * * *", "UTC", &prices::RefreshPrices {})?,
        Schedule::of("unpriced", "50 4 * * *", "UTC", &costlens_jobs::prices::PriceUnpriced {})?,
        Schedule::of("retention", "10 2 * * *", "UTC", &retention::PurgeExpired {})?,
        Schedule::of("key-rotation", "20 3 * * *", "UTC", &key_rotation::RotateKeys {})?,
        Schedule::of("sso-domains", "35 */6 * * *", "UTC", &single_sign_on::LookForDomains::default())?,
        // What was missed stays unknown: nobody can look at the past.
        Schedule::of("status", "* * * * *", "UTC", &status::ProbeStatus {})?.catch_up(CatchUp::Skip),
        Schedule::of("dead-letters", "45 * * * *", "UTC", &dead_letters::FindDeadLetters {})?,
        Schedule::of("queue-rows", "40 2 * * *", "UTC", &queue_rows::PruneQueue {})?,
    ])
}

/// A worker for a kind of upkeep: one at a time, for at most ten minutes.
fn add<J, H, Fut>(workers: Workers, parts: &WorkerParts, handler: H) -> Workers
where
    J: Job,
    H: Fn(J, JobContext, WorkerParts) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), JobError>> + Send + 'static,
{
    let parts = parts.clone();
    let settings = Settings { timeout: Some(Duration::from_mins(10)), ..Settings::default() };
    workers.job(settings, 1, move |job: J, context: JobContext| handler(job, context, parts.clone()))
}

/// What cannot be on paper: a value of ours that has no JSON, an id of ours that cannot be read.
fn bug(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Bug(Box::new(error))
}

/// The store's failures pass, but for those that are ours to mend.
fn store_failure(error: StoreError) -> JobError {
    match error {
        StoreError::Bug(_) | StoreError::Text => {
            JobError::retry(error).class(costlens_queue::ErrorClass::Bug)
        }
        other => JobError::retry(other),
    }
}

/// What its people are to hear of a channel.
struct ChannelNews<'a> {
    medium: Medium,
    id: &'a str,
    name: &'a str,
    why: &'a str,
    /// Since when it takes nothing, where what was sent last is given up and the channel is not stopped. Once for each
    /// such time.
    fails_since: Option<DateTime<Utc>>,
}

/// Tells the tenant's people that nothing more goes to a channel, or that something to it was given up, in the
/// transaction that stops it or gives up.
async fn tell_of_channel(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    news: &ChannelNews<'_>,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let settings = tx.settings().await.map_err(store_failure)?;
    let settings = settings.unwrap_or_else(|| TenantSettings::initial(now));
    let words = ChannelDisabled {
        tenant: tx.tenant().await.map_err(store_failure)?.name,
        medium: news.medium,
        channel: news.name.to_owned(),
        reason: news.why.to_owned(),
        goes_on: news.fails_since.is_some(),
        at: now,
        zone: settings.zone,
        console: parts.links.to("/notifications")?,
        preferences: parts.links.to("/notifications")?,
    };
    let about = match news.fails_since {
        None => format!("stopped:{}:{}", news.id, now.timestamp()),
        Some(since) => format!("given-up:{}:{}", news.id, since.timestamp()),
    };
    let telling = Telling {
        about: &about,
        kind: Kind::ChannelDisabled.as_str(),
        figures: serde_json::to_value(&words)?,
        audience: Audience::People,
        at: now,
        expires_at: now + TimeDelta::days(7),
    };
    tell(tx, &telling, &*parts.entropy).await.map_err(store_failure)?;
    Ok(())
}
