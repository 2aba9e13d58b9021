//! A customer's reports: a role assumed with its ExternalId, and the one bucket and prefix that a session of it may read.
//!
//! A session lasts an hour at most, is narrowed to the reports by a policy of its own whatever the role may do, and is
//! held in memory by the [`Reports`] that one job opens: it goes with the job, or at the first denial. One that nears its
//! end is renewed five minutes before, once for all who wait. Every call of S3 names the bucket's owner, so that a bucket
//! that changed hands under its old name is not read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{Credentials, IdentityCache, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use chrono::{DateTime, Utc};
use costlens_domain::aws::{
    AwsAccountId, NOTHING, Part, Refusal, Region, ReportPlace, SESSION_SECONDS, session_policy,
};
use costlens_domain::ports::{Clock, Entropy};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex as AsyncMutex;

/// How long before its end a session is no longer used.
const RENEWED_BEFORE: chrono::TimeDelta = chrono::TimeDelta::minutes(5);
/// The shortest session that there is, for seeing whether a role can be assumed.
const PROBE_SECONDS: i32 = 900;
/// A moment as S3 tells it: its lists to the millisecond, its headers to the second.
fn second(at: Option<&aws_sdk_s3::primitives::DateTime>) -> DateTime<Utc> {
    at.and_then(|at| DateTime::from_timestamp(at.secs(), 0)).unwrap_or_default()
}

/// How much of a file is asked for at once.
const PIECE: u64 = 16 * 1024 * 1024;
/// How often a piece that broke off is asked for again.
const PIECE_TRIES: u32 = 4;
/// The most files of one folder.
const MOST_LISTED: usize = 20_000;

const CONNECT: Duration = Duration::from_secs(5);
/// The longest that one try takes until it has an answer's head.
const ONE_TRY: Duration = Duration::from_secs(30);

/// Where AWS is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumerSettings {
    /// The region whose STS is asked.
    pub region: Region,
    /// Another address of STS than the region's public one.
    pub sts_url: Option<String>,
    /// Another address of S3 than the bucket's public one.
    pub s3_url: Option<String>,
}

/// Why a customer's reports are not read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// For a reason that its people can do something about.
    #[error("{detail}")]
    Refused {
        /// Its name.
        refusal: Refusal,
        /// In words.
        detail: String,
    },
    /// The file is another one than it was.
    #[error("{key} changed while it was read")]
    Moved {
        /// Its key.
        key: String,
    },
    /// There is no such file.
    #[error("there is no {key}")]
    Missing {
        /// Its key.
        key: String,
    },
    /// AWS cannot be asked now.
    #[error("AWS cannot be asked now: {0}")]
    Away(String),
    /// The copy cannot be written.
    #[error("the copy cannot be written")]
    Copy(#[from] std::io::Error),
}

/// Assumes customers' roles, with the credentials that the SDK finds for this process.
#[derive(Debug)]
pub struct Assumer {
    sts: aws_sdk_sts::Client,
    base: SdkConfig,
    settings: AssumerSettings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Assumer {
    /// Asks nothing of anybody yet.
    pub async fn new(settings: AssumerSettings, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self::with(settings, clock, entropy, None).await
    }

    /// The same, with these credentials.
    pub(crate) async fn with(
        settings: AssumerSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        credentials: Option<Credentials>,
    ) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ONE_TRY).build();
        let mut base = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(aws_config::Region::new(settings.region.to_string()))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(3));
        if let Some(credentials) = credentials {
            base = base.credentials_provider(credentials);
        }
        let base = base.load().await;
        let mut sts = aws_sdk_sts::config::Builder::from(&base);
        sts.set_endpoint_url(settings.sts_url.clone());
        let sts = aws_sdk_sts::Client::from_conf(sts.build());
        Self { sts, base, settings, clock, entropy }
    }

    /// The reports of a place, in sessions of this name. Asks nothing of anybody yet.
    #[must_use]
    pub fn open(self: &Arc<Self>, place: ReportPlace, region: Option<Region>, session: &str) -> Reports {
        // RoleSessionName: 2 to 64 characters. It stands in the customer's CloudTrail.
        let session = session.chars().take(64).collect();
        Reports {
            assumer: Arc::clone(self),
            place,
            session,
            region: Mutex::new(region),
            held: AsyncMutex::new(None),
        }
    }

    async fn assume(
        &self,
        place: &ReportPlace,
        session: &str,
        external_id: Option<&str>,
        (seconds, policy): (i32, &str),
    ) -> Result<Held, ReportError> {
        let call = self
            .sts
            .assume_role()
            .role_arn(place.role.as_str())
            .role_session_name(session)
            .set_external_id(external_id.map(str::to_owned))
            .duration_seconds(seconds)
            .policy(policy);
        let answer = call.send().await.map_err(|error| of_sts(&error, place))?;
        let arn = answer.assumed_role_user.map(|user| user.arn).unwrap_or_default();
        if !is_session_in(&arn, &place.account) {
            return Err(refused(
                Refusal::WrongAccount,
                format!("the role is not in the account {} but in another", place.account),
            ));
        }
        let given =
            answer.credentials.ok_or_else(|| ReportError::Away("STS gave no credentials".to_owned()))?;
        let expires_at = DateTime::from_timestamp(given.expiration.secs(), 0).unwrap_or_default();
        let (id, secret, token) = (given.access_key_id, given.secret_access_key, given.session_token);
        Ok(Held { credentials: Credentials::new(id, secret, Some(token), None, "assumed"), expires_at })
    }

    /// That the role wants the ExternalId: it lets in nobody without one, and nobody with another. Only then is its bill
    /// ours to read, and nobody else's by way of us (IAM user guide, "The confused deputy problem").
    async fn probe(&self, place: &ReportPlace, session: &str) -> Result<(), ReportError> {
        let mut random = [0; 20];
        self.entropy.fill(&mut random);
        let wrong = costlens_domain::aws::ExternalId::new(random);
        for external_id in [None, Some(wrong.as_str())] {
            match self.assume(place, session, external_id, (PROBE_SECONDS, NOTHING)).await {
                Err(ReportError::Refused { refusal: Refusal::RoleNotAssumable, .. }) => {}
                Ok(_) | Err(ReportError::Refused { .. }) => {
                    let how = if external_id.is_some() {
                        "with a wrong ExternalId"
                    } else {
                        "without an ExternalId"
                    };
                    return Err(refused(
                        Refusal::RoleWithoutExternalId,
                        format!("the role {} can be assumed {how}", place.role),
                    ));
                }
                Err(away) => return Err(away),
            }
        }
        Ok(())
    }
}

/// What a session is: it lives here alone, and shows nothing of itself.
struct Held {
    credentials: Credentials,
    expires_at: DateTime<Utc>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// One customer's reports, for the length of a job.
#[derive(Debug)]
pub struct Reports {
    assumer: Arc<Assumer>,
    place: ReportPlace,
    session: String,
    region: Mutex<Option<Region>>,
    held: AsyncMutex<Option<Held>>,
}

/// Calls S3 in the present session. A denial ends the session; whether another one is let in is tried once.
macro_rules! call {
    ($self:ident, $key:expr, |$client:ident| $request:expr) => {{
        let mut tried = false;
        loop {
            let $client = $self.client().await?;
            match $request.send().await {
                Ok(answer) => break Ok(answer),
                Err(error) => {
                    let denied = is_denied(&error);
                    if denied {
                        $self.forget().await;
                    }
                    if !denied || tried {
                        break Err($self.of_s3(&error, $key));
                    }
                    tried = true;
                }
            }
        }
    }};
}

impl Reports {
    /// Lets go of the session.
    pub async fn forget(&self) {
        *self.held.lock().await = None;
    }

    /// That the role lets us in, and nobody without the ExternalId.
    pub async fn verify(&self) -> Result<(), ReportError> {
        self.client().await?;
        let proven = self.assumer.probe(&self.place, &self.session).await;
        if proven.is_err() {
            self.forget().await;
        }
        proven
    }

    /// Finds the bucket's region, and that prefix and owner are right.
    pub async fn find(&self) -> Result<Region, ReportError> {
        let stated = self.region();
        let head = call!(self, "", |client| client
            .head_bucket()
            .bucket(self.place.bucket.as_str())
            .expected_bucket_owner(self.place.account.as_str()));
        let found = match head {
            Ok(found) => found.bucket_region.and_then(|region| region.parse().ok()),
            // The head of a denial names the region, too: one who may list a prefix may not see the whole bucket.
            Err(ReportError::Refused { refusal: Refusal::AccessDenied | Refusal::WrongRegion, .. }) => {
                self.region_of_denial().await?
            }
            Err(error) => return Err(error),
        };
        let home = &self.assumer.settings.region;
        let found = found.or_else(|| stated.clone()).unwrap_or_else(|| home.clone());
        if let Some(stated) = stated.filter(|stated| *stated != found) {
            return Err(refused(
                Refusal::WrongRegion,
                format!("the bucket {} is in {found}, not in {stated}", self.place.bucket),
            ));
        }
        *self.region.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        match self.list_page(&format!("{}/", self.place.prefix), None, 1).await {
            Ok(_) => Ok(found),
            Err(ReportError::Refused { refusal: Refusal::AccessDenied, detail }) => {
                Err(self.whose(detail).await)
            }
            Err(error) => Err(error),
        }
    }

    /// A file's version and size; `None` where there is none.
    pub async fn head(&self, key: &str) -> Result<Option<Part>, ReportError> {
        let head = call!(self, key, |client| client
            .head_object()
            .bucket(self.place.bucket.as_str())
            .key(key)
            .expected_bucket_owner(self.place.account.as_str()));
        match head {
            Ok(head) => Ok(Some(Part {
                key: key.to_owned(),
                etag: head.e_tag.unwrap_or_default(),
                bytes: head.content_length.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
                modified: second(head.last_modified.as_ref()),
            })),
            Err(ReportError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A small file and its version.
    pub async fn get(&self, key: &str, most: u64) -> Result<(Part, Vec<u8>), ReportError> {
        let mut answer = call!(self, key, |client| client
            .get_object()
            .bucket(self.place.bucket.as_str())
            .key(key)
            .expected_bucket_owner(self.place.account.as_str()))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.body.next().await {
            bytes.extend_from_slice(&chunk.map_err(|error| ReportError::Away(error.to_string()))?);
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
                return Err(refused(Refusal::TooLarge, format!("{key} has more than {most} bytes")));
            }
        }
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let modified = second(answer.last_modified.as_ref());
        Ok((
            Part { key: key.to_owned(), etag: answer.e_tag.unwrap_or_default(), bytes: size, modified },
            bytes,
        ))
    }

    /// The files below a folder, in the order of their keys.
    pub async fn list(&self, folder: &str) -> Result<Vec<Part>, ReportError> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let page = self.list_page(folder, next, 1_000).await?;
            found.extend(page.0);
            if found.len() > MOST_LISTED {
                return Err(refused(
                    Refusal::TooLarge,
                    format!("{folder} holds more than {MOST_LISTED} files"),
                ));
            }
            match page.1 {
                Some(token) => next = Some(token),
                None => return Ok(found),
            }
        }
    }

    async fn list_page(
        &self,
        folder: &str,
        token: Option<String>,
        most: i32,
    ) -> Result<(Vec<Part>, Option<String>), ReportError> {
        let page = call!(self, folder, |client| client
            .list_objects_v2()
            .bucket(self.place.bucket.as_str())
            .prefix(folder)
            .max_keys(most)
            .set_continuation_token(token.clone())
            .expected_bucket_owner(self.place.account.as_str()))?;
        let part = |object: aws_sdk_s3::types::Object| {
            Some(Part {
                key: object.key?,
                etag: object.e_tag?,
                bytes: u64::try_from(object.size.unwrap_or_default()).ok()?,
                modified: second(object.last_modified.as_ref()),
            })
        };
        let parts = page.contents.unwrap_or_default().into_iter().filter_map(part).collect();
        Ok((parts, page.next_continuation_token))
    }

    /// Copies a file's very version to a new file, piece by piece. Tells how many bytes came, as they come.
    pub async fn download(
        &self,
        part: &Part,
        to: &std::path::Path,
        came: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), ReportError> {
        let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(to).await?;
        let mut at = 0;
        let mut broken = 0;
        while at < part.bytes {
            let end = part.bytes.min(at + PIECE);
            match self.piece(part, (at, end), &mut file, came).await {
                Ok(()) => (at, broken) = (end, 0),
                Err((read, ReportError::Away(_))) if broken < PIECE_TRIES => {
                    at += read;
                    broken += 1;
                    tokio::time::sleep(Duration::from_millis(200 * u64::from(broken))).await;
                }
                Err((_, error)) => return Err(error),
            }
        }
        file.flush().await?;
        Ok(())
    }

    /// The bytes from one place to another; on failure also how many of them came.
    async fn piece(
        &self,
        part: &Part,
        (from, end): (u64, u64),
        to: &mut tokio::fs::File,
        came: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), (u64, ReportError)> {
        let nothing = |error| (0, error);
        let key = part.key.as_str();
        let range = format!("bytes={from}-{}", end - 1);
        let asked: Result<_, ReportError> = async {
            call!(self, key, |client| client
                .get_object()
                .bucket(self.place.bucket.as_str())
                .key(key)
                .range(range.as_str())
                .if_match(part.etag.as_str())
                .expected_bucket_owner(self.place.account.as_str()))
        }
        .await;
        let mut answer = asked.map_err(nothing)?;
        if answer.e_tag.as_deref() != Some(part.etag.as_str()) {
            return Err(nothing(ReportError::Moved { key: key.to_owned() }));
        }
        let wanted = end - from;
        let mut read = 0;
        while let Some(chunk) = answer.body.next().await {
            let chunk = chunk.map_err(|error| (read, ReportError::Away(error.to_string())))?;
            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if read.saturating_add(length) > wanted {
                return Err(nothing(ReportError::Moved { key: key.to_owned() }));
            }
            to.write_all(&chunk).await.map_err(|error| (read, error.into()))?;
            read += length;
            came(length);
        }
        if read < wanted {
            return Err((read, ReportError::Away(format!("{key} broke off"))));
        }
        Ok(())
    }

    fn region(&self) -> Option<Region> {
        self.region.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client of the present session, or of a new one.
    async fn client(&self) -> Result<aws_sdk_s3::Client, ReportError> {
        let mut held = self.held.lock().await;
        let now = self.assumer.clock.now();
        let fresh = held.take().filter(|held| held.expires_at - RENEWED_BEFORE > now);
        let fresh = if let Some(fresh) = fresh {
            fresh
        } else {
            let policy = session_policy(&self.place);
            let seconds = i32::try_from(SESSION_SECONDS).unwrap_or(i32::MAX);
            let id = Some(self.place.external_id.as_str());
            self.assumer.assume(&self.place, &self.session, id, (seconds, &policy)).await?
        };
        let settings = &self.assumer.settings;
        let region = self.region().unwrap_or_else(|| settings.region.clone());
        let mut config = aws_sdk_s3::config::Builder::from(&self.assumer.base)
            .region(aws_sdk_s3::config::Region::new(region.to_string()))
            .credentials_provider(fresh.credentials.clone())
            // The SDK's own cache would keep what was let go of, for as long as the process lives.
            .identity_cache(IdentityCache::no_cache())
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .force_path_style(settings.s3_url.is_some());
        config.set_endpoint_url(settings.s3_url.clone());
        *held = Some(fresh);
        Ok(aws_sdk_s3::Client::from_conf(config.build()))
    }

    /// Where the bucket is, by the head of the answer to whoever may not see it.
    async fn region_of_denial(&self) -> Result<Option<Region>, ReportError> {
        let client = self.client().await?;
        let asked = client
            .head_bucket()
            .bucket(self.place.bucket.as_str())
            .expected_bucket_owner(self.place.account.as_str());
        let error = match asked.send().await {
            Ok(found) => return Ok(found.bucket_region.and_then(|region| region.parse().ok())),
            Err(error) => error,
        };
        let header = error.raw_response().and_then(|answer| answer.headers().get("x-amz-bucket-region"));
        Ok(header.and_then(|region| region.parse().ok()))
    }

    /// Whether a denial is for the bucket's being somebody else's: then it is let through without the owner's name.
    async fn whose(&self, detail: String) -> ReportError {
        let Ok(client) = self.client().await else { return refused(Refusal::AccessDenied, detail) };
        let asked = client.get_bucket_location().bucket(self.place.bucket.as_str());
        let (bucket, account) = (&self.place.bucket, &self.place.account);
        match asked.send().await {
            Ok(_) => {
                let owned = client
                    .get_bucket_location()
                    .bucket(bucket.as_str())
                    .expected_bucket_owner(account.as_str());
                match owned.send().await {
                    Err(error) if is_denied(&error) => refused(
                        Refusal::BucketNotYours,
                        format!("the bucket {bucket} does not belong to the account {account}"),
                    ),
                    _ => refused(Refusal::AccessDenied, detail),
                }
            }
            Err(_) => refused(Refusal::AccessDenied, detail),
        }
    }

    fn of_s3<E: ProvideErrorMetadata + std::error::Error + 'static>(
        &self,
        error: &SdkError<E>,
        key: &str,
    ) -> ReportError {
        let bucket = &self.place.bucket;
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        let what = if key.is_empty() { bucket.to_string() } else { format!("{bucket}/{key}") };
        match (status, code) {
            (_, Some("NoSuchBucket")) => {
                refused(Refusal::BucketNotFound, format!("there is no bucket {bucket}"))
            }
            (_, Some("NoSuchKey" | "NoSuchVersion")) => ReportError::Missing { key: key.to_owned() },
            (
                _,
                Some(
                    "PermanentRedirect"
                    | "AuthorizationHeaderMalformed"
                    | "IllegalLocationConstraintException",
                ),
            )
            | (Some(301 | 307), _) => {
                refused(Refusal::WrongRegion, format!("the bucket {bucket} is in another region"))
            }
            (Some(412), _) => ReportError::Moved { key: key.to_owned() },
            (Some(404), _) if key.is_empty() => {
                refused(Refusal::BucketNotFound, format!("there is no bucket {bucket}"))
            }
            (Some(404), _) => ReportError::Missing { key: key.to_owned() },
            _ if is_denied(error) => refused(Refusal::AccessDenied, format!("the role may not read {what}")),
            _ => ReportError::Away(away(error)),
        }
    }
}

fn refused(refusal: Refusal, detail: String) -> ReportError {
    ReportError::Refused { refusal, detail }
}

/// Whether a session is not let through: its role is gone, it is over, or the role may do less than it must.
fn is_denied<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.raw_response().is_some_and(|answer| matches!(answer.status().as_u16(), 401 | 403))
        || matches!(
            error.as_service_error().and_then(ProvideErrorMetadata::code),
            Some(
                "ExpiredToken"
                    | "InvalidToken"
                    | "InvalidAccessKeyId"
                    | "AccessDenied"
                    | "TokenRefreshRequired"
            )
        )
}

/// `arn:aws:sts::<account>:assumed-role/<name>/<session>`.
fn is_session_in(arn: &str, account: &AwsAccountId) -> bool {
    arn.split(':').nth(4) == Some(account.as_str())
}

/// The codes are those of AssumeRole's "Errors" and of "Common errors" (STS API reference). Whether a role is not there or
/// does not trust us is not told by AWS.
fn of_sts<E: ProvideErrorMetadata + std::error::Error + 'static>(
    error: &SdkError<E>,
    place: &ReportPlace,
) -> ReportError {
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("AccessDenied" | "AccessDeniedException" | "NoSuchEntity") => refused(
            Refusal::RoleNotAssumable,
            format!("the role {} is not there, or does not trust us with this ExternalId", place.role),
        ),
        _ => ReportError::Away(away(error)),
    }
}

/// What went wrong, without AWS' own words, which may name callers and accounts.
fn away<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> String {
    match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_other() => {
            "the request could not be made: are there credentials?".to_owned()
        }
        SdkError::DispatchFailure(_) => "it cannot be reached".to_owned(),
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            answer
                .err()
                .code()
                .map_or_else(|| format!("status {status}"), |code| format!("{code} ({status})"))
        }
        _ => "an answer that is none".to_owned(),
    }
}
