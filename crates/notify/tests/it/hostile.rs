//! Bytes that nobody meant well: the fuzzer's target, over its seeds and changed copies of them.

#[path = "../../../../fuzz/src/messages.rs"]
mod target;

#[path = "../../../../fuzz/src/storm.rs"]
mod storm;

#[test]
fn no_bytes_harm_the_readers_of_addresses_and_secrets() {
    let asked = storm::rage("messages", 5_000, target::check);
    assert!(asked > 5_000);
}
