//! The chain verified where it lies: every event's hash computed anew, some thousands a call.

use costlens_domain::audit::chain::Hash;
use costlens_domain::audit::verify::{Fault, Follower};
use costlens_store::Store;
use poem_openapi::Object;

use super::export::Source;
use crate::error::ApiError;

/// How many events one call follows at most, and one transaction reads.
const MOST: u64 = 20_000;
const PAGE: u32 = 1_000;

/// Where a chain ends.
#[derive(Object)]
#[oai(rename = "AuditHead")]
pub struct AuditHeadView {
    /// The last event's number; 0 where there is none.
    pub seq: u64,
    /// Its hash; zeros where there is none. Whoever keeps it can prove later that nothing up to here was changed.
    pub hash: String,
    /// The number of the last event that was removed because of its age; 0 where none was.
    pub pruned_seq: u64,
    /// Its hash: the first event that is there names it.
    pub pruned_hash: String,
}

/// The first event that is wrong.
#[derive(Object)]
pub struct AuditFault {
    /// Its number.
    pub seq: u64,
    /// What is wrong, in words.
    pub what: String,
}

/// What a verification found.
#[derive(Object)]
pub struct AuditVerification {
    /// Whether every event that was looked at follows the one before and is as it was written.
    pub verified: bool,
    /// How many events this call looked at.
    pub events: u64,
    /// The last event that is in order.
    pub to_seq: u64,
    /// Its hash.
    pub to_hash: String,
    /// What to send as `after` to go on; null at the end, and where something is wrong.
    #[oai(nullable)]
    pub next_after: Option<u64>,
    /// The first event that is wrong; null where none is.
    #[oai(nullable)]
    pub fault: Option<AuditFault>,
}

pub(crate) async fn head(store: &Store, source: Source) -> Result<AuditHeadView, ApiError> {
    let head = source.head(store).await?;
    Ok(AuditHeadView {
        seq: head.head.seq,
        hash: head.head.hash.to_string(),
        pruned_seq: head.pruned.seq,
        pruned_hash: head.pruned.hash.to_string(),
    })
}

pub(crate) async fn verify(
    store: &Store,
    source: Source,
    after: Option<u64>,
) -> Result<AuditVerification, ApiError> {
    let after = source.place(store, after.unwrap_or_default()).await?;
    let mut follower = Follower::new(source.chain(), |bytes| Hash(costlens_vault::sha256(bytes)), after);
    let mut events = 0;
    while events < MOST {
        let (head, page) = source.page(store, follower.place().seq, PAGE).await?;
        let whole = page.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
        for event in page {
            if let Err(fault) = follower.event(event.seq, event.prev, event.hash, &event.record) {
                return Ok(found(&follower, events, None, Some(fault)));
            }
            events += 1;
        }
        if !whole {
            let place = follower.place();
            // Whoever came between the head and the events has made the chain longer than its head was.
            let fault = if place.seq < head.head.seq {
                let by = "its head".to_owned();
                Some(Fault::Truncated { known: head.head.seq, last: place.seq, by })
            } else if place.seq == head.head.seq && place.hash != head.head.hash {
                Some(Fault::Rewritten { seq: place.seq, by: "its head".to_owned() })
            } else {
                None
            };
            return Ok(found(&follower, events, None, fault));
        }
    }
    let next = Some(follower.place().seq);
    Ok(found(&follower, events, next, None))
}

fn found(
    follower: &Follower,
    events: u64,
    next_after: Option<u64>,
    fault: Option<Fault>,
) -> AuditVerification {
    let place = follower.place();
    let seq = match fault {
        Some(Fault::Rewritten { seq, .. }) => seq,
        _ => place.seq.saturating_add(1),
    };
    AuditVerification {
        verified: fault.is_none(),
        events,
        to_seq: place.seq,
        to_hash: place.hash.to_string(),
        next_after,
        fault: fault.map(|fault| AuditFault { seq, what: fault.to_string() }),
    }
}
