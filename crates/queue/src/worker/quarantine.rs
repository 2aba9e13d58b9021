//! Who may run beside whom in one process.
//!
//! A job that was running when its worker's process died is a suspect until it succeeds, sleeps or waits: it, or one of
//! those beside it, did that. **Two suspects never run in one process at the same time, and a suspect begins only when
//! nothing else of the process runs.** It is alone for half a minute ([`crate::Settings::quarantine`]), then others may
//! begin beside it. So the next crash tells who it was: an innocent job is a suspect once and done, whatever runs elsewhere, and a poison job
//! reaches the limit alone.
//!
//! What that gives up: while a suspect waits for its turn or is alone, its process begins and claims nothing else. It
//! waits for half a minute at most and then leaves the others in peace for three; in a process that always has
//! jobs of more than half a minute a suspect may wait long. A job that takes longer than half a minute may still be
//! taken down by others that are no suspects yet, each of which does so once. Processes do not know of each other,
//! nor do two [`crate::Queue`]s that were not cloned from one another.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::{sleep, timeout};

/// The one lock of a process: suspects take it alone, in the order in which they ask.
#[derive(Clone, Default)]
pub(crate) struct Quarantine(Arc<RwLock<()>>);

/// The right to run.
pub(super) enum Pass {
    Beside(OwnedRwLockReadGuard<()>),
    Alone(Alone),
}

/// A suspect's turn, and how long it may last.
pub(super) struct Alone(OwnedRwLockWriteGuard<()>, Duration);

impl Quarantine {
    /// For what is no suspect: waits while a suspect does, or is alone.
    pub(super) async fn beside(&self) -> Pass {
        Pass::Beside(Arc::clone(&self.0).read_owned().await)
    }

    /// For a suspect: waits until nothing else runs. `None` where that takes too long.
    pub(super) async fn alone(&self, limit: Duration) -> Option<Pass> {
        let turn = timeout(limit, Arc::clone(&self.0).write_owned()).await.ok()?;
        Some(Pass::Alone(Alone(turn, limit)))
    }
}

impl Pass {
    /// Runs a handler. Who was alone to its end stays so until it has also been written down.
    pub(super) async fn hold<T>(self, work: impl Future<Output = T>) -> (T, Option<Alone>) {
        let mut work = pin!(work);
        match self {
            Self::Beside(_pass) => (work.await, None),
            Self::Alone(Alone(turn, limit)) => {
                tokio::select! {
                    done = &mut work => return (done, Some(Alone(turn, limit))),
                    () = sleep(limit) => {}
                }
                let _pass = turn.downgrade();
                (work.await, None)
            }
        }
    }
}

impl Alone {
    /// Keeps the turn while an outcome is written, but not for ever.
    pub(super) async fn until<T>(turn: Option<Self>, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Some(Self(turn, limit)) = turn {
            tokio::select! {
                done = &mut work => return done,
                () = sleep(limit) => drop(turn),
            }
        }
        work.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_suspect_begins_alone_and_others_wait_until_it_has_ended() {
        let quarantine = Quarantine::default();
        let innocent = quarantine.beside().await;
        let mut suspect = tokio::spawn({
            let quarantine = quarantine.clone();
            async move { quarantine.alone(Duration::from_secs(9)).await }
        });
        sleep(Duration::from_millis(20)).await;
        assert!(!suspect.is_finished(), "something else runs");
        let late = timeout(Duration::from_millis(20), quarantine.beside()).await;
        assert!(late.is_err(), "nothing begins while a suspect waits");
        drop(innocent);
        let pass = (&mut suspect).await.unwrap().unwrap();
        let beside = timeout(Duration::from_millis(20), quarantine.beside()).await;
        assert!(beside.is_err(), "nothing begins beside it");
        let ((), turn) = pass.hold(std::future::ready(())).await;
        assert!(turn.is_some());
        Alone::until(turn, std::future::ready(())).await;
        timeout(Duration::from_secs(1), quarantine.beside()).await.unwrap();
    }
}
