//! The vault over AWS KMS' real protocol: bound to tenant, purpose and version, from memory while the service is away,
//! and with a name for every refusal.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use costlens_aws::testing::{FakeKms, KEY_ARN, OTHER_ARN, client};
use costlens_aws::{AwsKms, KmsSettings};
use costlens_domain::TenantId;
use costlens_domain::ports::Clock;
use costlens_vault::{
    KeyContext, KeyService, Keyring, MasterKey, OsEntropy, SealError, SealedFor, ServiceError, ServiceState,
};
use uuid::Uuid;

const MASTER: &str = "8f1d0c6b7a5e4932f0e1d2c3b4a5968778695a4b3c2d1e0f9a8b7c6d5e4f3a2b";

#[derive(Debug)]
struct Moved(Mutex<DateTime<Utc>>);

impl Moved {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-26T12:00:00Z".parse().unwrap())))
    }

    fn by(&self, delta: TimeDelta) {
        *self.0.lock().unwrap() += delta;
    }
}

impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

fn tenant(n: u128) -> TenantId {
    Uuid::from_u128(n).into()
}

fn place(n: u128) -> SealedFor<'static> {
    SealedFor { tenant: tenant(n), table: "connection", column: "sealed_secret", row: Uuid::from_u128(7) }
}

fn ring(kms: AwsKms, clock: &Arc<Moved>) -> Keyring {
    let clock: Arc<dyn Clock> = clock.clone();
    Keyring::new(MasterKey::parse(MASTER).unwrap()).with_services(vec![Arc::new(kms)], true, &clock)
}

fn context(n: u128, version: u32) -> KeyContext {
    KeyContext { tenant: Some(tenant(n)), subject: None, purpose: "data", version }
}

#[tokio::test]
async fn a_key_is_bound_to_tenant_purpose_version_and_key() {
    let fake = FakeKms::start();
    let (kms, other) = (fake.client(KEY_ARN).await, fake.client(OTHER_ARN).await);
    let (key, sealed) = kms.generate(&context(1, 3)).await.unwrap();
    assert_eq!(kms.decrypt(&sealed, &context(1, 3)).await.unwrap(), key);
    let wanted = [("purpose", "data"), ("tenant", &tenant(1).to_string()), ("version", "3")];
    let calls = fake.calls();
    assert_eq!(
        calls.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["GenerateDataKey", "Decrypt"]
    );
    for (_, context) in &calls {
        let context: Vec<_> = context.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(context, wanted);
    }
    for wrong in [context(2, 3), context(1, 4), KeyContext { purpose: "tags", ..context(1, 3) }] {
        assert_eq!(kms.decrypt(&sealed, &wrong).await, Err(ServiceError::Ciphertext));
    }
    assert_eq!(other.decrypt(&sealed, &context(1, 3)).await, Err(ServiceError::Ciphertext));
    let mut changed = sealed;
    changed[20] ^= 1;
    assert_eq!(kms.decrypt(&changed, &context(1, 3)).await, Err(ServiceError::Ciphertext));
    let again = kms.encrypt(&key, &context(2, 1)).await.unwrap();
    assert_eq!(kms.decrypt(&again, &context(2, 1)).await.unwrap(), key);
}

#[tokio::test]
async fn every_answer_of_the_service_has_its_meaning() {
    let fake = FakeKms::start();
    let kms = fake.client(KEY_ARN).await;
    let (_, sealed) = kms.generate(&context(1, 1)).await.unwrap();
    for (status, code) in [
        (400, "AccessDeniedException"),
        (400, "DisabledException"),
        (400, "KMSInvalidStateException"),
        (400, "NotFoundException"),
        (403, "ExpiredTokenException"),
        (403, "UnrecognizedClientException"),
    ] {
        fake.break_with(Some((status, code)));
        let refused = kms.decrypt(&sealed, &context(1, 1)).await;
        assert_eq!(refused, Err(ServiceError::Refused(code.to_owned())));
    }
    let _forgotten = fake.calls();
    for (status, code) in [
        (500, "KMSInternalException"),
        (500, "DependencyTimeoutException"),
        (500, "KeyUnavailableException"),
        (400, "ThrottlingException"),
        (503, "ServiceUnavailable"),
    ] {
        fake.break_with(Some((status, code)));
        let away = kms.decrypt(&sealed, &context(1, 1)).await;
        assert_eq!(away, Err(ServiceError::Away(code.to_owned())));
        assert!(fake.calls().len() <= 2, "{code} is asked for again and again");
    }
    fake.break_with(None);
    fake.disable(KEY_ARN, true);
    let refused = kms.generate(&context(1, 1)).await;
    assert_eq!(refused.err(), Some(ServiceError::Refused("DisabledException".to_owned())));
    fake.disable(KEY_ARN, false);
    assert!(kms.decrypt(&sealed, &context(1, 1)).await.is_ok());
    // Nobody listens.
    let url = fake.url();
    drop(fake);
    let gone = client(KEY_ARN, url).await.decrypt(&sealed, &context(1, 1)).await;
    assert!(matches!(gone, Err(ServiceError::Away(_))), "{gone:?}");
}

#[tokio::test]
async fn while_kms_is_away_keys_in_memory_go_on_for_a_quarter_of_an_hour_and_then_all_is_refused_by_name() {
    let fake = FakeKms::start();
    let clock = Moved::new();
    let ring = ring(fake.client(KEY_ARN).await, &clock);
    let wrapped = ring.make_data_key(tenant(1), 1, &OsEntropy).await.unwrap();
    let keys = [(1, wrapped.0)];
    let sealed = ring.tenant(tenant(1), &keys).seal(&place(1), b"sk-live", &OsEntropy).unwrap();
    fake.break_with(Some((500, "KMSInternalException")));
    let _forgotten = fake.calls();
    clock.by(TimeDelta::minutes(14));
    assert_eq!(ring.ready(tenant(1), &keys).await, Ok(()));
    assert_eq!(ring.tenant(tenant(1), &keys).open(&place(1), &sealed).unwrap().as_slice(), b"sk-live");
    assert!(fake.calls().is_empty());
    clock.by(TimeDelta::minutes(1));
    for _ in 0..200 {
        assert_eq!(ring.ready(tenant(1), &keys).await, Err(SealError::Away));
        assert_eq!(ring.tenant(tenant(1), &keys).open(&place(1), &sealed), Err(SealError::Away));
    }
    assert!(fake.calls().len() <= 2, "a storm of questions");
    assert_eq!(ring.service_state(), Some(ServiceState::Away("KMSInternalException".to_owned())));
    fake.break_with(None);
    fake.disable(KEY_ARN, true);
    clock.by(TimeDelta::minutes(1));
    assert_eq!(ring.ready(tenant(1), &keys).await, Err(SealError::Refused));
    assert_eq!(ring.service_state(), Some(ServiceState::Refused("DisabledException".to_owned())));
    fake.disable(KEY_ARN, false);
    clock.by(TimeDelta::minutes(1));
    assert_eq!(ring.ready(tenant(1), &keys).await, Ok(()));
    assert_eq!(ring.tenant(tenant(1), &keys).open(&place(1), &sealed).unwrap().as_slice(), b"sk-live");
}

#[test]
fn a_key_is_asked_for_where_its_region_is_or_at_the_other_address() {
    let of = |arn: &str| KmsSettings::parse(arn).unwrap();
    assert_eq!(of(KEY_ARN).address(), "https://kms.eu-west-1.amazonaws.com");
    let china = KEY_ARN.replace("aws:kms:eu-west-1", "aws-cn:kms:cn-north-1");
    assert_eq!(of(&china).address(), "https://kms.cn-north-1.amazonaws.com.cn");
    assert_eq!(of(KEY_ARN).at(Some("https://vpce.example".to_owned())).address(), "https://vpce.example");
}

#[test]
fn a_key_is_named_by_its_arn_alone() {
    assert!(KmsSettings::parse(KEY_ARN).is_ok());
    assert!(KmsSettings::parse(KEY_ARN.replace("aws:", "aws-us-gov:").as_str()).is_ok());
    for wrong in [
        "",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "alias/costlens",
        "arn:aws:kms:eu-west-1:111122223333:alias/costlens",
        "arn:aws:s3:eu-west-1:111122223333:key/1",
        "arn:aws:kms:eu-west-1:1111:key/1",
        "arn:aws:kms:evil.example/:111122223333:key/1",
        "arn:aws:kms::111122223333:key/1",
        "arn:aws:kms:eu-west-1:111122223333:key/",
    ] {
        assert!(KmsSettings::parse(wrong).is_err(), "{wrong}");
    }
}
