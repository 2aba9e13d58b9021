//! What the last anchor says, held against the database, and the events since then followed one by one; on Sundays all
//! events that there are. What does not fit is told to the operator once a day.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use chrono::NaiveDate;
use costlens_domain::AuditEventId;
use costlens_domain::audit::anchor::Anchor;
use costlens_domain::audit::chain::{Chain, Hash, Place};
use costlens_domain::audit::verify::{Fault, Follower, read_anchors};
use costlens_domain::audit::{Action, Actor};
use costlens_queue::{JobContext, JobError};
use costlens_store::{AuditHead, ChainedEvent, KeptAnchor, NewAuditEvent, StoreError};
use serde_json::json;

use super::{LARGEST, PAGE, digest, key};
use crate::{WorkerParts, store_failure};

/// How many events one run follows. What is left over is followed by the verification that people ask for.
const MOST_EVENTS: u64 = 500_000;

/// How many chains that are gone are looked for among the erasures together.
const CHAINS_AT_ONCE: usize = 1_000;

/// The last anchor's file, if it is the one that was kept; else the operator is told, and there is none.
pub(super) async fn file(parts: &WorkerParts, kept: &KeptAnchor) -> Result<Option<Anchor>, JobError> {
    let bytes = parts.objects.read_once(&key(kept.n)?, LARGEST).await.map_err(JobError::retry)?;
    let why = match bytes {
        None => "anchor_file_missing",
        Some(bytes) if digest(&bytes) != kept.sha256 => "anchor_file_changed",
        Some(bytes) => match read_anchors([(Anchor::file_name(kept.n), bytes)], digest) {
            Ok(anchors) => return Ok(anchors.into_iter().next()),
            Err(_) => "anchor_file_changed",
        },
    };
    tell(parts, kept.day, None, why).await?;
    Ok(None)
}

/// Looks at every chain.
pub(super) async fn chains(
    context: &JobContext,
    parts: &WorkerParts,
    before: Option<&Anchor>,
    full: bool,
    day: NaiveDate,
) -> Result<(), JobError> {
    let mut left = MOST_EVENTS;
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let head = system.operator_head().await.map_err(store_failure)?;
    drop(system);
    one(parts, Chain::Operator, head, before, (full, day), &mut left).await?;
    let mut there = BTreeSet::from([Chain::Operator.tag(digest)]);
    let mut after = None;
    loop {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let page = system.audit_heads(after, PAGE).await.map_err(store_failure)?;
        drop(system);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        for (tenant, head) in page {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            there.insert(Chain::Tenant(tenant).tag(digest));
            one(parts, Chain::Tenant(tenant), head, before, (full, day), &mut left).await?;
        }
    }
    if let Some(before) = before {
        gone(parts, before, &there, day).await?;
    }
    if left == 0 {
        tracing::warn!(events = MOST_EVENTS, "there were more audit events than one check follows");
    }
    Ok(())
}

/// Tells of chains that were anchored and have no head any more, but for those of accounts that were erased. After the
/// heads were read: with a head that goes meanwhile goes its erasure's certificate.
async fn gone(
    parts: &WorkerParts,
    before: &Anchor,
    there: &BTreeSet<Hash>,
    day: NaiveDate,
) -> Result<(), JobError> {
    let gone: Vec<_> = before.heads.iter().filter(|head| !there.contains(&head.chain)).collect();
    for some in gone.chunks(CHAINS_AT_ONCE) {
        let tags: Vec<Hash> = some.iter().map(|head| head.chain).collect();
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let erased = system.erased_chains(&tags).await.map_err(store_failure)?;
        drop(system);
        for head in some.iter().filter(|head| !erased.contains(&head.chain)) {
            tracing::error!(chain.tag = %head.chain, seq = head.seq, "an audit that was anchored is gone whole");
            tell(parts, day, Some((head.chain, head.seq)), "chain_gone").await?;
        }
    }
    Ok(())
}

/// Looks at one chain: that the anchored event is still that event, and what came after follows.
async fn one(
    parts: &WorkerParts,
    chain: Chain,
    head: AuditHead,
    before: Option<&Anchor>,
    (full, day): (bool, NaiveDate),
    left: &mut u64,
) -> Result<(), JobError> {
    let anchored = before.and_then(|anchor| anchor.head_of(chain.tag(digest)));
    let anchored = anchored.map(|head| Place { seq: head.seq, hash: head.hash });
    let mut begin = head.pruned;
    if let Some(anchored) = anchored {
        let is = match anchored.seq.cmp(&head.pruned.seq) {
            Ordering::Less => Some(anchored.hash),
            Ordering::Equal => Some(head.pruned.hash),
            Ordering::Greater => {
                let mut system = parts.store.system().await.map_err(store_failure)?;
                system.audit_hash_at(&chain, anchored.seq).await.map_err(store_failure)?
            }
        };
        if is != Some(anchored.hash) {
            let why = if is.is_none() { "chain_shorter_than_anchored" } else { "chain_written_anew" };
            tracing::error!(chain = %chain, seq = anchored.seq, why, "an audit is not the one that was anchored");
            return tell(parts, day, Some((chain.tag(digest), anchored.seq)), why).await;
        }
        if !full && anchored.seq > begin.seq {
            begin = anchored;
        }
    }
    let mut follower = Follower::new(chain, digest, begin);
    while follower.place().seq < head.head.seq && *left > 0 {
        let events = page(parts, &chain, follower.place().seq).await?;
        let fault = follow(&mut follower, &events, head.head.seq, left);
        if let Some(fault) = fault {
            let seq = follower.place().seq + 1;
            tracing::error!(chain = %chain, seq, why = %fault, "an audit does not prove itself");
            return tell(parts, day, Some((chain.tag(digest), seq)), "chain_broken").await;
        }
    }
    if *left > 0 && follower.place() != head.head {
        tracing::error!(chain = %chain, "an audit's head is not its last event");
        return tell(parts, day, Some((chain.tag(digest), head.head.seq)), "head_is_another").await;
    }
    Ok(())
}

fn follow(follower: &mut Follower, events: &[ChainedEvent], to: u64, left: &mut u64) -> Option<Fault> {
    if events.is_empty() {
        let last = follower.place().seq;
        return Some(Fault::Truncated { known: to, last, by: "its head".to_owned() });
    }
    for event in events.iter().filter(|event| event.seq <= to) {
        *left = left.saturating_sub(1);
        if let Err(fault) = follower.event(event.seq, event.prev, event.hash, &event.record) {
            return Some(fault);
        }
    }
    None
}

async fn page(parts: &WorkerParts, chain: &Chain, after: u64) -> Result<Vec<ChainedEvent>, JobError> {
    let events = match chain {
        Chain::Tenant(tenant) => {
            let mut tx = parts.store.tenant(*tenant).await.map_err(store_failure)?;
            tx.audit_chain(after, PAGE).await
        }
        _ => parts.store.system().await.map_err(store_failure)?.operator_chain(after, PAGE).await,
    };
    events.map_err(store_failure)
}

/// Writes down for the operator what is wrong with a chain, or with an anchor: once for each day and chain.
pub(super) async fn tell(
    parts: &WorkerParts,
    day: NaiveDate,
    what: Option<(Hash, u64)>,
    why: &'static str,
) -> Result<(), JobError> {
    // Whose chain it is stands in the log alone: an erasure would not find it here.
    let tag = what.map(|(tag, _)| tag);
    let id = digest(format!("{day} {why} {}", tag.unwrap_or(Hash::NONE)).as_bytes());
    let mut random = [0; 10];
    random.iter_mut().zip(id.0).for_each(|(to, from)| *to = from);
    let at = parts.clock.now();
    let event = NewAuditEvent {
        id: AuditEventId::new(day.and_time(chrono::NaiveTime::MIN).and_utc(), random),
        at,
        actor: Actor::Schedule,
        action: Action::AuditBroken,
        target: tag.map(|tag| tag.to_string()),
        change: json!({ "why": why, "seq": what.map(|(_, seq)| seq), "day": day }),
        request_id: None,
        address: None,
    };
    tracing::error!(day = %day, why, "the audit, or an anchor of it, is not as it was");
    let mut system = parts.store.system().await.map_err(store_failure)?;
    match system.note_operator_event(&event).await {
        Err(StoreError::Conflict { constraint, .. }) if constraint == "operator_event_pkey" => Ok(()),
        other => other.map_err(store_failure),
    }
}
