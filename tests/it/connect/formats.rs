//! FOCUS through the bucket: what AWS exports as CSV, and what we export as Parquet ourselves.

use costlens_domain::aws::{Layout, Month};
use costlens_tests::run;
use serde_json::{Value, json};

use super::{Customer, PLATFORM, Platform, month, packed, report};
use crate::exports;

/// The lines of [`report`] as AWS' FOCUS export has them.
fn focus(month: Month) -> String {
    let (from, to) = (month.first_day(), month.end());
    let period = format!("{from}T00:00:00Z,{to}T00:00:00Z,{from}T00:00:00Z,{from}T01:00:00Z");
    let line = |quantity: &str, unit: &str, cost: &str, service: [&str; 4]| {
        let [name, code, usage_type, operation] = service;
        format!(
            "1,Acme,2,{period},Usage,AWS,\"{name}\",us-east-1,{quantity},{unit},USD,{cost},{cost},{cost},{code},{usage_type},\
             {operation}\n"
        )
    };
    let bedrock = |direction: &'static str| {
        let usage_type =
            if direction == "in" { "USE1-NovaPro-input-tokens" } else { "USE1-NovaPro-output-tokens" };
        ["Amazon Bedrock", "AmazonBedrock", usage_type, "InvokeModelInference"]
    };
    let storage = ["Amazon Simple Storage Service", "AmazonS3", "USE1-TimedStorage-ByteHrs", "NULL"];
    [
        "BillingAccountId,BillingAccountName,SubAccountId,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,\
         ChargePeriodEnd,ChargeCategory,ProviderName,ServiceName,RegionId,PricingQuantity,PricingUnit,BillingCurrency,\
         BilledCost,EffectiveCost,ListCost,x_ServiceCode,x_UsageType,x_Operation\n"
            .to_owned(),
        line("1000", "1K tokens", "0.8", bedrock("in")),
        line("100", "1K tokens", "0.32", bedrock("out")),
        line("1", "GB-Mo", "5.5", storage),
    ]
    .concat()
}

/// The bill of a new customer to whom this file is delivered, and its models.
async fn delivered(name: &str, month: Month, file: (&str, Vec<u8>)) -> (Value, Value) {
    let Platform { aws, app } = &*PLATFORM;
    let customer = Customer::with_role(app, aws, name).await;
    let place = customer.place(customer.look().await["external_id"].as_str().unwrap());
    let key = format!("{}{}", Layout::Export.data(&place, month), file.0);
    let manifest = json!({"executionId": "1", "dataFiles": [format!("s3://{}/{key}", customer.bucket)]});
    {
        let mut state = aws.state();
        state.put(&customer.bucket, &key, file.1);
        state.put(&customer.bucket, &Layout::Export.manifest(&place, month), manifest.to_string());
    }
    customer.test().await;
    customer.current(month).await;
    let (id, _) = customer.bills().await.remove(0);
    let models = customer.owner.get(&format!("/api/v1/bills/{id}/breakdown?by=model")).await;
    (customer.owner.get(&format!("/api/v1/bills/{id}")).await, models)
}

#[test]
fn a_focus_export_is_read_from_the_bucket_like_a_cost_and_usage_report() {
    run(async {
        let last = month(1);
        let (bill, models) = delivered("FOCUS", last, ("f-00001.csv.gz", packed(&focus(last)))).await;
        let (same, same_models) = delivered("CUR", last, ("c-00001.csv.gz", report(last, ""))).await;
        assert_eq!((&bill["format"], &same["format"]), (&json!("focus"), &json!("legacy_cur")));
        let total = &bill["totals"][0];
        assert_eq!((&total["total_cost"], &total["ai_cost"]), (&json!("6.62"), &json!("1.12")), "{bill}");
        for told in ["first_day", "last_day", "lines", "resources", "unknown_line_types", "left_out"] {
            assert_eq!(bill[told], same[told], "{told}");
        }
        for told in ["currency", "total_cost", "ai_cost", "candidate_cost", "ai_percent", "lines"] {
            assert_eq!(total[told], same["totals"][0][told], "{told}");
        }
        assert_eq!(models["items"][0]["tokens"], "1100000", "{models}");
        assert_eq!(models, same_models);
    });
}

#[test]
fn what_we_export_as_parquet_comes_back_from_a_bucket_with_the_same_dollars() {
    run(async {
        let Platform { app, .. } = &*PLATFORM;
        let last = month(1);
        let exporter = app.owner("Exporting Parquet").await;
        let upload = exporter.upload("/api/v1/bills?filename=cur.csv.gz", report(last, "")).await;
        assert_eq!(upload["state"], "published", "{upload}");
        let id = exports::ask(&exporter, json!({"what": "focus", "format": "parquet"})).await;
        let export = exports::ended(&exporter, &id).await;
        assert_eq!((&export["state"], &export["rows"]), (&json!("done"), &json!(2)), "{export}");
        let file = exporter.call("GET", &format!("/api/v1/exports/{id}/file"), None).await.expect(200);
        assert_eq!(file.body.get(..4), Some(b"PAR1".as_slice()));
        let (bill, _) = delivered("Parquet", last, ("p-00001.snappy.parquet", file.body.to_vec())).await;
        assert_eq!(bill["format"], "focus", "{bill}");
        // A FOCUS export of ours has the AI alone.
        assert_eq!((&bill["totals"][0]["total_cost"], &bill["lines"]), (&json!("1.12"), &json!(2)), "{bill}");
        let day = last.first_day().to_string();
        assert_eq!((&bill["first_day"], &bill["last_day"]), (&json!(day), &json!(day)));
    });
}
