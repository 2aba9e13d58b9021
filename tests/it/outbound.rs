//! Where a call goes is decided by what the tenant registered. Other gateways let a call say where it should go, in a
//! member of its body, a header or a query, and so sent their customers' keys to whoever asked.

use costlens_tests::actors::{CHAT, MESSAGES, call_id};
use costlens_tests::app::shared;
use costlens_tests::reply::Tokens;
use costlens_tests::{http, run};
use serde_json::{Value, json};

/// Members and query parameters by which gateways and SDKs name an address.
const NAMES: &[&str] = &[
    "api_base",
    "api_url",
    "azure_endpoint",
    "base_url",
    "baseURL",
    "baseUrl",
    "callback_url",
    "endpoint",
    "endpoint_url",
    "host",
    "model_url",
    "proxy_url",
    "target",
    "target_url",
    "upstream",
    "url",
    "webhook_url",
];

/// Headers of the same kind.
const HEADERS: &[&str] = &[
    "anthropic-base-url",
    "helicone-openai-api-base",
    "helicone-target-url",
    "openai-base-url",
    "x-api-base",
    "x-base-url",
    "x-endpoint-url",
    "x-forwarded-host",
    "x-forwarded-server",
    "x-original-url",
    "x-portkey-custom-host",
    "x-rewrite-url",
    "x-target-url",
    "x-upstream-url",
];

#[test]
fn a_call_tells_the_next_one_that_it_came_this_way_and_a_circle_ends() {
    run(async {
        let app = shared();
        let owner = app.owner("A circle").await;
        let line = app.llm.line_of(Tokens::plain(1, 1));
        owner.connect_both(&line).await;
        let program = owner.create_key("ci").await;
        let bearer = format!("Bearer {}", program.secret);
        for (path, model) in [(CHAT, "gpt-4o-mini"), (MESSAGES, "claude-sonnet-4-5")] {
            let call =
                json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
            let mut via = "1.1 a-balancer".to_owned();
            let send = async |via: &str| {
                let headers =
                    [("authorization", bearer.as_str()), ("content-type", "application/json"), ("via", via)];
                http::send("POST", &format!("{}{path}", app.base_url()), &headers, call.to_string()).await
            };
            for passed in 1..=2 {
                send(&via).await.expect(200);
                let heard = line.last();
                let told: Vec<_> =
                    heard.headers.get_all("via").iter().map(|hop| hop.to_str().unwrap()).collect();
                assert_eq!(told, vec!["1.1 costlens"; passed]);
                via = told.join(", ");
            }
            let calls = line.log().len();
            let answer = send(&via).await;
            answer.expect_problem(508, "loop_detected");
            assert_eq!(answer.header("x-should-retry"), "false");
            assert_eq!(line.log().len(), calls, "it went nowhere");
        }
    });
}

#[test]
fn no_body_header_or_query_chooses_where_a_call_goes() {
    run(async {
        let app = shared();
        let owner = app.owner("Misdirection").await;
        let line = app.llm.line_of(Tokens::plain(1, 1));
        owner.connect_both(&line).await;
        let program = owner.create_key("ci").await;
        let bearer = format!("Bearer {}", program.secret);
        // An address that the guard lets pass, so that whoever follows it gets there; and one that it does not.
        let addresses =
            [format!("http://{}/stolen", app.llm.host_port()), "https://evil.example.com".to_owned()];
        let mut sent = 0;
        for (path, model) in [(CHAT, "gpt-4o-mini"), (MESSAGES, "claude-sonnet-4-5")] {
            let plain =
                json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
            #[expect(clippy::type_complexity, reason = "address, body and headers of each try")]
            let mut tries: Vec<(String, Value, Vec<(&str, &str)>)> = Vec::new();
            for address in &addresses {
                for name in NAMES {
                    let mut body = plain.clone();
                    body[*name] = json!(address);
                    tries.push((path.to_owned(), body, Vec::new()));
                    tries.push((format!("{path}?{name}={address}"), plain.clone(), Vec::new()));
                }
                let nested = ["litellm_params", "metadata", "extra_body", "custom_llm_provider"];
                for name in nested {
                    let mut body = plain.clone();
                    body[name] = json!({"api_base": address, "base_url": address});
                    tries.push((path.to_owned(), body, Vec::new()));
                }
                tries.extend(
                    HEADERS
                        .iter()
                        .map(|name| (path.to_owned(), plain.clone(), vec![(*name, address.as_str())])),
                );
            }
            for (path, body, headers) in tries {
                let what = format!("{path} {headers:?} {body}");
                let id = call_id();
                let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
                all.extend([("x-client-request-id", id.as_str())]);
                all.extend(headers);
                let answer =
                    http::send("POST", &format!("{}{path}", app.base_url()), &all, body.to_string()).await;
                assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                sent += 1;
                let heard = line.last();
                assert_eq!(heard.caller_id(), id, "{what} went elsewhere");
                let registered = path.split('?').next().unwrap();
                assert_eq!(heard.path, registered, "{what}");
                assert_eq!(heard.headers["host"], app.llm.host_port().as_str(), "{what}");
            }
        }
        assert_eq!(line.log().len(), sent);
        assert!(sent > 100, "only {sent} tries");
    });
}
