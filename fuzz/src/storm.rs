//! A fuzzer's poor cousin for the crates' own tests: committed seeds, and copies of them that are changed by a seeded
//! generator, so that every run asks the same. No coverage leads it; cargo-fuzz does that.

use std::path::Path;

/// Pieces that parsers stumble over.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\r\n\r\n",
    b"\n\n",
    b"data: ",
    b"://",
    b"@",
    b"%00",
    b"..",
    b"[::1]",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\"",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b",",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"null",
    b"\xe2\x80\xae",
    b"127.0.0.1",
];

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

fn changed(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        match random.below(7) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = u8::try_from(random.below(256)).unwrap(),
            2 => {
                let end = (at + random.below(16)).min(input.len());
                input.drain(at..end);
            }
            3 => {
                let piece = PIECES[random.below(PIECES.len())];
                input.splice(at..at, piece.iter().copied());
            }
            4 => {
                let end = (at + random.below(32)).min(input.len());
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            5 => input.truncate(at),
            _ => {
                let from = random.below(other.len() + 1);
                let end = (from + random.below(64)).min(other.len());
                input.splice(at..at, other[from..end].iter().copied());
            }
        }
    }
}

/// Asks of every seed of a target, and of so many changed ones; says how many that were.
pub(crate) fn rage(target: &str, rounds: usize, check: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(seeds.len() > 3, "{} holds hardly any seed", folder.display());
    for seed in &seeds {
        check(seed);
    }
    check(b"");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds {
        let mut input = seeds[random.below(seeds.len())].clone();
        changed(&mut input, &seeds[random.below(seeds.len())], &mut random);
        check(&input);
    }
    seeds.len() + 1 + rounds
}
