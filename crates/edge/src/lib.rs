//! The accept loop under every listener.
//!
//! Poem routes well and listens badly: it leaves slow clients connected for ever, reads bodies of any size, stalls
//! streams by 40 ms and believes every `X-Forwarded-For`. So its endpoints are served by [`serve`], which promises
//! for each listener: TCP_NODELAY; a deadline for headers and for bodies; limits on headers, bodies and
//! connections; the client's address from trusted hops only; an id for every request; the hardening headers and
//! problem details on every answer, those included that no endpoint wrote; and a drain that ends in bounded time.
//!
//! What an endpoint learns about its request stands in [`Arrival`], in the request's extensions.

mod answer;
mod arrival;
mod body;
mod client_addr;
mod config;
mod connection;
mod headers;
mod limits;
mod serve;
mod service;
mod socket;
mod taking;

pub use answer::problem_response;
pub use arrival::Arrival;
pub use body::{BodyRefused, body_refusal};
pub use client_addr::{BadNetwork, Network, TrustedProxies};
pub use config::{BodyRule, EdgeConfig};
pub use serve::{Drained, EdgeError, serve};

#[cfg(test)]
mod tests;
