//! What the links in mails do. No session: a token that only the mail's addressee has is the credential, and it can do
//! no more than its link says.
//!
//! Nothing here happens by GET: programs that look at mails follow links.

use std::sync::Arc;

use costlens_domain::audit::Action;
use costlens_domain::{ProblemCode, RecipientId, TenantId};
use costlens_notify::Kind;
use costlens_store::{ErasureState, MessageTarget, StopReason, StoreError};
use costlens_vault::{LinkPurpose, read_link_token};
use poem_openapi::param::Query;
use poem_openapi::payload::{Binary, Form, Json};
use poem_openapi::{ApiRequest, ApiResponse, Object, OpenApi};
use serde_json::json;
use uuid::Uuid;

use crate::audit::By;
use crate::error::ApiError;
use crate::recipients::LINK_LIFE;
use crate::{ApiParts, Tag};

/// A link's token.
#[derive(Object)]
pub struct LinkToken {
    /// What stands behind `#t=` in the link.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub token: String,
}

/// What a mail program sends at one click (RFC 8058, section 3.1).
#[derive(Object, serde::Deserialize)]
pub struct OneClick {
    /// `One-Click`.
    #[serde(default, rename = "List-Unsubscribe")]
    #[oai(default, skip_serializing_if_is_none, rename = "List-Unsubscribe")]
    pub list_unsubscribe: Option<String>,
}

/// Either of the two, or whatever else a mail program sends.
#[derive(ApiRequest)]
pub enum UnsubscribeBody {
    /// The console's page.
    Page(Json<LinkToken>),
    /// A mail program; the token is in the query.
    MailProgram(Form<OneClick>),
    /// A mail program with a body in parts; the token is in the query.
    Other(Binary<Vec<u8>>),
}

/// What an address agreed to.
#[derive(Object)]
pub struct Confirmed {
    /// The account that tells it.
    pub tenant_name: String,
    /// Whether the weekly digest comes.
    pub digest: bool,
    /// Whether alerts come.
    pub alerts: bool,
}

/// Nothing more comes.
#[derive(ApiResponse)]
pub enum Unsubscribed {
    /// Nothing more goes to this address.
    #[oai(status = 204)]
    Unsubscribed,
}

/// The account stays.
#[derive(ApiResponse)]
pub enum AccountKept {
    /// The account is open, and everything works again.
    #[oai(status = 204)]
    Kept,
}

pub(crate) struct LinksApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Links")]
impl LinksApi {
    /// Agree to be told
    ///
    /// For the addressee of a question. Agreeing again changes nothing; the link works for seven days.
    #[oai(path = "/recipients/confirm", method = "post", operation_id = "confirm_recipient")]
    async fn confirm(
        &self,
        request: &poem::Request,
        body: Json<LinkToken>,
    ) -> Result<Json<Confirmed>, ApiError> {
        let (tenant, row) = self.read(LinkPurpose::Confirm, &body.0.token)?;
        let id = RecipientId::from(row);
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let account = conn.tenant().await.map_err(or_invalid)?;
        let mut recipient = conn.recipient(id).await.map_err(or_invalid)?;
        if !recipient.is_active() {
            let asked = MessageTarget::Recipient(id);
            let asked = conn.last_message_at(Kind::ConfirmRecipient.as_str(), asked).await?;
            // Whoever said stop is asked anew before it is told again: the link of an older question does not do.
            let stopped = recipient.stopped_at;
            let stale = |asked| now >= asked + LINK_LIFE || stopped.is_some_and(|stopped| asked <= stopped);
            if asked.is_none_or(stale) || account.closing_at.is_some() {
                return Err(invalid());
            }
            recipient = conn.confirm_recipient(id, now).await?;
            let target = (Action::RecipientConfirmed, Some(id.to_string()));
            By::link(request).did(&self.0, &mut conn, target, json!({})).await?;
        }
        conn.commit().await?;
        let (digest, alerts) = (recipient.digest, recipient.alerts);
        Ok(Json(Confirmed { tenant_name: account.name, digest, alerts }))
    }

    /// Be told nothing more
    ///
    /// For the addressee of any mail: the console's page sends the token as JSON, a mail program posts a form at one
    /// click with the token in the query (RFC 8058). Doing it again changes nothing.
    #[oai(path = "/unsubscribe", method = "post", operation_id = "unsubscribe")]
    async fn unsubscribe(
        &self,
        request: &poem::Request,
        /// The token, where the body does not carry it.
        #[oai(validator(max_length = 200))]
        token: Query<Option<String>>,
        body: UnsubscribeBody,
    ) -> Result<Unsubscribed, ApiError> {
        let token = match body {
            UnsubscribeBody::Page(body) => Some(body.0.token),
            UnsubscribeBody::MailProgram(_) | UnsubscribeBody::Other(_) => token.0,
        };
        let token = token.ok_or_else(|| ApiError::field("token", "is missing"))?;
        let (tenant, row) = self.read(LinkPurpose::Unsubscribe, &token)?;
        let id = RecipientId::from(row);
        let mut conn = self.0.store.tenant(tenant).await?;
        // Whoever was removed is told nothing already.
        match conn.recipient(id).await {
            Ok(recipient) if recipient.stopped_at.is_none() => {
                conn.stop_recipient(id, StopReason::Unsubscribed, self.0.clock.now()).await?;
                let target = (Action::RecipientUnsubscribed, Some(id.to_string()));
                By::link(request).did(&self.0, &mut conn, target, json!({})).await?;
                conn.commit().await?;
            }
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Unsubscribed::Unsubscribed)
    }

    /// Keep an account that is being closed
    ///
    /// For whoever was told of it by mail, until the days of grace are over. Doing it again changes nothing.
    #[oai(path = "/account/keep", method = "post", operation_id = "keep_account")]
    async fn keep(&self, request: &poem::Request, body: Json<LinkToken>) -> Result<AccountKept, ApiError> {
        let (tenant, row) = self.read(LinkPurpose::KeepAccount, &body.0.token)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.tenant().await.map_err(or_invalid)?;
        match conn.closure().await? {
            None => {}
            // A link of an earlier request does nothing to a later one.
            Some(erasure) if erasure.id.uuid() != row => return Err(invalid()),
            Some(erasure) if erasure.state == ErasureState::Grace => {
                crate::closure::cancel(&self.0, &mut conn, By::link(request)).await?;
                conn.commit().await?;
            }
            Some(_) => return Err(crate::closure::too_late()),
        }
        Ok(AccountKept::Kept)
    }
}

impl LinksApi {
    fn read(&self, purpose: LinkPurpose, token: &str) -> Result<(TenantId, Uuid), ApiError> {
        read_link_token(&self.0.keyring, purpose, token).ok_or_else(invalid)
    }
}

fn invalid() -> ApiError {
    ApiError::new(ProblemCode::LinkInvalid, "the link is incomplete, or no longer leads anywhere")
}

/// What a link led to and is gone.
fn or_invalid(error: StoreError) -> ApiError {
    match error {
        StoreError::NotFound => invalid(),
        other => other.into(),
    }
}
