//! How customers' AWS accounts are reached: settings that a server and a worker on its own share, and what the workers
//! need of the SDK, which they do not know.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Args;
use costlens_api::aws_connections::AwsOnboarding;
use costlens_api::trust::Subprocessor;
use costlens_aws::{Assumer, AssumerSettings, ReportError, Reports};
use costlens_domain::aws::{BadName, Part, Region, ReportPlace, RoleArn};
use costlens_domain::ports::{Clock, Entropy};
use costlens_workers::aws_accounts::port::{AwsAccounts, BucketRefused, ReportBucket};
use url::Url;

use crate::boot::Failure;
use crate::settings::given;

/// Flags and environment variables.
#[derive(Args, Debug, Clone)]
pub(crate) struct AwsArgs {
    /// The role that this process has in AWS, which customers' roles trust: `arn:aws:iam::<account>:role/<name>`. Without
    /// it no AWS account can be connected.
    #[arg(long = "aws-assumer-role", env = "COSTLENS_AWS_ASSUMER_ROLE")]
    assumer_role: Option<String>,
    /// Where the customers' CloudFormation template lies, in a public bucket: `https://….amazonaws.com/…`. Without it
    /// there is no quick-create link, and the template is downloaded and handed in.
    #[arg(long = "aws-template-url", env = "COSTLENS_AWS_TEMPLATE_URL")]
    template_url: Option<String>,
    /// The region whose STS is asked.
    #[arg(long, env = "COSTLENS_AWS_REGION", default_value = "us-east-1")]
    aws_region: String,
    /// Another address of STS than the region's public one: a VPC endpoint's.
    #[arg(long = "aws-sts-url", env = "COSTLENS_AWS_STS_URL")]
    sts_url: Option<String>,
    /// Another address of S3 than the buckets' public ones: a VPC endpoint's.
    #[arg(long = "aws-s3-url", env = "COSTLENS_AWS_S3_URL")]
    s3_url: Option<String>,
}

impl AwsArgs {
    /// What is wrong with them.
    pub(crate) fn check(&self, production: bool) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        if let Err(error) = self.role() {
            wrong.push(format!("COSTLENS_AWS_ASSUMER_ROLE {error}"));
        }
        if let Err(error) = self.aws_region.parse::<Region>() {
            wrong.push(format!("COSTLENS_AWS_REGION {error}"));
        }
        let addresses = [
            ("COSTLENS_AWS_TEMPLATE_URL", &self.template_url, true),
            ("COSTLENS_AWS_STS_URL", &self.sts_url, production),
            ("COSTLENS_AWS_S3_URL", &self.s3_url, production),
        ];
        for (name, url, must_be_https) in addresses {
            let Some(url) = given(url.as_deref()) else { continue };
            let is_good = Url::parse(url).is_ok_and(|url| {
                url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && !must_be_https))
            });
            if !is_good {
                wrong.push(format!("{name} is not an address by https"));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn role(&self) -> Result<Option<RoleArn>, BadName> {
        given(self.assumer_role.as_deref()).map(str::parse).transpose()
    }

    /// What the API tells customers.
    pub(crate) fn onboarding(&self) -> Result<Option<AwsOnboarding>, Failure> {
        let template_url = given(self.template_url.as_deref()).map(str::to_owned);
        Ok(self.role()?.map(|assumer| AwsOnboarding { assumer, template_url }))
    }

    /// Customers' accounts, if they can be connected.
    pub(crate) async fn accounts(
        &self,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Option<Arc<dyn AwsAccounts>>, Failure> {
        if self.role()?.is_none() {
            return Ok(None);
        }
        let url = |url: &Option<String>| given(url.as_deref()).map(str::to_owned);
        let settings = AssumerSettings {
            region: self.aws_region.parse()?,
            sts_url: url(&self.sts_url),
            s3_url: url(&self.s3_url),
        };
        let assumer = Assumer::new(settings, Arc::clone(clock), Arc::clone(entropy)).await;
        Ok(Some(Arc::new(Accounts(Arc::new(assumer)))))
    }

    /// AWS, in the words of the page that lists whom this process calls.
    pub(crate) fn outside(&self) -> Option<Subprocessor> {
        given(self.assumer_role.as_deref())?;
        Some(Subprocessor {
            name: "Amazon Web Services".to_owned(),
            host: Some(format!("sts.{}.amazonaws.com", self.aws_region)),
            purpose: "Lets us read the cost reports of AWS accounts that you connect, in your own buckets."
                .to_owned(),
            data: "Your role's name and its ExternalId; nothing is written there.".to_owned(),
            your_choice: true,
        })
    }
}

/// Customers' accounts behind the workers' port.
#[derive(Debug)]
struct Accounts(Arc<Assumer>);

impl AwsAccounts for Accounts {
    fn open(&self, place: ReportPlace, region: Option<Region>, session: &str) -> Box<dyn ReportBucket> {
        Box::new(Bucket(self.0.open(place, region, session)))
    }
}

/// One customer's reports behind the workers' port.
#[derive(Debug)]
struct Bucket(Reports);

fn refused(error: ReportError) -> BucketRefused {
    match error {
        ReportError::Refused { refusal, detail } => BucketRefused::Refused { refusal, detail },
        ReportError::Moved { key } => BucketRefused::Moved { key },
        ReportError::Missing { key } => BucketRefused::Missing { key },
        away @ (ReportError::Away(_) | ReportError::Copy(_)) => BucketRefused::Away(away.to_string()),
    }
}

#[async_trait]
impl ReportBucket for Bucket {
    async fn verify(&self) -> Result<(), BucketRefused> {
        self.0.verify().await.map_err(refused)
    }

    async fn find(&self) -> Result<Region, BucketRefused> {
        self.0.find().await.map_err(refused)
    }

    async fn head(&self, key: &str) -> Result<Option<Part>, BucketRefused> {
        self.0.head(key).await.map_err(refused)
    }

    async fn get(&self, key: &str, most: u64) -> Result<(Part, Vec<u8>), BucketRefused> {
        self.0.get(key, most).await.map_err(refused)
    }

    async fn list(&self, folder: &str) -> Result<Vec<Part>, BucketRefused> {
        self.0.list(folder).await.map_err(refused)
    }

    async fn download(
        &self,
        part: &Part,
        to: &Path,
        came: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), BucketRefused> {
        self.0.download(part, to, came).await.map_err(refused)
    }
}
