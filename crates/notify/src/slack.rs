//! Slack incoming webhooks: the URLs that are one, and posting to it.
//!
//! The URL is a secret, so [`SlackUrl`] shows only its end, and lets nothing pass but the two hosts under which Slack
//! gives such URLs out: what else a tenant wants called is an outgoing webhook. Slack offers no idempotency key: a
//! post whose answer is missing is [`SendError::Unknown`], and whoever may not say a thing twice leaves it at that.

use std::fmt;
use std::time::Duration;

use costlens_egress::{Egress, EndpointUrl, Policy, RefusedUrl};
use http::{Method, Request, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::answer::{ask, body};
use crate::outcome::{Retry, SendError, said};

/// The longest wait for name, connection and answer together.
const LIMIT: Duration = Duration::from_secs(15);
/// Slack answers in a word; more is not read.
const ANSWER_BYTES: usize = 1024;
/// Where Slack's webhooks are.
const HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];

/// A message in Block Kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlackMessage {
    /// What notifications show, in escaped mrkdwn.
    text: String,
    blocks: Vec<Value>,
    unfurl_links: bool,
    unfurl_media: bool,
}

impl SlackMessage {
    pub(crate) const fn new(text: String, blocks: Vec<Value>) -> Self {
        Self { text, blocks, unfurl_links: false, unfurl_media: false }
    }

    /// What notifications show, in escaped mrkdwn.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The blocks, as Slack's reference describes them.
    #[must_use]
    pub fn blocks(&self) -> &[Value] {
        &self.blocks
    }

    /// The body of the post.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!(self)
    }
}

/// Why a URL is no Slack webhook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedSlackUrl {
    /// It may not be called at all.
    #[error(transparent)]
    Url(#[from] RefusedUrl),
    /// It is not one of Slack's.
    #[error("the URL must begin with https://hooks.slack.com/services/")]
    NotSlack,
    /// It is one of Slack's hosts, and not the shape of a webhook: `/services/T…/B…/…`.
    #[error("the URL must look like https://hooks.slack.com/services/T…/B…/…")]
    Shape,
}

/// A Slack incoming webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct SlackUrl {
    url: EndpointUrl,
}

impl SlackUrl {
    /// Judges what a tenant entered. Beside Slack's own hosts, only private ones that the operator listed pass: a
    /// gateway of one's own, or a test's fake.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, RefusedSlackUrl> {
        let url = EndpointUrl::parse(text.trim(), policy)?;
        if !url.is_private() && (!HOSTS.contains(&url.host().as_str()) || url.port() != 443) {
            return Err(RefusedSlackUrl::NotSlack);
        }
        let path = url.as_str().split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        let path = path.map(|(_, path)| path).unwrap_or_default();
        let mut parts = path.split('/');
        let services = parts.next() == Some("services");
        let parts: Vec<&str> = parts.collect();
        let plain = parts.iter().all(|part| {
            (1..=80).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        let [workspace, app, _secret] = parts.as_slice() else { return Err(RefusedSlackUrl::Shape) };
        if services && plain && workspace.starts_with('T') && app.starts_with('B') {
            Ok(Self { url })
        } else {
            Err(RefusedSlackUrl::Shape)
        }
    }

    /// The whole URL, to be sealed and stored.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(self.url.as_str().to_owned())
    }

    /// What may be shown: the host and the last four characters.
    #[must_use]
    pub fn hint(&self) -> String {
        let text = self.url.as_str();
        let end = text.get(text.len().saturating_sub(4)..).unwrap_or_default();
        let scheme = text.split("://").next().unwrap_or_default();
        format!("{scheme}://{}/…{}", self.url.host(), end.rsplit('/').next().unwrap_or_default())
    }
}

impl fmt::Debug for SlackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlackUrl({})", self.hint())
    }
}

/// Posts a message, once.
pub async fn post(egress: &Egress, to: &SlackUrl, message: &SlackMessage) -> Result<(), SendError> {
    let refused = |text: &str| SendError::NotSent { retry: Retry::Never, code: None, text: text.to_owned() };
    let uri = to.url.uri("").ok_or_else(|| refused("the webhook's URL is no URI"))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(body(message.to_json().to_string()))
        .map_err(|_| refused("the webhook's URL makes no request"))?;
    let answer = ask(egress, request, LIMIT, ANSWER_BYTES).await?;
    let code = Some(answer.status);
    let text = format!("Slack answered {}: {}", answer.status, said(&answer.body));
    Err(match answer.status {
        200..=299 => return Ok(()),
        403 | 404 | 410 => SendError::ChannelGone { code: answer.status, text },
        // A gateway's word, which leaves open what happened behind it. The others are Slack's own for "not taken".
        502 | 504 => SendError::Unknown { text },
        429 | 500..=599 => {
            SendError::NotSent { retry: answer.retry_after.map_or(Retry::Later, Retry::After), code, text }
        }
        _ => SendError::NotSent { retry: Retry::Never, code, text },
    })
}
