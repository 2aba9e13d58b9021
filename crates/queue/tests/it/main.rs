//! The queue from outside: real workers, real child processes where one is killed, and a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, in its helpers too, and says what it measured"
)]

mod atomicity;
mod children;
mod crashes;
mod drain;
mod enqueueing;
mod failures;
mod fairness;
mod leases;
mod migrations;
mod operations;
mod outages;
mod poison;
mod postgres;
mod replicas;
mod runs;
mod schedules;
mod sweep;
mod taps;
mod together;
mod workers;
