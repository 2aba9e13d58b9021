//! Exports from outside: what was called is in the file, to the last digit, also when the server is killed meanwhile.

use std::io::Read as _;

use costlens_tests::actors::{CHAT, Owner, call_id};
use costlens_tests::app::{TestApp, shared};
use costlens_tests::reply::Tokens;
use costlens_tests::{eventually, run};
use serde_json::{Value, json};

use super::imports::BILL;

/// An export once it has ended.
pub(crate) async fn ended(owner: &Owner, id: &str) -> Value {
    eventually("end of the export", async || {
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
fn a_focus_export_holds_bills_and_calls_and_sums_to_both() {
    run(async {
        let app = shared();
        let owner = app.owner("Focused").await;
        let program = owner.create_key("focused").await;
        let line = app.llm.line_of(Tokens::plain(1_000, 100));
        owner.connect(json!({"provider": "anthropic", "name": "carried", "secret": line.secret()})).await;
        let (id, body) = (
            call_id(),
            json!({"model": "carried/claude-sonnet-4-5", "max_tokens": 9,
            "messages": [{"role": "user", "content": "hello"}]}),
        );
        program.post("/v1/messages", &id, body.to_string()).await.expect(200);
        let call = program.row(&id).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bill.csv");
        std::fs::write(&file, BILL).unwrap();
        let _report = app.command(&["import", "--tenant", &owner.tenant_id, file.to_str().unwrap()]);

        let id = ask(&owner, json!({"what": "focus", "format": "jsonl"})).await;
        let export = ended(&owner, &id).await;
        assert_eq!((&export["state"], &export["rows"]), (&json!("done"), &json!(3)), "{export}");
        let text = text(&owner, &id).await;
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = |row: &Value, names: [&str; 6]| names.map(|name| row[name].clone());
        let names =
            ["x_Source", "BilledCost", "EffectiveCost", "ConsumedQuantity", "ChargePeriodStart", "x_Model"];
        let billed = |cost: &str, tokens: &str, day: &str| {
            let start = format!("2026-10-0{day}T00:00:00Z");
            ["bill", cost, cost, tokens, &start, "nova-pro"].map(Value::from)
        };
        assert_eq!(told(&rows[0], names), billed("0.8000000001", "1000000", "1"), "{text}");
        assert_eq!(told(&rows[1], names), billed("0.32", "100000", "2"), "{text}");
        let [source, billed, effective, quantity, ..] = told(&rows[2], names);
        assert_eq!((source, billed, quantity), (json!("proxy"), Value::Null, json!(1_100)), "{text}");
        assert!(call["cost"].is_string() && effective == call["cost"], "{call}");

        // Of the days of the bill alone.
        let october = json!({"what": "focus", "format": "csv", "from": "2026-10-02T00:00:00Z", "to": "2026-10-03T00:00:00Z"});
        let id = ask(&owner, october).await;
        assert_eq!(ended(&owner, &id).await["rows"], json!(1));
        assert!(super::exports::text(&owner, &id).await.starts_with("AvailabilityZone,BilledCost,"));
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
