//! Signing in by somebody who vouches: there and back again, without a token in any address.
//!
//! The browser leaves with a random number in a cookie of its own. The `state` that travels with it is signed over that
//! number, the provider, a time and what is meant, so that it works in this browser alone and cannot be made up; the PKCE
//! verifier and the nonce follow from the number, too, and are stored nowhere. Back again, the code is redeemed, and the
//! browser gets a code of ours behind the `#` of a page, which it trades for a session within a minute, once.
//!
//! Nobody becomes a user who is there already because the addresses are the same: who is there signs in, and links.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::{ProblemCode, Role, TenantId, UserId};
use costlens_identity::oidc::VouchError;
use costlens_identity::vouching::{Challenge, Vouched, Voucher};
use costlens_store::{SystemTx, Tenant, UserLinkPurpose};
use costlens_vault::secret_token::EXCHANGE_PREFIX;
use costlens_vault::{SecretToken, TokenHash};
use poem::Request;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;
use uuid::Uuid;

use crate::audit::By;
use crate::cookies::{self, BROWSER_COOKIE, Binding, Outgoing};
use crate::error::ApiError;
use crate::limits::{self, Try};
use crate::opening::{self, Proof};
use crate::principal::{Permission, SessionAuth, optional_session};
use crate::registrations::create_user;
use crate::sessions::{SignedIn, view};
use crate::users::{mail, told_of_user};
use crate::wire::Wire;
use crate::{ApiParts, SignUp, Tag};

/// How long somebody may take there.
const TRIP: TimeDelta = TimeDelta::minutes(10);
/// How long our own code waits to be traded.
const EXCHANGE: TimeDelta = TimeDelta::seconds(60);

/// What the browser is to do next.
#[derive(ApiResponse)]
pub enum Onward {
    /// Go there.
    #[oai(status = 303)]
    To(
        /// Where.
        #[oai(header = "Location")]
        String,
    ),
}

/// What the browser got when it came back.
#[derive(Object)]
pub struct ExchangeCode {
    /// What stands behind `#x=` in the address.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub code: String,
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

/// What a trip is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meant {
    SignIn,
    Link(UserId),
}

/// Why the browser comes back to the sign-in with nothing; the console has words for each.
#[derive(Clone, Copy, Debug)]
enum Back {
    /// The trip did not begin in this browser, or took too long.
    Stale,
    /// The person said no there, or its code did not work.
    Refused,
    /// Whoever vouches cannot be asked now.
    Unavailable,
    /// They did not check that the person reads its address.
    NoAddress,
    /// Somebody signs in with this address in another way.
    AddressTaken,
    /// Nobody may register here, and nobody invited this address.
    NotInvited,
    /// This one there is linked to somebody else here.
    LinkedElsewhere,
}

impl Back {
    const fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::NoAddress => "no_verified_address",
            Self::AddressTaken => "address_taken",
            Self::NotInvited => "not_invited",
            Self::LinkedElsewhere => "linked_elsewhere",
        }
    }
}

pub(crate) struct OauthApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Sessions")]
impl OauthApi {
    /// Go to somebody who vouches
    ///
    /// Sends the browser to `google` or `github`. With `link`, whoever is signed in and proved it lately adds them to
    /// its ways of signing in.
    #[oai(path = "/oauth/:provider/start", method = "get", operation_id = "start_oauth")]
    async fn start(
        &self,
        request: &Request,
        /// `google` or `github`.
        provider: Path<String>,
        /// Whether to add them to one's own user.
        #[oai(default)]
        link: Query<bool>,
    ) -> Result<Onward, ApiError> {
        let voucher = self.offered(&provider.0)?;
        limits::take(&self.0, request, Try::Link).await?;
        let meant = if link.0 {
            let principal = optional_session(request)
                .await
                .ok_or_else(|| ApiError::new(ProblemCode::SessionInvalid, "sign in first, then link"))?;
            principal.require_fresh(Permission::OwnUser)?;
            principal.may_change()?;
            Meant::Link(principal.own_user()?.0)
        } else {
            Meant::SignIn
        };
        let browser = SecretToken::generate("", &*self.0.entropy);
        let until = self.0.clock.now() + TRIP;
        let trip = Trip::of(&self.0, voucher, browser.reveal(), until, meant)?;
        let asked = self.0.vouchers.authorize_url(voucher, &trip.challenge()).await;
        let url = match asked.ok_or_else(ApiError::not_found)? {
            Ok(url) => url,
            Err(error) => return self.back(told(&error)),
        };
        Binding { https: self.0.https }.browser(&Outgoing::of(request), browser.reveal(), TRIP.num_seconds());
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
        let now = self.0.clock.now();
        let state = state.0.unwrap_or_default();
        let Some((until, meant)) = read_state(&self.0, voucher, &browser, &state, now) else {
            return self.back(Back::Stale);
        };
        let Some(code) = code.0.filter(|code| !code.is_empty() && code.len() <= 2_048) else {
            return self.back(Back::Refused);
        };
        let trip = Trip::of(&self.0, voucher, &browser, until, meant)?;
        let vouched = self.0.vouchers.redeem(voucher, &code, &trip.challenge()).await;
        let vouched = match vouched.ok_or_else(ApiError::not_found)? {
            Ok(vouched) => vouched,
            Err(error) => return self.back(told(&error)),
        };
        let mut tx = self.0.store.system().await?.begin().await?;
        let user = match meant {
            Meant::Link(user) => match self.link(request, &mut tx, user, &vouched).await? {
                Ok(()) => {
                    tx.commit().await?;
                    return self.onward("/profile");
                }
                Err(back) => return self.back(back),
            },
            Meant::SignIn => match self.user(request, &mut tx, &vouched).await? {
                Ok(user) => user,
                Err(back) => {
                    // A mail may be on its way.
                    tx.commit().await?;
                    return self.back(back);
                }
            },
        };
        let ours = SecretToken::generate(EXCHANGE_PREFIX, &*self.0.entropy);
        let hashes = (&ours.hash().0, &TokenHash::of(&browser).0);
        tx.system()?.create_exchange_code(hashes, (user, voucher.as_str()), now, now + EXCHANGE).await?;
        tx.commit().await?;
        self.onward(&format!("/signed-in#x={}", ours.reveal()))
    }

    /// Sign in with the code that came back
    ///
    /// Works once, within a minute, in the browser that left.
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
        let used = tx.system()?.use_exchange_code(hashes, self.0.clock.now()).await?;
        let (user, method) = used.ok_or_else(refused)?;
        let user = tx.system()?.user(user).await?;
        let memberships = tx.system()?.memberships(user.id).await?;
        let membership = opening::membership(memberships, body.0.tenant_id.map(|id| id.0))?;
        let proof = Proof::by(&method, false);
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
        auth.0.require_fresh(Permission::OwnUser)?;
        auth.0.may_change()?;
        let (user, _) = auth.0.own_user()?;
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
        Ok(Onward::To(self.0.link(page)?.as_str().to_owned()))
    }

    fn back(&self, why: Back) -> Result<Onward, ApiError> {
        self.onward(&format!("/sign-in?problem={}", why.word()))
    }

    /// Adds them to somebody's ways of signing in.
    async fn link(
        &self,
        request: &Request,
        tx: &mut SystemTx,
        user: UserId,
        vouched: &Vouched,
    ) -> Result<Result<(), Back>, ApiError> {
        match tx.system()?.user_by_identity(&vouched.issuer, &vouched.subject).await? {
            Some(known) if known == user => return Ok(Ok(())),
            Some(_) => return Ok(Err(Back::LinkedElsewhere)),
            None => {}
        }
        let now = self.0.clock.now();
        tx.system()?.link_identity(user, &vouched.issuer, &vouched.subject, now).await?;
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

/// What a new person is called: what it calls itself there, else the first part of its address.
fn display_name(vouched: &Vouched, email: &str) -> String {
    let plain = |name: &str| -> String { name.chars().filter(|c| !c.is_control()).take(100).collect() };
    let name = vouched.name.as_deref().map(plain).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { plain(email.split('@').next().unwrap_or(email)) } else { name.to_owned() }
}

fn told(error: &VouchError) -> Back {
    tracing::warn!(error = error as &dyn std::error::Error, "nobody was vouched for");
    match error {
        VouchError::Refused | VouchError::Token(_) => Back::Refused,
        VouchError::Unreachable(_) | VouchError::Description(_) => Back::Unavailable,
    }
}

/// One trip, as it follows from the browser's number.
struct Trip {
    redirect_uri: String,
    state: String,
    nonce: String,
    verifier: String,
}

impl Trip {
    fn of(
        parts: &ApiParts,
        voucher: Voucher,
        browser: &str,
        until: DateTime<Utc>,
        meant: Meant,
    ) -> Result<Self, ApiError> {
        let path = format!("/api/v1/oauth/{}/callback", voucher.as_str());
        let of = |purpose: &str| {
            let tag = parts.keyring.tag(purpose, &[browser.as_bytes(), voucher.as_str().as_bytes()]);
            URL_SAFE_NO_PAD.encode(tag)
        };
        let (head, user) = head(until, meant);
        let tag = parts.keyring.tag(STATE, &signed(browser, voucher, &head, &user));
        Ok(Self {
            redirect_uri: parts.link(&path)?.as_str().to_owned(),
            state: URL_SAFE_NO_PAD.encode([head.as_slice(), &user, &tag].concat()),
            nonce: of("costlens/oauth/nonce/1"),
            verifier: of("costlens/oauth/verifier/1"),
        })
    }

    fn challenge(&self) -> Challenge<'_> {
        Challenge {
            redirect_uri: &self.redirect_uri,
            state: &self.state,
            nonce: &self.nonce,
            verifier: &self.verifier,
        }
    }
}

const STATE: &str = "costlens/oauth/state/1";

/// The end of the trip in seconds and what it is for; and for whom, or nobody.
fn head(until: DateTime<Utc>, meant: Meant) -> ([u8; 9], [u8; 16]) {
    let (kind, user) = match meant {
        Meant::SignIn => (0, [0; 16]),
        Meant::Link(user) => (1, *user.uuid().as_bytes()),
    };
    let mut head = [0; 9];
    let (seconds, last) = head.split_at_mut(8);
    seconds.copy_from_slice(&until.timestamp().to_be_bytes());
    last.fill(kind);
    (head, user)
}

fn signed<'a>(browser: &'a str, voucher: Voucher, head: &'a [u8; 9], user: &'a [u8; 16]) -> [&'a [u8]; 4] {
    [browser.as_bytes(), voucher.as_str().as_bytes(), head, user]
}

/// Until when a trip may last and what it is for, if it began in this browser and is not over.
fn read_state(
    parts: &ApiParts,
    voucher: Voucher,
    browser: &str,
    state: &str,
    now: DateTime<Utc>,
) -> Option<(DateTime<Utc>, Meant)> {
    let bytes = URL_SAFE_NO_PAD.decode(state).ok()?;
    let (head, rest) = bytes.split_first_chunk::<9>()?;
    let (user, tag) = rest.split_first_chunk::<16>()?;
    if !parts.keyring.verify_tag(STATE, &signed(browser, voucher, head, user), tag) {
        return None;
    }
    let (seconds, kind) = head.split_first_chunk::<8>()?;
    let until = DateTime::from_timestamp(i64::from_be_bytes(*seconds), 0)?;
    let meant = if kind == [1] { Meant::Link(Uuid::from_bytes(*user).into()) } else { Meant::SignIn };
    (now < until).then_some((until, meant))
}
