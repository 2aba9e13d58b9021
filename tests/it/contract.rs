//! The contract holds: the served document is the committed one, and every error of every operation has the one
//! documented shape.

use costlens_tests::app::shared;
use costlens_tests::{http, place, run};
use serde_json::{Value, json};

#[test]
fn the_served_contract_is_the_committed_one() {
    run(async {
        let served = shared().get("/openapi.json").await.expect(200).json();
        let committed = std::fs::read_to_string(place::repository().join("openapi/openapi.json")).unwrap();
        let committed: Value = serde_json::from_str(&committed).unwrap();
        assert!(
            served == committed,
            "openapi/openapi.json is stale: `costlens openapi --out openapi/openapi.json`"
        );
    });
}

#[test]
fn every_operation_documents_its_errors_as_problems() {
    run(async {
        let contract = shared().get("/openapi.json").await.expect(200).json();
        for (path, operations) in contract["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap();
                for status in ["400", "401", "404", "500", "503"] {
                    let kinds = responses.get(status).and_then(|answer| answer["content"].as_object());
                    let kinds: Vec<_> = kinds.into_iter().flat_map(|kinds| kinds.keys()).collect();
                    assert_eq!(kinds, ["application/problem+json"], "{method} {path}: {status}");
                }
            }
        }
    });
}

#[test]
fn whatever_is_wrong_with_a_call_of_the_api_is_told_as_a_problem() {
    run(async {
        let app = shared();
        let owner = app.owner("Wrong calls").await;
        let key = json!({"name": "x"});
        for (method, path, body, status, code) in [
            ("GET", "/api/v1/nothing", None, 404, "not_found"),
            ("GET", "/api/v2/keys", None, 404, "not_found"),
            ("GET", "/api/v1/keys/key_nonsense", None, 404, "not_found"),
            ("GET", "/api/v1/requests/req_01a2041d69d577e690a9f0590fd111a0", None, 404, "not_found"),
            ("PUT", "/api/v1/keys", Some(&key), 405, "method_not_allowed"),
            ("GET", "/api/v1/requests?model=%00", None, 400, "invalid_request"),
            ("GET", "/api/v1/spend/series?provider=a%00b", None, 400, "invalid_request"),
            ("POST", "/api/v1/keys", Some(&json!({"name": "a\u{0}b"})), 400, "invalid_request"),
            ("POST", "/api/v1/keys", Some(&json!({"name": "a\nb"})), 400, "invalid_request"),
            ("GET", "/v1/chat/completions", None, 405, "method_not_allowed"),
            ("POST", "/v1/unheard/of", Some(&key), 404, "not_found"),
            ("GET", "/api/v1/keys?cursor=nonsense", None, 400, "invalid_request"),
            ("GET", "/api/v1/keys?limit=0", None, 400, "invalid_request"),
            ("GET", "/api/v1/requests?limit=100000", None, 400, "invalid_request"),
            ("GET", "/api/v1/requests?from=yesterday", None, 400, "invalid_request"),
            ("GET", "/api/v1/requests?outcome=happy", None, 400, "invalid_request"),
            (
                "GET",
                "/api/v1/spend/series?from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z",
                None,
                400,
                "invalid_request",
            ),
            ("GET", "/api/v1/requests?from=-9999-01-01T00:00:00Z", None, 400, "invalid_request"),
            ("GET", "/api/v1/requests?to=%2B262142-12-31T23:59:59Z", None, 400, "invalid_request"),
            ("GET", "/api/v1/requests/export?from=1999-12-31T23:59:59Z", None, 400, "invalid_request"),
            ("GET", "/api/v1/spend/series?from=-9999-01-01T00:00:00Z", None, 400, "invalid_request"),
            ("GET", "/api/v1/spend/series?to=-262143-01-01T00:00:00Z", None, 400, "invalid_request"),
            (
                "GET",
                "/api/v1/spend/series?from=2026-01-01T00:00:00Z&to=2026-02-02T00:00:00Z&interval=hour&group_by=key",
                None,
                400,
                "invalid_request",
            ),
            ("GET", "/api/v1/spend/breakdown?to=9999-12-31T23:59:59Z", None, 400, "invalid_request"),
            ("GET", "/api/v1/bills/series?from=-9999-01-01", None, 400, "invalid_request"),
            ("GET", "/api/v1/bills/series?to=2026-1-1", None, 400, "invalid_request"),
            ("GET", "/api/v1/settlements/-9999-01-01", None, 404, "not_found"),
            ("GET", "/api/v1/settlements?cursor=-9999-01-01-aws", None, 400, "invalid_request"),
            ("GET", "/api/v1/months/-999-01/chargeback", None, 404, "not_found"),
            ("GET", "/api/v1/months/9999-12/statement", None, 404, "not_found"),
            (
                "POST",
                "/api/v1/exports",
                Some(&json!({"what": "requests", "format": "csv", "from": "-9999-01-01T00:00:00Z"})),
                400,
                "invalid_request",
            ),
            ("POST", "/api/v1/keys", Some(&json!({})), 400, "invalid_request"),
            ("POST", "/api/v1/keys", Some(&json!({"name": ""})), 400, "invalid_request"),
            (
                "POST",
                "/api/v1/keys",
                Some(&json!({"name": "x", "hangup_policy": "sulk"})),
                400,
                "invalid_request",
            ),
            (
                "POST",
                "/api/v1/connections",
                Some(&json!({"provider": "nobody", "name": "x"})),
                400,
                "invalid_request",
            ),
            (
                "POST",
                "/api/v1/connections",
                Some(
                    &json!({"provider": "openai_compatible", "name": "x", "base_url": "http://169.254.169.254/v1"}),
                ),
                422,
                "endpoint_refused",
            ),
        ] {
            let answer = owner.call(method, path, body).await;
            let problem = answer.expect_problem(status, code);
            assert!(problem["error"].is_null() || path.starts_with("/v1/"), "{method} {path}: {problem}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
            let text = answer.text();
            for leak in ["costlens_", "poem", "Wire<", "::", "src/"] {
                assert!(!text.contains(leak), "{method} {path} tells of its insides ({leak}): {text}");
            }
        }
    });
}

#[test]
fn a_method_that_an_address_does_not_take_is_answered_with_those_that_it_takes() {
    run(async {
        let owner = shared().owner("Wrong methods").await;
        for (method, path, allowed) in [
            ("PUT", "/api/v1/keys", "GET, HEAD, POST"),
            ("TRACE", "/api/v1/keys/key_019ab3c4d5e67f8091a2b3c4d5e6f708", "DELETE, GET, HEAD, PATCH"),
            ("DELETE", "/api/v1/spend/series", "GET, HEAD"),
            ("GET", "/api/v1/unsubscribe", "POST"),
            ("GET", "/api/v1/recipients/confirm", "POST"),
            ("GET", "/v1/chat/completions", "POST"),
            ("DELETE", "/v1/messages", "POST"),
        ] {
            let answer = owner.call(method, path, None).await;
            answer.expect_problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        }
        let head = owner.call("HEAD", "/api/v1/keys", None).await.expect(200);
        assert!(head.body.is_empty());
    });
}

#[test]
fn a_body_that_cannot_be_read_is_told_as_a_problem() {
    run(async {
        let app = shared();
        let owner = app.owner("Wrong bodies").await;
        let url = format!("{}/api/v1/keys", app.base_url());
        let cookie = ("cookie", owner.cookie());
        for (kind, body, status, code) in [
            ("application/json", "{\"name\":", 400, "invalid_request"),
            ("application/json", "", 400, "invalid_request"),
            ("text/plain", "{\"name\":\"x\"}", 415, "unsupported_media_type"),
        ] {
            let answer = http::send("POST", &url, &[cookie, ("content-type", kind)], body).await;
            answer.expect_problem(status, code);
        }
        let large = "x".repeat((1 << 20) + 1);
        let answer = http::send("POST", &url, &[cookie, ("content-type", "application/json")], large).await;
        answer.expect_problem(413, "body_too_large");
    });
}

#[test]
fn a_list_is_read_page_by_page_without_gaps_or_repetitions() {
    run(async {
        let app = shared();
        let owner = app.owner("Pages").await;
        let mut made = Vec::new();
        for number in 0..5 {
            made.push(owner.create_key(&format!("key {number}")).await.key_id);
        }
        made.reverse();
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for _ in 0..9 {
            let page = owner.get(&format!("/api/v1/keys?limit=2{cursor}")).await;
            seen.extend(
                page["items"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, made, "newest first");
    });
}
