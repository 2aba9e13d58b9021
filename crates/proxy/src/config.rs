//! What an operator can set about the proxy.

use std::collections::HashMap;
use std::time::Duration;

use costlens_egress::EndpointUrl;

/// Limits and addresses of the data plane.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// The longest wait for the head of a provider's answer; past it the client gets 504.
    pub first_byte_timeout: Duration,
    /// The longest silence inside an answer.
    pub idle_timeout: Duration,
    /// How long an answer is still read after its client hung up.
    pub drain_time: Duration,
    /// How many such answers are read at once; further ones are dropped and estimated.
    pub drain_concurrency: usize,
    /// The largest plain answer, which is read whole before it is passed on; a larger one is broken off and its row
    /// estimated.
    pub metered_answer_bytes: usize,
    /// What requests and plain answers of all calls may hold in memory together; a call beyond it gets 503.
    pub call_memory_bytes: usize,
    /// How long a plain answer waits for memory that other calls give back; the provider has worked for it already.
    pub call_memory_wait: Duration,
    /// How long a key is served from memory before it is looked up again.
    pub key_fresh: Duration,
    /// How long a key is still served from memory while the database cannot be reached.
    pub key_stale: Duration,
    /// The longest wait for the database with `durability=database`.
    pub database_wait: Duration,
    /// Other addresses for the vendors' public APIs, set by the operator (tests, regional gateways).
    pub provider_base_urls: HashMap<String, EndpointUrl>,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            first_byte_timeout: Duration::from_mins(10),
            idle_timeout: Duration::from_mins(5),
            drain_time: Duration::from_mins(2),
            drain_concurrency: 256,
            metered_answer_bytes: 64 << 20,
            call_memory_bytes: 1 << 30,
            call_memory_wait: Duration::from_secs(10),
            key_fresh: Duration::from_secs(5),
            key_stale: Duration::from_mins(2),
            database_wait: Duration::from_secs(10),
            provider_base_urls: HashMap::new(),
        }
    }
}
