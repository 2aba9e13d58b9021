//! Leave for whoever runs the service to read prompts and answers: for a time, and taken back at once.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::Action;
use costlens_domain::{SupportGrantId, TenantId};
use costlens_store::{NewSupportGrant, SupportGrant};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::idempotent::{self, Claimed};
use crate::page::{Page, default_limit};
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// The most leaves that are listed to operators.
const HOLDING: u32 = 500;

/// Leave to be given.
#[derive(Object)]
pub struct CreateSupportGrant {
    /// For how many hours, 72 at most.
    #[oai(validator(minimum(value = "1"), maximum(value = "72")))]
    pub hours: u32,
    /// What for, in words; whoever reads prompts and answers sees it.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// Leave to read the account's prompts and answers.
#[derive(Object)]
#[oai(rename = "SupportGrant")]
pub struct SupportGrantView {
    /// The leave.
    pub id: Wire<SupportGrantId>,
    /// What for.
    pub reason: String,
    /// When it was given.
    pub granted_at: DateTime<Utc>,
    /// Until when it holds.
    pub expires_at: DateTime<Utc>,
    /// When it was taken back; null where it was not.
    #[oai(nullable)]
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether it holds now.
    pub holds: bool,
}

impl SupportGrantView {
    fn of(grant: SupportGrant, now: DateTime<Utc>) -> Self {
        let holds = grant.holds_at(now);
        let SupportGrant { id, reason, granted_at, expires_at, revoked_at } = grant;
        Self { id: Wire(id), reason, granted_at, expires_at, revoked_at, holds }
    }
}

/// Leave was given.
#[derive(ApiResponse)]
pub enum SupportGranted {
    /// It holds from now on.
    #[oai(status = 201)]
    Granted(Json<SupportGrantView>),
}

/// Leave was taken back.
#[derive(ApiResponse)]
pub enum SupportGrantRevoked {
    /// Nothing more is shown.
    #[oai(status = 204)]
    Revoked,
}

/// Leave that holds, and whose prompts and answers it is about.
#[derive(Object)]
pub struct OperatorSupportGrant {
    /// The leave.
    pub grant: SupportGrantView,
    /// Who gave it.
    pub tenant_id: Wire<TenantId>,
}

/// Every leave that holds.
#[derive(Object)]
pub struct OperatorSupportGrants {
    /// Those that end first, first; 500 at most.
    pub items: Vec<OperatorSupportGrant>,
}

pub(crate) struct SupportGrantsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1")]
impl SupportGrantsApi {
    /// List the leaves that were given
    ///
    /// Newest first, those that are over included.
    #[oai(
        path = "/support-grants",
        method = "get",
        operation_id = "list_support_grants",
        tag = "Tag::Privacy"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "default_limit", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Wire<SupportGrantId>>>,
    ) -> Result<Json<Page<SupportGrantView>>, ApiError> {
        let tenant = caller.require(Permission::SupportAccessRead)?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let grants = conn.list_support_grants(cursor.0.map(|id| id.0), limit.0.saturating_add(1)).await?;
        let view = |grant| SupportGrantView::of(grant, now);
        Ok(Json(Page::of(grants, limit.0, |grant| grant.id.to_string(), view)))
    }

    /// Let the operator read prompts and answers
    ///
    /// For some hours. Each time one is read stands in the account's audit.
    #[oai(
        path = "/support-grants",
        method = "post",
        operation_id = "create_support_grant",
        tag = "Tag::Privacy"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// The same key and body have one effect.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<CreateSupportGrant>,
    ) -> Result<SupportGranted, ApiError> {
        let tenant = caller.principal().require_fresh(Permission::SupportAccess)?;
        let reason = body.0.reason.trim();
        if reason.is_empty() {
            return Err(ApiError::field("reason", "must not be blank"));
        }
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = idempotency_key.0.as_ref();
        let claim =
            match idempotent::claim((&mut conn, &self.0.keyring), "create_support_grant", key, &body.0, now)
                .await?
            {
                Claimed::First(claim) => claim,
                Claimed::Again(json) => return Ok(SupportGranted::Granted(Json(idempotent::again(&json)?))),
            };
        let new = NewSupportGrant {
            id: SupportGrantId::new(now, self.0.entropy.for_id()),
            reason: reason.to_owned(),
            granted_at: now,
            expires_at: now + TimeDelta::hours(i64::from(body.0.hours)),
        };
        let view = SupportGrantView::of(conn.create_support_grant(&new).await?, now);
        let target = (Action::SupportGrantCreated, Some(new.id.to_string()));
        let change = json!({ "hours": body.0.hours, "expires_at": new.expires_at });
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        claim.finish(&mut conn, &view).await?;
        conn.commit().await?;
        Ok(SupportGranted::Granted(Json(view)))
    }

    /// Take leave back
    ///
    /// From this moment on nothing more is shown. Taking it back again changes nothing.
    #[oai(
        path = "/support-grants/:id",
        method = "delete",
        operation_id = "revoke_support_grant",
        tag = "Tag::Privacy"
    )]
    async fn revoke(
        &self,
        caller: Caller,
        id: Path<Wire<SupportGrantId>>,
    ) -> Result<SupportGrantRevoked, ApiError> {
        let tenant = caller.require(Permission::SupportAccess)?;
        let (id, now) = (id.0.0, self.0.clock.now());
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.support_grant(id).await?;
        if conn.revoke_support_grant(id, now).await? {
            let target = (Action::SupportGrantRevoked, Some(id.to_string()));
            caller.principal().by().did(&self.0, &mut conn, target, json!({})).await?;
            conn.commit().await?;
        }
        Ok(SupportGrantRevoked::Revoked)
    }

    /// List every leave that holds
    #[oai(
        path = "/operator/support-grants",
        method = "get",
        operation_id = "list_operator_support_grants",
        tag = "Tag::Operator"
    )]
    async fn holding(&self, caller: Caller) -> Result<Json<OperatorSupportGrants>, ApiError> {
        caller.require(Permission::Operate)?;
        let now = self.0.clock.now();
        let holding = self.0.store.system().await?.holding_support_grants(now, HOLDING).await?;
        let one = |(tenant, grant)| OperatorSupportGrant {
            grant: SupportGrantView::of(grant, now),
            tenant_id: Wire(tenant),
        };
        Ok(Json(OperatorSupportGrants { items: holding.into_iter().map(one).collect() }))
    }
}
