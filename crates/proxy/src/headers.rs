//! Which headers travel: everything, but for what belongs to one connection or to one credential.

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Hop-by-hop fields (RFC 9110, section 7.6.1), and those that the client library sets itself.
const HOP: &[HeaderName] = &[
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::HOST,
    header::EXPECT,
];

/// Credentials of ours, and what tells of the way the call came.
const OURS: &[&str] = &[
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "origin",
    "referer",
    "forwarded",
    "via",
    "keep-alive",
    "proxy-connection",
    "x-real-ip",
    // The relay reads the answer in passing, so it must come as it is.
    "accept-encoding",
];

/// How this program names itself to the next one (RFC 9110, section 7.6.3).
const VIA: HeaderValue = HeaderValue::from_static("1.1 costlens");

/// A call that has passed so many of these programs is refused: one behind another makes sense, a circle does not.
pub(crate) const MOST_PASSES: usize = 2;

/// How many of these programs a call has passed on its way here.
pub(crate) fn passes(from_client: &HeaderMap) -> usize {
    let values = from_client.get_all(header::VIA).iter().filter_map(|value| value.to_str().ok());
    let by = values.flat_map(|value| value.split(',')).filter_map(|hop| hop.split_whitespace().nth(1));
    by.filter(|name| name.eq_ignore_ascii_case("costlens")).count()
}

/// What an answer may tell a browser of the origin that it comes from. Here that is ours: a provider's word on it
/// would stand in for the edge's own, which only adds what is missing.
const ORIGINS: &[&str] = &[
    "alt-svc",
    "clear-site-data",
    "content-security-policy",
    "content-security-policy-report-only",
    "nel",
    "permissions-policy",
    "permissions-policy-report-only",
    "referrer-policy",
    "report-to",
    "reporting-endpoints",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
];

/// Where a client is to go next. It would take the key that it has for us along, which is nobody's else.
const ELSEWHERE: &[&str] = &["location", "refresh"];

/// Whether a field of an answer speaks for our origin.
fn speaks_for_the_origin(name: &str) -> bool {
    // Which pages may read a provider's answers, and beside which they may stand, is not the provider's to say here.
    ORIGINS.contains(&name) || name.starts_with("access-control-") || name.starts_with("cross-origin-")
}

fn travels_up(name: &HeaderName) -> bool {
    let text = name.as_str();
    !HOP.contains(name)
        && !OURS.contains(&text)
        && !text.starts_with("x-forwarded-")
        && !text.starts_with("x-costlens-")
        && !text.starts_with("cf-")
        && !text.starts_with("sec-")
}

/// The headers of a call as the provider gets them, without the credential. Of the way it came they tell these programs
/// alone, so that a circle is noticed.
pub(crate) fn for_provider(from_client: &HeaderMap) -> HeaderMap {
    let named_hop = connection_options(from_client);
    let mut out = HeaderMap::with_capacity(from_client.len() + 3);
    for (name, value) in from_client {
        if travels_up(name) && !named_hop.iter().any(|hop| hop == name.as_str()) {
            out.append(name.clone(), value.clone());
        }
    }
    out.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for _ in 0..=passes(from_client) {
        out.append(header::VIA, VIA);
    }
    out
}

/// The headers of an answer as the client gets them.
pub(crate) fn for_client(from_provider: HeaderMap) -> HeaderMap {
    let named_hop = connection_options(&from_provider);
    let mut out = HeaderMap::with_capacity(from_provider.len());
    let mut last = None;
    for (name, value) in from_provider {
        // A repeated field comes without its name.
        last = name.or(last);
        let Some(name) = &last else { continue };
        let stays = HOP.contains(name)
            || name.as_str() == "keep-alive"
            || speaks_for_the_origin(name.as_str())
            || ELSEWHERE.contains(&name.as_str())
            || named_hop.iter().any(|hop| hop == name.as_str());
        if !stays {
            out.append(name.clone(), value);
        }
    }
    out
}

/// Fields that `Connection` declares to be of this hop alone.
fn connection_options(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn credentials_and_hops_stay_here_and_the_rest_travels() {
        let up = for_provider(&headers(&[
            ("authorization", "Bearer acl_x"),
            ("x-api-key", "acl_x"),
            ("cookie", "a=b"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("x-forwarded-for", "1.2.3.4"),
            ("accept-encoding", "gzip"),
            ("anthropic-version", "2023-06-01"),
            ("x-stainless-lang", "python"),
        ]));
        let mut names: Vec<_> = up.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "anthropic-version", "via", "x-stainless-lang"]);
        assert_eq!(up["accept-encoding"], "identity");
    }

    #[test]
    fn a_call_that_goes_in_a_circle_has_passed_once_more_each_time() {
        let mut call = headers(&[("via", "1.1 cdn.example (CloudFront)"), ("x-a", "1")]);
        call.append("via", HeaderValue::from_static("2 Edge, 1.1 not-costlens"));
        for passed in 0..=MOST_PASSES {
            assert_eq!(passes(&call), passed);
            call = for_provider(&call);
        }
        assert!(call.get_all("via").iter().all(|hop| hop == VIA), "others' names stay here: {call:?}");
        // As somebody in between may write it.
        assert_eq!(passes(&headers(&[("via", "1.1 costlens, 1.0 fred, HTTP/1.1 Costlens")])), 2);
    }

    #[test]
    fn an_answer_sends_nobody_elsewhere_with_its_key() {
        let answer = headers(&[
            ("location", "https://elsewhere.example/"),
            ("refresh", "0; url=https://elsewhere.example/"),
            ("retry-after", "3"),
        ]);
        assert_eq!(for_client(answer), headers(&[("retry-after", "3")]));
    }

    #[test]
    fn repeated_fields_of_an_answer_stay_together() {
        let mut answer = headers(&[("x-ratelimit-remaining", "1"), ("set-cookie", "a=b")]);
        answer.append("x-ratelimit-remaining", HeaderValue::from_static("2"));
        let down = for_client(answer);
        assert_eq!(down.get_all("x-ratelimit-remaining").iter().count(), 2);
        assert!(!down.contains_key("set-cookie"));
    }

    #[test]
    fn a_provider_lets_no_other_origin_in_here() {
        let down = for_client(headers(&[
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "x-request-id"),
            ("openai-version", "2020-10-01"),
        ]));
        assert_eq!(down.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["openai-version"]);
    }

    #[test]
    fn a_provider_says_nothing_of_our_origin() {
        let down = for_client(headers(&[
            ("content-security-policy", "default-src *"),
            ("content-security-policy-report-only", "default-src *; report-uri https://elsewhere"),
            ("x-frame-options", "ALLOWALL"),
            ("cross-origin-opener-policy", "unsafe-none"),
            ("cross-origin-opener-policy-report-only", "unsafe-none"),
            ("cross-origin-embedder-policy", "unsafe-none"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("referrer-policy", "unsafe-url"),
            ("permissions-policy", "camera=*"),
            ("x-content-type-options", "sniff"),
            ("clear-site-data", "\"*\""),
            ("nel", r#"{"report_to":"elsewhere"}"#),
            ("report-to", r#"{"group":"elsewhere"}"#),
            ("reporting-endpoints", r#"elsewhere="https://elsewhere""#),
            ("set-cookie", "a=b"),
            ("set-cookie2", "a=b"),
            ("strict-transport-security", "max-age=0"),
            ("alt-svc", "clear"),
            ("x-ratelimit-remaining-requests", "1"),
        ]));
        assert_eq!(
            down.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["x-ratelimit-remaining-requests"]
        );
    }
}
