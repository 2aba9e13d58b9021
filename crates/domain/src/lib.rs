//! What words mean and what follows from them on paper: no I/O, no clock, no async runtime.
//!
//! Everything here is a value or a pure function of values. Time and randomness come in as parameters
//! ([`ports::Clock`], the `random` argument of [`ids`]), so that a rule can be tested on any day of any year.

pub mod alerts;
pub mod audit;
pub mod aws;
pub mod bill;
pub mod calendar;
pub mod charging;
pub mod classify;
pub mod events;
pub mod export;
pub mod ids;
pub mod imports;
pub mod invoices;
pub mod keys;
pub mod members;
pub mod money;
pub mod outer;
pub mod ports;
pub mod pricing;
pub mod privacy;
pub mod problem;
pub mod providers;
pub mod redaction;
pub mod request;
pub mod settlement;
pub mod single_sign_on;
pub mod status;
pub mod usage;

pub use ids::{
    AnomalyId, ApiKeyId, AuditEventId, AwsConnectionId, BillDeliveryId, BillId, BillUploadId, BudgetId,
    CandidateRuleId, ConnectionId, ErasureId, EventId, ExportId, InsightEventId, InvitationId,
    InvoiceSourceId, MessageId, PriceCorrectionId, PriceReviewId, RecipientId, RecommendationId, RepricingId,
    RequestId, SessionId, SlackChannelId, SsoDomainId, SsoProviderId, SupportGrantId, TenantId, UserId,
    UserLinkId, WebhookEndpointId,
};
pub use members::Role;
pub use money::{Currency, Money, Usd};
pub use problem::{Problem, ProblemCode};
pub use usage::{TokenClass, Tokens, Usage};
