//! `Idempotency-Key`: a creating call that is sent twice has its effect once.
//!
//! The key, a hash of the body and the answer are stored in the transaction of the effect. The same body gets the
//! same answer again; another body under the same key is refused.

use costlens_domain::ProblemCode;
use costlens_store::{IdempotencyKey, Idempotent, StoredAnswer, TenantConn};
use costlens_vault::TokenHash;
use poem_openapi::types::ToJSON;

use crate::error::ApiError;

/// A claimed key, waiting for its answer.
pub(crate) struct Claim(Option<IdempotencyKey>);

/// What a claim found.
pub(crate) enum Claimed {
    /// Nothing: have the effect, then [`Claim::finish`].
    First(Claim),
    /// The answer of the first time, as JSON.
    Again(String),
}

/// Claims the caller's key, if it sent one.
pub(crate) async fn claim(
    conn: &mut TenantConn,
    operation: &str,
    key: Option<&String>,
    body: &impl ToJSON,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<Claimed, ApiError> {
    let Some(key) = key else { return Ok(Claimed::First(Claim(None))) };
    if key.is_empty() || key.len() > 200 {
        return Err(ApiError::field("Idempotency-Key", "must have 1 to 200 characters"));
    }
    let body_hash = TokenHash::of(&body.to_json_string()).0;
    let key = IdempotencyKey { operation: operation.to_owned(), key: key.clone(), body_hash };
    match conn.begin_idempotent(&key, at).await? {
        Idempotent::New => Ok(Claimed::First(Claim(Some(key)))),
        Idempotent::Replay(answer) => Ok(Claimed::Again(answer.body)),
        Idempotent::Mismatch => Err(ApiError::new(
            ProblemCode::IdempotencyMismatch,
            "this idempotency key was used with another body; use a new one",
        )),
    }
}

impl Claim {
    /// Keeps the answer, in the effect's own transaction. It must hold no secret.
    pub(crate) async fn finish(self, conn: &mut TenantConn, answer: &impl ToJSON) -> Result<(), ApiError> {
        self.finish_as(201, conn, answer).await
    }

    /// The same with another status than that of what was made.
    pub(crate) async fn finish_as(
        self,
        status: u16,
        conn: &mut TenantConn,
        answer: &impl ToJSON,
    ) -> Result<(), ApiError> {
        if let Some(key) = self.0 {
            let answer = StoredAnswer { status, body: answer.to_json_string() };
            conn.finish_idempotent(&key, &answer).await?;
        }
        Ok(())
    }
}

/// The answer of the first time.
pub(crate) fn again<T: poem_openapi::types::ParseFromJSON>(json: &str) -> Result<T, ApiError> {
    T::parse_from_json_string(json).map_err(|_| {
        ApiError::new(ProblemCode::Conflict, "the first answer to this idempotency key can no longer be read")
    })
}
