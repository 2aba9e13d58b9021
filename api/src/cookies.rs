//! Cookies of an answer, which an operation puts down and the router sends: the framework's answers carry one header of
//! a name, and a sign-in sets several cookies. Which there are stands in one list, and the privacy page is made of it.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use crate::opening::{SESSION_LIFE, SIGN_IN_LIFE};
use crate::trips::TRIP;

/// The cookie that carries a session. Of no use to a program: it has API keys.
pub(crate) const SESSION_COOKIE: &str = "costlens_session";
/// The cookie that continues a sign-in.
pub(crate) const REFRESH_COOKIE: &str = "costlens_refresh";
/// The cookie by which a browser is known again in which somebody came in: of no use but to be counted apart.
pub(crate) const KNOWN_BROWSER_COOKIE: &str = "costlens_browser";
/// The cookie that names a browser on its way to somebody who vouches.
pub(crate) const BROWSER_COOKIE: &str = "costlens_trip";

/// A cookie as it is set, and as the privacy page tells of it. All of them are HTTP-only.
#[derive(Debug)]
pub(crate) struct Cookie {
    pub(crate) name: &'static str,
    /// Below which it is sent.
    path: &'static str,
    site: &'static str,
    /// What for, in the page's words.
    purpose: &'static str,
    /// The longest that it lives.
    longest: TimeDelta,
}

// Goes with every call.
static SESSION: Cookie = Cookie {
    name: SESSION_COOKIE,
    path: "/",
    site: "Strict",
    purpose: "your session: lets you in",
    longest: SESSION_LIFE,
};
// Sent to the one operation that continues a sign-in.
static REFRESH: Cookie = Cookie {
    name: REFRESH_COOKIE,
    path: "/api/v1/session/refresh",
    site: "Strict",
    purpose: "continues your sign-in",
    longest: SIGN_IN_LIFE,
};
/// How long a browser is known in which somebody came in.
pub(crate) const KNOWN_FOR: TimeDelta = TimeDelta::days(365);
// Sent wherever a password is taken, which linking with a provider does, too.
static KNOWN_BROWSER: Cookie = Cookie {
    name: KNOWN_BROWSER_COOKIE,
    path: "/api/v1",
    site: "Strict",
    purpose: "tells that you signed in by this browser before, so that strangers who try your password do not shut \
              you out",
    longest: KNOWN_FOR,
};
// Lax: it must come back from there.
static TRIP_TO_VOUCHER: Cookie = Cookie {
    name: BROWSER_COOKIE,
    path: "/api/v1",
    site: "Lax",
    purpose: "brings you back from whoever vouches for you",
    longest: TRIP,
};

/// Every cookie there is. Nothing else can be set.
pub(crate) static ALL: [&Cookie; 4] = [&SESSION, &REFRESH, &KNOWN_BROWSER, &TRIP_TO_VOUCHER];

impl Cookie {
    /// What it is for and how long it lives, in the page's words.
    pub(crate) fn told(&self) -> String {
        let life = match self.longest.num_days() {
            0 => format!("{} minutes", self.longest.num_minutes()),
            days => format!("{days} days"),
        };
        format!("{}; lives for {life} at most", self.purpose)
    }
}

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
    fn put(self, out: &Outgoing, cookie: &Cookie, value: &str, seconds: i64) {
        let Cookie { name, path, site, .. } = cookie;
        let seconds = seconds.min(cookie.longest.num_seconds());
        let secure = if self.https { "; Secure" } else { "" };
        out.set(format!("{name}={value}; Path={path}; HttpOnly; SameSite={site}; Max-Age={seconds}{secure}"));
    }

    /// Names the browser for so long.
    pub(crate) fn browser(self, out: &Outgoing, token: &str, seconds: i64) {
        self.put(out, &TRIP_TO_VOUCHER, token, seconds);
    }

    /// Lets the browser in for so long.
    pub(crate) fn session(self, out: &Outgoing, token: &str, seconds: i64) {
        self.put(out, &SESSION, token, seconds);
    }

    /// Lets the browser continue its sign-in for so long.
    pub(crate) fn refresh(self, out: &Outgoing, token: &str, seconds: i64) {
        self.put(out, &REFRESH, token, seconds);
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
        self.put(out, &KNOWN_BROWSER, token, KNOWN_BROWSER.longest.num_seconds());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cookie_is_set_that_is_not_told_of_or_lives_longer() {
        let (out, binding) = (Outgoing::default(), Binding { https: true });
        binding.session(&out, "token", i64::MAX);
        binding.refresh(&out, "token", i64::MAX);
        binding.known_browser(&out, "token");
        binding.browser(&out, "token", i64::MAX);
        let answer = out.with(Response::default());
        let set: Vec<&str> = answer
            .headers()
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|cookie| cookie.to_str().unwrap())
            .collect();
        for (set, cookie) in set.iter().zip(ALL) {
            let longest = format!("; Max-Age={}; Secure", cookie.longest.num_seconds());
            assert!(set.starts_with(&format!("{}=token; ", cookie.name)) && set.ends_with(&longest), "{set}");
            assert!(set.contains("; HttpOnly; SameSite="), "{set}");
        }
        assert_eq!(set.len(), ALL.len());
        assert_eq!(SESSION.told(), "your session: lets you in; lives for 60 minutes at most");
        assert!(KNOWN_BROWSER.told().ends_with("; lives for 365 days at most"));
    }
}
