//! Prompts and answers that a tenant wants kept: copied in passing, sealed behind everybody's back, taken along by the
//! spool's shipper.
//!
//! The promises:
//! - a call is never slowed or failed by this: what cannot be kept is not, and its row says `unavailable`;
//! - nothing unsealed ever leaves memory: personal data is taken out (where that is asked for), and both texts are
//!   sealed under the subject's own key before they reach a file;
//! - a file waits until its call's row is in the ledger, together with it, and then goes; memory and disk have limits of
//!   their own, so that bodies never take a call's room.
//!
//! A body survives this process, and not a power cut: its file is not synced. A row whose body is missing says so.

mod capture;
mod file;
mod worker;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use chrono::TimeDelta;
use costlens_domain::RequestId;
use costlens_domain::ports::{Clock, Entropy};
use costlens_store::SealedBody;
use tokio::sync::Notify;

pub(crate) use capture::Capture;
use worker::Job;

/// The most that is kept of a request, and of an answer, in bytes.
pub const LONGEST_BODY: usize = 1 << 20;

/// A file that no call's row has asked for within so many days belongs to none.
const ORPHANED_AFTER: TimeDelta = TimeDelta::days(7);

/// Where bodies wait, and how many.
#[derive(Clone, Debug)]
pub struct BodiesConfig {
    /// The directory; made with mode 0700 if absent.
    pub dir: PathBuf,
    /// What all files together may take on the disk.
    pub limit_bytes: u64,
    /// What all calls in flight, and those that are being sealed, may hold in memory.
    pub memory_bytes: usize,
    /// How long the shipper waits for a body that is still being sealed.
    pub wait: Duration,
}

impl BodiesConfig {
    /// The defaults: one GiB on the disk, 256 MiB in memory, three seconds' wait.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), limit_bytes: 1 << 30, memory_bytes: 256 << 20, wait: Duration::from_secs(3) }
    }
}

/// The bodies of one process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Bodies {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    config: BodiesConfig,
    state: Mutex<State>,
    /// Wakes whoever waits for bodies that are being sealed.
    sealed: Notify,
    /// What is held in memory.
    held: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<RequestId, Place>,
    file_bytes: u64,
    /// Whether the shipper has waited in vain: it does not again before all that is being sealed is done.
    is_behind: bool,
}

/// Where a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In memory, being sealed.
    Pending,
    /// In a file of so many bytes.
    Stored(u64),
}

impl Bodies {
    /// Takes the directory with what an earlier process left there, and starts the thread that seals.
    pub fn open(config: BodiesConfig, clock: &dyn Clock, entropy: Arc<dyn Entropy>) -> std::io::Result<Self> {
        file::make_dir(&config.dir)?;
        let mut state = State::default();
        let oldest = clock.now() - ORPHANED_AFTER;
        for (id, bytes) in file::list(&config.dir)? {
            if id.time().is_none_or(|at| at < oldest) {
                file::remove(&config.dir, id);
                continue;
            }
            state.known.insert(id, Place::Stored(bytes));
            state.file_bytes += bytes;
        }
        let shared = Arc::new(Shared {
            config,
            state: Mutex::new(state),
            sealed: Notify::new(),
            held: AtomicUsize::new(0),
        });
        let (jobs, queue) = mpsc::channel();
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("body-seal".to_owned())
            .spawn(move || worker::run(&for_thread, &queue, &*entropy))?;
        Ok(Self { shared, jobs })
    }

    /// Whether anything waits here at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.lock().known.is_empty()
    }

    /// What a call's file takes; 0 for a call without one.
    pub(crate) fn bytes_of(&self, id: RequestId) -> u64 {
        match self.shared.lock().known.get(&id) {
            Some(Place::Stored(bytes)) => *bytes,
            _ => 0,
        }
    }

    /// Returns when none of these calls' bodies is being sealed any more, or the wait is over. Bodies that come faster
    /// than they can be sealed are waited for once, and not by every batch of rows: everybody's rows come this way.
    pub(crate) async fn settled(&self, ids: &[RequestId]) {
        {
            let mut state = self.shared.lock();
            state.is_behind &= state.known.values().any(|place| *place == Place::Pending);
            if state.is_behind {
                return;
            }
        }
        let wait = async {
            loop {
                let changed = self.shared.sealed.notified();
                let pending = {
                    let state = self.shared.lock();
                    ids.iter().any(|id| state.known.get(id) == Some(&Place::Pending))
                };
                if !pending {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(self.shared.config.wait, wait).await.is_err() {
            self.shared.lock().is_behind = true;
            tracing::warn!("prompts and answers are sealed more slowly than calls end; some are not kept");
        }
    }

    /// The bodies of these calls that are in a file and whole.
    pub(crate) async fn read(&self, ids: Vec<RequestId>) -> BTreeMap<RequestId, SealedBody> {
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || {
            let stored = |id: &RequestId| matches!(shared.lock().known.get(id), Some(Place::Stored(_)));
            let wanted = ids.into_iter().filter(stored);
            wanted.filter_map(|id| Some((id, file::read(shared.dir(), id)?))).collect()
        });
        reading.await.unwrap_or_default()
    }

    /// Lets go of the files of these calls: their rows are in the ledger, or never will be.
    pub(crate) async fn forget(&self, ids: Vec<RequestId>) {
        let shared = Arc::clone(&self.shared);
        let removing = tokio::task::spawn_blocking(move || {
            for id in ids {
                shared.forget(id);
            }
        });
        // A file that stays is removed at a later start.
        drop(removing.await);
    }
}

impl Shared {
    /// No code panics while it holds the lock; if it did, the state is still the best there is.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dir(&self) -> &Path {
        &self.config.dir
    }

    /// Takes so much memory, if there is any.
    fn hold(&self, bytes: usize) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::AcqRel);
        let fits = before.saturating_add(bytes) <= self.config.memory_bytes;
        if !fits {
            self.let_go(bytes);
        }
        fits
    }

    fn let_go(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::AcqRel);
    }

    fn forget(&self, id: RequestId) {
        let place = {
            let mut state = self.lock();
            let place = state.known.remove(&id);
            if let Some(Place::Stored(bytes)) = place {
                state.file_bytes = state.file_bytes.saturating_sub(bytes);
            }
            place
        };
        if matches!(place, Some(Place::Stored(_))) {
            file::remove(self.dir(), id);
        }
    }
}
