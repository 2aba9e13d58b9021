//! OTLP over HTTP: programs' own spans of the GenAI conventions, counted as calls of the API key that they come with.
//!
//! The path is the protocol's own, so that an exporter needs only our address and a header. What is no call of a model is
//! taken and left alone; what cannot be a row is told as a partial success, which nobody sends again (OTLP specification,
//! "OTLP/HTTP Response").

use std::sync::Arc;

use bytes::Bytes;
use costlens_domain::request::Origin;
use costlens_domain::{ApiKeyId, Problem, ProblemCode, TenantId};
use costlens_edge::Arrival;
use costlens_imports::otlp::{self, Encoding, Traces};
use costlens_imports::{Unpack, gunzip};
use costlens_jobs::settlement::{ask_to_settle_again, before_the_nights};
use poem::endpoint::make;
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse as _, Request, Response};
use tokio::sync::Semaphore;

use super::{Ledger, broken, months_of, unread};
use crate::ApiParts;
use crate::bills::uploads::Arriving;
use crate::error::{ApiError, problem_response, told_of_request};
use crate::principal::{Gate, Permission, Who, by_key};

/// Where spans are posted to.
pub const PATH: &str = "/v1/traces";
/// The most bytes of a body, as it comes.
pub const MOST_BYTES: u64 = 8 << 20;
/// The most bytes that a packed one unpacks to.
const MOST_UNPACKED: u64 = 16 << 20;
/// How many bodies are unpacked and read at a time; the others wait.
const AT_ONCE: usize = 4;
/// How many bodies of one account are taken at once.
const OF_ONE_ACCOUNT: u32 = 8;

/// Who may be at it.
struct Places {
    /// Bodies that are unpacked and read.
    reading: Semaphore,
    arriving: Arriving,
}

/// The endpoint at [`PATH`].
pub fn endpoint(parts: &Arc<ApiParts>) -> impl Endpoint<Output = Response> + 'static {
    let parts = Arc::clone(parts);
    let places = Arc::new(Places { reading: Semaphore::new(AT_ONCE), arriving: Arriving::default() });
    make(move |request: Request| {
        let (parts, places) = (Arc::clone(&parts), Arc::clone(&places));
        async move { Ok::<_, poem::Error>(answer(&parts, &places, request).await) }
    })
}

async fn answer(parts: &ApiParts, places: &Places, mut request: Request) -> Response {
    let id = request.data::<Arrival>().map(|arrival| arrival.request_id);
    if *request.method() != Method::POST {
        let problem = Problem::new(ProblemCode::MethodNotAllowed, "spans are posted");
        let mut response = told_of_request(problem_response(&problem), id).await;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let told = request.header(header::CONTENT_TYPE).and_then(Encoding::named);
    let answered = match told {
        Some(encoding) => receive(parts, places, &mut request, encoding).await.map(|body| (encoding, body)),
        None => Err(ApiError::new(
            ProblemCode::UnsupportedMediaType,
            "spans come as application/x-protobuf or application/json",
        )),
    };
    match answered {
        Ok((encoding, body)) => Response::builder().content_type(encoding.content_type()).body(body),
        Err(error) => refused(error, told, id).await,
    }
}

/// A failure: to protobuf in protobuf, as the protocol wants it; to anything else a problem.
async fn refused(
    error: ApiError,
    encoding: Option<Encoding>,
    id: Option<costlens_domain::RequestId>,
) -> Response {
    let detail = error.told().detail.clone();
    let mut response = told_of_request(error.into_response(), id).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("2"));
    }
    if encoding == Some(Encoding::Protobuf) {
        response.set_body(otlp::failure(&detail));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        let kind = HeaderValue::from_static(Encoding::Protobuf.content_type());
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// Takes the spans of a caller that is let in; the answer's body.
async fn receive(
    parts: &ApiParts,
    places: &Places,
    request: &mut Request,
    encoding: Encoding,
) -> Result<Vec<u8>, ApiError> {
    let (tenant, key) = caller(parts, request).await?;
    let is_packed = match request.header(header::CONTENT_ENCODING).map(str::trim) {
        None | Some("" | "identity") => false,
        Some(coding) if coding.eq_ignore_ascii_case("gzip") => true,
        Some(_) => {
            let detail = "a body may be packed by gzip, and by nothing else";
            return Err(ApiError::new(ProblemCode::UnsupportedMediaType, detail));
        }
    };
    // The body is read only for a caller that is let in, and an account has its own places: others do not wait for it.
    let Some(_arrival) = places.arriving.enter_one_of(OF_ONE_ACCOUNT, tenant) else {
        let detail =
            format!("at most {OF_ONE_ACCOUNT} bodies of an account arrive at once; send this one again");
        return Err(ApiError::new(ProblemCode::LimitReached, detail));
    };
    let body = request.take_body().into_bytes().await.map_err(|error| unread(&error))?;
    let place = places.reading.acquire().await.map_err(|error| broken(&error))?;
    let now = parts.clock.now();
    let read = tokio::task::spawn_blocking(move || {
        let body = if is_packed { Bytes::from(unpacked(&body)?) } else { body };
        otlp::read(&body, encoding, now)
            .map_err(|why| ApiError::new(ProblemCode::InvalidRequest, why.to_string()))
    });
    let Traces { calls, refused, others } = read.await.map_err(|error| broken(&error))??;
    // Storing waits for the database, and nobody's reading should.
    drop(place);
    let ledger =
        Ledger { store: &parts.store, clock: &*parts.clock, entropy: &*parts.entropy, prices: &parts.prices };
    // Spans of the last months come all day long, and each night settles those.
    let closed = before_the_nights(months_of(&calls), now);
    let imported = ledger.take((Origin::Otlp, tenant, key), calls).await?;
    // Also for what is known: whoever stored it may have died before it asked.
    if !closed.is_empty() && (imported.taken > 0 || imported.known > 0) {
        let mut conn = parts.store.tenant(tenant).await?;
        ask_to_settle_again(&mut conn, &closed, (now, parts.entropy.for_id())).await?;
        conn.commit().await?;
    }
    touch(parts, tenant, key).await;
    tracing::debug!(
        spans.taken = imported.taken,
        spans.known = imported.known,
        spans.refused = refused.count,
        spans.others = others,
        "spans came"
    );
    let rejected = refused.count.saturating_add(imported.refused);
    let mut words: Vec<String> =
        refused.named.iter().map(|(place, why)| format!("span {place} {why}")).collect();
    let named = u64::try_from(words.len()).unwrap_or(u64::MAX);
    if rejected > named {
        words.push(format!("and {} more", rejected - named));
    }
    Ok(otlp::answer(encoding, rejected, &words.join("; ")))
}

/// Who sends, by the credential in the headers.
async fn caller(parts: &ApiParts, request: &mut Request) -> Result<(TenantId, ApiKeyId), ApiError> {
    let bearer = request.header(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let Some(token) = bearer.or_else(|| request.header("x-api-key")).map(str::to_owned) else {
        return Err(ApiError::new(
            ProblemCode::CredentialMissing,
            "send an API key as `Authorization: Bearer acl_…` or `x-api-key: acl_…`",
        ));
    };
    let gate = Gate { store: parts.store.clone(), clock: Arc::clone(&parts.clock) };
    let principal = by_key(gate, request, token).await?;
    let tenant = principal.require(Permission::CallsImport)?;
    match principal.who {
        Who::Key(key) => Ok((tenant, key)),
        Who::Session(_) => Err(ApiError::not_found()),
    }
}

fn unpacked(body: &[u8]) -> Result<Vec<u8>, ApiError> {
    gunzip(body, MOST_UNPACKED).map_err(|why| {
        let code = match why {
            Unpack::TooLarge(_) => ProblemCode::BodyTooLarge,
            Unpack::Broken(_) => ProblemCode::InvalidRequest,
        };
        ApiError::new(code, why.to_string())
    })
}

/// Tells the key when it was last used. It is for people to look at: a failure loses nothing.
async fn touch(parts: &ApiParts, tenant: TenantId, key: ApiKeyId) {
    let touched = match parts.store.system().await {
        Ok(mut conn) => conn.touch_keys(&[(tenant, key, parts.clock.now())]).await,
        Err(error) => Err(error),
    };
    if let Err(error) = touched {
        tracing::debug!(%error, "a key was not told of its use");
    }
}
