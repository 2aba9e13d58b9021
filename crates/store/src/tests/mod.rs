//! The store against a real PostgreSQL: what the schema, the doors and the shipper promise.

mod audit;
mod bill_deliveries;
mod bill_uploads;
mod bills;
mod bodies;
mod candidate_rules;
mod closures;
mod doors;
mod facts;
mod imports;
mod insight;
mod leavers;
mod outbox;
mod schema_rules;
mod sessions;
mod settlements;
mod spend;
mod support;
mod tenant_keys;
mod uptime;
