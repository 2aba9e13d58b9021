//! Whom a tenant tells: people by e-mail, and Slack channels. A Slack URL is a credential and gets here sealed.

use chrono::{DateTime, Utc};
use costlens_domain::{RecipientId, SlackChannelId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::schema::{recipient, slack_channel};
use crate::{StoreError, TenantConn};

/// A person who is told by e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Its id.
    pub id: RecipientId,
    /// Where mail goes; unique in the tenant but for case.
    pub email: String,
    /// Whether the weekly digest goes there.
    pub digest: bool,
    /// Whether alerts go there.
    pub alerts: bool,
    /// When somebody of the tenant added it.
    pub created_at: DateTime<Utc>,
    /// When the addressee agreed. Nothing but the question goes there before.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Since when nothing goes there.
    pub stopped_at: Option<DateTime<Utc>>,
    /// Why: `unsubscribed` or `bounced`.
    pub stop_reason: Option<String>,
}

impl Recipient {
    /// Whether mail may go there.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.confirmed_at.is_some() && self.stopped_at.is_none()
    }
}

/// A Slack channel, by its incoming webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they mean what they mean for a recipient")]
pub struct SlackChannel {
    pub id: SlackChannelId,
    /// What its people call it.
    pub name: String,
    /// The webhook's URL, sealed.
    pub sealed_url: Vec<u8>,
    pub digest: bool,
    pub alerts: bool,
    pub created_at: DateTime<Utc>,
    pub stopped_at: Option<DateTime<Utc>>,
    pub stop_reason: Option<String>,
}

/// Why nothing more goes to a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The addressee asked for it.
    Unsubscribed,
    /// The address does not take mail.
    Bounced,
}

impl StopReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::Bounced => "bounced",
        }
    }
}

impl TenantConn {
    /// Adds a recipient, not yet confirmed. A conflict on `recipient_email` means that it is one already.
    pub async fn create_recipient(
        &mut self,
        id: RecipientId,
        email: &str,
        (digest, alerts): (bool, bool),
        at: DateTime<Utc>,
    ) -> Result<Recipient, StoreError> {
        let row: RecipientRow = diesel::insert_into(recipient::table)
            .values((
                recipient::tenant_id.eq(self.tenant_id().uuid()),
                recipient::id.eq(id.uuid()),
                recipient::email.eq(email),
                recipient::digest.eq(digest),
                recipient::alerts.eq(alerts),
                recipient::created_at.eq(at),
            ))
            .returning(RecipientRow::as_returning())
            .get_result(self.conn()?)
            .await?;
        Ok(row.into())
    }

    /// All recipients, oldest first; a tenant has a few dozen at most.
    pub async fn list_recipients(&mut self) -> Result<Vec<Recipient>, StoreError> {
        let rows: Vec<RecipientRow> = recipient::table
            .filter(recipient::tenant_id.eq(self.tenant_id().uuid()))
            .order(recipient::id)
            .select(RecipientRow::as_select())
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(Recipient::from).collect())
    }

    /// One recipient.
    pub async fn recipient(&mut self, id: RecipientId) -> Result<Recipient, StoreError> {
        let row = recipient::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: RecipientRow = row.select(RecipientRow::as_select()).first(self.conn()?).await?;
        Ok(row.into())
    }

    /// Changes what a recipient is told.
    pub async fn set_recipient_wishes(
        &mut self,
        id: RecipientId,
        (digest, alerts): (bool, bool),
    ) -> Result<Recipient, StoreError> {
        let row = recipient::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: RecipientRow = diesel::update(row)
            .set((recipient::digest.eq(digest), recipient::alerts.eq(alerts)))
            .returning(RecipientRow::as_returning())
            .get_result(self.conn()?)
            .await?;
        Ok(row.into())
    }

    /// The addressee agrees, also one who had stopped it. Doing it again changes nothing.
    pub async fn confirm_recipient(
        &mut self,
        id: RecipientId,
        at: DateTime<Utc>,
    ) -> Result<Recipient, StoreError> {
        let row = recipient::table.find((self.tenant_id().uuid(), id.uuid()));
        diesel::update(row.filter(recipient::confirmed_at.is_null().or(recipient::stopped_at.is_not_null())))
            .set((
                recipient::confirmed_at.eq(at),
                recipient::stopped_at.eq(None::<DateTime<Utc>>),
                recipient::stop_reason.eq(None::<String>),
            ))
            .execute(self.conn()?)
            .await?;
        self.recipient(id).await
    }

    /// Nothing goes there any more. Doing it again keeps the first reason.
    pub async fn stop_recipient(
        &mut self,
        id: RecipientId,
        reason: StopReason,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let row = recipient::table.find((self.tenant_id().uuid(), id.uuid()));
        diesel::update(row.filter(recipient::stopped_at.is_null()))
            .set((recipient::stopped_at.eq(at), recipient::stop_reason.eq(reason.as_str())))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Removes a recipient.
    pub async fn delete_recipient(&mut self, id: RecipientId) -> Result<(), StoreError> {
        let row = recipient::table.find((self.tenant_id().uuid(), id.uuid()));
        let gone = diesel::delete(row).execute(self.conn()?).await?;
        if gone == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// Adds a Slack channel.
    pub async fn create_slack_channel(
        &mut self,
        id: SlackChannelId,
        name: &str,
        sealed_url: &[u8],
        (digest, alerts): (bool, bool),
        at: DateTime<Utc>,
    ) -> Result<SlackChannel, StoreError> {
        let row: SlackRow = diesel::insert_into(slack_channel::table)
            .values((
                slack_channel::tenant_id.eq(self.tenant_id().uuid()),
                slack_channel::id.eq(id.uuid()),
                slack_channel::name.eq(name),
                slack_channel::sealed_url.eq(sealed_url),
                slack_channel::digest.eq(digest),
                slack_channel::alerts.eq(alerts),
                slack_channel::created_at.eq(at),
            ))
            .returning(SlackRow::as_returning())
            .get_result(self.conn()?)
            .await?;
        Ok(row.into())
    }

    /// All Slack channels, oldest first.
    pub async fn list_slack_channels(&mut self) -> Result<Vec<SlackChannel>, StoreError> {
        let rows: Vec<SlackRow> = slack_channel::table
            .filter(slack_channel::tenant_id.eq(self.tenant_id().uuid()))
            .order(slack_channel::id)
            .select(SlackRow::as_select())
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(SlackChannel::from).collect())
    }

    /// One Slack channel.
    pub async fn slack_channel(&mut self, id: SlackChannelId) -> Result<SlackChannel, StoreError> {
        let row = slack_channel::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: SlackRow = row.select(SlackRow::as_select()).first(self.conn()?).await?;
        Ok(row.into())
    }

    /// Changes what a Slack channel is told, and, where one is given, puts another URL in the old one's place, which
    /// also starts a stopped channel again.
    pub async fn update_slack_channel(
        &mut self,
        id: SlackChannelId,
        (digest, alerts): (bool, bool),
        sealed_url: Option<&[u8]>,
    ) -> Result<SlackChannel, StoreError> {
        let row = slack_channel::table.find((self.tenant_id().uuid(), id.uuid()));
        diesel::update(row)
            .set((slack_channel::digest.eq(digest), slack_channel::alerts.eq(alerts)))
            .execute(self.conn()?)
            .await?;
        if let Some(url) = sealed_url {
            diesel::update(row)
                .set((
                    slack_channel::sealed_url.eq(url),
                    slack_channel::stopped_at.eq(None::<DateTime<Utc>>),
                    slack_channel::stop_reason.eq(None::<String>),
                ))
                .execute(self.conn()?)
                .await?;
        }
        self.slack_channel(id).await
    }

    /// Nothing goes to the channel until it gets another URL. True where it was not stopped before.
    pub async fn stop_slack_channel(
        &mut self,
        id: SlackChannelId,
        reason: &str,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = slack_channel::table.find((self.tenant_id().uuid(), id.uuid()));
        let stopped = diesel::update(row.filter(slack_channel::stopped_at.is_null()))
            .set((slack_channel::stopped_at.eq(at), slack_channel::stop_reason.eq(reason)))
            .execute(self.conn()?)
            .await?;
        Ok(stopped > 0)
    }

    /// Removes a Slack channel.
    pub async fn delete_slack_channel(&mut self, id: SlackChannelId) -> Result<(), StoreError> {
        let row = slack_channel::table.find((self.tenant_id().uuid(), id.uuid()));
        let gone = diesel::delete(row).execute(self.conn()?).await?;
        if gone == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = recipient)]
struct RecipientRow {
    id: Uuid,
    email: String,
    digest: bool,
    alerts: bool,
    created_at: DateTime<Utc>,
    confirmed_at: Option<DateTime<Utc>>,
    stopped_at: Option<DateTime<Utc>>,
    stop_reason: Option<String>,
}

impl From<RecipientRow> for Recipient {
    fn from(row: RecipientRow) -> Self {
        let RecipientRow { id, email, digest, alerts, created_at, confirmed_at, stopped_at, stop_reason } =
            row;
        Self { id: id.into(), email, digest, alerts, created_at, confirmed_at, stopped_at, stop_reason }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = slack_channel)]
struct SlackRow {
    id: Uuid,
    name: String,
    sealed_url: Vec<u8>,
    digest: bool,
    alerts: bool,
    created_at: DateTime<Utc>,
    stopped_at: Option<DateTime<Utc>>,
    stop_reason: Option<String>,
}

impl From<SlackRow> for SlackChannel {
    fn from(row: SlackRow) -> Self {
        let SlackRow { id, name, sealed_url, digest, alerts, created_at, stopped_at, stop_reason } = row;
        Self { id: id.into(), name, sealed_url, digest, alerts, created_at, stopped_at, stop_reason }
    }
}
