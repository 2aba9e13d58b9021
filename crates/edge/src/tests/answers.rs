//! What every answer carries, whoever wrote it.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::rig::{Rig, config};

#[tokio::test]
async fn every_kind_of_answer_carries_the_hardening_headers() {
    let rig = Rig::start(config()).await;
    for (path, status) in [
        ("/hello", 200),
        ("/page", 200),
        ("/own", 200),
        ("/stream", 200),
        ("/nothing", 404),
        ("/count", 405),
        ("/panics", 500),
        ("/fails", 500),
    ] {
        let reply = rig.get(path, "").await;
        assert_eq!(reply.status, status, "{path}");
        reply.assert_hardened();
    }
    let head = rig.send("HEAD /hello HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n").await;
    head.assert_hardened();
}

#[tokio::test]
async fn what_cannot_be_parsed_is_answered_with_a_problem_and_all_headers_too() {
    let rig = Rig::start(config()).await;
    let large = format!("GET /hello HTTP/1.1\r\nHost: edge\r\nX-Large: {}\r\n\r\n", "x".repeat(40_000));
    let huge = format!("GET /hello HTTP/1.1\r\nHost: edge\r\nX-Huge: {}\r\n\r\n", "x".repeat(200_000));
    let many = format!("GET /hello HTTP/1.1\r\nHost: edge\r\n{}\r\n", "X-Many: 1\r\n".repeat(101));
    for (request, status, code) in [
        ("NOT HTTP AT ALL\r\n\r\n", 400, "invalid_request"),
        ("GET /hello HTTP/1.1\r\nHost: edge\r\nBad Header: 1\r\n\r\n", 400, "invalid_request"),
        ("GET /hello HTTP/1.1\r\n\r\n", 400, "invalid_request"),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "invalid_request"),
        ("GET /hello HTTP/1.1\r\nHost: edge#@evil\r\n\r\n", 400, "invalid_request"),
        (large.as_str(), 431, "headers_too_large"),
        (huge.as_str(), 431, "headers_too_large"),
        (many.as_str(), 431, "headers_too_large"),
    ] {
        let reply = rig.send(request).await;
        reply.assert_problem(status, code);
        reply.assert_hardened();
    }
}

#[tokio::test]
async fn garbage_after_a_good_request_is_a_problem_too() {
    let rig = Rig::start(config()).await;
    let mut client = rig.connect().await;
    client.write("GET /hello HTTP/1.1\r\nHost: edge\r\n\r\n").await;
    assert_eq!(client.one_reply().await.body, "hello");
    client.write("GARBAGE\r\n\r\n").await;
    let reply = client.reply().await;
    reply.assert_problem(400, "invalid_request");
    reply.assert_hardened();
}

#[tokio::test]
async fn framework_errors_and_panics_are_problems_without_the_frameworks_words() {
    let rig = Rig::start(config()).await;
    rig.get("/nothing", "").await.assert_problem(404, "not_found");
    rig.get("/count", "").await.assert_problem(405, "method_not_allowed");
    rig.get("/panics", "").await.assert_problem(500, "internal");
    rig.get("/fails", "").await.assert_problem(500, "internal");
    // The listener outlives a panic.
    assert_eq!(rig.get("/hello", "").await.body, "hello");
}

#[tokio::test]
async fn pages_get_the_pages_policy_and_an_endpoints_own_policy_wins() {
    let rig = Rig::start(config()).await;
    let data = rig.get("/hello", "").await;
    assert!(data.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let page = rig.get("/page", "").await;
    assert!(page.header("content-security-policy").unwrap().contains("script-src 'self'"));
    let own = rig.get("/own", "").await;
    assert_eq!(own.header("content-security-policy"), Some("default-src 'self'"));
}

#[tokio::test]
async fn only_an_https_listener_tells_browsers_to_stay_on_https() {
    let plain = Rig::start(config()).await;
    assert_eq!(plain.get("/hello", "").await.header("strict-transport-security"), None);
    let mut https = config();
    https.https = true;
    let https = Rig::start(https).await;
    for path in ["/hello", "/nothing", "/panics"] {
        let reply = https.get(path, "").await;
        let policy = reply.header("strict-transport-security").unwrap();
        assert!(policy.contains("includeSubDomains") && policy.contains("preload"), "{policy}");
    }
}

#[tokio::test]
async fn request_ids_are_ours_and_never_the_callers() {
    let rig = Rig::start(config()).await;
    let first = rig.get("/hello", "X-Request-Id: theirs\r\n").await;
    let second = rig.get("/hello", "X-Request-Id: theirs\r\n").await;
    let ids: Vec<_> = [&first, &second].iter().map(|reply| reply.header("x-request-id").unwrap()).collect();
    assert!(ids.iter().all(|id| id.starts_with("req_")) && ids[0] != ids[1], "{ids:?}");
}

#[tokio::test]
async fn a_streams_chunks_arrive_one_by_one_without_stalls() {
    let rig = Rig::start(config()).await;
    // On one connection, because a kernel only delays acknowledgements once it has seen questions and answers
    // take turns. A busy machine may delay any chunk; without TCP_NODELAY one stalls 40 ms in every round.
    let mut client = rig.connect().await;
    let mut quickest = Duration::MAX;
    for _ in 0..50 {
        client.write("GET /stream HTTP/1.1\r\nHost: edge\r\n\r\n").await;
        let mut text = String::new();
        let mut pieces = 0;
        let mut longest = Duration::ZERO;
        let mut buffer = [0; 4096];
        while !text.ends_with("\r\n0\r\n\r\n") {
            let last = Instant::now();
            let read = client.stream.read(&mut buffer).await.unwrap();
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            longest = longest.max(last.elapsed());
            pieces += 1;
        }
        assert!(pieces >= 32, "the answer came in {pieces} pieces");
        quickest = quickest.min(longest);
        if quickest < Duration::from_millis(30) {
            return;
        }
    }
    panic!("in no round was the longest wait for a chunk less than {quickest:?}");
}
