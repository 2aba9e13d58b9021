//! Every day the heads of all chains go into a file that is written once, and what the files before say is held
//! against the database.
//!
//! The file is kept first and noted then: one that a crash left without a note is found under its number and taken as
//! it is. Whoever owns the database can change its rows and the notes; the files are as safe as the place that they
//! are copied to (ADR 0014).

mod check;

use chrono::{Datelike as _, NaiveDate, Weekday};
use costlens_domain::audit::anchor::{Anchor, AnchoredHead, FORMAT};
use costlens_domain::audit::chain::{Chain, Hash, Place};
use costlens_domain::audit::verify::read_anchors;
use costlens_objects::OnceKey;
use costlens_queue::{ErrorClass, Job, JobContext, JobError};
use costlens_store::KeptAnchor;
use serde::{Deserialize, Serialize};

use crate::{WorkerParts, store_failure};

/// The folder of the files.
pub const AREA: &str = "audit_anchors";

/// The largest file that is read: some half a million chains.
const LARGEST: u64 = 100 << 20;

/// How many chains are read together.
const PAGE: u32 = 1_000;

/// How many anchors one run makes at most: one that a crash left, and the day's.
const AT_ONCE: usize = 8;

/// Anchors the day.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AnchorAudit {}

impl Job for AnchorAudit {
    const QUEUE: &'static str = "audit-anchors.v1";
}

pub(crate) fn digest(bytes: &[u8]) -> Hash {
    Hash(costlens_vault::sha256(bytes))
}

pub(crate) async fn anchor_audit(
    _job: AnchorAudit,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let today = parts.clock.now().date_naive();
    // What yesterday's anchor says is looked at once: today's is made by whoever looked.
    for _ in 0..AT_ONCE {
        let last = parts.store.system().await.map_err(store_failure)?.last_audit_anchor().await;
        let last = last.map_err(store_failure)?;
        if last.as_ref().is_some_and(|last| last.day >= today) {
            return Ok(());
        }
        let before = match &last {
            Some(kept) => check::file(&parts, kept).await?,
            None => None,
        };
        let full = today.weekday() == Weekday::Sun;
        check::chains(&context, &parts, before.as_ref(), full, today).await?;
        anchor(&parts, last.as_ref(), today).await?;
    }
    Ok(())
}

/// Keeps the anchor behind the last one, and notes it.
async fn anchor(parts: &WorkerParts, last: Option<&KeptAnchor>, today: NaiveDate) -> Result<(), JobError> {
    let n = last.map_or(0, |last| last.n) + 1;
    let previous = last.map_or(Hash::NONE, |last| last.sha256);
    let anchor = Anchor {
        costlens_audit_anchor: FORMAT,
        n,
        day: today,
        at: parts.clock.now(),
        previous,
        heads: heads(parts).await?,
    };
    let key = key(n)?;
    let mut bytes = serde_json::to_vec(&anchor)?;
    let anchor = if parts.objects.keep_once(&key, bytes.clone()).await.map_err(JobError::retry)? {
        anchor
    } else {
        // Kept by a run that did not come to note it, or by one of a database that was set back.
        bytes = parts.objects.read_once(&key, LARGEST).await.map_err(JobError::retry)?.unwrap_or_default();
        let found = read_anchors([(Anchor::file_name(n), bytes.clone())], digest);
        let found = found.ok().and_then(|found| found.into_iter().next());
        match found {
            Some(found) if found.n == n && found.previous == previous => found,
            _ => {
                check::tell(parts, today, None, "anchor_in_the_way").await?;
                let what = format!("the file of anchor {n} is there and does not follow the last one");
                return Err(JobError::give_up(ErrorClass::Bug, "anchor_in_the_way", what));
            }
        }
    };
    let chains = u64::try_from(anchor.heads.len()).unwrap_or(u64::MAX);
    let kept = KeptAnchor { n, day: anchor.day, at: anchor.at, sha256: digest(&bytes), chains };
    let mut system = parts.store.system().await.map_err(store_failure)?;
    system.add_audit_anchor(&kept).await.map_err(store_failure)?;
    tracing::info!(anchor = n, chains, sha256 = %kept.sha256, "the audit was anchored");
    Ok(())
}

fn key(n: u64) -> Result<OnceKey, JobError> {
    OnceKey::new(AREA, &Anchor::file_name(n))
        .map_err(|error| JobError::give_up(ErrorClass::Bug, "anchor_key", error))
}

/// Where every chain ends now, by tag. Chains without events have no head.
async fn heads(parts: &WorkerParts) -> Result<Vec<AnchoredHead>, JobError> {
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let mut heads = Vec::new();
    let mut add = |chain: Chain, head: Place| {
        if head.seq > 0 {
            heads.push(AnchoredHead { chain: chain.tag(digest), seq: head.seq, hash: head.hash });
        }
    };
    add(Chain::Operator, system.operator_head().await.map_err(store_failure)?.head);
    let mut after = None;
    loop {
        let page = system.audit_heads(after, PAGE).await.map_err(store_failure)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        for (tenant, head) in page {
            add(Chain::Tenant(tenant), head.head);
        }
    }
    heads.sort_unstable_by_key(|head| head.chain);
    Ok(heads)
}
