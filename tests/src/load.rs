//! Programs that call without pause, streaming and not, in both dialects, and remember what became of each call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::task::JoinSet;

use crate::actors::{CHAT, MESSAGES, Program, call_id};
use crate::fake_llm::{FakeLlm, Line};
use crate::http;
use crate::reply::{Reply, Tokens};

/// What became of a call, as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The answer arrived to its last word.
    Whole,
    /// A status that is no success, with its body.
    Refused(u16, String),
    /// The answer did not come, or not whole.
    Broken(String),
}

/// A call under its program's own id.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Called {
    pub id: String,
    pub fate: Fate,
}

/// Load that goes on until it is told to stop.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    workers: JoinSet<Vec<Called>>,
}

/// The tokens of a call, different from call to call, so that no row can pass for another's.
#[must_use]
pub fn tokens_of(id: &str) -> Tokens {
    let number: u64 = id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    Tokens::plain(100 + number % 8_999, 1 + number % 97)
}

/// A line that answers each call with its own tokens, a little late, streams word by word.
#[must_use]
pub fn line(llm: &FakeLlm) -> Line {
    llm.line(|heard| {
        let tokens = tokens_of(heard.caller_id());
        let late = Duration::from_millis(tokens.output % 7);
        Reply::to(&heard.call, &heard.path, tokens).after(late).paced(Duration::from_millis(2))
    })
}

impl Load {
    /// So many workers that call with this program.
    #[must_use]
    pub fn start(program: &Program, workers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut all = JoinSet::new();
        for worker in 0..workers {
            let (program, stop) = (program.clone(), Arc::clone(&stop));
            all.spawn(async move { work(&program, worker, &stop).await });
        }
        Self { stop, workers: all }
    }

    /// Lets every worker end its call, and gives all calls.
    pub async fn finish(self) -> Vec<Called> {
        self.stop.store(true, Ordering::SeqCst);
        let calls = tokio::time::timeout(crate::PATIENCE, self.workers.join_all()).await;
        calls.expect("a call hangs").into_iter().flatten().collect()
    }
}

async fn work(program: &Program, worker: usize, stop: &AtomicBool) -> Vec<Called> {
    let mut calls = Vec::new();
    let mut turn = worker;
    while !stop.load(Ordering::SeqCst) {
        let (path, model) =
            if turn.is_multiple_of(2) { (CHAT, "gpt-4o-mini") } else { (MESSAGES, "claude-sonnet-4-5") };
        let stream = turn % 4 < 2;
        turn += 1;
        let id = call_id();
        let fate = call(program, path, model, stream, &id).await;
        let gone = matches!(fate, Fate::Broken(_));
        calls.push(Called { id, fate });
        if gone {
            // The server is being killed: this worker's connection is not the only one.
            break;
        }
    }
    calls
}

/// One call, read to its end.
pub async fn call(program: &Program, path: &str, model: &str, stream: bool, id: &str) -> Fate {
    let body = json!({
        "model": model, "max_tokens": 256, "stream": stream, "messages": [{"role": "user", "content": id}],
    });
    match read(program, path, stream, id, body.to_string()).await {
        Ok(fate) => fate,
        Err(error) => Fate::Broken(format!("{error:?}")),
    }
}

async fn read(
    program: &Program,
    path: &str,
    stream: bool,
    id: &str,
    body: String,
) -> Result<Fate, http::Failure> {
    let answer = program.try_open(path, id, body).await?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut text = Vec::new();
    let broken = loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                text.extend_from_slice(frame.data_ref().map(|data| &data[..]).unwrap_or_default());
            }
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    if status != 200 {
        return Ok(Fate::Refused(status, text));
    }
    // A client that has the last word has its answer, whatever becomes of the connection.
    let last_word = if path == CHAT { "data: [DONE]\n\n" } else { "\"type\": \"message_stop\"}\n\n" };
    Ok(match broken {
        None if !stream || text.ends_with(last_word) => Fate::Whole,
        Some(_) if stream && text.ends_with(last_word) => Fate::Whole,
        other => Fate::Broken(format!("the answer broke off: {other:?}")),
    })
}
