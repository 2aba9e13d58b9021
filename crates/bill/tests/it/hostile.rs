//! Bytes that nobody meant well: the fuzzer's target, over its seeds and changed copies of them.

#[path = "../../../../fuzz/src/bill.rs"]
mod target;

#[path = "../../../../fuzz/src/storm.rs"]
mod storm;

#[test]
fn no_bytes_harm_the_reader_of_bills() {
    let asked = storm::rage("bill", 300, target::check);
    assert!(asked > 300);
}
