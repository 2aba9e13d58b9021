//! Browsers in which a person came in before. An account's tries to sign in are counted apart for each of them, so
//! that strangers who use the account's tries up shut out strangers alone. The cookie is of no other use: whoever has it
//! may try, and is let in by nothing but the password.

use costlens_domain::{TenantId, UserId};
use costlens_vault::{KnownBrowser, known_browser_token, read_known_browser_token};
use poem::Request;
use uuid::Uuid;

use crate::ApiParts;
use crate::cookies::{self, Binding, KNOWN_BROWSER_COOKIE, Outgoing};

/// Makes a browser known in which this person came in. After the commit, never before.
///
/// `vouching` names the tenant whose own provider let it in. All browsers that the provider makes known are one: whoever
/// runs it could come as the person in ever new ones, each with tries at a password that opens more than this tenant.
pub(crate) fn remember(parts: &ApiParts, request: &Request, user: UserId, vouching: Option<TenantId>) {
    let browser = match vouching {
        Some(_) if name(parts, request, user).is_some() => return,
        Some(tenant) => tenant.uuid(),
        None => {
            let mut random = [0; 16];
            parts.entropy.fill(&mut random);
            Uuid::from_bytes(random)
        }
    };
    let until = (parts.clock.now() + cookies::KNOWN_FOR).timestamp();
    let token = known_browser_token(&parts.keyring, &KnownBrowser { user: user.uuid(), browser, until });
    Binding { https: parts.https }.known_browser(&Outgoing::of(request), &token);
}

/// What names this browser among those in which this person came in before.
pub(crate) fn name(parts: &ApiParts, request: &Request, user: UserId) -> Option<String> {
    let token = cookies::incoming(request, KNOWN_BROWSER_COOKIE)?;
    let known = read_known_browser_token(&parts.keyring, token)?;
    let is_known = known.user == user.uuid() && parts.clock.now().timestamp() < known.until;
    is_known.then(|| format!("{user}:{}", known.browser))
}
