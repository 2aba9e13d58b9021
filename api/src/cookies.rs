//! Cookies of an answer, which an operation puts down and the router sends: the framework's answers carry one header of
//! a name, and a sign-in sets several cookies.

use std::sync::{Arc, Mutex, PoisonError};

use poem::http::{HeaderValue, header};
use poem::{Request, Response};

/// The cookie that carries a session. Strict, HTTP-only, and of no use to a program: it has API keys.
pub(crate) const SESSION_COOKIE: &str = "costlens_session";
/// The cookie that continues a sign-in; sent to the one operation that does so.
pub(crate) const REFRESH_COOKIE: &str = "costlens_refresh";
const REFRESH_PATH: &str = "/api/v1/session/refresh";
/// The cookie by which a browser is known again in which somebody came in: of no use but to be counted apart.
pub(crate) const KNOWN_BROWSER_COOKIE: &str = "costlens_known_browser";
const KNOWN_BROWSER_PATH: &str = "/api/v1/sessions";

/// The cookie that names a browser on its way to somebody who vouches. Lax: it must come back from there.
pub(crate) const BROWSER_COOKIE: &str = "costlens_trip";
const BROWSER_PATH: &str = "/api/v1";

/// What goes out with the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing(Arc<Mutex<Vec<String>>>);

impl Outgoing {
    /// That of a request.
    pub(crate) fn of(request: &Request) -> Self {
        request.data::<Self>().cloned().unwrap_or_default()
    }

    fn set(&self, cookie: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(cookie);
    }

    /// The answer with its cookies.
    pub(crate) fn with(&self, mut response: Response) -> Response {
        for cookie in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        response
    }
}

/// How cookies are bound to this service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    /// Whether browsers come by https: then cookies never travel without.
    pub(crate) https: bool,
}

impl Binding {
    fn cookie(self, name: &str, value: &str, path: &str, seconds: i64) -> String {
        self.cookie_of("Strict", name, value, path, seconds)
    }

    fn cookie_of(self, site: &str, name: &str, value: &str, path: &str, seconds: i64) -> String {
        let secure = if self.https { "; Secure" } else { "" };
        format!("{name}={value}; Path={path}; HttpOnly; SameSite={site}; Max-Age={seconds}{secure}")
    }

    /// Names the browser for so long.
    pub(crate) fn browser(self, out: &Outgoing, token: &str, seconds: i64) {
        out.set(self.cookie_of("Lax", BROWSER_COOKIE, token, BROWSER_PATH, seconds));
    }

    /// Lets the browser in for so long.
    pub(crate) fn session(self, out: &Outgoing, token: &str, seconds: i64) {
        out.set(self.cookie(SESSION_COOKIE, token, "/", seconds));
    }

    /// Lets the browser continue its sign-in for so long.
    pub(crate) fn refresh(self, out: &Outgoing, token: &str, seconds: i64) {
        out.set(self.cookie(REFRESH_COOKIE, token, REFRESH_PATH, seconds));
    }

    /// Takes session and refresh away.
    pub(crate) fn sign_out(self, out: &Outgoing) {
        self.session(out, "", 0);
        self.no_refresh(out);
    }

    /// Takes the refresh away.
    pub(crate) fn no_refresh(self, out: &Outgoing) {
        self.refresh(out, "", 0);
    }

    /// Makes the browser known for a year.
    pub(crate) fn known_browser(self, out: &Outgoing, token: &str) {
        out.set(self.cookie(KNOWN_BROWSER_COOKIE, token, KNOWN_BROWSER_PATH, 365 * 86_400));
    }
}

/// A cookie that came with a request.
pub(crate) fn incoming<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let cookies =
        request.headers().get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
}
