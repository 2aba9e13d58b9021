//! The one way in which a person's session is opened, whoever vouched for the person: checked, kept, written down in the
//! audit in the same transaction, and put into cookies.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::{ProblemCode, Role, SessionId, SsoProviderId, TenantId, UserId};
use costlens_store::{Membership, NewRefresh, NewSession, NewUserSession, SystemTx, User};
use costlens_vault::SecretToken;
use costlens_vault::secret_token::{REFRESH_PREFIX, SESSION_PREFIX};
use poem::Request;
use poem::http::header;
use serde_json::json;

use crate::audit::By;
use crate::cookies::{Binding, Outgoing};
use crate::error::ApiError;
use crate::principal::{FRESH, PROVE_ANEW};
use crate::{ApiParts, known_browser};

/// No session outlives an hour.
pub(crate) const SESSION_LIFE: TimeDelta = TimeDelta::hours(1);
/// No sign-in is continued for longer than a week.
pub(crate) const SIGN_IN_LIFE: TimeDelta = TimeDelta::days(7);
/// How much of a browser's description is kept.
const LONGEST_BROWSER: usize = 200;

/// The method of a session that a tenant's own provider vouched for.
pub(crate) const BY_PROVIDER: &str = "oidc";

/// How a person proved who it is.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// `password`, `google`, `github`, `clerk`, `oidc`, or whichever link proved it: `registration`, `invitation`.
    pub(crate) method: String,
    /// Whether by two factors.
    pub(crate) two_factors: bool,
    /// The session at whoever vouched, and until when that lasts.
    pub(crate) outer: Option<(String, DateTime<Utc>)>,
    /// Who else acts in the person's name, if somebody does: the session looks and changes nothing.
    pub(crate) impersonator: Option<String>,
    /// When the person proved it, where that is not now.
    pub(crate) proven_at: Option<DateTime<Utc>>,
}

impl Proof {
    /// A proof that lasts as long as a session does.
    pub(crate) fn by(method: &str, two_factors: bool) -> Self {
        Self { method: method.to_owned(), two_factors, outer: None, impersonator: None, proven_at: None }
    }

    /// A proof of a tenant's own provider: it is asked anew after an hour, and what it vouched for ends with it.
    pub(crate) fn by_provider(id: SsoProviderId, now: DateTime<Utc>) -> Self {
        let outer = Some((id.to_string(), now + SESSION_LIFE));
        Self { outer, ..Self::by(BY_PROVIDER, false) }
    }

    /// The same, made at a moment that whoever vouched tells. What is older than a fresh proof, or of no known age, is none;
    /// the sign-in's own hour begins with it in any case.
    pub(crate) fn made_at(self, at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let stale = now - FRESH;
        Self { proven_at: Some(at.map_or(stale, |at| at.clamp(stale, now))), ..self }
    }

    /// Whether it is of a kind that a tenant may ask for instead of passwords and the like.
    fn is_of_keeper(&self) -> bool {
        matches!(self.method.as_str(), BY_PROVIDER | "clerk")
    }
}

/// A session that was there before and goes on in this one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Continues {
    pub(crate) sign_in_id: SessionId,
    pub(crate) proven_at: DateTime<Utc>,
    pub(crate) refresh_expires_at: Option<DateTime<Utc>>,
}

/// A session that was opened, and what its browser gets.
pub(crate) struct Opened {
    pub(crate) id: SessionId,
    token: SecretToken,
    expires_at: DateTime<Utc>,
    refresh: Option<(SecretToken, DateTime<Utc>)>,
    /// Whose browser is known from now on, and the tenant whose own provider let it in.
    known: Option<(UserId, Option<TenantId>)>,
}

impl Opened {
    /// Puts the session into the answer's cookies. After the commit, never before.
    pub(crate) fn give(&self, parts: &ApiParts, request: &Request) {
        let now = parts.clock.now();
        let (out, binding) = (Outgoing::of(request), Binding { https: parts.https });
        binding.session(&out, self.token.reveal(), (self.expires_at - now).num_seconds());
        match &self.refresh {
            Some((token, until)) => binding.refresh(&out, token.reveal(), (*until - now).num_seconds()),
            None => binding.no_refresh(&out),
        }
        if let Some((user, vouching)) = self.known {
            known_browser::remember(parts, request, user, vouching);
        }
    }
}

/// Which of a person's tenants a sign-in is for: the wanted one, else the oldest that is not being closed and wants no
/// sign-in of its own.
pub(crate) fn membership(
    memberships: Vec<Membership>,
    wanted: Option<TenantId>,
) -> Result<Membership, ApiError> {
    let mut memberships = memberships;
    if let Some(wanted) = wanted {
        memberships.retain(|membership| membership.tenant.id == wanted);
    } else {
        memberships.sort_by_key(|of| (of.tenant.closing_at.is_some(), of.by_single_sign_on));
    }
    memberships.into_iter().next().ok_or_else(|| {
        let detail = "you belong to no organisation here; ask somebody there to invite you";
        ApiError::new(ProblemCode::Forbidden, detail)
    })
}

/// Whether a sign-in may be continued past its session. Who runs an account, whoever is vouched for elsewhere, and
/// everybody of a tenant that wants it so, or lets us into an AWS account, signs in anew after an hour.
const fn may_continue(role: Role, one_hour: bool, proof: &Proof) -> bool {
    !role.administers() && !one_hour && proof.outer.is_none() && proof.impersonator.is_none()
}

/// Opens a session in this transaction.
pub(crate) async fn open(
    parts: &ApiParts,
    tx: &mut SystemTx,
    request: &Request,
    (user, membership): (&User, &Membership),
    proof: &Proof,
    continues: Option<Continues>,
) -> Result<Opened, ApiError> {
    // What was proven may have been taken back meanwhile: a password takes its time to be looked at.
    let held = tx.system()?.hold_user(user.id).await?;
    if held.disabled_at.is_some() || held.password_changed_at != user.password_changed_at {
        return Err(ApiError::new(ProblemCode::SignInRefused, "this sign-in is not possible"));
    }
    if membership.by_single_sign_on && !proof.is_of_keeper() {
        let detail = "your organisation wants you to come by its own identity provider; use single sign-on";
        return Err(ApiError::new(ProblemCode::SingleSignOnRequired, detail));
    }
    let now = parts.clock.now();
    let tenant = &membership.tenant;
    let id = SessionId::new(now, parts.entropy.for_id());
    let token = SecretToken::generate(SESSION_PREFIX, &*parts.entropy);
    let mut expires_at = now + SESSION_LIFE;
    if let Some((_, outer_end)) = &proof.outer {
        expires_at = expires_at.min(*outer_end);
    }
    let ends_at = match continues {
        Some(continues) => continues.refresh_expires_at,
        None => Some(now + SIGN_IN_LIFE),
    };
    // The last session of a sign-in ends with its week.
    expires_at = ends_at.map_or(expires_at, |ends_at| expires_at.min(ends_at));
    let ends_at = ends_at.filter(|_| may_continue(membership.role, membership.one_hour, proof));
    if let (Some(continues), None) = (continues, ends_at) {
        // Whoever signs in anew after an hour does so however often it sees another of its organisations.
        expires_at = expires_at.min(continues.proven_at + SESSION_LIFE);
        if expires_at <= now {
            return Err(ApiError::new(ProblemCode::StepUpRequired, PROVE_ANEW));
        }
    }
    let refresh = ends_at
        .filter(|ends_at| *ends_at > expires_at)
        .map(|ends_at| (SecretToken::generate(REFRESH_PREFIX, &*parts.entropy), ends_at));
    let new = NewUserSession {
        session: NewSession { id, hash: token.hash().0, expires_at },
        tenant_id: tenant.id,
        user_id: user.id,
        method: proof.method.clone(),
        created_at: now,
        proven_at: continues.map(|continues| continues.proven_at).or(proof.proven_at).unwrap_or(now),
        two_factors: proof.two_factors,
        sign_in_id: continues.map_or(id, |continues| continues.sign_in_id),
        refresh: refresh
            .as_ref()
            .map(|(token, expires_at)| NewRefresh { hash: token.hash().0, expires_at: *expires_at }),
        outer_session: proof.outer.as_ref().map(|(outer, _)| outer.clone()),
        read_only: proof.impersonator.is_some(),
        browser: browser(request),
    };
    tx.system()?.open_session(&new).await?;
    if continues.is_none() {
        let by = By::of(request, Actor::User(user.id));
        let mut change = json!({
            "method": proof.method, "two_factors": proof.two_factors, "read_only": proof.impersonator.is_some(),
        });
        if let (Some(who), Some(members)) = (&proof.impersonator, change.as_object_mut()) {
            members.insert("impersonator".to_owned(), json!(who));
        }
        let event = by.event(parts, Action::SessionOpened, Some(id.to_string()), change);
        tx.system()?.audit_of(tenant.id, &event).await?;
    }
    // One that goes on is in a browser that is known, and where Clerk keeps people nobody tries passwords.
    let begins = continues.is_none() && parts.clerk.is_none();
    let vouching = (proof.method == BY_PROVIDER).then_some(tenant.id);
    let known = begins.then_some((user.id, vouching));
    Ok(Opened { id, token, expires_at, refresh, known })
}

/// The browser, in its own words: visible ASCII, cut.
fn browser(request: &Request) -> Option<String> {
    let words = request.header(header::USER_AGENT)?;
    let words: String = words.chars().filter(|c| (' '..='~').contains(c)).take(LONGEST_BROWSER).collect();
    (!words.trim().is_empty()).then_some(words)
}
