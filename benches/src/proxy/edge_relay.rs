//! The floor again, but in through `costlens-edge` and Poem and out through `costlens-egress`: what the product
//! adds before it has looked at a key, a price or the spool.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::ports::{Clock, Entropy};
use costlens_edge::EdgeConfig;
use costlens_egress::{Body, Egress, EgressConfig, EndpointUrl, Policy};
use poem::{Response, Route};

use crate::Outcome;
use crate::child::{listen, parent_gone};

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this process is the adapter; nothing here is business time"
        )]
        Utc::now()
    }
}

/// Not random: ids only have to differ here, and the floor makes none.
#[derive(Debug, Default)]
struct Counter(std::sync::atomic::AtomicU64);

impl Entropy for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        let next = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_le_bytes();
        for (to, from) in bytes.iter_mut().zip(next) {
            *to = from;
        }
    }
}

/// Relays to the upstream until the parent is gone.
pub(crate) async fn serve(upstream: &str) -> Outcome<()> {
    let policy = Policy { allow_private: vec![upstream.parse()?] };
    let endpoint = Arc::new(EndpointUrl::parse(&format!("http://{upstream}"), &policy)?);
    let egress = Egress::new(EgressConfig { policy, ..EgressConfig::default() })?;
    let relay = poem::endpoint::make(move |request| {
        let (egress, endpoint) = (egress.clone(), Arc::clone(&endpoint));
        async move {
            relay(&egress, &endpoint, request).await.map_err(|error| {
                poem::Error::from_string(error.to_string(), poem::http::StatusCode::BAD_GATEWAY)
            })
        }
    });
    let config = EdgeConfig::new(Arc::new(SystemClock), Arc::new(Counter::default()));
    let app = Route::new().at("/v1/chat/completions", relay);
    costlens_edge::serve(listen().await?, app, config, parent_gone()).await?;
    Ok(())
}

async fn relay(egress: &Egress, endpoint: &EndpointUrl, request: poem::Request) -> Outcome<Response> {
    let (parts, body) = request.into_parts();
    let body = body.into_bytes().await?;
    let mut outgoing = http::Request::new(Body::new(body));
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = endpoint.uri(parts.uri.path()).ok_or("the path is no URI")?;
    *outgoing.headers_mut() = parts.headers;
    let answer = egress.send(outgoing).await?;
    Ok(Response::from(answer.map(|body| http_body_util::BodyExt::map_err(body, std::io::Error::other))))
}
