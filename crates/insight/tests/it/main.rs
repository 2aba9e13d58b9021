//! The crate from outside: rows go in, findings come out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::struct_excessive_bools,
    reason = "a test fails by panicking, in its helpers too, and says what it measured"
)]

mod commitments;
mod coverage;
mod detectors;
mod first_uses;
mod identities;
mod ninety_days;
mod noise;
mod recommendations;
mod searches;
mod settlement;
mod simulator;
