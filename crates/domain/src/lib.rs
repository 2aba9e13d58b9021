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
pub mod export;
pub mod ids;
pub mod keys;
pub mod members;
pub mod money;
pub mod outer;
pub mod ports;
pub mod pricing;
pub mod problem;
pub mod providers;
pub mod request;
pub mod status;
pub mod usage;

pub use ids::{
    AnomalyId, ApiKeyId, AuditEventId, BillId, BillUploadId, BudgetId, ConnectionId, ErasureId, EventId,
    ExportId, InvitationId, MessageId, PriceCorrectionId, PriceReviewId, RecipientId, RepricingId, RequestId,
    SessionId, SlackChannelId, TenantId, UserId, UserLinkId, WebhookEndpointId,
};
pub use members::Role;
pub use money::{Currency, Money, Usd};
pub use problem::{Problem, ProblemCode};
pub use usage::{TokenClass, Tokens, Usage};
