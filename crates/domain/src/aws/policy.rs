//! What the role in a customer's account may do and whom it trusts, in IAM's own words; and what a session of it may.

use serde_json::{Value, json};

use super::{AwsAccountId, ExternalId, KmsKeyArn, ReportPlace, RoleArn};

/// Every action that the role may have, and no other. The template, the Terraform module and the plain policy are held
/// against this list by a test.
pub const ALLOWED_ACTIONS: [&str; 7] = [
    "bcm-data-exports:GetExport",
    "bcm-data-exports:ListExports",
    "cur:DescribeReportDefinitions",
    "kms:Decrypt",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:ListBucket",
];

/// A session under which nothing may be done: for seeing whether a role can be assumed at all.
pub const NOTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

const VERSION: &str = "2012-10-17";

fn on_bucket(place: &ReportPlace) -> Vec<Value> {
    let (bucket, prefix) = (&place.bucket, &place.prefix);
    vec![
        json!({
            "Sid": "ReadReports", "Effect": "Allow", "Action": ["s3:GetObject"],
            "Resource": format!("arn:aws:s3:::{bucket}/{prefix}/*"),
        }),
        json!({
            "Sid": "ListReports", "Effect": "Allow", "Action": ["s3:ListBucket"],
            "Resource": format!("arn:aws:s3:::{bucket}"),
            "Condition": {"StringLike": {"s3:prefix": [prefix.to_string(), format!("{prefix}/*")]}},
        }),
        json!({
            "Sid": "FindBucket", "Effect": "Allow", "Action": ["s3:GetBucketLocation"],
            "Resource": format!("arn:aws:s3:::{bucket}"),
        }),
    ]
}

fn decrypt(key: &str) -> Value {
    json!({
        "Sid": "DecryptReports", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": key,
        "Condition": {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}},
    })
}

/// The role's policy, for whoever makes the role by hand.
#[must_use]
pub fn permissions(place: &ReportPlace, key: Option<&KmsKeyArn>) -> Value {
    let mut statements = on_bucket(place);
    statements.push(json!({
        "Sid": "SeeWhatIsExported", "Effect": "Allow",
        "Action": ["bcm-data-exports:GetExport", "bcm-data-exports:ListExports", "cur:DescribeReportDefinitions"],
        "Resource": "*",
    }));
    statements.extend(key.map(|key| decrypt(key.as_str())));
    json!({"Version": VERSION, "Statement": statements})
}

/// The role's trust policy: our assumer role, and nobody without the ExternalId.
#[must_use]
pub fn trust(assumer: &RoleArn, external_id: &ExternalId) -> Value {
    json!({"Version": VERSION, "Statement": [{
        "Sid": "LetCostlensIn", "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": assumer.as_str()},
        "Condition": {"StringEquals": {"sts:ExternalId": external_id.as_str()}},
    }]})
}

/// What a session may do of what the role may: a role that reads too much gives us the reports alone. Which key
/// encrypted them only the role knows, so here any is fine, if by way of S3.
#[must_use]
pub fn session_policy(place: &ReportPlace) -> String {
    let mut statements = on_bucket(place);
    statements.push(decrypt("*"));
    json!({"Version": VERSION, "Statement": statements}).to_string()
}

/// The console's page that makes the stack, filled in (CloudFormation user guide, "Create quick-create links for
/// stacks"). The template must lie in S3: CloudFormation takes no other address.
#[must_use]
pub fn quick_create(
    template: &str,
    assumer: &RoleArn,
    place: &ReportPlace,
    key: Option<&KmsKeyArn>,
) -> String {
    let mut link = format!(
        "https://console.aws.amazon.com/cloudformation/home?region=us-east-1#/stacks/create/review?templateURL={}\
         &stackName=Costlens",
        encoded(template)
    );
    let mut parameters = vec![
        ("AssumerRoleArn", assumer.as_str()),
        ("ExternalId", place.external_id.as_str()),
        ("BucketName", place.bucket.as_str()),
        ("Prefix", place.prefix.as_str()),
        ("ExportName", place.report.as_str()),
    ];
    parameters.extend(key.map(|key| ("KmsKeyArn", key.as_str())));
    for (name, value) in parameters {
        for part in ["&param_", name, "=", &encoded(value)] {
            link.push_str(part);
        }
    }
    link
}

impl ReportPlace {
    /// Whether the role is the one that the template makes in the account.
    #[must_use]
    pub fn is_of_template(&self) -> bool {
        self.role == RoleArn::of_template(&self.account)
    }

    /// Whether the role is in the account that was stated.
    #[must_use]
    pub fn is_in(&self, account: &AwsAccountId) -> bool {
        self.role.account() == account.as_str()
    }
}

/// RFC 3986, section 2.3: everything but the unreserved characters.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;

    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}
