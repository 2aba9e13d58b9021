//! A month charged back, as somebody in finance asks for it.

use costlens_tests::app::shared;
use costlens_tests::run;
use serde_json::json;

/// A bill of October with one model's use and a machine's.
fn bill() -> String {
    let line = |id: &str, service: &str, usage: &str, cost: &str| {
        format!(
            "{id},2026-10-01T00:00:00Z/2026-10-01T01:00:00Z,111111111111,111111111111,Usage,2026-10-01T00:00:00Z,\
             2026-10-01T01:00:00Z,{service},{usage},1000,USD,{cost},2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,AWS,Anniversary\n"
        )
    };
    "identity/LineItemId,identity/TimeInterval,bill/PayerAccountId,lineItem/UsageAccountId,lineItem/LineItemType,\
     lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/ProductCode,lineItem/UsageType,lineItem/UsageAmount,\
     lineItem/CurrencyCode,lineItem/UnblendedCost,bill/BillingPeriodStartDate,bill/BillingPeriodEndDate,\
     bill/BillingEntity,bill/BillType\n"
        .to_owned()
        + &line("a1", "AmazonBedrock", "USE1-Claude3Sonnet-input-tokens", "12.3400000001")
        + &line("a2", "AmazonEC2", "BoxUsage:t3.micro", "1.00")
}

#[test]
fn a_month_is_charged_back_as_json_and_csv_to_the_last_digit() {
    run(async {
        let app = shared();
        let owner = app.owner("Finance").await;
        owner.upload("/api/v1/bills?filename=october.csv", bill()).await;
        owner.settled().await;
        let path = "/api/v1/months/2026-10/chargeback";
        let told = owner.get(&format!("{path}?by=team")).await;
        assert_eq!(told["totals"]["amount"], "12.3400000001", "{told}");
        assert_eq!(
            (&told["totals"]["billed"], &told["totals"]["not_billed"]),
            (&json!("12.3400000001"), &json!("0"))
        );
        let row = &told["items"][0];
        assert_eq!(
            (&row["kind"], &row["code"], &row["calls"]),
            (&json!("beside_calls"), &json!("unproxied"), &json!(null))
        );
        assert_eq!(told["items"].as_array().unwrap().len(), 1, "the machine is no AI: {told}");

        let file = owner.call("GET", &format!("{path}/export?by=key"), None).await.expect(200);
        assert!(file.header("content-disposition").contains("chargeback-2026-10-key.csv"));
        assert!(file.header("content-type").starts_with("text/csv"), "{}", file.header("content-type"));
        let text = file.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "kind,group,name,issuer,code,calls,estimated,settled,provisional,unbilled_calls,unbilled,unpriced_calls,amount,currency"
        );
        assert_eq!(lines[1..], ["beside_calls,,,aws,unproxied,,,,,,,,12.3400000001,USD"]);

        let page = owner.call("GET", "/api/v1/months/2026-10/statement", None).await.expect(200);
        assert!(page.header("content-type").starts_with("text/html"));
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'unsafe-inline';")
                && policy.ends_with("sandbox")
        );
        assert!(page.text().contains("October 2026") && page.text().contains("$12.34"), "{}", page.text());
        assert!(!page.text().contains("<script"));
        let printed = app.command(&["statement", "--tenant", &owner.tenant_id, "2026-10"]);
        assert!(
            printed.starts_with("<!doctype html>") && printed.contains("Around the proxy, AWS"),
            "{printed}"
        );

        let body = json!({"what": "focus_settled", "format": "parquet"});
        let id = super::exports::ask(&owner, body).await;
        let export = super::exports::ended(&owner, &id).await;
        assert_eq!((&export["state"], &export["rows"]), (&json!("done"), &json!(1)), "{export}");
        assert!(export["file_name"].as_str().unwrap().ends_with(".parquet"), "{export}");
        let file = owner.call("GET", &format!("/api/v1/exports/{id}/file"), None).await.expect(200);
        assert_eq!(file.header("content-type"), "application/vnd.apache.parquet");
        assert!(file.body.starts_with(b"PAR1") && file.body.ends_with(b"PAR1"));
        let body = json!({"what": "requests", "format": "parquet"});
        owner.call("POST", "/api/v1/exports", Some(&body)).await.expect_problem(400, "invalid_request");

        for (query, field) in [("?by=tag", "tag"), ("?tag=x", "tag"), ("?by=tag&tag=X%20Y", "tag")] {
            let answer = owner.call("GET", &format!("{path}{query}"), None).await;
            assert!(answer.text().contains(field), "{query}: {}", answer.text());
            answer.expect_problem(400, "invalid_request");
        }
        owner.call("GET", "/api/v1/months/2026-13/chargeback", None).await.expect_problem(404, "not_found");
    });
}

#[test]
fn whose_a_key_is_is_said_once_and_nonsense_changes_nothing() {
    run(async {
        let app = shared();
        let owner = app.owner("Labels").await;
        let key = owner.create_key("ci").await.key_id;
        let path = format!("/api/v1/keys/{key}/labels");
        let labels = json!({"labels": [{"name": "team", "value": " Search "}, {"name": "cost-centre", "value": "4711"}]});
        let set = owner.call("PUT", &path, Some(&labels)).await.expect(200).json();
        let kept = json!({"labels": [{"name": "cost-centre", "value": "4711"}, {"name": "team", "value": "Search"}]});
        assert_eq!(set, kept);
        for bad in [
            json!([{"name": "Team", "value": "x"}]),
            json!([{"name": "team", "value": " "}]),
            json!([{"name": "team", "value": "a"}, {"name": "team", "value": "b"}]),
        ] {
            let answer = owner.call("PUT", &path, Some(&json!({"labels": bad}))).await;
            answer.expect_problem(400, "invalid_request");
        }
        assert_eq!(owner.get(&path).await, kept);
        let events = || {
            app.query(&format!(
                "SELECT count(*) FROM audit_event WHERE action = 'key.labelled' AND target = '{key}'"
            ))
        };
        assert_eq!(events().trim(), "1");
        owner.call("PUT", &path, Some(&labels)).await.expect(200);
        assert_eq!(events().trim(), "1", "the same again is no change");
        let all = owner.get("/api/v1/key-labels").await;
        assert_eq!(all["names"], json!(["cost-centre", "team"]));
        assert_eq!(all["items"].as_array().unwrap().len(), 2);
        owner.call("PUT", &path, Some(&json!({"labels": []}))).await.expect(200);
        assert_eq!(owner.get("/api/v1/key-labels").await["items"], json!([]));
    });
}
