//! Domain values as the contract shows them: text on the wire, typed on both sides.
//!
//! [`Wire`] carries any value that has one exact spelling (ids, money, days) as a JSON string. Numbers are
//! refused where money is wanted: a JSON number is a binary float in most clients.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use costlens_domain::{
    AnomalyId, ApiKeyId, AuditEventId, AwsConnectionId, BillDeliveryId, BillId, BillUploadId, BudgetId,
    CandidateRuleId, ConnectionId, Currency, ErasureId, EventId, ExportId, InsightEventId, InvitationId,
    InvoiceSourceId, MessageId, PriceCorrectionId, PriceReviewId, RecipientId, RecommendationId, RepricingId,
    RequestId, SessionId, SlackChannelId, SsoDomainId, SsoProviderId, SupportGrantId, TenantId, Usd, UserId,
    WebhookEndpointId,
};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type};
use serde_json::Value;

use crate::dates;

/// A value with one exact spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire<T>(pub T);

/// What the contract says of a spelling.
pub trait Spelled: Display + FromStr + Send + Sync {
    /// The name in messages.
    const NAME: &'static str;
    /// OpenAPI's `format`.
    const FORMAT: &'static str;
    /// A regular expression (ECMA 262) that every spelling matches.
    const PATTERN: &'static str;
    /// An example.
    const EXAMPLE: &'static str;

    /// The value of a text; `None` where it is no spelling of any.
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

macro_rules! spelled {
    ($($type:ty = $name:literal, $format:literal, $pattern:literal, $example:literal;)*) => {$(
        impl Spelled for $type {
            const NAME: &'static str = $name;
            const FORMAT: &'static str = $format;
            const PATTERN: &'static str = $pattern;
            const EXAMPLE: &'static str = $example;
        }
    )*};
}

spelled! {
    TenantId = "TenantId", "tenant-id", "^ten_[0-9a-f]{32}$", "ten_019ab3c4d5e67f8091a2b3c4d5e6f708";
    ApiKeyId = "ApiKeyId", "api-key-id", "^key_[0-9a-f]{32}$", "key_019ab3c4d5e67f8091a2b3c4d5e6f708";
    ConnectionId = "ConnectionId", "connection-id", "^con_[0-9a-f]{32}$", "con_019ab3c4d5e67f8091a2b3c4d5e6f708";
    RequestId = "RequestId", "request-id", "^req_[0-9a-f]{32}$", "req_019ab3c4d5e67f8091a2b3c4d5e6f708";
    BillId = "BillId", "bill-id", "^bil_[0-9a-f]{32}$", "bil_019ab3c4d5e67f8091a2b3c4d5e6f708";
    BillUploadId = "BillUploadId", "bill-upload-id", "^upl_[0-9a-f]{32}$", "upl_019ab3c4d5e67f8091a2b3c4d5e6f708";
    AwsConnectionId = "AwsConnectionId", "aws-connection-id", "^awc_[0-9a-f]{32}$", "awc_019ab3c4d5e67f8091a2b3c4d5e6f708";
    InvoiceSourceId = "InvoiceSourceId", "invoice-source-id", "^ivs_[0-9a-f]{32}$", "ivs_019ab3c4d5e67f8091a2b3c4d5e6f708";
    BillDeliveryId = "BillDeliveryId", "bill-delivery-id", "^dlv_[0-9a-f]{32}$", "dlv_019ab3c4d5e67f8091a2b3c4d5e6f708";
    ExportId = "ExportId", "export-id", "^exp_[0-9a-f]{32}$", "exp_019ab3c4d5e67f8091a2b3c4d5e6f708";
    SessionId = "SessionId", "session-id", "^ses_[0-9a-f]{32}$", "ses_019ab3c4d5e67f8091a2b3c4d5e6f708";
    RecipientId = "RecipientId", "recipient-id", "^rcp_[0-9a-f]{32}$", "rcp_019ab3c4d5e67f8091a2b3c4d5e6f708";
    SlackChannelId = "SlackChannelId", "slack-channel-id", "^slk_[0-9a-f]{32}$", "slk_019ab3c4d5e67f8091a2b3c4d5e6f708";
    WebhookEndpointId = "WebhookEndpointId", "webhook-endpoint-id", "^whk_[0-9a-f]{32}$", "whk_019ab3c4d5e67f8091a2b3c4d5e6f708";
    MessageId = "MessageId", "message-id", "^msg_[0-9a-f]{32}$", "msg_019ab3c4d5e67f8091a2b3c4d5e6f708";
    EventId = "EventId", "event-id", "^evt_[0-9a-f]{32}$", "evt_019ab3c4d5e67f8091a2b3c4d5e6f708";
    BudgetId = "BudgetId", "budget-id", "^bud_[0-9a-f]{32}$", "bud_019ab3c4d5e67f8091a2b3c4d5e6f708";
    CandidateRuleId = "CandidateRuleId", "candidate-rule-id", "^cdr_[0-9a-f]{32}$", "cdr_019ab3c4d5e67f8091a2b3c4d5e6f708";
    AnomalyId = "AnomalyId", "anomaly-id", "^ano_[0-9a-f]{32}$", "ano_019ab3c4d5e67f8091a2b3c4d5e6f708";
    SsoDomainId = "SsoDomainId", "single-sign-on-domain-id", "^dom_[0-9a-f]{32}$", "dom_019ab3c4d5e67f8091a2b3c4d5e6f708";
    SsoProviderId = "SsoProviderId", "single-sign-on-provider-id", "^idp_[0-9a-f]{32}$", "idp_019ab3c4d5e67f8091a2b3c4d5e6f708";
    InsightEventId = "InsightEventId", "insight-event-id", "^ins_[0-9a-f]{32}$", "ins_019ab3c4d5e67f8091a2b3c4d5e6f708";
    RecommendationId = "RecommendationId", "recommendation-id", "^rec_[0-9a-f]{32}$", "rec_019ab3c4d5e67f8091a2b3c4d5e6f708";
    SupportGrantId = "SupportGrantId", "support-grant-id", "^sup_[0-9a-f]{32}$", "sup_019ab3c4d5e67f8091a2b3c4d5e6f708";
    ErasureId = "ErasureId", "erasure-id", "^era_[0-9a-f]{32}$", "era_019ab3c4d5e67f8091a2b3c4d5e6f708";
    AuditEventId = "AuditEventId", "audit-event-id", "^aud_[0-9a-f]{32}$", "aud_019ab3c4d5e67f8091a2b3c4d5e6f708";
    UserId = "UserId", "user-id", "^usr_[0-9a-f]{32}$", "usr_019ab3c4d5e67f8091a2b3c4d5e6f708";
    InvitationId = "InvitationId", "invitation-id", "^inv_[0-9a-f]{32}$", "inv_019ab3c4d5e67f8091a2b3c4d5e6f708";
    PriceReviewId = "PriceReviewId", "price-review-id", "^prv_[0-9a-f]{32}$", "prv_019ab3c4d5e67f8091a2b3c4d5e6f708";
    PriceCorrectionId = "PriceCorrectionId", "price-correction-id", "^pcr_[0-9a-f]{32}$", "pcr_019ab3c4d5e67f8091a2b3c4d5e6f708";
    RepricingId = "RepricingId", "repricing-id", "^rpc_[0-9a-f]{32}$", "rpc_019ab3c4d5e67f8091a2b3c4d5e6f708";
    uuid::Uuid = "Uuid", "uuid", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "019ab3c4-d5e6-7f80-91a2-b3c4d5e6f708";
    Usd = "Usd", "decimal", "^-?[0-9]+(\\.[0-9]+)?$", "0.0018";
    Currency = "Currency", "currency", "^[A-Z]{3}$", "USD";
    Exact = "Decimal", "decimal", "^-?[0-9]+(\\.[0-9]+)?$", "12.5";
    crate::settlements::SettlementCursor = "SettlementCursor", "settlement-cursor", "^[0-9]{4}-[0-9]{2}-[0-9]{2}-[a-z]+$", "2026-10-01-aws";
}

/// In exactly this form, of a year that is known here.
impl Spelled for chrono::NaiveDate {
    const NAME: &'static str = "Date";
    const FORMAT: &'static str = "date";
    const PATTERN: &'static str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
    const EXAMPLE: &'static str = "2026-11-01";

    fn read(text: &str) -> Option<Self> {
        dates::day(text)
    }
}

/// Of a year that is known here.
impl Spelled for costlens_domain::aws::Month {
    const NAME: &'static str = "Month";
    const FORMAT: &'static str = "month";
    const PATTERN: &'static str = "^[0-9]{4}-[0-9]{2}$";
    const EXAMPLE: &'static str = "2026-10";

    fn read(text: &str) -> Option<Self> {
        dates::day(&format!("{text}-01")).map(Self::of)
    }
}

/// An exact number that is no amount of dollars: an amount of another currency, a share, a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact(pub rust_decimal::Decimal);

impl Display for Exact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl FromStr for Exact {
    type Err = costlens_domain::money::MoneyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        costlens_domain::money::parse_decimal(text).map(Self)
    }
}

impl<T: Spelled> Type for Wire<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let mut schema = MetaSchema::new_with_format("string", T::FORMAT);
        schema.pattern = Some(T::PATTERN.to_owned());
        schema.example = Some(Value::from(T::EXAMPLE));
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T: Spelled> ParseFromJSON for Wire<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Self::parse_from_parameter(&text),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl<T: Spelled> ParseFromParameter for Wire<T> {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        T::read(text).map(Self).ok_or_else(|| ParseError::custom(format!("not a valid {}", T::NAME)))
    }
}

impl<T: Spelled> ToJSON for Wire<T> {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
}
