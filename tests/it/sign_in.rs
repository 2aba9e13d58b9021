//! Signing in: a link works once, its session lives in a cookie that no script reads, and ends when told to.

use costlens_tests::actors::{Owner, redeem};
use costlens_tests::app::shared;
use costlens_tests::{http, run};
use serde_json::json;

#[test]
fn a_sign_in_link_works_once_however_many_use_it_at_once() {
    run(async {
        let app = shared();
        let tenant = app.command(&["tenants", "create", "Single use"]);
        let link = app.sign_in_link(&tenant);
        let base = app.base_url();
        let tries = futures_util::future::join_all((0..8).map(|_| redeem(&base, &link))).await;
        let let_in = tries.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(let_in, 1);
        for refused in tries.iter().filter(|answer| answer.status != 201) {
            refused.expect_problem(401, "sign_in_link_invalid");
            assert_eq!(refused.header("set-cookie"), "");
        }
        redeem(&base, &link).await.expect_problem(401, "sign_in_link_invalid");
        redeem(&base, "x#t=acs_made-up").await.expect_problem(401, "sign_in_link_invalid");
    });
}

#[test]
fn a_session_is_a_strict_cookie_that_scripts_cannot_read_and_its_token_is_nowhere_else() {
    run(async {
        let app = shared();
        let tenant = app.command(&["tenants", "create", "Cookies"]);
        let answer = redeem(&app.base_url(), &app.sign_in_link(&tenant)).await.expect(201);
        let cookie = answer.header("set-cookie").to_owned();
        let parts: Vec<_> = cookie.split("; ").collect();
        for flag in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=3600"] {
            assert!(parts.contains(&flag), "{flag} is missing: {cookie}");
        }
        assert!(!cookie.contains("Domain="), "{cookie}");
        let token = parts[0].split_once('=').unwrap().1;
        assert!(token.len() > 40 && !answer.text().contains(token), "{}", answer.text());
        assert_eq!(answer.json()["tenant_id"], tenant.as_str());
        assert_eq!(answer.json()["tenant_name"], "Cookies");
        assert_eq!(answer.header("cache-control"), "no-store", "a cookie must not be kept by anyone between");
    });
}

#[test]
fn a_session_ends_when_told_to_and_a_foreign_page_cannot_use_it() {
    run(async {
        let app = shared();
        let owner = app.owner("Sign-out").await;
        let base = app.base_url();
        let foreign = [("cookie", owner.cookie()), ("origin", "https://evil.example")];
        let forged = http::send("DELETE", &format!("{base}/api/v1/session"), &foreign, "").await;
        forged.expect_problem(403, "forbidden");
        assert_eq!(owner.get("/api/v1/session").await["tenant_name"], "Sign-out");

        let ended = owner.call("DELETE", "/api/v1/session", None).await.expect(204);
        assert!(ended.header("set-cookie").contains("Max-Age=0"), "{}", ended.header("set-cookie"));
        for path in ["/api/v1/session", "/api/v1/keys", "/api/v1/requests"] {
            owner.call("GET", path, None).await.expect_problem(401, "session_invalid");
        }
    });
}

#[test]
fn two_tenants_links_open_two_consoles() {
    run(async {
        let app = shared();
        let (one, other) = (app.owner("One").await, app.owner("Other").await);
        assert_ne!(one.tenant_id, other.tenant_id);
        assert_eq!(one.get("/api/v1/session").await["tenant_name"], "One");
        assert_eq!(other.get("/api/v1/session").await["tenant_name"], "Other");
    });
}

#[test]
fn an_idempotency_key_has_one_effect_and_belongs_to_one_body() {
    run(async {
        let app = shared();
        let owner: Owner = app.owner("Idempotency").await;
        let body = json!({"provider": "openai", "name": "once", "secret": "sk-once"});
        let again = [("idempotency-key", "9b1f")];
        let path = "/api/v1/connections";
        let first = owner.call_with("POST", path, Some(&body), &again).await.expect(201).json();
        let second = owner.call_with("POST", path, Some(&body), &again).await.expect(201).json();
        assert_eq!(first, second);
        let other = json!({"provider": "openai", "name": "twice", "secret": "sk-once"});
        let mismatch = owner.call_with("POST", path, Some(&other), &again).await;
        mismatch.expect_problem(422, "idempotency_mismatch");
        assert_eq!(owner.get(path).await["items"].as_array().unwrap().len(), 1);

        // A key's secret is shown once, so its repetition is refused rather than answered.
        let body = json!({"name": "once"});
        let made = owner.call_with("POST", "/api/v1/keys", Some(&body), &again).await.expect(201);
        let repeated = owner.call_with("POST", "/api/v1/keys", Some(&body), &again).await;
        repeated.expect_problem(409, "conflict");
        let secret = made.json()["secret"].as_str().unwrap().to_owned();
        assert!(!repeated.text().contains(&secret));
        assert_eq!(owner.get("/api/v1/keys").await["items"].as_array().unwrap().len(), 1);
    });
}
