//! What AWS delivers: read as one though it moves, stored once, restated, and whoever is killed meanwhile.

use std::sync::{Arc, mpsc};

use chrono::TimeDelta;
use costlens_aws::testing::aws::{AwsCall, FakeAws};
use costlens_domain::aws::Layout;
use costlens_tests::app::TestApp;
use costlens_tests::{PATIENCE, eventually, run};
use serde_json::{Value, json};

use super::{Customer, PLATFORM, Platform, borrowed, line, month, packed, put_delivery, report, settings};

#[test]
fn a_delivery_that_moves_while_it_is_read_is_read_as_one() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::with_role(app, aws, "Torn").await;
        let this = month(0);
        // Overwritten in place: between the two files AWS writes the next delivery, file by file and the manifest last.
        let files = |more: &str| [report(this, more), report(this, more)];
        let bucket = customer.bucket.clone();
        let second = format!("{}/{}over/costlens-00002.csv.gz", customer.bucket, Customer::folder(this));
        let next = files(&line(this, "Usage", "100"));
        let fired = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = Arc::clone(&fired);
        // The first question about the second file is its HEAD, the next its GET.
        aws.before("s3:GetObject", &second.clone(), |_| ());
        aws.before("s3:GetObject", &second, move |state| {
            put_delivery(state, &bucket, this, "over", &next);
            told.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        customer.deliver(this, "over", &files(""));
        customer.test().await;
        customer.current(this).await;
        assert!(fired.load(std::sync::atomic::Ordering::Relaxed), "nothing moved");
        // Never 119.24 or so: one file of each.
        let totals: Vec<String> = customer.bills().await.into_iter().map(|(_, total)| total).collect();
        assert_eq!(totals, ["213.24"]);
        let path = customer.path(&format!("/months/{this}/deliveries"));
        assert_eq!(customer.owner.get(&path).await["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_manifest_that_moves_after_the_last_file_was_read_begins_everything_anew() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::with_role(app, aws, "Late").await;
        let this = month(0);
        let (bucket, manifest) = (customer.bucket.clone(), Customer::manifest_key(this));
        let manifest = format!("{bucket}/{manifest}");
        let second = format!("{bucket}/{}over/costlens-00002.csv.gz", Customer::folder(this));
        let next = [report(this, &line(this, "Usage", "100")), report(this, "")];
        // The second file's HEAD, and its GET, after which nothing of the delivery is looked at but its manifest.
        aws.before("s3:GetObject", &second.clone(), |_| ());
        aws.before("s3:GetObject", &second, move |state| {
            state.before("s3:GetObject", &manifest, move |state| {
                put_delivery(state, &bucket, this, "over", &next);
            });
        });
        customer.deliver(this, "over", &[report(this, ""), report(this, "")]);
        customer.test().await;
        customer.current(this).await;
        let totals: Vec<String> = customer.bills().await.into_iter().map(|(_, total)| total).collect();
        assert_eq!(totals, ["113.24"]);
        let path = customer.path(&format!("/months/{this}/deliveries"));
        assert_eq!(customer.owner.get(&path).await["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_file_that_is_newer_than_its_manifest_is_not_read_before_the_delivery_is_whole() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::with_role(app, aws, "Between").await;
        let this = month(0);
        let files = |more: &str| [report(this, more), report(this, more)];
        let next = files(&line(this, "Usage", "100"));
        {
            // AWS has written the next delivery's first file when we look, and is in no hurry with the rest.
            let mut state = aws.state();
            put_delivery(&mut state, &customer.bucket, this, "slow", &files(""));
            for (key, minutes) in [("slow/costlens-00001.csv.gz", 9), ("slow/costlens-00002.csv.gz", 9)] {
                let key = format!("{}{key}", Customer::folder(this));
                state.backdate(&customer.bucket, &key, TimeDelta::minutes(minutes));
            }
            state.backdate(&customer.bucket, &Customer::manifest_key(this), TimeDelta::minutes(8));
            let first = format!("{}slow/costlens-00001.csv.gz", Customer::folder(this));
            state.put(&customer.bucket, &first, next[0].clone());
        }
        customer.test().await;
        let manifest = Customer::manifest_key(this);
        eventually("two readings in vain", async || {
            let state = app.query(&format!(
                "SELECT count(*) FROM bill_delivery WHERE tenant_id = '{}'",
                customer.owner.tenant_id.trim_start_matches("ten_")
            ));
            assert_eq!(state.trim(), "0", "a mix of two deliveries was stored");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            (aws.reads_of(&customer.bucket, &manifest) >= 2).then_some(())
        })
        .await;
        customer.deliver(this, "slow", &next);
        customer.current(this).await;
        let totals: Vec<String> = customer.bills().await.into_iter().map(|(_, total)| total).collect();
        assert_eq!(totals, ["213.24"]);
        let path = customer.path(&format!("/months/{this}/deliveries"));
        assert_eq!(customer.owner.get(&path).await["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn the_same_delivery_is_stored_once_and_a_restatement_tells_what_changed() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::with_role(app, aws, "Restated").await;
        let last = month(2);
        customer.deliver(last, "r1", &[report(last, "")]);
        customer.test().await;
        let first = customer.current(last).await;
        assert_eq!(first["delivery"]["change"], Value::Null);
        assert_eq!(first["delivery"]["finality"], "invoiced");
        let bills = customer.bills().await;
        // It would be delivered again, so nobody takes it back while the connection is at work.
        let path = format!("/api/v1/bills/{}", bills[0].0);
        assert_eq!(customer.owner.get(&path).await["withdrawable"], false);
        customer.owner.call("DELETE", &path, None).await.expect_problem(409, "conflict");
        assert_eq!(customer.bills().await, bills);

        // Whoever read the month looks once more by itself.
        customer.quiet(app).await;
        // The manifest is written anew, and says the same.
        let folder = Customer::folder(last);
        let manifest = json!({
            "assemblyId": "r1", "bucket": customer.bucket, "again": true,
            "reportKeys": [format!("{folder}r1/costlens-00001.csv.gz")],
        });
        aws.state().put(&customer.bucket, &Customer::manifest_key(last), manifest.to_string());
        let before = first["updated_at"].clone();
        drop(customer.calls());
        customer.test().await;
        let same = customer
            .month_until(last, "second reading", |found| {
                found["state"] == "current" && found["updated_at"] != before
            })
            .await;
        assert_eq!(same["delivery"]["id"], first["delivery"]["id"]);
        assert_eq!(customer.bills().await, bills);
        customer.quiet(app).await;
        // It costs one reading of the manifest, and of its file a question for its version.
        let (manifests, others): (Vec<AwsCall>, Vec<AwsCall>) = customer
            .calls()
            .into_iter()
            .filter(|call| call.reads)
            .partition(|call| call.resource.ends_with("-Manifest.json"));
        assert_eq!((manifests.len(), others), (1, vec![]));

        // The month was closing when this came, and nothing came when it was invoiced: whoever looks is told all the same.
        let tenant = customer.owner.tenant_id.trim_start_matches("ten_");
        app.query(&format!("UPDATE bill_delivery SET finality = 'closing' WHERE tenant_id = '{tenant}'"));
        assert_eq!(customer.current(last).await["delivery"]["finality"], "invoiced");
        // Delivered again with the same figures, it restates nothing.
        customer.deliver(last, "r1-again", &[report(last, "")]);
        customer.test().await;
        let first = customer.newer(last, &first).await;
        assert_eq!(
            (&first["delivery"]["change"], &first["delivery"]["finality"]),
            (&Value::Null, &json!("invoiced"))
        );
        let path = customer.path(&format!("/months/{last}/deliveries"));
        let listed = customer.owner.get(&path).await;
        let finalities: Vec<&Value> =
            listed["items"].as_array().unwrap().iter().map(|one| &one["finality"]).collect();
        assert_eq!(finalities, ["invoiced", "closing"], "{listed}");

        customer.deliver(last, "r2", &[report(last, &line(last, "Credit", "-412.00"))]);
        customer.test().await;
        let second = customer.newer(last, &first).await;
        let title = last.title();
        assert_eq!(second["delivery"]["change"], format!("AWS changed {title} by -$412.00, a credit"));
        assert_eq!(second["delivery"]["finality"], "restated");
        let change = &second["delivery"]["changes"][0];
        assert_eq!(
            (&change["line_item_type"], &change["before"], &change["after"], &change["by"]),
            (&json!("Credit"), &json!("0"), &json!("-412"), &json!("-412"))
        );
        assert_eq!(second["delivery"]["previous_id"], first["delivery"]["id"]);
        let counts = customer.bills().await;
        assert_eq!(counts.iter().map(|(_, total)| total.as_str()).collect::<Vec<_>>(), ["-405.38"]);
        // Of the version that no longer counts the totals stay, and not its facts.
        let old = first["delivery"]["bill_id"].as_str().unwrap();
        let old = customer.owner.get(&format!("/api/v1/bills/{old}")).await;
        assert!(old["superseded_at"].is_string() && old["totals"][0]["total_cost"] == "6.62", "{old}");
        let rows = app.query(&format!(
            "SELECT count(DISTINCT bill_id) FROM bill_daily_fact WHERE tenant_id = '{}'",
            customer.owner.tenant_id.trim_start_matches("ten_")
        ));
        assert_eq!(rows.trim(), "1");
        let path = customer.path(&format!("/months/{last}/deliveries"));
        assert_eq!(customer.owner.get(&path).await["items"].as_array().unwrap().len(), 3);
    });
}

#[test]
fn a_month_that_two_accounts_deliver_counts_once_and_goes_over_when_the_first_rests() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let one = Customer::with_role(app, aws, "Twice").await;
        let last = month(1);
        one.deliver(last, "t1", &[report(last, "")]);
        one.test().await;
        one.current(last).await;
        let bills = one.bills().await;

        let number = (one.account.parse::<u64>().unwrap() + 1) % 1_000_000_000_000;
        let account = format!("{number:012}");
        let bucket = format!("billing-{account}");
        let mut other =
            Customer { aws, owner: one.owner.clone(), account, bucket, connection: String::new() };
        let made = other.create(json!({})).await.expect(201).json();
        made["id"].as_str().unwrap().clone_into(&mut other.connection);
        other.make_stack().await;
        other.deliver(last, "t1", &[report(last, &line(last, "Tax", "1"))]);
        other.test().await;
        let failing = other.failing("delivered_twice").await;
        let detail = failing["problem"]["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("delivered by AWS account {}", one.account)), "{failing}");
        assert_eq!(other.bills().await, bills);
        assert_eq!(one.look().await["state"], "active", "whose months count has no trouble");

        one.owner.call("POST", &one.path("/pause"), None).await.expect(200);
        other.test().await;
        other.current(last).await;
        let totals: Vec<String> = other.bills().await.into_iter().map(|(_, total)| total).collect();
        assert_eq!(totals, ["7.62"]);
        other.until("recovery", |found| found["state"] == "active" && found["problem"].is_null()).await;
    });
}

#[test]
fn an_export_is_found_by_its_partitions_and_an_upload_of_the_month_gives_way() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::with_role(app, aws, "Exporting").await;
        let last = month(1);
        let day = last.first_day();
        let text = |more: &str| {
            format!(
                "bill_payer_account_id,bill_payer_account_name,line_item_usage_account_id,line_item_line_item_type,\
                 line_item_usage_start_date,line_item_product_code,line_item_usage_type,line_item_operation,\
                 line_item_usage_amount,line_item_currency_code,line_item_unblended_cost,pricing_unit\n\
                 1,Acme,2,Usage,{day} 00:00:00,AmazonBedrock,USE1-NovaPro-input-tokens,InvokeModelInference,1000,USD,\
                 0.8,1K tokens\n{more}"
            )
        };
        // Uploaded by hand before the account was connected.
        let uploaded = customer.owner.upload("/api/v1/bills?filename=by-hand.csv", text("")).await;
        assert_eq!(uploaded["state"], "published", "{uploaded}");
        let place = customer.place(customer.look().await["external_id"].as_str().unwrap());
        let data = format!("{}costlens-00001.csv.gz", Layout::Export.data(&place, last));
        let more = format!("1,Acme,2,Usage,{day} 00:00:00,AmazonS3,x,,1,USD,2,GB\n");
        aws.state().put(&customer.bucket, &data, packed(&text(&more)));
        // A manifest that names its files in no way that we know: it says at least that the partition is whole.
        let manifest = Layout::Export.manifest(&place, last);
        aws.state().put(&customer.bucket, &manifest, "{\"status\": \"complete\"}");
        customer.test().await;
        customer.current(last).await;
        let counts = customer.bills().await;
        assert_eq!(counts.iter().map(|(_, total)| total.as_str()).collect::<Vec<_>>(), ["2.8"]);
    });
}

#[test]
fn a_process_that_is_killed_in_the_middle_stores_the_month_once() {
    run(async {
        let aws = FakeAws::start();
        let mut app = TestApp::own(&borrowed(&settings(&aws)));
        let customer = Customer::with_role(&app, &aws, "Killed").await;
        let last = month(1);
        let (told, heard) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let second = "k1/costlens-00002.csv.gz";
        aws.before("s3:GetObject", second, |_| ());
        aws.before("s3:GetObject", second, move |_| {
            told.send(()).unwrap();
            // The call hangs until the process is dead.
            let _gone = wait.recv_timeout(PATIENCE);
        });
        customer.deliver(last, "k1", &[report(last, ""), report(last, "")]);
        customer.test().await;
        tokio::task::spawn_blocking(move || heard.recv_timeout(PATIENCE).unwrap()).await.unwrap();
        let scratch = app.data_dir().join("scratch");
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 1, "the copy is under way");
        // People see how far it is: one of two files is here.
        let is_told = |month: &Value| month["progress"]["permille"].as_u64().is_some_and(|share| share > 0);
        let reading = customer.month_until(last, "progress", is_told).await;
        assert_eq!(
            (&reading["state"], &reading["progress"]["step"]),
            (&json!("reading"), &json!("copying the files"))
        );
        assert!(reading["progress"]["permille"].as_u64().unwrap() < 400, "{reading}");
        app.kill();
        go.send(()).unwrap();
        app.start();
        let customer = Customer { owner: customer.owner.at(&app.base_url()), ..customer };
        eventually("month after the kill", async || {
            let months = customer.months().await;
            months.iter().find(|month| month["state"] == "current").cloned()
        })
        .await;
        let totals: Vec<String> = customer.bills().await.into_iter().map(|(_, total)| total).collect();
        assert_eq!(totals, ["13.24"]);
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0, "a copy stays");
    });
}
