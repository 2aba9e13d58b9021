//! Claimed jobs on their way to the worker. What the worker does not take up soon can be taken out again, so that no
//! job lies behind a long one while another worker is idle.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::lease::Held;

#[derive(Default)]
pub(super) struct Buffer {
    jobs: Mutex<VecDeque<Arc<Held>>>,
    waker: AtomicWaker,
    /// The worker's last question was not answered.
    wanting: AtomicBool,
}

impl Buffer {
    pub(super) fn put(&self, jobs: Vec<Arc<Held>>) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).extend(jobs);
        self.waker.wake();
    }

    /// The next job, for the worker.
    pub(super) fn poll_take(&self, cx: &Context<'_>) -> Poll<Arc<Held>> {
        let mut job = self.take();
        if job.is_none() {
            self.waker.register(cx.waker());
            // One may have come before the waker was there.
            job = self.take();
        }
        self.wanting.store(job.is_none(), Ordering::SeqCst);
        job.map_or(Poll::Pending, Poll::Ready)
    }

    /// Whether the worker has room for a job and none to begin.
    pub(super) fn is_wanting(&self) -> bool {
        self.wanting.load(Ordering::SeqCst) && self.is_empty()
    }

    fn take(&self) -> Option<Arc<Held>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Everything that the worker has not taken, to be given back.
    pub(super) fn empty(&self) -> Vec<Arc<Held>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
