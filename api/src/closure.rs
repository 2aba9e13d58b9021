//! The end of an account: asked for, called off, and what is left of it, which is a certificate.

use std::sync::Arc;

use chrono::{DateTime, Days, TimeDelta, Utc};
use costlens_domain::audit::Action;
use costlens_domain::{ErasureId, ProblemCode};
use costlens_jobs::closures::{DEADLINE_DAYS, GRACE_DAYS};
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::Kind;
use costlens_notify::words::{DeletionCancelled, DeletionRequested};
use costlens_store::{Erasure, ErasureState, StoreError, TenantConn};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::{Value, json};

use crate::audit::By;
use crate::bounds::{self, Bound};
use crate::error::ApiError;
use crate::principal::{Caller, Permission, Who};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// How far the end of an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ErasureState", rename_all = "snake_case", remote = "ErasureState")]
pub enum ErasureStateView {
    /// The account is frozen, and can still be kept.
    Grace,
    /// It is being erased, and cannot be kept any more.
    Erasing,
    /// Nothing is left, and that is certified.
    Certified,
    /// The account was kept.
    Cancelled,
}

/// The end of the account.
#[derive(Object)]
#[oai(rename = "Closure")]
pub struct ClosureView {
    /// The erasure's number: all that names the account afterwards. Its certificate is found under it.
    pub erasure_id: Wire<ErasureId>,
    /// How far it is.
    pub state: ErasureStateView,
    /// When it was asked for; the account is frozen since.
    pub requested_at: DateTime<Utc>,
    /// Until when the account can be kept.
    pub erase_at: DateTime<Utc>,
    /// By when nothing of it is left.
    pub deadline_at: DateTime<Utc>,
}

impl From<Erasure> for ClosureView {
    fn from(erasure: Erasure) -> Self {
        Self {
            erasure_id: Wire(erasure.id),
            state: erasure.state.into(),
            requested_at: erasure.requested_at,
            erase_at: erasure.erase_at,
            deadline_at: erasure.deadline_at,
        }
    }
}

/// Whether the account is being closed.
#[derive(Object)]
pub struct ClosureStatus {
    /// The end that was asked for; null while the account is open.
    #[oai(nullable)]
    pub closure: Option<ClosureView>,
}

/// The wish that everything be erased.
#[derive(Object)]
pub struct RequestClosure {
    /// The account's name, exactly as it is shown.
    #[oai(validator(min_length = 1, max_length = 400))]
    pub confirm: String,
}

/// The account is frozen.
#[derive(ApiResponse)]
pub enum ClosureRequested {
    /// What happens when.
    #[oai(status = 201)]
    Frozen(Json<ClosureView>),
}

/// The account stays.
#[derive(ApiResponse)]
pub enum ClosureCancelled {
    /// The account is open, and everything works again.
    #[oai(status = 204)]
    Kept,
}

pub(crate) struct ClosureApi(pub(crate) Arc<ApiParts>);

/// How often a day the account's end can be asked for: each time its people get a letter, and another when it is kept.
const CLOSURES_A_DAY: u64 = 5;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Account")]
impl ClosureApi {
    /// Whether the account is being closed
    #[oai(path = "/account/closure", method = "get", operation_id = "get_closure")]
    async fn get(&self, caller: Caller) -> Result<Json<ClosureStatus>, ApiError> {
        let tenant = caller.require(Permission::AccountClose)?;
        let closure = self.0.store.tenant(tenant).await?.closure().await?;
        Ok(Json(ClosureStatus { closure: closure.map(Into::into) }))
    }

    /// Have the account erased
    ///
    /// From this moment it is frozen: keys are refused, workflows rest, and every other session and sign-in link ends.
    /// It can be kept for seven days; then all of it is erased, and the certificate says so within 30 days. At most five
    /// times a day.
    #[oai(path = "/account/closure", method = "post", operation_id = "request_closure")]
    async fn request(
        &self,
        caller: Caller,
        body: Json<RequestClosure>,
    ) -> Result<ClosureRequested, ApiError> {
        let principal = caller.principal();
        let tenant = principal.require_fresh(Permission::AccountClose)?;
        let Who::Session(session) = principal.who else { return Err(ApiError::not_found()) };
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let account = conn.tenant().await?;
        if body.0.confirm != account.name {
            return Err(ApiError::field("confirm", "is not the account's name as it is shown"));
        }
        let often = Bound {
            actions: &[Action::ClosureRequested],
            target: None,
            most: CLOSURES_A_DAY,
            within: TimeDelta::days(1),
            detail: "the account's end was asked for and taken back several times today; ask again tomorrow",
        };
        bounds::hold(&mut conn, &[often], now).await?;
        // Read by nobody's clock: the number is the certificate's only credential.
        let mut bytes = [0; 16];
        self.0.entropy.fill(&mut bytes);
        let id = ErasureId::from(uuid::Builder::from_random_bytes(bytes).into_uuid());
        let in_days = |days| now.checked_add_days(Days::new(days)).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let (erase_at, deadline_at) = (in_days(GRACE_DAYS), in_days(DEADLINE_DAYS));
        let asking = (principal.actor().to_string(), Some(session));
        let asking = (asking.0.as_str(), asking.1);
        let erasure = conn.request_closure(id, asking, now, erase_at, deadline_at).await?;
        let settings = conn.settings_or_initial(now).await?;
        let figures = DeletionRequested {
            tenant: account.name,
            requested_by: "Somebody who was signed in".to_owned(),
            at: now,
            erase_at,
            zone: settings.zone,
            cancel: self.0.link("/keep-account")?,
        };
        let telling = Telling {
            about: &format!("closure:{id}"),
            kind: Kind::DeletionRequested.as_str(),
            figures: crate::figures(&figures)?,
            audience: Audience::People,
            at: now,
            expires_at: erase_at,
        };
        tell(&mut conn, &telling, &*self.0.entropy).await?;
        let change = json!({ "erase_at": erase_at, "deadline_at": deadline_at });
        let target = (Action::ClosureRequested, Some(id.to_string()));
        principal.by().did(&self.0, &mut conn, target, change).await?;
        conn.commit().await?;
        Ok(ClosureRequested::Frozen(Json(erasure.into())))
    }

    /// Keep the account
    ///
    /// Until the days of grace are over. Everything that was frozen works again; keeping one that is not being closed
    /// changes nothing.
    #[oai(path = "/account/closure", method = "delete", operation_id = "cancel_closure")]
    async fn cancel(&self, caller: Caller) -> Result<ClosureCancelled, ApiError> {
        let tenant = caller.require(Permission::AccountClose)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        if conn.closure().await?.is_some() {
            cancel(&self.0, &mut conn, caller.principal().by()).await?;
            conn.commit().await?;
        }
        Ok(ClosureCancelled::Kept)
    }

    /// Get the certificate of an erasure
    ///
    /// For whoever was told its number: the account is gone, and nobody can sign in to it. There is none before the
    /// erasure is done. It says when each part was erased, what was counted afterwards, and carries the service's tag.
    #[oai(path = "/erasures/:id/certificate", method = "get", operation_id = "get_erasure_certificate")]
    async fn certificate(&self, id: Path<Wire<ErasureId>>) -> Result<Json<Value>, ApiError> {
        let (erasure, _) = self.0.store.system().await?.erasure(id.0.0).await?;
        erasure.certificate.map(Json).ok_or_else(ApiError::not_found)
    }
}

/// Keeps the account, writes that down, and tells its people, in this transaction.
pub(crate) async fn cancel(parts: &ApiParts, conn: &mut TenantConn, by: By) -> Result<(), ApiError> {
    let now = parts.clock.now();
    let erasure = conn.cancel_closure(now).await.map_err(|error| match error {
        StoreError::NotFound => too_late(),
        other => other.into(),
    })?;
    let settings = conn.settings_or_initial(now).await?;
    let by_link = by.actor == costlens_domain::audit::Actor::Link;
    let figures = DeletionCancelled {
        tenant: conn.tenant().await?.name,
        cancelled_by: if by_link { "Somebody who had the link" } else { "Somebody who was signed in" }
            .to_owned(),
        at: now,
        zone: settings.zone,
        console: parts.link("/")?,
    };
    let telling = Telling {
        about: &format!("closure-cancelled:{}", erasure.id),
        kind: Kind::DeletionCancelled.as_str(),
        figures: crate::figures(&figures)?,
        audience: Audience::People,
        at: now,
        expires_at: now.checked_add_days(Days::new(GRACE_DAYS)).unwrap_or(now),
    };
    tell(conn, &telling, &*parts.entropy).await?;
    let target = (Action::ClosureCancelled, Some(erasure.id.to_string()));
    by.did(parts, conn, target, json!({})).await?;
    Ok(())
}

/// The days of grace are over.
pub(crate) fn too_late() -> ApiError {
    ApiError::new(ProblemCode::Conflict, "the account is being erased and cannot be kept any more")
}
