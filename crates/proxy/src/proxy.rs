//! The data plane: from an accepted HTTP request to the answer that goes back.

use std::pin::Pin;
use std::sync::Arc;

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ::http::{Method, Request};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use costlens_domain::charging::tier_at;
use costlens_domain::pricing::PricesInForce;
use costlens_domain::privacy::BodyState;
use costlens_domain::providers::{Credential, DEMO, Dialect};
use costlens_domain::request::{
    CostBasis, Outcome, PriceReceipt, Provenance, RequestFact, StreamUsagePolicy,
};
use costlens_domain::{ProblemCode, RequestId, Usage};
use costlens_edge::Arrival;
use costlens_egress::{Egress, EgressError};
use futures_util::Stream;
use tokio::sync::Semaphore;

use crate::bodies::{Bodies, Capture};
use crate::call::Call;
use crate::exchange::{Exchange, Head, Limits, NoAnswer, NotWhole, Source};
use crate::headers;
use crate::keys::{BodyRule, Caller, KeyRefusal};
use crate::memory::{Memory, Unread};
use crate::peek::{Peek, PeekError};
use crate::refusal::Refusal;
use crate::route::{self, Route, Target};
use crate::spool::{Spool, SpoolError};
use crate::usage::Meter;
use crate::{KeyRing, ProxyConfig, demo};

/// What the proxy is made of.
#[derive(Debug)]
#[expect(missing_docs, reason = "each part is documented where it is defined")]
pub struct ProxyParts {
    pub config: ProxyConfig,
    pub prices: PricesInForce,
    pub keys: Arc<KeyRing>,
    pub spool: Spool,
    pub egress: Egress,
    /// Where prompts and answers wait, sealed, for tenants that want them kept; without it none are.
    pub bodies: Option<Bodies>,
}

/// The data plane. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Proxy {
    parts: Arc<ProxyParts>,
    limits: Limits,
}

/// An answer on its way to the client.
pub(crate) struct Answer {
    pub(crate) status: ::http::StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: AnswerBody,
}

pub(crate) enum AnswerBody {
    Whole(Bytes),
    Stream(Box<Exchange>),
}

/// The row that an answer became, told to the client.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("costlens-request-id");

impl Proxy {
    /// A proxy of these parts.
    #[must_use]
    pub fn new(parts: ProxyParts) -> Self {
        let limits = Limits {
            first_byte: parts.config.first_byte_timeout,
            idle: parts.config.idle_timeout,
            drain: parts.config.drain_time,
            drains: Arc::new(Semaphore::new(parts.config.drain_concurrency)),
            metered_bytes: parts.config.metered_answer_bytes,
            memory: Memory::new(parts.config.call_memory_bytes),
            room_within: parts.config.call_memory_wait,
        };
        Self { parts: Arc::new(parts), limits }
    }

    /// Who calls at this moment, by the credential in the headers.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        now: DateTime<Utc>,
    ) -> Result<Arc<Caller>, Refusal> {
        let Some(presented) = presented_key(headers) else {
            return Err(Refusal::new(
                ProblemCode::CredentialMissing,
                "send an API key as `Authorization: Bearer acl_…` or `x-api-key: acl_…`",
            ));
        };
        self.parts.keys.caller(presented, now).await.map_err(|refusal| match refusal {
            KeyRefusal::Unknown => Refusal::new(ProblemCode::KeyUnknown, "no API key has this secret"),
            KeyRefusal::Closing => Refusal::new(
                ProblemCode::AccountClosing,
                "this API key's account is being closed and is frozen",
            ),
            KeyRefusal::Revoked => Refusal::new(ProblemCode::KeyRevoked, "this API key has been revoked"),
            KeyRefusal::Expired => Refusal::new(
                ProblemCode::KeyExpired,
                "this API key is past its end, or was rolled and this is its earlier secret",
            ),
            KeyRefusal::Scope => Refusal::new(
                ProblemCode::Forbidden,
                "this API key may not be used for calls: it lacks the scope `proxy`",
            ),
            KeyRefusal::Unavailable(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a key cannot be checked");
                Refusal::new(ProblemCode::DatabaseUnavailable, "the key cannot be checked now").retry_after(2)
            }
        })
    }

    /// Whether this caller's prompt may be kept if it wants that, as of this moment.
    pub(crate) fn may_keep(&self, caller: &Caller) -> bool {
        self.parts.keys.may_keep(caller)
    }

    /// Reads a request, as far as there is memory for it.
    pub(crate) async fn read(
        &self,
        body: impl Stream<Item = std::io::Result<Bytes>> + Send,
    ) -> Result<Bytes, Unread> {
        self.limits.memory.read(body).await
    }

    /// Carries one call: it arrived when and as said, and whether its prompt may be kept was asked then.
    pub(crate) async fn carry(
        &self,
        dialect: Dialect,
        caller: &Caller,
        (arrival, may_keep): (Arrival, bool),
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Answer, Refusal> {
        let parts = &*self.parts;
        let peek = Peek::new(body).map_err(|error| refuse_body(&error))?;
        // Taken once: routed, reserved and settled by the same prices, whatever is published meanwhile.
        let prices = parts.prices.now();
        if headers::passes(headers) >= headers::MOST_PASSES {
            let detail =
                "the call has come through here before: the connection it takes leads back to this server";
            return Err(Refusal::new(ProblemCode::LoopDetected, detail));
        }
        let route = route::find(&caller.targets, &prices.catalogue, dialect, &peek.model)
            .map_err(|near| refuse_model(&peek.model, caller, dialect, &near))?;
        if let route::Route::Connection { target, .. } = &route
            && let Some(reason) = target.locked
        {
            let detail =
                format!("the credential of the connection `{}` cannot be opened now: {reason}", target.name);
            return Err(Refusal::new(ProblemCode::KeysUnavailable, detail).retry_after(5));
        }

        // The row bears the id that every answer tells, so that `X-Request-Id` leads to the receipt.
        let (id, started_at) = (arrival.request_id, arrival.at);
        let (provider, connection_id, model) = match route {
            Route::Demo { model } => (DEMO, None, model),
            Route::Connection { target, model } => (target.charging, Some(target.id), model),
        };
        let place = match route {
            Route::Demo { .. } => None,
            Route::Connection { target, .. } => target.place.as_deref(),
        };
        let (body_state, capture) = self.decide_on_body(caller, may_keep, body);
        let fact = RequestFact {
            id,
            tenant_id: caller.key.tenant_id,
            api_key_id: caller.key.id,
            connection_id,
            started_at,
            duration_ms: 0,
            first_byte_ms: None,
            provider: provider.to_owned(),
            endpoint: dialect.endpoint().to_owned(),
            model_requested: model.to_owned(),
            model_served: None,
            service_tier: place.and_then(|place| tier_at(place, provider, None, None)),
            streamed: peek.stream,
            status: None,
            outcome: Outcome::Interrupted,
            error_code: None,
            usage: Usage::default(),
            cost_basis: CostBasis::Unpriced,
            cost: None,
            price: PriceReceipt::default(),
            caller_request_id: caller_request_id(headers),
            provider_request_id: None,
            provenance: Provenance::default(),
            body: body_state,
        };
        let tells_unasked = || match route {
            Route::Demo { .. } => false,
            Route::Connection { target, .. } => target.provider.tells_usage_at(&target.endpoint.host()),
        };
        let ask_for_usage = dialect == Dialect::OpenAiChat
            && caller.key.stream_usage == StreamUsagePolicy::Inject
            && peek.stream
            && !tells_unasked();
        let (mut upstream_body, asked) = peek.for_upstream(body, model, ask_for_usage);
        if upstream_body.as_ptr() != body.as_ptr() {
            upstream_body = self.limits.memory.count(upstream_body).ok_or_else(refuse_for_room)?;
        }
        let sending = match route {
            Route::Demo { model } => {
                demo_answer(dialect, (&upstream_body, peek.stream), model, id, started_at.timestamp())
            }
            Route::Connection { target, .. } => self.send(dialect, target, headers, upstream_body)?,
        };
        // From here on the call has a row, whatever happens.
        let call =
            Call::begin(&parts.spool, fact, body, prices, caller.key.durability, parts.config.database_wait)
                .map_err(|error| refuse_spool(&error))?;
        let mut exchange = Exchange::new(
            call,
            sending,
            Meter::new(dialect),
            caller.key.hangup,
            self.limits.clone(),
            capture,
        );
        let head = exchange.head().await.map_err(|error| refuse_upstream(provider, error))?;
        let mut headers = headers::for_client(head.headers);
        if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        let body = if exchange.streams() {
            if asked {
                exchange.strip_usage();
            }
            AnswerBody::Stream(Box::new(exchange))
        } else {
            let whole = exchange.whole().await.map_err(|why| match why {
                NotWhole::Broken => {
                    let detail = format!("the answer of {provider} broke off before its end");
                    Refusal::new(ProblemCode::UpstreamUnreachable, detail)
                }
                NotWhole::NoRoom => refuse_for_room(),
            })?;
            AnswerBody::Whole(whole)
        };
        Ok(Answer { status: head.status, headers, body })
    }

    /// What becomes of prompt and answer, decided as the call comes in: what the intent says of it, which stands if
    /// nothing better follows, and what is to be captured.
    fn decide_on_body(
        &self,
        caller: &Caller,
        may_keep: bool,
        body: &Bytes,
    ) -> (BodyState, Option<Box<Capture>>) {
        match &caller.bodies {
            BodyRule::Ignore => (BodyState::None, None),
            BodyRule::Drop => (BodyState::DroppedZdr, None),
            BodyRule::Unavailable => (BodyState::Unavailable, None),
            BodyRule::Keep(keeping) => {
                let bodies = self.parts.bodies.as_ref().filter(|_| may_keep);
                let capture = bodies.map(|bodies| Box::new(Capture::new(bodies, Arc::clone(keeping), body)));
                (BodyState::Unavailable, capture)
            }
        }
    }

    fn send(
        &self,
        dialect: Dialect,
        target: &Target,
        from_client: &HeaderMap,
        body: Bytes,
    ) -> Result<Sending, Refusal> {
        let internal = |what| Refusal::new(ProblemCode::Internal, what);
        let uri = target
            .endpoint
            .uri(dialect.upstream_path())
            .ok_or_else(|| internal("the connection's address makes no URI"))?;
        let mut request = Request::new(costlens_egress::Body::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers::for_provider(from_client);
        if let Some(secret) = &target.secret {
            let (name, text) = match target.provider.credential {
                Credential::XApiKey => (HeaderName::from_static("x-api-key"), secret.to_string()),
                Credential::Bearer | Credential::None => {
                    (header::AUTHORIZATION, format!("Bearer {}", **secret))
                }
            };
            let mut value = HeaderValue::try_from(text)
                .map_err(|_| internal("the connection's secret cannot stand in a header"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        let egress = self.parts.egress.clone();
        Ok(Box::pin(async move {
            let (parts, body) = egress.send(request).await?.into_parts();
            Ok(Head { parts, source: Source::Provider(body) })
        }))
    }
}

/// The built-in provider's answer, in the shape of one that is being sent for.
fn demo_answer(
    dialect: Dialect,
    (body, stream): (&Bytes, bool),
    model: &str,
    id: RequestId,
    created: i64,
) -> Sending {
    let answer =
        demo::answer(dialect, (body, stream), model, &format!("demo-{}", id.uuid().simple()), created);
    Box::pin(async move {
        let (mut parts, ()) = ::http::Response::new(()).into_parts();
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        Ok(Head { parts, source: Source::Demo(answer.frames.into()) })
    })
}

type Sending = Pin<Box<dyn Future<Output = Result<Head, EgressError>> + Send>>;

/// The secret as the SDKs send it: a bearer token, or Anthropic's and Azure's own header. Never from the URL.
fn presented_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(token.trim()).filter(|token| !token.is_empty());
        }
        return None;
    }
    let value = headers.get("x-api-key").or_else(|| headers.get("api-key"))?;
    value.to_str().ok().map(str::trim).filter(|token| !token.is_empty())
}

/// The client's own id of the call, under the names that clients use; an identifier, not a document.
fn caller_request_id(headers: &HeaderMap) -> Option<String> {
    let names = ["x-client-request-id", "x-request-id", "x-correlation-id"];
    let value = names.iter().find_map(|name| headers.get(*name))?;
    value.to_str().ok().filter(|id| !id.is_empty() && id.len() <= 200).map(str::to_owned)
}

/// Of a call for which the memory of all calls has no room.
pub(crate) fn refuse_for_room() -> Refusal {
    let detail = "the calls under way hold all the memory that calls may have";
    Refusal::new(ProblemCode::Unavailable, detail).retry_after(2)
}

fn refuse_body(error: &PeekError) -> Refusal {
    match error {
        PeekError::Malformed { .. } => Refusal::new(ProblemCode::MalformedJson, error.to_string()),
        PeekError::Field { field: "", expected } => {
            Refusal::new(ProblemCode::InvalidRequest, format!("the body must be {expected}"))
        }
        PeekError::Field { field, .. } => {
            let mut refusal = Refusal::new(ProblemCode::InvalidRequest, error.to_string()).param(field);
            *refusal.problem = refusal.problem.clone().field(format!("/{field}"), error.to_string());
            refusal
        }
    }
}

fn refuse_model(model: &str, caller: &Caller, dialect: Dialect, near: &[String]) -> Refusal {
    let connected = caller.targets.iter().any(|target| target.provider.dialect == dialect);
    let hint = if connected { "" } else { " No provider is connected for this endpoint yet." };
    let near = near.join(", ");
    let detail = format!("no route serves the model `{model}`.{hint} Nearest names: {near}.");
    Refusal::new(ProblemCode::ModelNotFound, detail).param("model")
}

fn refuse_spool(error: &SpoolError) -> Refusal {
    match error {
        SpoolError::Full => {
            Refusal::new(ProblemCode::SpoolFull, "the call could not be recorded, so it was not made")
                .retry_after(5)
        }
        SpoolError::TooLarge { .. } => {
            Refusal::new(ProblemCode::InvalidRequest, "the call's identifiers are too long to be recorded")
        }
        other => {
            tracing::error!(error = other as &dyn std::error::Error, "the spool takes no calls");
            let detail = "the call could not be recorded, so it was not made";
            Refusal::new(ProblemCode::Unavailable, detail).retry_after(5)
        }
    }
}

fn refuse_upstream(provider: &str, error: NoAnswer) -> Refusal {
    match error {
        NoAnswer::Timeout => {
            Refusal::new(ProblemCode::UpstreamTimeout, format!("{provider} did not answer in time"))
        }
        NoAnswer::Egress(error) => {
            tracing::info!(
                provider,
                error = &error as &dyn std::error::Error,
                "a provider cannot be reached"
            );
            let code = match error {
                EgressError::ConnectTimeout(_) => ProblemCode::UpstreamTimeout,
                _ => ProblemCode::UpstreamUnreachable,
            };
            Refusal::new(code, format!("{provider} could not be reached ({})", error.code()))
        }
    }
}
