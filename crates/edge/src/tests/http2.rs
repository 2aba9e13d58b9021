//! The same promises over HTTP/2, on the same port.

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::rig::{Rig, config};
use crate::BodyRule;

#[tokio::test]
async fn requests_over_http2_share_a_connection_and_obey_the_same_limits() {
    let mut config = config();
    config.body = BodyRule { max_bytes: 1_000, deadline: std::time::Duration::from_secs(10) };
    let rig = Rig::start(config).await;
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);

    for (method, path, bytes, status) in [
        ("GET", "/hello", 0, StatusCode::OK),
        ("POST", "/count", 1_000, StatusCode::OK),
        ("POST", "/count", 1_001, StatusCode::PAYLOAD_TOO_LARGE),
        ("GET", "/nothing", 0, StatusCode::NOT_FOUND),
        ("GET", "/panics", 0, StatusCode::INTERNAL_SERVER_ERROR),
        ("GET", "/hello", 0, StatusCode::OK),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://edge{path}"))
            .body(Full::<bytes::Bytes>::from("x".repeat(bytes)))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let headers = response.headers().clone();
        assert_eq!(headers["x-frame-options"], "DENY");
        assert!(headers.contains_key("x-request-id") && !headers.contains_key("connection"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        if !status.is_success() {
            assert_eq!(headers["content-type"], "application/problem+json");
            assert!(!String::from_utf8_lossy(&body).contains("secret"));
        }
    }
    drop(sender);
    driver.await.unwrap().unwrap();
}
