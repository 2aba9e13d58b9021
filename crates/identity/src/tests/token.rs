use serde_json::json;

use super::*;
use crate::testing::{Signer, encode};

const NOW: i64 = 1_763_800_000;

fn claims() -> Value {
    json!({"sub": "ann", "exp": NOW + 60, "nbf": NOW - 1, "iat": NOW})
}

fn check(token: &str, key: &PublicKey, now: i64) -> Result<Claims, TokenError> {
    Unchecked::parse(token)?.check(key, now)
}

#[test]
fn a_token_says_what_its_signer_signed() {
    let signer = Signer::new("k1");
    let token = signer.sign(&claims());
    assert_eq!(Unchecked::parse(&token).unwrap().key_id, "k1");
    let read = check(&token, &signer.public(), NOW).unwrap();
    assert_eq!((read.text("sub"), read.seconds("exp")), (Some("ann"), Some(NOW + 60)));
    let other = Signer::new("k1");
    assert_eq!(check(&token, &other.public(), NOW), Err(TokenError::Signature));
}

#[test]
fn every_changed_bit_is_noticed() {
    let signer = Signer::new("k1");
    let token = signer.sign(&claims());
    let key = signer.public();
    for index in 0..token.len() {
        for bit in 0..8 {
            let mut changed = token.clone().into_bytes();
            changed[index] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            let refused = check(&changed, &key, NOW);
            assert!(refused.is_err(), "byte {index} bit {bit} goes unnoticed");
        }
    }
    for cut in 0..token.len() {
        assert!(check(&token[..cut], &key, NOW).is_err(), "cut at {cut}");
    }
}

#[test]
fn no_other_algorithm_is_tried_whatever_the_header_says() {
    let signer = Signer::new("k1");
    let body = encode(&claims());
    for alg in ["none", "None", "HS256", "ES256", "PS256", "RS512", "rs256", ""] {
        let header = encode(&json!({"alg": alg, "kid": "k1"}));
        let signature = URL_SAFE_NO_PAD.encode(signer.signature(format!("{header}.{body}").as_bytes()));
        for signature in [signature.as_str(), ""] {
            let token = format!("{header}.{body}.{signature}");
            assert_eq!(check(&token, &signer.public(), NOW), Err(TokenError::Algorithm), "{alg}");
        }
    }
    let critical = signer.sign_with(&json!({"alg": "RS256", "kid": "k1", "crit": ["exp"]}), &claims());
    assert_eq!(check(&critical, &signer.public(), NOW), Err(TokenError::Algorithm));
    let nameless = signer.sign_with(&json!({"alg": "RS256"}), &claims());
    assert_eq!(check(&nameless, &signer.public(), NOW), Err(TokenError::UnknownKey));
}

#[test]
fn times_hold_but_for_five_seconds() {
    let signer = Signer::new("k1");
    let key = signer.public();
    let token = signer.sign(&claims());
    assert!(check(&token, &key, NOW + 64).is_ok());
    assert_eq!(check(&token, &key, NOW + 65), Err(TokenError::Expired));
    let early = signer.sign(&json!({"exp": NOW + 60, "nbf": NOW + 6}));
    assert_eq!(check(&early, &key, NOW), Err(TokenError::NotYet));
    assert!(check(&early, &key, NOW + 1).is_ok());
    let endless = signer.sign(&json!({"sub": "ann"}));
    assert_eq!(check(&endless, &key, NOW), Err(TokenError::Claim("exp")));
    for odd in [json!("soon"), json!(null), json!([]), json!(true)] {
        let odd = signer.sign(&json!({"exp": NOW + 60, "nbf": odd}));
        assert_eq!(check(&odd, &key, NOW), Err(TokenError::Claim("nbf")));
    }
}

#[test]
fn a_moment_is_a_plain_number_of_seconds() {
    let of = |text: &str| Claims(Map::from_iter([("exp".to_owned(), serde_json::from_str(text).unwrap())]));
    assert_eq!(of("1763800000").seconds("exp"), Some(NOW));
    assert_eq!(of("1763800000.999").seconds("exp"), Some(NOW));
    assert_eq!(of("-1").seconds("exp"), Some(-1));
    for odd in ["1.5e30", "-2.5E+40", "99999999999999999999", "\"1763800000\"", "null", "[1]"] {
        assert_eq!(of(odd).seconds("exp"), None, "{odd}");
    }
}

#[test]
fn a_key_that_is_too_small_is_none() {
    assert!(PublicKey::rsa(vec![0xff; 255], vec![1, 0, 1]).is_none());
    assert!(PublicKey::rsa([vec![0; 10], vec![0xff; 255]].concat(), vec![1, 0, 1]).is_none());
    assert!(PublicKey::rsa(vec![0xff; 256], vec![1, 0, 1]).is_some());
    assert!(PublicKey::rsa(vec![0xff; 256], vec![]).is_none());
}

#[test]
fn an_audience_is_named_alone_or_among_others() {
    let of = |aud: Value| Claims(json!({ "aud": aud }).as_object().unwrap().clone());
    assert!(of(json!("us")).is_for("us") && of(json!(["x", "us"])).is_for("us"));
    for wrong in [json!("them"), json!([]), json!(null), json!(["us "]), json!({"us": 1})] {
        assert!(!of(wrong).is_for("us"));
    }
}
