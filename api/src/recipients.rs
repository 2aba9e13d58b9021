//! The people who are told by e-mail. Nobody is told anything before saying yes, but for the question itself.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::Action;
use costlens_domain::{ProblemCode, RecipientId};
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::Kind;
use costlens_notify::mail::is_address;
use costlens_notify::words::ConfirmRecipient;
use costlens_store::{MessageTarget, Recipient, TenantConn};
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// The most recipients of an account.
const MOST: usize = 50;
/// How many questions for consent an account may send in a day.
const MOST_QUESTIONS: u64 = 100;
/// The pause between two questions to the same address.
const PAUSE: TimeDelta = TimeDelta::minutes(10);
/// How long a question's link works.
pub(crate) const LINK_LIFE: TimeDelta = TimeDelta::days(7);

/// Why nothing more goes to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "RecipientStopReason", rename_all = "snake_case")]
pub enum StopReasonView {
    /// The addressee asked for it. The link of a new question takes it back.
    Unsubscribed,
    /// The address does not take mail.
    Bounced,
}

/// A person who is told by e-mail.
#[derive(Object)]
#[oai(rename = "Recipient")]
pub struct RecipientView {
    /// The recipient.
    pub id: Wire<RecipientId>,
    /// Where mail goes.
    pub email: String,
    /// Whether the weekly digest goes there.
    pub digest: bool,
    /// Whether alerts go there: budgets, anomalies, bills.
    pub alerts: bool,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When the addressee said yes; null while nothing but the question goes there.
    #[oai(nullable)]
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Since when nothing goes there; null while it does.
    #[oai(nullable)]
    pub stopped_at: Option<DateTime<Utc>>,
    /// Why nothing goes there.
    #[oai(nullable)]
    pub stop_reason: Option<StopReasonView>,
}

impl From<Recipient> for RecipientView {
    fn from(recipient: Recipient) -> Self {
        let reason = match recipient.stop_reason.as_deref() {
            Some("bounced") => Some(StopReasonView::Bounced),
            Some(_) => Some(StopReasonView::Unsubscribed),
            None => None,
        };
        Self {
            id: Wire(recipient.id),
            email: recipient.email,
            digest: recipient.digest,
            alerts: recipient.alerts,
            created_at: recipient.created_at,
            confirmed_at: recipient.confirmed_at,
            stopped_at: recipient.stopped_at,
            stop_reason: reason,
        }
    }
}

/// Everybody who is told by e-mail.
#[derive(Object)]
pub struct Recipients {
    /// The recipients, oldest first.
    pub items: Vec<RecipientView>,
    /// Whether this service has a mail server. Without one, messages wait for some hours and then fail.
    pub mail_configured: bool,
}

/// A recipient to be added.
#[derive(Object)]
pub struct CreateRecipient {
    /// Where mail is to go.
    #[oai(validator(min_length = 3, max_length = 254))]
    pub email: String,
    /// Whether the weekly digest is to go there.
    #[oai(default = "yes")]
    pub digest: bool,
    /// Whether alerts are to go there.
    #[oai(default = "yes")]
    pub alerts: bool,
}

/// What a recipient is to be told. What is absent stays.
#[derive(Object)]
pub struct UpdateRecipient {
    /// Whether the weekly digest is to go there.
    #[oai(default, skip_serializing_if_is_none)]
    pub digest: Option<bool>,
    /// Whether alerts are to go there.
    #[oai(default, skip_serializing_if_is_none)]
    pub alerts: Option<bool>,
}

/// A recipient was added.
#[derive(ApiResponse)]
pub enum RecipientCreated {
    /// The recipient; a mail on its way asks whether it wants this.
    #[oai(status = 201)]
    Created(Json<RecipientView>),
}

/// A recipient was removed.
#[derive(ApiResponse)]
pub enum RecipientDeleted {
    /// Nothing goes there any more.
    #[oai(status = 204)]
    Deleted,
}

/// The question goes out again.
#[derive(ApiResponse)]
pub enum ConfirmationSent {
    /// It is on its way; the list of messages tells how it fares.
    #[oai(status = 202)]
    Asked,
}

pub(crate) struct RecipientsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Notifications")]
impl RecipientsApi {
    /// List who is told by e-mail
    #[oai(path = "/recipients", method = "get", operation_id = "list_recipients")]
    async fn list(&self, caller: Caller) -> Result<Json<Recipients>, ApiError> {
        let tenant = caller.require(Permission::NotificationsRead)?;
        let recipients = self.0.store.tenant(tenant).await?.list_recipients().await?;
        let items = recipients.into_iter().map(Into::into).collect();
        Ok(Json(Recipients { items, mail_configured: self.0.mail_configured }))
    }

    /// Add somebody to be told by e-mail
    ///
    /// The address is asked first, by a mail with a link that works for seven days; nothing else goes there before it
    /// says yes. At most 50 for an account.
    #[oai(path = "/recipients", method = "post", operation_id = "create_recipient")]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateRecipient>,
    ) -> Result<RecipientCreated, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        if !is_address(&body.0.email) {
            return Err(ApiError::field("email", "is not an e-mail address such as someone@example.com"));
        }
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = idempotency_key.0.as_ref();
        let claim =
            match idempotent::claim((&mut conn, &self.0.keyring), "create_recipient", key, &body.0, now)
                .await?
            {
                Claimed::First(claim) => claim,
                Claimed::Again(json) => {
                    return Ok(RecipientCreated::Created(Json(idempotent::again(&json)?)));
                }
            };
        conn.lock_count("recipients").await?;
        if conn.list_recipients().await?.len() >= MOST {
            let detail = format!("an account has at most {MOST} recipients; remove one first");
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        let id = RecipientId::new(now, self.0.entropy.for_id());
        let wishes = (body.0.digest, body.0.alerts);
        let made = conn.create_recipient(id, &body.0.email, wishes, now).await?;
        self.ask(&mut conn, &made, now).await?;
        let change = json!({ "digest": made.digest, "alerts": made.alerts });
        let target = (Action::RecipientCreated, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        let view = RecipientView::from(made);
        claim.finish(&mut conn, &view).await?;
        conn.commit().await?;
        Ok(RecipientCreated::Created(Json(view)))
    }

    /// Change what somebody is told
    #[oai(path = "/recipients/:id", method = "patch", operation_id = "update_recipient")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Wire<RecipientId>>,
        body: Json<UpdateRecipient>,
    ) -> Result<Json<RecipientView>, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let id = id.0.0;
        let mut conn = self.0.store.tenant(tenant).await?;
        let old = conn.recipient(id).await?;
        let wishes = (body.0.digest.unwrap_or(old.digest), body.0.alerts.unwrap_or(old.alerts));
        let new = conn.set_recipient_wishes(id, wishes).await?;
        let change = json!({ "digest": new.digest, "alerts": new.alerts });
        let target = (Action::RecipientUpdated, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        conn.commit().await?;
        Ok(Json(new.into()))
    }

    /// Remove somebody who is told by e-mail
    #[oai(path = "/recipients/:id", method = "delete", operation_id = "delete_recipient")]
    async fn delete(
        &self,
        caller: Caller,
        id: Path<Wire<RecipientId>>,
    ) -> Result<RecipientDeleted, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.delete_recipient(id.0.0).await?;
        let target = (Action::RecipientDeleted, Some(id.0.0.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
        conn.commit().await?;
        Ok(RecipientDeleted::Deleted)
    }

    /// Ask an address again whether it wants this
    ///
    /// At most once in ten minutes. Also asks whoever had unsubscribed; somebody who is told already is not asked.
    #[oai(path = "/recipients/:id/confirmation", method = "post", operation_id = "resend_confirmation")]
    async fn resend(
        &self,
        caller: Caller,
        id: Path<Wire<RecipientId>>,
    ) -> Result<ConfirmationSent, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let recipient = conn.recipient(id.0.0).await?;
        if recipient.is_active() {
            return Err(ApiError::new(ProblemCode::Conflict, "this address has said yes already"));
        }
        self.ask(&mut conn, &recipient, self.0.clock.now()).await?;
        let target = (Action::RecipientAsked, Some(recipient.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
        conn.commit().await?;
        Ok(ConfirmationSent::Asked)
    }
}

impl RecipientsApi {
    /// Puts the question on its way. The link is made where it is sent: no row holds it.
    async fn ask(&self, conn: &mut TenantConn, to: &Recipient, now: DateTime<Utc>) -> Result<(), ApiError> {
        let too_soon = || {
            let detail = "this address was asked less than ten minutes ago; wait before asking again";
            ApiError::new(ProblemCode::TooManyRequests, detail)
        };
        let kind = Kind::ConfirmRecipient.as_str();
        conn.lock_count("questions").await?;
        let last = conn.last_message_at(kind, MessageTarget::Recipient(to.id)).await?;
        if last.is_some_and(|last| now < last + PAUSE) {
            return Err(too_soon());
        }
        // Counted by what was written, so that taking an address away and adding it again is no way around it.
        if conn.count_messages(kind, now - TimeDelta::days(1)).await? >= MOST_QUESTIONS {
            let detail = "this account has asked too many addresses today; try again tomorrow";
            return Err(ApiError::new(ProblemCode::TooManyRequests, detail));
        }
        let settings = conn.settings_or_initial(now).await?;
        let expires = now + LINK_LIFE;
        let subscription = match (to.digest, to.alerts) {
            (true, true) => "the weekly digest and alerts",
            (true, false) => "the weekly digest",
            (false, true) => "alerts",
            (false, false) => "notifications",
        };
        let figures = ConfirmRecipient {
            tenant: conn.tenant().await?.name,
            subscription: subscription.to_owned(),
            confirm: self.0.link("/confirm")?,
            expires,
            zone: settings.zone,
        };
        let telling = Telling {
            // Of two who ask at once, one does.
            about: &format!("confirm:{}", now.timestamp() / PAUSE.num_seconds()),
            kind,
            figures: crate::figures(&figures)?,
            audience: Audience::Only(to.id),
            at: now,
            expires_at: expires,
        };
        if tell(conn, &telling, &*self.0.entropy).await? == 0 { Err(too_soon()) } else { Ok(()) }
    }
}

const fn yes() -> bool {
    true
}
