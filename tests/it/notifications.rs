//! Whom an account tells, and the account's end, from outside: bad input changes nothing, a secret goes in and never
//! comes out, and what a link in a mail does needs that link.

use std::time::Duration;

use costlens_tests::actors::{CHAT, Owner, call_id};
use costlens_tests::app::shared;
use costlens_tests::reply::Tokens;
use costlens_tests::{eventually, http, in_time, run};
use serde_json::{Value, json};

use crate::victim::{hook_url, slack_url};

const LISTS: [&str; 5] = ["recipients", "slack-channels", "webhook-endpoints", "budgets", "settings"];

/// Everything that a bad call might have changed.
async fn everything(owner: &Owner) -> Vec<Value> {
    let mut all = Vec::new();
    for list in LISTS {
        let mut shown = owner.get(&format!("/api/v1/{list}")).await;
        if let Some(shown) = shown.as_object_mut() {
            // Until somebody has said anything about the calendar, it begins anew at each look.
            shown.remove("next_digest_at");
        }
        all.push(shown);
    }
    all
}

#[test]
fn bad_input_is_told_by_field_and_changes_nothing() {
    run(async {
        let app = shared();
        let owner = app.owner("Edges").await;
        let before = everything(&owner).await;
        let (slack, hook) = (slack_url(app), hook_url(app));
        let long = "x".repeat(101);
        let (recipients, channels, endpoints) = ("recipients", "slack-channels", "webhook-endpoints");
        let budget = |change: Value| {
            let mut budget = json!({"name": "b", "period": "day", "amount": "1"});
            budget.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            budget
        };
        let mut table = vec![
            ("PATCH", "settings", json!({"time_zone": "Mars/Olympus"}), 400),
            ("PATCH", "settings", json!({"time_zone": ""}), 400),
            ("PATCH", "settings", json!({"digest_weekday": "someday"}), 400),
            ("PATCH", "settings", json!({"digest_hour": 24}), 400),
            ("PATCH", "settings", json!({"digest_hour": -1}), 400),
            ("PATCH", "settings", json!({"digest_hour": "nine"}), 400),
            ("POST", recipients, json!({"email": format!("{}@mail.example", "x".repeat(65))}), 400),
            ("POST", recipients, json!({"email": format!("x@{}.example", "y".repeat(260))}), 400),
            ("POST", recipients, json!({"email": "x@mail.example", "digest": "yes"}), 400),
            ("POST", channels, json!({"name": "", "url": slack}), 400),
            ("POST", channels, json!({"name": "  ", "url": slack}), 400),
            ("POST", channels, json!({"name": long, "url": slack}), 400),
            ("POST", channels, json!({"name": "x", "url": "https://example.com/services/T0/B0/x"}), 422),
            ("POST", channels, json!({"name": "x", "url": "https://hooks.slack.com/other/T0/B0/x"}), 422),
            ("POST", channels, json!({"name": "x", "url": "http://hooks.slack.com/services/T0/B0/x"}), 422),
            ("POST", channels, json!({"name": "x", "url": "http://127.0.0.1:1/services/T0/B0/x"}), 422),
            ("POST", endpoints, json!({"name": "", "url": hook}), 400),
            ("POST", endpoints, json!({"name": long, "url": hook}), 400),
            ("POST", endpoints, json!({"name": "x", "url": "http://169.254.169.254/latest"}), 422),
            ("POST", endpoints, json!({"name": "x", "url": "https://user:word@example.com/"}), 422),
            ("POST", endpoints, json!({"name": "x", "url": "file:///etc/passwd"}), 422),
            ("POST", endpoints, json!({"name": "x", "url": hook, "kinds": ["no.such"]}), 400),
            ("POST", "budgets", budget(json!({"amount": "0"})), 400),
            ("POST", "budgets", budget(json!({"amount": "-1"})), 400),
            ("POST", "budgets", budget(json!({"amount": 1})), 400),
            ("POST", "budgets", budget(json!({"amount": "1,000"})), 400),
            ("POST", "budgets", budget(json!({"period": "year"})), 400),
            ("POST", "budgets", budget(json!({"thresholds": []})), 400),
            ("POST", "budgets", budget(json!({"thresholds": [0]})), 400),
            ("POST", "budgets", budget(json!({"thresholds": [1001]})), 400),
            ("POST", "budgets", budget(json!({"thresholds": [80, 50]})), 400),
            ("POST", "budgets", budget(json!({"thresholds": [50, 50]})), 400),
            ("POST", "budgets", budget(json!({"thresholds": (1..12).collect::<Vec<_>>()})), 400),
            ("POST", "budgets", budget(json!({"provider": "nobody"})), 400),
            ("POST", "budgets", budget(json!({"api_key_id": "key_019ab3c4d5e67f8091a2b3c4d5e6f708"})), 400),
            ("POST", "budgets", budget(json!({"name": " "})), 400),
            ("POST", "budgets", budget(json!({"include_unproxied": true})), 400),
            ("POST", "account/closure", json!({"confirm": "edges"}), 400),
            ("POST", "account/closure", json!({}), 400),
        ];
        for bad in ["", "x", "x@", "@mail.example", "x@mail", "x y@mail.example", "x@mail..example"] {
            table.push(("POST", recipients, json!({"email": bad}), 400));
        }
        for bad in ["a@b.example, c@d.example", "A <a@b.example>", "a@b.example\r\nBcc: c@d.example"] {
            table.push(("POST", recipients, json!({"email": bad}), 400));
        }
        for (method, path, body, status) in table {
            let answer = owner.call(method, &format!("/api/v1/{path}"), Some(&body)).await;
            let code = if status == 400 { "invalid_request" } else { "endpoint_refused" };
            assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.text());
            answer.expect_problem(status, code);
        }
        assert_eq!(everything(&owner).await, before);
        let none = owner.get("/api/v1/audit-events").await;
        let acts: Vec<_> = none["items"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
        assert_eq!(acts, ["session.opened", "sign_in_link.created", "tenant.created"]);
    });
}

#[test]
fn a_secret_goes_in_and_no_answer_holds_it_but_the_one_that_shows_it() {
    run(async {
        let app = shared();
        let owner = app.owner("Sealed").await;
        let url = format!("http://{}/services/T0/B0/SEALEDSLACK", app.nothing_there);
        let body = json!({"name": "team", "url": url});
        let channel = owner.call("POST", "/api/v1/slack-channels", Some(&body)).await.expect(201).json();
        let url = format!("{}/SEALEDPATH?token=SEALEDQUERY", hook_url(app));
        let again = [("idempotency-key", "once")];
        let body = json!({"name": "hook", "url": url, "kinds": ["key.created", "key.created"]});
        let path = "/api/v1/webhook-endpoints";
        let made = owner.call_with("POST", path, Some(&body), &again).await.expect(201).json();
        assert_eq!(made["endpoint"]["kinds"], json!(["key.created"]));
        let secret = made["secret"].as_str().unwrap().to_owned();
        assert!(secret.starts_with("whsec_"), "{secret}");
        owner.call_with("POST", path, Some(&body), &again).await.expect_problem(409, "conflict");
        let endpoint = format!("{path}/{}", made["endpoint"]["id"].as_str().unwrap());
        let rolled = owner.call("POST", &format!("{endpoint}/secret"), None).await.expect(200).json();
        let rolled = rolled["secret"].as_str().unwrap().to_owned();
        assert_ne!(rolled, secret);
        owner.create_key("seen").await;
        eventually("a delivery of key.created", async || {
            let seen = owner.get(&format!("{endpoint}/deliveries")).await;
            seen["items"].as_array().unwrap().iter().find(|each| each["kind"] == "key.created").cloned()
        })
        .await;
        let channel = format!("/api/v1/slack-channels/{}", channel["id"].as_str().unwrap());
        owner.call("POST", &format!("{channel}/test"), None).await.expect(202);
        let changed = owner.call("PATCH", &channel, Some(&json!({"digest": false}))).await.expect(200);
        assert_eq!(changed.json()["digest"], false);
        // Other addresses take the places of both, and are no more readable than the first.
        let sealed = || {
            let of = |table: &str| {
                let tenant = owner.tenant_id.trim_start_matches("ten_");
                app.query(&format!("SELECT md5(sealed_url) FROM {table} WHERE tenant_id = '{tenant}'"))
            };
            ["slack_channel", "webhook_endpoint"].map(of)
        };
        let first = sealed();
        let url = format!("http://{}/services/T0/B0/SEALEDAGAIN", app.nothing_there);
        let replaced = owner.call("PATCH", &channel, Some(&json!({"url": url}))).await.expect(200);
        let url = format!("{}/SEALEDLATER", hook_url(app));
        let moved = owner.call("PATCH", &endpoint, Some(&json!({"url": url}))).await.expect(200);
        let second = sealed();
        assert!(first[0] != second[0] && first[1] != second[1], "{first:?} {second:?}");
        let workflows = owner.get("/api/v1/workflows?limit=200").await;
        let mut answers = vec![changed.text(), replaced.text(), moved.text(), workflows.to_string()];
        for workflow in workflows["items"].as_array().unwrap() {
            let one = owner.get(&format!("/api/v1/workflows/{}", workflow["id"].as_str().unwrap())).await;
            answers.push(one.to_string());
        }
        let lists = ["slack-channels", "webhook-endpoints", "messages", "audit-events?limit=200"];
        for list in lists {
            answers.push(owner.get(&format!("/api/v1/{list}")).await.to_string());
        }
        answers.push(owner.get(&endpoint).await.to_string());
        answers.push(owner.get(&format!("{endpoint}/deliveries")).await.to_string());
        for answer in &answers {
            for word in [
                "SEALEDSLACK",
                "SEALEDPATH",
                "SEALEDQUERY",
                "SEALEDAGAIN",
                "SEALEDLATER",
                &secret,
                &rolled,
                "whsec_",
            ] {
                assert!(!answer.contains(word), "{word} is in {answer}");
            }
        }
    });
}

#[test]
fn a_recipient_is_asked_once_in_ten_minutes_and_every_act_is_written_down_without_the_address() {
    run(async {
        let app = shared();
        let owner = app.owner("Asked").await;
        let body = json!({"email": "Some.One@mail.example", "alerts": false});
        let again = [("idempotency-key", "once")];
        let path = "/api/v1/recipients";
        let made = owner.call_with("POST", path, Some(&body), &again).await.expect(201).json();
        assert_eq!(owner.call_with("POST", path, Some(&body), &again).await.expect(201).json(), made);
        let other = json!({"email": "other@mail.example"});
        let mismatch = owner.call_with("POST", path, Some(&other), &again).await;
        mismatch.expect_problem(422, "idempotency_mismatch");
        let same = json!({"email": "some.one@MAIL.example"});
        owner.call("POST", path, Some(&same)).await.expect_problem(409, "conflict");
        let list = owner.get(path).await;
        assert_eq!((list["items"].as_array().unwrap().len(), &list["mail_configured"]), (1, &json!(false)));
        assert_eq!(list["items"][0]["confirmed_at"], Value::Null);
        let messages = owner.get("/api/v1/messages").await;
        assert_eq!(messages["items"].as_array().unwrap().len(), 1, "{messages}");
        assert_eq!(messages["items"][0]["kind"], "confirm_recipient");
        assert_eq!(messages["items"][0]["recipient_id"], made["id"]);
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        let asked = owner.call("POST", &format!("{one}/confirmation"), None).await;
        asked.expect_problem(429, "too_many_requests");
        let wishes = json!({"alerts": true});
        assert_eq!(owner.call("PATCH", &one, Some(&wishes)).await.expect(200).json()["alerts"], true);
        owner.call("DELETE", &one, None).await.expect(204);
        owner.call("DELETE", &one, None).await.expect_problem(404, "not_found");
        let audit = owner.get("/api/v1/audit-events").await;
        let acts: Vec<_> = audit["items"].as_array().unwrap().iter().map(|each| &each["action"]).collect();
        let expected = [
            "recipient.deleted",
            "recipient.updated",
            "recipient.created",
            "session.opened",
            "sign_in_link.created",
            "tenant.created",
        ];
        assert_eq!(acts, expected);
        assert!(!audit.to_string().to_lowercase().contains("mail.example"), "{audit}");
        assert!(audit["items"][0]["request_id"].is_string(), "{audit}");
    });
}

#[test]
fn a_made_up_link_does_nothing_and_looking_at_one_neither() {
    run(async {
        let app = shared();
        let json = ("content-type", "application/json");
        let base = format!("{}/api/v1", app.base_url());
        for path in ["recipients/confirm", "unsubscribe", "account/keep"] {
            let url = format!("{base}/{path}");
            let answer = http::send("POST", &url, &[json], r#"{"token":"bWFkZSB1cA"}"#).await;
            answer.expect_problem(404, "link_invalid");
            http::send("POST", &url, &[json], "{}").await.expect_problem(400, "invalid_request");
            http::send("GET", &url, &[], "").await.expect_problem(405, "method_not_allowed");
        }
        let form = ("content-type", "application/x-www-form-urlencoded");
        let url = format!("{base}/unsubscribe?token=bWFkZSB1cA");
        let click = http::send("POST", &url, &[form], "List-Unsubscribe=One-Click").await;
        click.expect_problem(404, "link_invalid");
        let url = format!("{base}/unsubscribe");
        let bare = http::send("POST", &url, &[form], "List-Unsubscribe=One-Click").await;
        bare.expect_problem(400, "invalid_request");
    });
}

#[test]
fn every_kind_of_message_can_be_looked_at() {
    run(async {
        let owner = shared().owner("Previews").await;
        let kinds = owner.get("/api/v1/message-kinds").await;
        let kinds = kinds["items"].as_array().unwrap();
        assert!(kinds.len() >= 10, "{kinds:?}");
        for kind in kinds {
            let path = format!("/api/v1/message-kinds/{}/preview", kind["name"].as_str().unwrap());
            let shown = owner.get(&path).await;
            assert!(shown["html"].as_str().unwrap().contains("<html"), "{path}");
            assert_eq!(shown["slack"].is_object(), kind["slack"], "{path}");
        }
        let none = owner.call("GET", "/api/v1/message-kinds/no_such/preview", None).await;
        none.expect_problem(404, "not_found");
    });
}

#[test]
fn an_account_that_tells_a_slack_channel_alone_has_a_digest_that_is_due() {
    run(async {
        let app = shared();
        let owner = app.owner("Slack alone").await;
        let tenant = owner.tenant_id.trim_start_matches("ten_").to_owned();
        let due = || {
            app.query(&format!("SELECT count(*) FROM tenant_settings WHERE tenant_id = '{tenant}'"))
                .trim()
                .to_owned()
        };
        assert_eq!(due(), "0", "nobody is told anything");
        let body = json!({"name": "team", "url": slack_url(app)});
        let made = owner.call("POST", "/api/v1/slack-channels", Some(&body)).await.expect(201).json();
        assert_eq!(due(), "1");
        // So has one whose channel is older than that rule, once somebody changes it.
        app.sql(&format!("DELETE FROM tenant_settings WHERE tenant_id = '{tenant}'"));
        let one = format!("/api/v1/slack-channels/{}", made["id"].as_str().unwrap());
        owner.call("PATCH", &one, Some(&json!({"alerts": false}))).await.expect(200);
        assert_eq!(due(), "1");
    });
}

#[test]
fn a_budget_tells_what_was_spent_and_ends() {
    run(async {
        let owner = shared().owner("Budgets").await;
        let body = json!({"name": "all", "period": "month", "amount": "12.50"});
        let made = owner.call("POST", "/api/v1/budgets", Some(&body)).await.expect(201).json();
        assert_eq!((&made["amount"], &made["thresholds"]), (&json!("12.5"), &json!([50, 80, 100])));
        assert_eq!(
            (&made["spent"], &made["percent"]),
            (&Value::Null, &Value::Null),
            "nothing has a price yet"
        );
        let one = format!("/api/v1/budgets/{}", made["id"].as_str().unwrap());
        owner.call("DELETE", &one, None).await.expect(204);
        owner.call("DELETE", &one, None).await.expect(204);
        let list = owner.get("/api/v1/budgets").await;
        assert!(list["items"][0]["ended_at"].is_string(), "{list}");
    });
}

#[test]
fn closing_freezes_the_account_and_keeping_it_restores_it() {
    run(async {
        let app = shared();
        let owner = app.owner("Closing").await;
        let line = app.llm.line_of(Tokens::plain(1, 1));
        owner.connect_both(&line).await;
        let program = owner.create_key("works").await;
        let chat =
            || json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]}).to_string();
        program.post(CHAT, &call_id(), chat()).await.expect(200);
        let other = Owner::sign_in(&app.base_url(), &app.sign_in_link(&owner.tenant_id)).await;

        let path = "/api/v1/account/closure";
        assert_eq!(owner.get(path).await["closure"], Value::Null);
        let name = json!({"confirm": "Closing"});
        let closure = owner.call("POST", path, Some(&name)).await.expect(201).json();
        assert_eq!(closure["state"], "grace");
        owner.call("POST", path, Some(&name)).await.expect_problem(409, "conflict");
        assert_eq!(owner.get(path).await["closure"], closure);
        assert!(owner.get("/api/v1/session").await["closing_at"].is_string());
        for frozen in ["/api/v1/keys", "/api/v1/settings", "/api/v1/audit-events"] {
            owner.call("GET", frozen, None).await.expect_problem(403, "account_closing");
        }
        other.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
        let certificate = closure["erasure_id"].as_str().unwrap();
        let certificate = app.get(&format!("/api/v1/erasures/{certificate}/certificate")).await;
        certificate.expect_problem(404, "not_found");
        let refused = in_time(Duration::from_secs(2), "a refusal at the proxy", async || {
            let answer = program.post(CHAT, &call_id(), chat()).await;
            (answer.status == 403).then_some(answer)
        })
        .await;
        refused.expect_problem(403, "account_closing");

        owner.call("DELETE", path, None).await.expect(204);
        owner.call("DELETE", path, None).await.expect(204);
        assert_eq!(owner.get(path).await["closure"], Value::Null);
        in_time(Duration::from_secs(2), "the proxy to take the key again", async || {
            (program.post(CHAT, &call_id(), chat()).await.status == 200).then_some(())
        })
        .await;
        let audit = owner.get("/api/v1/audit-events").await;
        let acts: Vec<_> = audit["items"].as_array().unwrap().iter().map(|each| &each["action"]).collect();
        assert_eq!(acts[..2], ["closure.cancelled", "closure.requested"]);
    });
}

/// Of many calls at once none finds room that another one takes.
#[test]
fn a_cap_holds_for_calls_at_once_too() {
    run(async {
        let app = shared();
        let owner = std::sync::Arc::new(app.owner("Many at once").await);
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..32 {
            let owner = std::sync::Arc::clone(&owner);
            let channel = json!({"name": format!("channel {n}"), "url": crate::victim::slack_url(app)});
            calls.spawn(
                async move { owner.call("POST", "/api/v1/slack-channels", Some(&channel)).await.status },
            );
        }
        let statuses = calls.join_all().await;
        let made = statuses.iter().filter(|status| **status == 201).count();
        let refused = statuses.iter().filter(|status| **status == 409).count();
        assert_eq!((made, refused), (20, 12), "{statuses:?}");
    });
}

#[test]
fn a_changed_calendar_loses_no_digest_that_is_due() {
    run(async {
        let app = shared();
        let owner = app.owner("Changes the calendar").await;
        let change = json!({"digest_hour": 8});
        owner.call("PATCH", "/api/v1/settings", Some(&change)).await.expect(200);
        let of = format!("tenant_id = '{}'", owner.tenant_id.trim_start_matches("ten_"));
        // Whoever writes digests rests, so that this one stays due.
        assert_eq!(app.command(&["jobs", "pause", "digests"]), "");
        app.sql(&format!("UPDATE tenant_settings SET next_digest_at = now() - interval '1 hour' WHERE {of}"));
        let due = app.query(&format!("SELECT next_digest_at FROM tenant_settings WHERE {of}"));
        let change = json!({"time_zone": "Asia/Tokyo"});
        let changed = owner.call("PATCH", "/api/v1/settings", Some(&change)).await.expect(200).json();
        assert_eq!(changed["time_zone"], "Asia/Tokyo");
        let after = app.query(&format!("SELECT next_digest_at FROM tenant_settings WHERE {of}"));
        assert_eq!(app.command(&["jobs", "resume", "digests"]), "");
        assert_eq!(after, due);
        let audit = owner.get("/api/v1/audit-events?limit=1").await;
        assert_eq!(audit["items"][0]["change"]["before"]["time_zone"], "UTC", "{audit}");
        assert_eq!(audit["items"][0]["change"]["after"]["time_zone"], "Asia/Tokyo", "{audit}");
    });
}
