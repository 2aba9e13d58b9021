//! Who did something that may be asked about later.

use std::fmt;

use crate::{ApiKeyId, SessionId, UserId};

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
            Self::Schedule => f.write_str("schedule"),
        }
    }
}
