//! The workers of this process, from the start to the drain.

use std::sync::Arc;
use std::time::Duration;

use costlens_domain::ports::{Clock, Entropy};
use costlens_objects::Objects;
use costlens_queue::Queue;
use costlens_vault::OsEntropy;
use costlens_workers::aws_accounts::ScratchDir;
use costlens_workers::{Links, WorkerParts};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api_adapters::BillAdapter;
use crate::boot::{Failure, Ledger};
use crate::cli::WorkArgs;
use crate::clock::SystemClock;
use crate::log::log_to_stderr;
use crate::run::stop_signal;
use crate::seal_counts;
use crate::settings::{default_data_dir, object_dir};

/// How long a stop waits for jobs that have begun. What is cut runs again at the next start.
const DRAIN: Duration = Duration::from_secs(20);
/// The pause before another look at what keeps the workers from working.
const RETRY: Duration = Duration::from_mins(1);
/// The pause before workers that ended by themselves are started anew.
const PAUSE: Duration = Duration::from_secs(5);

/// Workers that run.
pub(crate) struct Working {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// `costlens work`: until SIGINT or SIGTERM.
pub(crate) async fn run(args: Box<WorkArgs>) -> Result<(), Failure> {
    log_to_stderr(&args.log)?;
    let keys = args.keys.existing()?;
    let ledger = Ledger::given(&args.database_url, args.wait.named()).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let keyring = Arc::new(keys.open(Some(&ledger.store), &clock).await?);
    let public_url = args.outward.public_url.as_deref().unwrap_or("http://localhost:8080");
    let data_dir = args.data_dir.unwrap_or_else(default_data_dir);
    args.outward.clerk.check(false)?;
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    args.outward.aws.check(false).map_err(|wrong| wrong.join("; "))?;
    let parts = WorkerParts {
        store: ledger.store.clone(),
        clerk: args.outward.clerk(&clock)?,
        aws: args.outward.aws.accounts(&clock, &entropy).await?,
        scratch: ScratchDir::below(&data_dir.join("scratch")),
        max_bill_bytes: args.max_bill_bytes,
        invoices: args.outward.invoices()?,
        clock,
        clocks_apart: Some(costlens_workers::CLOCKS_APART),
        keyring: Arc::clone(&keyring),
        entropy,
        objects: Objects::local(&object_dir(args.object_dir.as_deref(), &data_dir))?,
        max_export_bytes: args.max_export_bytes,
        bills: Arc::new(BillAdapter),
        parquet: Arc::new(BillAdapter),
        egress: args.outward.egress()?,
        mailer: args.outward.mailer()?,
        svix: args.outward.svix()?,
        links: Links::below(public_url),
        status: args.outward.status(args.outward.public_url.as_deref())?,
        prices_url: args.outward.prices_url()?,
        forever_body_days: args.retention.forever_body_days,
    };
    // A process that is there to work and cannot says so at once.
    costlens_workers::prepare(&ledger.queue()?, &parts).await?;
    let working = start(&ledger, parts)?;
    let counting = seal_counts::start(ledger.store.clone(), Arc::clone(&keyring));
    stop_signal()?.await;
    working.stop().await;
    counting.abort();
    seal_counts::carry(&ledger.store, &keyring).await?;
    Ok(())
}

/// Starts all workers. Fails only on a URL that cannot be read.
pub(crate) fn start(ledger: &Ledger, parts: WorkerParts) -> Result<Working, Failure> {
    let queue = ledger.queue()?;
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(keep_working(queue, parts, stopped));
    Ok(Working { stop, task })
}

impl Working {
    /// Lets jobs that have begun end, within bounds.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(DRAIN, &mut self.task).await.is_err() {
            tracing::warn!("some jobs did not end in time; they run again at the next start");
            self.task.abort();
        }
    }
}

/// The calls that this process carries go on whatever becomes of its workers: what keeps them from working is told
/// and tried again.
async fn keep_working(queue: Queue, parts: WorkerParts, mut stopped: watch::Receiver<bool>) {
    let host = format!("costlens-{}", std::process::id());
    // A closed channel is a stop, too.
    while stopped.has_changed().is_ok() && !*stopped.borrow() {
        if let Err(error) = costlens_workers::prepare(&queue, &parts).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "nothing is worked on; tried again in a minute"
            );
            let _stopped = tokio::time::timeout(RETRY, stopped.wait_for(|stopped| *stopped)).await;
            continue;
        }
        let mut stop = stopped.clone();
        let until = async move {
            let _stopped = stop.wait_for(|stopped| *stopped).await;
        };
        let workers = costlens_workers::workers(queue.clone(), &host, &parts);
        if let Err(ended) = workers.run_until(until).await {
            tracing::error!(error = &ended as &dyn std::error::Error, "a worker ended; all are started anew");
            let _stopped = tokio::time::timeout(PAUSE, stopped.wait_for(|stopped| *stopped)).await;
        }
    }
}
