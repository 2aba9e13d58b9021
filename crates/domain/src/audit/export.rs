//! The lines of an export: JSON, one object a line. The first says whose chain it is and what it goes on from, then
//! come the events in order, and the last says where the chain ended, so that a whole export is told from a cut one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::chain::{Chain, Hash, Place, Record, spaced};
use crate::{AuditEventId, RequestId};

/// The version of the lines.
pub const FORMAT: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// [`FORMAT`].
    pub costlens_audit: u32,
    /// Whose chain, see [`Chain`].
    pub chain: String,
    /// The number of the event before the first line; 0 at a chain's beginning.
    pub after_seq: u64,
    /// Its hash; zeros at a chain's beginning.
    pub after_hash: Hash,
}

/// An event.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is described where the event is: `chain::Record`, `chain::Place`")]
pub struct Line {
    pub seq: u64,
    pub id: AuditEventId,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub action: String,
    pub target: Option<String>,
    pub change: Box<RawValue>,
    pub request_id: Option<RequestId>,
    pub address: Option<String>,
    /// The hash of the event before.
    pub prev: Hash,
    pub hash: Hash,
}

impl Line {
    /// The line of an event at its place. Fails only where `change` is no JSON, which the database never holds.
    pub fn new(place: Place, prev: Hash, record: Record) -> Result<Self, serde_json::Error> {
        let Record { id, at, actor, action, target, change, request_id, address } = record;
        Ok(Self {
            seq: place.seq,
            id: id.into(),
            at,
            actor,
            action,
            target,
            change: RawValue::from_string(change)?,
            request_id: request_id.map(Into::into),
            address,
            prev,
            hash: place.hash,
        })
    }

    /// What of it is hashed.
    #[must_use]
    pub fn record(&self) -> Record {
        Record {
            id: self.id.uuid(),
            at: self.at,
            actor: self.actor.clone(),
            action: self.action.clone(),
            target: self.target.clone(),
            change: spaced(self.change.get()),
            request_id: self.request_id.map(RequestId::uuid),
            address: self.address.clone(),
        }
    }
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Where the chain ended when the export did.
    pub end: Head,
}

/// A chain's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The last event's number.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl From<Place> for Head {
    fn from(Place { seq, hash }: Place) -> Self {
        Self { seq, hash }
    }
}

impl From<Head> for Place {
    fn from(Head { seq, hash }: Head) -> Self {
        Self { seq, hash }
    }
}

impl Begin {
    /// The first line of an export that goes on from this place.
    #[must_use]
    pub fn new(chain: &Chain, after: Place) -> Self {
        Self {
            costlens_audit: FORMAT,
            chain: chain.to_string(),
            after_seq: after.seq,
            after_hash: after.hash,
        }
    }
}
