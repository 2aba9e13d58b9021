//! Deciding again which candidates count as AI.

use costlens_domain::CandidateRuleId;
use costlens_queue::Job;
use serde::{Deserialize, Serialize};

use crate::TenantJob;

/// Decides of every bill that counts, by the rules that hold when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideCandidates {
    /// The rule that came or went.
    pub rule: CandidateRuleId,
    /// Whether it went.
    pub ended: bool,
}

impl Job for DecideCandidates {
    const QUEUE: &'static str = "candidates.v1";
}

impl TenantJob for DecideCandidates {
    fn key(&self) -> Option<String> {
        Some(format!("{}:{}", self.rule, if self.ended { "ended" } else { "made" }))
    }
}
