//! The floor: what a relay costs that knows nothing. Hyper in, hyper's pooled client out, bodies streamed through,
//! TCP_NODELAY on both sides.

use http::uri::{Authority, Scheme};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::Outcome;
use crate::child::{listen, parent_gone};

type Relay = Client<HttpConnector, Incoming>;

/// Relays to the upstream until the parent is gone.
pub(crate) async fn serve(upstream: &str) -> Outcome<()> {
    let upstream: Authority = upstream.parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Relay = Client::builder(TokioExecutor::new()).build(connector);
    let listener = listen().await?;
    let serving = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (client, upstream) = (client.clone(), upstream.clone());
            let service = service_fn(move |request| relay(client.clone(), upstream.clone(), request));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
        #[expect(unreachable_code, reason = "names the block's type")]
        Outcome::Ok(())
    };
    tokio::select! {
        served = serving => served,
        () = parent_gone() => Ok(()),
    }
}

async fn relay(
    client: Relay,
    upstream: Authority,
    mut request: Request<Incoming>,
) -> Outcome<Response<Incoming>> {
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(upstream);
    *request.uri_mut() = Uri::from_parts(uri)?;
    request.headers_mut().remove(http::header::HOST);
    Ok(client.request(request).await?)
}
