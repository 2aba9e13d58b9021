//! How people prove who they are. No SQL and no HTTP surface: what is proven here, `api` acts upon and `store` keeps.
//!
//! * [`passwords`]: bcrypt at cost 12, off the async threads and so many at once.
//! * [`token`], [`jwks`]: what somebody else signed, and the keys to check it with.
//! * [`fetch`]: asking whoever vouches.
//! * [`vouching`]: who vouches for people here: [`oidc`] in general, and [`github`], which is not it.
//! * [`single_sign_on`]: tenants' own providers, and which domains are whose.
//! * [`clerk`]: who keeps people and organisations in our place, where the operator wants that.
//! * [`totp`]: codes of an authenticator (RFC 6238) as second factor.

pub mod clerk;
pub mod fetch;
pub mod github;
pub mod jwks;
pub mod oidc;
pub mod passwords;
pub mod single_sign_on;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token;
pub mod totp;
pub mod vouching;

pub use clerk::{Clerk, ClerkConfig, ClerkToken};
pub use jwks::Jwks;
pub use passwords::{BadPassword, PasswordError, PasswordHash, Passwords};
pub use token::{Claims, TokenError};
pub use totp::{Totp, TotpSetup};
