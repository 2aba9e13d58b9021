//! What went to people, how it fared, and how each kind of message looks.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::{MessageId, ProblemCode, RecipientId, SlackChannelId};
use costlens_notify::{Kind, preview};
use costlens_store::{Message, MessageState, MessageTarget};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::Value;

use crate::error::ApiError;
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "MessageState", rename_all = "snake_case", remote = "MessageState")]
pub enum MessageStateView {
    /// Nothing has gone out.
    Queued,
    /// It goes out, or whoever sent it died meanwhile.
    Sending,
    /// The other side took it.
    Sent,
    /// It may have arrived, and is not sent again.
    Unknown,
    /// The other side refused it for good.
    Refused,
    /// It was no longer wanted there.
    Suppressed,
    /// It came too late to be of use.
    Expired,
}

/// A message, without what it says.
#[derive(Object)]
#[oai(rename = "Message")]
pub struct MessageView {
    /// The message.
    pub id: Wire<MessageId>,
    /// What kind of message it is.
    pub kind: String,
    /// To whom it goes by mail; null for a Slack message.
    #[oai(nullable)]
    pub recipient_id: Option<Wire<RecipientId>>,
    /// To which Slack channel it goes; null for a mail.
    #[oai(nullable)]
    pub slack_channel_id: Option<Wire<SlackChannelId>>,
    /// How far it is.
    pub state: MessageStateView,
    /// How often it began to go out.
    pub attempts: u32,
    /// What went wrong, in words; null where nothing did.
    #[oai(nullable)]
    pub problem: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// From when it is of no more use.
    pub expires_at: DateTime<Utc>,
    /// When its fate was known.
    #[oai(nullable)]
    pub settled_at: Option<DateTime<Utc>>,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        let (recipient, channel) = match message.target {
            MessageTarget::Recipient(id) => (Some(Wire(id)), None),
            MessageTarget::Slack(id) => (None, Some(Wire(id))),
        };
        Self {
            id: Wire(message.id),
            kind: message.kind,
            recipient_id: recipient,
            slack_channel_id: channel,
            state: message.state.into(),
            attempts: message.attempts,
            problem: message.problem,
            created_at: message.created_at,
            expires_at: message.expires_at,
            settled_at: message.settled_at,
        }
    }
}

/// A kind of message.
#[derive(Object)]
#[oai(rename = "MessageKind")]
pub struct MessageKindView {
    /// The stable name.
    pub name: String,
    /// Whether it goes to Slack, too.
    pub slack: bool,
}

/// The kinds of messages.
#[derive(Object)]
pub struct MessageKinds {
    /// Every kind.
    pub items: Vec<MessageKindView>,
}

/// How a kind of message looks, over made-up figures.
#[derive(Object)]
pub struct MessagePreview {
    /// The kind.
    pub kind: String,
    /// The mail's subject.
    pub subject: String,
    /// The mail as a whole HTML document, which fetches nothing.
    pub html: String,
    /// The same in plain text.
    pub text: String,
    /// The Slack message in Block Kit, as it is posted; null for kinds that do not go there.
    #[oai(nullable)]
    pub slack: Option<Value>,
}

pub(crate) struct MessagesApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Notifications")]
impl MessagesApi {
    /// List messages
    ///
    /// Newest first: what went to people and Slack channels, and how it fared.
    #[oai(path = "/messages", method = "get", operation_id = "list_messages")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<MessageId>>>,
    ) -> Result<Json<Page<MessageView>>, ApiError> {
        let tenant = caller.require(Permission::NotificationsRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let messages = conn.list_messages(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        Ok(Json(Page::of(messages, limit.0, |message| message.id.to_string(), Into::into)))
    }

    /// List the kinds of messages
    #[oai(path = "/message-kinds", method = "get", operation_id = "list_message_kinds")]
    #[expect(clippy::unused_async, reason = "every operation is asynchronous in the framework")]
    async fn kinds(&self, caller: Caller) -> Result<Json<MessageKinds>, ApiError> {
        caller.require(Permission::NotificationsRead)?;
        let view =
            |kind: &Kind| MessageKindView { name: kind.as_str().to_owned(), slack: kind.goes_to_slack() };
        Ok(Json(MessageKinds { items: Kind::ALL.iter().map(view).collect() }))
    }

    /// See how a kind of message looks
    ///
    /// Over made-up figures, the same on any day.
    #[oai(path = "/message-kinds/:kind/preview", method = "get", operation_id = "preview_message")]
    #[expect(clippy::unused_async, reason = "every operation is asynchronous in the framework")]
    async fn preview(
        &self,
        caller: Caller,
        /// A kind of GET /api/v1/message-kinds.
        kind: Path<String>,
    ) -> Result<Json<MessagePreview>, ApiError> {
        caller.require(Permission::NotificationsRead)?;
        let kind: Kind = kind.0.parse().map_err(|_| ApiError::not_found())?;
        let shown = preview(kind).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, %kind, "a template is broken");
            ApiError::new(ProblemCode::Internal, "the cause has been logged under this request's id")
        })?;
        Ok(Json(MessagePreview {
            kind: kind.as_str().to_owned(),
            subject: shown.subject,
            html: shown.html,
            text: shown.text,
            slack: shown.slack.map(|message| message.to_json()),
        }))
    }
}
