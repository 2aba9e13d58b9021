//! Dead letters that nobody would find: every hour the operator is told of new ones, and what no version has a worker
//! for becomes one.

use std::time::Duration;

use chrono::NaiveTime;
use costlens_domain::AuditEventId;
use costlens_domain::audit::{Action, Actor};
use costlens_jobs::aws::ReadBillMonth;
use costlens_jobs::bills::IngestBill;
use costlens_jobs::closures::EraseAccount;
use costlens_jobs::events::DeliverWebhook;
use costlens_jobs::exports::WriteExport;
use costlens_jobs::messages::SendMessage;
use costlens_queue::ops::{self, DeadOfDay};
use costlens_queue::{Conn, ErrorClass, Job, JobContext, JobError, Queue, QueueError};
use costlens_store::{NewAuditEvent, StoreError};
use costlens_vault::sha256;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::prices::RefreshPrices;
use crate::{WorkerParts, store_failure};

/// For how long work that this version does not know waits for one that does: a slow deploy or a rollback is over by then.
const UNKNOWN_FOR: Duration = Duration::from_hours(1);
/// How many jobs are buried in one step.
const STEP: u32 = 5_000;

/// A dead letter that is younger is not told of: sweepers, which look every ten minutes, may bring it back.
const SETTLES: Duration = Duration::from_mins(15);
/// How far back is looked, for hours in which nobody did.
const LOOKS_BACK: Duration = Duration::from_hours(36);

/// Queues whose dead letters somebody else attends: a sweeper that asks again or ends in words what the job was for, or
/// an alarm of its own.
const ATTENDED: [&str; 7] = [
    SendMessage::QUEUE,
    DeliverWebhook::QUEUE,
    ReadBillMonth::QUEUE,
    IngestBill::QUEUE,
    WriteExport::QUEUE,
    EraseAccount::QUEUE,
    RefreshPrices::QUEUE,
];

/// Buries what nobody knows, and tells of what died.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindDeadLetters {}

impl Job for FindDeadLetters {
    const QUEUE: &'static str = "dead-letters.v1";
}

pub(crate) async fn find_dead_letters(
    _job: FindDeadLetters,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let known = known(context.queue(), &parts);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut conn = context.queue().conn().await?;
    let brought_back = unbury_known(&mut conn, &known).await?;
    let buried = bury_unknown(&mut conn, &known).await?;
    let dead = ops::dead_by_day(&mut conn, SETTLES, LOOKS_BACK).await?;
    drop(conn);
    let mut told = 0;
    for some in &dead {
        if ATTENDED.contains(&some.queue.as_str()) {
            continue;
        }
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        told += u32::from(tell(&parts, some).await?);
    }
    Ok(context.progress(&json!({"buried": buried, "brought_back": brought_back, "told": told})).await?)
}

/// Makes dead letters of what no version that runs has had a worker for in an hour. How many.
pub(crate) async fn bury_unknown(conn: &mut Conn, known: &[&str]) -> Result<i64, QueueError> {
    let mut all = 0;
    loop {
        let buried = ops::bury_unknown(conn, known, UNKNOWN_FOR, STEP).await?;
        if buried.is_empty() {
            return Ok(all);
        }
        for some in buried {
            all += some.jobs;
            tracing::error!(
                queue = some.queue,
                jobs = some.jobs,
                "no running version has a worker for these jobs; they are dead letters, to be redriven by one that has"
            );
        }
    }
}

/// Brings back what an earlier version buried and this one knows. How many.
pub(crate) async fn unbury_known(conn: &mut Conn, known: &[&str]) -> Result<i64, QueueError> {
    let mut all = 0;
    loop {
        let raised = ops::unbury(conn, known, STEP).await?;
        if raised.is_empty() {
            return Ok(all);
        }
        for some in raised {
            all += some.jobs;
            tracing::info!(
                queue = some.queue,
                jobs = some.jobs,
                "dead letters that no version knew are done by this one"
            );
        }
    }
}

/// The queues that this version has a worker for.
fn known(queue: &Queue, parts: &WorkerParts) -> Vec<String> {
    crate::workers(queue.clone(), "", parts).queues().into_iter().map(str::to_owned).collect()
}

/// Writes it down for the operator, once for each queue, class and day. Whether it was the first time.
async fn tell(parts: &WorkerParts, dead: &DeadOfDay) -> Result<bool, JobError> {
    let class = dead.class.map(ErrorClass::as_str);
    // The id says what was told: another look, or another replica's, writes nothing.
    let id = sha256(format!("{} {} {}", dead.day, dead.queue, class.unwrap_or_default()).as_bytes());
    let mut random = [0; 10];
    random.iter_mut().zip(id).for_each(|(to, from)| *to = from);
    let event = NewAuditEvent {
        id: AuditEventId::new(dead.day.and_time(NaiveTime::MIN).and_utc(), random),
        at: parts.clock.now(),
        actor: Actor::Schedule,
        action: Action::WorkflowsDied,
        target: Some(dead.queue.clone()),
        change: json!({ "day": dead.day, "error_class": class, "codes": dead.codes, "jobs": dead.jobs }),
        request_id: None,
        address: None,
    };
    let mut system = parts.store.system().await.map_err(store_failure)?;
    match system.note_operator_event(&event).await {
        Err(StoreError::Conflict { constraint, .. }) if constraint == "operator_event_pkey" => Ok(false),
        Err(error) => Err(store_failure(error)),
        Ok(()) => {
            tracing::error!(
                queue = dead.queue, jobs = dead.jobs, error_class = class, codes = ?dead.codes, day = %dead.day,
                "jobs are dead letters that nobody looks after"
            );
            Ok(true)
        }
    }
}
