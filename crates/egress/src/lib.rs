//! The only way out to an address that a user gave us.
//!
//! A tenant may name any OpenAI-compatible endpoint; whoever names an endpoint chooses whom our server talks to.
//! This crate promises that such a call can reach nothing but the public Internet, or a private host that the
//! *operator* listed: [`EndpointUrl`] refuses bad URLs when they are registered, and [`Egress`] judges again at
//! every connection, resolves the name itself, refuses the whole answer if any address of it is not global, and
//! connects to the very address it judged. There is no redirect, no proxy from the environment, no second lookup.

mod address;
mod client;
mod connect;
mod endpoint;
mod name;
mod resolve;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use address::is_global;
pub use client::{Egress, EgressConfig, EgressError, EgressSetupError};
pub use endpoint::{BadHostPort, EndpointUrl, HostPort, Policy, RefusedUrl};
pub use resolve::TxtError;

/// What this crate lets through, for people.
pub const POLICY: &str =
    "https only, public addresses only, judged at every connection; redirects are not followed";

/// The body of an outgoing request: whole, so that sending it costs no allocation and it can be sent again.
pub type Body = http_body_util::Full<bytes::Bytes>;

#[cfg(test)]
mod tests;
