//! What a listener allows. The defaults are those of an API on the public Internet behind one load balancer.

use std::sync::Arc;
use std::time::Duration;

use costlens_domain::ports::{Clock, Entropy};

use crate::client_addr::TrustedProxies;

/// How large a request's body may be and how long it may take to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRule {
    /// The most bytes, announced or not.
    pub max_bytes: u64,
    /// From the request's head to the body's last byte.
    pub deadline: Duration,
}

/// What a listener allows.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// Times the requests' ids.
    pub clock: Arc<dyn Clock>,
    /// Makes the requests' ids.
    pub entropy: Arc<dyn Entropy>,
    /// Whether clients come by https, so that they may be told to come by nothing else.
    pub https: bool,
    /// Whose word about the client's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// From a request's first byte to the end of its head; also from accept to the first head.
    pub header_timeout: Duration,
    /// How long a connection may rest between requests. Longer than a load balancer's own (60 s is common), or it
    /// would send a request just as we close.
    pub idle_timeout: Duration,
    /// How long a client may take next to nothing of an answer: less than 16 KiB of what waits for it.
    pub write_timeout: Duration,
    /// The largest head, start line included. (At most 100 fields in any case.)
    pub max_header_bytes: u32,
    /// The rule for bodies where no prefix has its own.
    pub body: BodyRule,
    /// Rules for paths that begin with a prefix; the longest that fits counts.
    pub body_rules: Vec<(String, BodyRule)>,
    /// The most connections at a time.
    pub max_connections: usize,
    /// The most connections of one client address (one /64 of IPv6). Trusted proxies are exempt.
    pub max_connections_per_client: usize,
    /// How long requests may go on after shutdown was asked for.
    pub drain_timeout: Duration,
}

impl EdgeConfig {
    /// The defaults.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            clock,
            entropy,
            https: false,
            trusted_proxies: TrustedProxies::None,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            write_timeout: Duration::from_mins(1),
            max_header_bytes: 32 * 1024,
            body: BodyRule { max_bytes: 32 * 1024 * 1024, deadline: Duration::from_secs(30) },
            body_rules: Vec::new(),
            max_connections: 10_000,
            max_connections_per_client: 1_000,
            drain_timeout: Duration::from_secs(25),
        }
    }

    /// The rule for a path.
    pub(crate) fn body_rule(&self, path: &str) -> BodyRule {
        let fitting = self.body_rules.iter().filter(|(prefix, _)| path.starts_with(prefix.as_str()));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map_or(self.body, |(_, rule)| *rule)
    }
}
