//! What a customer is asked to create, as the three files say it: one role that reads cost reports and nothing else, that
//! lets in our role alone and nobody without the ExternalId. Every action is held against the closed list.

use std::collections::BTreeSet;

use costlens_domain::aws::{ALLOWED_ACTIONS, ExternalId, ReportPlace, RoleArn, permissions, trust};
use costlens_tests::app::shared;
use costlens_tests::{place, run};
use serde_json::{Value, json};

fn file(name: &str) -> String {
    std::fs::read_to_string(place::repository().join("infra/customer").join(name)).unwrap()
}

fn template() -> Value {
    serde_saphyr::from_str(&file("costlens-bill-reader.yaml")).unwrap()
}

/// CloudFormation's functions as the plain policy writes what they give, with a key.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut all = members.iter();
            match (all.next(), all.next()) {
                (Some((name, Value::String(text))), None) if name == "Fn::Sub" => {
                    json!(text.replace("${AWS::Partition}", "aws"))
                }
                (Some((name, Value::String(text))), None) if name == "Ref" => json!(format!("${{{text}}}")),
                (Some((name, Value::Array(cases))), None) if name == "Fn::If" => {
                    assert_eq!((&cases[0], &cases[2]), (&json!("HasKey"), &json!({"Ref": "AWS::NoValue"})));
                    plain(&cases[1])
                }
                _ => members
                    .iter()
                    .map(|(name, value)| (name.clone(), plain(value)))
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
            }
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn of_json() -> Value {
    serde_json::from_str(&file("costlens-bill-reader-policy.json")).unwrap()
}

/// The Terraform module's statements: what stands in its two texts of JSON.
fn of_terraform() -> Value {
    let text = file("costlens-bill-reader.tf");
    let mut statements = Vec::new();
    for part in text.split("<<-JSON\n").skip(1) {
        let json = part.split("  JSON\n").next().unwrap();
        let json = json
            .replace("${var.bucket_name}", "${BucketName}")
            .replace("${var.prefix}", "${Prefix}")
            .replace("${var.kms_key_arn}", "${KmsKeyArn}");
        statements.extend(serde_json::from_str::<Vec<Value>>(&json).unwrap());
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        assert!(
            statement.get("NotAction").is_none() && statement.get("NotResource").is_none(),
            "{statement}"
        );
        for action in statement["Action"].as_array().unwrap() {
            all.insert(action.as_str().unwrap().to_owned());
        }
    }
    all
}

#[test]
fn the_role_may_do_what_is_in_the_closed_list_and_all_three_files_agree() {
    let template = template();
    let role = &template["Resources"]["BillReader"]["Properties"];
    let [policy] = role["Policies"].as_array().unwrap().as_slice() else { panic!("{role}") };
    let of_template = plain(&policy["PolicyDocument"]);
    assert_eq!(of_template, of_json(), "the template and the plain policy differ");
    assert_eq!(of_terraform(), of_json(), "the Terraform module and the plain policy differ");
    let allowed: BTreeSet<String> = ALLOWED_ACTIONS.iter().map(|action| (*action).to_owned()).collect();
    assert_eq!(actions(&of_json()), allowed);
    for action in &allowed {
        let (_, verb) = action.split_once(':').unwrap();
        let reads = ["Get", "List", "Describe", "Decrypt"].iter().any(|word| verb.starts_with(word));
        assert!(reads && !action.contains('*'), "{action} may change something");
    }
    assert!(role.get("ManagedPolicyArns").is_none() && role.get("PermissionsBoundary").is_none());
}

#[test]
fn what_the_service_tells_by_hand_is_what_the_files_say() {
    let account = "111122223333".parse().unwrap();
    let place = ReportPlace {
        role: RoleArn::of_template(&account),
        account,
        external_id: ExternalId::new([7; 20]),
        bucket: "acme-billing".parse().unwrap(),
        prefix: "exports/costlens".parse().unwrap(),
        report: "costlens".parse().unwrap(),
    };
    let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";
    let filled = of_json()
        .to_string()
        .replace("${BucketName}", "acme-billing")
        .replace("${Prefix}", "exports/costlens")
        .replace("${KmsKeyArn}", key);
    let filled: Value = serde_json::from_str(&filled).unwrap();
    assert_eq!(permissions(&place, Some(&key.parse().unwrap())), filled);
    let without: BTreeSet<String> = actions(&permissions(&place, None));
    assert!(!without.contains("kms:Decrypt"));
    let assumer: RoleArn = "arn:aws:iam::000000000000:role/costlens-assumer".parse().unwrap();
    let template = template();
    let role = &template["Resources"]["BillReader"]["Properties"];
    let of_template = plain(&role["AssumeRolePolicyDocument"])
        .to_string()
        .replace("${AssumerRoleArn}", assumer.as_str())
        .replace("${ExternalId}", place.external_id.as_str());
    let of_template: Value = serde_json::from_str(&of_template).unwrap();
    assert_eq!(trust(&assumer, &place.external_id), of_template);
}

#[test]
fn the_role_trusts_one_role_with_an_external_id_for_an_hour_and_the_stack_runs_nothing() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let kinds: BTreeSet<&str> = resources.values().map(|one| one["Type"].as_str().unwrap()).collect();
    let known = ["AWS::BCMDataExports::Export", "AWS::IAM::Role", "AWS::S3::Bucket", "AWS::S3::BucketPolicy"];
    assert_eq!(kinds, BTreeSet::from(known));
    for (name, resource) in resources {
        let is_asked_for = resource.get("Condition") == Some(&json!("MakesExport"));
        assert_eq!(is_asked_for, name != "BillReader", "{name} is made only if it is asked for");
    }
    let role = &resources["BillReader"]["Properties"];
    assert_eq!(role["MaxSessionDuration"], 3_600);
    assert_eq!(role["RoleName"], costlens_domain::aws::ROLE_NAME);
    let trust = role["AssumeRolePolicyDocument"]["Statement"].as_array().unwrap();
    assert_eq!(trust.len(), 1);
    assert_eq!(trust[0]["Principal"], json!({"AWS": {"Ref": "AssumerRoleArn"}}));
    assert_eq!(trust[0]["Condition"]["StringEquals"]["sts:ExternalId"], json!({"Ref": "ExternalId"}));
    for name in ["ExternalId", "BucketName", "Prefix", "ExportName", "KmsKeyArn", "AssumerRoleArn"] {
        assert!(template["Parameters"][name].is_object(), "{name}");
    }
    assert_eq!(template["Parameters"]["CreateExport"]["Default"], "false");
    assert!(template["Parameters"]["ExternalId"].get("Default").is_none());
    let terraform = file("costlens-bill-reader.tf");
    assert!(
        terraform.contains("max_session_duration = 3600")
            && terraform.contains("\"sts:ExternalId\" = var.external_id")
    );
}

#[test]
fn the_recommended_export_names_its_columns_and_has_what_the_reader_wants() {
    let template = template();
    let export = &template["Resources"]["Export"]["Properties"]["Export"];
    let query = export["DataQuery"]["QueryStatement"].as_str().unwrap();
    assert!(!query.contains('*') && query.ends_with(" FROM COST_AND_USAGE_REPORT"), "{query}");
    let columns: Vec<&str> =
        query.strip_prefix("SELECT ").unwrap().split(" FROM ").next().unwrap().split(", ").collect();
    assert_eq!(columns.iter().collect::<BTreeSet<_>>().len(), columns.len());
    for wanted in [
        "bill_payer_account_name",
        "line_item_unblended_cost",
        "line_item_net_unblended_cost",
        "pricing_public_on_demand_cost",
        "savings_plan_savings_plan_effective_cost",
        "savings_plan_net_savings_plan_effective_cost",
        "savings_plan_total_commitment_to_date",
        "savings_plan_used_commitment",
        "reservation_reservation_a_r_n",
        "reservation_effective_cost",
        "reservation_net_effective_cost",
        "reservation_unused_amortized_upfront_fee_for_billing_period",
        "reservation_net_unused_amortized_upfront_fee_for_billing_period",
        "reservation_unused_recurring_fee",
        "reservation_net_unused_recurring_fee",
        "line_item_usage_start_date",
        "line_item_product_code",
        "line_item_usage_type",
        "line_item_iam_principal",
        "line_item_user_identifier",
        "line_item_resource_id",
        "product",
        "resource_tags",
        "tags",
        "bill_invoice_id",
    ] {
        assert!(columns.contains(&wanted), "{wanted}");
    }
    let table = &export["DataQuery"]["TableConfigurations"]["COST_AND_USAGE_REPORT"];
    assert_eq!((&table["TIME_GRANULARITY"], &table["INCLUDE_RESOURCES"]), (&json!("HOURLY"), &json!("TRUE")));
    assert_eq!(table["INCLUDE_IAM_PRINCIPAL_DATA"], "TRUE");
    let output = &export["DestinationConfigurations"]["S3Destination"]["S3OutputConfigurations"];
    assert_eq!((&output["Format"], &output["Compression"]), (&json!("PARQUET"), &json!("PARQUET")));
}

#[test]
fn the_terraform_module_makes_the_same_export_and_only_if_it_is_asked_for() {
    let text = file("costlens-bill-reader.tf");
    let query = text.split("<<-SQL\n").nth(1).unwrap().split(" SQL\n").next().unwrap();
    let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
    let template = template();
    let export = &template["Resources"]["Export"]["Properties"]["Export"];
    assert_eq!(query, export["DataQuery"]["QueryStatement"].as_str().unwrap());
    let settings: BTreeSet<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.trim().split_once('='))
        .map(|(a, b)| (a.trim(), b.trim()))
        .collect();
    let table = export["DataQuery"]["TableConfigurations"]["COST_AND_USAGE_REPORT"].as_object().unwrap();
    let output = export["DestinationConfigurations"]["S3Destination"]["S3OutputConfigurations"].as_object();
    let snake = |name: &str| match name {
        "OutputType" => "output_type".to_owned(),
        name if name.contains('_') => name.to_owned(),
        name => name.to_lowercase(),
    };
    for (name, value) in table.iter().chain(output.unwrap()) {
        assert!(settings.contains(&(snake(name).as_str(), value.to_string().as_str())), "{name} = {value}");
    }
    for (n, resource) in text.split("\nresource ").skip(1).enumerate() {
        let is_asked_for = resource.lines().nth(1).unwrap().contains("= var.create_export ? 1 : 0");
        assert_eq!(is_asked_for, n > 1, "{resource}");
    }
}

#[test]
fn the_service_serves_the_files_with_its_own_role_in_them() {
    run(async {
        for path in ["/aws/costlens-bill-reader.yaml", "/aws/costlens-bill-reader.tf"] {
            let text = shared().get(path).await.expect(200).text();
            assert!(text.contains(costlens_aws::testing::aws::ASSUMER), "{path}");
            assert!(!text.contains("000000000000"), "{path}");
        }
        let policy = shared().get("/aws/costlens-bill-reader-policy.json").await.expect(200).json();
        assert_eq!(policy, of_json());
    });
}
