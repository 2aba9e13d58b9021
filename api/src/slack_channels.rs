//! Slack channels. A webhook's URL is a credential: it goes in and never comes out.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::Action;
use costlens_domain::{ProblemCode, SlackChannelId, TenantId};
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::{Kind, SlackUrl, sample};
use costlens_store::{SlackChannel, TenantConn};
use costlens_vault::SealedFor;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag, sealing};

/// The most channels of an account.
const MOST: usize = 20;
/// A test that is older than this says nothing any more.
const USEFUL: TimeDelta = TimeDelta::hours(1);
/// The pause between two tests of a channel, in seconds.
const PAUSE: i64 = 10;

/// A Slack channel, without its URL.
#[derive(Object)]
#[oai(rename = "SlackChannel")]
pub struct SlackChannelView {
    /// The channel.
    pub id: Wire<SlackChannelId>,
    /// What its people call it.
    pub name: String,
    /// Whether the weekly digest goes there.
    pub digest: bool,
    /// Whether alerts go there: budgets, anomalies, bills.
    pub alerts: bool,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// Since when nothing goes there; null while it does. Another URL starts it again.
    #[oai(nullable)]
    pub stopped_at: Option<DateTime<Utc>>,
    /// Why nothing goes there, in words.
    #[oai(nullable)]
    pub stop_reason: Option<String>,
}

impl From<SlackChannel> for SlackChannelView {
    fn from(channel: SlackChannel) -> Self {
        Self {
            id: Wire(channel.id),
            name: channel.name,
            digest: channel.digest,
            alerts: channel.alerts,
            created_at: channel.created_at,
            stopped_at: channel.stopped_at,
            stop_reason: channel.stop_reason,
        }
    }
}

/// All Slack channels.
#[derive(Object)]
pub struct SlackChannels {
    /// The channels, oldest first.
    pub items: Vec<SlackChannelView>,
}

/// A Slack channel to be added.
#[derive(Object)]
pub struct CreateSlackChannel {
    /// What its people call it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// The incoming webhook's URL, `https://hooks.slack.com/services/…`. It is sealed before it is stored and never
    /// given out again.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub url: String,
    /// Whether the weekly digest is to go there.
    #[oai(default = "yes")]
    pub digest: bool,
    /// Whether alerts are to go there.
    #[oai(default = "yes")]
    pub alerts: bool,
}

/// What is to change of a Slack channel. What is absent stays.
#[derive(Object)]
pub struct UpdateSlackChannel {
    /// Another incoming webhook's URL. It starts a stopped channel again.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 500))]
    pub url: Option<String>,
    /// Whether the weekly digest is to go there.
    #[oai(default, skip_serializing_if_is_none)]
    pub digest: Option<bool>,
    /// Whether alerts are to go there.
    #[oai(default, skip_serializing_if_is_none)]
    pub alerts: Option<bool>,
}

/// A Slack channel was added.
#[derive(ApiResponse)]
pub enum SlackChannelCreated {
    /// The channel.
    #[oai(status = 201)]
    Created(Json<SlackChannelView>),
}

/// A Slack channel was removed.
#[derive(ApiResponse)]
pub enum SlackChannelDeleted {
    /// Nothing goes there any more.
    #[oai(status = 204)]
    Deleted,
}

/// A test is on its way.
#[derive(ApiResponse)]
pub enum SlackChannelTested {
    /// It is on its way; the list of messages tells how it fares.
    #[oai(status = 202)]
    Sent,
}

pub(crate) struct SlackChannelsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Notifications")]
impl SlackChannelsApi {
    /// List Slack channels
    #[oai(path = "/slack-channels", method = "get", operation_id = "list_slack_channels")]
    async fn list(&self, caller: Caller) -> Result<Json<SlackChannels>, ApiError> {
        let tenant = caller.require(Permission::NotificationsRead)?;
        let channels = self.0.store.tenant(tenant).await?.list_slack_channels().await?;
        Ok(Json(SlackChannels { items: channels.into_iter().map(Into::into).collect() }))
    }

    /// Add a Slack channel
    ///
    /// By an incoming webhook's URL, made in Slack. At most 20 for an account.
    #[oai(path = "/slack-channels", method = "post", operation_id = "create_slack_channel")]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateSlackChannel>,
    ) -> Result<SlackChannelCreated, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let name = crate::named(&body.0.name)?;
        let url = self.url(&body.0.url)?;
        let now = self.0.clock.now();
        sealing::ready(&self.0, tenant).await?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = idempotency_key.0.as_ref();
        let claim =
            match idempotent::claim((&mut conn, &self.0.keyring), "create_slack_channel", key, &body.0, now)
                .await?
            {
                Claimed::First(claim) => claim,
                Claimed::Again(json) => {
                    return Ok(SlackChannelCreated::Created(Json(idempotent::again(&json)?)));
                }
            };
        conn.lock_count("slack_channels").await?;
        if conn.list_slack_channels().await?.len() >= MOST {
            let detail = format!("an account has at most {MOST} Slack channels; remove one first");
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        let id = SlackChannelId::new(now, self.0.entropy.for_id());
        let sealed = self.seal(&mut conn, (tenant, id), &url, now).await?;
        let wishes = (body.0.digest, body.0.alerts);
        let made = conn.create_slack_channel(id, name, &sealed, wishes, now).await?;
        // Without a calendar no digest is ever due.
        conn.settings_or_initial(now).await?;
        let change = json!({ "name": made.name, "digest": made.digest, "alerts": made.alerts });
        let target = (Action::SlackChannelCreated, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        let view = SlackChannelView::from(made);
        claim.finish(&mut conn, &view).await?;
        conn.commit().await?;
        Ok(SlackChannelCreated::Created(Json(view)))
    }

    /// Change a Slack channel
    #[oai(path = "/slack-channels/:id", method = "patch", operation_id = "update_slack_channel")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Wire<SlackChannelId>>,
        body: Json<UpdateSlackChannel>,
    ) -> Result<Json<SlackChannelView>, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let id = id.0.0;
        let now = self.0.clock.now();
        sealing::ready(&self.0, tenant).await?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let old = conn.slack_channel(id).await?;
        let sealed = match &body.0.url {
            Some(url) => Some(self.seal(&mut conn, (tenant, id), &self.url(url)?, now).await?),
            None => None,
        };
        let wishes = (body.0.digest.unwrap_or(old.digest), body.0.alerts.unwrap_or(old.alerts));
        let new = conn.update_slack_channel(id, wishes, sealed.as_deref()).await?;
        conn.settings_or_initial(now).await?;
        let change = json!({ "digest": new.digest, "alerts": new.alerts, "another_url": sealed.is_some() });
        let target = (Action::SlackChannelUpdated, Some(id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        conn.commit().await?;
        Ok(Json(new.into()))
    }

    /// Remove a Slack channel
    #[oai(path = "/slack-channels/:id", method = "delete", operation_id = "delete_slack_channel")]
    async fn delete(
        &self,
        caller: Caller,
        id: Path<Wire<SlackChannelId>>,
    ) -> Result<SlackChannelDeleted, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.delete_slack_channel(id.0.0).await?;
        let target = (Action::SlackChannelDeleted, Some(id.0.0.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
        conn.commit().await?;
        Ok(SlackChannelDeleted::Deleted)
    }

    /// Send a test to a Slack channel
    ///
    /// A weekly digest of made-up figures that says so. At most once in ten seconds.
    #[oai(path = "/slack-channels/:id/test", method = "post", operation_id = "test_slack_channel")]
    async fn test(
        &self,
        caller: Caller,
        id: Path<Wire<SlackChannelId>>,
    ) -> Result<SlackChannelTested, ApiError> {
        let tenant = caller.require(Permission::NotificationsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let channel = conn.slack_channel(id.0.0).await?;
        if channel.stopped_at.is_some() {
            let detail = "nothing goes to this channel; give it another URL first";
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        let now = self.0.clock.now();
        let mut figures = crate::figures(&sample(Kind::WeeklyDigest))?;
        if let Some(figures) = figures.as_object_mut() {
            let name = conn.tenant().await?.name;
            let name: String = name.chars().take(20).collect();
            figures.insert("tenant".to_owned(), format!("TEST with made-up figures for {name}").into());
        }
        let telling = Telling {
            about: &format!("test:{}", now.timestamp() / PAUSE),
            kind: Kind::WeeklyDigest.as_str(),
            figures,
            audience: Audience::OnlyChannel(channel.id),
            at: now,
            expires_at: now + USEFUL,
        };
        if tell(&mut conn, &telling, &*self.0.entropy).await? == 0 {
            let detail = "a test is on its way; wait some seconds before sending another";
            return Err(ApiError::new(ProblemCode::TooManyRequests, detail));
        }
        let target = (Action::SlackChannelTested, Some(channel.id.to_string()));
        caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
        conn.commit().await?;
        Ok(SlackChannelTested::Sent)
    }
}

impl SlackChannelsApi {
    fn url(&self, text: &str) -> Result<SlackUrl, ApiError> {
        SlackUrl::parse(text, &self.0.egress_policy).map_err(|refused| crate::refused("url", &refused))
    }

    async fn seal(
        &self,
        conn: &mut TenantConn,
        (tenant, id): (TenantId, SlackChannelId),
        url: &SlackUrl,
        now: DateTime<Utc>,
    ) -> Result<Vec<u8>, ApiError> {
        let place = SealedFor { tenant, table: "slack_channel", column: "sealed_url", row: id.uuid() };
        sealing::seal(&self.0, conn, &place, &url.reveal(), now).await
    }
}

const fn yes() -> bool {
    true
}
