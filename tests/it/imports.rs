//! A bill on its way into a tenant's ledger: read from the command line, or uploaded and read by the workers.

use std::time::Duration;

use costlens_tests::app::{TestApp, shared};
use costlens_tests::{eventually, run};
use serde_json::{Value, json};

const BILL: &str = "\
bill/PayerAccountId,lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,lineItem/ProductCode,lineItem/UsageType,lineItem/Operation,lineItem/UsageAmount,lineItem/CurrencyCode,lineItem/UnblendedCost,pricing/unit
1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,InvokeModelInference,1000,USD,0.8000000001,1K tokens
1,2,Usage,2026-10-02T00:00:00Z,AmazonBedrock,USE1-NovaPro-output-tokens,InvokeModelInference,100,USD,0.32,1K tokens
1,2,Usage,2026-10-02T00:00:00Z,AmazonS3,USE1-TimedStorage-ByteHrs,,1,USD,5.5,GB-Mo
";

fn bills(list: &Value) -> &[Value] {
    list["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[test]
fn an_imported_bill_is_its_tenants_alone_and_exact_and_counts_once() {
    run(async {
        let app = shared();
        let (owner, other) = (app.owner("Importer").await, app.owner("Onlooker").await);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bill.csv");
        std::fs::write(&file, BILL).unwrap();
        let import = || app.command(&["import", "--tenant", &owner.tenant_id, file.to_str().unwrap()]);
        import();
        // The same month again stands in the place of the first.
        import();
        let list = owner.get("/api/v1/bills").await;
        let current: Vec<&Value> =
            bills(&list).iter().filter(|bill| bill["superseded_at"].is_null()).collect();
        let [bill] = current.as_slice() else { panic!("{list}") };
        assert_eq!((&bill["lines"], bills(&list).len()), (&json!(3), 2), "{list}");
        let totals = json!([{
            "currency": "USD", "total_cost": "6.6200000001", "ai_cost": "1.1200000001", "candidate_cost": "0",
        }]);
        for (name, value) in totals[0].as_object().unwrap() {
            assert_eq!(&bill["totals"][0][name], value, "{bill}");
        }
        let id = bill["id"].as_str().unwrap();
        assert!(bills(&other.get("/api/v1/bills").await).is_empty());
        other.call("GET", &format!("/api/v1/bills/{id}"), None).await.expect(404);
    });
}

#[test]
fn a_broken_bill_changes_nothing() {
    run(async {
        let app = shared();
        let owner = app.owner("Careful").await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broken.csv");
        std::fs::write(&file, BILL.replace("0.32,", "oops,")).unwrap();
        let said = app.failing_command(&["import", "--tenant", &owner.tenant_id, file.to_str().unwrap()]);
        assert!(said.contains("broken.csv") && said.contains("line 3"), "{said}");
        assert!(bills(&owner.get("/api/v1/bills").await).is_empty());
    });
}

const UPLOAD: &str = "/api/v1/bills?filename=october.csv";

/// How many files are kept below a server's directory of objects.
fn kept_files(app: &TestApp) -> usize {
    fn count(dir: &std::path::Path) -> usize {
        let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
        let of = |path: std::path::PathBuf| if path.is_dir() { count(&path) } else { 1 };
        entries.flatten().map(|entry| of(entry.path())).sum()
    }
    count(&app.data_dir().join("objects"))
}

#[test]
fn an_uploaded_bill_is_taken_at_once_and_published_once() {
    run(async {
        let app = TestApp::own(&[]);
        let owner = app.owner("Uploader").await;
        let key = [("idempotency-key", "october")];
        let taken = owner.send_bill(UPLOAD, BILL, &key).await.expect(202);
        let again = owner.send_bill(UPLOAD, BILL, &key).await.expect(202);
        assert_eq!((taken.json(), taken.header("location")), (again.json(), again.header("location")));
        owner.send_bill(UPLOAD, format!("{BILL}\n"), &key).await.expect_problem(422, "idempotency_mismatch");
        owner
            .send_bill("/api/v1/bills?filename=november.csv", BILL, &key)
            .await
            .expect_problem(422, "idempotency_mismatch");

        let upload = owner.upload_at(taken.header("location")).await;
        assert_eq!((&upload["state"], &upload["problem"]), (&json!("published"), &Value::Null), "{upload}");
        assert_eq!((&upload["name"], &upload["size_bytes"]), (&json!("october.csv"), &json!(BILL.len())));
        let bill = owner.get(&format!("/api/v1/bills/{}", upload["bill_id"].as_str().unwrap())).await;
        assert_eq!((&bill["lines"], &bill["name"]), (&json!(3), &json!("october.csv")), "{bill}");
        assert_eq!(bill["totals"][0]["ai_cost"], "1.1200000001");

        // The same content under another name is that bill.
        let copy = owner.upload("/api/v1/bills?filename=copy.csv", BILL).await;
        assert_eq!((&copy["state"], &copy["bill_id"]), (&json!("duplicate"), &upload["bill_id"]), "{copy}");
        assert_eq!(bills(&owner.get("/api/v1/bills").await).len(), 1);
        let uploads = owner.get("/api/v1/bills/uploads").await;
        let names: Vec<&str> = bills(&uploads).iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["copy.csv", "october.csv"]);
        eventually(Duration::from_secs(5), "removal of the files", async || {
            (kept_files(&app) == 0).then_some(())
        })
        .await;
    });
}

#[test]
fn a_broken_upload_fails_with_its_place_and_nothing_is_kept() {
    run(async {
        let app = TestApp::own(&[("COSTLENS_MAX_BILL_BYTES", "5000")]);
        let owner = app.owner("Careless").await;
        let good = owner.upload(UPLOAD, BILL).await;
        let broken = owner.upload(UPLOAD, BILL.replace("0.32,", "oops,")).await;
        assert_eq!((&broken["state"], &broken["bill_id"]), (&json!("failed"), &Value::Null), "{broken}");
        assert_eq!(broken["problem"]["code"], "bill_unreadable");
        let detail = broken["problem"]["detail"].as_str().unwrap();
        assert!(detail.contains("october.csv") && detail.contains("line 3"), "{detail}");
        let empty = owner.upload("/api/v1/bills?filename=empty.csv", "").await;
        assert_eq!(empty["problem"]["code"], "bill_unreadable", "{empty}");
        owner.send_bill(UPLOAD, "x".repeat(5_001), &[]).await.expect_problem(413, "body_too_large");

        let list = owner.get("/api/v1/bills").await;
        let [bill] = bills(&list) else { panic!("{list}") };
        assert_eq!((&bill["id"], &bill["superseded_at"]), (&good["bill_id"], &Value::Null));
        eventually(Duration::from_secs(5), "removal of the files", async || {
            (kept_files(&app) == 0).then_some(())
        })
        .await;
    });
}

/// A month of so many lines: enough that reading it takes a while.
fn long_bill(lines: usize) -> String {
    let (head, rest) = BILL.split_once('\n').unwrap();
    let line = rest.lines().next().unwrap();
    let mut text = format!("{head}\n");
    for _ in 0..lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[test]
fn a_server_that_is_killed_while_it_reads_a_bill_finishes_after_its_restart() {
    run(async {
        const LINES: usize = 400_000;
        let mut app = TestApp::own(&[]);
        let owner = app.owner("Patient").await;
        let taken = owner.send_bill(UPLOAD, long_bill(LINES), &[]).await.expect(202);
        let location = taken.header("location").to_owned();
        eventually(Duration::from_secs(20), "beginning of the reading", async || {
            (owner.get(&location).await["state"] == "reading").then_some(())
        })
        .await;
        app.kill();
        assert_eq!(kept_files(&app), 1, "the file outlives the server");
        app.start();
        let owner = owner.at(&app.base_url());
        let upload = owner.upload_at(&location).await;
        assert_eq!(upload["state"], "published", "{upload}");
        let list = owner.get("/api/v1/bills").await;
        let [bill] = bills(&list) else { panic!("{list}") };
        assert_eq!(bill["lines"], LINES);
        let jobs = app.command(&["jobs", "list", "--queue", "bill-ingestion.v1"]);
        let job: Value = serde_json::from_str(&jobs).unwrap();
        assert_eq!((&job["state"], &job["attempts"]), (&json!("done"), &json!(2)), "{job}");
    });
}
