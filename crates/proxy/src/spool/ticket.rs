//! A call in flight as its caller holds it, and what is known of its record afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use costlens_domain::RequestId;
use costlens_domain::request::{Durability, RequestFact};
use tokio::sync::watch;

use super::frame::{self, HEADER, Kind, MAX_RECORD};
use super::segment::Position;
use super::sync::Synced;
use super::writer::{Committed, Handle};
use super::{SpoolError, payload};

/// An open call. Dropped without [`Ticket::complete`] (a cancelled or panicked task), the call ends as
/// interrupted at once, with the fact that [`super::Spool::begin`] or [`Ticket::revise`] was given last.
#[derive(Debug)]
#[must_use = "a dropped ticket ends its call as interrupted"]
pub struct Ticket {
    handle: Arc<Handle>,
    id: RequestId,
    /// The record of the fact to ship if nothing better comes.
    fallback: Vec<u8>,
    reservation: u64,
    open: bool,
}

impl Ticket {
    pub(super) fn new(handle: Arc<Handle>, id: RequestId, fallback: Vec<u8>, reservation: u64) -> Self {
        Self { handle, id, fallback, reservation, open: true }
    }

    /// Whose ticket it is.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Replaces, in memory alone, what is shipped if this ticket is dropped: a better estimate, once more of
    /// the call is known. A killed process still leaves the fact of the intent.
    pub fn revise(&mut self, interrupted: &RequestFact) -> Result<(), SpoolError> {
        let mut record = Vec::with_capacity(self.fallback.len() + 256);
        self.encode(&mut record, interrupted)?;
        self.fallback = record;
        Ok(())
    }

    /// Records how the call ended. When this returns, the fact survives this process; the receipt tells when it
    /// survives more. Where the fact outgrew its reservation and there is no other room, its texts are
    /// shortened; what the call used and cost never is. On an error the call stays open on the disk and is
    /// shipped as interrupted after the next start.
    pub fn complete(mut self, fact: RequestFact, durability: Durability) -> Result<Receipt, SpoolError> {
        let mut record = Vec::with_capacity(self.fallback.len() + 256);
        // Where this fails, the call still ends, by the drop, as interrupted.
        let fact = self.encode(&mut record, &fact)?.unwrap_or(fact);
        self.open = false;
        let shared = &self.handle.shared;
        let (at, committed) = shared.write_completion(self.id, &record, Some(fact), durability)?;
        Ok(Receipt { handle: Arc::clone(&self.handle), at, durability, committed })
    }

    /// Gives the fact that was encoded where it had to be shortened.
    fn encode(&self, record: &mut Vec<u8>, fact: &RequestFact) -> Result<Option<RequestFact>, SpoolError> {
        if fact.id != self.id {
            return Err(SpoolError::WrongCall);
        }
        payload::encode(record, Kind::Completion, fact)?;
        let bytes = record.len() as u64;
        if bytes > self.reservation && !self.handle.shared.lock().extend_reservation(self.id, bytes) {
            let intent = payload::decode(self.id, self.fallback.get(HEADER..).unwrap_or_default());
            let short = payload::shorten(fact, &intent.map_err(SpoolError::Intent)?);
            payload::encode(record, Kind::Completion, &short)?;
            if record.len() as u64 > MAX_RECORD {
                return Err(SpoolError::TooLarge { bytes: record.len() });
            }
            return Ok(Some(short));
        }
        Ok(None)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        frame::turn_into_completion(&mut self.fallback);
        let shared = &self.handle.shared;
        shared.totals.interrupted.fetch_add(1, Ordering::Relaxed);
        let fact = payload::decode(self.id, self.fallback.get(HEADER..).unwrap_or_default()).ok();
        if let Err(error) = shared.write_completion(self.id, &self.fallback, fact, Durability::Spool) {
            tracing::error!(request.id = %self.id, error = %error, "an interrupted call stays open in the spool");
        }
    }
}

/// A completion that was written. Dropping it is fine: it only waits.
#[derive(Debug)]
pub struct Receipt {
    handle: Arc<Handle>,
    at: Position,
    durability: Durability,
    committed: Option<Committed>,
}

/// Why a completion is not (yet) as durable as was asked. It is in the spool nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSettled {
    /// It took longer than the caller would wait; it will be shipped later.
    #[error("not durable in time")]
    TimedOut,
    /// The ledger refused the row for good; it was set aside for a person to look at.
    #[error("the ledger refused the row")]
    Rejected,
    /// The disk failed to sync.
    #[error("the disk failed to sync")]
    SyncFailed,
    /// The spool was closed while waiting.
    #[error("the spool was closed")]
    Closed,
}

impl Receipt {
    /// Waits until the completion is as durable as [`Ticket::complete`] was asked for: not at all for
    /// [`Durability::Spool`], for the sync that covers it, or for its row's commit.
    pub async fn settled(mut self, within: Duration) -> Result<(), NotSettled> {
        let wait = async {
            match self.durability {
                Durability::Spool => Ok(()),
                Durability::Fsync => synced(self.handle.shared.synced.subscribe(), self.at).await,
                Durability::Database => match self.committed.as_mut() {
                    Some(committed) => committed.await.unwrap_or(Err(NotSettled::Closed)),
                    None => Err(NotSettled::Closed),
                },
            }
        };
        tokio::time::timeout(within, wait).await.unwrap_or(Err(NotSettled::TimedOut))
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.committed.is_some() {
            self.handle.shared.lock().waiters.remove(&self.at);
        }
    }
}

/// Waits for the sync that covers the record at `at`.
pub(super) async fn synced(mut news: watch::Receiver<Synced>, at: Position) -> Result<(), NotSettled> {
    match news.wait_for(|synced| synced.covers(at).is_some()).await {
        Ok(synced) => synced.covers(at).unwrap_or(Err(NotSettled::SyncFailed)),
        Err(_) => Err(NotSettled::Closed),
    }
}
