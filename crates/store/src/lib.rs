//! All of the product's SQL, behind three doors, and the private PostgreSQL.
//!
//! A [`Store`] holds one connection pool per door, and each door has grants of its own in the database:
//! [`TenantConn`] is a transaction that sees one tenant's rows (row-level security, forced), [`WriterConn`]
//! ships request facts from the spool, [`SystemConn`] runs the short list of queries that cross tenants.
//! No door can bypass row-level security, own a table or create one.

mod alerts;
mod audit;
mod audit_anchors;
mod aws_connections;
mod bill_claims;
mod bill_deliveries;
mod bill_uploads;
mod bills;
mod bodies;
mod bounds;
mod budget_spend;
mod candidate_rules;
mod chargeback;
mod closures;
mod connections;
mod corrections;
mod db;
mod doors;
mod error;
mod exports;
mod idempotency;
mod imports;
mod inbox;
mod insight;
mod invoice_sources;
mod key_labels;
mod keys;
mod leavers;
mod members;
mod messages;
mod migrate;
mod outer;
mod outside;
mod prices;
mod privacy;
pub mod private;
mod recipients;
mod repriced_months;
mod repricing;
mod requests;
mod retention;
mod roles;
mod schema;
mod sealed;
mod sessions;
mod settings;
mod settled_charges;
mod settlements;
mod single_sign_on;
mod spend;
mod subject_keys;
mod support_grants;
mod tenant_keys;
mod tenants;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod uptime;
mod user_links;
mod users;
mod webhooks;
mod writer;

#[cfg(test)]
mod tests;

pub use alerts::{Anomaly, AnomalyDecision, AnomalyOnBills, Budget, Cadence, Judgement};
pub use audit::{AuditEvent, AuditHead, ChainedEvent, KeptEvent, NewAuditEvent};
pub use audit_anchors::KeptAnchor;
pub use aws_connections::{AwsChecked, AwsConnection, AwsConnectionState, AwsProblem, NewAwsConnection};
pub use bill_claims::UnfinishedMonth;
pub use bill_deliveries::{
    BillDelivery, BillMonth, BillMonthState, DeliveryStored, NewBillDelivery, SeenManifest,
};
pub use bill_uploads::{
    BillUpload, NewBillUpload, Published, UnfinishedUpload, UnfinishedUploads, UploadProblem, UploadProgress,
    UploadState,
};
pub use bills::{
    Bill, BillFilter, BillInTheWay, BillPoint, ChargePlace, Drift, InTheWay, NewBill, Withdrawal,
};
pub use bodies::{BodyCount, BodyDay, SealedBody, StoredBody};
pub use budget_spend::{BudgetSpend, whole_hour_from};
pub use candidate_rules::{Candidate, CandidateRule, CandidateScope};
pub use chargeback::{Chargeback, ChargebackBy, ChargedCalls, ChargedSlice, IssuerBalance, MonthKey};
pub use closures::{ERASED_TABLES, Erasure, ErasureState, begin_erasing, commit_erased};
pub use connections::{Connection, NewConnection};
pub use corrections::{Correction, CorrectionState, CorrectionSums};
pub use doors::{
    KeyChange, KeyChanges, PriceNews, Store, StoreConfig, SystemConn, SystemTx, TenantConn, WriterConn,
};
pub use error::StoreError;
pub use exports::{Export, ExportCount, ExportFile, ExportProblem, ExportState, NewExport, SweptExport};
pub use idempotency::{IdempotencyKey, Idempotent, StoredAnswer};
pub use imports::{ImportClaim, Imported};
pub use inbox::InboxEvent;
pub use insight::{InsightEvent, Recommendation};
pub use invoice_sources::{
    InvoiceMonth, InvoiceProblem, InvoiceSource, InvoiceSourceState, InvoiceStored, InvoicesFetched,
    NewInvoiceMonth, NewInvoiceSource,
};
pub use key_labels::KeyLabel;
pub use keys::{ApiKey, FoundKey, KeySettings, NewApiKey, Roll};
pub use members::{Invitation, Member};
pub use messages::{Message, MessageState, MessageTarget, NewMessage};
pub use migrate::{Migrated, Neighbour, RuntimeLogin, migrate, runtime_url};
pub use outer::{Learned, OuterChange, OuterOrganization};
pub use outside::HeldOutside;
pub use prices::{NewPrices, PriceFeed, PriceReview, PriceReviewState, PublishedPrices};
pub use recipients::{Recipient, SlackChannel, StopReason};
pub use repricing::{
    CorrectedCalls, EarlierPrice, Repriced, RepricedCall, Repricing, RepricingCursor, RepricingKind,
};
pub use requests::{RequestFilter, RequestPage};
pub use retention::{Retention, RetentionRule};
pub use roles::{ENQUEUER_ROLES, RoleFault, WORKER_ROLE, worker_url};
pub use sealed::{SEALED_COLUMNS, SUBJECT_SEALED_COLUMNS, SealedColumn, SealedText};
pub use sessions::{Continued, NewRefresh, NewSession, NewSignInLink, NewUserSession, Session};
pub use settings::TenantSettings;
pub use settled_charges::SettledPlace;
pub use settlements::{
    CallsOnBills, NewSettlement, ResidualSum, SettledCall, SettledPart, Settlement, SettlementBill,
    SettlementBills, SettlementCalls, SettlementCell, SettlementCellKey, SettlementCoverage, SettlementDay,
    SettlementGroup, SettlementKey, SettlementPrice, SettlementResidual, SettlementSlice,
};
pub use single_sign_on::{SsoDomain, SsoName, SsoProvider};
pub use spend::{SpendBucket, SpendFilter, SpendGroup, SpendPlace, SpendPoint, SpendSlice, SpendTotals};
pub use subject_keys::SubjectKey;
pub use support_grants::{NewSupportGrant, SupportGrant};
pub use tenant_keys::{DataKey, Destroy, KeyAge};
pub use tenants::Tenant;
pub use uptime::{StatusDay, StatusIncident, StatusMinute};
pub use user_links::{Exchanged, NewExchangeCode, UserLink, UserLinkPurpose, UserMail, UserMailState};
pub use users::{Membership, NewUser, User, UserIdentity};
pub use webhooks::{
    Called, Delivery, DeliveryAttempt, DeliveryState, Event, OverdueDelivery, WebhookEndpoint,
};
pub use writer::Shipped;
