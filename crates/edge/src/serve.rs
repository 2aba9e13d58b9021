//! The accept loop: take connections within the limits, watch each, and drain them all at the end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use poem::{Endpoint, IntoEndpoint};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::EdgeConfig;
use crate::connection::{ConnectionState, Overdue};
use crate::limits::{Limits, Place};
use crate::service::{Ends, Shared, answer};
use crate::socket::Socket;
use crate::taking::Streams;

/// How many refused connections are told so at a time; more are closed without a word.
const MOST_REFUSALS: usize = 64;

/// The listener cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The listener has no address.
    #[error("the listener has no address: {0}")]
    Listener(#[source] io::Error),
}

/// How a listener's connections ended after shutdown was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that ended by themselves, their requests answered.
    pub finished: usize,
    /// Connections that were cut when the time was over.
    pub cut: usize,
}

/// Serves an endpoint on a listener until `shutdown` is ready, then drains: no new connection is taken, open
/// requests are answered, and what is not done within the configured time is cut.
pub async fn serve<E>(
    listener: TcpListener,
    endpoint: E,
    config: EdgeConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<Drained, EdgeError>
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    let address = listener.local_addr().map_err(EdgeError::Listener)?;
    tracing::info!(%address, "listening");
    let drain_timeout = config.drain_timeout;
    let limits = Limits::new(config.max_connections, config.max_connections_per_client);
    let refusals = Limits::new(MOST_REFUSALS, MOST_REFUSALS);
    let builder = Arc::new(builder(&config));
    let socket_config = Arc::new(config.clone());
    let shared = Arc::new(Shared { endpoint: endpoint.into_endpoint(), config });
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);

    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: the next attempt would fail as fast. Give connections time to end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let client = (!shared.config.trusted_proxies.trusts(peer.ip())).then(|| peer.ip());
        let Some(place) = limits.take(client) else {
            tracing::debug!(%peer, "too many connections");
            if let Some(place) = refusals.take(None) {
                connections.spawn(refuse(stream, Arc::clone(&socket_config), place));
            }
            continue;
        };
        let connection = Connection {
            shared: Arc::clone(&shared),
            builder: Arc::clone(&builder),
            config: Arc::clone(&socket_config),
            stopped: stopped.clone(),
            place,
        };
        connections.spawn(connection.run(stream, peer));
    }

    drop(listener);
    stop.send_replace(true);
    Ok(drain(connections, drain_timeout).await)
}

async fn drain(mut connections: JoinSet<()>, within: Duration) -> Drained {
    let open = connections.len();
    let _ = tokio::time::timeout(within, async { while connections.join_next().await.is_some() {} }).await;
    let cut = connections.len();
    connections.shutdown().await;
    tracing::info!(connections.open = open, connections.cut = cut, "drained");
    Drained { finished: open - cut, cut }
}

fn builder(config: &EdgeConfig) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams);
    // The watchdog does what hyper's header timer would, and knows rest from trickle.
    // Heads between our limit and this buffer get a proper answer; larger ones hyper refuses itself.
    let buffer = (config.max_header_bytes as usize).saturating_mul(4).max(64 * 1024);
    builder.http1().header_read_timeout(None).max_buf_size(buffer);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(200)
        .max_pending_accept_reset_streams(20)
        .max_header_list_size(config.max_header_bytes);
    builder
}

struct Connection<E> {
    shared: Arc<Shared<E>>,
    builder: Arc<auto::Builder<Streams>>,
    config: Arc<EdgeConfig>,
    stopped: watch::Receiver<bool>,
    place: Place,
}

impl<E: Endpoint + 'static> Connection<E> {
    async fn run(self, stream: TcpStream, peer: SocketAddr) {
        let Self { shared, builder, config, mut stopped, place } = self;
        if let Err(error) = stream.set_nodelay(true) {
            // Without it every streamed answer stalls 40 ms per chunk; the peer is most likely gone already.
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let Ok(local) = stream.local_addr() else { return };
        let ends = Ends { local, peer };
        let state = Arc::new(ConnectionState::new());
        let socket = Socket::new(stream, Arc::clone(&state), Arc::clone(&config));
        let service = {
            let state = Arc::clone(&state);
            service_fn(move |request| {
                let (shared, state) = (Arc::clone(&shared), Arc::clone(&state));
                async move { Ok::<_, Infallible>(answer(shared, state, ends, request).await) }
            })
        };

        let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
        let tick = (config.header_timeout.min(config.idle_timeout).min(config.write_timeout) / 4)
            .max(Duration::from_millis(20));
        let mut timer = pin!(tokio::time::sleep(tick));
        let mut stopping = pin!(async move {
            // An error means that the sender is gone, and the loop with it.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let mut draining = false;
        let mut last_chance = None;
        std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                    return Poll::Ready(());
                }
                if !draining && stopping.as_mut().poll(cx).is_ready() {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                if last_chance.is_some_and(|at| Instant::now() >= at) {
                    return Poll::Ready(());
                }
                match state.overdue(&config) {
                    Some(Overdue::Idle) if last_chance.is_none() => {
                        last_chance = Some(Instant::now() + Duration::from_secs(1));
                        connection.as_mut().graceful_shutdown();
                    }
                    None | Some(Overdue::Idle) => {}
                    Some(why) => {
                        tracing::debug!(%peer, ?why, "a slow connection was closed");
                        return Poll::Ready(());
                    }
                }
                timer.as_mut().reset(Instant::now() + tick);
            }
        })
        .await;
        drop(place);
    }
}

/// Tells a client that there is no place for it.
async fn refuse(mut stream: TcpStream, config: Arc<EdgeConfig>, place: Place) {
    let answer = crate::socket::unavailable(&config);
    let telling = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        let mut scratch = [0; 1024];
        // Until the client hangs up: a close with unread bytes would take the answer back.
        while tokio::io::AsyncReadExt::read(&mut stream, &mut scratch).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    let _ = tokio::time::timeout(Duration::from_millis(500), telling).await;
    drop(place);
}
