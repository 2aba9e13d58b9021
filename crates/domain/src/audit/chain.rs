//! The chain: each event carries its number, the hash of the event before, and a hash of its own over both and every
//! field that it has.
//!
//! The bytes that are hashed are a list of fields. Each field is one byte `00` where it is absent, else one byte `01`,
//! its length in eight bytes (big-endian) and its bytes; so no two lists make the same bytes. The database builds them
//! in SQL when an event is inserted (`audit_hash`), this file builds them again to verify it, and neither knows the
//! other. What the fields are, in order, is said at [`encode`]; another list of fields gets another version.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{ErasureId, TenantId};

/// The version of the encoding; the first field of every event.
pub const VERSION: &str = "costlens/audit/1";

/// The version of what an erasure keeps.
pub const KEPT_VERSION: &str = "costlens/kept-audit/1";

/// SHA-256, which somebody else computes.
pub type Digest = fn(&[u8]) -> Hash;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands before the first event of a chain.
    pub const NONE: Self = Self([0; 32]);

    /// The hash with these bytes; `None` where they are not 32.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits in lower case")]
pub struct BadHash;

impl std::str::FromStr for Hash {
    type Err = BadHash;

    fn from_str(text: &str) -> Result<Self, BadHash> {
        if text.len() != 64 || !text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(BadHash);
        }
        let mut bytes = [0; 32];
        for (n, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * n..2 * n + 2).ok_or(BadHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| BadHash)?;
        }
        Ok(Self(bytes))
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whose events a chain holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// A tenant's.
    Tenant(TenantId),
    /// Those of whoever runs the service.
    Operator,
    /// What an erasure kept of an account.
    Erasure(ErasureId),
}

impl Chain {
    /// What names the chain in an anchor: nobody learns from it whose the chain is, and an erasure leaves no id in it.
    #[must_use]
    pub fn tag(&self, digest: Digest) -> Hash {
        let mut bytes = Vec::new();
        put(&mut bytes, b"costlens/audit-chain/1");
        put(&mut bytes, self.to_string().as_bytes());
        digest(&bytes)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(id) => write!(f, "tenant:{}", id.uuid().hyphenated()),
            Self::Operator => f.write_str("operator"),
            Self::Erasure(id) => write!(f, "erasure:{}", id.uuid().hyphenated()),
        }
    }
}

/// A text that names no chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chain is `tenant:<uuid>`, `operator` or `erasure:<uuid>`")]
pub struct BadChain;

impl std::str::FromStr for Chain {
    type Err = BadChain;

    fn from_str(text: &str) -> Result<Self, BadChain> {
        let uuid = |text: &str| Uuid::try_parse(text).map_err(|_| BadChain);
        let chain = match text.split_once(':') {
            Some(("tenant", id)) => Self::Tenant(uuid(id)?.into()),
            Some(("erasure", id)) => Self::Erasure(uuid(id)?.into()),
            None if text == "operator" => Self::Operator,
            _ => return Err(BadChain),
        };
        // One chain, one name.
        if chain.to_string() == text { Ok(chain) } else { Err(BadChain) }
    }
}

/// An event as it is hashed. The texts are as the database holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: Uuid,
    /// When it was done; the hash counts microseconds.
    pub at: DateTime<Utc>,
    /// By whom.
    pub actor: String,
    /// What kind of act.
    pub action: String,
    /// To what.
    pub target: Option<String>,
    /// What changed, as PostgreSQL writes the value.
    pub change: String,
    /// In which request.
    pub request_id: Option<Uuid>,
    /// From which address.
    pub address: Option<String>,
}

/// A place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The event's number; the first has 1.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Place {
    /// Before the first event.
    pub const START: Self = Self { seq: 0, hash: Hash::NONE };
}

/// The bytes over which an event's hash is taken: version, chain, number (eight bytes), the hash before, id (sixteen
/// bytes), microseconds since 1970 (eight bytes), actor, action, target, change, request id (sixteen bytes), address.
#[must_use]
pub fn encode(chain: &Chain, seq: u64, prev: Hash, record: &Record) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256 + record.change.len());
    put(&mut bytes, VERSION.as_bytes());
    put(&mut bytes, chain.to_string().as_bytes());
    put(&mut bytes, &seq.to_be_bytes());
    put(&mut bytes, &prev.0);
    put(&mut bytes, record.id.as_bytes());
    put(&mut bytes, &record.at.timestamp_micros().to_be_bytes());
    put(&mut bytes, record.actor.as_bytes());
    put(&mut bytes, record.action.as_bytes());
    put_some(&mut bytes, record.target.as_deref().map(str::as_bytes));
    put(&mut bytes, record.change.as_bytes());
    put_some(&mut bytes, record.request_id.as_ref().map(|id| id.as_bytes().as_slice()));
    put_some(&mut bytes, record.address.as_deref().map(str::as_bytes));
    bytes
}

/// The same for what an erasure keeps: version, chain, number, the hash before, microseconds, action.
#[must_use]
pub fn encode_kept(of: ErasureId, n: u64, prev: Hash, at: DateTime<Utc>, action: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(192);
    put(&mut bytes, KEPT_VERSION.as_bytes());
    put(&mut bytes, Chain::Erasure(of).to_string().as_bytes());
    put(&mut bytes, &n.to_be_bytes());
    put(&mut bytes, &prev.0);
    put(&mut bytes, &at.timestamp_micros().to_be_bytes());
    put(&mut bytes, action.as_bytes());
    bytes
}

fn put(to: &mut Vec<u8>, field: &[u8]) {
    put_some(to, Some(field));
}

fn put_some(to: &mut Vec<u8>, field: Option<&[u8]>) {
    let Some(field) = field else {
        to.push(0);
        return;
    };
    to.push(1);
    // A field of more than 2^64 bytes fits into no machine.
    to.extend_from_slice(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
    to.extend_from_slice(field);
}

/// JSON as PostgreSQL writes a `jsonb`: one space behind every comma and colon and none elsewhere. A program that took
/// the spaces out of an export, or put some in, changed nothing that is hashed.
#[must_use]
pub fn spaced(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 16);
    let (mut in_text, mut escaped) = (false, false);
    for c in json.chars() {
        if in_text {
            out.push(c);
            (in_text, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            ',' | ':' => {
                out.push(c);
                out.push(' ');
            }
            _ => {
                in_text = c == '"';
                out.push(c);
            }
        }
    }
    out
}
