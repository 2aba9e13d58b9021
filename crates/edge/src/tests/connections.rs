//! Slow clients, too many clients, and the end.

use std::time::Duration;

use tokio::net::TcpStream;

use super::rig::{Rig, config};

const GET: &str = "GET /hello HTTP/1.1\r\nHost: edge\r\n\r\n";

/// Far apart from each other: a busy machine takes neither for the other.
const HEADER_TIMEOUT: Duration = Duration::from_secs(1);
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

fn impatient() -> crate::EdgeConfig {
    let mut config = config();
    config.header_timeout = HEADER_TIMEOUT;
    config.idle_timeout = IDLE_TIMEOUT;
    config
}

#[tokio::test]
async fn silent_and_slow_heads_are_closed() {
    let rig = Rig::start(impatient()).await;
    let mut silent = rig.connect().await;
    let mut partial = rig.connect().await;
    partial.write("GET /hello HT").await;
    let mut preface = rig.connect().await;
    preface.write("PRI * HTTP/2.0\r\n").await;
    let mut trickle = rig.connect().await;
    let (write, mut trickle) = {
        trickle.write("GET /hello HTTP/1.1\r\n").await;
        let (read, write) = trickle.stream.into_split();
        (write, read)
    };
    let trickling = tokio::spawn(async move {
        let mut write = write;
        for _ in 0..400 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if tokio::io::AsyncWriteExt::write_all(&mut write, b"X: 1\r\n").await.is_err() {
                break;
            }
        }
    });
    for client in [&mut silent, &mut partial, &mut preface] {
        assert!(client.until_closed().await < IDLE_TIMEOUT);
    }
    let mut buffer = [0; 64];
    let closed = tokio::io::AsyncReadExt::read(&mut trickle, &mut buffer);
    let closed = tokio::time::timeout(IDLE_TIMEOUT, closed).await.expect("a trickle holds the line");
    assert!(matches!(closed, Ok(0) | Err(_)));
    trickling.await.unwrap();
}

#[tokio::test]
async fn a_resting_connection_outlives_the_header_timeout_but_not_the_idle_timeout() {
    let mut config = impatient();
    config.header_timeout = Duration::from_millis(500);
    config.idle_timeout = Duration::from_secs(5);
    let rig = Rig::start(config).await;
    let mut client = rig.connect().await;
    client.write(GET).await;
    assert_eq!(client.one_reply().await.body, "hello");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    client.write(GET).await;
    assert_eq!(client.one_reply().await.body, "hello");
    let rested = client.until_closed().await;
    assert!(rested > Duration::from_secs(3), "closed after {rested:?}");
}

#[tokio::test]
async fn a_slow_second_head_is_closed_too() {
    let rig = Rig::start(impatient()).await;
    let mut client = rig.connect().await;
    client.write(GET).await;
    client.one_reply().await;
    client.write("GET /hel").await;
    assert!(client.until_closed().await < IDLE_TIMEOUT);
}

#[tokio::test]
async fn a_long_answer_outlives_every_header_and_idle_timeout() {
    let mut config = impatient();
    config.idle_timeout = Duration::from_millis(300);
    config.header_timeout = Duration::from_millis(300);
    let rig = Rig::start(config).await;
    assert_eq!(rig.get("/slow", "").await.body, "slow");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so_and_places_come_back() {
    let mut config = config();
    config.max_connections = 2;
    let rig = Rig::start(config).await;
    let mut first = rig.connect().await;
    first.write(GET).await;
    first.one_reply().await;
    let mut second = rig.connect().await;
    second.write(GET).await;
    second.one_reply().await;

    let mut third = rig.connect().await;
    third.write(GET).await;
    let refused = third.one_reply().await;
    refused.assert_problem(503, "unavailable");
    refused.assert_hardened();
    drop((first, third));

    for _ in 0..3_000 {
        let mut next = rig.connect().await;
        next.write(GET).await;
        if next.one_reply().await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a closed connection never gave its place back");
}

#[tokio::test]
async fn one_client_cannot_take_every_place() {
    let mut config = config();
    config.max_connections_per_client = 1;
    let rig = Rig::start(config.clone()).await;
    let mut first = rig.connect().await;
    first.write(GET).await;
    assert_eq!(first.one_reply().await.status, 200);
    let mut second = rig.connect().await;
    second.write(GET).await;
    assert_eq!(second.one_reply().await.status, 503);

    // Behind a trusted proxy stand many clients.
    config.trusted_proxies = crate::TrustedProxies::Hops(1);
    let rig = Rig::start(config).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = rig.connect().await;
        client.write(GET).await;
        assert_eq!(client.one_reply().await.status, 200);
        clients.push(client);
    }
}

#[tokio::test]
async fn a_drain_answers_what_is_open_and_takes_nothing_new() {
    let mut rig = Rig::start(config()).await;
    let mut resting = rig.connect().await;
    resting.write(GET).await;
    resting.one_reply().await;
    let mut open = rig.connect().await;
    open.write("GET /slow HTTP/1.1\r\nHost: edge\r\n\r\n").await;
    rig.has_begun().await;

    rig.ask_to_stop();
    let reply = open.reply().await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "slow"));
    resting.until_closed().await;
    assert!(TcpStream::connect(rig.address).await.is_err(), "a draining listener took a connection");
    let drained = rig.drained().await;
    assert_eq!((drained.finished, drained.cut), (2, 0));
}

#[tokio::test]
async fn a_drain_ends_in_bounded_time() {
    let mut config = config();
    config.drain_timeout = Duration::from_millis(100);
    let mut rig = Rig::start(config).await;
    let mut open = rig.connect().await;
    open.write("GET /never HTTP/1.1\r\nHost: edge\r\n\r\n").await;
    rig.has_begun().await;
    rig.ask_to_stop();
    // Had it waited for the answer, it would not end.
    assert_eq!(rig.drained().await.cut, 1);
}
