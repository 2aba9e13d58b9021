//! Idempotency keys: the answer of a creating call, kept in the transaction of its effect.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::schema::idempotency_key;
use crate::{StoreError, TenantConn};

/// What names one logical call.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// The operation, e.g. `create_key`.
    pub operation: String,
    /// The client's `Idempotency-Key`.
    pub key: String,
    /// A hash of the body, which may hold secrets: keyed, so that it tells nobody whether a guess at them is right.
    pub body_hash: [u8; 32],
}

/// An answer as it was given the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body. A secret that is shown once must not be in it.
    pub body: String,
}

/// What to do with a call that carries a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotent {
    /// The first of its kind: do it, then [`TenantConn::finish_idempotent`] in the same transaction.
    New,
    /// Done before: give this answer again.
    Replay(StoredAnswer),
    /// The key was used with another body.
    Mismatch,
}

impl TenantConn {
    /// Claims a key. A second caller with the same key waits until the first has committed or rolled back. Whether a kept
    /// hash is this body's is the caller's to say: one that was made with an older key is not equal.
    pub async fn begin_idempotent(
        &mut self,
        key: &IdempotencyKey,
        at: DateTime<Utc>,
        is_of_this_body: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Idempotent, StoreError> {
        let row = idempotency_key::table.find((self.tenant_id().uuid(), &key.operation, &key.key));
        let claimed = diesel::insert_into(idempotency_key::table)
            .values((
                idempotency_key::tenant_id.eq(self.tenant_id().uuid()),
                idempotency_key::operation.eq(&key.operation),
                idempotency_key::key.eq(&key.key),
                idempotency_key::body_hash.eq(key.body_hash.as_slice()),
                idempotency_key::created_at.eq(at),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        if claimed > 0 {
            return Ok(Idempotent::New);
        }
        let columns = (idempotency_key::body_hash, idempotency_key::status, idempotency_key::answer);
        let (body_hash, status, answer): (Vec<u8>, Option<i32>, Option<String>) =
            row.select(columns).first(self.conn()?).await?;
        if !is_of_this_body(&body_hash) {
            return Ok(Idempotent::Mismatch);
        }
        // Absent only where the same transaction claims the key twice, or a caller committed without an answer.
        let status = status.and_then(|status| u16::try_from(status).ok());
        match (status, answer) {
            (Some(status), Some(body)) => Ok(Idempotent::Replay(StoredAnswer { status, body })),
            _ => Err(StoreError::bug("an idempotency key was claimed and its answer not kept")),
        }
    }

    /// Whether a call with this key was answered before.
    pub async fn knows_idempotency_key(&mut self, operation: &str, key: &str) -> Result<bool, StoreError> {
        let row = idempotency_key::table.find((self.tenant_id().uuid(), operation, key));
        let known = row.filter(idempotency_key::status.is_not_null());
        Ok(known.count().get_result::<i64>(self.conn()?).await? > 0)
    }

    /// Keeps the answer beside its effect.
    pub async fn finish_idempotent(
        &mut self,
        key: &IdempotencyKey,
        answer: &StoredAnswer,
    ) -> Result<(), StoreError> {
        let row = idempotency_key::table.find((self.tenant_id().uuid(), &key.operation, &key.key));
        let kept = diesel::update(row)
            .set((
                idempotency_key::status.eq(i32::from(answer.status)),
                idempotency_key::answer.eq(&answer.body),
            ))
            .execute(self.conn()?)
            .await?;
        if kept == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }
}
