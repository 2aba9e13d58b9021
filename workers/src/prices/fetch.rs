//! One conditional request for the price document, bounded in time and size.

use std::fmt;
use std::time::Duration;

use costlens_egress::{Body, Egress, EgressError, EndpointUrl, Policy, RefusedUrl};
use http::header::{ACCEPT, ACCEPT_ENCODING, ETAG, HeaderValue, IF_NONE_MATCH, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

/// The most bytes of a document; the build's own has some 300 thousand.
const LARGEST: usize = 8 << 20;
/// The longest tag that is sent back.
const LONGEST_TAG: usize = 1_024;
/// The longest wait for the whole answer.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Where price documents are fetched from: https, and named by the operator alone.
#[derive(Clone, PartialEq, Eq)]
pub struct PricesUrl(EndpointUrl);

/// Why a text is no such address.
#[derive(Debug, thiserror::Error)]
pub enum RefusedPricesUrl {
    /// Not an address that may be called.
    #[error(transparent)]
    Url(#[from] RefusedUrl),
    /// Prices that came without TLS could be anybody's.
    #[error("the URL must begin with https://")]
    NotHttps,
}

impl PricesUrl {
    /// Judges an address.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, RefusedPricesUrl> {
        let url = EndpointUrl::parse(text, policy)?;
        if url.as_str().starts_with("https://") { Ok(Self(url)) } else { Err(RefusedPricesUrl::NotHttps) }
    }

    /// The one spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for PricesUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PricesUrl({})", self.as_str())
    }
}

/// What the server had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// Still the document of the tag.
    Unchanged,
    /// Another one.
    Document {
        /// The document.
        text: String,
        /// What to ask with the next time.
        etag: Option<String>,
    },
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchFault {
    #[error("the address makes no URI")]
    Address,
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("no whole answer within {TIMEOUT:?}")]
    Timeout,
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the document is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("the answer broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the document is not UTF-8 text")]
    NotText,
}

/// Asks for the document, unless it is still the one of the tag.
pub(super) async fn fetch(
    egress: &Egress,
    url: &PricesUrl,
    etag: Option<&str>,
) -> Result<Fetched, FetchFault> {
    tokio::time::timeout(TIMEOUT, ask(egress, url, etag)).await.map_err(|_late| FetchFault::Timeout)?
}

async fn ask(egress: &Egress, url: &PricesUrl, etag: Option<&str>) -> Result<Fetched, FetchFault> {
    let mut request = Request::new(Body::default());
    *request.uri_mut() = url.0.uri("").ok_or(FetchFault::Address)?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("costlens/", env!("CARGO_PKG_VERSION"))));
    let tag = etag.and_then(|etag| HeaderValue::from_str(etag).ok());
    let conditional = tag.is_some();
    if let Some(tag) = tag {
        headers.insert(IF_NONE_MATCH, tag);
    }
    let (head, body) = egress.send(request).await?.into_parts();
    match head.status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if conditional => return Ok(Fetched::Unchanged),
        other => return Err(FetchFault::Status(other)),
    }
    let etag = head.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
    let etag = etag.filter(|tag| tag.len() <= LONGEST_TAG).map(str::to_owned);
    let whole = Limited::new(body, LARGEST).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { FetchFault::TooLarge } else { FetchFault::Broken(error) }
    })?;
    let text = String::from_utf8(whole.to_bytes().into()).map_err(|_| FetchFault::NotText)?;
    Ok(Fetched::Document { text, etag })
}
