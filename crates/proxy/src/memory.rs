//! The memory that all calls of this process may hold together.
//!
//! A request and a plain answer each have a bound of their own; how many there are at once a client chooses. So whatever
//! is held whole is counted here while it is held: requests from their first byte until they are sent on, plain answers
//! until the client has them. Streams pass and are not counted.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a part takes beside its bytes, about: a body that comes a byte at a time is no small one.
pub(crate) const BESIDE: usize = 64;

/// The memory. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Semaphore>);

/// What somebody holds of it, given back when dropped; nothing at first.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<OwnedSemaphorePermit>);

/// Why a request was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// There is no memory for it now.
    NoRoom,
    /// It did not come, or not as it may.
    Broken(io::Error),
}

impl Memory {
    /// So many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes the room of a part of so many bytes, if there is as much now.
    pub(crate) fn take(&self, bytes: usize, held: &mut Held) -> bool {
        let bytes = u32::try_from(bytes.saturating_add(BESIDE)).ok();
        held.add(bytes.and_then(|bytes| Arc::clone(&self.0).try_acquire_many_owned(bytes).ok()))
    }

    /// The same, with a wait for others to give theirs back.
    pub(crate) async fn take_within(&self, bytes: usize, held: &mut Held, wait: Duration) -> bool {
        if self.take(bytes, held) {
            return true;
        }
        let Ok(bytes) = u32::try_from(bytes.saturating_add(BESIDE)) else { return false };
        let taking = tokio::time::timeout(wait, Arc::clone(&self.0).acquire_many_owned(bytes)).await;
        held.add(taking.ok().and_then(Result::ok))
    }

    /// Reads a request. Its memory is taken as it comes, so that one that was only announced takes none, and is given
    /// back with the last part of it.
    pub(crate) async fn read(
        &self,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<Bytes, Unread> {
        let mut body = std::pin::pin!(body);
        let (mut parts, mut held) = (Vec::new(), Held::default());
        while let Some(part) = body.next().await {
            let part = part.map_err(Unread::Broken)?;
            if !self.take(part.len(), &mut held) {
                return Err(Unread::NoRoom);
            }
            parts.push(part);
        }
        Ok(held.until_dropped(join(parts)))
    }

    /// Counts what somebody made; `None` where there is no room for it.
    pub(crate) fn count(&self, bytes: Bytes) -> Option<Bytes> {
        let mut held = Held::default();
        self.take(bytes.len(), &mut held).then(|| held.until_dropped(bytes))
    }
}

impl Held {
    fn add(&mut self, more: Option<OwnedSemaphorePermit>) -> bool {
        let Some(more) = more else { return false };
        match &mut self.0 {
            Some(held) => held.merge(more),
            None => self.0 = Some(more),
        }
        true
    }

    /// The bytes, which give the memory back when the last that has a part of them lets go.
    pub(crate) fn until_dropped(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Counted { bytes, _held: self })
    }
}

struct Counted {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The parts as one. Each is let go of when it is copied, so that the whole is never there twice.
pub(crate) fn join(parts: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(parts) => {
            let mut whole = Vec::with_capacity(parts.iter().map(Bytes::len).sum());
            for part in parts {
                whole.extend_from_slice(&part);
            }
            whole.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, stream};

    use super::*;

    fn in_parts(sizes: &[usize]) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        stream::iter(sizes.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect::<Vec<_>>())
    }

    #[test]
    fn requests_beyond_the_memory_for_all_are_not_read_and_what_was_let_go_of_is_free_again() {
        // The last thousand is for what parts take beside their bytes.
        let memory = Memory::new(11_000);
        let read = |sizes: &[usize]| memory.read(in_parts(sizes)).now_or_never().unwrap();
        let first = read(&[3_000, 3_000]).unwrap();
        assert_eq!(first.len(), 6_000);
        assert!(matches!(read(&[5_000]), Err(Unread::NoRoom)));
        // What a refused one had taken by then is not lost.
        assert!(matches!(read(&[3_000, 3_000]), Err(Unread::NoRoom)));
        let second = read(&[4_000]).unwrap();
        assert!(matches!(read(&[1_000]), Err(Unread::NoRoom)));
        // A part of it keeps the whole.
        let part = first.slice(..1);
        drop(first);
        assert!(matches!(read(&[1_000]), Err(Unread::NoRoom)));
        drop(part);
        assert_eq!(read(&[5_000, 1_000]).unwrap().len(), 6_000);
        drop(second);
        assert!(matches!(read(&[20_000]), Err(Unread::NoRoom)));
        assert!(matches!(read(&[1; 1_000]), Err(Unread::NoRoom)), "a byte at a time takes more than a byte");
        assert_eq!(read(&[]).unwrap(), "");
        let counted = memory.count(Bytes::from(vec![b'x'; 10_000])).unwrap();
        assert_eq!(counted.len(), 10_000);
        assert!(memory.count(Bytes::from(vec![b'x'; 1_000])).is_none());
    }

    #[tokio::test]
    async fn an_answer_waits_for_memory_that_others_give_back_and_not_for_ever() {
        let memory = Memory::new(1_000);
        let first = memory.count(Bytes::from(vec![b'x'; 900])).unwrap();
        let mut held = Held::default();
        assert!(!memory.take_within(100, &mut held, Duration::from_millis(1)).await);
        let (taken, ()) = tokio::join!(memory.take_within(900, &mut held, Duration::from_mins(1)), async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert!(taken);
    }
}
