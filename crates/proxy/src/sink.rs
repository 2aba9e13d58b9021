//! Where the spool's shipper delivers: the store's writer door.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use costlens_domain::request::RequestFact;
use costlens_domain::{ApiKeyId, RequestId, TenantId};
use costlens_store::{SealedBody, Store};

use crate::bodies::Bodies;
use crate::spool::{FactSink, SinkError};

/// What the bodies of one transaction come to at most, in bytes; more calls are shipped in several.
const BODIES_AT_ONCE: u64 = 16 << 20;

/// How often what goes at once is halved before the rows go without bodies.
const HALVES: u32 = 8;

/// What the ledger did not take of a batch.
#[derive(Default)]
struct Left {
    /// Rows that it refuses.
    refused: Vec<RequestId>,
    /// Rows of erased accounts, which it dropped.
    erased: usize,
}

impl Left {
    fn add(&mut self, more: Self) {
        self.refused.extend(more.refused);
        self.erased += more.erased;
    }
}

/// Counts an attempt that was dropped in the middle: the shipper's patience was over.
struct Attempt<'a>(&'a AtomicU32);

impl Attempt<'_> {
    /// It came to an end, whatever end.
    fn ended(self) {
        self.0.store(0, Ordering::Relaxed);
        std::mem::forget(self);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Ships facts into PostgreSQL, and with each the sealed prompt and answer, where there is one.
#[derive(Clone, Debug)]
pub struct StoreSink {
    store: Store,
    bodies: Option<Bodies>,
    /// How many attempts in a row were dropped in the middle.
    dropped: Arc<AtomicU32>,
}

impl StoreSink {
    /// A sink into this ledger; prompts and answers wait in `bodies`.
    #[must_use]
    pub fn new(store: Store, bodies: Option<Bodies>) -> Self {
        Self { store, bodies, dropped: Arc::default() }
    }

    /// Tells the keys when they were last used. It is for people to look at: a failure loses nothing.
    async fn touch_keys(&self, facts: &[RequestFact]) {
        let mut latest: HashMap<(TenantId, ApiKeyId), DateTime<Utc>> = HashMap::new();
        for fact in facts {
            let at = latest.entry((fact.tenant_id, fact.api_key_id)).or_insert(fact.started_at);
            *at = fact.started_at.max(*at);
        }
        let used: Vec<_> = latest.into_iter().map(|((tenant, key), at)| (tenant, key, at)).collect();
        let touched = match self.store.system().await {
            Ok(mut conn) => conn.touch_keys(&used).await,
            Err(error) => Err(error),
        };
        if let Err(error) = touched {
            tracing::debug!(%error, "keys were not told of their use");
        }
    }

    async fn ship(
        &self,
        facts: &[RequestFact],
        bodies: &BTreeMap<RequestId, SealedBody>,
    ) -> Result<Left, SinkError> {
        let shipped = match self.store.writer().await {
            Ok(mut writer) => writer.insert_calls(facts, bodies).await,
            Err(error) => Err(error),
        };
        match shipped {
            Ok(shipped) => Ok(Left { refused: shipped.refused, erased: shipped.erased }),
            Err(error) => {
                // The store answers for single rows by `refused`. An error of the whole is the database's or ours: the
                // rows wait in the spool until it is mended.
                if !error.is_unavailable() {
                    tracing::error!(error = &error as &dyn std::error::Error, "the ledger takes no rows");
                }
                Err(SinkError::Retry(Box::new(error)))
            }
        }
    }

    /// Ships calls of which some have bodies, a few MiB at a time. Each part is committed by itself: what comes again
    /// after a failure in between is known already, and its files are gone because its bodies are in the ledger. A
    /// database that takes too long gets fewer at once, and at last the rows alone: the ledger waits for no body.
    async fn ship_with_bodies(&self, facts: &[RequestFact], bodies: &Bodies) -> Result<Left, SinkError> {
        let promised: Vec<_> = facts.iter().filter(|fact| fact.body.is_kept()).map(|fact| fact.id).collect();
        bodies.settled(&promised).await;
        let dropped = self.dropped.load(Ordering::Relaxed).min(HALVES);
        let at_once = BODIES_AT_ONCE >> dropped;
        let attempt = Attempt(&self.dropped);
        let mut left = Left::default();
        let mut rest = facts;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |fact: &&RequestFact| {
                bytes += bodies.bytes_of(fact.id);
                bytes <= at_once
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (part, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            let ids: Vec<_> = part.iter().map(|fact| fact.id).collect();
            let found = if dropped < HALVES { bodies.read(ids.clone()).await } else { BTreeMap::new() };
            match self.ship(part, &found).await {
                Ok(some) => left.add(some),
                Err(error) => {
                    attempt.ended();
                    return Err(error);
                }
            }
            bodies.forget(ids).await;
            rest = after;
        }
        attempt.ended();
        Ok(left)
    }
}

#[async_trait::async_trait]
impl FactSink for StoreSink {
    async fn insert(&self, facts: &[RequestFact]) -> Result<(), SinkError> {
        let Left { refused, erased } = match self.bodies.as_ref().filter(|bodies| !bodies.is_empty()) {
            Some(bodies) => self.ship_with_bodies(facts, bodies).await?,
            None => self.ship(facts, &BTreeMap::new()).await?,
        };
        // The good rows are in by now; told of the bad ones, the shipper parts them by halves, and a row that comes
        // twice changes nothing.
        if refused.is_empty() {
            // Said once: what is parted by halves comes again until no row of it is refused.
            if erased > 0 {
                tracing::info!(rows = erased, "calls of erased accounts came late and were dropped");
            }
            self.touch_keys(facts).await;
            Ok(())
        } else {
            Err(SinkError::Poison(format!("rows that the ledger refuses: {refused:?}").into()))
        }
    }
}
