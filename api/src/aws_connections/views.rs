//! A connection as the contract shows it, with what its people do to let us in.

use chrono::{DateTime, Utc};
use costlens_domain::AwsConnectionId;
use costlens_domain::aws::{Refusal, permissions, quick_create, trust};
use costlens_store::{AwsConnection, AwsConnectionState, AwsProblem};
use poem_openapi::{Enum, Object};

use super::{AwsOnboarding, files};
use crate::wire::Wire;

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "AwsConnectionState", rename_all = "snake_case", remote = "AwsConnectionState")]
pub enum AwsConnectionStateView {
    /// The role was not seen yet; it is looked for.
    Pending,
    /// It is being looked at.
    Verifying,
    /// The bill is read.
    Active,
    /// Nothing is read until it is resumed.
    Paused,
    /// It cannot be read: `problem` says why. It is tried again by itself, ever more seldom.
    Failing,
    /// It was ended. What was read stays.
    Revoked,
}

/// What is wrong.
#[derive(Object)]
#[oai(rename = "AwsProblem")]
pub struct AwsProblemView {
    /// A stable name, such as `role_not_assumable`, `role_without_external_id`, `access_denied`, `bucket_not_found`,
    /// `bucket_not_yours`, `wrong_region`, `manifest_missing`, `parts_missing`, `column_missing` or `file_unreadable`.
    pub code: String,
    /// What happened.
    pub detail: String,
    /// What can be done about it.
    pub remedy: String,
}

impl From<AwsProblem> for AwsProblemView {
    fn from(problem: AwsProblem) -> Self {
        let remedy = Refusal::from_name(&problem.code).map_or("", Refusal::remedy).to_owned();
        Self { code: problem.code, detail: problem.detail, remedy }
    }
}

/// What lets us in: one of these ways, all of the same effect.
#[derive(Object)]
pub struct AwsSetup {
    /// The page of the AWS console that creates the stack, filled in; null where the operator has not put the template
    /// into S3, or the role is not the template's.
    #[oai(nullable)]
    pub quick_create_url: Option<String>,
    /// The CloudFormation template.
    pub template_url: String,
    /// The same as a Terraform module.
    pub terraform_url: String,
    /// The role's policy, as JSON.
    pub permissions_policy: String,
    /// The role's trust policy, as JSON.
    pub trust_policy: String,
}

/// A connected AWS account.
#[derive(Object)]
#[oai(rename = "AwsConnection")]
pub struct AwsConnectionView {
    /// The connection.
    pub id: Wire<AwsConnectionId>,
    /// The account's twelve digits.
    pub account_id: String,
    /// The role that is assumed.
    pub role_arn: String,
    /// What the role's trust policy must ask for. Made here, and no secret.
    pub external_id: String,
    /// The bucket.
    pub bucket: String,
    /// The folder below which the report lies.
    pub prefix: String,
    /// The report's or export's name.
    pub report_name: String,
    /// The bucket's region, as stated or found; null before.
    #[oai(nullable)]
    pub region: Option<String>,
    /// The key that encrypts the report, if one was stated.
    #[oai(nullable)]
    pub kms_key_arn: Option<String>,
    /// How it is.
    pub state: AwsConnectionStateView,
    /// What is wrong; null while nothing is.
    #[oai(nullable)]
    pub problem: Option<AwsProblemView>,
    /// When it was looked at last; null before.
    #[oai(nullable)]
    pub checked_at: Option<DateTime<Utc>>,
    /// When it is looked at next; null while it rests.
    #[oai(nullable)]
    pub next_check_at: Option<DateTime<Utc>>,
    /// When the last delivery was stored; null before.
    #[oai(nullable)]
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was ended; null before.
    #[oai(nullable)]
    pub revoked_at: Option<DateTime<Utc>>,
    /// What lets us in; null where the operator has set up no role for the service.
    #[oai(nullable)]
    pub setup: Option<AwsSetup>,
}

pub(super) fn view(
    connection: AwsConnection,
    onboarding: Option<&AwsOnboarding>,
    public_url: &str,
) -> AwsConnectionView {
    let place = &connection.place;
    let key = connection.kms_key.as_ref();
    let setup = onboarding.map(|onboarding| AwsSetup {
        quick_create_url: onboarding
            .template_url
            .as_deref()
            .filter(|_| place.is_of_template())
            .map(|template| quick_create(template, &onboarding.assumer, place, key)),
        template_url: files::url(public_url, files::TEMPLATE),
        terraform_url: files::url(public_url, files::TERRAFORM),
        permissions_policy: permissions(place, key).to_string(),
        trust_policy: trust(&onboarding.assumer, &place.external_id).to_string(),
    });
    AwsConnectionView {
        id: Wire(connection.id),
        account_id: place.account.to_string(),
        role_arn: place.role.to_string(),
        external_id: place.external_id.to_string(),
        bucket: place.bucket.to_string(),
        prefix: place.prefix.to_string(),
        report_name: place.report.to_string(),
        region: connection.region.as_ref().map(ToString::to_string),
        kms_key_arn: connection.kms_key.as_ref().map(ToString::to_string),
        state: connection.state.into(),
        problem: connection.problem.map(Into::into),
        checked_at: connection.checked_at,
        next_check_at: connection.next_check_at,
        delivered_at: connection.delivered_at,
        created_at: connection.created_at,
        revoked_at: connection.revoked_at,
        setup,
    }
}
