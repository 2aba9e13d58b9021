//! A bill on its way into a tenant's ledger: read from the command line, or uploaded and read by the workers.

use costlens_tests::app::{TestApp, shared};
use costlens_tests::{eventually, run};
use serde_json::{Value, json};

/// Two days of Bedrock, and a line that is no AI.
pub(crate) const BILL: &str = "\
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
        // After each bill its facts are looked at.
        let tenant = owner.tenant_id.replace("ten_", "");
        let looks =
            format!("SELECT count(*) FROM queue.job WHERE queue = 'insight.v1' AND tenant = '{tenant}'");
        assert_eq!(app.query(&looks).trim(), "2");
        let id = bill["id"].as_str().unwrap();
        assert!(bills(&other.get("/api/v1/bills").await).is_empty());
        other.call("GET", &format!("/api/v1/bills/{id}"), None).await.expect(404);
    });
}

#[test]
fn a_withdrawn_bill_counts_nowhere_until_it_is_handed_in_again() {
    run(async {
        let app = shared();
        let owner = app.owner("Withdrawer").await;
        let upload = async || owner.upload("/api/v1/bills?filename=october.csv", BILL).await;
        let first = upload().await;
        let path = format!("/api/v1/bills/{}", first["bill_id"].as_str().unwrap());
        owner.settled().await;
        assert_eq!(owner.get(&path).await["withdrawable"], true);
        owner.call("DELETE", &path, None).await.expect(204);
        let bill = owner.get(&path).await;
        assert!(bill["withdrawn_at"].is_string() && bill["withdrawn_at"] == bill["superseded_at"], "{bill}");
        assert_eq!(owner.get("/api/v1/bills/series").await["points"], json!([]));
        // Nothing is settled by it any more, either.
        eventually("a month without a bill", async || {
            bills(&owner.get("/api/v1/settlements").await).is_empty().then_some(())
        })
        .await;
        let days = format!(
            "SELECT count(*) FROM settlement_day WHERE tenant_id = '{}'",
            owner.tenant_id.trim_start_matches("ten_")
        );
        assert_eq!(app.query(&days).trim(), "0", "a month that comes now would be told as restated");
        owner.call("DELETE", &path, None).await.expect(204);
        assert_eq!(owner.get(&path).await, bill, "twice is once");

        // The same bytes are no duplicate of what does not count.
        let second = upload().await;
        assert_eq!(second["state"], "published", "{second}");
        assert_ne!(second["bill_id"], first["bill_id"]);
        owner.settled().await;
        assert_eq!(owner.get("/api/v1/bills/series").await["points"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn a_month_that_is_imported_by_two_at_once_counts_once() {
    run(async {
        let app = shared();
        let owner = app.owner("Hasty").await;
        let folder = tempfile::tempdir().unwrap();
        let import = |name: &str, tail: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("{BILL}{tail}")).unwrap();
            let tenant = owner.tenant_id.clone();
            tokio::task::spawn_blocking(move || {
                shared().command(&["import", "--tenant", &tenant, file.to_str().unwrap()])
            })
        };
        let tail = "1,2,Usage,2026-10-02T00:00:00Z,AmazonS3,USE1-TimedStorage-ByteHrs,,1,USD,1,GB-Mo\n";
        let (one, other) = tokio::join!(import("one.csv", ""), import("other.csv", tail));
        one.unwrap();
        other.unwrap();
        let list = owner.get("/api/v1/bills").await;
        let current: Vec<&Value> =
            bills(&list).iter().filter(|bill| bill["superseded_at"].is_null()).collect();
        let [bill] = current.as_slice() else { panic!("{list}") };
        assert_eq!(bills(&list).len(), 2, "{list}");
        let series = owner.get("/api/v1/bills/series").await;
        let sum = |point: &Value| point["cost"].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
        let ai: rust_decimal::Decimal = series["points"].as_array().unwrap().iter().map(sum).sum();
        assert_eq!(ai.to_string(), bill["totals"][0]["ai_cost"], "{series}");
    });
}

/// Use with a private discount, and an endpoint under a Savings Plan, at its list price and taken back.
const COMMITTED: &str = "\
bill/PayerAccountId,lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,lineItem/ProductCode,lineItem/UsageType,lineItem/UsageAmount,lineItem/CurrencyCode,lineItem/UnblendedCost,lineItem/NetUnblendedCost,pricing/publicOnDemandCost,savingsPlan/SavingsPlanEffectiveCost,savingsPlan/NetSavingsPlanEffectiveCost,pricing/unit
1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,1000,USD,8,7.2,10,,,1K tokens
1,2,SavingsPlanCoveredUsage,2026-10-02T00:00:00Z,AmazonSageMaker,USE1-Host:ml.g5.xlarge,24,USD,20,20,20,14,12.6,Hrs
1,2,SavingsPlanNegation,2026-10-02T00:00:00Z,AmazonSageMaker,USE1-Host:ml.g5.xlarge,24,USD,-20,-20,,,,Hrs
";

#[test]
fn a_bill_tells_each_of_its_costs_and_says_which_it_does_not_know() {
    run(async {
        let app = shared();
        let (owner, bare) = (app.owner("Committed").await, app.owner("Bare").await);
        let folder = tempfile::tempdir().unwrap();
        for (tenant, text) in [(&owner, COMMITTED), (&bare, BILL)] {
            let file = folder.path().join("bill.csv");
            std::fs::write(&file, text).unwrap();
            let _report = app.command(&["import", "--tenant", &tenant.tenant_id, file.to_str().unwrap()]);
        }
        let bill = bills(&owner.get("/api/v1/bills").await)[0].clone();
        let costs = json!({
            "unblended": "8", "net_unblended": "7.2", "amortised": "22", "net_amortised": "19.8", "list": "30",
        });
        assert_eq!(bill["totals"][0]["ai_costs"], costs, "{bill}");
        let id = bill["id"].as_str().unwrap();
        for (measure, wanted) in [
            ("unblended", [("bedrock", "8"), ("sagemaker", "0")]),
            ("net_unblended", [("bedrock", "7.2"), ("sagemaker", "0")]),
            ("amortised", [("sagemaker", "14"), ("bedrock", "8")]),
            ("net_amortised", [("sagemaker", "12.6"), ("bedrock", "7.2")]),
            ("list", [("sagemaker", "20"), ("bedrock", "10")]),
        ] {
            let told = owner.get(&format!("/api/v1/bills/{id}/breakdown?measure={measure}")).await;
            let told: Vec<(&str, &str)> = bills(&told)
                .iter()
                .map(|one| (one["group"].as_str().unwrap(), one["cost"].as_str().unwrap()))
                .collect();
            assert_eq!(told, wanted, "{measure}");
            let days = owner.get(&format!("/api/v1/bills/series?measure={measure}")).await;
            let cost = |of: &str| wanted.iter().find(|(service, _)| *service == of).unwrap().1;
            assert_eq!(days["points"][0]["cost"], cost("bedrock"), "{measure} {days}");
            assert_eq!(days["points"][1]["cost"], cost("sagemaker"), "{measure} {days}");
        }

        // A bill without net columns and without a list price.
        let bill = bills(&bare.get("/api/v1/bills").await)[0].clone();
        let ai = "1.1200000001";
        let costs = json!({
            "unblended": ai, "net_unblended": ai, "amortised": ai, "net_amortised": ai, "list": null,
        });
        assert_eq!(bill["totals"][0]["ai_costs"], costs, "{bill}");
        let id = bill["id"].as_str().unwrap();
        let told = bare.get(&format!("/api/v1/bills/{id}/breakdown?measure=list")).await;
        let of_all = &told["items"][0];
        assert_eq!(
            (&of_all["cost"], &of_all["unit_cost_per_million"]),
            (&Value::Null, &Value::Null),
            "{told}"
        );
        let days = bare.get("/api/v1/bills/series?measure=list").await;
        assert_eq!(days["points"][0]["cost"], Value::Null, "{days}");
        // Nobody is charged the list, so nothing is settled by it.
        for path in ["/api/v1/settlements?measure=list", "/api/v1/bills/series?measure=contracted"] {
            bare.call("GET", path, None).await.expect(400);
        }
    });
}

#[test]
fn what_no_rule_knows_is_counted_and_told_with_its_dollars() {
    run(async {
        let app = shared();
        let (owner, other) = (app.owner("Drifting").await, app.owner("Still").await);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("drift.csv");
        let unheard = "\
1,2,Usage,2026-10-03T00:00:00Z,AmazonBedrock,USE1-Quantum-Widgets,InvokeModelInference,7,USD,4.25,Widgets
1,2,Usage,2026-10-05T00:00:00Z,AmazonBedrock,USE1-Quantum-Widgets,InvokeModelInference,1,USD,0.75,Widgets
1,2,Usage,2026-10-05T00:00:00Z,AmazonBedrock,USE1-Zebra9-input-tokens,InvokeModelInference,1,USD,9,1K tokens
";
        std::fs::write(&file, format!("{BILL}{unheard}")).unwrap();
        let _report = app.command(&["import", "--tenant", &owner.tenant_id, file.to_str().unwrap()]);
        let drift = owner.get("/api/v1/bills/drift").await;
        let row = |usage_type: &str, cost: &str, lines: u64, days: [&str; 2], unit: &str| {
            json!({
                "usage_type": usage_type, "product_code": "AmazonBedrock", "product_name": "", "service": "bedrock",
                "pricing_unit": unit, "currency": "USD", "cost": cost, "lines": lines,
                "first_day": days[0], "last_day": days[1],
            })
        };
        let rows = json!([
            row("USE1-Zebra9-input-tokens", "9", 1, ["2026-10-05", "2026-10-05"], "1K tokens"),
            row("USE1-Quantum-Widgets", "5", 2, ["2026-10-03", "2026-10-05"], "Widgets"),
        ]);
        assert_eq!(drift["items"], rows);
        let list = owner.get("/api/v1/bills").await;
        let bill = &bills(&list)[0];
        assert_eq!(bill["totals"][0]["ai_cost"], "15.1200000001", "it is AI all the same: {bill}");
        let of = format!("/api/v1/bills/drift?bill_id={}", bill["id"].as_str().unwrap());
        assert_eq!(owner.get(&of).await["items"], rows);
        assert_eq!(other.get("/api/v1/bills/drift").await["items"], json!([]));
        other.call("GET", &of, None).await.expect_problem(404, "not_found");
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
        eventually("removal of the files", async || (kept_files(&app) == 0).then_some(())).await;
    });
}

#[test]
fn bills_of_azure_and_google_are_uploaded_like_any_other_and_settle_by_issuer() {
    const AZURE: &str = "\
BillingAccountId,SubscriptionId,Date,MeterCategory,MeterSubCategory,MeterName,UnitOfMeasure,Quantity,CostInBillingCurrency,BillingCurrencyCode,ChargeType,PricingModel
8611537,sub-1,10/05/2026,Foundry Models,Azure OpenAI,gpt-4o-0806-Inp-glbl Tokens,1K,4000,0.01,USD,Usage,OnDemand
8611537,sub-1,10/05/2026,Storage,Blob,Hot LRS Data Stored,1 GB/Month,1,2,USD,Usage,OnDemand
8611537,sub-1,10/06/2026,Foundry Models,Azure OpenAI,Provisioned Managed Global Unit,1 Hour,50,0,USD,Usage,Reservation
";
    const GOOGLE: &str = r#"{"billing_account_id":"01ABCD","service":{"description":"Gemini API"},"sku":{"description":"Generate content output token count gemini 2.5 flash short input text"},"usage_start_time":"2026-10-05 07:00:00 UTC","cost":0.025,"currency":"USD","usage":{"amount_in_pricing_units":10000,"pricing_unit":"count"},"credits":[{"name":"x","amount":-0.005}],"cost_type":"regular"}
"#;
    run(async {
        let app = TestApp::own(&[]);
        let owner = app.owner("Multicloud").await;
        let amortised = AZURE.replace(",50,0,", ",50,17.4,");
        for (file, bill, format) in [
            ("part_0_0001.csv", AZURE, "azure_costs"),
            ("amortised.csv", amortised.as_str(), "azure_amortised"),
            ("costs-000000000000.json", GOOGLE, "google_costs"),
        ] {
            let upload = owner.upload(&format!("/api/v1/bills?filename={file}"), bill.to_owned()).await;
            assert_eq!(
                (&upload["state"], &upload["problem"]),
                (&json!("published"), &Value::Null),
                "{upload}"
            );
            let bill = owner.get(&format!("/api/v1/bills/{}", upload["bill_id"].as_str().unwrap())).await;
            assert_eq!(bill["format"], format, "{bill}");
            // What was billed is no word of what a reservation is worth to whom it covers.
            let spread = &bill["totals"][0]["ai_costs"]["net_amortised"];
            assert_eq!(spread.is_null(), format == "azure_costs", "{bill}");
        }
        // Both kinds of Azure's costs are one month, of which the later counts.
        let list = owner.get("/api/v1/bills").await;
        let current = bills(&list).iter().filter(|bill| bill["superseded_at"].is_null());
        let mut formats: Vec<&str> = current.map(|bill| bill["format"].as_str().unwrap()).collect();
        formats.sort_unstable();
        assert_eq!(formats, ["azure_amortised", "google_costs"]);
        for (issuer, billed) in [("azure", "17.41"), ("google", "0.025")] {
            let path = format!("/api/v1/settlements/2026-10-01?issuer={issuer}&measure=unblended");
            let settled = eventually("settlement", async || {
                let answer = owner.call("GET", &path, None).await;
                let settlement = (answer.status == 200).then(|| answer.json()["settlement"].clone());
                settlement.filter(|settlement| settlement["billed"] == billed)
            })
            .await;
            assert_eq!(settled["issuer"], issuer, "{settled}");
        }
        let other = owner.upload("/api/v1/bills?filename=x.csv", AZURE.replace("MeterName", "Nothing")).await;
        assert_eq!(other["problem"]["code"], "bill_unreadable", "{other}");
        assert!(other["problem"]["detail"].as_str().unwrap().contains("MeterName"), "{other}");
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
        eventually("removal of the files", async || (kept_files(&app) == 0).then_some(())).await;
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
        eventually("beginning of the reading", async || {
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
        // The bill is published a moment before its job is done.
        let job = eventually("end of the job", async || {
            let jobs = app.command(&["jobs", "list", "--queue", "bill-ingestion.v1"]);
            let job: Value = serde_json::from_str(&jobs).unwrap();
            (job["state"] == "done").then_some(job)
        })
        .await;
        assert_eq!(job["attempts"], 2, "{job}");
    });
}
