//! Sign-in by a single-use link, and the session it opens.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::Actor;
use costlens_domain::{ProblemCode, SessionId, TenantId};
use costlens_edge::Arrival;
use costlens_store::NewSession;
use costlens_vault::secret_token::SESSION_PREFIX;
use costlens_vault::{SecretToken, TokenHash};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::audit::By;
use crate::error::ApiError;
use crate::principal::{SESSION_COOKIE, SessionAuth, Who};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// No session outlives an hour.
const SESSION_LIFE: TimeDelta = TimeDelta::hours(1);

/// A sign-in link's token.
#[derive(Object)]
pub struct CreateSession {
    /// What stands behind `#t=` in the link.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub token: String,
}

/// Who is signed in.
#[derive(Object)]
#[oai(rename = "Session")]
pub struct SessionView {
    /// The session.
    pub id: Wire<SessionId>,
    /// Whose console it sees.
    pub tenant_id: Wire<TenantId>,
    /// What the tenant's people call it.
    pub tenant_name: String,
    /// From when it no longer works.
    pub expires_at: DateTime<Utc>,
    /// Whether who is signed in runs the service.
    pub operator: bool,
    /// Since when the account is being closed; null while it is open.
    #[oai(nullable)]
    pub closing_at: Option<DateTime<Utc>>,
}

/// A session was opened.
#[derive(ApiResponse)]
pub enum SignedIn {
    /// The session; its token is in the cookie alone.
    #[oai(status = 201)]
    Created(
        Json<SessionView>,
        /// The session's cookie: HTTP-only, SameSite=Strict.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

/// A session was ended.
#[derive(ApiResponse)]
pub enum SignedOut {
    /// It lets nobody in any more.
    #[oai(status = 204)]
    Ended(
        /// Takes the cookie away.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

pub(crate) struct SessionsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Sessions")]
impl SessionsApi {
    /// Sign in with a single-use link
    ///
    /// Uses the link up. Of any number of tries at once, one gets a session.
    #[oai(path = "/sessions", method = "post", operation_id = "create_session")]
    async fn create(&self, request: &poem::Request, body: Json<CreateSession>) -> Result<SignedIn, ApiError> {
        let now = self.0.clock.now();
        let token = SecretToken::generate(SESSION_PREFIX, &*self.0.entropy);
        let new = NewSession {
            id: SessionId::new(now, self.0.entropy.for_id()),
            hash: token.hash().0,
            expires_at: now + SESSION_LIFE,
        };
        let mut conn = self.0.store.system().await?;
        let session = conn.redeem_sign_in_link(&TokenHash::of(&body.0.token).0, &new, now).await?;
        drop(conn);
        let session = session.ok_or_else(|| {
            let detail = "the link is unknown, used or expired; `costlens sign-in` prints a new one";
            ApiError::new(ProblemCode::SignInLinkInvalid, detail)
        })?;
        let request_id = request.data::<Arrival>().map(|arrival| arrival.request_id);
        let by = By { actor: Actor::Session(session.id), request_id };
        let mut conn = self.0.store.tenant(session.tenant_id).await?;
        let target = ("session.opened", Some(session.id.to_string()));
        by.did(&self.0, &mut conn, target, json!({ "operator": session.operator })).await?;
        conn.commit().await?;
        let secure = if self.0.https { "; Secure" } else { "" };
        let seconds = SESSION_LIFE.num_seconds();
        let cookie = format!(
            "{SESSION_COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}",
            token.reveal()
        );
        Ok(SignedIn::Created(
            Json(self.view(session.id, session.tenant_id, session.expires_at, session.operator).await?),
            cookie,
        ))
    }

    /// Who is signed in
    #[oai(path = "/session", method = "get", operation_id = "get_session")]
    async fn get(&self, auth: SessionAuth) -> Result<Json<SessionView>, ApiError> {
        let Who::Session(id, expires_at) = auth.0.who else { return Err(ApiError::not_found()) };
        self.view(id, auth.0.tenant_id, expires_at, auth.0.operator).await.map(Json)
    }

    /// Sign out
    #[oai(path = "/session", method = "delete", operation_id = "delete_session")]
    async fn delete(&self, auth: SessionAuth) -> Result<SignedOut, ApiError> {
        if let Who::Session(id, _) = auth.0.who {
            self.0.store.system().await?.end_session(id, self.0.clock.now()).await?;
            let mut conn = self.0.store.tenant(auth.0.tenant_id).await?;
            let target = ("session.ended", Some(id.to_string()));
            auth.0.by().did(&self.0, &mut conn, target, json!({})).await?;
            conn.commit().await?;
        }
        Ok(SignedOut::Ended(format!("{SESSION_COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")))
    }
}

impl SessionsApi {
    async fn view(
        &self,
        id: SessionId,
        tenant_id: TenantId,
        expires_at: DateTime<Utc>,
        operator: bool,
    ) -> Result<SessionView, ApiError> {
        let tenant = self.0.store.tenant(tenant_id).await?.tenant().await?;
        Ok(SessionView {
            id: Wire(id),
            tenant_id: Wire(tenant.id),
            tenant_name: tenant.name,
            expires_at,
            operator,
            closing_at: tenant.closing_at,
        })
    }
}
