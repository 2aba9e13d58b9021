//! What may go wrong on the way: roles that are gone, files that cannot be read, buckets that are elsewhere.

use std::time::Duration;

use costlens_aws::testing::aws::{ASSUMER, AwsState};
use costlens_domain::aws::{Month, permissions};
use costlens_tests::run;
use serde_json::{Value, json};

use super::{Customer, PLATFORM, Platform, line, month, packed, put_delivery, report};

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

#[test]
fn what_is_odd_and_was_read_all_the_same_stands_at_its_month() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::with_role(app, aws, "Odd").await;
        let last = month(1);
        let in_euros = line(last, "Usage", "3.5").replace(",USD,", ",EUR,");
        let more = line(last, "Surcharge2027", "1.25") + &in_euros;
        customer.deliver(last, "d1", &[report(last, &more)]);
        customer.test().await;
        let found = customer.current(last).await;
        let told: Vec<_> =
            found["notices"].as_array().unwrap().iter().map(|one| (&one["code"], &one["found"])).collect();
        let expected = [("unknown_line_types", "Surcharge2027"), ("other_currencies", "EUR")]
            .map(|(code, found)| (json!(code), json!([found])));
        assert_eq!(told, expected.each_ref().map(|(code, found)| (code, found)));
        assert_eq!(
            customer.until("an active connection", |one| one["state"] == "active").await["problem"],
            Value::Null
        );
        // The next delivery has nothing odd.
        customer.deliver(last, "d2", &[report(last, "")]);
        customer.test().await;
        assert_eq!(customer.newer(last, &found).await["notices"], json!([]));
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
            // Lines whose sum no number holds: the file's fault, and not tried for ever as one of ours.
            ("file_unreadable", |state, bucket, month| {
                let line = format!(
                    "1,2,Usage,{}T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,InvokeModelInference,\
                     9223372036854775808,USD,0.8,1K tokens\n",
                    month.first_day()
                );
                put_delivery(state, bucket, month, "x7", &[report(month, &line.repeat(19))]);
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

/// What goes wrong with an account and its bucket after a good month.
type Harm = fn(&mut AwsState, &Customer<'_>, &str);

#[test]
fn whatever_becomes_of_role_and_bucket_later_the_last_good_month_counts() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let last = month(1);
        let customer = Customer::with_role(app, aws, "Later").await;
        customer.deliver(last, "good", &[report(last, "")]);
        customer.test().await;
        customer.current(last).await;
        let external_id = customer.look().await["external_id"].as_str().unwrap().to_owned();
        let harms: [(&str, Harm); 4] = [
            ("access_denied", |state, customer, external_id| {
                let nothing = json!({"Statement": [{
                    "Effect": "Allow", "Action": "cur:DescribeReportDefinitions", "Resource": "*",
                }]});
                state.put_role(&customer.role(), ASSUMER, Some(external_id), nothing);
            }),
            ("role_not_assumable", |state, customer, _| state.delete_role(&customer.role())),
            ("bucket_not_found", |state, customer, _| state.remove_bucket(&customer.bucket)),
            ("bucket_not_yours", |state, customer, _| {
                state.put_bucket(&customer.bucket, "666655554444", "eu-west-1");
                state.put(&customer.bucket, "shared-with-everybody", "");
            }),
        ];
        for (code, harm) in harms {
            customer.quiet(app).await;
            let (good, bills) = (customer.current(last).await, customer.bills().await);
            harm(&mut aws.state(), &customer, &external_id);
            customer.test().await;
            // The next look proves everything anew, and knows more.
            customer.until("a failure", |found| found["state"] == "failing").await;
            customer.test().await;
            let failing = customer.failing(code).await;
            assert!(!failing["problem"]["remedy"].as_str().unwrap().is_empty(), "{failing}");
            let month = customer.current(last).await;
            assert_eq!(month["delivery"]["id"], good["delivery"]["id"], "{code}");
            assert_eq!(customer.bills().await, bills, "{code}");
            // It is as it was, and is found to be so without anybody connecting anew.
            aws.state().put_bucket(&customer.bucket, &customer.account, "eu-west-1");
            customer.make_stack_again().await;
            customer.deliver(last, "good", &[report(last, "")]);
            customer.test().await;
            customer
                .until("recovery", |found| found["state"] == "active" && found["problem"].is_null())
                .await;
        }
        assert_eq!(customer.bills().await.len(), 1);
    });
}

#[test]
fn lines_of_days_to_come_are_read_with_their_month() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let customer = Customer::with_role(app, aws, "Ahead").await;
        let this = month(0);
        let ahead = format!(
            "1,2,SavingsPlanRecurringFee,{}T00:00:00Z,MachineLearningSavingsPlans,SageMakerSP:1yrNoUpfront,,1,USD,5,Hrs\n",
            this.end()
        );
        customer.deliver(this, "ahead", &[report(this, &ahead)]);
        customer.test().await;
        let found = customer.current(this).await;
        assert_eq!(found["problem"], Value::Null, "{found}");
        let totals: Vec<String> = customer.bills().await.into_iter().map(|(_, total)| total).collect();
        assert_eq!(totals, ["11.62"]);
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
