//! The hardening headers that every answer carries.
//!
//! They are set where the answer leaves, so that no route, error or panic can go without. What an endpoint set
//! itself wins: only the console's pages know which scripts they run.

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// For answers that are data: nothing in them may run, load or be framed.
const CSP_DATA: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For pages: the console's own scripts and styles, inline style attributes for its charts.
const CSP_PAGE: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
    style-src-attr 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

const HSTS: &str = "max-age=63072000; includeSubDomains; preload";
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
/// No page asks for a device, a place or a payment (W3C Permissions Policy, names that browsers know).
const NO_PERMISSIONS: &str = "camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), midi=(), \
    payment=(), serial=(), usb=()";

/// The header that carries the request's id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Adds what is missing.
pub(crate) fn harden(headers: &mut HeaderMap, https: bool) {
    headers.reserve(9);
    let page = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let mut add = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(CONTENT_SECURITY_POLICY, if page { CSP_PAGE } else { CSP_DATA });
    add(X_FRAME_OPTIONS, "DENY");
    add(REFERRER_POLICY, "no-referrer");
    add(X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(OPENER, "same-origin");
    add(RESOURCE, "same-origin");
    add(PERMISSIONS, NO_PERMISSIONS);
    if https {
        add(STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
