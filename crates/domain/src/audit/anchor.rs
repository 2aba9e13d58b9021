//! A day's anchor: the heads of all chains in one file, and the hash of the file of the day before.
//!
//! Whoever owns the database can write every row of it anew, hashes and all, and the chain would be whole. It would
//! not be the chain that older anchors name. How safe that makes the audit is how safe the anchors are kept: in a place
//! that takes files and gives none back to be changed (a bucket with an object lock), copied there by the operator.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::chain::Hash;

/// The version of the files.
pub const FORMAT: u32 = 1;

/// A day's anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// [`FORMAT`].
    pub costlens_audit_anchor: u32,
    /// Its number; the first has 1.
    pub n: u64,
    /// Its day, by UTC.
    pub day: NaiveDate,
    /// When the heads were read.
    pub at: DateTime<Utc>,
    /// SHA-256 of the file before, byte for byte; zeros in the first.
    pub previous: Hash,
    /// The heads, by tag.
    pub heads: Vec<AnchoredHead>,
}

/// A chain's head in an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchoredHead {
    /// The chain, see [`super::chain::Chain::tag`].
    pub chain: Hash,
    /// Its last event's number.
    pub seq: u64,
    /// That event's hash.
    pub hash: Hash,
}

impl Anchor {
    /// The name of the file with this number, without the folder.
    #[must_use]
    pub fn file_name(n: u64) -> String {
        format!("{n:08}.json")
    }

    /// The head of a chain, if it had one.
    #[must_use]
    pub fn head_of(&self, tag: Hash) -> Option<&AnchoredHead> {
        self.heads.binary_search_by_key(&tag, |head| head.chain).ok().and_then(|at| self.heads.get(at))
    }
}
