//! A bill read from the command line into a tenant's ledger.

use costlens_tests::app::shared;
use costlens_tests::run;
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
