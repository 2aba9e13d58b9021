//! An endpoint's URL as a user registers it, judged and put into its one spelling.
//!
//! What the URL may be is said here once; the connector asks the same code again for every new connection.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use crate::{address, name};

/// Why a URL may not be an endpoint. The texts are written for the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUrl {
    /// It does not parse, or not to one obvious meaning.
    #[error("the URL is not valid: {0}")]
    Malformed(&'static str),
    /// The scheme is not https.
    #[error("the URL must begin with https://")]
    NotHttps,
    /// It carries a user name or password.
    #[error("the URL must not contain credentials")]
    Credentials,
    /// It has a query or a fragment.
    #[error("the URL must not contain a query or a fragment")]
    QueryOrFragment,
    /// The name only means something inside a network, or is a cloud's metadata service.
    #[error("the host name {0} is not a public name")]
    PrivateName(String),
    /// The host is an address that is not on the public Internet.
    #[error("the address {0} is not a public address")]
    PrivateAddress(IpAddr),
}

/// A text that is not `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected host:port, such as localhost:11434 or [::1]:8080, not {0:?}")]
pub struct BadHostPort(pub String);

/// One host and port that the operator lets endpoints use although it is private.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: Host<String>,
    port: u16,
}

impl FromStr for HostPort {
    type Err = BadHostPort;

    fn from_str(text: &str) -> Result<Self, BadHostPort> {
        let bad = || BadHostPort(text.to_owned());
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(bad)?;
        let port: u16 = port.parse().map_err(|_| bad())?;
        if port == 0 || host.contains(['/', '@', '?', '#', '\\']) {
            return Err(bad());
        }
        let host = canonical(Host::parse(host).map_err(|_| bad())?).ok_or_else(bad)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What endpoints may be. The operator sets it; no tenant can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Private hosts that endpoints may name, plain http included: a self-hosted model, a test's fake.
    pub allow_private: Vec<HostPort>,
}

impl Policy {
    fn lists(&self, host: &Host<String>, port: u16) -> bool {
        self.allow_private.iter().any(|entry| entry.port == port && entry.host == *host)
    }
}

/// A URL that may be an endpoint under the policy it was parsed with.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    url: Url,
    host: Host<String>,
    port: u16,
    listed: bool,
}

impl EndpointUrl {
    /// Judges a URL. The same text gives the same answer at registration and at every connection; whether the
    /// *name* leads to a public address is asked by [`crate::Egress`] when it connects.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, RefusedUrl> {
        let authority = raw_authority(text)?;
        if authority.contains('@') {
            return Err(RefusedUrl::Credentials);
        }
        if text.contains(['?', '#']) {
            return Err(RefusedUrl::QueryOrFragment);
        }
        let mut url = Url::parse(text).map_err(|_| RefusedUrl::Malformed("it does not parse"))?;
        let host = url.host().ok_or(RefusedUrl::Malformed("it names no host"))?.to_owned();
        let host = canonical(host).ok_or(RefusedUrl::Malformed("the host name is not valid"))?;
        let port = url.port_or_known_default().filter(|port| *port != 0);
        let port = port.ok_or(RefusedUrl::Malformed("port 0 leads nowhere"))?;
        if !matches!(host, Host::Domain(_)) && !spelled_plainly(authority, &host) {
            return Err(RefusedUrl::Malformed("write the address in its usual form"));
        }
        let listed = policy.lists(&host, port);
        if !listed {
            if url.scheme() != "https" {
                return Err(RefusedUrl::NotHttps);
            }
            match &host {
                Host::Domain(domain) if !name::is_public(domain) => {
                    return Err(RefusedUrl::PrivateName(domain.clone()));
                }
                Host::Domain(_) => {}
                Host::Ipv4(v4) => check_literal(IpAddr::V4(*v4))?,
                Host::Ipv6(v6) => check_literal(IpAddr::V6(*v6))?,
            }
        }
        // Writes the trailing dot away; the host was judged without it.
        url.set_host(Some(&host.to_string()))
            .map_err(|_| RefusedUrl::Malformed("the host name is not valid"))?;
        Ok(Self { url, host, port, listed })
    }

    /// The one spelling, to be stored and shown.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The host as it goes into SNI and `Host`: a name in lower case, or an address.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The port, given or the scheme's own.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the operator's list, and not its being public, lets it pass. Shown to the tenant.
    pub const fn is_private(&self) -> bool {
        self.listed
    }

    /// The URI of a path below this endpoint: `https://host/v1` and `/chat/completions` make
    /// `https://host/v1/chat/completions`. `None` if the path, with its query, is no valid one.
    pub fn uri(&self, path: &str) -> Option<http::Uri> {
        let base = self.url.as_str().trim_end_matches('/');
        if path.is_empty() {
            return self.url.as_str().parse().ok();
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("{base}{slash}{path}").parse().ok()
    }

    pub(crate) const fn target(&self) -> &Host<String> {
        &self.host
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({})", self.as_str())
    }
}

fn check_literal(address: IpAddr) -> Result<(), RefusedUrl> {
    if address::is_global(address) { Ok(()) } else { Err(RefusedUrl::PrivateAddress(address)) }
}

/// The text between `//` and the path. Every shape that another parser might read differently stops here: blanks
/// and control characters (some strip them), backslashes (some read them as slashes), missing or doubled slashes,
/// and percent signs in the host.
fn raw_authority(text: &str) -> Result<&str, RefusedUrl> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(RefusedUrl::Malformed("it contains a blank, a control character or a backslash"));
    }
    let (scheme, rest) = text.split_once("://").ok_or(RefusedUrl::NotHttps)?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(RefusedUrl::NotHttps);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err(RefusedUrl::Malformed("it names no host"));
    }
    if authority.contains('%') && !authority.contains('@') {
        return Err(RefusedUrl::Malformed("the host name contains a percent sign"));
    }
    if authority.ends_with(':') {
        return Err(RefusedUrl::Malformed("the port is missing"));
    }
    Ok(authority)
}

/// Without the trailing dot, which DNS ignores and comparisons do not. `None` for what is left of `.` and `a..b`.
fn canonical(host: Host<String>) -> Option<Host<String>> {
    match host {
        Host::Domain(domain) => {
            let domain = domain.strip_suffix('.').unwrap_or(&domain);
            let valid =
                !domain.is_empty() && domain.len() <= 253 && domain.split('.').all(|label| !label.is_empty());
            valid.then(|| Host::Domain(domain.to_owned()))
        }
        literal => Some(literal),
    }
}

/// `0x7f.1`, `2130706433` and full-width digits are addresses too; none of them is how one writes one.
fn spelled_plainly(authority: &str, host: &Host<String>) -> bool {
    match host {
        Host::Ipv4(v4) => authority.split(':').next() == Some(v4.to_string().as_str()),
        Host::Ipv6(_) => authority.starts_with('['),
        Host::Domain(_) => true,
    }
}
