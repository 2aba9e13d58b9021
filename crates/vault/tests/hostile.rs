//! Bytes that nobody meant well: the fuzzer's target, over its seeds and changed copies of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../../../fuzz/src/sealed.rs"]
mod target;

#[path = "../../../fuzz/src/storm.rs"]
mod storm;

#[test]
fn no_bytes_harm_what_opens_sealed_texts_and_links() {
    let asked = storm::rage("sealed", 3_000, target::check);
    assert!(asked > 3_000);
}
