//! How often what lets people in may be tried: by address, and by account.
//!
//! Each rule is counted before anything costly is done. Two rules asked together are one question. A limit of an account
//! is counted apart for browsers in which its person came in before, and letters with a new password apart from all
//! others: strangers who use up the account's tries shut out strangers alone.

use std::time::Duration;

use costlens_cache::subject::{account, address};
use costlens_cache::{Rule, Verdict};
use costlens_edge::Arrival;
use poem::Request;

use crate::ApiParts;
use crate::error::ApiError;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Asking to be registered, or coming from somebody who vouches as somebody new, by address: five an hour.
static REGISTRATIONS: Rule = Rule::new("registration.address", 5, HOUR);
/// Letters about registering, by the address they go to.
static LETTERS: Rule = Rule::new("letter.account", 5, HOUR);
/// Letters with a link to a new password, by the address they go to. Who uses another's up has sent that one the links.
static RESET_LETTERS: Rule = Rule::new("password-reset.account", 5, HOUR);
/// Asking for a new password, by address: five an hour.
static RESETS: Rule = Rule::new("password-reset.address", 5, HOUR);
/// Signing in, by address: ten a minute.
static SIGN_INS: Rule = Rule::new("sign-in.address", 10, MINUTE);
/// Signing in to one account, by all browsers that it does not know.
static STRANGERS: Rule = Rule::new("sign-in.account", 30, HOUR);
/// Signing in to one account, by one browser that it knows.
static KNOWN: Rule = Rule::new("sign-in.known-browser", 30, HOUR);
/// Second factors of one person.
static FACTORS: Rule = Rule::new("second-factor.user", 10, Duration::from_mins(10));
/// Continuing sign-ins, by address.
static REFRESHES: Rule = Rule::new("refresh.address", 60, MINUTE);
/// Following links of mails and redirects: registrations, resets, invitations, exchanges.
static LINKS: Rule = Rule::new("link.address", 60, MINUTE);
/// Going to tenants' own providers and coming back, by address.
static SINGLE_SIGN_ON: Rule = Rule::new("single-sign-on.address", 120, MINUTE);
/// Looking for a domain's record, by tenant.
static DOMAIN_LOOKS: Rule = Rule::new("domain-look.tenant", 30, Duration::from_mins(10));
/// Sign-in links of the command line. Nobody guesses 256 bits: this bounds the work alone.
static SIGN_IN_LINKS: Rule = Rule::new("sign-in-link.address", 600, MINUTE);
/// Proofs, by person.
static PROOFS: Rule = Rule::new("proof.user", 10, Duration::from_mins(10));
/// Invitations, by tenant.
static INVITATIONS: Rule = Rule::new("invitation.tenant", 50, Duration::from_hours(24));

/// What is tried, and on whom.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Try<'a> {
    Registration {
        email: &'a str,
    },
    /// Somebody vouched for whoever makes an organisation of its own.
    VouchedRegistration,
    PasswordReset {
        email: &'a str,
    },
    /// `known` names the browser, where the account knows it.
    SignIn {
        email: &'a str,
        known: Option<&'a str>,
    },
    SecondFactor {
        user: &'a str,
    },
    /// A letter that nobody asked for, because something was tried.
    Letter {
        email: &'a str,
    },
    Refresh,
    Link,
    SingleSignOn,
    DomainLook {
        tenant: &'a str,
    },
    SignInLink,
    Proof {
        user: &'a str,
    },
    Invitation {
        tenant: &'a str,
    },
}

/// Counts a try, or refuses it.
pub(crate) async fn take(parts: &ApiParts, request: &Request, of: Try<'_>) -> Result<(), ApiError> {
    let from = request.data::<Arrival>().map(|arrival| address(arrival.client_addr)).unwrap_or_default();
    let limits = &parts.limits;
    let verdict = match of {
        Try::Registration { email } => {
            limits.take_all(&[(&REGISTRATIONS, &from), (&LETTERS, &account(email))]).await
        }
        Try::VouchedRegistration => limits.take(&REGISTRATIONS, &from).await,
        Try::PasswordReset { email } => {
            limits.take_all(&[(&RESETS, &from), (&RESET_LETTERS, &account(email))]).await
        }
        Try::SignIn { email, known: None } => {
            limits.take_all(&[(&SIGN_INS, &from), (&STRANGERS, &account(email))]).await
        }
        Try::SignIn { known: Some(browser), .. } => {
            limits.take_all(&[(&SIGN_INS, &from), (&KNOWN, browser)]).await
        }
        Try::Letter { email } => limits.take(&LETTERS, &account(email)).await,
        Try::SecondFactor { user } => limits.take(&FACTORS, user).await,
        Try::Refresh => limits.take(&REFRESHES, &from).await,
        Try::Link => limits.take(&LINKS, &from).await,
        Try::SingleSignOn => limits.take(&SINGLE_SIGN_ON, &from).await,
        Try::DomainLook { tenant } => limits.take(&DOMAIN_LOOKS, tenant).await,
        Try::SignInLink => limits.take(&SIGN_IN_LINKS, &from).await,
        Try::Proof { user } => limits.take(&PROOFS, user).await,
        Try::Invitation { tenant } => limits.take(&INVITATIONS, tenant).await,
    };
    match verdict {
        Verdict::Allowed { .. } => Ok(()),
        Verdict::Refused { retry_after } => {
            Err(ApiError::too_many("this was tried too often; wait a while", retry_after))
        }
    }
}

/// Somebody proved to be the account's person: its counters begin anew.
pub(crate) async fn forgive(parts: &ApiParts, email: &str, known: Option<&str>) {
    match known {
        Some(browser) => parts.limits.reset(&KNOWN, browser).await,
        None => parts.limits.reset(&STRANGERS, &account(email)).await,
    }
}
