//! How people prove who they are. No SQL and no HTTP surface: what is proven here, `api` acts upon and `store` keeps.
//!
//! * [`passwords`]: bcrypt at cost 12, off the async threads and so many at once.
//! * [`totp`]: codes of an authenticator (RFC 6238) as second factor.

pub mod passwords;
pub mod totp;

pub use passwords::{BadPassword, PasswordError, PasswordHash, Passwords};
pub use totp::{Totp, TotpSetup};
