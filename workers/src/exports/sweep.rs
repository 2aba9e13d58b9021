//! What was left lying: exports whose job is gone, files whose time is over, and files that nobody wants.
//!
//! A lost job may delay an export, never lose it. A job that ended without its export's end, because the process died
//! with it too often or somebody cancelled it before it began, ends the export in words.

use std::collections::HashMap;

use chrono::Duration;
use costlens_domain::{ExportId, ProblemCode};
use costlens_jobs::exports::{WriteExport, ask_to_write};
use costlens_objects::ObjectKey;
use costlens_queue::ops::{self, State};
use costlens_queue::{Job, JobContext, JobError};
use costlens_store::{ExportProblem, SweptExport};
use serde::{Deserialize, Serialize};

use super::file_failure;
use crate::{WorkerParts, store_failure};

/// How long an export may lie still before its job is looked for.
const STILL: Duration = Duration::minutes(5);
/// How many are looked at in one step.
const STEP: u32 = 200;
/// And how many files.
const FILES: usize = 1_000;

/// Looks after exports and their files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SweepExports {}

impl Job for SweepExports {
    const QUEUE: &'static str = "exports.v1";
}

/// What a sweep did.
#[derive(Debug, Default, Serialize)]
struct Swept {
    asked: u32,
    ended: u32,
    expired: u32,
    files: u32,
}

pub(crate) async fn sweep_exports(
    _job: SweepExports,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let mut swept = Swept::default();
    let before = parts.clock.now() - STILL;
    let mut after = None;
    loop {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let still = system.unfinished_exports(before, after, STEP).await.map_err(store_failure)?;
        drop(system);
        let Some(last) = still.last() else { break };
        after = Some(last.id);
        for export in still {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            look_after(&parts, &context, &export, &mut swept).await?;
        }
        context.progress(&swept).await?;
    }
    expire(&parts, &context, &mut swept).await?;
    remove_unwanted_files(&parts, &context, &mut swept).await?;
    context.progress(&swept).await?;
    Ok(())
}

async fn look_after(
    parts: &WorkerParts,
    context: &JobContext,
    export: &SweptExport,
    swept: &mut Swept,
) -> Result<(), JobError> {
    let job = match export.job_id {
        None => None,
        Some(id) => {
            let mut conn = context.queue().conn().await?;
            ops::show(&mut conn, id, None).await?
        }
    };
    let now = parts.clock.now();
    let mut conn = parts.store.tenant(export.tenant_id).await.map_err(store_failure)?;
    match job.map(|job| job.job.state) {
        Some(State::Scheduled | State::Ready | State::Running | State::Retrying | State::Waiting) => {
            return Ok(());
        }
        Some(State::Cancelled) => {
            let ended = conn.end_export(export.id, None, now).await.map_err(store_failure)?;
            swept.ended += u32::from(ended);
        }
        Some(State::Dead) => {
            let problem = ExportProblem {
                code: ProblemCode::Internal.as_str().to_owned(),
                detail:
                    "it could not be written for reasons of ours, which have been logged; ask for it again"
                        .to_owned(),
            };
            let ended = conn.end_export(export.id, Some(&problem), now).await.map_err(store_failure)?;
            swept.ended += u32::from(ended);
        }
        Some(State::Done) | None => {
            let job = WriteExport { export: export.id, ask: export.asks.saturating_add(1) };
            let asked = ask_to_write(&mut conn, job, now).await.map_err(store_failure)?;
            swept.asked += u32::from(asked);
        }
    }
    conn.commit().await.map_err(store_failure)
}

/// Files whose seven days are over: first the row lets go, then the file goes.
async fn expire(parts: &WorkerParts, context: &JobContext, swept: &mut Swept) -> Result<(), JobError> {
    loop {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let now = parts.clock.now();
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let due = system.expired_exports(now, STEP).await.map_err(store_failure)?;
        drop(system);
        if due.is_empty() {
            return Ok(());
        }
        for export in due {
            let mut conn = parts.store.tenant(export.tenant_id).await.map_err(store_failure)?;
            let expired = conn.expire_export(export.id, now).await.map_err(store_failure)?;
            conn.commit().await.map_err(store_failure)?;
            swept.expired += u32::from(expired);
            if let Some(Ok(key)) = export.object_key.as_deref().map(str::parse::<ObjectKey>) {
                parts.objects.delete(&key).await.map_err(file_failure)?;
            }
        }
        context.progress(&swept).await?;
    }
}

/// Files of attempts that were killed or were not the first, of exports that ended without them, and of exports whose
/// row is gone. A row is there before its first file, so a file without one is nobody's.
async fn remove_unwanted_files(
    parts: &WorkerParts,
    context: &JobContext,
    swept: &mut Swept,
) -> Result<(), JobError> {
    let of_an_export = |key: ObjectKey| export_of(&key).map(|export| (export, key));
    let mut walk = parts.objects.walk(None);
    loop {
        let listed = walk.next(FILES).await.map_err(file_failure)?;
        if listed.is_empty() {
            return Ok(());
        }
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let files: Vec<_> = listed.into_iter().filter_map(|file| of_an_export(file.key)).collect();
        let ids: Vec<ExportId> = files.iter().map(|(export, _)| *export).collect();
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let wanted = system.wanted_exports(&ids).await.map_err(store_failure)?;
        drop(system);
        let wanted: HashMap<ExportId, Option<String>> = wanted.into_iter().collect();
        for (export, key) in files {
            let stays = match wanted.get(&export) {
                None => false,
                // It is being written.
                Some(None) => true,
                Some(Some(named)) => *named == key.to_string(),
            };
            if !stays {
                parts.objects.delete(&key).await.map_err(file_failure)?;
                swept.files += 1;
            }
        }
    }
}

/// The export that a file belongs to, by its name.
fn export_of(key: &ObjectKey) -> Option<ExportId> {
    let (export, _attempt) = key.name().rsplit_once('_')?;
    export.parse().ok()
}
