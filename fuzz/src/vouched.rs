//! What others vouch with, as it comes: messages of Clerk's, and signed tokens. Whatever the bytes, a message names nothing
//! that may not stand in a path, and no token is believed that its signer did not sign.

use costlens_domain::outer::OuterFact;
use costlens_identity::clerk::events::{Event, plain};
use costlens_identity::token::{Claims, PublicKey, TokenError, Unchecked};
use serde_json::Value;

const NOW: i64 = 1_763_800_000;
/// A good token, until a minute after. Nobody has the private half of its key any more.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImtleS0xIn0.eyJpc3MiOiJodHRwczovL2NsZXJrLmV4YW1wbGUiLCJz\
     dWIiOiJ1c2VyXzEiLCJzaWQiOiJzZXNzXzEiLCJ2IjoyLCJpYXQiOjE3NjM4MDAwMDAsImV4cCI6MTc2MzgwMDA2MH0.FdeLx4IW\
     d1GE9LvshBAhjOEf4xNMNuinCtG5bR-E1kDrzyO558KYJrc7HvfF2jDue8mtz9ushmVEwYPmLYZoBVYCnTEQ60PTJ1AOSj5SzA-r\
     gHK10BW6s1LA1inXSIJ1ofVyJp68FeZj6yyALIQHUwvDtW2rIleyK_BvaQbQztBMC5cbXGWXlhH_H3tsFoEznjZQH-a_Vx14zNeI\
     tPhZHcx3SZnpml-POqoI_ztIxSMk50WQXaRgjsS-eBLaT0sc68uV6nctMq_UGsSOXO8IQ53p_b0fbb-BJHOAXPQay4QNHMTZX3Xk\
     Ftn0DaMCEwTUtosse2pR1df8KotddU8Vng";
/// Its key's modulus, in hexadecimal digits; the exponent is 65537.
const MODULUS: &str = "f4824771e0e1238201f0d7882e6614187cbe1340602ea9629d73b76918870e5183a611d793a70121fdf69c8ee0f4f4dbdf66\
     5c3d714ba0d886c8107c6361b84958c4fd36e67e17148b4bb65a1b421f2b496e0e6edba7b725f7ae44a38f302b2adab1ec9e\
     b6d346a86c94e5f356f023b8bbadc2c18b63e6286546714cdd1d80c2eb4921cdf6c5502c586fc6b69375c9d3b663611c59f1\
     22d8514c2d99adadeac161482e90d605ebce4972ab70d7eb8d95bf98a4a949d3158923521189d163aa895d73b9aa69323a98\
     4d726b3dc022444a9fd543b57bd9dce0daddb0b994d3ecccc5368c69cf64e6bbffb5ced2186557f71f2a9298a0b77413b906\
     427c14eea231";

pub(crate) fn check(input: &[u8]) {
    message(input);
    // As it comes, behind its headers.
    if let Some(end) = input.windows(2).position(|two| two == b"\n\n") {
        message(&input[end + 2..]);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        token(text);
    }
    if let Ok(Value::Object(said)) = serde_json::from_slice(input) {
        claims(&Claims(said));
    }
}

fn message(body: &[u8]) {
    let Ok(event) = Event::read(body) else { return };
    assert_eq!(Event::read(body).as_ref(), Ok(&event), "the same bytes say something else");
    assert!((1..=100).contains(&event.kind.len()), "{event:?}");
    let Some(fact) = &event.fact else { return };
    let ids = match fact {
        OuterFact::Person { id, .. } | OuterFact::SessionOver { id, .. } => vec![id],
        OuterFact::Organization { id, name, .. } => {
            if let Some(name) = name {
                assert!((1..=100).contains(&name.chars().count()), "{name:?}");
                assert!(!name.chars().any(char::is_control) && plain(name) == *name, "{name:?}");
            }
            vec![id]
        }
        OuterFact::Membership { id, organization, person, .. } => vec![id, organization, person],
    };
    for id in ids {
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        assert!((1..=128).contains(&id.len()) && is_plain, "{id:?} may not stand in a path");
    }
    let written = serde_json::to_string(fact).unwrap();
    assert_eq!(serde_json::from_str::<OuterFact>(&written).unwrap(), *fact, "{written}");
}

/// The key that signed the token, or one that differs from it in a bit.
fn key(other: bool) -> PublicKey {
    let digits = |at: usize| u8::from_str_radix(&MODULUS[at..at + 2], 16).unwrap();
    let mut modulus: Vec<u8> = (0..MODULUS.len()).step_by(2).map(digits).collect();
    modulus[100] ^= u8::from(other);
    PublicKey::rsa(modulus, vec![1, 0, 1]).unwrap()
}

fn token(text: &str) {
    let Ok(unchecked) = Unchecked::parse(text) else {
        assert_ne!(text, TOKEN, "a good token is none");
        return;
    };
    assert!(text.len() <= 16 * 1024 && text.matches('.').count() == 2, "{text}");
    assert!((1..=256).contains(&unchecked.key_id.len()), "{unchecked:?}");
    let checked = unchecked.check(&key(false), NOW);
    if text == TOKEN {
        assert!(checked.is_ok_and(|claims| claims.text("sub") == Some("user_1")), "a good token is refused");
        assert_eq!(unchecked.check(&key(false), NOW + 65), Err(TokenError::Expired));
    } else {
        assert_eq!(checked, Err(TokenError::Signature), "a made-up token is believed: {text}");
    }
    assert_eq!(unchecked.check(&key(true), NOW), Err(TokenError::Signature), "under another's key");
}

/// What a token says may be anything once it is signed.
fn claims(claims: &Claims) {
    for (name, value) in &claims.0 {
        assert_eq!(claims.text(name), value.as_str(), "{name}");
        let seconds = claims.seconds(name);
        assert!(
            value.is_number() || seconds.is_none(),
            "{value} is no moment, and was taken for {seconds:?}"
        );
        if let Some(whole) = value.as_i64() {
            assert_eq!(seconds, Some(whole), "{name}");
        }
    }
    let named = claims.0.get("aud").is_some_and(|audience| audience.to_string().contains("costlens"));
    assert!(named || !claims.is_for("costlens"), "{claims:?}");
}
