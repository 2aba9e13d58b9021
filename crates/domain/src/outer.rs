//! What somebody else who keeps people and organisations (Clerk) says of them, as far as it is acted upon: ids over
//! there, when it was so by their clock, and what follows here. No name of a person and no address.

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Role;

/// How much older than a question what was known must be to be taken back by its answer: clocks of several machines.
pub const CLOCKS_APART: TimeDelta = TimeDelta::minutes(1);

/// How a person stands over there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It may sign in.
    Good,
    /// It is banned or locked.
    Barred,
    /// There is no such person any more.
    Gone,
}

/// One thing that is so over there. `version` is the moment of the change in milliseconds since 1970, by their clock;
/// an id is given once and never again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum OuterFact {
    Person {
        id: String,
        version: i64,
        standing: Standing,
    },
    Organization {
        id: String,
        version: i64,
        /// What it is called; `None` where that is not said, or it is gone.
        name: Option<String>,
        gone: bool,
    },
    Membership {
        id: String,
        version: i64,
        organization: String,
        person: String,
        /// As what, here; `None`: it belongs there no longer.
        #[serde(serialize_with = "role_to_text", deserialize_with = "role_from_text")]
        role: Option<Role>,
    },
    /// A session over there is over.
    SessionOver {
        id: String,
        version: i64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "the shape that serde wants")]
fn role_to_text<S: Serializer>(role: &Option<Role>, to: S) -> Result<S::Ok, S::Error> {
    role.map(Role::as_str).serialize(to)
}

fn role_from_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Role>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_read_as_it_was_written() {
        for role in [None, Some(Role::Analyst)] {
            let (id, organization, person) = ("orgmem_1".into(), "org_1".into(), "user_1".into());
            let fact = OuterFact::Membership { id, version: 7, organization, person, role };
            let text = serde_json::to_string(&fact).unwrap();
            assert_eq!(serde_json::from_str::<OuterFact>(&text).unwrap(), fact);
        }
        assert!(serde_json::from_str::<OuterFact>(r#"{"about":"person","id":"x","version":1}"#).is_err());
    }
}
