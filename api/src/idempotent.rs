//! `Idempotency-Key`: a creating call that is sent twice has its effect once.
//!
//! The key, a hash of the body and the answer are stored in the transaction of the effect. The same body gets the
//! same answer again; another body under the same key is refused. Bodies hold secrets, and a backup of the table must
//! not let anybody try guesses at them: the hash is made with a key that is not in the database.

use costlens_domain::{ProblemCode, TenantId};
use costlens_store::{IdempotencyKey, Idempotent, StoredAnswer, TenantConn};
use costlens_vault::Keyring;
use poem_openapi::types::ToJSON;
use zeroize::Zeroizing;

use crate::error::ApiError;

/// What the keyring makes the hashes of bodies for.
const PURPOSE: &str = "idempotent body";

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
    (conn, keyring): (&mut TenantConn, &Keyring),
    operation: &str,
    key: Option<&String>,
    body: &impl ToJSON,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<Claimed, ApiError> {
    let Some(key) = key else { return Ok(Claimed::First(Claim(None))) };
    if key.is_empty() || key.len() > 200 {
        return Err(ApiError::field("Idempotency-Key", "must have 1 to 200 characters"));
    }
    let call = Call { tenant: conn.tenant_id(), operation, body: Zeroizing::new(body.to_json_string()) };
    let body_hash = call.hash(keyring);
    let key = IdempotencyKey { operation: operation.to_owned(), key: key.clone(), body_hash };
    match conn.begin_idempotent(&key, at, |kept| call.was_hashed_as(kept, keyring)).await? {
        Idempotent::New => Ok(Claimed::First(Claim(Some(key)))),
        Idempotent::Replay(answer) => Ok(Claimed::Again(answer.body)),
        Idempotent::Mismatch => Err(ApiError::new(
            ProblemCode::IdempotencyMismatch,
            "this idempotency key was used with another body; use a new one",
        )),
    }
}

/// What is hashed: nobody learns from the table that two tenants sent the same either.
struct Call<'a> {
    tenant: TenantId,
    operation: &'a str,
    body: Zeroizing<String>,
}

impl Call<'_> {
    fn hash(&self, keyring: &Keyring) -> [u8; 32] {
        let tenant = self.tenant.uuid();
        keyring.tag(PURPOSE, &[tenant.as_bytes(), self.operation.as_bytes(), self.body.as_bytes()])
    }

    /// Whether this hash is the call's, though the master key may have been changed since.
    fn was_hashed_as(&self, kept: &[u8], keyring: &Keyring) -> bool {
        let tenant = self.tenant.uuid();
        let parts: [&[u8]; 3] = [tenant.as_bytes(), self.operation.as_bytes(), self.body.as_bytes()];
        keyring.verify_tag(PURPOSE, &parts, kept)
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

#[cfg(test)]
mod tests {
    use costlens_vault::{MasterKey, TokenHash};

    use super::*;

    fn key(first: &str) -> MasterKey {
        MasterKey::parse(&format!("{first}{}", "0123456789abcdef".repeat(4).split_off(2))).unwrap()
    }

    fn call(tenant: u8, body: &str) -> Call<'static> {
        let tenant = TenantId::new(chrono::DateTime::UNIX_EPOCH, [tenant; 10]);
        Call { tenant, operation: "create_connection", body: Zeroizing::new(body.to_owned()) }
    }

    #[test]
    fn the_hash_of_a_body_tells_nothing_without_the_master_key() {
        let (ring, body) = (Keyring::new(key("aa")), r#"{"secret":"sk-guessed"}"#);
        let hash = call(1, body).hash(&ring);
        assert_ne!(hash, TokenHash::of(body).0);
        assert_ne!(hash, call(2, body).hash(&ring));
        assert_ne!(hash, call(1, body).hash(&Keyring::new(key("bb"))));
    }

    #[test]
    fn the_same_body_is_known_after_the_master_key_was_changed() {
        let hash = call(1, "{}").hash(&Keyring::new(key("aa")));
        let changed = Keyring::new(key("bb")).with_older(vec![key("aa")]);
        assert!(call(1, "{}").was_hashed_as(&hash, &changed));
        assert!(!call(1, "[]").was_hashed_as(&hash, &changed));
        assert!(!call(2, "{}").was_hashed_as(&hash, &changed));
    }
}
