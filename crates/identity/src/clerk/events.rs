//! What Clerk's webhooks tell, as facts (clerk.com/docs, "Webhooks", read in November 2026). Only ids, times, roles and
//! organisations' names are read out of them.

use costlens_domain::outer::{OuterFact, Standing};
use serde::Deserialize;
use serde_json::Value;

use super::backend::is_id;
use super::role;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened, in Clerk's words: `user.updated`.
    pub kind: String,
    /// The instance that it happened in.
    pub instance_id: String,
    /// What is acted upon; `None` where nothing is.
    pub fact: Option<OuterFact>,
}

/// The body is no message of Clerk's, or lacks what its kind must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message does not say what one of its kind must")]
pub struct BadEvent;

#[derive(Deserialize)]
struct Envelope {
    data: Value,
    #[serde(rename = "type")]
    kind: String,
    instance_id: String,
    /// Milliseconds since 1970.
    timestamp: i64,
}

impl Event {
    /// Reads a message whose signature was checked.
    pub fn read(body: &[u8]) -> Result<Self, BadEvent> {
        let envelope: Envelope = serde_json::from_slice(body).map_err(|_| BadEvent)?;
        let fact = fact(&envelope)?;
        let Envelope { kind, instance_id, .. } = envelope;
        if kind.is_empty() || kind.len() > 100 {
            return Err(BadEvent);
        }
        Ok(Self { kind, instance_id, fact })
    }
}

fn fact(envelope: &Envelope) -> Result<Option<OuterFact>, BadEvent> {
    let Envelope { data, kind, timestamp, .. } = envelope;
    let id = |pointer: &str| {
        let text = data.pointer(pointer).and_then(Value::as_str).filter(|text| is_id(text));
        text.map(str::to_owned).ok_or(BadEvent)
    };
    let is = |name: &str| data.get(name).and_then(Value::as_bool).unwrap_or_default();
    let changed = || data.get("updated_at").and_then(Value::as_i64).ok_or(BadEvent);
    let gone = *timestamp;
    Ok(Some(match kind.as_str() {
        "user.created" | "user.updated" => {
            // One that is `locked` bars new sign-ins for a while, which Clerk sees to itself: strangers' wrong passwords
            // bring it about, and who is signed in stays so.
            let standing = if is("banned") { Standing::Barred } else { Standing::Good };
            OuterFact::Person { id: id("/id")?, version: changed()?, standing }
        }
        "user.deleted" => OuterFact::Person { id: id("/id")?, version: gone, standing: Standing::Gone },
        "organization.created" | "organization.updated" => {
            let name = data.get("name").and_then(Value::as_str).map(plain).filter(|name| !name.is_empty());
            OuterFact::Organization { id: id("/id")?, version: changed()?, name, gone: false }
        }
        "organization.deleted" => {
            OuterFact::Organization { id: id("/id")?, version: gone, name: None, gone: true }
        }
        "organizationMembership.created"
        | "organizationMembership.updated"
        | "organizationMembership.deleted" => {
            let is_over = kind.ends_with("deleted");
            let named = data.get("role").and_then(Value::as_str);
            OuterFact::Membership {
                id: id("/id")?,
                version: if is_over { gone } else { changed()? },
                organization: id("/organization/id")?,
                person: id("/public_user_data/user_id")?,
                role: if is_over { None } else { Some(role(named.ok_or(BadEvent)?)) },
            }
        }
        "session.ended" | "session.removed" | "session.revoked" => {
            OuterFact::SessionOver { id: id("/id")?, version: gone }
        }
        _ => return Ok(None),
    }))
}

/// A name as it may be shown.
#[must_use]
pub fn plain(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    plain.trim().to_owned()
}
