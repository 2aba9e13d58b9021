//! Clients that do not take their answers, those that take them slowly, and answers that are slowly made.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use poem::{Body, Response, Route, get, handler};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::rig::{PATIENCE, Rig, config};
use crate::EdgeConfig;
use crate::connection::{ConnectionState, Overdue};
use crate::taking::LEAST_TAKEN;

const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// Much longer than [`WRITE_TIMEOUT`].
const PAUSE: Duration = Duration::from_secs(2);
const PIECES: usize = 32;

#[handler]
fn large() -> Vec<u8> {
    vec![b'x'; 32 * 1024 * 1024]
}

#[handler]
fn pieces() -> Vec<u8> {
    vec![b'x'; PIECES * LEAST_TAKEN]
}

#[handler]
fn pausing() -> Response {
    let chunks = futures_util::stream::unfold(0, |sent| async move {
        match sent {
            0 => Some((Ok::<_, std::io::Error>("begin, "), 1)),
            1 => {
                tokio::time::sleep(PAUSE).await;
                Some((Ok("end"), 2))
            }
            _ => None,
        }
    });
    Response::builder().body(Body::from_bytes_stream(chunks))
}

fn impatient() -> EdgeConfig {
    EdgeConfig { write_timeout: WRITE_TIMEOUT, ..config() }
}

async fn start(config: EdgeConfig) -> Rig {
    let app = Route::new()
        .at("/large", get(large))
        .at("/pieces", get(pieces))
        .at("/pausing", get(pausing))
        .at("/pausing/again", get(pausing));
    Rig::serving(app, config).await
}

/// A client that gives each answer this much room until it was read. It answers every ping.
async fn client(rig: &Rig, window: u32) -> (SendRequest<Empty<Bytes>>, JoinHandle<()>) {
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window).initial_connection_window_size(1 << 20);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(async move {
        let _however_it_ends = connection.await;
    });
    (sender, driver)
}

async fn ask(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Incoming {
    sender.ready().await.unwrap();
    let request = Request::get(format!("http://edge{path}")).body(Empty::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} never came"))
}

#[tokio::test]
async fn a_client_of_http2_that_gives_no_window_loses_its_connection() {
    let rig = start(impatient()).await;
    for path in ["/pieces", "/pausing"] {
        let (mut sender, driver) = client(&rig, 0).await;
        let answer = ask(&mut sender, path).await;
        in_time("the connection's end", driver).await.unwrap();
        assert!(answer.collect().await.is_err(), "{path}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_alone_where_others_share_its_connection() {
    let rig = start(impatient()).await;
    let (mut sender, _driver) = client(&rig, 65_535).await;
    let untaken = ask(&mut sender, "/large").await;
    let one = ask(&mut sender, "/pausing").await;
    let one = in_time("the answer beside it", one.collect()).await.unwrap().to_bytes();
    assert_eq!(one, "begin, end");
    // It was reset meanwhile: what had room is still there, and then it breaks.
    let error = in_time("its end", untaken.collect()).await.unwrap_err();
    assert!(!error.is_timeout(), "{error}");
}

#[tokio::test]
async fn an_answer_whose_maker_pauses_is_not_cut() {
    let rig = start(impatient()).await;
    let reply = rig.get("/pausing", "").await;
    assert!(reply.body.contains("begin, ") && reply.body.contains("end"), "{}", reply.body);
    let (mut sender, _driver) = client(&rig, 65_535).await;
    let (one, other) = (ask(&mut sender, "/pausing").await, ask(&mut sender, "/pausing/again").await);
    for answer in [one, other] {
        assert_eq!(in_time("an answer", answer.collect()).await.unwrap().to_bytes(), "begin, end");
    }
}

#[tokio::test]
async fn a_client_that_is_slow_and_moves_gets_all_of_a_plain_body() {
    // The whole takes longer than each limit; a piece takes a small part of it.
    let limit = Duration::from_secs(2);
    let rig = start(EdgeConfig { write_timeout: limit, idle_timeout: limit, ..config() }).await;
    let (mut sender, _driver) = client(&rig, u32::try_from(LEAST_TAKEN).unwrap()).await;
    let mut answer = ask(&mut sender, "/pieces").await;
    let mut taken = 0;
    while let Some(frame) = answer.frame().await {
        taken += frame.unwrap().into_data().map_or(0, |data| data.len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(taken, PIECES * LEAST_TAKEN);
}

#[tokio::test]
async fn a_client_of_http1_that_takes_nothing_loses_its_connection() {
    let rig = start(impatient()).await;
    let mut client = rig.connect().await;
    client.write("GET /large HTTP/1.1\r\nHost: edge\r\n\r\n").await;
    tokio::time::sleep(PAUSE).await;
    let (mut taken, mut buffer) = (0, vec![0; 64 * 1024]);
    let taking = async {
        while let Ok(read @ 1..) = client.stream.read(&mut buffer).await {
            taken += read;
        }
    };
    in_time("the connection's end", taking).await;
    assert!(taken < 32 * 1024 * 1024, "all of it came");
}

#[test]
fn a_few_bytes_now_and_then_are_not_enough() {
    let config = EdgeConfig { write_timeout: Duration::from_millis(40), ..config() };
    let state = Arc::new(ConnectionState::new());
    let _open = state.begin(false);
    let trickle = |bytes: usize| {
        state.blocked();
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(20));
            state.took(bytes);
            state.blocked();
        }
    };
    trickle(100);
    assert_eq!(state.overdue(&config), Some(Overdue::Write));
    state.took_all();
    assert_eq!(state.overdue(&config), None);

    let patient = EdgeConfig { write_timeout: Duration::from_mins(1), ..config.clone() };
    trickle(LEAST_TAKEN / 4);
    state.took(LEAST_TAKEN);
    assert_eq!((state.overdue(&config), state.overdue(&patient)), (None, None));
}
