//! Signing in by somebody whom the operator set up to vouch (`trips` says how a browser goes there and comes back), and
//! trading what a browser came back with for a session.
//!
//! Nobody becomes a user who is there already because the addresses are the same: who is there signs in, and links.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::{ProblemCode, Role, TenantId, UserId};
use costlens_identity::vouching::{Vouched, Voucher};
use costlens_store::{NewExchangeCode, SystemTx, Tenant, UserLinkPurpose};
use costlens_vault::TokenHash;
use poem::Request;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::audit::By;
use crate::cookies::{self, BROWSER_COOKIE, Binding, Outgoing};
use crate::error::ApiError;
use crate::limits::{self, Try};
use crate::opening::{self, Proof};
use crate::principal::{SessionAuth, optional_session};
use crate::registrations::create_user;
use crate::sessions::{SignedIn, view};
use crate::trips::{
    self, Back, Departure, Meant, Onward, Towards, Trip, display_name, hand_over, read_state, told,
};
use crate::users::{mail, tell_of_sign_in, told_of_user};
use crate::wire::Wire;
use crate::{ApiParts, SignUp, Tag, second_factor};

/// What the browser got when it came back.
#[derive(Object)]
pub struct ExchangeCode {
    /// What stands behind `#x=` in the address.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub code: String,
    /// The authenticator's code, or a recovery code; asked for by `second_factor_required`, which uses nothing up.
    #[oai(default, skip_serializing_if_is_none, validator(min_length = 1, max_length = 100))]
    pub second_factor: Option<String>,
    /// Which organisation to see; by default the first.
    #[oai(default, skip_serializing_if_is_none)]
    pub tenant_id: Option<Wire<TenantId>>,
}

/// They vouch for this person no longer.
#[derive(ApiResponse)]
pub enum IdentityUnlinked {
    /// The person signs in in its other ways.
    #[oai(status = 204)]
    Unlinked,
}

pub(crate) struct OauthApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Sessions")]
impl OauthApi {
    /// Go to somebody who vouches
    ///
    /// Sends the browser to `google` or `github`. With `link`, whoever is signed in and proved it lately adds them to
    /// its ways of signing in; with `anew` they show the person its accounts though it is signed in there.
    #[oai(path = "/oauth/:provider/start", method = "get", operation_id = "start_oauth")]
    async fn start(
        &self,
        request: &Request,
        /// `google` or `github`.
        provider: Path<String>,
        /// Whether to add them to one's own user.
        #[oai(default)]
        link: Query<bool>,
        /// Whether the person is to be asked there though it is signed in.
        #[oai(default)]
        anew: Query<bool>,
    ) -> Result<Onward, ApiError> {
        let voucher = self.offered(&provider.0)?;
        limits::take(&self.0, request, Try::Link).await?;
        let meant = if link.0 {
            let principal = optional_session(request)
                .await
                .ok_or_else(|| ApiError::new(ProblemCode::SessionInvalid, "sign in first, then link"))?;
            Meant::Link(principal.own_credentials_anew()?.0)
        } else if anew.0 {
            Meant::SignInAnew
        } else {
            Meant::SignIn
        };
        let departure = Departure::to(&self.0, Towards::Operators(voucher), meant)?;
        let asked = self.0.vouchers.authorize_url(voucher, &departure.trip.challenge()).await;
        let url = match asked.ok_or_else(ApiError::not_found)? {
            Ok(url) => url,
            Err(error) => return self.back(told(&error)),
        };
        departure.begin(&self.0, request);
        Ok(Onward::To(url))
    }

    /// Come back from somebody who vouched
    ///
    /// Where they send the browser. Answers with the next page of the console, which holds no token.
    #[oai(path = "/oauth/:provider/callback", method = "get", operation_id = "finish_oauth")]
    async fn finish(
        &self,
        request: &Request,
        /// `google` or `github`.
        provider: Path<String>,
        /// What they gave for the person.
        code: Query<Option<String>>,
        /// What the browser took with it.
        state: Query<Option<String>>,
    ) -> Result<Onward, ApiError> {
        let voucher = self.offered(&provider.0)?;
        limits::take(&self.0, request, Try::Link).await?;
        let Some(browser) = cookies::incoming(request, BROWSER_COOKIE).map(str::to_owned) else {
            return self.back(Back::Stale);
        };
        let (towards, now) = (Towards::Operators(voucher), self.0.clock.now());
        let state = state.0.unwrap_or_default();
        let Some((until, meant)) = read_state(&self.0, towards, &browser, &state, now) else {
            return self.back(Back::Stale);
        };
        let Some(code) = code.0.filter(|code| !code.is_empty() && code.len() <= 2_048) else {
            return self.back(Back::Refused);
        };
        let trip = Trip::of(&self.0, towards, &browser, until, meant)?;
        let vouched = self.0.vouchers.redeem(voucher, &code, &trip.challenge()).await;
        let vouched = match vouched.ok_or_else(ApiError::not_found)? {
            Ok(vouched) => vouched,
            Err(error) => return self.back(told(&error)),
        };
        let mut tx = self.0.store.system().await?.begin().await?;
        let user = match meant {
            Meant::Link(user) | Meant::LinkAndSignIn(user) => {
                match self.link(request, &mut tx, (user, until), &vouched).await? {
                    Ok(()) => {
                        tx.commit().await?;
                        return self.onward("/profile");
                    }
                    Err(back) => return self.back(back),
                }
            }
            Meant::SignIn | Meant::SignInAnew => match self.user(request, &mut tx, &vouched).await? {
                Ok(user) => user,
                Err(back) => {
                    // A mail may be on its way.
                    tx.commit().await?;
                    return self.back(back);
                }
            },
        };
        // Who asks nobody anew, and does not tell when it last did, is believed: nothing better can be had of them.
        let proven_at = Some(vouched.authenticated_at.unwrap_or(now));
        let new = NewExchangeCode { user, method: voucher.as_str(), provider: None, proven_at };
        let page = hand_over(&self.0, &mut tx, &browser, &new).await?;
        tx.commit().await?;
        self.onward(&page)
    }

    /// Sign in with the code that came back
    ///
    /// Works once, within a minute, in the browser that left. Where a second factor is set up and no organisation's own
    /// provider vouched, the code alone is answered with `second_factor_required`; the same call with `second_factor`
    /// signs in.
    #[oai(path = "/sessions/exchange", method = "post", operation_id = "create_exchanged_session")]
    async fn exchange(&self, request: &Request, body: Json<ExchangeCode>) -> Result<SignedIn, ApiError> {
        limits::take(&self.0, request, Try::Link).await?;
        self.0.local_people()?;
        let refused = || {
            let detail = "the code is unknown, used or too old, or another browser's; sign in again";
            ApiError::new(ProblemCode::SignInRefused, detail)
        };
        let browser = cookies::incoming(request, BROWSER_COOKIE).ok_or_else(refused)?;
        let hashes = (&TokenHash::of(&body.0.code).0, &TokenHash::of(browser).0);
        let mut tx = self.0.store.system().await?.begin().await?;
        let now = self.0.clock.now();
        let used = tx.system()?.use_exchange_code(hashes, now).await?.ok_or_else(refused)?;
        let user = tx.system()?.user(used.user).await?;
        let (wanted, proof) = match used.provider {
            None => {
                let code = body.0.second_factor.as_deref();
                let two_factors = second_factor::required(&self.0, request, &user, code).await?;
                let proof = Proof::by(&used.method, two_factors);
                // A second factor was shown just now.
                let proof = if two_factors { proof } else { proof.made_at(used.proven_at, now) };
                (body.0.tenant_id.map(|id| id.0), proof)
            }
            // A tenant's provider vouches in that tenant, and while it is the tenant's.
            Some(id) => {
                let provider = tx.system()?.sso_provider_by_id(id).await?.ok_or_else(refused)?;
                (Some(provider.tenant_id), Proof::by_provider(id, now).made_at(used.proven_at, now))
            }
        };
        let memberships = tx.system()?.memberships(user.id).await?;
        let membership = opening::membership(memberships, wanted)?;
        let opened = opening::open(&self.0, &mut tx, request, (&user, &membership), &proof, None).await?;
        tx.commit().await?;
        opened.give(&self.0, request);
        Binding { https: self.0.https }.browser(&Outgoing::of(request), "", 0);
        view(&self.0, opened.id).await.map(|view| SignedIn::Created(Json(view)))
    }

    /// No longer sign in by somebody who vouches
    ///
    /// Not the last way in. Wants a fresh proof of who asks.
    #[oai(path = "/user/identities", method = "delete", operation_id = "unlink_identity")]
    async fn unlink(
        &self,
        auth: SessionAuth,
        /// Who vouches, by its address.
        issuer: Query<String>,
    ) -> Result<IdentityUnlinked, ApiError> {
        let (user, _) = auth.0.own_credentials_anew()?;
        let mut tx = self.0.store.system().await?.begin().await?;
        let user = tx.system()?.lock_user(user).await?;
        let others = tx.system()?.user_identities(user.id).await?;
        if !others.iter().any(|identity| identity.issuer == issuer.0) {
            return Err(ApiError::not_found());
        }
        if user.password_hash.is_none() && others.iter().all(|identity| identity.issuer == issuer.0) {
            let detail = "this is your only way in; set a password first";
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        tx.system()?.unlink_identity(user.id, &issuer.0).await?;
        tell_of_sign_in(&self.0, &mut tx, &user).await?;
        let change = json!({ "issuer": issuer.0 });
        told_of_user(&self.0, &mut tx, &auth.0, user.id, (Action::IdentityUnlinked, change)).await?;
        tx.commit().await?;
        Ok(IdentityUnlinked::Unlinked)
    }
}

impl OauthApi {
    /// Who is meant, if the operator set that one up.
    fn offered(&self, provider: &str) -> Result<Voucher, ApiError> {
        self.0.local_people()?;
        let found = Voucher::from_name(provider);
        let found = found.filter(|voucher| self.0.vouchers.offered().any(|offered| offered == *voucher));
        found.ok_or_else(ApiError::not_found)
    }

    fn onward(&self, page: &str) -> Result<Onward, ApiError> {
        trips::onward(&self.0, page)
    }

    fn back(&self, why: Back) -> Result<Onward, ApiError> {
        trips::back(&self.0, why)
    }

    /// Adds them to somebody's ways of signing in.
    async fn link(
        &self,
        request: &Request,
        tx: &mut SystemTx,
        (user, until): (UserId, DateTime<Utc>),
        vouched: &Vouched,
    ) -> Result<Result<(), Back>, ApiError> {
        match tx.system()?.user_by_identity(&vouched.issuer, &vouched.subject).await? {
            Some(known) if known == user => return Ok(Ok(())),
            Some(_) => return Ok(Err(Back::LinkedElsewhere)),
            None => {}
        }
        let person = tx.system()?.lock_user(user).await?;
        if trips::is_overtaken(&person, until) {
            return Ok(Err(Back::Stale));
        }
        let now = self.0.clock.now();
        tx.system()?.link_identity(user, &vouched.issuer, &vouched.subject, now).await?;
        tell_of_sign_in(&self.0, tx, &person).await?;
        let by = By::of(request, Actor::User(user));
        for membership in tx.system()?.memberships(user).await? {
            let change = json!({ "issuer": vouched.issuer });
            let event = by.event(&self.0, Action::IdentityLinked, Some(user.to_string()), change);
            tx.system()?.audit_of(membership.tenant.id, &event).await?;
        }
        Ok(Ok(()))
    }

    /// Who signs in: who is known by this name there, whoever is invited by this address, or somebody new.
    async fn user(
        &self,
        request: &Request,
        tx: &mut SystemTx,
        vouched: &Vouched,
    ) -> Result<Result<UserId, Back>, ApiError> {
        if let Some(user) = tx.system()?.user_by_identity(&vouched.issuer, &vouched.subject).await? {
            return Ok(Ok(user));
        }
        let Some(email) = &vouched.email else { return Ok(Err(Back::NoAddress)) };
        if tx.system()?.is_email_known(email).await? {
            // Whoever reads the address should know that somebody tried.
            if limits::take(&self.0, request, Try::Letter { email }).await.is_ok() {
                mail(&self.0, tx, UserLinkPurpose::AccountExists, (email, None)).await?;
            }
            return Ok(Err(Back::AddressTaken));
        }
        let now = self.0.clock.now();
        let invitations = tx.system()?.accept_invitations_to(email, now).await?;
        if invitations.is_empty() && self.0.sign_up != SignUp::Open {
            return Ok(Err(Back::NotInvited));
        }
        if invitations.is_empty() {
            limits::take(&self.0, request, Try::VouchedRegistration).await?;
        }
        let name = display_name(vouched, email);
        let user = create_user(&self.0, tx, (&name, email, None), now).await?;
        tx.system()?.link_identity(user.id, &vouched.issuer, &vouched.subject, now).await?;
        let by = By::of(request, Actor::User(user.id));
        if invitations.is_empty() {
            let id = TenantId::new(now, self.0.entropy.for_id());
            let tenant = Tenant::new(id, format!("{name}'s organisation"), now);
            tx.system()?.create_tenant(&tenant).await?;
            tx.system()?.join(id, user.id, Role::Owner, now).await?;
            let event = by.event(&self.0, Action::TenantRegistered, Some(id.to_string()), json!({}));
            tx.system()?.audit_of(id, &event).await?;
        }
        for (tenant, invitation) in invitations {
            tx.system()?.join(tenant, user.id, invitation.role, now).await?;
            let change = json!({ "role": invitation.role.as_str() });
            let event =
                by.event(&self.0, Action::InvitationAccepted, Some(invitation.id.to_string()), change);
            tx.system()?.audit_of(tenant, &event).await?;
        }
        Ok(Ok(user.id))
    }
}
