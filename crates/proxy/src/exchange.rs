//! The exchange with a provider: sending, relaying, and never losing count of it.
//!
//! The relay passes frames on as they come and reads them in passing. It keeps two promises that pull against
//! each other: no byte waits without need, and the ledger knows the usage before the client has the last byte.
//! So only the event that ends a stream (or the whole of a plain answer) waits for the completion's write.
//!
//! When the client hangs up, hyper drops whatever future or body holds the [`Exchange`]; its `Drop` then either
//! reads on in a task of its own (`drain`) or records what was seen (`abort`).

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use costlens_domain::request::HangupPolicy;
use costlens_egress::EgressError;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use crate::bodies::Capture;
use crate::call::{Call, Ending};
use crate::memory::{Held, Memory, join};
use crate::usage::sse::EventSplitter;
use crate::usage::{EventKind, Meter};

/// Where an answer's bytes come from.
pub(crate) enum Source {
    /// A provider.
    Provider(Incoming),
    /// The built-in one.
    Demo(VecDeque<Bytes>),
}

impl Source {
    async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        match self {
            Self::Demo(frames) => frames.pop_front().map(Ok),
            Self::Provider(body) => loop {
                match body.frame().await? {
                    Ok(frame) => {
                        if let Ok(data) = frame.into_data() {
                            return Some(Ok(data));
                        }
                    }
                    Err(error) => return Some(Err(error)),
                }
            },
        }
    }
}

/// The head of an answer, and its bytes to come.
pub(crate) struct Head {
    pub(crate) parts: http::response::Parts,
    pub(crate) source: Source,
}

type Sending = Pin<Box<dyn Future<Output = Result<Head, EgressError>> + Send>>;

enum Stage {
    Sending(Sending),
    Answering(Source),
    Over,
}

/// Bounds of an exchange.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    pub(crate) drain: Duration,
    pub(crate) drains: Arc<Semaphore>,
    pub(crate) metered_bytes: usize,
    pub(crate) memory: Memory,
    /// How long a plain answer waits for memory: the provider has worked for it already.
    pub(crate) room_within: Duration,
}

/// Why there is no answer to relay.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    Egress(EgressError),
    Timeout,
}

/// Why an answer broke in the middle; the client's stream breaks with it.
#[derive(Debug, thiserror::Error)]
#[error("the provider's answer broke off")]
pub(crate) struct BrokenAnswer;

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) enum NotWhole {
    /// It broke in the middle.
    Broken,
    /// There was no memory for it.
    NoRoom,
}

/// One call and the provider's answer to it.
pub(crate) struct Exchange {
    call: Option<Call>,
    stage: Stage,
    meter: Meter,
    splitter: EventSplitter,
    /// Whether the answer is a stream of events; otherwise it is read whole.
    streams: bool,
    /// The frames of a plain answer.
    plain: Vec<Bytes>,
    plain_bytes: usize,
    /// The memory for them.
    held: Held,
    /// Take the usage chunk out again: we asked for it, not the client.
    strip_usage: bool,
    /// Ready to go to the client.
    ready: VecDeque<Bytes>,
    status: u16,
    /// What passes, where it is to be kept.
    capture: Option<Box<Capture>>,
    /// The client has hung up, and the rest is read for the row alone.
    abandoned: bool,
    hangup: HangupPolicy,
    limits: Limits,
}

impl Exchange {
    pub(crate) fn new(
        call: Call,
        sending: Sending,
        meter: Meter,
        hangup: HangupPolicy,
        limits: Limits,
        capture: Option<Box<Capture>>,
    ) -> Self {
        Self {
            call: Some(call),
            stage: Stage::Sending(sending),
            meter,
            splitter: EventSplitter::default(),
            streams: false,
            plain: Vec::new(),
            plain_bytes: 0,
            held: Held::default(),
            strip_usage: false,
            ready: VecDeque::new(),
            status: 0,
            capture,
            abandoned: false,
            hangup,
            limits,
        }
    }

    /// Sends the request and waits for the head. An answer that does not come is recorded here.
    pub(crate) async fn head(&mut self) -> Result<http::response::Parts, NoAnswer> {
        let Stage::Sending(sending) = &mut self.stage else { return Err(NoAnswer::Timeout) };
        match tokio::time::timeout(self.limits.first_byte, sending.as_mut()).await {
            Ok(Ok(Head { parts, source })) => {
                self.stage = Stage::Answering(source);
                self.status = parts.status.as_u16();
                self.streams = parts.status.is_success() && is_event_stream(&parts.headers);
                if let Some(capture) = &mut self.capture {
                    capture.answer_begins(self.streams, &parts.headers);
                }
                if let Some(call) = &mut self.call {
                    call.answered(self.status, request_id_of(&parts.headers));
                }
                Ok(parts)
            }
            Ok(Err(error)) => {
                let code = error.code();
                let ending =
                    if error.may_have_been_sent() { Ending::Broken(code) } else { Ending::NeverSent(code) };
                self.record(ending).await;
                Err(NoAnswer::Egress(error))
            }
            Err(_) => {
                self.record(Ending::Broken("upstream_timeout")).await;
                Err(NoAnswer::Timeout)
            }
        }
    }

    /// Whether the answer is a stream of events, once its head is here.
    pub(crate) fn streams(&self) -> bool {
        self.streams
    }

    /// Takes OpenAI's extra usage chunk out of the stream.
    pub(crate) fn strip_usage(&mut self) {
        self.strip_usage = true;
    }

    /// The whole of a plain answer, recorded before it is given out.
    pub(crate) async fn whole(&mut self) -> Result<Bytes, NotWhole> {
        while let Some(frame) = self.read().await {
            let Ok(frame) = frame else {
                self.record(Ending::Broken("upstream_broken")).await;
                return Err(NotWhole::Broken);
            };
            let bytes = frame.len();
            self.plain_bytes = self.plain_bytes.saturating_add(bytes);
            self.plain.push(frame);
            if self.plain_bytes > self.limits.metered_bytes {
                self.record(Ending::Broken("answer_too_large")).await;
                return Err(NotWhole::Broken);
            }
            if !self.limits.memory.take_within(bytes, &mut self.held, self.limits.room_within).await {
                let ending = if self.abandoned { Ending::ClientGone } else { Ending::Broken("memory_spent") };
                self.record(ending).await;
                return Err(NotWhole::NoRoom);
            }
        }
        let body = std::mem::take(&mut self.held).until_dropped(join(std::mem::take(&mut self.plain)));
        self.meter.read_body(&body);
        self.record(self.ending()).await;
        Ok(body)
    }

    /// The next bytes of a stream for the client; `None` at its end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BrokenAnswer>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(Ok(bytes));
            }
            match self.read().await {
                Some(Ok(frame)) => {
                    if self.take_frame(frame) {
                        self.record(self.ending()).await;
                    }
                }
                Some(Err(BrokenAnswer)) => {
                    self.record(Ending::Broken("upstream_broken")).await;
                    return Some(Err(BrokenAnswer));
                }
                None => {
                    let rest = self.splitter.finish();
                    if !rest.is_empty() {
                        self.meter.read_event(&rest);
                        if self.strip_usage {
                            self.ready.push_back(rest);
                        }
                    }
                    self.record(self.ending()).await;
                    return self.ready.pop_front().map(Ok);
                }
            }
        }
    }

    /// Reads a frame in passing and makes it ready; true if it ends the stream.
    fn take_frame(&mut self, frame: Bytes) -> bool {
        let Self { splitter, meter, ready, strip_usage, .. } = self;
        let mut ends = false;
        let strip = *strip_usage;
        if !strip {
            ready.push_back(frame.clone());
        }
        splitter.push(frame, |event| {
            let kind = meter.read_event(&event);
            ends |= kind == EventKind::Terminal;
            if strip && kind != EventKind::UsageOnly {
                ready.push_back(event);
            }
        });
        ends
    }

    async fn read(&mut self) -> Option<Result<Bytes, BrokenAnswer>> {
        let Stage::Answering(source) = &mut self.stage else { return None };
        match tokio::time::timeout(self.limits.idle, source.next()).await {
            Ok(Some(Ok(frame))) => {
                if let Some(call) = &mut self.call {
                    call.first_byte();
                }
                if let Some(capture) = &mut self.capture {
                    capture.answer(&frame);
                }
                Some(Ok(frame))
            }
            Ok(None) => {
                self.stage = Stage::Over;
                None
            }
            Ok(Some(Err(error))) => {
                tracing::info!(%error, "a provider's answer broke off");
                self.stage = Stage::Over;
                Some(Err(BrokenAnswer))
            }
            Err(_) => {
                self.stage = Stage::Over;
                Some(Err(BrokenAnswer))
            }
        }
    }

    /// How an answer that came to its end ended.
    fn ending(&self) -> Ending {
        ending_of(self.status, self.abandoned)
    }

    /// Records once; later calls change nothing.
    async fn record(&mut self, ending: Ending) {
        if let Some(call) = self.call.take() {
            call.record(ending, &self.meter, self.capture.take()).settled().await;
        }
    }

    /// Reads the rest for nobody, so that the row is exact.
    async fn drain(mut self) {
        let in_time = self.limits.drain;
        let read_on = async {
            if matches!(self.stage, Stage::Sending(_)) && self.head().await.is_err() {
                return;
            }
            if self.streams {
                while let Some(Ok(_)) = self.next().await {}
            } else {
                // A broken answer is recorded as such.
                drop(self.whole().await);
            }
        };
        if tokio::time::timeout(in_time, read_on).await.is_err() {
            self.record(Ending::ClientGone).await;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        let permit = match self.hangup {
            HangupPolicy::Drain => Arc::clone(&self.limits.drains).try_acquire_owned().ok(),
            HangupPolicy::Abort => None,
        };
        let (Some(permit), Ok(runtime)) = (permit, tokio::runtime::Handle::try_current()) else {
            // Dropping the answer's source closes the connection to the provider.
            drop(call.record(Ending::ClientGone, &self.meter, self.capture.take()));
            return;
        };
        let rest = Self {
            call: Some(call),
            stage: std::mem::replace(&mut self.stage, Stage::Over),
            meter: std::mem::take(&mut self.meter),
            splitter: std::mem::take(&mut self.splitter),
            streams: self.streams,
            plain: std::mem::take(&mut self.plain),
            plain_bytes: self.plain_bytes,
            held: std::mem::take(&mut self.held),
            strip_usage: false,
            ready: VecDeque::new(),
            status: self.status,
            capture: self.capture.take(),
            abandoned: true,
            // A task that dies with the runtime must not spawn another.
            hangup: HangupPolicy::Abort,
            limits: self.limits.clone(),
        };
        runtime.spawn(async move {
            rest.drain().await;
            drop(permit);
        });
    }
}

/// How an answer of this status ended that came to its end. Redirects are not followed: whoever answers with one has not
/// worked for the call.
fn ending_of(status: u16, abandoned: bool) -> Ending {
    match (status, abandoned) {
        (200..300, true) => Ending::Drained,
        (200..300, false) => Ending::Complete,
        _ => Ending::Refused,
    }
}

fn is_event_stream(headers: &http::HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

/// The provider's own request id, for the row.
fn request_id_of(headers: &http::HeaderMap) -> Option<String> {
    let value = headers.get("x-request-id").or_else(|| headers.get("request-id"))?;
    value.to_str().ok().filter(|id| id.len() <= 200).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use costlens_domain::ports::Clock;
    use costlens_domain::pricing::PricesInForce;
    use costlens_domain::providers::Dialect;
    use costlens_domain::request::Durability;

    use super::*;
    use crate::call::tests::{fact, now};
    use crate::memory::BESIDE;
    use crate::spool::{Spool, SpoolConfig};

    #[derive(Debug)]
    struct Now;

    impl Clock for Now {
        fn now(&self) -> chrono::DateTime<chrono::Utc> {
            now()
        }
    }

    /// An exchange whose plain answer comes in these frames.
    fn answered_with(spool: &Spool, frames: &[&'static str], memory: &Memory) -> Exchange {
        let prices = PricesInForce::embedded().unwrap().now();
        let brief = Duration::from_millis(1);
        let fact = fact("openai", "gpt-4o");
        let call = Call::begin(spool, fact, b"{}", prices, Durability::Spool, brief).unwrap();
        let frames = frames.iter().map(|frame| Bytes::from_static(frame.as_bytes())).collect();
        let (parts, ()) = http::Response::new(()).into_parts();
        let limits = Limits {
            first_byte: Duration::from_mins(1),
            idle: Duration::from_mins(1),
            drain: Duration::from_mins(1),
            drains: Arc::new(Semaphore::new(1)),
            metered_bytes: 1_000,
            memory: memory.clone(),
            room_within: brief,
        };
        let sending = Box::pin(async move { Ok(Head { parts, source: Source::Demo(frames) }) });
        Exchange::new(call, sending, Meter::new(Dialect::OpenAiChat), HangupPolicy::Abort, limits, None)
    }

    #[tokio::test]
    async fn a_plain_answer_holds_memory_until_its_client_has_it_and_is_none_without() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, _recovered) = Spool::open(SpoolConfig::new(dir.path()), Arc::new(Now)).unwrap();
        // For a plain answer in two frames, with one byte left.
        let memory = Memory::new(2 * BESIDE + 8);
        let mut first = answered_with(&spool, &["{\"a\"", ":1}"], &memory);
        first.head().await.unwrap();
        let whole = first.whole().await.unwrap();
        drop(first);
        assert_eq!(whole, "{\"a\":1}");

        let mut second = answered_with(&spool, &["{", "}"], &memory);
        second.head().await.unwrap();
        assert!(matches!(second.whole().await, Err(NotWhole::NoRoom)));
        assert!(second.call.is_none(), "it was recorded all the same");
        drop((second, whole));

        let mut third = answered_with(&spool, &["{", "}"], &memory);
        third.head().await.unwrap();
        assert_eq!(third.whole().await.unwrap(), "{}");
    }

    #[test]
    fn only_a_success_is_an_answer_that_was_worked_for() {
        for status in [301, 302, 304, 307, 308, 400, 429, 500, 529] {
            for abandoned in [false, true] {
                assert_eq!(ending_of(status, abandoned), Ending::Refused, "{status}");
            }
        }
        for status in [200, 201, 299] {
            assert_eq!(ending_of(status, false), Ending::Complete, "{status}");
            assert_eq!(ending_of(status, true), Ending::Drained, "{status}");
        }
    }
}
