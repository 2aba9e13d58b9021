//! Session tokens of Clerk's as bearer tokens, for programs that act for a signed-in person.
//!
//! Such a call stands on a session of ours like a browser's, opened when the token's session is first seen, and anew
//! when its hour is over: that is when Clerk is asked again. No other way leads round the hour.

use costlens_domain::ProblemCode;
use costlens_identity::ClerkToken;
use poem::Request;
use poem::http::{HeaderValue, header};

use super::{dangerous_since, least, open, recently_proven, refused_token};
use crate::ApiParts;
use crate::cookies::SESSION_COOKIE;
use crate::error::ApiError;
use crate::limits::{self, Try};
use crate::principal::{Admitted, FRESH, Principal};

/// Puts who calls by a token of Clerk's into the request, in the place of the token. Leaves every other call as it is.
pub(crate) async fn admit(parts: &ApiParts, request: &mut Request) -> Result<(), ApiError> {
    let Some(mode) = &parts.clerk else { return Ok(()) };
    let Some(token) = bearer(request) else { return Ok(()) };
    let token = mode.clerk.verify(&token).await.map_err(|error| refused_token(&error))?;
    let issuer = mode.clerk.issuer();
    let principal = if let Some(principal) = known(parts, request, issuer, &token).await? {
        principal
    } else {
        limits::take(parts, request, Try::Link).await?;
        // Nobody gets its token: it is found by the session at Clerk.
        open(parts, mode, request, &token).await?;
        let opened = known(parts, request, issuer, &token).await?;
        opened.ok_or_else(|| ApiError::new(ProblemCode::SessionInvalid, "sign in again"))?
    };
    let headers = request.headers_mut();
    headers.remove(header::AUTHORIZATION);
    // The one credential of the call is the principal; the framework asks for a cookie before it looks at it.
    if let Ok(stands_for_it) = HeaderValue::try_from(format!("{SESSION_COOKIE}=clerk")) {
        headers.insert(header::COOKIE, stands_for_it);
    }
    request.extensions_mut().insert(Admitted(principal));
    Ok(())
}

/// The call's bearer token, if it has the form of a signed token: API keys have not.
fn bearer(request: &Request) -> Option<String> {
    let value = request.header(header::AUTHORIZATION)?;
    let (scheme, token) = value.split_once(' ')?;
    let is_signed = token.starts_with("eyJ") && token.matches('.').count() == 2;
    (scheme.eq_ignore_ascii_case("bearer") && is_signed).then(|| token.trim().to_owned())
}

/// Who calls, if the token's session at Clerk has one of ours in the tenant that the token is for.
async fn known(
    parts: &ApiParts,
    request: &Request,
    issuer: &str,
    token: &ClerkToken,
) -> Result<Option<Principal>, ApiError> {
    let now = parts.clock.now();
    let organization = token.organization.as_ref().map_or(&token.person, |(organization, _)| organization);
    let mut system = parts.store.system().await?;
    let found = system.session_by_outer((issuer, organization), &token.session, now).await?;
    let Some((session, closing)) = found else { return Ok(None) };
    let user = session.user_id;
    if user.is_none() || user != system.user_by_identity(issuer, &token.person).await? {
        return Ok(None);
    }
    let role = token.organization.as_ref().map_or(session.role, |(_, role)| least(session.role, *role));
    recently_proven(token, now)?;
    let mut principal = Principal::of_session(&session, closing, request, now);
    principal.role = role;
    principal.fresh = now - dangerous_since(token) < FRESH;
    principal.read_only |= token.impersonator.is_some();
    Ok(Some(principal))
}
