//! What was not taken: the first with their place and reason, the rest counted.

use costlens_domain::imports::Refusal;

/// How many are named.
const NAMED: usize = 20;

/// Rows or spans that were not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The first ones: their line or number, counted from 1, and why.
    pub named: Vec<(u64, Refusal)>,
    /// How many there are, the named ones included.
    pub count: u64,
}

impl Refused {
    pub(crate) fn push(&mut self, place: u64, why: Refusal) {
        if self.named.len() < NAMED {
            self.named.push((place, why));
        }
        self.count = self.count.saturating_add(1);
    }
}
