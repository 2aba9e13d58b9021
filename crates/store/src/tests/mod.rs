//! The store against a real PostgreSQL: what the schema, the doors and the shipper promise.

mod bills;
mod doors;
mod facts;
mod schema_rules;
mod sessions;
mod spend;
mod support;
