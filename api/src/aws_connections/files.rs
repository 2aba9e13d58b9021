//! What a customer makes the role with, as files: embedded here, so that what is served is what was tested. The template's
//! default for the role that is trusted becomes the operator's own.

use costlens_domain::aws::RoleArn;
use poem::endpoint::make_sync;
use poem::{Endpoint, IntoResponse as _, Response, get};

/// The CloudFormation template's path.
pub const TEMPLATE: &str = "/aws/costlens-bill-reader.yaml";
/// The Terraform module's path.
pub const TERRAFORM: &str = "/aws/costlens-bill-reader.tf";
/// The plain policy's path.
pub const POLICY: &str = "/aws/costlens-bill-reader-policy.json";

/// What stands in the files for the operator's role.
const PLACEHOLDER: &str = "arn:aws:iam::000000000000:role/costlens-assumer";

/// All of them.
pub const ALL: [(&str, &str, &str); 3] = [
    (TEMPLATE, "application/yaml", include_str!("../../../infra/customer/costlens-bill-reader.yaml")),
    (TERRAFORM, "text/plain; charset=utf-8", include_str!("../../../infra/customer/costlens-bill-reader.tf")),
    (POLICY, "application/json", include_str!("../../../infra/customer/costlens-bill-reader-policy.json")),
];

/// Where a file is served.
pub(super) fn url(public_url: &str, path: &str) -> String {
    format!("{}{path}", public_url.trim_end_matches('/'))
}

/// Serves one, to anybody: there is no secret in it.
pub fn endpoint(
    (kind, text): (&'static str, &str),
    assumer: Option<&RoleArn>,
) -> impl Endpoint<Output = Response> + 'static {
    let text = assumer.map_or_else(|| text.to_owned(), |role| text.replace(PLACEHOLDER, role.as_str()));
    get(make_sync(move |_| {
        text.clone()
            .with_content_type(kind)
            .with_header("cache-control", "public, max-age=3600")
            .into_response()
    }))
}
