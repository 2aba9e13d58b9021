//! A browser's trip to somebody who vouches, and back again, without a token in any address.
//!
//! The browser leaves with a random number in a cookie of its own. The `state` that travels with it is signed over that
//! number, whoever is asked, a time and what is meant, so that it works in this browser alone and cannot be made up; the
//! PKCE verifier and the nonce follow from the number, too, and are stored nowhere. Back again, the code is redeemed, and
//! the browser gets a code of ours behind the `#` of a page, which it trades for a session within a minute, once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::{SsoProviderId, TenantId, UserId};
use costlens_identity::oidc::VouchError;
use costlens_identity::vouching::{Challenge, Vouched, Voucher};
use costlens_store::{NewExchangeCode, SystemTx, User};
use costlens_vault::secret_token::EXCHANGE_PREFIX;
use costlens_vault::{SecretToken, TokenHash};
use poem::Request;
use poem_openapi::ApiResponse;
use uuid::Uuid;

use crate::ApiParts;
use crate::cookies::{Binding, Outgoing};
use crate::error::ApiError;

/// How long somebody may take there.
pub(crate) const TRIP: TimeDelta = TimeDelta::minutes(10);
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

/// Who is asked to vouch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    /// Somebody whom the operator set up.
    Operators(Voucher),
    /// A tenant's own provider.
    Tenants(TenantId, SsoProviderId),
}

impl Towards {
    /// What a trip there is signed over. Each provider has a name of its own, so that no answer of one passes for
    /// another's.
    fn name(self) -> String {
        match self {
            Self::Operators(voucher) => voucher.as_str().to_owned(),
            Self::Tenants(_, provider) => provider.to_string(),
        }
    }

    /// Where browsers come back to. Each tenant's provider sends them to an address of its own (RFC 9700, section 4.4).
    fn callback(self) -> String {
        match self {
            Self::Operators(voucher) => format!("/api/v1/oauth/{}/callback", voucher.as_str()),
            Self::Tenants(tenant, _) => tenant_callback(tenant),
        }
    }
}

/// Where a tenant's own provider sends browsers.
pub(crate) fn tenant_callback(tenant: TenantId) -> String {
    format!("/api/v1/single-sign-on/{tenant}/callback")
}

/// What a trip is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    SignIn,
    /// The same of a person who is to prove it though it is signed in there.
    SignInAnew,
    /// They are to vouch for this person from now on, who is signed in.
    Link(UserId),
    /// The same for a person who proved by its password who it is, and is signed in when it comes back.
    LinkAndSignIn(UserId),
}

/// Why the browser comes back to the sign-in with nothing; the console has words for each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Back {
    /// The trip did not begin in this browser, or took too long.
    Stale,
    /// The person said no there, or its code did not work.
    Refused,
    /// Whoever vouches cannot be asked now.
    Unavailable,
    /// They did not check that the person reads its address.
    NoAddress,
    /// The address is in no domain that the organisation has proven.
    ForeignDomain,
    /// Somebody signs in with this address in another way.
    AddressTaken,
    /// Nobody may register here, and nobody invited this address; or the person was removed.
    NotInvited,
    /// This one there is linked to somebody else here.
    LinkedElsewhere,
}

impl Back {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::NoAddress => "no_verified_address",
            Self::ForeignDomain => "foreign_domain",
            Self::AddressTaken => "address_taken",
            Self::NotInvited => "not_invited",
            Self::LinkedElsewhere => "linked_elsewhere",
        }
    }
}

/// Sends the browser to a page of the console.
pub(crate) fn onward(parts: &ApiParts, page: &str) -> Result<Onward, ApiError> {
    Ok(Onward::To(parts.link(page)?.as_str().to_owned()))
}

/// Sends the browser back to the sign-in.
pub(crate) fn back(parts: &ApiParts, why: Back) -> Result<Onward, ApiError> {
    onward(parts, &format!("/sign-in?problem={}", why.word()))
}

/// What a failure at whoever vouches means for the browser.
pub(crate) fn told(error: &VouchError) -> Back {
    tracing::warn!(error = error as &dyn std::error::Error, "nobody was vouched for");
    match error {
        VouchError::Refused | VouchError::Token(_) => Back::Refused,
        VouchError::Unreachable(_) | VouchError::Description(_) => Back::Unavailable,
    }
}

/// What a new person is called: what it calls itself there, else the first part of its address.
pub(crate) fn display_name(vouched: &Vouched, email: &str) -> String {
    let plain = |name: &str| -> String { name.chars().filter(|c| !c.is_control()).take(100).collect() };
    let name = vouched.name.as_deref().map(plain).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { plain(email.split('@').next().unwrap_or(email)) } else { name.to_owned() }
}

/// A trip that is about to begin, and the number by which its browser will be known.
pub(crate) struct Departure {
    pub(crate) trip: Trip,
    browser: SecretToken,
}

impl Departure {
    pub(crate) fn to(parts: &ApiParts, towards: Towards, meant: Meant) -> Result<Self, ApiError> {
        let browser = SecretToken::generate("", &*parts.entropy);
        let until = parts.clock.now() + TRIP;
        let trip = Trip::of(parts, towards, browser.reveal(), until, meant)?;
        Ok(Self { trip, browser })
    }

    /// Gives the browser its number with the answer.
    pub(crate) fn begin(&self, parts: &ApiParts, request: &Request) {
        let binding = Binding { https: parts.https };
        binding.browser(&Outgoing::of(request), self.browser.reveal(), TRIP.num_seconds());
    }
}

/// One trip, as it follows from the browser's number.
pub(crate) struct Trip {
    redirect_uri: String,
    state: String,
    nonce: String,
    verifier: String,
    anew: bool,
}

impl Trip {
    pub(crate) fn of(
        parts: &ApiParts,
        towards: Towards,
        browser: &str,
        until: DateTime<Utc>,
        meant: Meant,
    ) -> Result<Self, ApiError> {
        let name = towards.name();
        let anew = meant == Meant::SignInAnew;
        let of = |purpose: &str| {
            URL_SAFE_NO_PAD.encode(parts.keyring.tag(purpose, &[browser.as_bytes(), name.as_bytes()]))
        };
        let (head, user) = head(until, meant);
        let tag = parts.keyring.tag(STATE, &signed(browser, &name, &head, &user));
        Ok(Self {
            redirect_uri: parts.link(&towards.callback())?.as_str().to_owned(),
            state: URL_SAFE_NO_PAD.encode([head.as_slice(), &user, &tag].concat()),
            nonce: of("costlens/oauth/nonce/1"),
            verifier: of("costlens/oauth/verifier/1"),
            anew,
        })
    }

    pub(crate) fn challenge(&self) -> Challenge<'_> {
        Challenge {
            redirect_uri: &self.redirect_uri,
            state: &self.state,
            nonce: &self.nonce,
            verifier: &self.verifier,
            anew: self.anew,
        }
    }
}

const STATE: &str = "costlens/oauth/state/1";

/// The end of the trip in microseconds, as the database tells moments, and what it is for; and for whom, or nobody.
fn head(until: DateTime<Utc>, meant: Meant) -> ([u8; 9], [u8; 16]) {
    let (kind, user) = match meant {
        Meant::SignIn => (0, [0; 16]),
        Meant::Link(user) => (1, *user.uuid().as_bytes()),
        Meant::LinkAndSignIn(user) => (2, *user.uuid().as_bytes()),
        Meant::SignInAnew => (3, [0; 16]),
    };
    let mut head = [0; 9];
    let (micros, last) = head.split_at_mut(8);
    micros.copy_from_slice(&until.timestamp_micros().to_be_bytes());
    last.fill(kind);
    (head, user)
}

fn signed<'a>(browser: &'a str, towards: &'a str, head: &'a [u8; 9], user: &'a [u8; 16]) -> [&'a [u8]; 4] {
    [browser.as_bytes(), towards.as_bytes(), head, user]
}

/// Until when a trip may last and what it is for, if it began in this browser and is not over.
pub(crate) fn read_state(
    parts: &ApiParts,
    towards: Towards,
    browser: &str,
    state: &str,
    now: DateTime<Utc>,
) -> Option<(DateTime<Utc>, Meant)> {
    let bytes = URL_SAFE_NO_PAD.decode(state).ok()?;
    let (head, rest) = bytes.split_first_chunk::<9>()?;
    let (user, tag) = rest.split_first_chunk::<16>()?;
    if !parts.keyring.verify_tag(STATE, &signed(browser, &towards.name(), head, user), tag) {
        return None;
    }
    let (micros, kind) = head.split_first_chunk::<8>()?;
    let until = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?;
    let user = UserId::from(Uuid::from_bytes(*user));
    let meant = match kind {
        [0] => Meant::SignIn,
        [1] => Meant::Link(user),
        [2] => Meant::LinkAndSignIn(user),
        [3] => Meant::SignInAnew,
        _ => return None,
    };
    (now < until).then_some((until, meant))
}

/// Whether a trip that was to give a person another way to sign in counts no more: its password is another since the trip
/// began, and whoever began it may be the one whom that was to shut out.
pub(crate) fn is_overtaken(user: &User, until: DateTime<Utc>) -> bool {
    user.disabled_at.is_some() || user.password_changed_at.is_some_and(|at| at > until - TRIP)
}

/// Keeps a code of ours in this transaction; the page at which its browser trades it for a session.
pub(crate) async fn hand_over(
    parts: &ApiParts,
    tx: &mut SystemTx,
    browser: &str,
    new: &NewExchangeCode<'_>,
) -> Result<String, ApiError> {
    let now = parts.clock.now();
    let ours = SecretToken::generate(EXCHANGE_PREFIX, &*parts.entropy);
    let hashes = (&ours.hash().0, &TokenHash::of(browser).0);
    tx.system()?.create_exchange_code(hashes, new, now, now + EXCHANGE).await?;
    Ok(format!("/signed-in#x={}", ours.reveal()))
}
