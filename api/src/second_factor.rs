//! The second factor: an authenticator's codes, and recovery codes for the day it is lost.

use std::sync::Arc;

use costlens_domain::audit::Action;
use costlens_domain::{ProblemCode, TenantId, UserId};
use costlens_identity::Totp;
use costlens_store::User;
use costlens_vault::secret_token::RECOVERY_PREFIX;
use costlens_vault::{SealError, SealedFor, SecretToken, TenantKeys, TokenHash};
use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::limits::{self, Try};
use crate::principal::{Principal, SessionAuth};
use crate::users::{tell_of_sign_in, told_of_user};
use crate::{ApiParts, Tag, sessions};

/// How many recovery codes somebody has.
const RECOVERY_CODES: usize = 10;
/// A person's data key has one version: it goes with the person.
const KEY_VERSION: u32 = 1;

/// What an authenticator is set up with.
#[derive(Object)]
pub struct SecondFactorSetup {
    /// The secret in base 32, to be typed in.
    pub secret: String,
    /// The same as a link for an authenticator.
    pub uri: String,
    /// The link as a QR code: its rows from above, `#` for dark and blank for light.
    pub qr: Vec<String>,
}

/// A code of the authenticator.
#[derive(Object)]
pub struct SecondFactorCode {
    /// Six digits.
    #[oai(validator(min_length = 6, max_length = 10))]
    pub code: String,
}

/// Codes that stand in for the authenticator, once each.
#[derive(Object)]
pub struct RecoveryCodes {
    /// The codes. They are shown now and never again.
    pub codes: Vec<String>,
}

/// The second factor is asked for no longer.
#[derive(ApiResponse)]
pub enum SecondFactorRemoved {
    /// The password alone signs in.
    #[oai(status = 204)]
    Removed,
}

pub(crate) struct SecondFactorApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Users")]
impl SecondFactorApi {
    /// Begin to set up a second factor
    ///
    /// It is asked for only after a first code was confirmed. Beginning again takes the place of an unconfirmed one.
    #[oai(path = "/user/second-factor", method = "post", operation_id = "begin_second_factor")]
    async fn begin(&self, auth: SessionAuth) -> Result<Json<SecondFactorSetup>, ApiError> {
        let user = self.own(&auth.0).await?;
        if user.password_hash.is_none() {
            let detail = "whoever vouches for you asks for the second factor; here it goes with a password";
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        let totp = Totp::generate(&*self.0.entropy);
        let sealed = seal(&self.0, &user, totp.bytes()).await?;
        if !self.0.store.system().await?.offer_totp(user.id, &sealed).await? {
            let detail = "a second factor is set up; remove it first";
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        let setup = totp.setup(&user.email);
        Ok(Json(SecondFactorSetup { secret: setup.secret, uri: setup.uri, qr: setup.qr }))
    }

    /// Confirm the second factor
    ///
    /// From now on it is asked for at every sign-in. The recovery codes are shown now and never again.
    #[oai(path = "/user/second-factor/confirm", method = "post", operation_id = "confirm_second_factor")]
    async fn confirm(
        &self,
        request: &Request,
        auth: SessionAuth,
        body: Json<SecondFactorCode>,
    ) -> Result<Json<RecoveryCodes>, ApiError> {
        let user = self.own(&auth.0).await?;
        limits::take(&self.0, request, Try::SecondFactor { user: &user.id.to_string() }).await?;
        if user.totp_confirmed_at.is_some() {
            return Err(ApiError::new(ProblemCode::Conflict, "a second factor is set up already"));
        }
        if user.totp_secret.is_none() {
            return Err(ApiError::new(ProblemCode::Conflict, "begin to set a second factor up first"));
        }
        if !accept_totp(&self.0, &user, &body.0.code).await? {
            return Err(ApiError::field("code", "is not the code that the authenticator shows now"));
        }
        let (codes, hashes) = self.codes();
        let mut tx = self.0.store.system().await?.begin().await?;
        tx.system()?.confirm_totp(user.id, &hashes, self.0.clock.now()).await?;
        tell_of_sign_in(&self.0, &mut tx, &user).await?;
        told_of_user(&self.0, &mut tx, &auth.0, user.id, (Action::SecondFactorAdded, json!({}))).await?;
        tx.commit().await?;
        Ok(Json(RecoveryCodes { codes }))
    }

    /// Make new recovery codes
    ///
    /// The old ones stop working. Wants a fresh proof of who asks, by both factors.
    #[oai(path = "/user/recovery-codes", method = "post", operation_id = "replace_recovery_codes")]
    async fn replace(&self, auth: SessionAuth) -> Result<Json<RecoveryCodes>, ApiError> {
        let user = self.own_by_both(&auth.0).await?;
        if user.totp_confirmed_at.is_none() {
            return Err(ApiError::new(ProblemCode::Conflict, "no second factor is set up"));
        }
        let (codes, hashes) = self.codes();
        let mut tx = self.0.store.system().await?.begin().await?;
        tx.system()?.replace_recovery_codes(user.id, &hashes).await?;
        tell_of_sign_in(&self.0, &mut tx, &user).await?;
        told_of_user(&self.0, &mut tx, &auth.0, user.id, (Action::RecoveryCodesReplaced, json!({}))).await?;
        tx.commit().await?;
        Ok(Json(RecoveryCodes { codes }))
    }

    /// Remove the second factor
    ///
    /// Wants a fresh proof of who asks, by both factors. Removing again changes nothing.
    #[oai(path = "/user/second-factor", method = "delete", operation_id = "remove_second_factor")]
    async fn remove(&self, auth: SessionAuth) -> Result<SecondFactorRemoved, ApiError> {
        let user = self.own_by_both(&auth.0).await?;
        if user.totp_secret.is_none() {
            return Ok(SecondFactorRemoved::Removed);
        }
        let mut tx = self.0.store.system().await?.begin().await?;
        tx.system()?.remove_totp(user.id).await?;
        tell_of_sign_in(&self.0, &mut tx, &user).await?;
        told_of_user(&self.0, &mut tx, &auth.0, user.id, (Action::SecondFactorRemoved, json!({}))).await?;
        tx.commit().await?;
        Ok(SecondFactorRemoved::Removed)
    }
}

impl SecondFactorApi {
    async fn own(&self, principal: &Principal) -> Result<User, ApiError> {
        self.0.local_people()?;
        let (user, _) = principal.own_credentials_anew()?;
        Ok(self.0.store.system().await?.user(user).await?)
    }

    /// The same for what takes the second factor away or stands in for it: where one is confirmed, whoever asks has
    /// proven it, too. Google and GitHub vouch for one factor alone.
    async fn own_by_both(&self, principal: &Principal) -> Result<User, ApiError> {
        let user = self.own(principal).await?;
        if user.totp_confirmed_at.is_some() && !principal.two_factors {
            let detail =
                "prove it with your password and a code as well (POST /api/v1/session/proof), then try again";
            return Err(ApiError::new(ProblemCode::StepUpRequired, detail));
        }
        Ok(user)
    }

    fn codes(&self) -> (Vec<String>, Vec<[u8; 32]>) {
        let made = || {
            let token = SecretToken::generate(RECOVERY_PREFIX, &*self.0.entropy);
            (token.reveal().to_owned(), token.hash().0)
        };
        std::iter::repeat_with(made).take(RECOVERY_CODES).unzip()
    }
}

/// What signs in by one factor wants the second, where one is set up: says whether one is. Without a code, or with a
/// wrong one, [`ProblemCode::SecondFactorRequired`].
pub(crate) async fn required(
    parts: &Arc<ApiParts>,
    request: &Request,
    user: &User,
    code: Option<&str>,
) -> Result<bool, ApiError> {
    if user.totp_confirmed_at.is_none() {
        return Ok(false);
    }
    let refused = |detail| ApiError::new(ProblemCode::SecondFactorRequired, detail);
    let code = code.ok_or_else(|| refused("send the authenticator's code, or a recovery code, as well"))?;
    limits::take(parts, request, Try::SecondFactor { user: &user.id.to_string() }).await?;
    if !accept(parts, user, code).await? {
        sessions::note_refused_user(parts, request, Some(user.id), "second_factor");
        return Err(refused("the code is not right, or was used before"));
    }
    Ok(true)
}

/// Uses a code up, of the authenticator or of the recovery codes. Says whether it was right and not used before.
pub(crate) async fn accept(parts: &ApiParts, user: &User, code: &str) -> Result<bool, ApiError> {
    let code = code.trim();
    if code.starts_with(RECOVERY_PREFIX) {
        let hash = TokenHash::of(code).0;
        let mut system = parts.store.system().await?;
        return Ok(system.use_recovery_code(user.id, &hash, parts.clock.now()).await?);
    }
    accept_totp(parts, user, code).await
}

async fn accept_totp(parts: &ApiParts, user: &User, code: &str) -> Result<bool, ApiError> {
    let Some(sealed) = &user.totp_secret else { return Ok(false) };
    let totp = Totp::from_bytes(&open(parts, user, sealed).await?);
    let Some(step) = totp.matching_step(code, parts.clock.now().timestamp()) else { return Ok(false) };
    Ok(parts.store.system().await?.use_totp_step(user.id, step).await?)
}

/// A person's data key is wrapped as a tenant's first would be.
fn scope(user: UserId) -> TenantId {
    TenantId::from(user.uuid())
}

fn place(user: UserId) -> SealedFor<'static> {
    SealedFor { tenant: scope(user), table: "user_account", column: "totp_secret", row: user.uuid() }
}

async fn keys<'a>(parts: &'a ApiParts, user: &User) -> Result<TenantKeys<'a>, ApiError> {
    let (scope, wrapped) = (scope(user.id), [(KEY_VERSION, &user.wrapped_key)]);
    parts.keyring.ready(scope, &wrapped).await.map_err(unsealed)?;
    Ok(parts.keyring.tenant(scope, &wrapped))
}

async fn seal(parts: &ApiParts, user: &User, secret: &[u8]) -> Result<Vec<u8>, ApiError> {
    keys(parts, user).await?.seal(&place(user.id), secret, &*parts.entropy).map_err(unsealed)
}

async fn open(parts: &ApiParts, user: &User, sealed: &[u8]) -> Result<Vec<u8>, ApiError> {
    let secret = keys(parts, user).await?.open(&place(user.id), sealed).map_err(unsealed)?;
    Ok(secret.to_vec())
}

fn unsealed(error: SealError) -> ApiError {
    if error.is_passing() {
        return ApiError::new(ProblemCode::KeysUnavailable, format!("{error}; try again in a while"));
    }
    tracing::error!(%error, "a second factor cannot be read");
    ApiError::new(ProblemCode::Internal, "the cause has been logged under this request's id")
}

/// A fresh data key for a new person.
pub(crate) fn wrapped_key(parts: &ApiParts, user: UserId) -> Vec<u8> {
    parts.keyring.new_data_key(scope(user), KEY_VERSION, &*parts.entropy).0
}
