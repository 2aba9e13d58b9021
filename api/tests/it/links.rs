//! What the links in mails do, over a real database: with the right token, each its one thing, as often as one likes.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_api::{ApiParts, routes};
use costlens_domain::ports::Entropy as _;
use costlens_domain::{ErasureId, MessageId, RecipientId, TenantId};
use costlens_store::testing::TestDb;
use costlens_store::{MessageTarget, NewMessage, Recipient};
use costlens_vault::{LinkPurpose, OsEntropy, link_token};
use poem::{Endpoint as _, IntoResponse as _, Request};
use uuid::Uuid;

use super::{Hand, database, noon, parts};

struct Service {
    db: TestDb,
    parts: Arc<ApiParts>,
    tenant: TenantId,
    now: DateTime<Utc>,
    _files: tempfile::TempDir,
}

impl Service {
    async fn new() -> Self {
        let db = database().await;
        let files = tempfile::tempdir().unwrap();
        let (now, clock) = (noon(), Hand::at_noon());
        let parts = parts(&db, files.path(), &clock);
        let tenant = db.create_tenant("Linked").await;
        Self { db, parts, tenant, now, _files: files }
    }

    /// A recipient who was asked this long ago.
    async fn asked(&self, ago: TimeDelta) -> RecipientId {
        let (at, id) = (self.now - ago, RecipientId::new(self.now, OsEntropy.for_id()));
        let mut conn = self.db.store().tenant(self.tenant).await.unwrap();
        conn.create_recipient(id, &format!("{id}@mail.example"), (true, false), at).await.unwrap();
        let question = NewMessage {
            id: MessageId::new(at, OsEntropy.for_id()),
            about: "confirm:1".to_owned(),
            kind: "confirm_recipient".to_owned(),
            target: MessageTarget::Recipient(id),
            figures: serde_json::json!({}),
            created_at: at,
            expires_at: at + TimeDelta::days(7),
            job_id: Uuid::nil(),
        };
        assert!(conn.create_message(&question).await.unwrap());
        conn.commit().await.unwrap();
        id
    }

    async fn recipient(&self, id: RecipientId) -> Recipient {
        self.db.store().tenant(self.tenant).await.unwrap().recipient(id).await.unwrap()
    }

    fn token(&self, purpose: LinkPurpose, row: Uuid) -> String {
        link_token(&self.parts.keyring, purpose, self.tenant, row)
    }

    /// Posts a body of this type; gives the status.
    async fn post(&self, path: &str, kind: &str, body: String) -> u16 {
        let request = Request::builder().method(poem::http::Method::POST).content_type(kind);
        let request = request.uri(format!("/api/v1/{path}").parse().unwrap()).body(body);
        match routes(&self.parts).call(request).await {
            Ok(answer) => answer.into_response().status().as_u16(),
            Err(error) => error.status().as_u16(),
        }
    }

    async fn post_token(&self, path: &str, purpose: LinkPurpose, row: Uuid) -> u16 {
        let body = serde_json::json!({ "token": self.token(purpose, row) }).to_string();
        self.post(path, "application/json", body).await
    }

    async fn acts(&self) -> Vec<String> {
        let mut conn = self.db.store().tenant(self.tenant).await.unwrap();
        let events = conn.list_audit_events(None, 50).await.unwrap();
        let acts = events.into_iter().map(|event| format!("{} by {}", event.action, event.actor));
        let mut acts: Vec<String> = acts.collect();
        // The clock stands, so they have no order of their own.
        acts.sort();
        acts
    }
}

#[tokio::test]
async fn an_address_agrees_and_stops_each_as_often_as_it_likes_and_once_in_the_audit() {
    let service = Service::new().await;
    let id = service.asked(TimeDelta::days(1)).await;
    let (confirm, stop) = (LinkPurpose::Confirm, LinkPurpose::Unsubscribe);
    // A link does its one thing.
    assert_eq!(service.post_token("recipients/confirm", stop, id.uuid()).await, 404);
    assert_eq!(service.post_token("unsubscribe", confirm, id.uuid()).await, 404);
    assert!(!service.recipient(id).await.is_active());
    for _ in 0..2 {
        assert_eq!(service.post_token("recipients/confirm", confirm, id.uuid()).await, 200);
        assert!(service.recipient(id).await.is_active());
    }
    // At one click of a mail program, with either form of body (RFC 8058).
    let click = format!("unsubscribe?token={}", service.token(stop, id.uuid()));
    let parts =
        "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    for (kind, body) in [
        ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
        ("multipart/form-data; boundary=x", parts),
    ] {
        assert_eq!(service.post(&click, kind, body.to_owned()).await, 204);
        assert!(!service.recipient(id).await.is_active());
    }
    assert_eq!(service.post_token("unsubscribe", stop, id.uuid()).await, 204);
    assert_eq!(service.acts().await, ["recipient.confirmed by link", "recipient.unsubscribed by link"]);
}

#[tokio::test]
async fn a_question_that_is_a_week_old_is_answered_no_more() {
    let service = Service::new().await;
    let id = service.asked(TimeDelta::days(7)).await;
    assert_eq!(service.post_token("recipients/confirm", LinkPurpose::Confirm, id.uuid()).await, 404);
    assert!(!service.recipient(id).await.is_active());
}

#[tokio::test]
async fn whoever_has_the_link_keeps_the_account_until_it_is_erased() {
    let service = Service::new().await;
    let keep = LinkPurpose::KeepAccount;
    let close = async |erase_at| {
        let mut conn = service.db.store().tenant(service.tenant).await.unwrap();
        let id = ErasureId::from(Uuid::from_u128(rand_bits()));
        conn.request_closure(id, ("session:x", None), service.now, erase_at, erase_at).await.unwrap();
        conn.commit().await.unwrap();
        id
    };
    let first = close(service.now + TimeDelta::days(7)).await;
    assert_eq!(service.post_token("account/keep", keep, Uuid::from_u128(1)).await, 404);
    for _ in 0..2 {
        assert_eq!(service.post_token("account/keep", keep, first.uuid()).await, 204);
        let mut conn = service.db.store().tenant(service.tenant).await.unwrap();
        assert_eq!(conn.tenant().await.unwrap().closing_at, None);
    }
    assert_eq!(service.acts().await, ["closure.cancelled by link"]);
    let id = close(service.now).await;
    assert_eq!(service.post_token("account/keep", keep, first.uuid()).await, 404, "an earlier link");
    let mut system = service.db.store().system().await.unwrap();
    assert!(system.begin_erasure(id, &[0; 32], service.now).await.unwrap());
    assert_eq!(service.post_token("account/keep", keep, id.uuid()).await, 409);
}

/// A number that no other erasure has.
fn rand_bits() -> u128 {
    let mut bytes = [0; 16];
    OsEntropy.fill(&mut bytes);
    u128::from_be_bytes(bytes)
}
