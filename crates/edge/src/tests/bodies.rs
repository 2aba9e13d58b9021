//! Limits on bodies.

use std::time::Duration;

use super::rig::{Rig, config};
use crate::{BodyRefused, BodyRule, body_refusal};

fn strict() -> crate::EdgeConfig {
    let mut config = config();
    config.body = BodyRule { max_bytes: 1_000, deadline: Duration::from_secs(10) };
    config.body_rules =
        vec![("/uploads/".to_owned(), BodyRule { max_bytes: 200_000, deadline: Duration::from_secs(10) })];
    config
}

fn chunked(path: &str, bytes: usize) -> String {
    let chunk = format!("{:x}\r\n{}\r\n", 100, "x".repeat(100)).repeat(bytes / 100);
    format!("POST {path} HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n")
}

fn sized(path: &str, bytes: usize) -> String {
    let body = "x".repeat(bytes);
    format!("POST {path} HTTP/1.1\r\nHost: edge\r\nContent-Length: {bytes}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_body_at_the_limit_passes_and_one_byte_more_does_not() {
    let rig = Rig::start(strict()).await;
    let mut client = rig.connect().await;
    client.write(&sized("/count", 1_000)).await;
    assert_eq!(client.one_reply().await.body, "1000");
    client.write(&chunked("/count", 1_000)).await;
    assert_eq!(client.one_reply().await.body, "1000");
    client.write(&sized("/count", 1_001)).await;
    let reply = client.reply().await;
    reply.assert_problem(413, "body_too_large");
    reply.assert_hardened();
}

#[tokio::test]
async fn an_announced_oversize_body_is_refused_before_it_is_sent() {
    let rig = Rig::start(strict()).await;
    let head = "POST /count HTTP/1.1\r\nHost: edge\r\nContent-Length: 999999\r\n\r\n";
    rig.send(head).await.assert_problem(413, "body_too_large");
}

#[tokio::test]
async fn an_oversize_chunked_body_is_refused_although_it_announces_nothing() {
    let rig = Rig::start(strict()).await;
    let reply = rig.send(&chunked("/count", 1_100)).await;
    reply.assert_problem(413, "body_too_large");
    reply.assert_hardened();
}

#[tokio::test]
async fn a_client_that_sends_on_still_reads_its_refusal() {
    let rig = Rig::start(strict()).await;
    // Larger than the socket's buffers: without lingering the kernel resets the connection.
    rig.send(&sized("/count", 3_000_000)).await.assert_problem(413, "body_too_large");
}

#[tokio::test]
async fn a_prefix_may_have_larger_bodies() {
    let rig = Rig::start(strict()).await;
    let mut client = rig.connect().await;
    client.write(&sized("/uploads/count", 150_000)).await;
    assert_eq!(client.one_reply().await.body, "150000");
    rig.send(&sized("/uploads/count", 200_001)).await.assert_problem(413, "body_too_large");
}

#[tokio::test]
async fn a_body_that_stalls_or_trickles_is_given_up_with_408() {
    let mut config = strict();
    config.body.deadline = Duration::from_millis(300);
    let rig = Rig::start(config).await;
    let head = "POST /count HTTP/1.1\r\nHost: edge\r\nContent-Length: 500\r\n\r\n";
    let reply = rig.send(&format!("{head}xxx")).await;
    reply.assert_problem(408, "request_timeout");
    reply.assert_hardened();

    let mut client = rig.connect().await;
    client.write(head).await;
    let trickling = async {
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            if tokio::io::AsyncWriteExt::write_all(&mut client.stream, b"x").await.is_err() {
                break;
            }
        }
    };
    // The writes end with the answer's arrival or soon after; what matters is that the answer is there.
    let _ = tokio::time::timeout(Duration::from_millis(900), trickling).await;
    client.reply().await.assert_problem(408, "request_timeout");
}

#[test]
fn a_refusal_is_found_inside_the_errors_that_wrap_it() {
    let refused = BodyRefused::TooLarge { max_bytes: 7 };
    let error = std::io::Error::other(std::io::Error::other(refused));
    assert_eq!(body_refusal(&error), Some(&refused));
    let wrapped = poem::error::ReadBodyError::Io(std::io::Error::other(refused));
    assert_eq!(body_refusal(&wrapped), Some(&refused));
    assert_eq!(body_refusal(&std::io::Error::other("else")), None);
}
