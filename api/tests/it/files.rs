//! What an account may keep here, over a real database without workers: exports that are asked for, cancelled and
//! downloaded, and bounds on exports and on uploads of bills, also for those who ask at once.

use std::sync::Arc;

use chrono::TimeDelta;
use costlens_api::{ApiParts, routes};
use costlens_domain::ports::{Clock, Entropy as _};
use costlens_domain::{ExportId, SessionId, TenantId};
use costlens_jobs::exports::AREA;
use costlens_objects::ObjectKey;
use costlens_store::testing::TestDb;
use costlens_store::{ExportFile, NewSession, NewSignInLink};
use costlens_vault::{OsEntropy, TokenHash};
use futures_util::StreamExt as _;
use poem::http::{HeaderMap, Method};
use poem::{Body, Endpoint as _, IntoResponse as _, Request};
use serde_json::{Value, json};

use super::{Hand, MAX_BILL_BYTES, database, noon, parts};

const SESSION: &str = "acs_a-session-of-the-tests";

struct Service {
    db: TestDb,
    parts: Arc<ApiParts>,
    clock: Arc<Hand>,
    tenant: TenantId,
    _files: tempfile::TempDir,
}

/// An answer, read to its end.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

impl Service {
    async fn new() -> Self {
        let db = database().await;
        let files = tempfile::tempdir().unwrap();
        let clock = Hand::at_noon();
        let parts = parts(&db, files.path(), &clock);
        let tenant = db.create_tenant("Kept").await;
        let mut system = db.store().system().await.unwrap();
        let expires_at = noon() + TimeDelta::days(30);
        let link = NewSignInLink {
            tenant_id: tenant,
            hash: [1; 32],
            created_at: noon(),
            expires_at,
            operator: false,
        };
        system.create_sign_in_link(&link).await.unwrap();
        let id = SessionId::new(noon(), OsEntropy.for_id());
        let session = NewSession { id, hash: TokenHash::of(SESSION).0, expires_at };
        system.redeem_sign_in_link(&[1; 32], &session, noon()).await.unwrap().unwrap();
        drop(system);
        Self { db, parts, clock, tenant, _files: files }
    }

    async fn send(&self, method: Method, path: &str, key: Option<&str>, body: Body) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/{path}").parse().unwrap())
            .header("cookie", format!("costlens_session={SESSION}"));
        request = request.content_type(if path.starts_with("bills") {
            "application/octet-stream"
        } else {
            "application/json"
        });
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = match routes(&self.parts).call(request.body(body)).await {
            Ok(answer) => answer.into_response(),
            Err(error) => error.into_response(),
        };
        let (parts, body) = response.into_parts();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.into_vec().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, Body::empty()).await
    }

    async fn delete(&self, path: &str) -> u16 {
        self.send(Method::DELETE, path, None, Body::empty()).await.status
    }

    async fn ask(&self, key: Option<&str>, body: Value) -> Answer {
        self.send(Method::POST, "exports", key, Body::from(body.to_string())).await
    }

    async fn upload(&self, key: Option<&str>, bytes: Vec<u8>) -> Answer {
        self.send(Method::POST, "bills?filename=a.csv", key, Body::from(bytes)).await
    }

    async fn acts(&self) -> Vec<String> {
        let mut conn = self.db.store().tenant(self.tenant).await.unwrap();
        let events = conn.list_audit_events(None, 50).await.unwrap();
        let mut acts: Vec<String> = events.into_iter().map(|event| event.action).collect();
        acts.sort();
        acts
    }

    /// What a worker does: the file, then the row.
    async fn write(&self, export: &str, bytes: &[u8]) {
        let id: ExportId = export.parse().unwrap();
        let key = ObjectKey::new(self.tenant, AREA, &format!("{id}_1")).unwrap();
        let mut put = self.parts.objects.put(key.clone(), 1_000).await.unwrap();
        put.write(bytes).await.unwrap();
        let stored = put.finish().await.unwrap();
        let now = self.clock.now();
        let file = ExportFile {
            object_key: key.to_string(),
            bytes: stored.bytes,
            sha256: stored.sha256,
            rows: 2,
            expires_at: now + TimeDelta::days(7),
        };
        let mut conn = self.db.store().tenant(self.tenant).await.unwrap();
        assert!(conn.finish_export(id, &file, now).await.unwrap());
        conn.commit().await.unwrap();
    }

    async fn files(&self) -> usize {
        self.parts.objects.count_prefix(self.tenant).await.unwrap()
    }
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.json())).to_owned()
}

#[tokio::test]
async fn an_export_is_asked_for_once_under_a_key_and_tells_what_it_holds() {
    let service = Service::new().await;
    let body =
        json!({"what": "requests", "format": "csv", "from": "2026-11-01T00:00:00Z", "model": "gpt-4o"});
    let asked = service.ask(Some("one"), body.clone()).await;
    assert_eq!(asked.status, 202, "{}", asked.json());
    let export = asked.json();
    assert_eq!(asked.headers["location"].to_str().unwrap(), format!("/api/v1/exports/{}", id(&asked)));
    assert_eq!(
        (&export["state"], &export["rows"], &export["size_bytes"]),
        (&json!("queued"), &json!(0), &Value::Null)
    );
    let filter = json!({"from": "2026-11-01T00:00:00+00:00", "to": "2026-11-20T12:00:00+00:00", "api_key_id": null,
        "connection_id": null, "provider": null, "model": "gpt-4o", "outcome": null});
    assert_eq!(export["filter"], filter);
    let again = service.ask(Some("one"), body.clone()).await;
    assert_eq!((again.status, again.json()), (202, export.clone()));
    let other = service.ask(Some("one"), json!({"what": "requests", "format": "jsonl"})).await;
    assert_eq!(other.code(), (422, "idempotency_mismatch".to_owned()));
    assert_eq!(service.get(&format!("exports/{}", id(&asked))).await.json(), export);
    assert_eq!(service.get("exports").await.json()["items"], json!([export]));
    assert_eq!(service.acts().await, ["export.created"]);
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused_and_changes_nothing() {
    let service = Service::new().await;
    let key = "key_019ab3c4d5e67f8091a2b3c4d5e6f708";
    let connection = "con_019ab3c4d5e67f8091a2b3c4d5e6f708";
    for body in [
        json!({"what": "requests", "format": "csv", "from": "2026-11-20T12:00:00Z"}),
        json!({"what": "requests", "format": "csv", "from": "2026-11-02T00:00:00Z", "to": "2026-11-01T00:00:00Z"}),
        json!({"what": "requests", "format": "csv", "from": "2027-01-01T00:00:00Z", "to": "2027-02-01T00:00:00Z"}),
        json!({"what": "requests", "format": "csv", "api_key_id": key}),
        json!({"what": "requests", "format": "csv", "connection_id": connection}),
        json!({"what": "hourly_spend", "format": "csv", "connection_id": connection}),
        json!({"what": "focus", "format": "csv", "api_key_id": key}),
        json!({"what": "focus", "format": "csv", "model": "gpt-4o"}),
        json!({"what": "requests", "format": "parquet"}),
        json!({"what": "requests", "format": "csv", "model": ""}),
    ] {
        let refused = service.ask(None, body.clone()).await;
        assert_eq!(refused.code(), (400, "invalid_request".to_owned()), "{body}");
    }
    assert_eq!(service.get("exports").await.json()["items"], json!([]));
    assert_eq!(service.acts().await, Vec::<String>::new());
}

#[tokio::test]
async fn of_many_who_ask_at_once_three_get_an_export_under_way() {
    let service = Service::new().await;
    let body = || json!({"what": "hourly_spend", "format": "csv"});
    let asked = futures_util::future::join_all((0..8).map(|_| service.ask(None, body()))).await;
    let mut codes: Vec<(u16, String)> = asked.iter().map(Answer::code).collect();
    codes.sort();
    let mut expected = vec![(202, String::new()); 3];
    expected.extend(vec![(409, "limit_reached".to_owned()); 5]);
    assert_eq!(codes, expected);
    // One that is cancelled makes room, and one that is done, too.
    let first = service.get("exports").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        assert_eq!(service.delete(&format!("exports/{first}")).await, 204);
    }
    assert_eq!(service.get(&format!("exports/{first}")).await.json()["state"], "cancelled");
    assert_eq!(service.ask(None, body()).await.status, 202);
    assert_eq!(service.ask(None, body()).await.status, 409);
    assert_eq!(service.acts().await.iter().filter(|act| *act == "export.cancelled").count(), 1);
}

#[tokio::test]
async fn an_account_keeps_twenty_files() {
    let service = Service::new().await;
    let body = || json!({"what": "requests", "format": "csv"});
    let mut last = String::new();
    for _ in 0..20 {
        last = id(&service.ask(None, body()).await);
        service.write(&last, b"x").await;
    }
    let refused = service.ask(None, body()).await;
    assert_eq!(refused.code(), (409, "limit_reached".to_owned()));
    assert_eq!(service.delete(&format!("exports/{last}")).await, 204);
    assert_eq!(service.files().await, 19);
    assert_eq!(service.get(&format!("exports/{last}")).await.json()["state"], "expired");
    assert_eq!(service.ask(None, body()).await.status, 202);
}

#[tokio::test]
async fn a_file_is_downloaded_as_it_was_written_until_its_time_is_over() {
    let service = Service::new().await;
    let export = id(&service.ask(None, json!({"what": "hourly_spend", "format": "jsonl"})).await);
    let path = format!("exports/{export}/file");
    assert_eq!(service.get(&path).await.code(), (409, "conflict".to_owned()));
    service.write(&export, b"\x1f\x8b and so on").await;
    let file = service.get(&path).await;
    assert_eq!((file.status, file.body.as_slice()), (200, b"\x1f\x8b and so on".as_slice()));
    let header = |name: &str| file.headers[name].to_str().unwrap().to_owned();
    assert_eq!(
        (header("content-type"), header("content-length")),
        ("application/gzip".to_owned(), "12".to_owned())
    );
    assert_eq!(header("cache-control"), "no-store");
    let name =
        service.get(&format!("exports/{export}")).await.json()["file_name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("costlens-hourly-spend-20261120-") && name.ends_with(".jsonl.gz"), "{name}");
    assert_eq!(header("content-disposition"), format!("attachment; filename=\"{name}\""));
    assert_eq!(service.acts().await, ["export.created", "export.downloaded"]);
    // The sweeper need not have come by.
    service.clock.set(noon() + TimeDelta::days(7));
    assert_eq!(service.get(&path).await.code(), (409, "conflict".to_owned()));
    let unknown = "exports/exp_019ab3c4d5e67f8091a2b3c4d5e6f708/file";
    assert_eq!(service.get(unknown).await.status, 404);
}

#[tokio::test]
async fn eight_uploads_wait_at_most_and_a_refused_one_leaves_no_file() {
    let service = Service::new().await;
    for n in 0..8 {
        assert_eq!(service.upload(Some(&format!("{n}")), vec![n; 10]).await.status, 202);
    }
    let refused = service.upload(None, vec![9; 10]).await;
    assert_eq!(refused.code(), (409, "limit_reached".to_owned()));
    assert_eq!(service.files().await, 8);
    // What was answered before is answered again.
    assert_eq!(service.upload(Some("3"), vec![3; 10]).await.status, 202);
    assert_eq!(service.files().await, 8);
}

#[tokio::test]
async fn the_uploads_that_wait_have_bounded_bytes_together_however_they_arrive() {
    let service = Service::new().await;
    let size = usize::try_from(MAX_BILL_BYTES).unwrap();
    assert_eq!(service.upload(None, vec![1; size - 100]).await.status, 202);
    // Two at once that have room one by one, and not together.
    let both = futures_util::future::join(
        service.upload(None, vec![2; size - 100]),
        service.upload(None, vec![3; size - 100]),
    );
    let (one, other) = both.await;
    let mut codes = [one.code(), other.code()];
    codes.sort();
    assert_eq!(codes, [(202, String::new()), (409, "limit_reached".to_owned())]);
    assert_eq!(service.files().await, 2);
    assert_eq!(service.upload(None, vec![4; 200]).await.status, 202, "to the last byte");
    assert_eq!(service.upload(None, vec![5; 1]).await.code(), (409, "limit_reached".to_owned()));
}

#[tokio::test]
async fn two_uploads_arrive_at_once_and_a_third_waits_for_neither() {
    let service = Service::new().await;
    let (mut ends, mut bodies) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>(vec![1_u8])]);
        let rest = futures_util::stream::once(async move {
            drop(ended.await);
            Ok(vec![2])
        });
        ends.push(end);
        bodies.push(Body::from_bytes_stream(first.chain(rest)));
    }
    let slow = async {
        let sent =
            bodies.into_iter().map(|body| service.send(Method::POST, "bills?filename=a.csv", None, body));
        futures_util::future::join_all(sent).await
    };
    let third = async {
        // The two have begun once their files have.
        let begun = std::time::Instant::now();
        while service.files().await < 2 {
            assert!(begun.elapsed() < std::time::Duration::from_mins(4), "they do not begin");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let third = service.upload(None, vec![3]).await;
        for end in ends {
            end.send(()).unwrap();
        }
        third
    };
    let (slow, third) = futures_util::future::join(slow, third).await;
    assert_eq!(third.code(), (409, "limit_reached".to_owned()));
    assert!(slow.iter().all(|answer| answer.status == 202));
    assert_eq!(service.upload(None, vec![4]).await.status, 202, "their places are free again");
}
