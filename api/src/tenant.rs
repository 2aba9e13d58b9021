//! The organisation itself: its name, and how long its people stay signed in.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::TenantId;
use costlens_domain::audit::Action;
use costlens_store::Tenant;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag, named};

/// The organisation.
#[derive(Object)]
#[oai(rename = "Tenant")]
pub struct TenantView {
    /// The organisation.
    pub id: Wire<TenantId>,
    /// What its people call it.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Whether the organisation wants everybody to sign in anew after an hour. Owners and admins do in any case, and
    /// everybody while an AWS account is connected.
    pub one_hour_sign_in: bool,
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: Wire(tenant.id),
            name: tenant.name,
            created_at: tenant.created_at,
            one_hour_sign_in: tenant.one_hour_sign_in,
        }
    }
}

/// What is to change of the organisation. What is absent stays.
#[derive(Object)]
pub struct UpdateTenant {
    /// What its people call it.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub name: Option<String>,
    /// Whether everybody signs in anew after an hour. While an AWS account is connected everybody does, too.
    #[oai(default, skip_serializing_if_is_none)]
    pub one_hour_sign_in: Option<bool>,
}

pub(crate) struct TenantApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Members")]
impl TenantApi {
    /// Look at the organisation
    #[oai(path = "/tenant", method = "get", operation_id = "get_tenant")]
    async fn get(&self, caller: Caller) -> Result<Json<TenantView>, ApiError> {
        let tenant = caller.require(Permission::SettingsRead)?;
        Ok(Json(self.0.store.tenant(tenant).await?.tenant().await?.into()))
    }

    /// Change the organisation
    ///
    /// Wants a fresh proof of who asks.
    #[oai(path = "/tenant", method = "patch", operation_id = "update_tenant")]
    async fn update(&self, caller: Caller, body: Json<UpdateTenant>) -> Result<Json<TenantView>, ApiError> {
        let principal = caller.principal();
        let tenant = principal.require_fresh(Permission::SettingsWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let before = conn.tenant().await?;
        let name = body.0.name.as_deref().map(named).transpose()?.unwrap_or(&before.name);
        let one_hour = body.0.one_hour_sign_in.unwrap_or(before.one_hour_sign_in);
        conn.change_tenant(name, one_hour).await?;
        let change = json!({ "renamed": name != before.name, "one_hour_sign_in": one_hour });
        principal.by().did(&self.0, &mut conn, (Action::TenantChanged, None), change).await?;
        let view = TenantView::from(conn.tenant().await?);
        conn.commit().await?;
        Ok(Json(view))
    }
}
