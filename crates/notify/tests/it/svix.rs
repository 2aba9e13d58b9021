//! What Svix sees of us.

use std::time::Duration;

use costlens_domain::TenantId;
use costlens_egress::{EgressConfig, Policy};
use costlens_notify::webhooks::svix::{Svix, SvixConfig, SvixEndpoint};
use costlens_notify::webhooks::{WebhookSecret, WebhookUrl};
use costlens_notify::{Retry, SendError};
use serde_json::{Value, json};

use crate::http::{Http, answer};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn tenant() -> TenantId {
    "ten_0190a5f0000070008000000000000001".parse().unwrap()
}

fn svix(server: &Http) -> Svix {
    Svix::new(SvixConfig {
        server: format!("http://{}", server.address),
        token: "sk_test.us".to_owned().into(),
        timeout: Duration::from_secs(30),
        egress: EgressConfig::default(),
    })
    .unwrap()
}

fn body(server: &Http, nth: usize) -> Value {
    serde_json::from_str(&server.seen()[nth].body).unwrap()
}

#[tokio::test]
async fn an_application_is_found_or_made_and_a_message_is_there_once() {
    let server = Http::answering("201 Created", "", "{}").await;
    let svix = svix(&server);
    svix.ensure_application(tenant(), "Northwind").await.unwrap();
    svix.send(tenant(), "events", ("evt_1", "bill.published"), &json!({ "bill": "b" })).await.unwrap();
    svix.delete_application(tenant()).await.unwrap();
    let seen = server.seen();
    assert!(seen.iter().all(|call| call.header("authorization") == Some("Bearer sk_test.us")));
    assert_eq!(seen[0].line(), "POST /api/v1/app?get_if_exists=true HTTP/1.1");
    assert_eq!(body(&server, 0), json!({ "uid": tenant().to_string(), "name": "Northwind" }));
    assert_eq!(seen[1].line(), format!("POST /api/v1/app/{}/msg HTTP/1.1", tenant()));
    assert_eq!(seen[1].header("idempotency-key"), Some("evt_1"));
    assert_eq!(body(&server, 1)["eventId"], "evt_1");
    assert_eq!(body(&server, 1)["channels"], json!(["events"]));
    assert_eq!(seen[2].line(), format!("DELETE /api/v1/app/{} HTTP/1.1", tenant()));
    assert!(!format!("{svix:?}").contains("sk_test"));
}

#[tokio::test]
async fn what_is_there_counts_as_made_and_what_is_gone_as_deleted() {
    let svix_at = |server: &Http| svix(server);
    let there = Http::answering("409 Conflict", "", "{}").await;
    svix_at(&there).send(tenant(), "events", ("evt_1", "x"), &json!({})).await.unwrap();
    svix_at(&there).ensure_event_type("bill.published", "A bill was read.").await.unwrap();
    let gone = Http::answering("404 Not Found", "", "{}").await;
    svix_at(&gone).delete_application(tenant()).await.unwrap();
    svix_at(&gone).delete_endpoint(tenant(), "end_1").await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_is_there_is_brought_to_its_url_and_secret() {
    let server = Http::start(|seen| {
        let line = seen.line();
        if line.starts_with("POST") && line.contains("/endpoint HTTP") {
            answer("409 Conflict", "", "{}")
        } else if line.starts_with("GET") {
            answer("200 OK", "", "{\"key\":\"whsec_old\"}")
        } else {
            answer("200 OK", "", "{}")
        }
    })
    .await;
    let (url, secret) = (
        WebhookUrl::parse("https://example.org/hook", &Policy::default()).unwrap(),
        WebhookSecret::parse(SECRET).unwrap(),
    );
    let endpoint = SvixEndpoint {
        uid: "end_1",
        url: &url,
        filter_types: &[],
        channels: &["events", "end_1"],
        secret: &secret,
    };
    svix(&server).ensure_endpoint(tenant(), &endpoint).await.unwrap();
    let lines: Vec<String> = server.seen().iter().map(|call| call.line().to_owned()).collect();
    let base = format!("/api/v1/app/{}/endpoint", tenant());
    assert_eq!(
        lines,
        [
            format!("POST {base} HTTP/1.1"),
            format!("PUT {base}/end_1 HTTP/1.1"),
            format!("GET {base}/end_1/secret HTTP/1.1"),
            format!("POST {base}/end_1/secret/rotate HTTP/1.1"),
        ]
    );
    assert_eq!(body(&server, 0)["secret"], SECRET);
    assert!(body(&server, 0)["eventTypes"].is_null());
    assert_eq!(body(&server, 1)["url"], "https://example.org/hook");
    assert!((0..2).all(|nth| body(&server, nth)["channels"] == json!(["events", "end_1"])));
    assert_eq!(body(&server, 3), json!({ "key": SECRET }));
}

#[tokio::test]
async fn each_failure_has_its_meaning() {
    for (status, headers, want) in [
        ("401 No", "", Some(Retry::Later)),
        ("422 Bad", "", Some(Retry::Never)),
        ("429 Slow", "Retry-After: 3\r\n", Some(Retry::After(Duration::from_secs(3)))),
        ("500 Oops", "", None),
    ] {
        let server = Http::answering(status, headers, "{}").await;
        let failed = svix(&server).send(tenant(), "events", ("evt_1", "x"), &json!({})).await.unwrap_err();
        match want {
            Some(want) => {
                assert!(matches!(failed, SendError::NotSent { retry, .. } if retry == want), "{failed:?}");
            }
            None => assert!(failed.may_have_been_sent(), "{failed:?}"),
        }
    }
    let server = Http::answering("200 OK", "", "{}").await;
    for id in ["../x", "a/b", "..", ""] {
        assert!(svix(&server).delete_endpoint(tenant(), id).await.is_err(), "{id:?}");
    }
    assert!(server.seen().is_empty());
}
