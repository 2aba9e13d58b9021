//! Single sign-on: a tenant's own identity provider, and the domains of e-mail addresses that are the tenant's.
//!
//! Who registers a provider says who may come in, so each change wants a fresh proof of who asks. What a provider vouches
//! for holds in its tenant alone, for addresses in domains that the tenant has proven, and for no longer than an hour; it
//! makes nobody an owner or admin. See ADR 0020.

pub mod trip;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::Action;
use costlens_domain::single_sign_on::{Look, may_be_default, still_counts};
use costlens_domain::{ProblemCode, Role, SsoDomainId, SsoProviderId, TenantId};
use costlens_egress::EndpointUrl;
use costlens_identity::oidc::Client;
use costlens_identity::single_sign_on::{look, provable, record, record_names};
use costlens_store::{SsoDomain, SsoProvider, TenantConn};
use costlens_vault::{SealedFor, SecretToken};
use poem::Request;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::json;

use crate::error::ApiError;
use crate::limits::{self, Try};
use crate::principal::{Caller, Permission, Principal};
use crate::sessions::RoleView;
use crate::trips::tenant_callback;
use crate::wire::Wire;
use crate::{ApiParts, Tag, refused, sealing};

pub(crate) use trip::SingleSignOnTripApi;

/// The most domains of an organisation.
const MOST_DOMAINS: usize = 20;

/// The organisation's own identity provider, without our secret there.
#[derive(Object)]
#[oai(rename = "SingleSignOnProvider")]
pub struct ProviderView {
    /// The provider. Another issuer or client is another one.
    pub id: Wire<SsoProviderId>,
    /// Who vouches, as it writes itself in its tokens.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// What somebody becomes who comes for the first time and was not invited.
    pub default_role: RoleView,
    /// Whether members with addresses in a proven domain must come by it. Owners may come as ever.
    pub required: bool,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
    /// When anything of it last changed.
    pub changed_at: DateTime<Utc>,
}

impl From<SsoProvider> for ProviderView {
    fn from(provider: SsoProvider) -> Self {
        Self {
            id: Wire(provider.id),
            issuer: provider.issuer,
            client_id: provider.client_id,
            default_role: provider.default_role.into(),
            required: provider.required,
            created_at: provider.created_at,
            changed_at: provider.changed_at,
        }
    }
}

/// How far a domain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "SingleSignOnDomainState", rename_all = "snake_case")]
pub enum DomainState {
    /// Its record was not seen yet, or was gone for too long: it does not count.
    Pending,
    /// It counts.
    Proven,
    /// It counts, and its record was not seen when it was last looked for. After 72 hours it counts no longer.
    Failing,
}

/// A domain of e-mail addresses that the organisation says is its own.
#[derive(Object)]
#[oai(rename = "SingleSignOnDomain")]
pub struct DomainView {
    /// The domain.
    pub id: Wire<SsoDomainId>,
    /// Its name.
    pub domain: String,
    /// How far it is.
    pub state: DomainState,
    /// Where the record is to stand; at the domain itself does as well.
    pub record_name: String,
    /// What the TXT record must say.
    pub record: String,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When the record was last looked for and an answer came.
    #[oai(nullable)]
    pub checked_at: Option<DateTime<Utc>>,
    /// When the record was last seen.
    #[oai(nullable)]
    pub seen_at: Option<DateTime<Utc>>,
    /// Since when it counts; null where it does not.
    #[oai(nullable)]
    pub proven_at: Option<DateTime<Utc>>,
}

impl From<SsoDomain> for DomainView {
    fn from(domain: SsoDomain) -> Self {
        let state = match domain.proven_at {
            None => DomainState::Pending,
            Some(_) if domain.checked_at > domain.seen_at => DomainState::Failing,
            Some(_) => DomainState::Proven,
        };
        let [record_name, _] = record_names(&domain.domain);
        Self {
            id: Wire(domain.id),
            state,
            record_name,
            record: record(&domain.token),
            domain: domain.domain,
            created_at: domain.created_at,
            checked_at: domain.checked_at,
            seen_at: domain.seen_at,
            proven_at: domain.proven_at,
        }
    }
}

/// How the organisation's people may come by its own identity provider.
#[derive(Object)]
#[oai(rename = "SingleSignOn")]
pub struct SingleSignOnView {
    /// Where the provider must send browsers back to, to be registered there.
    pub redirect_uri: String,
    /// The provider; null where there is none.
    #[oai(nullable)]
    pub provider: Option<ProviderView>,
    /// The domains, oldest first.
    pub domains: Vec<DomainView>,
    /// How many members with addresses in proven domains the provider never vouched for, owners left out: each links
    /// itself with its password at its next sign-in, if the provider is required.
    pub unlinked_members: u64,
}

/// A provider to be set up, or what is to change of it.
#[derive(Object)]
pub struct SetSingleSignOn {
    /// Who vouches: the provider's issuer, by https, to the last character.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub issuer: String,
    /// Our name there.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub client_id: String,
    /// Our secret there. It is sealed before it is stored and never given out again. May be left out where issuer and
    /// client stay the same: then it stays, too.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 1000))]
    pub client_secret: Option<String>,
    /// What somebody becomes who comes for the first time and was not invited: `viewer`, `member` or `analyst`.
    #[oai(default = "viewer")]
    pub default_role: RoleView,
    /// Whether members with addresses in a proven domain must come by it. Owners may come as ever.
    #[oai(default)]
    pub required: bool,
}

const fn viewer() -> RoleView {
    RoleView::Viewer
}

/// Nobody comes by a provider of the organisation's any more.
#[derive(ApiResponse)]
pub enum SingleSignOnRemoved {
    /// Every session that it vouched for has ended. Its people stay members.
    #[oai(status = 204)]
    Removed,
}

/// A domain to be proven.
#[derive(Object)]
pub struct CreateSingleSignOnDomain {
    /// The domain, such as `example.com`.
    #[oai(validator(min_length = 1, max_length = 255))]
    pub domain: String,
}

/// A domain was added.
#[derive(ApiResponse)]
pub enum DomainCreated {
    /// The domain, with the record that proves it.
    #[oai(status = 201)]
    Created(Json<DomainView>),
}

/// A domain was removed.
#[derive(ApiResponse)]
pub enum DomainDeleted {
    /// It counts no longer.
    #[oai(status = 204)]
    Deleted,
}

pub(crate) struct SingleSignOnApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Members")]
impl SingleSignOnApi {
    /// Look at the organisation's own identity provider
    #[oai(path = "/single-sign-on", method = "get", operation_id = "get_single_sign_on")]
    async fn get(&self, caller: Caller) -> Result<Json<SingleSignOnView>, ApiError> {
        let tenant = caller.require(Permission::SingleSignOnRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        self.view(&mut conn).await.map(Json)
    }

    /// Set the organisation's own identity provider up, or change it
    ///
    /// By OpenID Connect. The provider is asked what it says of itself before anything is stored. Another issuer or
    /// client takes the place of the one before, and ends every session that that one vouched for; it wants its secret.
    /// Wants a fresh proof of who asks.
    #[oai(path = "/single-sign-on", method = "put", operation_id = "set_single_sign_on")]
    async fn set(
        &self,
        caller: Caller,
        body: Json<SetSingleSignOn>,
    ) -> Result<Json<SingleSignOnView>, ApiError> {
        self.0.local_people()?;
        let principal = caller.principal();
        let tenant = principal.require_fresh(Permission::SingleSignOnWrite)?;
        let body = body.0;
        let role = self.check(&body)?;
        let present = self.0.store.tenant(tenant).await?.sso_provider().await?;
        let stays = present.clone().filter(|of| of.issuer == body.issuer && of.client_id == body.client_id);
        if stays.is_none() {
            let Some(secret) = &body.client_secret else {
                let detail = "is needed with another issuer or client: the one before is not sent to another";
                return Err(ApiError::field("client_secret", detail));
            };
            let client = Client { id: body.client_id.clone(), secret: secret.clone().into() };
            let asked = self.0.providers.unasked(&body.issuer, client).introduce().await;
            asked.map_err(|error| refused("issuer", &error))?;
        }
        let now = self.0.clock.now();
        sealing::ready(&self.0, tenant).await?;
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.lock_count("single_sign_on").await?;
        if conn.sso_provider().await? != present {
            return Err(ApiError::new(
                ProblemCode::Conflict,
                "it was changed meanwhile; look at it and try again",
            ));
        }
        let id = stays.as_ref().map(|of| of.id);
        let id = id.unwrap_or_else(|| SsoProviderId::new(now, self.0.entropy.for_id()));
        let place = secret_place(tenant, id);
        let sealed_secret = match (&body.client_secret, &stays) {
            (Some(secret), _) => sealing::seal(&self.0, &mut conn, &place, secret, now).await?,
            (None, Some(stays)) => stays.sealed_secret.clone(),
            (None, None) => return Err(ApiError::field("client_secret", "is needed")),
        };
        let new = SsoProvider {
            tenant_id: tenant,
            id,
            issuer: body.issuer,
            client_id: body.client_id,
            sealed_secret,
            default_role: role,
            required: body.required,
            created_at: stays.as_ref().map_or(now, |of| of.created_at),
            changed_at: now,
        };
        let mut change = json!({
            "issuer": new.issuer, "default_role": role.as_str(), "required": new.required,
            "another_secret": body.client_secret.is_some(),
        });
        let action = if stays.is_some() {
            conn.change_sso_provider(&new).await?;
            Action::SingleSignOnChanged
        } else {
            if let Some(before) = &present {
                let ended = conn.remove_sso_provider(before.id, &before.id.to_string(), now).await?;
                if let Some(change) = change.as_object_mut() {
                    change.insert("instead_of".to_owned(), before.issuer.clone().into());
                    change.insert("sessions_ended".to_owned(), ended.into());
                }
            }
            conn.create_sso_provider(&new).await?;
            Action::SingleSignOnConfigured
        };
        principal.by().did(&self.0, &mut conn, (action, Some(id.to_string())), change).await?;
        let view = self.view(&mut conn).await?;
        conn.commit().await?;
        Ok(Json(view))
    }

    /// Remove the organisation's own identity provider
    ///
    /// Every session that it vouched for ends at once. Its people stay members, and come in other ways: who has none
    /// is invited anew. Domains stay proven. Wants a fresh proof of who asks.
    #[oai(path = "/single-sign-on", method = "delete", operation_id = "remove_single_sign_on")]
    async fn remove(&self, caller: Caller) -> Result<SingleSignOnRemoved, ApiError> {
        self.0.local_people()?;
        let principal = caller.principal();
        let tenant = principal.require_fresh(Permission::SingleSignOnWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.lock_count("single_sign_on").await?;
        if let Some(provider) = conn.sso_provider().await? {
            let id = provider.id;
            let ended = conn.remove_sso_provider(id, &id.to_string(), self.0.clock.now()).await?;
            let change = json!({ "issuer": provider.issuer, "sessions_ended": ended });
            let target = (Action::SingleSignOnRemoved, Some(id.to_string()));
            principal.by().did(&self.0, &mut conn, target, change).await?;
            conn.commit().await?;
        }
        Ok(SingleSignOnRemoved::Removed)
    }

    /// Say that a domain is the organisation's
    ///
    /// It counts once a TXT record proves it. Suffixes below which anybody may have a domain, and domains of mail
    /// providers, are refused.
    #[oai(path = "/single-sign-on/domains", method = "post", operation_id = "create_single_sign_on_domain")]
    async fn add(
        &self,
        caller: Caller,
        body: Json<CreateSingleSignOnDomain>,
    ) -> Result<DomainCreated, ApiError> {
        self.0.local_people()?;
        let principal = caller.principal();
        let tenant = principal.require(Permission::SingleSignOnWrite)?;
        let domain = provable(&body.0.domain).map_err(|bad| ApiError::field("domain", &bad.to_string()))?;
        let now = self.0.clock.now();
        let mut conn = self.0.store.tenant(tenant).await?;
        conn.lock_count("single_sign_on").await?;
        if conn.sso_domains().await?.len() >= MOST_DOMAINS {
            let detail = format!("an organisation has at most {MOST_DOMAINS} domains; remove one first");
            return Err(ApiError::new(ProblemCode::LimitReached, detail));
        }
        let new = SsoDomain {
            id: SsoDomainId::new(now, self.0.entropy.for_id()),
            domain,
            token: SecretToken::generate("", &*self.0.entropy).reveal().to_owned(),
            created_at: now,
            checked_at: None,
            seen_at: None,
            proven_at: None,
        };
        conn.create_sso_domain(&new).await?;
        let target = (Action::SingleSignOnDomainAdded, Some(new.id.to_string()));
        let change = json!({ "domain": new.domain });
        principal.by().did(&self.0, &mut conn, target, change).await?;
        conn.commit().await?;
        Ok(DomainCreated::Created(Json(new.into())))
    }

    /// Look for a domain's record now
    ///
    /// Where the record is seen, the domain counts from now on. It is looked for every six hours besides; one that was
    /// proven counts for 72 hours without its record. Wants a fresh proof of who asks.
    #[oai(
        path = "/single-sign-on/domains/:id/check",
        method = "post",
        operation_id = "check_single_sign_on_domain"
    )]
    async fn look(
        &self,
        request: &Request,
        caller: Caller,
        /// The domain.
        id: Path<Wire<SsoDomainId>>,
    ) -> Result<Json<DomainView>, ApiError> {
        self.0.local_people()?;
        let principal = caller.principal();
        let tenant = principal.require_fresh(Permission::SingleSignOnWrite)?;
        let id = id.0.0;
        // No transaction waits for a name server.
        let domain = self.0.store.tenant(tenant).await?.sso_domain(id).await?;
        limits::take(&self.0, request, Try::DomainLook { tenant: &tenant.to_string() }).await?;
        let seen = look(self.0.providers.egress(), &domain.domain, &domain.token).await;
        if seen == Look::Silent {
            let detail = "the domain's name servers gave no answer; try again in a while";
            return Err(ApiError::new(ProblemCode::Unavailable, detail));
        }
        let mut conn = self.0.store.tenant(tenant).await?;
        self.settle(principal, &mut conn, &domain, seen).await?;
        let view = DomainView::from(conn.sso_domain(id).await?);
        conn.commit().await?;
        Ok(Json(view))
    }

    /// Remove a domain
    ///
    /// Nobody signs in by an address of it from now on; whoever is signed in is so until its hour is over. Wants a
    /// fresh proof of who asks.
    #[oai(
        path = "/single-sign-on/domains/:id",
        method = "delete",
        operation_id = "delete_single_sign_on_domain"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The domain.
        id: Path<Wire<SsoDomainId>>,
    ) -> Result<DomainDeleted, ApiError> {
        self.0.local_people()?;
        let principal = caller.principal();
        let tenant = principal.require_fresh(Permission::SingleSignOnWrite)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let domain = conn.sso_domain(id.0.0).await?;
        conn.delete_sso_domain(domain.id).await?;
        let target = (Action::SingleSignOnDomainRemoved, Some(domain.id.to_string()));
        let change = json!({ "domain": domain.domain, "was_proven": domain.proven_at.is_some() });
        principal.by().did(&self.0, &mut conn, target, change).await?;
        conn.commit().await?;
        Ok(DomainDeleted::Deleted)
    }
}

impl SingleSignOnApi {
    async fn view(&self, conn: &mut TenantConn) -> Result<SingleSignOnView, ApiError> {
        let provider = conn.sso_provider().await?;
        let unlinked_members = match &provider {
            Some(provider) => conn.members_without_sso(&provider.issuer).await?,
            None => 0,
        };
        let domains = conn.sso_domains().await?;
        Ok(SingleSignOnView {
            redirect_uri: self.0.link(&tenant_callback(conn.tenant_id()))?.as_str().to_owned(),
            provider: provider.map(Into::into),
            domains: domains.into_iter().map(Into::into).collect(),
            unlinked_members,
        })
    }

    /// Checks what the types cannot say; gives what newcomers become.
    fn check(&self, body: &SetSingleSignOn) -> Result<Role, ApiError> {
        let role = Role::from(body.default_role);
        if !may_be_default(role) {
            let detail = "must be viewer, member or analyst: nobody comes to run the account unasked";
            return Err(ApiError::field("default_role", detail));
        }
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
        if !plain(&body.client_id) {
            return Err(ApiError::field("client_id", "must be printable ASCII without spaces"));
        }
        if body.client_secret.as_deref().is_some_and(|secret| !plain(secret)) {
            return Err(ApiError::field("client_secret", "must be printable ASCII without spaces"));
        }
        EndpointUrl::parse(&body.issuer, &self.0.egress_policy).map_err(|error| refused("issuer", &error))?;
        Ok(role)
    }

    /// Writes down what was seen of a domain's record.
    async fn settle(
        &self,
        principal: &Principal,
        conn: &mut TenantConn,
        domain: &SsoDomain,
        seen: Look,
    ) -> Result<(), ApiError> {
        let now = self.0.clock.now();
        let id = domain.id;
        let action = if seen == Look::Seen {
            conn.see_sso_domain(id, now).await?.then_some(Action::SingleSignOnDomainProven)
        } else {
            conn.miss_sso_domain(id, now).await?;
            match domain.seen_at.filter(|seen_at| !still_counts(*seen_at, seen, now)) {
                Some(seen_at) if conn.lose_sso_domain(id, seen_at).await? => {
                    Some(Action::SingleSignOnDomainLost)
                }
                _ => None,
            }
        };
        if let Some(action) = action {
            let change = json!({ "domain": domain.domain });
            principal.by().did(&self.0, conn, (action, Some(id.to_string())), change).await?;
        }
        Ok(())
    }
}

/// Where the secret of a provider stands.
fn secret_place(tenant: TenantId, id: SsoProviderId) -> SealedFor<'static> {
    SealedFor { tenant, table: "sso_provider", column: "sealed_secret", row: id.uuid() }
}
