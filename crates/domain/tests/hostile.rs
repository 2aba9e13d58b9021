//! Bytes that nobody meant well: the fuzzer's targets, over their seeds and changed copies of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../../../fuzz/src/manifest.rs"]
mod manifest;

#[path = "../../../fuzz/src/redaction.rs"]
mod redaction;

#[path = "../../../fuzz/src/reports.rs"]
mod reports;

#[path = "../../../fuzz/src/storm.rs"]
mod storm;

#[test]
fn no_bytes_harm_the_redaction_of_what_is_kept() {
    let asked = storm::rage("redaction", 6_000, redaction::check);
    assert!(asked > 6_000);
}

#[test]
fn no_bytes_harm_the_readers_of_vendors_reports() {
    let asked = storm::rage("reports", 20_000, reports::check);
    assert!(asked > 20_000);
}

#[test]
fn no_bytes_harm_the_reader_of_manifests_and_none_lead_elsewhere() {
    let asked = storm::rage("manifest", 20_000, manifest::check);
    assert!(asked > 20_000);
}
