//! Signed calls as a receiver sees them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use costlens_egress::Policy;
use costlens_notify::webhooks::{
    Attempt, Outcome, SCHEDULE, WebhookMessage, WebhookSecret, WebhookUrl, deliver,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use crate::http::{HANG, Http, answer};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_614_265_330, 0).unwrap()
}

async fn attempt(server: &Http, secrets: &[WebhookSecret]) -> Attempt {
    attempt_within(Duration::from_secs(30), server, secrets).await
}

async fn attempt_within(limit: Duration, server: &Http, secrets: &[WebhookSecret]) -> Attempt {
    let url =
        WebhookUrl::parse(&format!("http://{}/hook?token=a%20b", server.address), &server.policy()).unwrap();
    let message = WebhookMessage::new("evt_1", at(), &json!({ "type": "bill.published" })).unwrap();
    deliver(&server.egress(), &url, secrets, &message, limit).await
}

fn secrets() -> Vec<WebhookSecret> {
    vec![WebhookSecret::parse(SECRET).unwrap()]
}

/// HMAC-SHA-256 by another implementation than the one that signs.
fn signed(secret: &str, content: &str) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(content.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[test]
fn the_specifications_known_answer_comes_out() {
    // The example of the reference implementations: this secret, id, time and body.
    let message =
        WebhookMessage::new("msg_p5jXN8AQM9LWM0D4loKWxJek", at(), &json!({ "test": 2_432_232_314_u64 }))
            .unwrap();
    let theirs = signed(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\":2432232314}");
    assert_eq!(message.signatures(&secrets()).unwrap(), theirs);
    // As printed there, over a body with a blank after the colon.
    let printed = signed(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}");
    assert_eq!(printed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn a_secret_is_24_to_64_bytes_and_tells_nothing() {
    for (bytes, fits) in [(23, false), (24, true), (64, true), (65, false)] {
        let text = format!("whsec_{}", STANDARD.encode(vec![7_u8; bytes]));
        assert_eq!(WebhookSecret::parse(&text).is_ok(), fits, "{bytes} bytes");
    }
    assert!(WebhookSecret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
    let made = WebhookSecret::generate(&costlens_vault::OsEntropy);
    assert_eq!(WebhookSecret::parse(&made.reveal()).unwrap(), made);
    assert_eq!(format!("{made:?}"), "WebhookSecret(…)");
}

#[tokio::test]
async fn a_call_carries_id_time_and_a_signature_for_each_secret() {
    let server = Http::answering("204 No Content", "", "").await;
    let other = format!("whsec_{}", STANDARD.encode([9_u8; 32]));
    let both = [WebhookSecret::parse(&other).unwrap(), WebhookSecret::parse(SECRET).unwrap()];
    let got = attempt(&server, &both).await;
    assert_eq!((got.outcome, got.status, got.code), (Outcome::Delivered, Some(204), "delivered"));
    let seen = &server.seen()[0];
    assert_eq!(seen.line(), "POST /hook?token=a%20b HTTP/1.1");
    assert_eq!(seen.header("webhook-id"), Some("evt_1"));
    assert_eq!(seen.header("webhook-timestamp"), Some("1614265330"));
    let content = format!("evt_1.1614265330.{}", seen.body);
    let expected = format!("{} {}", signed(&other, &content), signed(SECRET, &content));
    assert_eq!(seen.header("webhook-signature"), Some(expected.as_str()));
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let retry = |after: Option<u64>| Outcome::Retry { after: after.map(Duration::from_secs) };
    for (status, headers, outcome, code) in [
        ("200 OK", "", Outcome::Delivered, "delivered"),
        ("410 Gone", "", Outcome::Gone, "gone"),
        ("429 Slow", "Retry-After: 7\r\n", retry(Some(7)), "status"),
        ("503 Busy", "Retry-After: 99999999\r\n", retry(Some(86_400)), "status"),
        ("503 Busy", "Retry-After: soon\r\n", retry(None), "status"),
        ("500 Oops", "Retry-After: 7\r\n", retry(None), "status"),
        ("404 Not Found", "", retry(None), "status"),
        ("302 Found", "Location: http://127.0.0.1:1/\r\n", retry(None), "redirect"),
    ] {
        let server = Http::answering(status, headers, "said").await;
        let got = attempt(&server, &secrets()).await;
        assert_eq!((got.outcome, got.code, got.answer_excerpt.as_str()), (outcome, code, "said"), "{status}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn an_attempt_is_bounded_in_time_and_in_what_it_reads() {
    let server = Http::start(|_| answer("500 Oops", "", &"\u{0}ä".repeat(300_000))).await;
    let got = attempt(&server, &secrets()).await;
    assert!(got.answer_excerpt.len() <= 1024 && !got.answer_excerpt.contains('\0'));
    let server = Http::start(|_| HANG.to_owned()).await;
    let got = attempt_within(Duration::from_millis(500), &server, &secrets()).await;
    assert_eq!((got.code, got.status), ("timeout", None));
    assert!((450..60_000).contains(&got.millis), "{}", got.millis);
    let server = Http::start(|_| String::new()).await;
    assert_eq!(attempt(&server, &secrets()).await.code, "connection_broken");
}

#[tokio::test]
async fn nothing_goes_out_unsigned_or_to_a_private_address() {
    let server = Http::answering("200 OK", "", "").await;
    assert_eq!(attempt(&server, &[]).await.code, "unsigned");
    assert!(server.seen().is_empty());
    assert!(WebhookUrl::parse("https://10.0.0.1/x?y", &Policy::default()).is_err());
    assert!(WebhookUrl::parse("https://example.org/x?a#b", &Policy::default()).is_err());
    let url = WebhookUrl::parse("https://example.org/x?sig=secret", &Policy::default()).unwrap();
    assert_eq!(format!("{url:?}"), "WebhookUrl(https://example.org/x?…)");
}

#[test]
fn ids_that_would_blur_what_is_signed_are_refused() {
    for id in ["", "a.b", "a b", "a\r\nb", "ä"] {
        assert!(WebhookMessage::new(id, at(), &json!({})).is_err(), "{id:?}");
    }
}

#[test]
fn eight_attempts_take_a_bit_more_than_27_hours() {
    assert_eq!(SCHEDULE.iter().sum::<Duration>(), Duration::from_secs(5 + 35 * 60 + 27 * 3600));
}
