//! What others tell of calls that never passed the proxy: LiteLLM's spend logs, and spans of the GenAI conventions by OTLP.
//!
//! Bytes of strangers go in, [reported calls](costlens_domain::imports::ReportedCall) come out. Prompts and answers are
//! not read: nothing here has a field for them (ADR 0025). No I/O and no clock.

mod bounded;
pub mod litellm;
pub mod otlp;
mod refused;
mod unpack;

pub use refused::Refused;
pub use unpack::{Unpack, gunzip};
