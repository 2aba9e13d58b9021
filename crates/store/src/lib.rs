//! All of the product's SQL, behind three doors, and the private PostgreSQL.
//!
//! A [`Store`] holds one connection pool per door, and each door has grants of its own in the database:
//! [`TenantConn`] is a transaction that sees one tenant's rows (row-level security, forced), [`WriterConn`]
//! ships request facts from the spool, [`SystemConn`] runs the short list of queries that cross tenants.
//! No door can bypass row-level security, own a table or create one.

mod bills;
mod connections;
mod db;
mod doors;
mod error;
mod idempotency;
mod keys;
mod migrate;
pub mod private;
mod requests;
mod retention;
mod roles;
mod schema;
mod sessions;
mod spend;
mod tenants;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod writer;

#[cfg(test)]
mod tests;

pub use bills::{Bill, BillFilter, BillPoint, NewBill};
pub use connections::{Connection, NewConnection};
pub use doors::{KeyChange, KeyChanges, Store, StoreConfig, SystemConn, TenantConn, WriterConn};
pub use error::StoreError;
pub use idempotency::{IdempotencyKey, Idempotent, StoredAnswer};
pub use keys::{ApiKey, NewApiKey};
pub use migrate::{Migrated, Neighbour, RuntimeLogin, migrate, runtime_url};
pub use requests::{RequestFilter, RequestPage};
pub use retention::Retention;
pub use roles::{ENQUEUER_ROLES, RoleFault, WORKER_ROLE, worker_url};
pub use sessions::{NewSession, NewSignInLink, Session};
pub use spend::{SpendBucket, SpendFilter, SpendGroup, SpendPoint, SpendSlice, SpendTotals};
pub use tenants::Tenant;
pub use writer::Shipped;
