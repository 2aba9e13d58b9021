//! A second opinion on what we ask of AWS: moto, which others wrote, answers in place of the tests' own AWS. It checks
//! signatures and the role's own policy; it lets in whoever asks for a role, and so stands for a role that anybody may
//! assume.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use chrono::{DateTime, Utc};
use costlens_aws::testing::aws::assumer_at;
use costlens_aws::{ReportError, Reports};
use costlens_domain::aws::{
    AwsAccountId, ExternalId, KmsKeyArn, Refusal, ReportPlace, RoleArn, permissions, trust,
};
use costlens_domain::ports::{Clock, Entropy};
use costlens_tests::app::TestApp;
use costlens_tests::moto::Moto;
use costlens_tests::{eventually, place, run};
use serde_json::json;

#[derive(Debug)]
struct Wall;

impl Clock for Wall {
    #[expect(clippy::disallowed_methods, reason = "moto's sessions end by the machine's clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

#[derive(Debug, Default)]
struct Counted(AtomicU8);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

fn place() -> ReportPlace {
    let account: AwsAccountId = "111122223333".parse().unwrap();
    ReportPlace {
        role: RoleArn::of_template(&account),
        account,
        external_id: ExternalId::new([7; 20]),
        bucket: "acme-billing".parse().unwrap(),
        prefix: "exports".parse().unwrap(),
        report: "costlens".parse().unwrap(),
    }
}

/// More files than a page of a listing holds, and one that is nobody's business.
fn files() -> BTreeMap<String, String> {
    let mut files: BTreeMap<_, _> =
        (0..1_001).map(|n| (format!("exports/costlens/data/{n:04}"), format!("part {n}"))).collect();
    files.insert("payroll/september.csv".to_owned(), "1,2".to_owned());
    files
}

/// An account with a bucket and the role that CloudFormation makes of our template, and its reports in sessions of ours.
async fn account(moto: &Moto) -> Reports {
    let place = place();
    let assumer: RoleArn = "arn:aws:iam::123456789012:role/costlens".parse().unwrap();
    let key: KmsKeyArn =
        "arn:aws:kms:eu-west-1:111122223333:key/0f3d1b52-7c1e-4a8e-9f6a-2d6f7e1b9c44".parse().unwrap();
    let template = place::repository().join("infra/customer/costlens-bill-reader.yaml");
    let made = moto
        .make(json!({
            "role": place.role.as_str(),
            "template": std::fs::read_to_string(template).unwrap(),
            "parameters": {
                "ExternalId": place.external_id.as_str(),
                "BucketName": place.bucket.as_str(),
                "Prefix": place.prefix.to_string(),
                "ExportName": place.report.to_string(),
                "KmsKeyArn": key.as_str(),
                "AssumerRoleArn": assumer.as_str(),
            },
            "bucket": place.bucket.as_str(),
            "region": "eu-west-1",
            "files": files(),
        }))
        .await;
    assert_eq!(made["trust"], trust(&assumer, &place.external_id), "as somebody else reads the template");
    assert_eq!(made["policy"], permissions(&place, Some(&key)));
    assert_eq!(made["session_seconds"], 3600);
    let keys = [&made["id"], &made["secret"]].map(|key| key.as_str().unwrap());
    let assumer = assumer_at(&moto.url(), keys.into(), Arc::new(Wall), Arc::new(Counted::default())).await;
    assumer.open(place, Some("eu-west-1".parse().unwrap()), "costlens-second-opinion")
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, ReportError>, as_: Refusal) {
    match answer {
        Err(ReportError::Refused { refusal, .. }) if refusal == as_ => {}
        other => panic!("{other:?} instead of {as_:?}"),
    }
}

#[test]
fn another_aws_reads_our_requests_and_our_policy_as_we_mean_them() {
    run(async {
        let moto = Moto::start();
        let reports = account(&moto).await;
        assert_eq!(reports.find().await.unwrap().as_str(), "eu-west-1");

        let listed = reports.list("exports/costlens/data/").await.unwrap();
        assert_eq!(listed.len(), 1_001, "all pages");
        let seventh = &listed[7];
        assert_eq!(reports.head(&seventh.key).await.unwrap().as_ref(), Some(seventh));
        assert_eq!(reports.head("exports/costlens/none").await.unwrap(), None);
        let (part, bytes) = reports.get(&seventh.key, 100).await.unwrap();
        assert_eq!((&part, bytes.as_slice()), (seventh, b"part 7".as_slice()));
        assert!(matches!(reports.get("exports/costlens/none", 100).await, Err(ReportError::Missing { .. })));

        let dir = tempfile::tempdir().unwrap();
        reports.download(&part, &dir.path().join("whole"), &|_| ()).await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("whole")).unwrap(), b"part 7");
        // The file as it was when somebody else listed it.
        let other = listed[8].etag.clone();
        let changed = costlens_domain::aws::Part { etag: other, ..part };
        let torn = reports.download(&changed, &dir.path().join("torn"), &|_| ()).await;
        assert!(matches!(torn, Err(ReportError::Moved { .. })), "{torn:?}");

        // The role's own policy, judged by somebody else: what is not below the prefix is not ours to read.
        refused(reports.get("payroll/september.csv", 100).await, Refusal::AccessDenied);
    });
}

#[test]
fn an_aws_that_asks_for_no_external_id_is_not_connected() {
    run(async {
        let moto = Moto::start();
        let url = moto.url();
        let app = TestApp::shared_with(&[("COSTLENS_AWS_STS_URL", &url), ("COSTLENS_AWS_S3_URL", &url)]);
        let owner = app.owner("Second opinion").await;
        let asked = json!({
            "account_id": "111122223333", "bucket": "acme-billing", "prefix": "exports", "report_name": "costlens",
        });
        let made = owner.call("POST", "/api/v1/aws-connections", Some(&asked)).await.expect(201).json();
        let path = format!("/api/v1/aws-connections/{}", made["id"].as_str().unwrap());
        owner.call("POST", &format!("{path}/test"), None).await.expect(202);
        let found = eventually("a look at the account", async || {
            let found = owner.get(&path).await;
            (!found["problem"].is_null()).then_some(found)
        })
        .await;
        assert_eq!(found["problem"]["code"], "role_without_external_id", "{found}");
    });
}
