use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::*;
use crate::bill::{ControlTotal, OtherCosts};

fn place() -> ReportPlace {
    let account: AwsAccountId = "111122223333".parse().unwrap();
    ReportPlace {
        role: RoleArn::of_template(&account),
        account,
        external_id: ExternalId::new([7; 20]),
        bucket: "acme-billing".parse().unwrap(),
        prefix: "/exports/costlens/".parse().unwrap(),
        report: "costlens".parse().unwrap(),
    }
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

#[test]
fn names_are_taken_in_their_own_shape_alone() {
    for bad in ["", "11112222333", "1111222233334", "11112222333x", "１１１１２２２２３３３３"] {
        assert!(bad.parse::<AwsAccountId>().is_err(), "{bad}");
    }
    for bad in [
        "arn:aws:iam::111122223333:user/x",
        "arn:aws:iam::1111:role/x",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/x*",
        "arn:aws:iam:us-east-1:111122223333:role/x",
        "costlens",
    ] {
        assert!(bad.parse::<RoleArn>().is_err(), "{bad}");
    }
    for bad in ["ab", "Acme", "acme_billing", "-acme", "acme-", "a..b", "10.0.0.1", "acme/billing", "acme*"] {
        assert!(bad.parse::<BucketName>().is_err(), "{bad}");
    }
    for bad in ["", "/", "//", "a//b", "a/../b", "./a", "a/*", "a?", "${aws:x}", "a b", "a\u{7f}"] {
        assert!(bad.parse::<KeyPrefix>().is_err(), "{bad}");
    }
    for bad in ["", "a/b", "..", "a*", "a b"] {
        assert!(bad.parse::<ReportName>().is_err(), "{bad}");
    }
    assert_eq!(place().prefix.as_str(), "exports/costlens");
    assert_eq!(place().role.as_str(), "arn:aws:iam::111122223333:role/CostlensBillReader");
    assert!(place().is_of_template() && place().is_in(&place().account));
}

#[test]
fn no_name_takes_what_looks_like_an_access_key() {
    let key = ["AKIA", "ABCDEFGHIJKLMNOP"].concat();
    let temporary = ["ASIA", "0123456789ABCDEF"].concat();
    for text in [&key, &temporary] {
        assert!(looks_like_an_access_key(&format!("x{text}y")));
        assert!(text.parse::<ReportName>().is_err() && text.parse::<KeyPrefix>().is_err());
    }
    assert!(!looks_like_an_access_key("AKIAabcdefghijklmnop"));
}

#[test]
fn a_key_lies_below_its_prefix_without_detours() {
    let prefix = place().prefix;
    assert!(prefix.holds("exports/costlens/costlens/data/x.parquet"));
    for outside in [
        "exports/costlens",
        "exports/costlens/",
        "exports/costlens-other/x",
        "exports/x",
        "exports/costlens/../secret",
        "exports/costlens//x",
        "exports/costlens/./x",
        "/exports/costlens/x",
        "exports/costlens/x\n",
    ] {
        assert!(!prefix.holds(outside), "{outside}");
    }
}

#[test]
fn a_session_may_read_the_reports_and_nothing_else() {
    let policy: Value = serde_json::from_str(&session_policy(&place())).unwrap();
    let mut actions = Vec::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        for action in statement["Action"].as_array().unwrap() {
            actions.push(action.as_str().unwrap().to_owned());
        }
        let resource = statement["Resource"].as_str().unwrap();
        assert!(resource.starts_with("arn:aws:s3:::acme-billing") || statement["Action"][0] == "kms:Decrypt");
    }
    assert!(actions.iter().all(|action| ALLOWED_ACTIONS.contains(&action.as_str())), "{actions:?}");
    assert_eq!(policy["Statement"][0]["Resource"], "arn:aws:s3:::acme-billing/exports/costlens/*");
    assert!(session_policy(&place()).len() < 2_048, "STS takes no longer one");
}

#[test]
fn the_quick_create_link_fills_in_every_parameter() {
    let assumer: RoleArn = "arn:aws:iam::999988887777:role/costlens-assumer".parse().unwrap();
    let link = quick_create("https://b.s3.amazonaws.com/role.yaml", &assumer, &place(), None);
    assert!(link.starts_with(
        "https://console.aws.amazon.com/cloudformation/home?region=us-east-1#/stacks/create/review?templateURL=\
         https%3A%2F%2Fb.s3.amazonaws.com%2Frole.yaml&stackName=Costlens&"
    ));
    for part in [
        "&param_AssumerRoleArn=arn%3Aaws%3Aiam%3A%3A999988887777%3Arole%2Fcostlens-assumer",
        "&param_ExternalId=costlens-0707",
        "&param_BucketName=acme-billing",
        "&param_Prefix=exports%2Fcostlens",
        "&param_ExportName=costlens",
    ] {
        assert!(link.contains(part), "{part}: {link}");
    }
}

#[test]
fn a_legacy_manifest_names_its_files_and_delivery() {
    let manifest = json!({
        "assemblyId": "1f2e", "bucket": "acme-billing", "charset": "UTF-8",
        "columns": [{"category": "lineItem", "name": "UnblendedCost"},
                    {"category": "lineItem", "name": "UsageStartDate"}, {"category": "lineItem", "name": "ProductCode"}],
        "reportKeys": ["exports/costlens/costlens/20261001-20261101/1f2e/costlens-1.csv.gz"],
    });
    let read = Manifest::read(manifest.to_string().as_bytes(), &place()).unwrap();
    assert_eq!(read.delivery.as_deref(), Some("1f2e"));
    assert_eq!(read.files.unwrap().len(), 1);
    assert_eq!(read.columns.len(), 3);
}

#[test]
fn the_manifest_of_an_export_is_read_in_any_of_its_spellings() {
    let key = "exports/costlens/costlens/data/BILLING_PERIOD=2026-10/costlens-00001.snappy.parquet";
    for list in [
        json!({"dataFiles": [key]}),
        json!({"exportFiles": [{"key": key, "size": 3}]}),
        json!({"delivery": {"files": [{"s3Uri": format!("s3://acme-billing/{key}")}], "executionId": "e"}}),
    ] {
        let read = Manifest::read(list.to_string().as_bytes(), &place()).unwrap();
        assert_eq!(read.files, Some(vec![key.to_owned()]), "{list}");
    }
    let unknown = Manifest::read(b"{\"contents\": 3}", &place()).unwrap();
    assert_eq!((unknown.files, unknown.delivery), (None, None));
}

#[test]
fn a_manifest_that_leads_elsewhere_or_tells_of_no_cost_is_refused() {
    let read = |value: Value| Manifest::read(value.to_string().as_bytes(), &place());
    for key in ["other/x.csv", "exports/costlens/../x.csv", "s3://another/exports/costlens/x.csv"] {
        let refused = read(json!({"reportKeys": [key]}));
        assert!(matches!(refused, Err(ManifestError::Outside { .. })), "{key}: {refused:?}");
    }
    let columns = json!({"columns": ["line_item_usage_start_date", "line_item_product_code"]});
    assert_eq!(read(columns), Err(ManifestError::Column { column: "line_item_unblended_cost" }));
    let focus = json!({"columns": [{"name": "ChargePeriodStart"}, {"name": "BillingCurrency"}]});
    assert_eq!(read(focus), Err(ManifestError::Column { column: "BilledCost" }));
    assert_eq!(Manifest::read(b"[]", &place()), Err(ManifestError::Shape));
    assert_eq!(Manifest::read(b"{\"reportKeys\": [", &place()), Err(ManifestError::Shape));
}

#[test]
fn a_month_knows_where_its_manifest_lies() {
    let place = place();
    let october = month("2026-10");
    assert_eq!(
        Layout::Legacy.manifest(&place, october),
        "exports/costlens/costlens/20261001-20261101/costlens-Manifest.json"
    );
    assert_eq!(
        Layout::Export.manifest(&place, october),
        "exports/costlens/costlens/metadata/BILLING_PERIOD=2026-10/costlens-Manifest.json"
    );
    assert_eq!(Layout::Legacy.data(&place, month("2026-12")), "exports/costlens/costlens/20261201-20270101/");
    assert_eq!(month("2027-01").back(2), month("2026-11"));
    assert_eq!(october.title(), "October 2026");
    assert!("2026-13".parse::<Month>().is_err() && "26-10".parse::<Month>().is_err());
}

fn total(kind: &str, currency: &str, cents: i64) -> ControlTotal {
    ControlTotal {
        line_item_type: kind.into(),
        currency: currency.parse().unwrap(),
        lines: 1,
        lines_without_cost: 0,
        unblended: Decimal::new(cents, 2),
        split_cost: Decimal::ZERO,
        ai: Decimal::ZERO,
        candidate: Decimal::ZERO,
        ai_costs: OtherCosts::default(),
        candidate_costs: OtherCosts::default(),
    }
}

#[test]
fn a_change_is_told_by_its_sum_and_what_weighs_most_in_it() {
    let september = month("2026-09");
    let before = [total("Usage", "USD", 100_000), total("Tax", "USD", 1_900)];
    let after = [total("Usage", "USD", 100_000), total("Tax", "USD", 1_900), total("Credit", "USD", -41_200)];
    let credit = changes(&before, &after);
    assert_eq!(credit.len(), 1);
    assert_eq!(change(september, &credit).unwrap(), "AWS changed September 2026 by -$412.00, a credit");
    let more = changes(&before, &[total("Usage", "USD", 100_250), total("Tax", "USD", 1_880)]);
    assert_eq!(change(september, &more).unwrap(), "AWS changed September 2026 by +$2.30, usage");
    let two = changes(&[total("Usage", "USD", 1)], &[total("Usage", "USD", 2), total("Fee", "EUR", 500)]);
    assert_eq!(
        change(september, &two).unwrap(),
        "AWS changed September 2026 by +5.00 EUR, a fee, and by +$0.01, usage"
    );
    assert_eq!(change(september, &changes(&before, &before)), None);
}

#[test]
fn a_month_runs_closes_is_invoiced_and_may_be_restated() {
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let october = month("2026-10");
    for (arrived, before, differs, expected) in [
        ("2026-10-31", None, false, Finality::Open),
        ("2026-11-01", Some(Finality::Open), true, Finality::Closing),
        ("2026-11-15", Some(Finality::Closing), true, Finality::Closing),
        ("2026-11-16", Some(Finality::Closing), false, Finality::Invoiced),
        ("2026-11-16", None, false, Finality::Invoiced),
        // The last one came while the month ran: this is the first that has all of it.
        ("2026-11-16", Some(Finality::Open), true, Finality::Invoiced),
        // Whoever looked the day before was told that it was invoiced.
        ("2026-11-20", Some(Finality::Closing), true, Finality::Restated),
        ("2026-11-20", Some(Finality::Invoiced), true, Finality::Restated),
        // Read again by newer rules, it says what it said.
        ("2026-11-20", Some(Finality::Invoiced), false, Finality::Invoiced),
        ("2026-12-20", Some(Finality::Restated), false, Finality::Restated),
        // It was, by its lines, and the report has lost the column since.
        ("2026-11-06", Some(Finality::Invoiced), false, Finality::Invoiced),
    ] {
        let found = finality(october, day(arrived), before, differs, false);
        assert_eq!(found, expected, "{arrived} after {before:?}");
    }
    // Where all lines name their invoice, nobody waits for the calendar.
    for (arrived, before, differs, expected) in [
        ("2026-10-31", None, false, Finality::Open),
        ("2026-11-03", Some(Finality::Closing), true, Finality::Invoiced),
        ("2026-11-04", Some(Finality::Invoiced), false, Finality::Invoiced),
        ("2026-11-04", Some(Finality::Invoiced), true, Finality::Restated),
    ] {
        let found = finality(october, day(arrived), before, differs, true);
        assert_eq!(found, expected, "{arrived} after {before:?}, with invoices");
    }
}

#[test]
fn a_month_closes_without_another_delivery() {
    let october = month("2026-10");
    let on = |finality: Finality, day: &str| finality.as_of(october, day.parse().unwrap());
    assert_eq!(on(Finality::Closing, "2026-11-15"), Finality::Closing);
    assert_eq!(on(Finality::Closing, "2026-11-16"), Finality::Invoiced);
    assert_eq!(on(Finality::Open, "2026-10-31"), Finality::Open);
    assert_eq!(on(Finality::Open, "2026-11-01"), Finality::Closing);
    assert_eq!(on(Finality::Open, "2027-01-01"), Finality::Closing, "its last days are missing");
    for finality in [Finality::Invoiced, Finality::Restated] {
        assert_eq!(on(finality, "2026-11-02"), finality);
        assert_eq!(on(finality, "2027-01-01"), finality);
    }
}
