//! Signing in by a tenant's own identity provider: there and back again, as by Google or GitHub.
//!
//! A person is known by (issuer, subject) within the tenant, never by an address. Who comes for the first time becomes a
//! member, unless somebody has its address already: that one proves by its password who it is, and links. Who was removed
//! does not come back by coming again.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::members::normal_email;
use costlens_domain::single_sign_on::domain_of;
use costlens_domain::{ProblemCode, TenantId, UserId};
use costlens_identity::oidc::{Client, Oidc};
use costlens_identity::vouching::Vouched;
use costlens_store::{NewExchangeCode, SsoName, SsoProvider, SystemTx, UserLinkPurpose};
use poem::Request;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::json;

use super::secret_place;
use crate::audit::By;
use crate::cookies::{self, BROWSER_COOKIE};
use crate::error::ApiError;
use crate::limits::{self, Try};
use crate::opening::BY_PROVIDER;
use crate::principal::optional_session;
use crate::registrations::create_user;
use crate::sessions::{by_password, note_refusal};
use crate::trips::{
    self, Back, Departure, Meant, Onward, Towards, Trip, display_name, hand_over, read_state, told,
};
use crate::users::{mail, tell_of_sign_in};
use crate::wire::Wire;
use crate::{ApiParts, Tag, sealing};

/// Somebody who wants to come by its organisation's own identity provider.
#[derive(Object)]
pub struct StartSingleSignOn {
    /// The person's address; its domain says which organisation is meant. Left out with `link`.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 3, max_length = 254))]
    pub email: Option<String>,
    /// The password of whoever has one here, to let the provider vouch for the person from now on, too.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 1000))]
    pub password: Option<String>,
    /// The authenticator's code, or a recovery code, with the password of those who set a second factor up.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 100))]
    pub code: Option<String>,
    /// Whether the provider is to vouch for whoever is signed in from now on.
    #[oai(default)]
    pub link: bool,
    /// Whether it is to ask the person though it is signed in there: a proof for dangerous changes.
    #[oai(default)]
    pub anew: bool,
}

/// A trip to somebody who vouches.
#[derive(Object)]
pub struct SignInTrip {
    /// Where the browser is to go.
    pub url: String,
}

pub(crate) struct SingleSignOnTripApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Sessions")]
impl SingleSignOnTripApi {
    /// Go to one's organisation's own identity provider
    ///
    /// By an address in a domain that an organisation has proven; every address of a domain gets the same answer,
    /// whoever has it, and 404 means that no organisation comes this way. With `link`, whoever is signed in and proved it
    /// lately is vouched for by its organisation's provider from now on; with a password, whoever it is right for. Dangerous
    /// changes want a proof of the last quarter of an hour: the moment that the provider tells (`auth_time`), or a trip
    /// with `anew`.
    #[oai(path = "/single-sign-on/trips", method = "post", operation_id = "start_single_sign_on")]
    async fn start(
        &self,
        request: &Request,
        body: Json<StartSingleSignOn>,
    ) -> Result<Json<SignInTrip>, ApiError> {
        limits::take(&self.0, request, Try::SingleSignOn).await?;
        self.0.local_people()?;
        let (provider, meant) =
            if body.0.link { self.linked(request).await? } else { self.addressed(request, &body.0).await? };
        let nobody = || {
            let detail = "no organisation comes by single sign-on with an address of this domain";
            ApiError::new(ProblemCode::NotFound, detail)
        };
        let provider = provider.ok_or_else(nobody)?;
        let departure = Departure::to(&self.0, Towards::Tenants(provider.tenant_id, provider.id), meant)?;
        let oidc = self.oidc(&provider).await?;
        let url = oidc.authorize_url(&departure.trip.challenge()).await.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a tenant's identity provider cannot be asked"
            );
            ApiError::new(
                ProblemCode::VoucherUnavailable,
                "your organisation's identity provider cannot be asked now",
            )
        })?;
        departure.begin(&self.0, request);
        Ok(Json(SignInTrip { url }))
    }

    /// Come back from one's organisation's own identity provider
    ///
    /// Where it sends the browser. Answers with the next page of the console, which holds no token.
    #[oai(
        path = "/single-sign-on/:tenant_id/callback",
        method = "get",
        operation_id = "finish_single_sign_on"
    )]
    async fn finish(
        &self,
        request: &Request,
        /// Whose provider it is.
        tenant_id: Path<Wire<TenantId>>,
        /// What it gave for the person.
        code: Query<Option<String>>,
        /// What the browser took with it.
        state: Query<Option<String>>,
        /// Who it says it is (RFC 9207).
        iss: Query<Option<String>>,
    ) -> Result<Onward, ApiError> {
        limits::take(&self.0, request, Try::SingleSignOn).await?;
        self.0.local_people()?;
        let provider = self.0.store.system().await?.sso_provider_of(tenant_id.0.0).await?;
        let browser = cookies::incoming(request, BROWSER_COOKIE).map(str::to_owned);
        let (Some(provider), Some(browser)) = (provider, browser) else {
            return trips::back(&self.0, Back::Stale);
        };
        let (towards, now) = (Towards::Tenants(provider.tenant_id, provider.id), self.0.clock.now());
        let state = state.0.unwrap_or_default();
        let Some((until, meant)) = read_state(&self.0, towards, &browser, &state, now) else {
            return trips::back(&self.0, Back::Stale);
        };
        let trip = Trip::of(&self.0, towards, &browser, until, meant)?;
        let another = iss.0.is_some_and(|iss| iss != provider.issuer);
        let code = code.0.filter(|code| !another && !code.is_empty() && code.len() <= 2_048);
        let vouched = match code {
            None => Err(Back::Refused),
            Some(code) => {
                let redeemed = self.oidc(&provider).await?.redeem(&code, &trip.challenge()).await;
                redeemed.map_err(|error| told(&error))
            }
        };
        let said = vouched.as_ref().ok().and_then(|vouched| vouched.authenticated_at);
        let proven_at = match meant {
            // By its password, on the way there.
            Meant::LinkAndSignIn(_) => Some(now),
            // It was asked for, and many do not tell.
            Meant::SignInAnew => said.or(Some(now)),
            Meant::SignIn | Meant::Link(_) => said,
        };
        let mut tx = self.0.store.system().await?.begin().await?;
        let user = match vouched {
            Ok(vouched) => self.person(request, &mut tx, &provider, (until, meant, &vouched)).await?,
            Err(back) => Err(back),
        };
        let user = match user {
            Ok(user) => user,
            Err(back) => {
                // A mail may be on its way, and it is written down why nobody got in.
                let why = (BY_PROVIDER, back.word());
                note_refusal(&self.0, tx, request, Some(provider.tenant_id), why).await?;
                return trips::back(&self.0, back);
            }
        };
        if matches!(meant, Meant::Link(_)) {
            tx.commit().await?;
            return trips::onward(&self.0, "/profile");
        }
        let new = NewExchangeCode { user, method: BY_PROVIDER, provider: Some(provider.id), proven_at };
        let page = hand_over(&self.0, &mut tx, &browser, &new).await?;
        tx.commit().await?;
        trips::onward(&self.0, &page)
    }
}

impl SingleSignOnTripApi {
    /// The provider of whoever is signed in, which is to vouch for it.
    async fn linked(&self, request: &Request) -> Result<(Option<SsoProvider>, Meant), ApiError> {
        let principal = optional_session(request)
            .await
            .ok_or_else(|| ApiError::new(ProblemCode::SessionInvalid, "sign in first, then link"))?;
        let (user, _) = principal.own_credentials_anew()?;
        let provider = self.0.store.system().await?.sso_provider_of(principal.tenant_id).await?;
        Ok((provider, Meant::Link(user)))
    }

    /// The provider for an address's domain. A password is looked at before that, so that its answer says nothing else.
    async fn addressed(
        &self,
        request: &Request,
        body: &StartSingleSignOn,
    ) -> Result<(Option<SsoProvider>, Meant), ApiError> {
        let email = body.email.as_deref().and_then(normal_email);
        let email = email.ok_or_else(|| {
            ApiError::field("email", "is not an e-mail address such as someone@example.com")
        })?;
        let meant = match &body.password {
            None if body.anew => Meant::SignInAnew,
            None => Meant::SignIn,
            Some(password) => {
                let proof = (password.as_str(), body.code.as_deref());
                Meant::LinkAndSignIn(by_password(&self.0, request, &email, proof).await?.user.id)
            }
        };
        let provider = match domain_of(&email) {
            Some(domain) => self.0.store.system().await?.sso_provider_of_domain(&domain).await?,
            None => None,
        };
        Ok((provider, meant))
    }

    /// A tenant's provider, ready to be asked.
    async fn oidc(&self, provider: &SsoProvider) -> Result<Arc<Oidc>, ApiError> {
        let providers = &self.0.providers;
        if let Some(known) = providers.known(provider.id, provider.changed_at) {
            return Ok(known);
        }
        let place = secret_place(provider.tenant_id, provider.id);
        let secret = sealing::open(&self.0, &place, &provider.sealed_secret).await?;
        let client = Client { id: provider.client_id.clone(), secret };
        let unasked = providers.unasked(&provider.issuer, client);
        Ok(providers.remember(provider.id, provider.changed_at, unasked))
    }

    /// Who it is here that the provider vouches for.
    async fn person(
        &self,
        request: &Request,
        tx: &mut SystemTx,
        provider: &SsoProvider,
        (until, meant, vouched): (DateTime<Utc>, Meant, &Vouched),
    ) -> Result<Result<UserId, Back>, ApiError> {
        let of = provider.tenant_id;
        let Some(email) = &vouched.email else { return Ok(Err(Back::NoAddress)) };
        let proven = match domain_of(email) {
            Some(domain) => tx.system()?.has_proven_domain(of, &domain).await?,
            None => false,
        };
        if !proven {
            return Ok(Err(Back::ForeignDomain));
        }
        let known = tx.system()?.lock_sso_identity(of, &vouched.issuer, &vouched.subject).await?;
        let user = match (known, meant) {
            (SsoName::Of(known), Meant::SignIn | Meant::SignInAnew) => known,
            (SsoName::Of(known), Meant::Link(user) | Meant::LinkAndSignIn(user)) if known == user => known,
            (SsoName::Of(_), _) => return Ok(Err(Back::LinkedElsewhere)),
            // Nobody knows any more who it was, and it was removed.
            (SsoName::Forgotten, Meant::SignIn | Meant::SignInAnew)
                if !tx.system()?.is_invited(of, email, self.0.clock.now()).await? =>
            {
                return Ok(Err(Back::NotInvited));
            }
            (SsoName::New | SsoName::Forgotten, Meant::SignIn | Meant::SignInAnew) => {
                return self.newcomer(request, tx, provider, (vouched, email)).await;
            }
            (SsoName::New | SsoName::Forgotten, Meant::Link(user) | Meant::LinkAndSignIn(user)) => {
                let person = tx.system()?.lock_user(user).await?;
                if trips::is_overtaken(&person, until) {
                    return Ok(Err(Back::Stale));
                }
                tell_of_sign_in(&self.0, tx, &person).await?;
                user
            }
        };
        if !self.belongs(request, tx, provider, (user, email)).await? {
            return Ok(Err(Back::NotInvited));
        }
        if !matches!(known, SsoName::Of(_)) {
            self.link(request, tx, provider, (vouched, user)).await?;
        }
        Ok(Ok(user))
    }

    /// Whether a person is a member, or is invited and so becomes one.
    async fn belongs(
        &self,
        request: &Request,
        tx: &mut SystemTx,
        provider: &SsoProvider,
        (user, email): (UserId, &str),
    ) -> Result<bool, ApiError> {
        let of = provider.tenant_id;
        if tx.system()?.memberships(user).await?.iter().any(|membership| membership.tenant.id == of) {
            return Ok(true);
        }
        let now = self.0.clock.now();
        let Some(invitation) = tx.system()?.accept_invitation_of(of, email, now).await? else {
            return Ok(false);
        };
        tx.system()?.join(of, user, invitation.role, now).await?;
        let change = json!({ "role": invitation.role.as_str() });
        let by = By::of(request, Actor::User(user));
        let event = by.event(&self.0, Action::InvitationAccepted, Some(invitation.id.to_string()), change);
        tx.system()?.audit_of(of, &event).await?;
        Ok(true)
    }

    /// Somebody who comes for the first time, or was asked back after everybody had forgotten who it was.
    async fn newcomer(
        &self,
        request: &Request,
        tx: &mut SystemTx,
        provider: &SsoProvider,
        (vouched, email): (&Vouched, &str),
    ) -> Result<Result<UserId, Back>, ApiError> {
        if tx.system()?.is_email_known(email).await? {
            // Whoever reads the address should know that somebody tried.
            if limits::take(&self.0, request, Try::Letter { email }).await.is_ok() {
                mail(&self.0, tx, UserLinkPurpose::AccountExists, (email, None)).await?;
            }
            return Ok(Err(Back::AddressTaken));
        }
        let (of, now) = (provider.tenant_id, self.0.clock.now());
        let name = display_name(vouched, email);
        let user = create_user(&self.0, tx, (&name, email, None), now).await?.id;
        if !self.belongs(request, tx, provider, (user, email)).await? {
            tx.system()?.join(of, user, provider.default_role, now).await?;
            let change = json!({ "role": provider.default_role.as_str(), "issuer": provider.issuer });
            let by = By::of(request, Actor::User(user));
            let event = by.event(&self.0, Action::MemberJoined, Some(user.to_string()), change);
            tx.system()?.audit_of(of, &event).await?;
        }
        self.link(request, tx, provider, (vouched, user)).await?;
        Ok(Ok(user))
    }

    /// The provider vouches for this person from now on.
    async fn link(
        &self,
        request: &Request,
        tx: &mut SystemTx,
        provider: &SsoProvider,
        (vouched, user): (&Vouched, UserId),
    ) -> Result<(), ApiError> {
        let (of, named) = (provider.tenant_id, (vouched.issuer.as_str(), vouched.subject.as_str()));
        tx.system()?.link_sso_identity(of, named, user, self.0.clock.now()).await?;
        let by = By::of(request, Actor::User(user));
        let change = json!({ "issuer": vouched.issuer });
        let event = by.event(&self.0, Action::IdentityLinked, Some(user.to_string()), change);
        tx.system()?.audit_of(of, &event).await?;
        Ok(())
    }
}
