//! Webhooks of others, as they come: whatever their headers and bodies, none is believed that nobody with a secret signed,
//! or that was sent at another time, and what is signed as it should be is believed.

use costlens_notify::webhooks::WebhookSecret;
use costlens_notify::webhooks::inbound::{Signed, Unverified, WINDOW_SECONDS};

/// Thirty-two bytes of 1, and of 2.
const SECRETS: [&str; 2] = [
    "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    "whsec_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
];
const NOW: i64 = 1_763_800_000;
const ID: &str = "msg_1";

pub(crate) fn check(input: &[u8]) {
    let secrets = SECRETS.map(|text| WebhookSecret::parse(text).unwrap());
    as_it_came(input, &secrets);
    as_a_body(input, &secrets);
    if let Ok(text) = std::str::from_utf8(input) {
        as_a_signature(text, &secrets);
    }
}

/// What somebody with this secret signs with; `None` for a body that is no text.
fn sign(secret: &str, id: &str, at: i64, body: &[u8]) -> Option<String> {
    standardwebhooks::Webhook::new(secret).unwrap().sign(id, at, body).ok()
}

/// Whether one of the signatures is by somebody with a secret.
fn is_right(signed: &Signed<'_>, at: i64, body: &[u8]) -> bool {
    let expected: Vec<String> =
        SECRETS.iter().filter_map(|secret| sign(secret, signed.id, at, body)).collect();
    signed.signature.split(' ').any(|one| expected.iter().any(|right| right == one))
}

/// The input as a whole message: lines of headers, an empty line, and a body.
fn as_it_came(input: &[u8], secrets: &[WebhookSecret]) {
    let Some(end) = input.windows(2).position(|two| two == b"\n\n") else { return };
    let (head, body) = (&input[..end], &input[end + 2..]);
    let Ok(head) = std::str::from_utf8(head) else { return };
    let read = Signed::of(|name| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")));
    let Ok(signed) = read else { return };
    // The number, in the one way that it is written.
    let sent = signed.timestamp.parse::<i64>().ok().filter(|at| at.to_string() == signed.timestamp);
    let sent = sent.filter(|at| NOW.abs_diff(*at) <= WINDOW_SECONDS.unsigned_abs());
    let plain = signed.id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.');
    let plain = plain && (1..=128).contains(&signed.id.len());
    let right = plain && sent.is_some_and(|at| is_right(&signed, at, body));
    let verdict = signed.check(secrets, body, NOW);
    assert!(right || verdict.is_err(), "a made-up message is believed: {signed:?}");
    let few = signed.signature.split(' ').count() <= 16;
    assert!(!right || !few || verdict.is_ok(), "{signed:?}: {verdict:?}");
}

/// The input as what somebody with a secret signs.
fn as_a_body(body: &[u8], secrets: &[WebhookSecret]) {
    let timestamp = NOW.to_string();
    for secret in SECRETS {
        let Some(signature) = sign(secret, ID, NOW, body) else { return };
        let signed = Signed { id: ID, timestamp: &timestamp, signature: &signature };
        assert_eq!(signed.check(secrets, body, NOW), Ok(()), "what is signed is not believed");
        let other = [body, b" "].concat();
        assert_eq!(signed.check(secrets, &other, NOW), Err(Unverified::Signature), "another body");
        let another = Signed { id: "msg_2", ..signed };
        assert_eq!(another.check(secrets, body, NOW), Err(Unverified::Signature), "another message's");
        for apart in [-WINDOW_SECONDS - 1, WINDOW_SECONDS + 1] {
            assert_eq!(signed.check(secrets, body, NOW + apart), Err(Unverified::Stale), "{apart}");
        }
    }
}

/// The input as the signatures of a message that says nothing.
fn as_a_signature(text: &str, secrets: &[WebhookSecret]) {
    let timestamp = NOW.to_string();
    let signed = Signed { id: ID, timestamp: &timestamp, signature: text };
    let expected = if is_right(&signed, NOW, b"{}") {
        [Ok(()), Err(Unverified::Signature)]
    } else {
        [Err(Unverified::Signature); 2]
    };
    let verdict = signed.check(secrets, b"{}", NOW);
    // Of very many signatures the last are not looked at.
    assert!(expected.contains(&verdict), "{text:?}: {verdict:?}");
}
