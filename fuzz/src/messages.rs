//! Where messages go, and what signs them: Slack's addresses, webhooks' addresses and secrets, and signatures.

use std::time::SystemTime;

use chrono::DateTime;
use costlens_egress::Policy;
use costlens_notify::slack::SlackUrl;
use costlens_notify::webhooks::{WebhookMessage, WebhookSecret, WebhookUrl};
use http::HeaderMap;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) fn check(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        addresses(text);
    }
    signatures(input);
}

fn addresses(text: &str) {
    let policy = Policy::default();
    if let Ok(url) = SlackUrl::parse(text, &policy) {
        let whole = url.reveal();
        assert!(
            whole.starts_with("https://hooks.slack.com/services/T")
                || whole.starts_with("https://hooks.slack-gov.com/services/T"),
            "{text:?}"
        );
        let secret = whole.rsplit('/').next().unwrap();
        let shown = format!("{url:?}{}", url.hint());
        assert!(secret.len() <= 4 || !shown.contains(secret), "{shown} shows the secret");
    }
    if let Ok(url) = WebhookUrl::parse(text, &policy) {
        assert_eq!(WebhookUrl::parse(&url.reveal(), &policy), Ok(url.clone()), "{text:?}");
        assert!(url.reveal().starts_with("https://"), "{text:?}");
        let shown = url.shown();
        assert!(!shown.contains('?') || shown.ends_with("?…"), "{shown} shows a query");
    }
    if let Ok(secret) = WebhookSecret::parse(text) {
        assert_eq!(WebhookSecret::parse(&secret.reveal()), Ok(secret));
    }
}

#[allow(clippy::disallowed_methods, reason = "a receiver reads its own clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The input as a header of somebody who claims to be us, and as a body that we sign.
fn signatures(input: &[u8]) {
    // The judge compares with the clock of the machine.
    let at = DateTime::from(now());
    let body = serde_json::Value::String(String::from_utf8_lossy(input).into_owned());
    let signed = body.to_string();
    let secret = WebhookSecret::parse(SECRET).unwrap();
    let message = WebhookMessage::new("msg_1", at, &body).unwrap();
    let signature = message.signatures(&[secret]).unwrap();
    let judge = standardwebhooks::Webhook::new(SECRET).unwrap();
    let headers = |signature: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_1".parse().unwrap());
        headers.insert("webhook-timestamp", at.timestamp().to_string().parse().unwrap());
        let value = http::HeaderValue::from_bytes(signature).ok()?;
        headers.insert("webhook-signature", value);
        Some(headers)
    };
    let ours = headers(signature.as_bytes()).unwrap();
    assert!(judge.verify(signed.as_bytes(), &ours).is_ok(), "what we sign does not verify");
    let other = format!("{signed} ");
    assert!(judge.verify(other.as_bytes(), &ours).is_err(), "another body verifies");
    if let Some(theirs) = headers(input)
        && input.trim_ascii() != signature.as_bytes()
        && !String::from_utf8_lossy(input).contains(&signature)
    {
        assert!(judge.verify(signed.as_bytes(), &theirs).is_err(), "a made-up signature verifies");
    }
}
