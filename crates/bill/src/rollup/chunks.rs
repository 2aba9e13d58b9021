//! Lists that grow without moving what they hold.
//!
//! A vector that doubles touches three times the memory that it needs in the end, and a bill's sums are most of the memory
//! that reading it takes.

/// How many things stand in a row.
const CHUNK: usize = 4096;

/// A list in chunks.
#[derive(Debug)]
pub(super) struct Chunks<T>(Vec<Vec<T>>);

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Chunks<T> {
    pub(super) fn len(&self) -> usize {
        match self.0.as_slice() {
            [] => 0,
            [full @ .., last] => full.len() * CHUNK + last.len(),
        }
    }

    pub(super) fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(value),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(value);
                self.0.push(chunk);
            }
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at / CHUNK)?.get(at % CHUNK)
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.0.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_stands_where_it_was_pushed() {
        let mut chunks = Chunks::default();
        for n in 0..=2 * CHUNK {
            assert_eq!(chunks.len(), n);
            chunks.push(n);
        }
        *chunks.get_mut(CHUNK).unwrap() = 7;
        assert_eq!(
            [0, CHUNK - 1, CHUNK, 2 * CHUNK].map(|at| *chunks.get(at).unwrap()),
            [0, CHUNK - 1, 7, 2 * CHUNK]
        );
        assert_eq!(chunks.get(2 * CHUNK + 1), None);
    }
}
