//! The product from outside, in one binary: one server, one fake vendor and one independent mock serve all tests,
//! but for those that break a server on purpose.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, in its helpers too, and says what it counted"
)]

mod analyze;
mod architecture;
mod audit;
mod bytes;
mod canary;
mod chargeback;
mod connect;
mod contract;
mod crash;
mod customer_role;
mod durability;
mod evidence;
mod exports;
mod failures;
mod first_call;
mod hang_ups;
mod imported_calls;
mod imports;
mod invoices;
mod isolation;
mod jobs;
mod keys;
mod notifications;
mod operators;
mod outage;
mod outbound;
mod pages;
mod people;
mod prices;
mod privacy;
mod production;
mod promises;
mod refusals;
mod roles;
mod sdks;
mod second_aws;
mod secrets;
mod settled;
mod sign_in;
mod status;
mod supply;
mod victim;
