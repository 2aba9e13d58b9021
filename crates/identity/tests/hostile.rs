//! Bytes that nobody meant well: the fuzzer's target, over its seeds and changed copies of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../../../fuzz/src/vouched.rs"]
mod target;

#[path = "../../../fuzz/src/storm.rs"]
mod storm;

#[test]
fn no_bytes_harm_the_readers_of_messages_and_tokens_and_none_are_believed() {
    let asked = storm::rage("inbound", 10_000, target::check);
    assert!(asked > 10_000);
}
