//! A connection from its quick-create link to its end, and what is refused at its door.

use std::collections::BTreeSet;
use std::time::Duration;

use costlens_aws::testing::aws::{ASSUMER, FakeAws};
use costlens_domain::aws::{Month, permissions};
use costlens_tests::app::TestApp;
use costlens_tests::{eventually, run};
use serde_json::{Value, json};

use super::{Customer, PLATFORM, Platform, borrowed, line, month, priced_report, report, settings};

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

/// A call to Bedrock on a month's first day, as LiteLLM wrote it down.
fn logged(id: &str, month: Month, input: u64, output: u64) -> Value {
    let day = month.first_day();
    json!({
        "request_id": id, "call_type": "acompletion", "spend": 9.9,
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "startTime": format!("{day}T09:00:00+00:00"), "endTime": format!("{day}T09:00:02+00:00"),
        "model": "bedrock/us.amazon.nova-pro-v1:0", "custom_llm_provider": "bedrock",
        "api_base": "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse",
        "cache_hit": "False", "status": "success",
    })
}

#[test]
fn a_quick_create_link_becomes_what_each_call_cost_by_the_bill_to_the_cent() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        // The month before the last is over for good.
        let then = month(2);
        let customer = Customer::with_role(app, aws, "Settled").await;
        let owner = &customer.owner;
        let key = owner.create_key("logs").await.key_id;
        let calls = [
            logged("call-a", then, 500_000, 50_000),
            logged("call-b", then, 300_000, 30_000),
            logged("call-c", then, 200_000, 20_000),
        ];
        let path = format!("/api/v1/imports/litellm/{key}");
        let taken = owner.send_bill(&path, json!(calls).to_string(), &[]).await.expect(200).json();
        assert_eq!((&taken["taken"], &taken["refused"]), (&json!(3), &json!(0)), "{taken}");
        // AWS takes a tenth less than its list says.
        customer.deliver(then, "s1", &[priced_report(then, ("0.72", "0.288"), "")]);
        customer.test().await;
        let bill = customer.current(then).await["delivery"]["bill_id"].clone();

        let path = format!("/api/v1/settlements/{}", then.first_day());
        let settlement = eventually("settlement of the delivery", async || {
            let answer = owner.call("GET", &path, None).await;
            (answer.status == 200).then(|| answer.json()["settlement"].clone())
        })
        .await;
        assert_eq!(settlement["version"], bill, "{settlement}");
        assert_eq!(
            (&settlement["calls"], &settlement["absent_calls"]),
            (&json!(3), &json!(0)),
            "{settlement}"
        );
        assert_eq!(settlement["estimated"], "1.12", "by the list: {settlement}");
        assert_eq!(
            (&settlement["billed"], &settlement["settled"]),
            (&json!("1.008"), &json!("1.008")),
            "what S3 cost is none of it: {settlement}"
        );

        let rows = owner.get("/api/v1/requests?limit=200&origin=litellm").await;
        for (id, estimated, cost) in
            [("call-a", "0.56", "0.504"), ("call-b", "0.336", "0.3024"), ("call-c", "0.224", "0.2016")]
        {
            let row = rows["items"].as_array().unwrap().iter().find(|row| row["response_id"] == id).unwrap();
            assert_eq!(row["cost"], estimated, "{row}");
            let path = format!("/api/v1/requests/{}/settled-cost", row["id"].as_str().unwrap());
            let settled = &owner.get(&path).await["settled"];
            assert_eq!((&settled["state"], &settled["cost"]), (&json!("settled"), &json!(cost)), "{settled}");
        }
    });
}

#[test]
fn reports_that_a_key_encrypts_are_read_where_the_connection_names_it() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let key = "arn:aws:kms:eu-west-1:123456789012:key/6fd2b2a4-0000-4000-8000-7a7d6e1f9c10";
        let last = month(1);
        let named = Customer::connected_with(app, aws, "Encrypted", json!({"kms_key_arn": key})).await;
        let setup = named.look().await["setup"].clone();
        assert!(setup["permissions_policy"].as_str().unwrap().contains(key), "{setup}");
        let unnamed = Customer::connected(app, aws, "Unnamed key").await;
        for customer in [&named, &unnamed] {
            customer.make_stack().await;
            aws.state().encrypt(&customer.bucket, key);
            customer.deliver(last, "k1", &[report(last, "")]);
            customer.test().await;
        }
        named.current(last).await;
        assert_eq!(named.bills().await.len(), 1);
        let failing = unnamed.failing("access_denied").await;
        assert!(failing["problem"]["remedy"].as_str().unwrap().contains("kms:Decrypt"), "{failing}");
        assert!(unnamed.bills().await.is_empty());
    });
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
