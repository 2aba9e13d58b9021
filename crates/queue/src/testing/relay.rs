//! One connection through a tap: messages in both directions, and the one that is struck.
//! <https://www.postgresql.org/docs/15/protocol-message-formats.html>

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{OnHit, Side, Tapped};

/// No message of a test is longer.
const MOST: usize = 256 << 20;

/// The answers of one connection: how many requests went out, how many were answered, and which is to be struck at its
/// answer.
#[derive(Default)]
struct Answers {
    asked: u64,
    answered: u64,
    strike: Option<(u64, String, OnHit)>,
}

type Shared = Arc<Mutex<Answers>>;

fn with<T>(answers: &Shared, work: impl FnOnce(&mut Answers) -> T) -> T {
    work(&mut answers.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Relays until either end closes, or the tap strikes here.
pub(super) async fn relay(
    client: UnixStream,
    from_server: impl AsyncRead + Unpin + Send,
    to_server: impl AsyncWrite + Unpin + Send,
    tapped: &Tapped,
) -> io::Result<()> {
    let (from_client, to_client) = client.into_split();
    let answers = Shared::default();
    tokio::select! {
        ended = requests(from_client, to_server, tapped, &answers) => ended,
        ended = replies(from_server, to_client, tapped, &answers) => ended,
    }
}

/// A message with its length, and its type before it unless it is the connection's first.
async fn message(from: &mut (impl AsyncRead + Unpin), typed: bool) -> io::Result<Vec<u8>> {
    let mut message = vec![0; if typed { 5 } else { 4 }];
    from.read_exact(&mut message).await?;
    let length = message.last_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length));
    let head = message.len();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(4..=MOST).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    message.resize(head + length - 4, 0);
    if let Some(body) = message.get_mut(head..) {
        from.read_exact(body).await?;
    }
    Ok(message)
}

/// The texts at the beginning of a message's body, each of which ends with a zero.
fn texts(message: &[u8]) -> impl Iterator<Item = String> {
    let body = message.get(5..).unwrap_or_default();
    body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned())
}

/// What a client has prepared and is about to run.
#[derive(Default)]
struct Statements {
    prepared: HashMap<String, String>,
    bound: HashMap<String, String>,
    runs: Vec<String>,
}

impl Statements {
    /// Notes a message. The SQL of a whole request, where the message ends one; it is empty where nothing is run.
    fn note(&mut self, message: &[u8]) -> Option<String> {
        let mut texts = texts(message);
        let mut text = || texts.next().unwrap_or_default();
        match message.first() {
            Some(b'P') => {
                let name = text();
                self.prepared.insert(name, text());
            }
            Some(b'B') => {
                let (portal, name) = (text(), text());
                self.bound.insert(portal, self.prepared.get(&name).cloned().unwrap_or_default());
            }
            Some(b'E') => self.runs.extend(self.bound.get(&text()).cloned()),
            Some(b'Q') => return Some(text()),
            Some(b'S') => return Some(std::mem::take(&mut self.runs).join("; ")),
            _ => {}
        }
        None
    }
}

async fn requests(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    tapped: &Tapped,
    answers: &Shared,
) -> io::Result<()> {
    let startup = message(&mut from, false).await?;
    to.write_all(&startup).await?;
    to.flush().await?;
    let mut statements = Statements::default();
    // A request is kept until it is whole, so that the server sees all of it or nothing.
    let mut request = Vec::new();
    loop {
        let message = message(&mut from, true).await?;
        let whole = statements.note(&message);
        // A password, data of a COPY, a flush or a farewell belongs to no request that could be kept.
        let at_once = matches!(message.first(), Some(b'p' | b'd' | b'c' | b'f' | b'H' | b'X'));
        request.extend(message);
        if let Some(sql) = whole {
            let asked = with(answers, |answers| {
                answers.asked += 1;
                answers.asked
            });
            match tapped.count(&sql) {
                None => {}
                Some((Side::Before, on_hit)) => {
                    tapped.strike(sql, on_hit);
                    return Ok(());
                }
                Some((Side::After, on_hit)) => with(answers, |answers| {
                    answers.strike = Some((asked, sql, on_hit));
                }),
            }
        } else if !at_once {
            continue;
        }
        let delay = *tapped.delay.borrow();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        to.write_all(&request).await?;
        to.flush().await?;
        request.clear();
    }
}

async fn replies(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    tapped: &Tapped,
    answers: &Shared,
) -> io::Result<()> {
    let mut signed_in = false;
    loop {
        let message = message(&mut from, true).await?;
        let ready = message.first() == Some(&b'Z');
        let struck = with(answers, |answers| {
            if ready && signed_in {
                answers.answered += 1;
            }
            let answered = answers.answered;
            answers.strike.take_if(|(asked, ..)| ready && *asked == answered)
        });
        if let Some((_, sql, on_hit)) = struck {
            tapped.strike(sql, on_hit);
            return Ok(());
        }
        // The first word of readiness ends the sign-in and answers no request.
        signed_in |= ready;
        // What belongs to the answer that is about to be lost is not heard either.
        let withheld = with(answers, |answers| {
            let next = answers.answered + 1;
            answers.strike.as_ref().is_some_and(|(asked, ..)| *asked == next)
        });
        if !withheld {
            to.write_all(&message).await?;
            to.flush().await?;
        }
    }
}
