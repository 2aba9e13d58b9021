//! JSON from whoever vouches for people: through the guarded way out, bounded in time and size, no redirects.

use std::time::Duration;

use bytes::Bytes;
use costlens_egress::{Body, Egress, EgressError, EndpointUrl, RefusedUrl};
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;

/// The most bytes of an answer.
const MOST_BYTES: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address may not be called.
    #[error("the address may not be called")]
    Address(#[source] RefusedUrl),
    /// It cannot be reached.
    #[error("it cannot be reached")]
    Unreachable(#[source] EgressError),
    /// It took too long.
    #[error("it took too long")]
    Timeout,
    /// It answered with an error.
    #[error("it answered with status {0}")]
    Status(u16),
    /// It answered with something else than what was asked for.
    #[error("it answered with something else")]
    Shape,
}

/// A way to ask.
#[derive(Clone, Debug)]
pub struct Fetch {
    egress: Egress,
}

impl Fetch {
    /// Asks by this way out.
    #[must_use]
    pub const fn by(egress: Egress) -> Self {
        Self { egress }
    }

    /// Gets a document, with a bearer token where one is given.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        url: &str,
        bearer: Option<&str>,
        patience: Duration,
    ) -> Result<T, FetchError> {
        let mut request = Request::builder().method(Method::GET).header(header::ACCEPT, "application/json");
        if let Some(token) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.ask(url, request, Body::default(), patience).await
    }

    /// Deletes what is at an address, with a bearer token. What it answers beside its status is not looked at.
    pub async fn delete(&self, url: &str, bearer: &str, patience: Duration) -> Result<(), FetchError> {
        let request = Request::builder()
            .method(Method::DELETE)
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        match self.send(url, request, Body::default(), patience).await? {
            (200..=299, _) => Ok(()),
            (status, _) => Err(FetchError::Status(status)),
        }
    }

    /// Posts a form (RFC 6749, appendix B).
    pub async fn post_form<T: DeserializeOwned>(
        &self,
        url: &str,
        form: &[(&str, &str)],
        patience: Duration,
    ) -> Result<T, FetchError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::builder()
            .method(Method::POST)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(url, request, Body::new(body.into()), patience).await
    }

    /// Whether this may be called at all. Its query is no part of what is judged.
    pub fn judge(&self, url: &str) -> Result<(), FetchError> {
        let bare = url.split('?').next().unwrap_or_default();
        EndpointUrl::parse(bare, self.egress.policy()).map(drop).map_err(FetchError::Address)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        url: &str,
        request: http::request::Builder,
        body: Body,
        patience: Duration,
    ) -> Result<T, FetchError> {
        match self.send(url, request, body, patience).await? {
            (200, body) => serde_json::from_slice(&body).map_err(|_| FetchError::Shape),
            (status, _) => Err(FetchError::Status(status)),
        }
    }

    /// The status and the body of an answer.
    async fn send(
        &self,
        url: &str,
        request: http::request::Builder,
        body: Body,
        patience: Duration,
    ) -> Result<(u16, Bytes), FetchError> {
        self.judge(url)?;
        let request = request
            .uri(url)
            // GitHub answers nobody who does not say who asks.
            .header(header::USER_AGENT, "costlens")
            .body(body)
            .map_err(|_| FetchError::Shape)?;
        let asking = async {
            let response = self.egress.send(request).await.map_err(FetchError::Unreachable)?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
            let body = body.map_err(|_| FetchError::Shape)?.to_bytes();
            Ok((status, body))
        };
        tokio::time::timeout(patience, asking).await.map_err(|_| FetchError::Timeout)?
    }
}
