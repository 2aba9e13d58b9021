//! A customer's AWS account, from the quick-create link to stored facts; and everything that may go wrong on the way.
//!
//! The AWS is a strict one of the tests' own, on a real socket. It writes down every call, so that what was read is held
//! against what is promised.

mod browser;
mod deliveries;
mod formats;
mod life;
mod troubles;

use std::io::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::Utc;
use costlens_aws::testing::aws::{ASSUMER, AwsCall, AwsState, FakeAws};
use costlens_domain::aws::{Month, ReportPlace, permissions};
use costlens_tests::actors::Owner;
use costlens_tests::app::TestApp;
use costlens_tests::eventually;
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

/// A legacy report of one month: two lines of Bedrock at its list price, one of S3, and more lines as they come.
fn report(month: Month, more: &str) -> Vec<u8> {
    priced_report(month, ("0.8", "0.32"), more)
}

/// The same at these prices of a million tokens of input and a hundred thousand of output.
fn priced_report(month: Month, (input, output): (&str, &str), more: &str) -> Vec<u8> {
    let day = month.first_day();
    let text = format!(
        "bill/PayerAccountId,lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,\
         lineItem/ProductCode,lineItem/UsageType,lineItem/Operation,lineItem/UsageAmount,lineItem/CurrencyCode,\
         lineItem/UnblendedCost,pricing/unit\n\
         1,2,Usage,{day}T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,InvokeModelInference,1000,USD,{input},1K tokens\n\
         1,2,Usage,{day}T00:00:00Z,AmazonBedrock,USE1-NovaPro-output-tokens,InvokeModelInference,100,USD,{output},1K tokens\n\
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
        Self::connected_with(app, aws, name, json!({})).await
    }

    /// The same with more said of the place.
    async fn connected_with(app: &TestApp, aws: &'a FakeAws, name: &str, more: Value) -> Self {
        let owner = app.owner(name).await;
        let number = u64::from_str_radix(&owner.tenant_id[owner.tenant_id.len() - 9..], 16).unwrap();
        let account = format!("{:012}", number % 1_000_000_000_000);
        let bucket = format!("billing-{account}");
        let mut customer = Self { aws, owner, account, bucket, connection: String::new() };
        let made = customer.create(more).await.expect(201).json();
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
        let key = parameters.get("param_KmsKeyArn").map(|key| key.parse().unwrap());
        let mut state = self.aws.state();
        let policy = permissions(&place, key.as_ref());
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

impl Customer<'_> {
    /// The stack is made anew, as it was.
    async fn make_stack_again(&self) {
        let place = self.place(self.look().await["external_id"].as_str().unwrap());
        let policy = permissions(&place, None);
        let id = place.external_id.as_str();
        self.aws.state().put_role(place.role.as_str(), ASSUMER, Some(id), policy);
    }
}
