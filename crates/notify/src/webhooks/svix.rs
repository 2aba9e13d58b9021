//! Delivery by Svix, for operators who have it: we hand a message over, and Svix owns signing, retries and the log.
//!
//! An application of Svix is a tenant, by the tenant's id as its `uid`. Every call may be repeated: what is there
//! already counts as made, what is gone as deleted, and a message is told from others by the event's id. So even
//! [`SendError::Unknown`] may be tried again here. The server is the operator's own configuration and has a client of
//! its own, whose list of private hosts is that server alone: no tenant's endpoint is reached by it.
//!
//! Paths and shapes: <https://api.svix.com/docs>, read in November 2026.

use std::fmt;
use std::time::Duration;

use costlens_domain::TenantId;
use costlens_egress::{Egress, EgressConfig, EgressSetupError, EndpointUrl, HostPort, Policy, RefusedUrl};
use http::{Method, Request, header};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::answer::{Answer, ask, body};
use crate::outcome::{Retry, SendError, said};
use crate::webhooks::{WebhookSecret, WebhookUrl};

/// Answers are small objects; more is not read.
const ANSWER_BYTES: usize = 64 * 1024;

/// The operator's Svix.
pub struct SvixConfig {
    /// The server, `https://api.us.svix.com` or one's own; plain http is the operator's choice.
    pub server: String,
    /// The API token.
    pub token: Zeroizing<String>,
    /// The longest wait for one call.
    pub timeout: Duration,
    /// How calls go out; the policy is replaced by one for the server alone.
    pub egress: EgressConfig,
}

impl fmt::Debug for SvixConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvixConfig").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Why there is no Svix.
#[derive(Debug, thiserror::Error)]
pub enum BadSvix {
    /// The server's URL is no URL of one.
    #[error("the Svix server's URL cannot be used")]
    Server(#[source] RefusedUrl),
    /// The token is empty, or cannot stand in a header.
    #[error("the Svix token cannot be used")]
    Token,
    /// TLS cannot be set up.
    #[error(transparent)]
    Egress(#[from] EgressSetupError),
}

/// An endpoint as Svix is to have it.
#[derive(Clone, Debug)]
pub struct SvixEndpoint<'a> {
    /// Our id of it.
    pub uid: &'a str,
    /// Where it is.
    pub url: &'a WebhookUrl,
    /// The event types it wants; empty for all.
    pub filter_types: &'a [String],
    /// The channels that it listens to: of the messages it hears those that went to one of these.
    pub channels: &'a [&'a str],
    /// What its calls are signed with.
    pub secret: &'a WebhookSecret,
}

/// A client of Svix' API.
pub struct Svix {
    egress: Egress,
    server: EndpointUrl,
    authorization: Zeroizing<String>,
    timeout: Duration,
}

impl fmt::Debug for Svix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Svix").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Svix {
    /// Reads the configuration. Connects to nothing.
    pub fn new(config: SvixConfig) -> Result<Self, BadSvix> {
        let malformed = || BadSvix::Server(RefusedUrl::Malformed("it does not parse"));
        let url = url::Url::parse(&config.server).map_err(|_| malformed())?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(malformed());
        };
        let listed: HostPort = format!("{host}:{port}").parse().map_err(|_| malformed())?;
        let policy = Policy { allow_private: vec![listed] };
        let server = EndpointUrl::parse(&config.server, &policy).map_err(BadSvix::Server)?;
        if config.token.is_empty() || !config.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadSvix::Token);
        }
        let authorization = Zeroizing::new(format!("Bearer {}", config.token.as_str()));
        let egress = Egress::new(EgressConfig { policy, ..config.egress })?;
        Ok(Self { egress, server, authorization, timeout: config.timeout })
    }

    /// The server's address: what tells one Svix from another.
    #[must_use]
    pub fn place(&self) -> &str {
        self.server.as_str()
    }

    /// Makes the tenant's application, or finds it.
    pub async fn ensure_application(&self, tenant: TenantId, name: &str) -> Result<(), SendError> {
        let made = json!({ "uid": tenant.to_string(), "name": name });
        let answer = self.call(Method::POST, "/api/v1/app?get_if_exists=true", Some(&made), None).await?;
        expect(&answer, &[409])
    }

    /// Makes an event type known, or finds it: filters name only such as are known.
    pub async fn ensure_event_type(&self, name: &str, description: &str) -> Result<(), SendError> {
        let made = json!({ "name": name, "description": description });
        let answer = self.call(Method::POST, "/api/v1/event-type", Some(&made), None).await?;
        expect(&answer, &[409])
    }

    /// Makes an endpoint, or brings the one with this uid to this URL, these filters and this secret. The old secret
    /// goes on signing beside the new one for a day; that is Svix' rule.
    pub async fn ensure_endpoint(
        &self,
        tenant: TenantId,
        endpoint: &SvixEndpoint<'_>,
    ) -> Result<(), SendError> {
        let all = format!("/api/v1/app/{tenant}/endpoint");
        let one = format!("{all}/{}", segment(endpoint.uid)?);
        let url = endpoint.url.reveal();
        // An empty list would be refused; null stands for all types. The field is `eventTypes` to clients of version 2
        // and `filterTypes` before; a server reads the one it knows.
        let filter = (!endpoint.filter_types.is_empty()).then_some(endpoint.filter_types);
        let secret = endpoint.secret.reveal();
        let changed = json!({
            "uid": endpoint.uid, "url": url, "eventTypes": filter, "filterTypes": filter, "channels": endpoint.channels,
        });
        let mut made = changed.clone();
        if let Some(made) = made.as_object_mut() {
            made.insert("secret".to_owned(), secret.as_str().into());
        }
        let answer = self.call(Method::POST, &all, Some(&made), None).await?;
        if answer.status != 409 {
            return expect(&answer, &[]);
        }
        expect(&self.call(Method::PUT, &one, Some(&changed), None).await?, &[])?;
        let answer = self.call(Method::GET, &format!("{one}/secret"), None, None).await?;
        expect(&answer, &[])?;
        let known: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        if known.get("key").and_then(Value::as_str) == Some(secret.as_str()) {
            return Ok(());
        }
        let rotated = json!({ "key": secret.as_str() });
        expect(&self.call(Method::POST, &format!("{one}/secret/rotate"), Some(&rotated), None).await?, &[])
    }

    /// Deletes an endpoint; one that is gone counts.
    pub async fn delete_endpoint(&self, tenant: TenantId, uid: &str) -> Result<(), SendError> {
        let path = format!("/api/v1/app/{tenant}/endpoint/{}", segment(uid)?);
        expect(&self.call(Method::DELETE, &path, None, None).await?, &[404])
    }

    /// Hands a message over, to the endpoints that listen to a channel. One with the same event id is there once, however
    /// often it is handed over.
    pub async fn send(
        &self,
        tenant: TenantId,
        channel: &str,
        (event_id, event_type): (&str, &str),
        payload: &Value,
    ) -> Result<(), SendError> {
        let path = format!("/api/v1/app/{tenant}/msg");
        let message = json!({
            "eventId": event_id, "eventType": event_type, "channels": [segment(channel)?], "payload": payload,
        });
        expect(&self.call(Method::POST, &path, Some(&message), Some(segment(event_id)?)).await?, &[409])
    }

    /// Deletes the tenant's application with its endpoints and messages; one that is gone counts.
    pub async fn delete_application(&self, tenant: TenantId) -> Result<(), SendError> {
        expect(&self.call(Method::DELETE, &format!("/api/v1/app/{tenant}"), None, None).await?, &[404])
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        sent: Option<&Value>,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, SendError> {
        let impossible = || never(None, "the call to Svix makes no request");
        let uri = self.server.uri(path).ok_or_else(impossible)?;
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, self.authorization.as_str())
            .header(header::ACCEPT, "application/json");
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let bytes = sent.map(ToString::to_string);
        if bytes.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body(bytes.unwrap_or_default())).map_err(|_| impossible())?;
        Ok(ask(&self.egress, request, self.timeout, ANSWER_BYTES).await?)
    }
}

fn never(code: Option<u16>, text: &str) -> SendError {
    SendError::NotSent { retry: Retry::Never, code, text: text.to_owned() }
}

/// An id that may stand in a path and in a header (Svix allows letters, digits, `-`, `_` and `.`).
fn segment(id: &str) -> Result<&str, SendError> {
    let fits = (1..=256).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && id.bytes().any(|byte| byte != b'.');
    if fits {
        Ok(id)
    } else {
        Err(never(None, "an id for Svix has letters, digits, hyphens and underscores"))
    }
}

/// 2xx is done, and so is any of `also`. A token that is refused is the operator's to mend, and then works.
fn expect(answer: &Answer, also: &[u16]) -> Result<(), SendError> {
    let code = Some(answer.status);
    let text = format!("Svix answered {}: {}", answer.status, said(&answer.body));
    match answer.status {
        200..=299 => Ok(()),
        status if also.contains(&status) => Ok(()),
        401 | 403 => Err(SendError::NotSent { retry: Retry::Later, code, text }),
        408 | 429 | 503 => Err(SendError::NotSent {
            retry: answer.retry_after.map_or(Retry::Later, Retry::After),
            code,
            text,
        }),
        500..=599 => Err(SendError::Unknown { text }),
        _ => Err(SendError::NotSent { retry: Retry::Never, code, text }),
    }
}
