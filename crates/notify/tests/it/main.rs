//! Words as they are read, and senders against servers on real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod hostile;
mod http;
mod mail;
mod slack;
mod smtp;
mod svix;
mod webhooks;
mod words;
