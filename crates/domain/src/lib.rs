//! What words mean and what follows from them on paper: no I/O, no clock, no async runtime.
//!
//! Everything here is a value or a pure function of values. Time and randomness come in as parameters
//! ([`ports::Clock`], the `random` argument of [`ids`]), so that a rule can be tested on any day of any year.

pub mod alerts;
pub mod audit;
pub mod bill;
pub mod calendar;
pub mod classify;
pub mod events;
pub mod ids;
pub mod money;
pub mod ports;
pub mod pricing;
pub mod privacy;
pub mod problem;
pub mod providers;
pub mod redaction;
pub mod request;
pub mod usage;

pub use ids::{
    AnomalyId, ApiKeyId, AuditEventId, BillId, BillUploadId, BudgetId, ConnectionId, ErasureId, EventId,
    MessageId, RecipientId, RequestId, SessionId, SlackChannelId, SupportGrantId, TenantId,
    WebhookEndpointId,
};
pub use money::{Currency, Money, Usd};
pub use problem::{Problem, ProblemCode};
pub use usage::{TokenClass, Tokens, Usage};
