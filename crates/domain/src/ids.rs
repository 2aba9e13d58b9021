//! Typed identifiers: a `TenantId` can never stand where a `BillId` is wanted.
//!
//! Each is a UUIDv7 (RFC 9562, section 5.7) shown as `<prefix>_<32 hex digits>`. The time inside is used:
//! a request's day partition is taken from its id, so that a replayed insert finds the row it wrote before.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// Why a text is no identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix names another kind of thing, or is missing.
    #[error("expected an id that begins with {expected}_")]
    Prefix {
        /// The prefix that this kind of id carries, without the underscore.
        expected: &'static str,
    },
    /// What follows the prefix is not 32 hexadecimal digits.
    #[error("the part after the prefix is not 32 hexadecimal digits")]
    Digits,
}

/// A UUIDv7 from a time and 10 random bytes (74 of the 80 bits are used).
#[must_use]
pub fn uuid_v7(at: DateTime<Utc>, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// The time a UUIDv7 carries; `None` for any other version.
#[must_use]
pub fn uuid_v7_time(id: Uuid) -> Option<DateTime<Utc>> {
    if id.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What the shown form begins with, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id of the given time.
            #[must_use]
            pub fn new(at: DateTime<Utc>, random: [u8; 10]) -> Self {
                Self(uuid_v7(at, random))
            }

            /// The bare UUID, for the database.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// When the id was made; `None` if it is not a UUIDv7.
            #[must_use]
            pub fn time(self) -> Option<DateTime<Utc>> {
                uuid_v7_time(self.0)
            }

            /// The UTC day the id was made on; `None` if it is not a UUIDv7.
            #[must_use]
            pub fn day(self) -> Option<NaiveDate> {
                self.time().map(|at| at.date_naive())
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text
                    .strip_prefix(concat!($prefix, "_"))
                    .ok_or(IdError::Prefix { expected: $prefix })?;
                if digits.len() != 32 {
                    return Err(IdError::Digits);
                }
                Uuid::try_parse(digits).map(Self).map_err(|_| IdError::Digits)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

typed_ids! {
    /// A customer organisation.
    TenantId = "ten";
    /// A tenant's API key (the record, not the secret, which begins with `acl_`).
    ApiKeyId = "key";
    /// A tenant's link to a provider.
    ConnectionId = "con";
    /// One proxied call; also the spool's event id and the key that makes its row unique.
    RequestId = "req";
    /// An ingested report.
    BillId = "bil";
    /// A bill's file on its way to become a bill.
    BillUploadId = "upl";
    /// A tenant's link to an AWS account.
    AwsConnectionId = "awc";
    /// One version of a month's bill, as AWS delivered it.
    BillDeliveryId = "dlv";
    /// A tenant's way to a vendor's own cost reports.
    InvoiceSourceId = "ivs";
    /// A file of calls or hours that was asked for.
    ExportId = "exp";
    /// A signed-in browser.
    SessionId = "ses";
    /// A person whom a tenant tells by e-mail.
    RecipientId = "rcp";
    /// A tenant's Slack channel.
    SlackChannelId = "slk";
    /// A program that a tenant tells by webhooks.
    WebhookEndpointId = "whk";
    /// What goes to one person or channel, once.
    MessageId = "msg";
    /// What happened, as webhooks tell it; the `webhook-id` of each delivery.
    EventId = "evt";
    /// A sum that spending is held against.
    BudgetId = "bud";
    /// What a tenant's people say of lines that may be AI.
    CandidateRuleId = "cdr";
    /// An hour whose cost its own past does not explain.
    AnomalyId = "ano";
    /// Something that happened by the facts of bills and calls.
    InsightEventId = "ins";
    /// Something that could be saved.
    RecommendationId = "rec";
    /// The end of an account, and all that is left of it afterwards.
    ErasureId = "era";
    /// What was done, by whom and when.
    AuditEventId = "aud";
    /// A tenant's leave for the operator to read prompts and answers.
    SupportGrantId = "sup";
    /// A person.
    UserId = "usr";
    /// Somebody asked to become a member.
    InvitationId = "inv";
    /// A link in a mail to a person.
    UserLinkId = "ulk";
    /// A price document that a person must look at.
    PriceReviewId = "prv";
    /// An operator's wish to price calls anew.
    PriceCorrectionId = "pcr";
    /// One walk over a tenant's calls that prices them later or anew.
    RepricingId = "rpc";
    /// A tenant's own identity provider.
    SsoProviderId = "idp";
    /// A domain of e-mail addresses that a tenant says is its own.
    SsoDomainId = "dom";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap_or_default()
    }

    #[test]
    fn an_id_reads_back_as_it_was_shown() {
        let id = TenantId::new(at(1_763_800_000_123), [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with("ten_"));
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = TenantId::new(at(0), [0; 10]).to_string();
        assert_eq!(id.parse::<BillId>(), Err(IdError::Prefix { expected: "bil" }));
        assert_eq!("bil_12".parse::<BillId>(), Err(IdError::Digits));
        assert_eq!("bil_zz00000000000000000000000000000z".parse::<BillId>(), Err(IdError::Digits));
    }

    #[test]
    fn the_day_comes_from_the_id_itself() {
        let last_milli = RequestId::new(at(1_767_225_599_999), [0xff; 10]);
        assert_eq!(last_milli.day(), NaiveDate::from_ymd_opt(2025, 12, 31));
        let next = RequestId::new(at(1_767_225_600_000), [0; 10]);
        assert_eq!(next.day(), NaiveDate::from_ymd_opt(2026, 1, 1));
    }
}
