//! Accept an LLM call, check it, forward it byte for byte, price it, record it.
//!
//! The path of a call: [`http`] → [`keys`] (who calls) → [`peek`] (what is asked) → [`route`] (where it goes) →
//! the intent in the [`spool`] → `exchange` (send and relay) while [`usage`] reads the passing bytes → `call`
//! (price and complete) → the spool's shipper → the ledger. Where a tenant wants prompts and answers kept, [`bodies`]
//! copies them in passing, seals them behind everybody's back, and the shipper takes them along.

pub mod bodies;
mod call;
pub mod config;
mod demo;
mod exchange;
mod headers;
pub mod http;
mod kept;
pub mod keys;
mod memory;
pub mod peek;
mod prices;
pub mod proxy;
mod refusal;
pub mod route;
pub mod sink;
pub mod spool;
pub mod usage;

pub use bodies::{Bodies, BodiesConfig};
pub use config::ProxyConfig;
pub use keys::KeyRing;
pub use prices::{follow_prices, take_newest};
pub use proxy::{Proxy, ProxyParts};
pub use sink::StoreSink;
