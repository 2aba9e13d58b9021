//! The operating system's randomness behind the domain's port.

use costlens_domain::ports::Entropy;

/// Randomness from the operating system (`getrandom(2)` and its kin).
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        #[expect(
            clippy::expect_used,
            reason = "a machine without randomness must not mint a single secret more"
        )]
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }
}
