//! What a key may be used for and until when, and how it gets a new secret while its programs go on.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use costlens_tests::actors::{Owner, Program};
use costlens_tests::app::shared;
use costlens_tests::{eventually, http, in_time, run};
use serde_json::{Value, json};

use crate::people::{Person, open};

/// The moment by the clock that the server looks at, too.
#[expect(clippy::disallowed_methods, reason = "keys end by the machine's clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

fn program(owner_base: &str, made: &Value) -> Program {
    let mut program = Program::new(owner_base, made["secret"].as_str().unwrap());
    made["key"]["id"].as_str().unwrap().clone_into(&mut program.key_id);
    program
}

/// Asks again and again until a call is refused by this code, which takes a second at most.
async fn refused_within_a_second(program: &Program, status: u16, code: &str) {
    let refused = in_time(Duration::from_secs(1), "refusal of the key", async || {
        let answer = program.chat("demo/echo", "x").await;
        (answer.status != 200).then_some(answer)
    });
    refused.await.expect_problem(status, code);
}

async fn change(owner: &Owner, key: &str, change: Value) -> http::Answer {
    owner.call("PATCH", &format!("/api/v1/keys/{key}"), Some(&change)).await
}

#[test]
fn a_key_does_what_its_scopes_say_and_nothing_else() {
    run(async {
        let owner = shared().owner("Scopes").await;
        let reads = [
            ("requests.read", "/api/v1/requests"),
            ("spend.read", "/api/v1/spend/series?from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z"),
            ("bills.read", "/api/v1/bills"),
        ];
        for scope in ["proxy", "requests.read", "spend.read", "bills.read"] {
            let key = owner.create_key_with(json!({"name": scope, "scopes": [scope]})).await;
            let call = key.chat("demo/echo", "x").await;
            if scope == "proxy" {
                assert_eq!(call.status, 200, "{}", call.text());
            } else {
                call.expect_problem(403, "forbidden");
            }
            for (wanted, path) in reads {
                let answer = key.get(path).await;
                if wanted == scope {
                    assert_eq!(answer.status, 200, "{scope} {path}: {}", answer.text());
                } else {
                    let problem = answer.expect_problem(403, "forbidden");
                    assert!(problem["detail"].as_str().unwrap().contains(wanted), "{problem}");
                }
            }
        }
        for bad in [json!([]), json!(["proxy", "proxy"]), json!(["everything"]), json!("proxy")] {
            let made = owner.call("POST", "/api/v1/keys", Some(&json!({"name": "bad", "scopes": bad}))).await;
            made.expect_problem(400, "invalid_request");
        }
        // A key without a word on scopes is as keys always were.
        let key = owner.create_key("all").await;
        assert_eq!(key.chat("demo/echo", "x").await.status, 200);
        assert_eq!(key.get("/api/v1/bills").await.status, 200);
        change(&owner, &key.key_id, json!({"scopes": ["bills.read"]})).await.expect(200);
        refused_within_a_second(&key, 403, "forbidden").await;
        assert_eq!(key.get("/api/v1/bills").await.status, 200);
    });
}

#[test]
fn a_key_may_do_no_more_than_whoever_learns_its_secret() {
    run(async {
        let mut owner = Person::registered(open(), "scopes").await;
        let mut member = Person::invited(open(), &mut owner, "member").await;
        let imports = |name: &str| json!({"name": name, "scopes": ["proxy", "calls.import"]});
        let of_owner = owner.post("/api/v1/keys", imports("owner's")).await.expect(201).json();
        let of_member = member.post("/api/v1/keys", json!({"name": "member's"})).await.expect(201).json();
        let path = |made: &Value| format!("/api/v1/keys/{}", made["key"]["id"].as_str().unwrap());

        let refused = "this needs the role analyst; yours is member";
        let is_refused = |answer: http::Answer| {
            assert_eq!(answer.expect_problem(403, "forbidden")["detail"], refused);
        };
        is_refused(member.post("/api/v1/keys", imports("more")).await);
        is_refused(member.call("PATCH", &path(&of_member), Some(imports("more"))).await);
        is_refused(member.post(&format!("{}/roll", path(&of_owner)), json!({})).await);
        // What a key has, it may keep under another name; and it may lose it.
        member.call("PATCH", &path(&of_owner), Some(imports("renamed"))).await.expect(200);
        member.call("PATCH", &path(&of_owner), Some(json!({"scopes": ["proxy"]}))).await.expect(200);
        is_refused(member.call("PATCH", &path(&of_owner), Some(imports("again"))).await);
        let key = owner.get(&path(&of_owner)).await;
        assert_eq!((&key["name"], &key["scopes"]), (&json!("renamed"), &json!(["proxy"])));
        assert_eq!(key["rolled_at"], Value::Null);
    });
}

#[test]
fn a_key_outlives_who_saw_its_secret_and_says_so() {
    run(async {
        let mut owner = Person::registered(open(), "known").await;
        let mut member = Person::invited(open(), &mut owner, "member").await;
        let id = member.get("/api/v1/session").await["user"]["id"].clone();
        let made = member.post("/api/v1/keys", json!({"name": "member's"})).await.expect(201).json();
        assert_eq!(made["key"]["shown_to"], id);
        let gone = format!("/api/v1/members/{}", id.as_str().unwrap());
        owner.call("DELETE", &gone, None).await.expect(204);
        let key = program(&owner.base, &made);
        assert_eq!(key.chat("demo/echo", "x").await.status, 200, "programs go on");
        let path = format!("/api/v1/keys/{}", key.key_id);
        assert_eq!(owner.get(&path).await["shown_to"], id);
        assert!(!owner.get("/api/v1/members").await.to_string().contains(id.as_str().unwrap()));
        let rolled = owner.post(&format!("{path}/roll"), json!({"overlap_seconds": 0})).await.expect(200);
        assert_eq!(rolled.json()["key"]["shown_to"], owner.get("/api/v1/session").await["user"]["id"]);
        refused_within_a_second(&key, 401, "key_expired").await;
    });
}

#[test]
fn a_key_is_refused_from_its_end_on_though_it_was_warm() {
    run(async {
        let owner = shared().owner("Ends").await;
        for wrong in [now() - TimeDelta::seconds(1), now() + TimeDelta::days(3_700)] {
            let body = json!({"name": "late", "expires_at": wrong.to_rfc3339()});
            owner.call("POST", "/api/v1/keys", Some(&body)).await.expect_problem(400, "invalid_request");
        }
        // Short, and yet longer than these calls take here.
        let mut seconds = 2;
        let (key, end) = loop {
            let end = now() + TimeDelta::seconds(seconds);
            let key = owner.create_key_with(json!({"name": "short", "expires_at": end.to_rfc3339()})).await;
            let statuses = [key.chat("demo/echo", "x").await.status, key.get("/api/v1/bills").await.status];
            if now() < end {
                assert_eq!(statuses, [200, 200]);
                break (key, end);
            }
            seconds *= 5;
        };
        while now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        key.chat("demo/echo", "x").await.expect_problem(401, "key_expired");
        key.get("/api/v1/bills").await.expect_problem(401, "key_expired");
        // A later end, or none, and it works again.
        change(&owner, &key.key_id, json!({"expires_at": null})).await.expect(200);
        in_time(Duration::from_secs(1), "call that goes through again", async || {
            (key.chat("demo/echo", "x").await.status == 200).then_some(())
        })
        .await;
    });
}

#[test]
fn a_rolled_key_works_by_both_secrets_for_a_while_and_then_by_the_new_one() {
    run(async {
        let app = shared();
        let owner = app.owner("Rolls").await;
        let first = owner.create_key("ci").await;
        let path = format!("/api/v1/keys/{}/roll", first.key_id);
        let roll = async |overlap: u32| {
            let made = owner.call("POST", &path, Some(&json!({"overlap_seconds": overlap}))).await;
            program(&app.base_url(), &made.expect(200).json())
        };
        let second = roll(3_600).await;
        assert_eq!(second.key_id, first.key_id);
        for each in [&first, &second] {
            assert_eq!(each.chat("demo/echo", "x").await.status, 200);
            assert_eq!(each.get("/api/v1/bills").await.status, 200);
        }
        // Of the secrets before, the last alone goes on.
        let third = roll(3_600).await;
        refused_within_a_second(&first, 401, "key_unknown").await;
        for each in [&second, &third] {
            assert_eq!(each.chat("demo/echo", "x").await.status, 200);
        }
        // For as long as was said, and no longer.
        let begun = Instant::now();
        let fourth = roll(2).await;
        let refused = in_time(Duration::from_secs(3), "end of the secret of before", async || {
            let answer = third.chat("demo/echo", "x").await;
            (answer.status != 200).then_some(answer)
        });
        refused.await.expect_problem(401, "key_expired");
        assert!(begun.elapsed() > Duration::from_millis(1_900), "{:?}", begun.elapsed());
        third.get("/api/v1/bills").await.expect_problem(401, "key_expired");
        // At once.
        let fifth = roll(0).await;
        refused_within_a_second(&fourth, 401, "key_expired").await;
        assert_eq!(fifth.chat("demo/echo", "x").await.status, 200);
        // They are one key: its calls stand together, and revoking it ends every secret.
        let all = format!("/api/v1/requests?api_key_id={}", first.key_id);
        eventually("call of each secret in one list", async || {
            let calls = owner.get(&all).await;
            (calls["items"].as_array().unwrap().len() >= 5).then_some(())
        })
        .await;
        let sixth = roll(3_600).await;
        owner.call("DELETE", &format!("/api/v1/keys/{}", first.key_id), None).await.expect(204);
        for each in [&fifth, &sixth] {
            refused_within_a_second(each, 401, "key_revoked").await;
        }
        owner.call("POST", &path, Some(&json!({}))).await.expect_problem(409, "conflict");
    });
}

#[test]
fn a_roll_that_is_sent_twice_happens_once_and_a_key_is_revoked_once_however_many_do_it() {
    run(async {
        let owner = shared().owner("Lost answers").await;
        let first = owner.create_key("ci").await;
        let path = format!("/api/v1/keys/{}/roll", first.key_id);
        let roll = async |seconds: u32| {
            let body = json!({"overlap_seconds": seconds}).to_string();
            let headers = [
                ("cookie", owner.cookie()),
                ("content-type", "application/json"),
                ("idempotency-key", "of this roll"),
            ];
            http::send("POST", &format!("{}{path}", shared().base_url()), &headers, body).await
        };
        roll(600).await.expect(200);
        roll(600).await.expect_problem(409, "conflict");
        roll(601).await.expect_problem(422, "idempotency_mismatch");
        assert_eq!(first.chat("demo/echo", "x").await.status, 200, "the secret of before was ended");
        let key = format!("/api/v1/keys/{}", first.key_id);
        let all = (0..6).map(|_| owner.call("DELETE", &key, None));
        for answer in futures_util::future::join_all(all).await {
            answer.expect(204);
        }
        let events = owner.get("/api/v1/audit-events?limit=200").await.to_string();
        assert_eq!(events.matches("\"key.revoked\"").count(), 1, "{events}");
        assert_eq!(events.matches("\"key.rolled\"").count(), 1, "{events}");
    });
}

#[test]
fn of_many_who_roll_a_key_at_once_each_has_a_secret_and_the_last_two_work() {
    run(async {
        let app = shared();
        let owner = app.owner("Races").await;
        let key = owner.create_key("ci").await;
        let path = format!("/api/v1/keys/{}/roll", key.key_id);
        let body = json!({"overlap_seconds": 3_600});
        let rolls = (0..8).map(|_| owner.call("POST", &path, Some(&body)));
        let mut works = 0;
        for made in futures_util::future::join_all(rolls).await {
            let made = program(&app.base_url(), &made.expect(200).json());
            works += u32::from(made.get("/api/v1/bills").await.status == 200);
        }
        assert_eq!(works, 2);
        key.get("/api/v1/bills").await.expect_problem(401, "key_unknown");
    });
}
