//! The clients: 16 kept connections, as fast as they are answered or at a fixed rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Outcome;

/// How many connections carry the load.
pub(crate) const CONNECTIONS: usize = 16;

/// Whom to call, and with what.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) model: String,
    /// The relay's process.
    pub(crate) pid: u32,
}

/// Latencies, sorted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self(samples)
    }

    /// The least latency that this many of 1000 samples do not exceed.
    pub(crate) fn permille(&self, permille: usize) -> Duration {
        let rank = (self.0.len() * permille).div_ceil(1000).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.0.extend(more.0);
        self.0.sort_unstable();
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// How many took at least this long.
    pub(crate) fn at_least(&self, limit: Duration) -> usize {
        self.0.len() - self.0.partition_point(|latency| *latency < limit)
    }
}

/// One kept connection.
struct Caller {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
    plain: Bytes,
    streamed: Bytes,
}

impl Caller {
    async fn connect(target: &Target) -> Outcome<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let body = |stream: &str| {
            let model = &target.model;
            Bytes::from(format!(
                r#"{{"model":"{model}",{stream}"messages":[{{"role":"system","content":"You are terse."}},{{"role":"user","content":"Say something of ten tokens, please."}}]}}"#
            ))
        };
        Ok(Self { sender, target: target.clone(), plain: body(""), streamed: body(r#""stream":true,"#) })
    }

    /// One call, read to its end; what came, or an error unless it was a 200.
    async fn call(&mut self, streamed: bool) -> Outcome<Bytes> {
        self.sender.ready().await?;
        let body = if streamed { self.streamed.clone() } else { self.plain.clone() };
        let request = Request::post("/v1/chat/completions")
            .header(HOST, "bench.example.com")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.target.key))
            .body(Full::new(body))?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            let said = String::from_utf8_lossy(&body);
            return Err(format!("{} answered {status}: {said}", self.target.name).into());
        }
        Ok(body)
    }
}

/// One plain and one streamed answer, to compare byte for byte.
pub(crate) async fn sample(target: &Target) -> Outcome<(Bytes, Bytes)> {
    let mut caller = Caller::connect(target).await?;
    Ok((caller.call(false).await?, caller.call(true).await?))
}

/// As many plain calls as the time allows, each connection sending its next as soon as it has an answer.
pub(crate) async fn closed_loop(target: &Target, time: Duration) -> Outcome<Latencies> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut caller = Caller::connect(target).await?;
        let stop = Arc::clone(&stop);
        workers.push(tokio::spawn(async move {
            let mut samples = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                caller.call(false).await?;
                samples.push(begun.elapsed());
            }
            Outcome::Ok(samples)
        }));
    }
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    gather(workers).await
}

/// Plain calls at a fixed rate. A call's time begins when it was due, so that a stall counts for every call that
/// it held up.
pub(crate) async fn fixed_rate(target: &Target, per_second: u32, time: Duration) -> Outcome<Latencies> {
    let interval = Duration::from_secs(1) * u32::try_from(CONNECTIONS)? / per_second.max(1);
    let first = Instant::now() + Duration::from_millis(50);
    let mut workers = Vec::new();
    for at in 0..CONNECTIONS {
        let mut caller = Caller::connect(target).await?;
        let mut due = first + interval * u32::try_from(at)? / u32::try_from(CONNECTIONS)?;
        workers.push(tokio::spawn(async move {
            let mut samples = Vec::new();
            while due < first + time {
                tokio::time::sleep_until(due.into()).await;
                // The timer's own slack of up to a millisecond is not the relay's: begin when we woke, unless the
                // call before made us late.
                let woke = Instant::now();
                let begun = if woke.duration_since(due) > Duration::from_millis(2) { due } else { woke };
                caller.call(false).await?;
                samples.push(begun.elapsed());
                due += interval;
            }
            Outcome::Ok(samples)
        }));
    }
    gather(workers).await
}

/// Streams, one after another on one connection.
pub(crate) async fn streams(target: &Target, count: usize) -> Outcome<Latencies> {
    let mut caller = Caller::connect(target).await?;
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        caller.call(true).await?;
        samples.push(begun.elapsed());
    }
    Ok(Latencies::of(samples))
}

async fn gather(workers: Vec<tokio::task::JoinHandle<Outcome<Vec<Duration>>>>) -> Outcome<Latencies> {
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await??);
    }
    Ok(Latencies::of(all))
}
