//! Bytes that nobody meant well: the fuzzer's targets, over their seeds and changed copies of them.

#[path = "../../../../fuzz/src/messages.rs"]
mod target;

#[path = "../../../../fuzz/src/inbound.rs"]
mod inbound;

#[path = "../../../../fuzz/src/storm.rs"]
mod storm;

#[test]
fn no_bytes_harm_the_readers_of_addresses_and_secrets() {
    let asked = storm::rage("messages", 5_000, target::check);
    assert!(asked > 5_000);
}

#[test]
fn no_bytes_harm_the_check_of_others_webhooks_and_none_are_believed() {
    let asked = storm::rage("inbound", 3_000, inbound::check);
    assert!(asked > 3_000);
}
