//! URLs that tenants register: whatever the text, what passes is https, public and of one spelling.

use costlens_egress::{EndpointUrl, HostPort, Policy, is_global};

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(listed) = text.parse::<HostPort>() {
        assert_eq!(listed.to_string().parse(), Ok(listed));
    }
    let policy = Policy::default();
    let Ok(endpoint) = EndpointUrl::parse(text, &policy) else { return };
    let spelling = endpoint.as_str();
    assert!(spelling.starts_with("https://"), "{text:?} became {spelling}");
    assert!(!endpoint.is_private(), "{text:?} passed as private");
    let authority = spelling["https://".len()..].split('/').next().unwrap();
    assert!(!spelling.contains(['?', '#', '\\']) && !authority.contains('@'), "{spelling}");
    let again = EndpointUrl::parse(spelling, &policy);
    assert_eq!(again.as_ref(), Ok(&endpoint), "{text:?} became {spelling}, which is judged otherwise");
    let host = endpoint.host();
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        assert!(is_global(address), "{text:?} leads to {address}");
    } else {
        assert!(host.contains('.') && !host.ends_with('.'), "{text:?} leads to {host}");
    }
    if let Some(uri) = endpoint.uri("/chat/completions") {
        assert_eq!(uri.scheme_str(), Some("https"));
        assert_eq!(uri.host().map(str::to_ascii_lowercase), Some(host), "{text:?}");
    }
}
