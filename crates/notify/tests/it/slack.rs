//! Which URLs are Slack webhooks, and what Slack's answers mean.

use std::time::Duration;

use costlens_egress::Policy;
use costlens_notify::words::{Kind, sample};
use costlens_notify::{Retry, SendError, SlackUrl, slack};

use crate::http::{HANG, Http};

async fn post(server: &Http) -> Result<(), SendError> {
    let url =
        SlackUrl::parse(&format!("http://{}/services/T0/B0/abcd1234", server.address), &server.policy())
            .unwrap();
    slack::post(&server.egress(), &url, &sample(Kind::WeeklyDigest).slack().unwrap()).await
}

#[test]
fn only_slacks_own_webhooks_pass() {
    let policy = Policy::default();
    let good =
        SlackUrl::parse("https://hooks.slack.com/services/T01ABC/B02DEF/xyzXYZ123456", &policy).unwrap();
    assert_eq!(good.hint(), "https://hooks.slack.com/…3456");
    assert!(!format!("{good:?}").contains("xyz"));
    for bad in [
        "http://hooks.slack.com/services/T0/B0/abc",
        "https://hooks.slack.com:8443/services/T0/B0/abc",
        "https://hooks.slack.com.evil.example.org/services/T0/B0/abc",
        "https://evil.example.org/hooks.slack.com/services/T0/B0/abc",
        "https://user@hooks.slack.com/services/T0/B0/abc",
        "https://hooks.slack.com/services/T0/B0",
        "https://hooks.slack.com/services/T0/B0/abc/../../x",
        "https://hooks.slack.com/services/T0/B0/abc?x=1",
        "https://hooks.slack.com/workflows/T0/B0/abc",
        "https://hooks.slack.com/services/X0/B0/abc",
        "https://hooks.slack.com/services/T0/B0/",
        "https://127.0.0.1/services/T0/B0/abc",
        "",
    ] {
        assert!(SlackUrl::parse(bad, &policy).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_post_is_the_message_as_json() {
    let server = Http::answering("200 OK", "", "ok").await;
    post(&server).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].line(), "POST /services/T0/B0/abcd1234 HTTP/1.1");
    let sent: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(sent, sample(Kind::WeeklyDigest).slack().unwrap().to_json());
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    for status in ["403 Forbidden", "404 Not Found", "410 Gone"] {
        let failed = post(&Http::answering(status, "", "no_service").await).await.unwrap_err();
        assert!(
            matches!(&failed, SendError::ChannelGone { text, .. } if text.contains("no_service")),
            "{failed:?}"
        );
    }
    let failed = post(&Http::answering("429 Slow", "Retry-After: 30\r\n", "").await).await.unwrap_err();
    assert!(
        matches!(failed, SendError::NotSent { retry: Retry::After(wait), .. } if wait == Duration::from_secs(30)),
        "{failed:?}"
    );
    let failed = post(&Http::answering("400 Bad", "", "invalid_blocks").await).await.unwrap_err();
    assert!(matches!(failed, SendError::NotSent { retry: Retry::Never, code: Some(400), .. }), "{failed:?}");
    let failed =
        post(&Http::answering("302 Found", "Location: http://127.0.0.1:1/\r\n", "").await).await.unwrap_err();
    assert!(matches!(failed, SendError::NotSent { retry: Retry::Never, .. }), "{failed:?}");
    let failed = post(&Http::answering("500 Oops", "", "").await).await.unwrap_err();
    assert!(matches!(failed, SendError::NotSent { retry: Retry::Later, .. }), "{failed:?}");
    let failed = post(&Http::answering("504 Late", "", "").await).await.unwrap_err();
    assert!(failed.may_have_been_sent(), "{failed:?}");
}

#[tokio::test]
async fn a_missing_answer_leaves_open_what_happened() {
    let server = Http::start(|_| String::new()).await;
    let failed = post(&server).await.unwrap_err();
    assert!(matches!(failed, SendError::Unknown { .. }), "{failed:?}");
    let gone = Http::start(|_| HANG.to_owned()).await;
    let url =
        SlackUrl::parse(&format!("http://{}/services/T0/B0/abcd1234", gone.address), &gone.policy()).unwrap();
    let egress = gone.egress();
    drop(gone);
    tokio::time::sleep(Duration::from_millis(30)).await;
    let failed = slack::post(&egress, &url, &sample(Kind::BudgetAlert).slack().unwrap()).await.unwrap_err();
    assert!(matches!(failed, SendError::NotSent { retry: Retry::Later, .. }), "{failed:?}");
}
