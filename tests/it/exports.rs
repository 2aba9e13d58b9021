//! Exports from outside: what was called is in the file, to the last digit, also when the server is killed meanwhile.

use std::io::Read as _;
use std::time::Duration;

use costlens_tests::actors::{CHAT, Owner, call_id};
use costlens_tests::app::{TestApp, shared};
use costlens_tests::{eventually, run};
use serde_json::{Value, json};

/// An export once it has ended.
pub(crate) async fn ended(owner: &Owner, id: &str) -> Value {
    eventually(Duration::from_mins(1), "end of the export", async || {
        let export = owner.get(&format!("/api/v1/exports/{id}")).await;
        (!matches!(export["state"].as_str(), Some("queued" | "running"))).then_some(export)
    })
    .await
}

pub(crate) async fn ask(owner: &Owner, body: Value) -> String {
    let asked = owner.call("POST", "/api/v1/exports", Some(&body)).await.expect(202).json();
    asked["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn text(owner: &Owner, id: &str) -> String {
    let file = owner.call("GET", &format!("/api/v1/exports/{id}/file"), None).await.expect(200);
    assert_eq!(file.header("content-type"), "application/gzip");
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"costlens-"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*file.body).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn an_export_holds_what_the_list_shows() {
    run(async {
        let app = shared();
        let owner = app.owner("Exporter").await;
        let program = owner.create_key("exporter").await;
        for model in ["demo/echo", "demo/echo", "no-such-model"] {
            let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
            let id = call_id();
            let answer = program.post(CHAT, &id, body.to_string()).await;
            if answer.status == 200 {
                program.row(&id).await;
            }
        }
        let list = owner.get("/api/v1/requests").await;
        let list = list["items"].as_array().unwrap();
        assert!(list.len() >= 2);
        let id = ask(&owner, json!({"what": "requests", "format": "jsonl"})).await;
        let export = ended(&owner, &id).await;
        assert_eq!((&export["state"], &export["rows"]), (&json!("done"), &json!(list.len())), "{export}");
        let text = text(&owner, &id).await;
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for (row, shown) in rows.iter().rev().zip(list) {
            for name in
                ["id", "api_key_id", "model_requested", "outcome", "cost", "cost_basis", "duration_ms"]
            {
                assert_eq!(row[name], shown[name], "{name}");
            }
            assert_eq!(row["output"], shown["usage"]["output"]);
        }
        let acts = owner.get("/api/v1/audit-events").await.to_string();
        assert!(acts.contains("export.created") && acts.contains("export.downloaded"), "{acts}");
        // A program's key reads no exports: its secret is in many hands.
        let key = format!("Bearer {}", program.secret);
        let url = format!("{}/api/v1/exports", app.base_url());
        let refused = costlens_tests::http::send("GET", &url, &[("authorization", &key)], "").await;
        assert_eq!(refused.status, 403);
    });
}

#[test]
fn an_export_that_was_asked_for_before_a_kill_is_there_after_it() {
    run(async {
        let mut app = TestApp::own(&[]);
        let owner = app.owner("Killed").await;
        let id = ask(&owner, json!({"what": "hourly_spend", "format": "csv"})).await;
        app.kill();
        app.start();
        let owner = owner.at(&app.base_url());
        assert_eq!(ended(&owner, &id).await["state"], "done");
        assert!(text(&owner, &id).await.starts_with("hour,api_key_id,provider,model,"));
    });
}
