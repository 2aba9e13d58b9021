//! Prompts and answers from outside: what is kept is sealed, what may not be kept is nowhere, and who reads it is
//! written down.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use costlens_tests::actors::{CHAT, MESSAGES, Owner, Program, call_id};
use costlens_tests::app::{TestApp, shared};
use costlens_tests::fake_llm::Line;
use costlens_tests::http::Answer;
use costlens_tests::reply::Reply;
use costlens_tests::{eventually, in_time, run};
use serde_json::{Value, json};

use crate::exports;
use crate::people::{Person, open};
use crate::victim::hook_url;

/// How soon a change of what may be kept holds.
const SOON: Duration = Duration::from_secs(1);

/// An account that connected a vendor which says this, and wants this of its prompts and answers.
async fn account(app: &TestApp, name: &str, privacy: Value, reply: Reply) -> (Owner, Program, Line) {
    let owner = app.owner(name).await;
    let line = app.llm.line(move |_| reply.clone());
    owner.connect_both(&line).await;
    owner.call("PATCH", "/api/v1/privacy", Some(&privacy)).await.expect(200);
    let program = owner.create_key("ci").await;
    (owner, program, line)
}

fn prompt(text: &str) -> String {
    json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}).to_string()
}

/// A whole answer of OpenAI's that says this.
fn answer(text: &str) -> Reply {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    });
    Reply::refusal(200, &body.to_string())
}

/// The row of a call that was made with this body, and the id that leads to it.
async fn call(program: &Program, path: &str, body: String) -> (String, Value) {
    let id = call_id();
    let answer: Answer = program.post(path, &id, body).await.expect(200);
    let row = program.row(&id).await;
    (answer.header("costlens-request-id").to_owned(), row)
}

/// Calls until the row's body is so: a proxy that has just come up keeps nothing before it hears of changes.
async fn call_until(program: &Program, path: &str, body: &str, state: &str) -> (String, Value) {
    let what = format!("a call whose body is {state}");
    eventually(&what, async || called(program, path, body, state).await).await
}

/// The same where a change of what may be kept was just made.
async fn call_soon(program: &Program, path: &str, body: &str, state: &str) -> (String, Value) {
    let what = format!("a call whose body is {state}");
    in_time(SOON, &what, async || called(program, path, body, state).await).await
}

async fn called(program: &Program, path: &str, body: &str, state: &str) -> Option<(String, Value)> {
    let (id, row) = call(program, path, body.to_owned()).await;
    (row["body"] == state).then_some((id, row))
}

async fn body_of(owner: &Owner, id: &str) -> Value {
    owner.get(&format!("/api/v1/requests/{id}/body")).await
}

/// The files below a directory that hold these bytes. (Some come and go while the server runs.)
fn files_with(dir: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            found.extend(files_with(&path, needle));
        } else if kind.is_file()
            && let Ok(bytes) = std::fs::read(&path)
            && memchr::memmem::find(&bytes, needle).is_some()
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_prompt_is_nowhere_but_sealed_and_under_zero_retention_nowhere_at_all() {
    run(async {
        let mut app = TestApp::own(&[("COSTLENS_LOG", "debug")]);
        let canaries =
            ["Canary-Pirol-Frage", "Canary-Pirol-Antwort", "Canary-Wachtel-Frage", "Canary-Wachtel-Antwort"];
        let kept = json!({"capture_bodies": true});
        let (owner, program, _) = account(&app, "Kept", kept, answer(canaries[1])).await;
        let (id, _) = call_until(&program, CHAT, &prompt(canaries[0]), "sealed").await;
        let body = body_of(&owner, &id).await;
        assert!(body["request"].as_str().unwrap().contains(canaries[0]), "{body}");
        assert!(body["response"].as_str().unwrap().contains(canaries[1]), "{body}");

        let none = json!({"capture_bodies": true, "zero_retention": true});
        let (other, program, line) = account(&app, "Nothing", none, answer(canaries[3])).await;
        let answered = program.post(CHAT, "Marker-Kiebitz", prompt(canaries[2])).await.expect(200);
        assert!(answered.text().contains(canaries[3]));
        assert!(String::from_utf8_lossy(&line.only().body).contains(canaries[2]));
        assert_eq!(program.row("Marker-Kiebitz").await["body"], "dropped_zdr");

        // What is told to others: an export, and the webhook of it, whose event is stored and stays, as nobody answers.
        for owner in [&owner, &other] {
            let hook = json!({"name": "hook", "url": hook_url(&app), "kinds": ["export.done"]});
            owner.call("POST", "/api/v1/webhook-endpoints", Some(&hook)).await.expect(201);
            let id = exports::ask(owner, json!({"what": "requests", "format": "jsonl"})).await;
            assert!(exports::ended(owner, &id).await["rows"].as_u64() > Some(0));
            let text = exports::text(owner, &id).await;
            assert!(!canaries.iter().any(|canary| text.contains(canary)), "{text}");
            assert_eq!(text.contains(r#""body":"dropped_zdr""#), text.contains("Marker-Kiebitz"), "{text}");
        }

        // While it runs, and when everything was written out: heap, write-ahead log, spool, sealed files, server's log.
        let dir = app.data_dir().parent().unwrap().to_owned();
        for moment in ["running", "stopped"] {
            for canary in canaries {
                assert_eq!(files_with(&dir, canary.as_bytes()), Vec::<String>::new(), "{canary}, {moment}");
            }
            // What is kept of a call is found by the same search.
            assert_ne!(files_with(&dir, b"Marker-Kiebitz"), Vec::<String>::new(), "{moment}");
            app.stop();
        }
    });
}

#[test]
fn the_bytes_that_passed_are_read_by_people_alone_and_each_time_is_written_down() {
    run(async {
        let app = shared();
        let (owner, program, line) =
            account(app, "Reader", json!({"capture_bodies": true}), answer("a word")).await;
        let (id, row) = call_until(&program, CHAT, &prompt("a question"), "sealed").await;
        let path = format!("/api/v1/requests/{id}/body");
        program.get(&path).await.expect_problem(403, "forbidden");
        let stranger = app.owner("Stranger to a body").await;
        stranger.call("GET", &path, None).await.expect_problem(404, "not_found");
        let events = owner.get("/api/v1/audit-events").await;
        assert!(!events.to_string().contains("bodies.viewed"), "{events}");

        let body = body_of(&owner, &id).await;
        assert_eq!(
            (&body["id"], &body["presence"], &body["redacted"]),
            (&row["id"], &json!("present"), &json!(false))
        );
        assert_eq!(body["request"].as_str().unwrap().as_bytes(), &line.last().body[..]);
        assert_eq!(body["response"].as_str().unwrap().as_bytes(), &answer("a word").body()[..]);
        assert_eq!(body["body_retention"], "30d");
        let events = owner.get("/api/v1/audit-events").await;
        assert_eq!(
            (&events["items"][0]["action"], &events["items"][0]["target"]),
            (&json!("bodies.viewed"), &json!(id))
        );
        assert!(events["items"][0]["actor"].as_str().unwrap().starts_with("session:"));
    });
}

#[test]
fn a_stream_is_kept_as_it_passed_and_without_personal_data_where_that_is_wanted() {
    run(async {
        let app = shared();
        let event = |text: &str| {
            let event = json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": text}}]});
            Bytes::from(format!("data: {event}\n\n"))
        };
        let usage = json!({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}});
        let frames = vec![
            event("Your card 4111 11"),
            event("11 1111 1111 and jane@exam"),
            event("ple.com"),
            Bytes::from(format!("data: {usage}\n\n")),
            Bytes::from_static(b"data: [DONE]\n\n"),
        ];
        let whole = frames.concat();
        let reply = Reply {
            frames,
            headers: vec![("content-type", "text/event-stream".to_owned())],
            ..Reply::refusal(200, "")
        };
        let (owner, program, line) =
            account(app, "Redacted", json!({"capture_bodies": true, "redact": true}), reply).await;
        let said = json!({
            "model": "gpt-4o-mini", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "my card is 5555-5555-5555-4444, call +1 212 555 0187"}],
        })
        .to_string();
        let (id, row) = call_until(&program, CHAT, &said, "sealed").await;
        assert_eq!(line.last().body, said, "the vendor gets the original");
        assert_eq!(row["usage"]["fresh_input"], 7);
        let heard = program.post(CHAT, &call_id(), said.clone()).await.expect(200);
        assert_eq!(heard.text().as_bytes(), &whole[..], "and so does the client");
        let body = body_of(&owner, &id).await;
        assert_eq!(
            body["request"].as_str().unwrap(),
            said.replace("5555-5555-5555-4444", "[CARD]").replace("+1 212 555 0187", "[PHONE]")
        );
        let kept = body["response"].as_str().unwrap();
        let expected = String::from_utf8(whole).unwrap();
        let expected =
            expected.replace("4111 11", "[CARD]").replace("11 1111 1111 and jane@exam", " and [EMAIL]");
        assert_eq!(kept, expected.replace("ple.com", ""));
        assert_eq!(body["redacted"], true);
    });
}

#[test]
fn zero_retention_of_account_or_key_holds_within_a_second_and_changes_no_sum() {
    run(async {
        let app = shared();
        let (owner, program, _) =
            account(app, "Toggled", json!({"capture_bodies": true}), answer("a word")).await;
        let (_, kept) = call_until(&program, CHAT, &prompt("one"), "sealed").await;
        let set = async |path: &str, wanted: bool| {
            let body = json!({"zero_retention": wanted});
            owner.call("PATCH", path, Some(&body)).await.expect(200);
        };
        let of_key = format!("/api/v1/keys/{}", program.key_id);
        for path in ["/api/v1/privacy", of_key.as_str()] {
            set(path, true).await;
            let (id, dropped) = call_soon(&program, CHAT, &prompt("one"), "dropped_zdr").await;
            for member in ["usage", "cost", "cost_basis", "price", "provider", "model_served", "outcome"] {
                assert_eq!(dropped[member], kept[member], "{member}");
            }
            let body = body_of(&owner, &id).await;
            assert_eq!((&body["presence"], &body["request"]), (&json!("never_kept"), &Value::Null));
            set(path, false).await;
            call_soon(&program, CHAT, &prompt("one"), "sealed").await;
        }
        let other = owner.create_key_with(json!({"name": "secret", "zero_retention": true})).await;
        assert_eq!(call(&other, CHAT, prompt("one")).await.1["body"], "dropped_zdr");
        let nothing = json!({"capture_bodies": false});
        owner.call("PATCH", "/api/v1/privacy", Some(&nothing)).await.expect(200);
        call_soon(&program, CHAT, &prompt("one"), "none").await;
        // Every change by what it changed, and no change where nothing did.
        owner.call("PATCH", "/api/v1/privacy", Some(&nothing)).await.expect(200);
        let events = owner.get("/api/v1/audit-events?limit=200").await;
        let of = |action: &str| {
            events["items"].as_array().unwrap().iter().filter(|event| event["action"] == action).count()
        };
        assert_eq!((of("privacy.changed"), of("key.updated")), (4, 2), "{events}");
        assert_eq!(events["items"][0]["change"]["from"]["capture_bodies"], true);
    });
}

#[test]
fn what_cannot_be_kept_costs_no_call_and_says_so() {
    run(async {
        let app = TestApp::own(&[]);
        let long = answer(&"long ".repeat(400_000));
        let (owner, program, _) = account(&app, "Long", json!({"capture_bodies": true}), long.clone()).await;
        let (id, _) = call_until(&program, CHAT, &prompt("tell me all"), "truncated").await;
        let body = body_of(&owner, &id).await;
        assert_eq!(body["response"].as_str().unwrap().len(), 1 << 20);
        assert_eq!(body["response_bytes"], long.body().len());
        // Without a directory no file can be written.
        std::fs::remove_dir_all(app.data_dir().join("bodies")).unwrap();
        let id = call_id();
        let answered = program.post(CHAT, &id, prompt("and again")).await.expect(200);
        assert_eq!(answered.body, &long.body()[..]);
        let row = program.row(&id).await;
        assert_eq!((&row["body"], &row["usage"]["fresh_input"]), (&json!("unavailable"), &json!(7)));
    });
}

#[test]
fn a_destroyed_key_makes_its_bodies_unreadable_at_once_and_the_next_ones_are_readable() {
    run(async {
        let app = shared();
        let (owner, program, _) =
            account(app, "Destroyer", json!({"capture_bodies": true}), answer("a word")).await;
        let (id, _) = call_until(&program, CHAT, &prompt("one"), "sealed").await;
        let other = owner.create_key("other").await;
        let (others, _) = call_until(&other, CHAT, &prompt("two"), "sealed").await;
        let path = format!("/api/v1/keys/{}/bodies", program.key_id);
        assert_eq!(owner.call("DELETE", &path, None).await.expect(200).json()["data_keys"], 1);
        assert_eq!(body_of(&owner, &id).await["presence"], "destroyed");
        assert_eq!(body_of(&owner, &others).await["presence"], "present", "another subject's");
        assert_eq!(owner.call("DELETE", &path, None).await.expect(200).json()["data_keys"], 0);
        in_time(SOON, "a body that can be read again", async || {
            let (next, _) = call_until(&program, CHAT, &prompt("three"), "sealed").await;
            (body_of(&owner, &next).await["presence"] == "present").then_some(())
        })
        .await;
        assert_eq!(body_of(&owner, &id).await["presence"], "destroyed");
    });
}

#[test]
fn whoever_runs_the_service_reads_nothing_without_leave_and_nothing_unseen() {
    run(async {
        let app = shared();
        let (owner, program, _) =
            account(app, "Helped", json!({"capture_bodies": true}), answer("a word")).await;
        let (id, _) = call_until(&program, CHAT, &prompt("help"), "sealed").await;
        let tenant = app.command(&["tenants", "create", "Staff"]);
        let link =
            app.command(&["sign-in", "--tenant", &tenant, "--operator", "--public-url", &app.base_url()]);
        let staff = Owner::sign_in(&app.base_url(), &link).await;
        let path = format!("/api/v1/operator/tenants/{}/requests/{id}/body", owner.tenant_id);
        owner.call("GET", &path, None).await.expect_problem(404, "not_found");
        staff.call("GET", &path, None).await.expect_problem(403, "forbidden");

        let too_long = json!({"hours": 73, "reason": "x"});
        owner
            .call("POST", "/api/v1/support-grants", Some(&too_long))
            .await
            .expect_problem(400, "invalid_request");
        let leave = json!({"hours": 72, "reason": "an answer that broke off"});
        let leave = owner.call("POST", "/api/v1/support-grants", Some(&leave)).await.expect(201).json();
        let holding = staff.get("/api/v1/operator/support-grants").await;
        assert!(holding.to_string().contains(leave["id"].as_str().unwrap()), "{holding}");
        let body = staff.get(&path).await;
        assert!(body["request"].as_str().unwrap().contains("help"));
        let told = owner.get("/api/v1/audit-events").await["items"][0].clone();
        assert_eq!((&told["action"], &told["target"]), (&json!("bodies.viewed"), &json!(id)));
        assert!(told["actor"].as_str().unwrap().starts_with("operator:ses_"), "{told}");
        assert_eq!(told["change"]["support_grant"], leave["id"]);
        let own = staff.get("/api/v1/operator/events").await["items"].as_array().unwrap().clone();
        let of = |action: &str| own.iter().find(|event| event["action"] == action).cloned().unwrap();
        assert_eq!(of("bodies.viewed")["target"], leave["id"]);
        of("bodies.refused");
        assert!(!own.iter().any(|event| event.to_string().contains(&owner.tenant_id)), "{own:?}");

        let revoke = format!("/api/v1/support-grants/{}", leave["id"].as_str().unwrap());
        owner.call("DELETE", &revoke, None).await.expect(204);
        staff.call("GET", &path, None).await.expect_problem(403, "forbidden");
        // A program neither gives leave nor is given any.
        program.get("/api/v1/support-grants").await.expect_problem(403, "forbidden");
    });
}

#[test]
fn the_settings_say_what_holds_and_what_a_shorter_retention_takes() {
    run(async {
        let app = shared();
        let (owner, program, _) = account(app, "Settings", json!({}), answer("a word")).await;
        let settings = owner.get("/api/v1/privacy").await;
        assert_eq!((&settings["capture_bodies"], &settings["redact"]), (&json!(false), &json!(false)));
        assert_eq!(
            (&settings["body_retention"], &settings["forever_floor_days"]),
            (&json!("30d"), &json!(30))
        );
        assert_eq!(settings["forever_ends_after_days"], Value::Null);
        let hosts = settings["private_hosts"].as_array().unwrap();
        assert!(hosts.contains(&json!(app.llm.host_port())), "{settings}");
        assert_eq!(call(&program, MESSAGES, prompt_of_messages()).await.1["body"], "none");

        let wish = json!({"capture_bodies": true, "body_retention": "365d"});
        owner.call("PATCH", "/api/v1/privacy", Some(&wish)).await.expect(200);
        let (id, _) = call_until(&program, MESSAGES, &prompt_of_messages(), "sealed").await;
        assert_eq!(body_of(&owner, &id).await["body_retention"], "365d");
        let preview = "/api/v1/privacy/purge-preview?body_retention=7d";
        assert_eq!(owner.get(preview).await["bodies"], 0);
        // As if it had been eight days ago.
        let tenant = owner.tenant_id.trim_start_matches("ten_");
        app.sql(&format!(
            "SELECT ensure_body_partition('365d', current_date - 9); \
             UPDATE request_body SET day = current_date - 9 WHERE tenant_id = '{tenant}'"
        ));
        let would = owner.get(preview).await;
        assert_eq!(would["bodies"], 1, "{would}");
        assert_eq!(owner.get("/api/v1/privacy/purge-preview?body_retention=90d").await["bodies"], 0);
        owner
            .call("GET", "/api/v1/privacy/purge-preview?body_retention=8d", None)
            .await
            .expect_problem(400, "invalid_request");
        let wrong = json!({"body_retention": "8d"});
        owner.call("PATCH", "/api/v1/privacy", Some(&wrong)).await.expect_problem(400, "invalid_request");
        assert_eq!(owner.get("/api/v1/privacy").await["body_retention"], "365d");
    });
}

fn prompt_of_messages() -> String {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]})
        .to_string()
}

/// A server where people have roles, and an account of which everything is kept.
async fn people_who_keep(name: &str) -> (Person, Program) {
    let mut owner = Person::registered(open(), name).await;
    owner.call("PATCH", "/api/v1/privacy", Some(json!({"capture_bodies": true}))).await.expect(200);
    let made = owner.post("/api/v1/keys", json!({"name": "ci"})).await.expect(201).json();
    let mut program = Program::new(&owner.base, made["secret"].as_str().unwrap());
    made["key"]["id"].as_str().unwrap().clone_into(&mut program.key_id);
    (owner, program)
}

fn demo_prompt() -> String {
    json!({"model": "demo/echo", "messages": [{"role": "user", "content": "x"}]}).to_string()
}

#[test]
fn administrators_and_owners_alone_read_destroy_and_let_read() {
    run(async {
        let (mut owner, program) = people_who_keep("reader").await;
        let (id, _) = call_until(&program, CHAT, &demo_prompt(), "sealed").await;
        let read = format!("/api/v1/requests/{id}/body");
        let destroy = format!("/api/v1/keys/{}/bodies", program.key_id);
        let leave = json!({"hours": 1, "reason": "x"});
        for role in ["viewer", "member", "analyst"] {
            let mut person = Person::invited(open(), &mut owner, role).await;
            person.call("GET", &read, None).await.expect_problem(403, "forbidden");
            person.call("DELETE", &destroy, None).await.expect_problem(403, "forbidden");
            person.post("/api/v1/support-grants", leave.clone()).await.expect_problem(403, "forbidden");
            let keep_none = json!({"capture_bodies": false});
            let change = person.call("PATCH", "/api/v1/privacy", Some(keep_none)).await;
            change.expect_problem(403, "forbidden");
        }
        let mut admin = Person::invited(open(), &mut owner, "admin").await;
        assert_eq!(admin.get(&read).await["presence"], "present");
        // What cannot be undone, or lets others in, wants a fresh proof.
        admin.grow_stale(open()).await;
        admin.post("/api/v1/support-grants", leave.clone()).await.expect_problem(403, "step_up_required");
        admin.call("DELETE", &destroy, None).await.expect_problem(403, "step_up_required");
        let keeps = admin.get("/api/v1/privacy").await;
        for more in [json!({"body_retention": "forever"}), json!({"zero_retention": true, "redact": false})] {
            admin.call("PATCH", "/api/v1/privacy", Some(json!({"redact": true}))).await.expect(200);
            let refused = admin.call("PATCH", "/api/v1/privacy", Some(more)).await;
            refused.expect_problem(403, "step_up_required");
        }
        assert_eq!(admin.get("/api/v1/privacy").await["body_retention"], keeps["body_retention"]);
        // What keeps less wants none.
        let path = format!("/api/v1/keys/{}", program.key_id);
        let zero = |wanted: bool| Some(json!({"zero_retention": wanted}));
        admin.call("PATCH", &path, zero(true)).await.expect(200);
        admin.call("PATCH", &path, zero(false)).await.expect_problem(403, "step_up_required");
        assert_eq!(admin.get(&path).await["zero_retention"], true);
        assert_eq!(owner.get(&read).await["presence"], "present");
        owner.post("/api/v1/support-grants", leave).await.expect(201);
        owner.call("DELETE", &destroy, None).await.expect(200);
        assert_eq!(owner.get(&read).await["presence"], "destroyed");
    });
}

#[test]
fn who_may_not_say_what_is_kept_lifts_no_keys_zero_retention() {
    run(async {
        let (mut owner, program) = people_who_keep("keeper").await;
        let mut member = Person::invited(open(), &mut owner, "member").await;
        let path = format!("/api/v1/keys/{}", program.key_id);
        let zero = |wanted: bool| Some(json!({"zero_retention": wanted}));
        // Who makes keys may have nothing kept of one, and does not take that back.
        member.call("PATCH", &path, zero(true)).await.expect(200);
        member.call("PATCH", &path, Some(json!({"name": "other"}))).await.expect(200);
        member.call("PATCH", &path, zero(false)).await.expect_problem(403, "forbidden");
        call_soon(&program, CHAT, &demo_prompt(), "dropped_zdr").await;
        owner.call("PATCH", &path, zero(false)).await.expect(200);
        call_until(&program, CHAT, &demo_prompt(), "sealed").await;
    });
}
