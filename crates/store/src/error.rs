//! The one error of the store, told apart by what the caller can do about it.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::PoolError;

use crate::roles::RoleFault;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL cannot be reached now, or ended the connection: try again later.
    #[error("the database cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The present state forbids it: a unique, foreign-key, not-null or check rule of the named constraint.
    #[error("the change conflicts with {constraint}")]
    Conflict {
        /// The constraint's name in the schema; empty where PostgreSQL names none.
        constraint: String,
        /// What PostgreSQL said.
        #[source]
        source: DieselError,
    },
    /// A text holds what PostgreSQL cannot store in one: U+0000, which JSON and a query string may well carry.
    #[error("a text holds a character that cannot be stored")]
    Text,
    /// There is no such row for this caller.
    #[error("there is no such row")]
    NotFound,
    /// The runtime role may do more than it should; nothing is served with it.
    #[error("the database role of the application is not safe to serve with")]
    Role(#[from] RoleFault),
    /// A row holds what this version cannot read, or the SQL is wrong: a defect of ours.
    #[error("the database answered what the store does not understand")]
    Bug(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// True where a later attempt may succeed without any change.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// The constraint that a conflict is about; `None` for any other error.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Conflict { constraint, .. } => Some(constraint),
            _ => None,
        }
    }

    /// A defect, with its story.
    pub(crate) fn bug(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Bug(cause.into())
    }
}

/// What PostgreSQL says when it is starting, stopping or full. The messages are compared because diesel
/// hands on no SQLSTATE; the doors ask for them in English (`lc_messages`) where the server allows it.
const PASSING_MESSAGES: [&str; 6] = [
    "terminating connection",
    "the database system is",
    "server closed the connection",
    "canceling statement due to",
    "too many clients",
    "connection slots are reserved",
];

/// What it says of a text with U+0000 in it (SQLSTATE 22021, and 22P05 inside of JSON).
const UNSTORABLE_MESSAGES: [&str; 2] =
    ["invalid byte sequence for encoding", "unsupported Unicode escape sequence"];

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::NotFound => Self::NotFound,
            DieselError::DatabaseError(kind, ref info) => match kind {
                DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::RestrictViolation
                | DatabaseErrorKind::ExclusionViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation => {
                    let constraint = info.constraint_name().unwrap_or_default().to_owned();
                    Self::Conflict { constraint, source: error }
                }
                DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ReadOnlyTransaction => Self::Unavailable(Box::new(error)),
                _ if PASSING_MESSAGES.iter().any(|passing| info.message().contains(passing)) => {
                    Self::Unavailable(Box::new(error))
                }
                _ if UNSTORABLE_MESSAGES.iter().any(|said| info.message().starts_with(said)) => Self::Text,
                _ => Self::Bug(Box::new(error)),
            },
            DieselError::BrokenTransactionManager | DieselError::RollbackErrorOnCommit { .. } => {
                Self::Unavailable(Box::new(error))
            }
            other => Self::Bug(Box::new(other)),
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<diesel::ConnectionError> for StoreError {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}
