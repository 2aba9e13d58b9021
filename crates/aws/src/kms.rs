//! AWS KMS as the vault's key service: `GenerateDataKey`, `Encrypt` and `Decrypt` with an encryption context that binds
//! every ciphertext to tenant, purpose and version (AWS KMS developer guide, "Encryption context").
//!
//! What the vault needs of the key's policy: `kms:GenerateDataKey`, `kms:Encrypt`, `kms:Decrypt`. One question takes
//! three seconds at most and is asked twice at most; pauses after failures are the vault's.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::Credentials;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use costlens_vault::{KeyContext, KeyService, ServiceError};
use zeroize::Zeroizing;

/// The longest that one question takes, with its second try.
const WHOLE: Duration = Duration::from_secs(3);
/// The longest that one try takes.
const ONE_TRY: Duration = Duration::from_millis(1_400);
/// The longest that a connection takes to be made.
const CONNECT: Duration = Duration::from_secs(1);

/// Which key, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsSettings {
    /// The key's ARN.
    key: String,
    region: String,
    endpoint: Option<String>,
}

/// Not the ARN of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the ARN of a key, like arn:aws:kms:us-east-1:111122223333:key/1234abcd-…")]
pub struct KeyArnError;

impl KmsSettings {
    /// A key by its ARN: not by an alias, which may lead to another key tomorrow.
    pub fn parse(arn: &str) -> Result<Self, KeyArnError> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "kms", region, account, key] = parts.as_slice() else {
            return Err(KeyArnError);
        };
        let is_word = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let id = key.strip_prefix("key/").ok_or(KeyArnError)?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if !partition.starts_with("aws") || !is_word(region) || !is_account || !is_word(id) {
            return Err(KeyArnError);
        }
        Ok(Self { key: arn.to_owned(), region: (*region).to_owned(), endpoint: None })
    }

    /// Another address than the region's public one: a VPC endpoint's.
    #[must_use]
    pub fn at(mut self, endpoint: Option<String>) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// Where the service is asked: the region's public address, or the other one (AWS General Reference, "AWS KMS
    /// endpoints"; China's regions have a domain of their own).
    #[must_use]
    pub fn address(&self) -> String {
        let domain = if self.key.starts_with("arn:aws-cn:") { "amazonaws.com.cn" } else { "amazonaws.com" };
        self.endpoint.clone().unwrap_or_else(|| format!("https://kms.{}.{domain}", self.region))
    }
}

/// One key in AWS KMS.
#[derive(Debug)]
pub struct AwsKms {
    client: Client,
    key: String,
}

impl AwsKms {
    /// A client for the key, with the credentials that the SDK finds. Asks nothing of it yet.
    pub async fn new(settings: KmsSettings) -> Self {
        Self::with(settings, None, 1).await
    }

    /// The same, with these credentials, and so many times as patient: a machine that builds and tests at once is slow.
    pub(crate) async fn with(settings: KmsSettings, credentials: Option<Credentials>, times: u32) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT * times)
            .operation_attempt_timeout(ONE_TRY * times)
            .operation_timeout(WHOLE * times)
            .build();
        let shared = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(settings.region))
            .timeout_config(timeouts)
            .retry_config(
                RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(50)),
            );
        let shared = shared.load().await;
        let mut config = aws_sdk_kms::config::Builder::from(&shared);
        if let Some(credentials) = credentials {
            config = config.credentials_provider(credentials);
        }
        config.set_endpoint_url(settings.endpoint);
        Self { client: Client::from_conf(config.build()), key: settings.key }
    }
}

fn key_of(blob: Option<Blob>) -> Result<Zeroizing<[u8; 32]>, ServiceError> {
    let bytes = Zeroizing::new(blob.map(Blob::into_inner).unwrap_or_default());
    let key =
        bytes.as_slice().try_into().map_err(|_| ServiceError::Away("an answer without a key".to_owned()))?;
    Ok(Zeroizing::new(key))
}

fn ciphertext_of(blob: Option<Blob>) -> Result<Vec<u8>, ServiceError> {
    let bytes = blob.map(Blob::into_inner).filter(|bytes| !bytes.is_empty());
    bytes.ok_or_else(|| ServiceError::Away("an answer without a ciphertext".to_owned()))
}

#[async_trait]
impl KeyService for AwsKms {
    fn id(&self) -> &str {
        &self.key
    }

    async fn generate(&self, context: &KeyContext) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), ServiceError> {
        let mut call = self.client.generate_data_key().key_id(&self.key).key_spec(DataKeySpec::Aes256);
        for (name, value) in context.pairs() {
            call = call.encryption_context(name, value);
        }
        let answer = call.send().await.map_err(|error| reason(&error))?;
        Ok((key_of(answer.plaintext)?, ciphertext_of(answer.ciphertext_blob)?))
    }

    async fn encrypt(&self, key: &[u8; 32], context: &KeyContext) -> Result<Vec<u8>, ServiceError> {
        let mut call = self.client.encrypt().key_id(&self.key).plaintext(Blob::new(key.as_slice()));
        for (name, value) in context.pairs() {
            call = call.encryption_context(name, value);
        }
        let answer = call.send().await.map_err(|error| reason(&error))?;
        ciphertext_of(answer.ciphertext_blob)
    }

    async fn decrypt(
        &self,
        ciphertext: &[u8],
        context: &KeyContext,
    ) -> Result<Zeroizing<[u8; 32]>, ServiceError> {
        let mut call = self.client.decrypt().key_id(&self.key).ciphertext_blob(Blob::new(ciphertext));
        for (name, value) in context.pairs() {
            call = call.encryption_context(name, value);
        }
        let answer = call.send().await.map_err(|error| reason(&error))?;
        key_of(answer.plaintext)
    }
}

/// What an error means for us. The codes are those of the KMS API reference's "Errors" sections and of "Common errors".
/// The service's own text stays out: it may name the caller and the key's account.
fn reason<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> ServiceError {
    let away = |what: &str| ServiceError::Away(what.to_owned());
    match error {
        SdkError::TimeoutError(_) => away("no answer in time"),
        SdkError::ResponseError(_) => away("an answer that is none"),
        SdkError::DispatchFailure(failure) if failure.is_other() => {
            // Before a request is signed: there are no credentials, or they cannot be had now.
            away("the request could not be made: are there credentials?")
        }
        SdkError::DispatchFailure(_) => away("it cannot be reached"),
        SdkError::ServiceError(answer) => match answer.err().code() {
            Some("InvalidCiphertextException" | "IncorrectKeyException") => ServiceError::Ciphertext,
            Some(
                code @ ("AccessDeniedException"
                | "DisabledException"
                | "ExpiredTokenException"
                | "IncompleteSignature"
                | "InvalidClientTokenId"
                | "InvalidGrantTokenException"
                | "InvalidKeyUsageException"
                | "InvalidSignatureException"
                | "KMSInvalidStateException"
                | "MissingAuthenticationToken"
                | "NotAuthorized"
                | "NotFoundException"
                | "OptInRequired"
                | "UnrecognizedClientException"
                | "ValidationException"),
            ) => ServiceError::Refused(code.to_owned()),
            code => ServiceError::Away(code.unwrap_or("an error without a code").to_owned()),
        },
        _ => away("the request could not be made"),
    }
}
