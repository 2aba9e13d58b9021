//! How a long read tells how far it is, without knowing who listens.

/// Told how far a read has come.
pub trait Progress: Send + Sync {
    /// The files are known; `size_bytes` is what they weigh on disk.
    fn begin(&self, size_bytes: u64) {
        let _ = size_bytes;
    }

    /// What is being done now, and the share of the whole that is done, in thousandths.
    fn advance(&self, step: &str, permille: u16) {
        let _ = (step, permille);
    }

    /// Nothing more will be told.
    fn finish(&self) {}
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}
