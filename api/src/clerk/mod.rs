//! People and organisations that Clerk keeps in our place (ADR 0019): its tokens let in, and its webhooks are heard.
//!
//! A token is checked by itself, and says what was so a minute ago at most. Whether the person is still there, not
//! banned, and still belongs to the organisation is asked of Clerk when a session of ours is opened, and such a session
//! lives for an hour like every other: so whoever lost its access there has lost it here within the hour, though no
//! webhook ever came. While Clerk cannot be asked, no session is opened.

pub mod inbox;
mod tokens;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::outer::{CLOCKS_APART, OuterFact};
use costlens_domain::{ProblemCode, Role, TenantId};
use costlens_identity::clerk::backend::{Belonging, Checked, Person};
use costlens_identity::clerk::events::plain;
use costlens_identity::fetch::FetchError;
use costlens_identity::{Clerk, ClerkToken, TokenError};
use costlens_notify::webhooks::WebhookSecret;
use costlens_store::{Membership, OuterChange, SystemTx, Tenant, User};
use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::json;

use crate::audit::By;
use crate::error::ApiError;
use crate::limits::{self, Try};
use crate::opening::{self, Opened, Proof, SESSION_LIFE};
use crate::registrations::create_user;
use crate::sessions::{SignedIn, note_refusal, view};
use crate::{ApiParts, SignUp, Tag};

pub(crate) use tokens::admit;

/// That people are kept by Clerk, and the secrets of its webhooks.
#[derive(Debug)]
pub struct ClerkMode {
    /// The instance.
    pub clerk: Arc<Clerk>,
    /// What its webhooks are signed with: several while one takes the place of another.
    pub webhook_secrets: Vec<WebhookSecret>,
}

/// A session token of Clerk's.
#[derive(Object)]
pub struct CreateClerkSession {
    /// The token.
    #[oai(validator(min_length = 1, max_length = 16000))]
    pub token: String,
}

/// Where people sign in who are kept by Clerk.
#[derive(Object)]
pub struct ClerkSignIn {
    /// The page on which they do.
    pub sign_in_url: String,
    /// Clerk's Frontend API, which gives their browsers tokens.
    pub frontend_url: String,
}

pub(crate) struct ClerkApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Sessions")]
impl ClerkApi {
    /// Sign in with a session token of Clerk's
    ///
    /// Clerk is asked whether the person, its session and its membership are still there. The session lasts for an hour
    /// at most, ends with the one at Clerk, and is not continued: send a new token then. Not there where people are not
    /// kept by Clerk.
    #[oai(path = "/sessions/clerk", method = "post", operation_id = "create_clerk_session")]
    async fn create(&self, request: &Request, body: Json<CreateClerkSession>) -> Result<SignedIn, ApiError> {
        limits::take(&self.0, request, Try::Link).await?;
        let mode = self.0.clerk.as_ref().ok_or_else(ApiError::not_found)?;
        crate::principal::refuse_other_origins(request)?;
        let token = match mode.clerk.verify(&body.0.token).await {
            Ok(token) => token,
            Err(error) => {
                let tx = self.0.store.system().await?.begin().await?;
                note_refusal(&self.0, tx, request, None, ("clerk", "token")).await?;
                return Err(refused_token(&error));
            }
        };
        let opened = open(&self.0, mode, request, &token).await?;
        opened.give(&self.0, request);
        view(&self.0, opened.id).await.map(|view| SignedIn::Created(Json(view)))
    }
}

impl ApiParts {
    /// That people sign in here, and are kept here. Where Clerk keeps them, they and their organisations are changed
    /// there.
    pub(crate) fn local_people(&self) -> Result<(), ApiError> {
        match &self.clerk {
            None => Ok(()),
            Some(mode) => {
                let detail = format!(
                    "people and organisations are kept by Clerk here; go to {}",
                    mode.clerk.sign_in_url()
                );
                Err(ApiError::new(ProblemCode::SignInElsewhere, detail))
            }
        }
    }

    /// Where people sign in whom Clerk keeps.
    pub(crate) fn clerk_sign_in(&self) -> Option<ClerkSignIn> {
        self.clerk.as_ref().map(|mode| ClerkSignIn {
            sign_in_url: mode.clerk.sign_in_url().to_owned(),
            frontend_url: mode.clerk.issuer().to_owned(),
        })
    }
}

/// Opens a session on what Clerk says of a token's person at this moment.
async fn open(
    parts: &ApiParts,
    mode: &ClerkMode,
    request: &Request,
    token: &ClerkToken,
) -> Result<Opened, ApiError> {
    let asked_at = parts.clock.now();
    let proven_at = recently_proven(token, asked_at)?;
    let checked = mode.clerk.backend().check(token).await.map_err(|error| unavailable(&error))?;
    let mut tx = parts.store.system().await?.begin().await?;
    tx.system()?.lock_outer().await?;
    let outer = Outer { parts, request, issuer: mode.clerk.issuer(), token, asked_at };
    let opened = match outer.settle(&mut tx, checked).await? {
        Ok((user, membership)) => {
            let proof = Proof {
                method: "clerk".to_owned(),
                two_factors: token.proofs[1].is_some(),
                // An hour after the sign-in there, and asked when it was asked, not when it was answered.
                outer: Some((token.session.clone(), proven_at.min(asked_at) + SESSION_LIFE)),
                impersonator: token.impersonator.clone(),
                proven_at: Some(dangerous_since(token)),
            };
            Ok(opening::open(parts, &mut tx, request, (&user, &membership), &proof, None).await?)
        }
        // What was learned is kept though nobody gets in.
        Err(refused) => Err(refused),
    };
    tx.commit().await?;
    opened
}

/// From when on dangerous changes count: the proof of the second factor. Without one, never.
fn dangerous_since(token: &ClerkToken) -> DateTime<Utc> {
    match token.proofs {
        [Some(first), Some(second)] => first.min(second),
        _ => DateTime::UNIX_EPOCH,
    }
}

/// When the person signed in at Clerk: within the hour, whoever it is. Clerk's own sessions may last longer.
fn recently_proven(token: &ClerkToken, now: DateTime<Utc>) -> Result<DateTime<Utc>, ApiError> {
    let proven_at = token.proofs[0].filter(|proven| now - *proven < SESSION_LIFE);
    proven_at.ok_or_else(|| {
        let detail = "your sign-in at Clerk is too old for this; sign in there again";
        ApiError::new(ProblemCode::SessionInvalid, detail)
    })
}

/// What was answered about one token.
struct Outer<'a> {
    parts: &'a ApiParts,
    request: &'a Request,
    issuer: &'a str,
    token: &'a ClerkToken,
    asked_at: DateTime<Utc>,
}

impl Outer<'_> {
    /// Takes note of the answer, and says who gets in where, or why nobody does.
    async fn settle(
        &self,
        tx: &mut SystemTx,
        checked: Checked,
    ) -> Result<Result<(User, Membership), ApiError>, ApiError> {
        let (parts, token) = (self.parts, self.token);
        let now = parts.clock.now();
        let over = tx.system()?.is_outer_session_over(self.issuer, &token.session).await?;
        if over || !checked.is_active {
            tx.system()?.end_outer_session(&token.session, now).await?;
            return Ok(Err(ApiError::new(ProblemCode::SessionInvalid, "your session at Clerk is over")));
        }
        let Some(person) = checked.person else {
            // That nobody is found is not taken for its end: only a message or the nightly look is. It may be the key.
            if let Some(user) = tx.system()?.user_by_identity(self.issuer, &token.person).await? {
                tx.system()?.end_sign_ins(user, None, now).await?;
            }
            return Ok(Err(refused()));
        };
        if !self.learn(tx, &person.fact).await? {
            return Ok(Err(refused()));
        }
        let user = match self.user(tx, &person).await? {
            Ok(user) => user,
            Err(refused) => return Ok(Err(refused)),
        };
        if user.disabled_at.is_some() || is_barred(&person) {
            return Ok(Err(refused()));
        }
        let tenant = match &token.organization {
            Some((organization, _)) => self.organization(tx, organization, &checked.memberships).await?,
            None => self.alone(tx, &user).await?,
        };
        let tenant = match tenant {
            Ok(tenant) => tenant,
            Err(refused) => return Ok(Err(refused)),
        };
        let memberships = tx.system()?.memberships(user.id).await?;
        Ok(opening::membership(memberships, Some(tenant)).map(|membership| (user, membership)))
    }

    /// The person here: known by its id there, or new.
    async fn user(&self, tx: &mut SystemTx, person: &Person) -> Result<Result<User, ApiError>, ApiError> {
        let known = tx.system()?.user_by_identity(self.issuer, &self.token.person).await?;
        let Some(email) = &person.email else {
            let detail = "give yourself an e-mail address at Clerk, and prove that you read it";
            return Ok(Err(ApiError::new(ProblemCode::Forbidden, detail)));
        };
        let name = plain(&person.name);
        let name = if name.is_empty() { plain(email.split('@').next().unwrap_or(email)) } else { name };
        if let Some(user) = known {
            tx.system()?.describe_user(user, &name, email).await?;
            return Ok(Ok(tx.system()?.user(user).await?));
        }
        if is_barred(person) {
            return Ok(Err(refused()));
        }
        let now = self.parts.clock.now();
        let user = create_user(self.parts, tx, (&name, email, None), now).await?;
        tx.system()?.link_identity(user.id, self.issuer, &self.token.person, now).await?;
        Ok(Ok(user))
    }

    /// The tenant of the organisation, if the person belongs to it.
    async fn organization(
        &self,
        tx: &mut SystemTx,
        organization: &str,
        memberships: &[Belonging],
    ) -> Result<Result<TenantId, ApiError>, ApiError> {
        let now = self.parts.clock.now();
        let here: Vec<&Belonging> = memberships.iter().filter(|of| of.organization == organization).collect();
        let Some(first) = here.first() else {
            self.forget_others(tx, organization, &[]).await?;
            let detail = "you do not belong to this organisation any more";
            return Ok(Err(ApiError::new(ProblemCode::Forbidden, detail)));
        };
        let tenant = match tx.system()?.outer_tenant(self.issuer, organization).await? {
            Some(tenant) => tenant,
            None => self.new_tenant(tx, organization, &first.organization_name).await?,
        };
        for of in &here {
            self.learn(tx, &of.fact).await?;
        }
        let ids: Vec<String> = here.iter().map(|of| of.id.clone()).collect();
        self.forget_others(tx, organization, &ids).await?;
        // A tenant of today has no member from what was heard of it before.
        let settled = tx.system()?.settle_member(self.issuer, organization, &self.token.person, now).await?;
        self.tell(tx, settled.into_iter().collect()).await?;
        Ok(Ok(tenant))
    }

    /// The tenant of a person who looks at what is its own.
    async fn alone(&self, tx: &mut SystemTx, user: &User) -> Result<Result<TenantId, ApiError>, ApiError> {
        let (now, person) = (self.parts.clock.now(), &self.token.person);
        let tenant = match tx.system()?.outer_tenant(self.issuer, person).await? {
            Some(tenant) => tenant,
            None if self.parts.sign_up == SignUp::Open => {
                self.new_tenant(tx, person, &format!("{}'s organisation", user.name)).await?
            }
            None => {
                let detail = "choose an organisation at Clerk first; nobody has an account of its own here";
                return Ok(Err(ApiError::new(ProblemCode::Forbidden, detail)));
            }
        };
        let settled = tx.system()?.settle_member(self.issuer, person, person, now).await?;
        self.tell(tx, settled.into_iter().collect()).await?;
        Ok(Ok(tenant))
    }

    async fn new_tenant(
        &self,
        tx: &mut SystemTx,
        organization: &str,
        name: &str,
    ) -> Result<TenantId, ApiError> {
        let now = self.parts.clock.now();
        let id = TenantId::new(now, self.parts.entropy.for_id());
        let name = plain(name);
        let name = if name.is_empty() { organization.to_owned() } else { name };
        tx.system()?.create_tenant(&Tenant::new(id, name, now)).await?;
        tx.system()?.bind_outer(id, self.issuer, organization, now).await?;
        let by = By::of(self.request, Actor::Clerk);
        let event = by.event(self.parts, Action::TenantRegistered, Some(id.to_string()), json!({}));
        tx.system()?.audit_of(id, &event).await?;
        Ok(id)
    }

    /// The answer told all of the person's memberships there: others that were known when it was asked are gone.
    async fn forget_others(
        &self,
        tx: &mut SystemTx,
        organization: &str,
        listed: &[String],
    ) -> Result<(), ApiError> {
        let times = (self.asked_at - CLOCKS_APART, self.parts.clock.now());
        let (of, person) = ((self.issuer, organization), Some(self.token.person.as_str()));
        let changes = tx.system()?.learn_only_memberships(of, person, listed, times).await?;
        self.tell(tx, changes).await
    }

    /// Says whether it was news.
    async fn learn(&self, tx: &mut SystemTx, fact: &OuterFact) -> Result<bool, ApiError> {
        let learned = tx.system()?.learn(self.issuer, fact, self.parts.clock.now()).await?;
        self.tell(tx, learned.changes).await?;
        Ok(learned.is_news)
    }

    async fn tell(&self, tx: &mut SystemTx, changes: Vec<OuterChange>) -> Result<(), ApiError> {
        let by = By::of(self.request, Actor::Clerk);
        for OuterChange { tenant_id, action, target, change } in changes {
            let event = by.event(self.parts, action, target, change);
            tx.system()?.audit_of(tenant_id, &event).await?;
        }
        Ok(())
    }
}

fn is_barred(person: &Person) -> bool {
    use costlens_domain::outer::Standing;
    !matches!(&person.fact, OuterFact::Person { standing: Standing::Good, .. })
}

fn refused() -> ApiError {
    ApiError::new(ProblemCode::SignInRefused, "this sign-in is not possible")
}

/// Why a token lets nobody in: that its keys cannot be had is ours to mend, all else is the caller's.
fn refused_token(error: &TokenError) -> ApiError {
    tracing::info!(error = error as &dyn std::error::Error, "a session token was refused");
    match error {
        TokenError::KeysUnavailable => voucher_away(),
        _ => ApiError::new(
            ProblemCode::SessionInvalid,
            "the session token is not valid; get a new one from Clerk",
        ),
    }
}

fn unavailable(error: &FetchError) -> ApiError {
    tracing::warn!(error = error as &dyn std::error::Error, "Clerk cannot be asked");
    voucher_away()
}

fn voucher_away() -> ApiError {
    ApiError::new(
        ProblemCode::VoucherUnavailable,
        "Clerk cannot be asked now, so nobody is let in anew; try again",
    )
}

/// The least of what the token says and what is known here: whichever of both heard last of a lesser role.
const fn least(one: Role, other: Role) -> Role {
    if (one as u8) < (other as u8) { one } else { other }
}
