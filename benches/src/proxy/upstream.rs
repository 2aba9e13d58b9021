//! The provider: as fast as it can, always the same 567 bytes or the same 64 chunks.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::Outcome;
use crate::child::{listen, parent_gone};

/// How long the plain answer is.
pub(crate) const ANSWER_BYTES: usize = 567;
/// How many chunks a stream has before its end mark.
pub(crate) const STREAM_CHUNKS: usize = 64;

type Answer = UnsyncBoxBody<Bytes, Infallible>;

/// Serves until the parent is gone.
pub(crate) async fn serve() -> Outcome<()> {
    let listener = listen().await?;
    let plain = Bytes::from(plain());
    let serving = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let plain = plain.clone();
            let service = service_fn(move |request| answer(request, plain.clone()));
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

/// A chat completion with usage, padded to the length that the goal speaks of.
fn plain() -> String {
    let answer = |text: &str| {
        format!(
            r#"{{"id":"chatcmpl-bench","object":"chat.completion","created":1767225600,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0}}}},"service_tier":"default"}}"#
        )
    };
    let padding = ANSWER_BYTES.saturating_sub(answer("").len());
    answer(&"x".repeat(padding))
}

async fn answer(request: Request<Incoming>, plain: Bytes) -> Result<Response<Answer>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let has = |needle: &[u8]| body.windows(needle.len()).any(|window| window == needle);
    let (kind, body) = if has(br#""stream":true"#) {
        ("text/event-stream", streamed(has(br#""include_usage":true"#)))
    } else {
        ("application/json", Full::new(plain).boxed_unsync())
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// Un-paced, but each chunk leaves before the next is made: a relay cannot take two for one.
fn streamed(with_usage: bool) -> Answer {
    const HEAD: &str = r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini-2024-07-18","#;
    let mut chunks: Vec<String> = (0..STREAM_CHUNKS)
        .map(|at| {
            let (delta, reason) = if at + 1 == STREAM_CHUNKS {
                ("{}", r#""stop""#)
            } else {
                (r#"{"content":" word"}"#, "null")
            };
            format!("{HEAD}\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n")
        })
        .collect();
    if with_usage {
        chunks.push(format!(
            "{HEAD}\"choices\":[],\"usage\":{{\"prompt_tokens\":19,\"completion_tokens\":63,\"total_tokens\":82}}}}\n\n"
        ));
    }
    chunks.push("data: [DONE]\n\n".to_owned());
    let frames = stream::iter(chunks).then(|chunk| async move {
        tokio::task::yield_now().await;
        Ok(Frame::data(Bytes::from(chunk)))
    });
    StreamBody::new(frames).boxed_unsync()
}
