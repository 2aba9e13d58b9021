//! What follows from the ledger's facts, as mathematics alone: no I/O, no clock, no randomness of its own.

pub mod anomalies;
pub mod basis;
pub mod events;
pub mod forecast;
pub mod recommend;
pub mod settle;
mod statistics;
pub mod stories;
