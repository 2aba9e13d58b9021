//! A customer's AWS account, from the quick-create link to stored facts; and everything that may go wrong on the way.
//!
//! The AWS is a strict one of the tests' own, on a real socket. It writes down every call, so that what was read is held
//! against what is promised.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use chrono::Utc;
use costlens_aws::testing::aws::{ASSUMER, AwsCall, AwsState, FakeAws};
use costlens_domain::aws::{Layout, Month, ReportPlace, permissions};
use costlens_tests::actors::Owner;
use costlens_tests::app::TestApp;
use costlens_tests::{PATIENCE, eventually, run};
use serde_json::{Value, json};

/// A platform with an AWS behind it, shared by all tests that break neither.
struct Platform {
    aws: Arc<FakeAws>,
    app: TestApp,
}

const TEMPLATE: &str = "https://costlens-templates.s3.amazonaws.com/costlens-bill-reader.yaml";

fn settings(aws: &FakeAws) -> Vec<(&'static str, String)> {
    vec![
        ("COSTLENS_AWS_STS_URL", aws.url()),
        ("COSTLENS_AWS_S3_URL", aws.url()),
        ("COSTLENS_AWS_TEMPLATE_URL", TEMPLATE.to_owned()),
        ("COSTLENS_MAX_BILL_BYTES", "100000".to_owned()),
    ]
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

static PLATFORM: LazyLock<Platform> = LazyLock::new(|| {
    let aws = Arc::new(FakeAws::start());
    let app = TestApp::shared_with(&borrowed(&settings(&aws)));
    Platform { aws, app }
});

/// A customer with an AWS account, a bucket and an owner here.
struct Customer<'a> {
    aws: &'a FakeAws,
    owner: Owner,
    account: String,
    bucket: String,
    connection: String,
}

#[expect(clippy::disallowed_methods, reason = "the process under test runs by the machine's clock")]
fn month(back: u32) -> Month {
    Month::of(Utc::now().date_naive()).back(back)
}

/// A legacy report of one month: two lines of Bedrock, one of S3, and more lines as they come.
fn report(month: Month, more: &str) -> Vec<u8> {
    let day = month.first_day();
    let text = format!(
        "bill/PayerAccountId,lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,\
         lineItem/ProductCode,lineItem/UsageType,lineItem/Operation,lineItem/UsageAmount,lineItem/CurrencyCode,\
         lineItem/UnblendedCost,pricing/unit\n\
         1,2,Usage,{day}T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,InvokeModelInference,1000,USD,0.8,1K tokens\n\
         1,2,Usage,{day}T00:00:00Z,AmazonBedrock,USE1-NovaPro-output-tokens,InvokeModelInference,100,USD,0.32,1K tokens\n\
         1,2,Usage,{day}T00:00:00Z,AmazonS3,USE1-TimedStorage-ByteHrs,,1,USD,5.5,GB-Mo\n{more}"
    );
    packed(&text)
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

/// A line of a legacy report's own.
fn line(month: Month, kind: &str, cost: &str) -> String {
    format!("1,2,{kind},{}T00:00:00Z,AmazonBedrock,,,0,USD,{cost},\n", month.first_day())
}

impl<'a> Customer<'a> {
    /// An owner who has connected an account and has not made the role yet.
    async fn connected(app: &TestApp, aws: &'a FakeAws, name: &str) -> Self {
        let owner = app.owner(name).await;
        let number = u64::from_str_radix(&owner.tenant_id[owner.tenant_id.len() - 9..], 16).unwrap();
        let account = format!("{:012}", number % 1_000_000_000_000);
        let bucket = format!("billing-{account}");
        let mut customer = Self { aws, owner, account, bucket, connection: String::new() };
        let made = customer.create(json!({})).await.expect(201).json();
        made["id"].as_str().unwrap().clone_into(&mut customer.connection);
        customer
    }

    /// One whose role and bucket are as the template makes them.
    async fn with_role(app: &TestApp, aws: &'a FakeAws, name: &str) -> Self {
        let customer = Self::connected(app, aws, name).await;
        customer.make_stack().await;
        customer
    }

    async fn create(&self, more: Value) -> costlens_tests::http::Answer {
        let mut body = json!({
            "account_id": self.account, "bucket": self.bucket, "prefix": "exports", "report_name": "costlens",
        });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.owner.call("POST", "/api/v1/aws-connections", Some(&body)).await
    }

    fn path(&self, more: &str) -> String {
        format!("/api/v1/aws-connections/{}{more}", self.connection)
    }

    async fn look(&self) -> Value {
        self.owner.get(&self.path("")).await
    }

    /// What the customer's account does with the quick-create link: makes the role that the template describes.
    async fn make_stack(&self) {
        let link = self.look().await["setup"]["quick_create_url"].as_str().unwrap().to_owned();
        let query = link.split_once("review?").unwrap().1;
        let parameters: std::collections::BTreeMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        assert_eq!(parameters["templateURL"], TEMPLATE);
        assert_eq!(parameters["param_AssumerRoleArn"], ASSUMER);
        let place = self.place(&parameters["param_ExternalId"]);
        assert_eq!(parameters["param_BucketName"], place.bucket.as_str());
        assert_eq!(parameters["param_Prefix"], place.prefix.as_str());
        assert_eq!(parameters["param_ExportName"], place.report.as_str());
        let mut state = self.aws.state();
        let policy = permissions(&place, None);
        state.put_role(place.role.as_str(), ASSUMER, Some(place.external_id.as_str()), policy);
        state.put_bucket(&self.bucket, &self.account, "eu-west-1");
    }

    fn place(&self, external_id: &str) -> ReportPlace {
        let account = self.account.parse().unwrap();
        ReportPlace {
            role: costlens_domain::aws::RoleArn::of_template(&account),
            account,
            external_id: external_id.parse().unwrap(),
            bucket: self.bucket.parse().unwrap(),
            prefix: "exports".parse().unwrap(),
            report: "costlens".parse().unwrap(),
        }
    }

    fn role(&self) -> String {
        format!("arn:aws:iam::{}:role/CostlensBillReader", self.account)
    }

    fn manifest_key(month: Month) -> String {
        format!("{}costlens-Manifest.json", Self::folder(month))
    }

    fn folder(month: Month) -> String {
        let (from, to) = (month.first_day().format("%Y%m%d"), month.end().format("%Y%m%d"));
        format!("exports/costlens/{from}-{to}/")
    }

    /// What AWS does when it delivers: files first, the manifest last.
    fn deliver(&self, month: Month, assembly: &str, files: &[Vec<u8>]) {
        put_delivery(&mut self.aws.state(), &self.bucket, month, assembly, files);
    }

    /// Has the connection looked at now.
    async fn test(&self) {
        self.owner.call("POST", &self.path("/test"), None).await.expect(202);
    }

    /// The connection, once it is so; it is looked at meanwhile.
    async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || {
            let found = self.look().await;
            if so(&found) {
                return Some(found);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            None
        })
        .await
    }

    async fn failing(&self, code: &str) -> Value {
        self.until(&format!("failure as {code}"), |found| {
            found["state"] == "failing" && found["problem"]["code"] == code
        })
        .await
    }

    async fn months(&self) -> Vec<Value> {
        self.owner.get(&self.path("/months")).await["items"].as_array().unwrap().clone()
    }

    /// The month, once it is so.
    async fn month_until(&self, month: Month, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || {
            let months = self.months().await;
            let found = months.into_iter().find(|found| found["month"] == month.to_string());
            if let Some(found) = found.filter(|found| so(found)) {
                return Some(found);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        })
        .await
    }

    async fn current(&self, month: Month) -> Value {
        self.month_until(month, "current month", |found| found["state"] == "current").await
    }

    /// The month's delivery, once it is another one than this.
    async fn newer(&self, month: Month, than: &Value) -> Value {
        let old = than["delivery"]["id"].clone();
        self.month_until(month, "newer delivery", |found| {
            found["state"] == "current" && found["delivery"]["id"] != old
        })
        .await
    }

    /// The bills that count, with the whole of each.
    async fn bills(&self) -> Vec<(String, String)> {
        let all = self.owner.get("/api/v1/bills").await;
        let counts = all["items"].as_array().unwrap().iter().filter(|bill| bill["superseded_at"].is_null());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        counts.map(|bill| (text(&bill["id"]), text(&bill["totals"][0]["total_cost"]))).collect()
    }

    /// The calls about this customer since this was asked last.
    fn calls(&self) -> Vec<AwsCall> {
        self.aws.calls_about(&self.account)
    }

    /// Waits until no look at its account and no reading is due or under way.
    async fn quiet(&self, app: &TestApp) {
        let tenant = self.owner.tenant_id.trim_start_matches("ten_");
        eventually("quiet", async || {
            let busy = app.query(&format!(
                "SELECT count(*) FROM queue.job WHERE queue IN ('aws-check.v1', 'bill-month.v1') \
                 AND tenant = '{tenant}' AND status IN ('pending', 'running') AND run_at <= now()"
            ));
            tokio::time::sleep(Duration::from_millis(200)).await;
            (busy.trim() == "0").then_some(())
        })
        .await;
    }
}

fn put_delivery(state: &mut AwsState, bucket: &str, month: Month, assembly: &str, files: &[Vec<u8>]) {
    let folder = Customer::folder(month);
    let key = |n: usize| format!("{folder}{assembly}/costlens-{n:05}.csv.gz");
    for (n, file) in files.iter().enumerate() {
        state.put(bucket, &key(n + 1), file.clone());
    }
    let keys: Vec<String> = (1..=files.len()).map(key).collect();
    let manifest = json!({"assemblyId": assembly, "bucket": bucket, "reportKeys": keys});
    state.put(bucket, &Customer::manifest_key(month), manifest.to_string());
}

#[test]
fn a_quick_create_link_becomes_stored_facts_by_reads_of_the_report_alone() {
    run(async {
        // An AWS of its own: every call is counted.
        let aws = FakeAws::start();
        let app = TestApp::own(&borrowed(&settings(&aws)));
        let customer = Customer::connected(&app, &aws, "Onboarding").await;
        customer
            .until("look at a role that is not there", |found| {
                found["state"] == "pending" && found["problem"]["code"] == "role_not_assumable"
            })
            .await;
        // AWS has delivered two months when the customer makes the role; the platform finds it by itself.
        customer.make_stack().await;
        let (this, last) = (month(0), month(1));
        customer.deliver(this, "a1", &[report(this, "")]);
        customer.deliver(last, "b1", &[report(last, ""), report(last, &line(last, "Tax", "1.1"))]);
        customer.until("active connection", |found| found["state"] == "active").await;
        let month = customer.current(last).await;
        assert_eq!((&month["delivery"]["files"], &month["problem"]), (&json!(2), &Value::Null));
        assert_eq!(customer.current(this).await["delivery"]["finality"], "open");
        let found = customer.look().await;
        assert_eq!((&found["region"], &found["problem"]), (&json!("eu-west-1"), &Value::Null), "{found}");
        let mut totals: Vec<String> = customer.bills().await.into_iter().map(|(_, total)| total).collect();
        totals.sort();
        assert_eq!(totals, ["14.34", "6.62"], "both months, to the cent, each once");
        let bill = month["delivery"]["bill_id"].as_str().unwrap();
        let facts = customer.owner.get(&format!("/api/v1/bills/{bill}/breakdown?by=token_class")).await;
        // Input, output and the tax on them; what S3 cost is in the totals alone.
        assert_eq!(facts["items"].as_array().unwrap().len(), 3, "{facts}");

        // What was done there is what is documented: sessions, and reads of the report.
        customer.quiet(&app).await;
        let documented = ["sts:AssumeRole", "s3:HeadBucket", "s3:ListBucket", "s3:GetObject"];
        let calls = aws.calls();
        let actions: BTreeSet<&str> = calls.iter().map(|call| call.action.as_str()).collect();
        assert_eq!(actions, BTreeSet::from(documented));
        let book =
            std::fs::read_to_string(costlens_tests::place::repository().join("docs/src/aws.md")).unwrap();
        for action in documented {
            assert!(book.contains(&format!("`{action}`")), "the book does not tell of {action}");
        }
        for call in &calls {
            let below = format!("{}/exports/costlens/", customer.bucket);
            let known = call.resource == customer.role()
                || call.resource == customer.bucket
                || call.resource.starts_with(&below);
            assert!(known, "{call:?}");
            let named =
                call.session.as_ref().is_none_or(|name| *name == format!("costlens-{}", customer.connection));
            assert!(named, "{call:?}");
        }
        assert_eq!(aws.longest_seconds(), 3_600);

        // A month that did not change costs one look at its manifest.
        let before = customer.look().await["checked_at"].clone();
        customer.test().await;
        customer.until("another look", |found| found["checked_at"] != before).await;
        customer.quiet(&app).await;
        let calls = aws.calls();
        let of = |action: &str, resource: &str| {
            calls.iter().filter(|call| call.action == action && call.resource.ends_with(resource)).count()
        };
        assert_eq!(of("s3:GetObject", &Customer::manifest_key(last)), 1, "{calls:?}");
        assert_eq!(of("s3:GetObject", "csv.gz"), 0, "{calls:?}");

        // What opened the bucket is nowhere: not in the database, not on the disk, not in the log.
        let (dump, log) = (app.dump(), app.log());
        let secrets = aws.secrets();
        assert!(secrets.len() > 4);
        for secret in secrets {
            let holds = |bytes: &[u8]| memchr::memmem::find(bytes, secret.as_bytes()).is_some();
            assert!(!holds(&dump) && !holds(&log), "{secret} stands in the clear");
        }
        let scratch = app.data_dir().join("scratch");
        assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "copies stay on the disk");
    });
}

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

        // The manifest is written anew, and says the same.
        let folder = Customer::folder(last);
        let manifest = json!({
            "assemblyId": "r1", "bucket": customer.bucket, "again": true,
            "reportKeys": [format!("{folder}r1/costlens-00001.csv.gz")],
        });
        aws.state().put(&customer.bucket, &Customer::manifest_key(last), manifest.to_string());
        let before = first["updated_at"].clone();
        customer.test().await;
        let same = customer
            .month_until(last, "second reading", |found| {
                found["state"] == "current" && found["updated_at"] != before
            })
            .await;
        assert_eq!(same["delivery"]["id"], first["delivery"]["id"]);
        assert_eq!(customer.bills().await, bills);

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
        assert_eq!(customer.owner.get(&path).await["items"].as_array().unwrap().len(), 2);
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

#[test]
fn a_role_deleted_in_the_middle_ends_all_reading_and_the_last_good_month_stays() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::with_role(app, aws, "Leaving").await;
        let last = month(1);
        customer.deliver(last, "d1", &[report(last, "")]);
        customer.test().await;
        let good = customer.current(last).await;
        let bills = customer.bills().await;
        customer.until("look at the month", |found| found["state"] == "active").await;

        let role = customer.role();
        let key = format!("{}d2/costlens-00002.csv.gz", Customer::folder(last));
        let key = format!("{}/{key}", customer.bucket);
        aws.before("s3:GetObject", &key, |_| ());
        aws.before("s3:GetObject", &key, move |state| state.delete_role(&role));
        drop(customer.calls());
        customer.deliver(last, "d2", &[report(last, ""), report(last, "")]);
        customer.test().await;
        let failing = customer.failing("role_not_assumable").await;
        assert!(failing["problem"]["remedy"].as_str().unwrap().contains("trust policy"), "{failing}");
        // The session was let go at the first denial, and nothing hammers at the door.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let calls = customer.calls();
        let last_read = calls.iter().rposition(|call| call.action == "s3:GetObject").unwrap();
        let denied: Vec<_> = calls[last_read..].iter().collect();
        assert_eq!(denied[0].status, 403);
        assert!(denied.len() <= 4, "{denied:?}");
        assert!(denied[1..].iter().all(|call| call.action == "sts:AssumeRole" && call.status == 403));
        let month = &customer.months().await[0];
        assert_eq!(month["delivery"]["id"], good["delivery"]["id"], "the last good delivery counts");
        assert_eq!(customer.bills().await, bills);
        let tenant = customer.owner.tenant_id.trim_start_matches("ten_").to_owned();
        let told = || {
            app.query(&format!(
                "SELECT count(*) FROM event WHERE tenant_id = '{tenant}' AND kind = 'bill.failed'"
            ))
        };
        assert_eq!(told().trim(), "1", "it is told once");
        // Looking again tells nobody again.
        let before = customer.look().await["checked_at"].clone();
        customer.test().await;
        customer.until("another look", |found| found["checked_at"] != before).await;
        assert_eq!(told().trim(), "1");

        // The role is there again: the month that was cut off is read.
        customer.make_stack_again().await;
        customer.test().await;
        customer.newer(last, &good).await;
        assert_eq!(
            customer.until("recovery", |found| found["state"] == "active").await["problem"],
            Value::Null
        );
    });
}

impl Customer<'_> {
    /// The stack is made anew, as it was.
    async fn make_stack_again(&self) {
        let place = self.place(self.look().await["external_id"].as_str().unwrap());
        let policy = permissions(&place, None);
        let id = place.external_id.as_str();
        self.aws.state().put_role(place.role.as_str(), ASSUMER, Some(id), policy);
    }
}

#[test]
fn a_role_without_an_external_id_is_refused_by_name_and_nothing_is_read() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::connected(app, aws, "Careless").await;
        let last = month(1);
        let place = customer.place(customer.look().await["external_id"].as_str().unwrap());
        aws.state().put_bucket(&customer.bucket, &customer.account, "eu-west-1");
        customer.deliver(last, "c1", &[report(last, "")]);
        aws.state().put_role(place.role.as_str(), ASSUMER, None, permissions(&place, None));
        customer.test().await;
        customer.failing("role_without_external_id").await;
        assert!(customer.calls().iter().all(|call| call.action == "sts:AssumeRole"));
        assert!(customer.months().await.is_empty() && customer.bills().await.is_empty());
    });
}

/// What spoils a month's delivery in a bucket.
type Spoil = fn(&mut AwsState, &str, Month);

#[test]
fn what_cannot_be_read_is_told_by_name_and_changes_nothing() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let last = month(1);
        let cases: &[(&str, Spoil)] = &[
            ("outside_prefix", |state, bucket, month| {
                let manifest = json!({"assemblyId": "x", "reportKeys": ["payroll/salaries.csv"]});
                state.put(bucket, "payroll/salaries.csv", "1");
                state.put(bucket, &Customer::manifest_key(month), manifest.to_string());
            }),
            ("manifest_unreadable", |state, bucket, month| {
                state.put(bucket, &Customer::manifest_key(month), "{\"reportKeys\": [");
            }),
            ("parts_missing", |state, bucket, month| {
                put_delivery(state, bucket, month, "x2", &[report(month, ""), report(month, "")]);
                state.remove(bucket, &format!("{}x2/costlens-00002.csv.gz", Customer::folder(month)));
            }),
            ("column_missing", |state, bucket, month| {
                let text = "lineItem/UsageAccountId,lineItem/LineItemType,lineItem/ProductCode,lineItem/UsageType\n1,2,3,4\n";
                put_delivery(state, bucket, month, "x3", &[packed(text)]);
            }),
            ("file_unreadable", |state, bucket, month| {
                let mut cut = report(month, "");
                cut.truncate(cut.len() / 2);
                put_delivery(state, bucket, month, "x4", &[report(month, ""), cut]);
            }),
            ("file_unreadable", |state, bucket, month| {
                let text = String::from_utf8(report_text(month)).unwrap().replace("0.32,", "oops,");
                put_delivery(state, bucket, month, "x5", &[packed(&text)]);
            }),
            ("too_large", |state, bucket, month| {
                put_delivery(state, bucket, month, "x6", &[vec![7; 100_001]]);
            }),
        ];
        let customer = Customer::with_role(app, aws, "Broken").await;
        customer.deliver(last, "good", &[report(last, "")]);
        customer.test().await;
        let good = customer.current(last).await;
        let bills = customer.bills().await;
        for (code, breaks) in cases {
            breaks(&mut aws.state(), &customer.bucket, last);
            customer.test().await;
            let failing = customer.failing(code).await;
            assert!(!failing["problem"]["detail"].as_str().unwrap().is_empty());
            let month = customer.month_until(last, code, |month| month["state"] == "failed").await;
            assert_eq!(month["problem"]["code"], *code, "{month}");
            assert_eq!(month["delivery"]["id"], good["delivery"]["id"]);
            assert_eq!(customer.bills().await, bills, "{code}");
        }
        // A whole delivery heals it.
        customer.deliver(last, "whole", &[report(last, &line(last, "Tax", "1"))]);
        customer.test().await;
        customer.newer(last, &good).await;
        customer.until("recovery", |found| found["state"] == "active" && found["problem"].is_null()).await;
    });
}

fn report_text(month: Month) -> Vec<u8> {
    use std::io::Read as _;

    let packed = report(month, "");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut text).unwrap();
    text
}

#[test]
fn where_the_bucket_is_and_whose_is_told_by_name() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let none = Customer::with_role(app, aws, "No bucket").await;
        aws.state().remove_bucket(&none.bucket);
        none.test().await;
        none.failing("bucket_not_found").await;

        let others = Customer::with_role(app, aws, "Another's bucket").await;
        aws.state().put_bucket(&others.bucket, "666655554444", "eu-west-1");
        aws.state().put(&others.bucket, "shared-with-everybody", "");
        others.test().await;
        others.failing("bucket_not_yours").await;

        let loose = Customer::with_role(app, aws, "No manifest").await;
        let file = format!("{}m1/costlens-00001.csv.gz", Customer::folder(month(0)));
        aws.state().put(&loose.bucket, &file, report(month(0), ""));
        loose.test().await;
        let found = loose.until("look", |found| found["problem"]["code"] == "manifest_missing").await;
        assert_eq!(found["state"], "active", "the first delivery may be under way: {found}");
        let tenant = loose.owner.tenant_id.trim_start_matches("ten_").to_owned();
        app.sql(&format!(
            "UPDATE aws_connection SET created_at = created_at - interval '49 hours' WHERE tenant_id = '{tenant}'"
        ));
        loose.test().await;
        loose.failing("manifest_missing").await;

        let denied = Customer::with_role(app, aws, "Too little").await;
        let nothing = json!({"Statement": [{"Effect": "Allow", "Action": "cur:DescribeReportDefinitions", "Resource": "*"}]});
        let id = denied.look().await["external_id"].as_str().unwrap().to_owned();
        aws.state().put_role(&denied.role(), ASSUMER, Some(&id), nothing);
        denied.test().await;
        denied.failing("access_denied").await;

        let stated = app.owner("Stated").await;
        let body = json!({
            "account_id": others.account, "bucket": "billing-elsewhere", "prefix": "exports",
            "report_name": "costlens", "region": "us-west-2",
        });
        let made = stated.call("POST", "/api/v1/aws-connections", Some(&body)).await.expect(201).json();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let elsewhere = Customer {
            aws,
            owner: stated,
            account: others.account.clone(),
            bucket: "billing-elsewhere".to_owned(),
            connection: text("id"),
        };
        aws.state().put_bucket("billing-elsewhere", &others.account, "eu-west-1");
        let place = elsewhere.place(&text("external_id"));
        aws.state().put_role(
            place.role.as_str(),
            ASSUMER,
            Some(place.external_id.as_str()),
            permissions(&place, None),
        );
        elsewhere.test().await;
        elsewhere.failing("wrong_region").await;
    });
}

#[test]
fn its_people_pause_resume_reconnect_and_end_it() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::with_role(app, aws, "Steady").await;
        let last = month(1);
        customer.deliver(last, "p1", &[report(last, "")]);
        customer.test().await;
        let first = customer.current(last).await;
        let post = async |what: &str| customer.owner.call("POST", &customer.path(what), None).await;

        assert_eq!(post("/pause").await.expect(200).json()["state"], "paused");
        assert_eq!(post("/pause").await.expect(200).json()["next_check_at"], Value::Null);
        post("/test").await.expect_problem(409, "conflict");
        customer.deliver(last, "p2", &[report(last, &line(last, "Tax", "1"))]);
        assert_eq!(post("/resume").await.expect(200).json()["state"], "pending");
        let second = customer.newer(last, &first).await;

        // Another ExternalId: the old one opens nothing any more.
        let old = customer.look().await["external_id"].clone();
        let anew = post("/reconnect").await.expect(200).json();
        assert!(anew["external_id"] != old && anew["state"] == "pending", "{anew}");
        assert!(
            anew["setup"]["trust_policy"].as_str().unwrap().contains(anew["external_id"].as_str().unwrap())
        );
        customer.until("a look in vain", |found| found["problem"]["code"] == "role_not_assumable").await;
        customer.make_stack_again().await;
        customer.test().await;
        customer.until("active connection", |found| found["state"] == "active").await;

        // Ended: nothing is asked of AWS any more, and what was read stays.
        customer.owner.call("DELETE", &customer.path(""), None).await.expect(204);
        customer.owner.call("DELETE", &customer.path(""), None).await.expect(204);
        // What was under way ends first.
        customer.quiet(app).await;
        drop(customer.calls());
        customer.deliver(last, "p3", &[report(last, &line(last, "Tax", "2"))]);
        post("/test").await.expect_problem(409, "conflict");
        post("/resume").await.expect_problem(409, "conflict");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(customer.calls(), []);
        assert_eq!(customer.look().await["state"], "revoked");
        assert_eq!(customer.months().await[0]["delivery"]["id"], second["delivery"]["id"]);
        // The account can be connected again, by another connection with another ExternalId.
        let again = customer.create(json!({})).await.expect(201).json();
        assert!(again["external_id"] != anew["external_id"] && again["id"] != anew["id"]);
    });
}

#[test]
fn what_is_no_account_or_looks_like_a_key_is_refused_and_changes_nothing() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::connected(app, aws, "Strict").await;
        customer.create(json!({})).await.expect_problem(409, "conflict");
        let key = ["AKIA", "ABCDEFGHIJKLMNOP"].concat();
        let other = format!("arn:aws:iam::{}:role/x", "123456789012");
        for (field, value) in [
            ("account_id", "1234".to_owned()),
            ("bucket", "No_Bucket".to_owned()),
            ("bucket", "a*".to_owned()),
            ("prefix", "/".to_owned()),
            ("prefix", "a/../b".to_owned()),
            ("prefix", "a*".to_owned()),
            ("prefix", key.clone()),
            ("report_name", key.clone()),
            ("report_name", "a/b".to_owned()),
            ("role_arn", "arn:aws:iam::1:role/x".to_owned()),
            ("role_arn", other),
            ("region", "moon".to_owned()),
            ("kms_key_arn", "alias/x".to_owned()),
        ] {
            let refused = customer.create(json!({ field: value })).await;
            assert_eq!(refused.status, 400, "{field}={value}: {}", refused.text());
            assert!(refused.text().contains(&format!("/{field}")), "{}", refused.text());
        }
        let all = customer.owner.get("/api/v1/aws-connections").await;
        assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");

        let stranger = app.owner("Replayed").await;
        let body = json!({
            "account_id": "123412341234", "bucket": "replayed", "prefix": "exports", "report_name": "costlens",
        });
        let call = async |body: &Value| {
            stranger
                .call_with("POST", "/api/v1/aws-connections", Some(body), &[("idempotency-key", "once")])
                .await
        };
        let first = call(&body).await.expect(201).json();
        assert_eq!(call(&body).await.expect(201).json(), first);
        let other = json!({
            "account_id": "123412341235", "bucket": "replayed", "prefix": "exports", "report_name": "costlens",
        });
        call(&other).await.expect_problem(422, "idempotency_mismatch");
    });
}
