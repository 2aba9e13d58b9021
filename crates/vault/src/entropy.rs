//! The operating system's randomness behind the domain's port.

use std::cell::RefCell;

use costlens_domain::ports::Entropy;

/// Randomness from the operating system (`getrandom(2)` and its kin).
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

/// Random bytes fetched ahead, for identifiers alone: a busy proxy mints one a call, and a call to the system for
/// each costs more than the rest of it. Secrets are always fetched afresh.
struct Block {
    bytes: [u8; 1_000],
    used: usize,
}

thread_local! {
    static BLOCK: RefCell<Block> = const { RefCell::new(Block { bytes: [0; 1_000], used: 1_000 }) };
}

impl Entropy for OsEntropy {
    fn for_id(&self) -> [u8; 10] {
        BLOCK.with_borrow_mut(|block| {
            if block.used >= block.bytes.len() {
                self.fill(&mut block.bytes);
                block.used = 0;
            }
            let mut id = [0; 10];
            id.iter_mut().zip(block.bytes.iter().skip(block.used)).for_each(|(to, from)| *to = *from);
            block.used += id.len();
            id
        })
    }

    fn fill(&self, bytes: &mut [u8]) {
        #[expect(
            clippy::expect_used,
            reason = "a machine without randomness must not mint a single secret more"
        )]
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_identifiers_share_their_random_part() {
        // Across several blocks and threads: a block must never be handed out twice.
        let mint = || (0..1_000).map(|_| OsEntropy.for_id()).collect::<Vec<_>>();
        let others: Vec<_> = (0..4).map(|_| std::thread::spawn(mint)).collect();
        let mut all: Vec<_> = others.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        all.extend(mint());
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
