//! Who did something that may be asked about later, and how the record of it proves itself.
//!
//! * [`Action`]: every kind of act that is written down, by its stable name.
//! * [`chain`]: the bytes over which an event's hash is taken, and the chain that the hashes make.
//! * [`export`]: the lines of an export, which carry the chain along.
//! * [`verify`]: reads such lines and says whether they are whole, or which is the first that is not.
//! * [`anchor`]: a day's heads of all chains, kept where the database's owner does not rewrite them unseen.

mod action;
pub mod anchor;
pub mod chain;
pub mod export;
pub mod verify;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::{ApiKeyId, SessionId, UserId};

pub use action::Action;

/// Who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in browser, let in by a link from the operator's command line.
    Session(SessionId),
    /// A person, signed in.
    User(UserId),
    /// A program with an API key.
    Key(ApiKeyId),
    /// Who runs the service, signed in as such.
    Operator(SessionId),
    /// Who runs the service, at its command line.
    CommandLine,
    /// Whoever follows a link that only the addressee of a mail has.
    Link,
    /// Whoever tries to sign in, and is not let in.
    Nobody,
    /// Whoever keeps people and organisations for us, by what it told.
    Clerk,
    /// The product itself, by a schedule.
    Schedule,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => write!(f, "session:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Operator(id) => write!(f, "operator:{id}"),
            Self::CommandLine => f.write_str("operator:command-line"),
            Self::Link => f.write_str("link"),
            Self::Nobody => f.write_str("nobody"),
            Self::Clerk => f.write_str("clerk"),
            Self::Schedule => f.write_str("schedule"),
        }
    }
}
