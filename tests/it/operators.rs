//! Running the service, from outside: it is there for operators alone, and what they do is written down.

use costlens_tests::actors::Owner;
use costlens_tests::app::{TestApp, shared};
use costlens_tests::run;
use serde_json::json;

/// Somebody who runs the service.
async fn operator(app: &TestApp) -> Owner {
    let tenant = app.command(&["tenants", "create", "Operator"]);
    let base = app.base_url();
    let link = app.command(&["sign-in", "--tenant", &tenant, "--operator", "--public-url", &base]);
    Owner::sign_in(&base, &link).await
}

/// A dead letter of a tenant's, in a queue of its own that nobody works on; its id.
fn dead_letter(app: &TestApp, tenant: &str, number: u32) -> String {
    let tenant = tenant.trim_start_matches("ten_");
    let id = format!("{}-{:012}", &uuid(tenant)[..23], number);
    app.sql(&format!(
        "INSERT INTO queue.job (id, queue, tenant, args, metadata, max_attempts, run_at, status, done_at, \
             error_class, error_code, error) \
         VALUES ('{id}', 'nobody-{tenant}.v1', '{tenant}', '{{\"secret_word\": \"SHOWNTONOBODY\"}}', '{{}}', 3, \
             now(), 'dead', now(), 'bug', 'broken', 'it broke')"
    ));
    id
}

fn uuid(hex: &str) -> String {
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[test]
fn only_an_operator_learns_that_there_is_anything_to_operate() {
    run(async {
        let app = shared();
        let owner = app.owner("No operator").await;
        for path in ["jobs", "stats", "schedules", "events", "erasures"] {
            let path = format!("/api/v1/operator/{path}");
            owner.call("GET", &path, None).await.expect_problem(404, "not_found");
        }
        let reason = json!({"reason": "x"});
        let path = "/api/v1/operator/schedules/partitions/pause";
        owner.call("POST", path, Some(&reason)).await.expect_problem(404, "not_found");
        let operator = operator(app).await;
        for path in ["jobs", "stats", "schedules", "events", "erasures"] {
            operator.get(&format!("/api/v1/operator/{path}")).await;
        }
        assert_eq!(operator.get("/api/v1/session").await["operator"], true);
    });
}

#[test]
fn what_an_operator_does_is_written_down_and_the_tenant_is_told() {
    run(async {
        let app = shared();
        let (owner, operator) = (app.owner("Operated on").await, operator(app).await);
        let first = dead_letter(app, &owner.tenant_id, 1);
        let second = dead_letter(app, &owner.tenant_id, 2);
        let list = format!("/api/v1/operator/jobs?tenant_id={}&state=dead&error_class=bug", owner.tenant_id);
        let listed = operator.get(&list).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
        let one = format!("/api/v1/operator/jobs/{first}");
        let shown = operator.get(&one).await;
        assert_eq!(shown["details"]["fields"], json!(["secret_word"]));
        let own = owner.get(&format!("/api/v1/workflows/{first}")).await;
        assert_eq!(own["workflow"]["error_code"], "broken");
        // What the program said of itself is the operator's to read.
        assert_eq!(own["workflow"]["error"], "The fault is ours. Whoever runs the service sees it.");
        assert_eq!(shown["details"]["workflow"]["error"], "it broke");
        let own_list = owner.get("/api/v1/workflows").await.to_string();
        assert!(own_list.contains("\"error_class\":\"bug\"") && !own_list.contains("it broke"), "{own_list}");
        for text in [shown.to_string(), own.to_string(), listed.to_string()] {
            assert!(!text.contains("SHOWNTONOBODY"), "{text}");
        }

        let which = json!({"tenant_id": owner.tenant_id, "error_code": "broken"});
        let counted = operator.call("POST", "/api/v1/operator/redrive/preview", Some(&which)).await;
        assert_eq!(counted.expect(200).json()["jobs"], 2);
        let reason = json!({"reason": "it is mended"});
        let no_reason = operator.call("POST", &format!("{one}/retry"), Some(&json!({"reason": ""}))).await;
        no_reason.expect_problem(400, "invalid_request");
        operator.call("POST", &format!("{one}/retry"), Some(&reason)).await.expect(204);
        let not_dead = operator.call("POST", &format!("{one}/discard"), Some(&reason)).await;
        not_dead.expect_problem(409, "conflict");
        operator.call("POST", &format!("{one}/cancel"), Some(&reason)).await.expect(200);
        let another = format!("/api/v1/operator/jobs/{second}/discard");
        operator.call("POST", &another, Some(&reason)).await.expect(204);
        let redrive = json!({"which": which, "reason": "again"});
        let driven = operator.call("POST", "/api/v1/operator/redrive", Some(&redrive)).await;
        assert_eq!(driven.expect(200).json()["jobs"], 0, "none is dead any more");
        for id in [&first, &second] {
            let job = owner.get(&format!("/api/v1/workflows/{id}")).await;
            assert_eq!(job["workflow"]["state"], "cancelled", "{job}");
        }

        let told = owner.get("/api/v1/audit-events").await;
        let acts: Vec<_> = told["items"].as_array().unwrap().iter().map(|each| &each["action"]).collect();
        let expected = [
            "workflows.redriven",
            "workflow.discarded",
            "workflow.cancelled",
            "workflow.retried",
            "session.opened",
            "sign_in_link.created",
            "tenant.created",
        ];
        assert_eq!(acts, expected);
        assert!(told["items"][0]["actor"].as_str().unwrap().starts_with("operator:ses_"), "{told}");
        let events = operator.get("/api/v1/operator/events?limit=200").await;
        let of_job = |id: &str| -> Vec<String> {
            let events = events["items"].as_array().unwrap().iter();
            let events = events.filter(|event| event["target"] == id);
            let acts = events.map(|event| event["action"].as_str().unwrap().to_owned());
            let mut acts: Vec<String> = acts.collect();
            // An act and its failure may be of one millisecond.
            acts.sort();
            acts
        };
        let expected = ["act.failed", "workflow.cancelled", "workflow.discarded", "workflow.retried"];
        assert_eq!(of_job(&first), expected);
        assert_eq!(of_job(&second), ["workflow.discarded"]);
    });
}

#[test]
fn the_command_line_writes_down_what_it_does_too() {
    run(async {
        let app = shared();
        let (owner, operator) = (app.owner("By command").await, operator(app).await);
        let job = dead_letter(app, &owner.tenant_id, 7);
        assert_eq!(app.command(&["jobs", "retry", &job]), "");
        assert_eq!(app.command(&["jobs", "cancel", &job]), "cancelled");
        let said = app.failing_command(&["jobs", "cancel", &job]);
        assert!(said.contains("ended already"), "{said}");
        let told = owner.get("/api/v1/audit-events").await;
        assert_eq!(told["items"][0]["actor"], "operator:command-line");
        assert_eq!(told["items"][0]["action"], "workflow.cancelled");
        assert_eq!(told["items"][1]["action"], "workflow.retried");
        let events = operator.get("/api/v1/operator/events?limit=200").await;
        let events = events["items"].as_array().unwrap().iter();
        let of_job = events.filter(|event| event["target"] == job);
        let mut acts: Vec<_> = of_job.map(|event| event["action"].as_str().unwrap()).collect();
        acts.sort_unstable();
        assert_eq!(acts, ["act.failed", "workflow.cancelled", "workflow.cancelled", "workflow.retried"]);
    });
}
