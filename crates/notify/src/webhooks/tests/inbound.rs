use super::*;

const NOW: i64 = 1_763_800_000;
const BODY: &[u8] = br#"{"type":"user.deleted"}"#;

fn secret(fill: u8) -> WebhookSecret {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.encode([fill; 32]);
    WebhookSecret::parse(&format!("whsec_{bytes}")).unwrap()
}

fn signature(by: u8) -> String {
    secret(by).sign("msg_1", NOW, BODY).unwrap()
}

fn check(timestamp: &str, signature: &str, secrets: &[WebhookSecret], body: &[u8]) -> Result<(), Unverified> {
    Signed { id: "msg_1", timestamp, signature }.check(secrets, body, NOW)
}

#[test]
fn a_message_is_believed_as_it_was_sent_by_any_of_the_secrets() {
    let now = NOW.to_string();
    for by in [1, 2] {
        assert_eq!(check(&now, &signature(by), &[secret(1), secret(2)], BODY), Ok(()));
        let both = format!("v1,AAAA {} v1a,BBBB", signature(by));
        assert_eq!(check(&now, &both, &[secret(1), secret(2)], BODY), Ok(()));
    }
    assert_eq!(check(&now, &signature(3), &[secret(1), secret(2)], BODY), Err(Unverified::Signature));
    assert_eq!(check(&now, &signature(1), &[], BODY), Err(Unverified::Signature));
    assert_eq!(check(&now, "", &[secret(1)], BODY), Err(Unverified::Signature));
}

#[test]
fn every_changed_bit_is_noticed() {
    let (now, signature) = (NOW.to_string(), signature(1));
    for bit in 0..BODY.len() * 8 {
        let mut body = BODY.to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(check(&now, &signature, &[secret(1)], &body), Err(Unverified::Signature), "bit {bit}");
    }
    for index in 0..signature.len() {
        let mut changed = signature.clone().into_bytes();
        changed[index] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(check(&now, &changed, &[secret(1)], BODY), Err(Unverified::Signature), "{changed}");
        assert_eq!(check(&now, &signature[..index], &[secret(1)], BODY), Err(Unverified::Signature));
    }
    let signed = Signed { id: "msg_2", timestamp: &now, signature: &signature };
    assert_eq!(signed.check(&[secret(1)], BODY, NOW), Err(Unverified::Signature));
    let later = (NOW + 1).to_string();
    assert_eq!(check(&later, &signature, &[secret(1)], BODY), Err(Unverified::Signature));
}

#[test]
fn a_message_is_believed_for_five_minutes() {
    let (now, signature) = (NOW.to_string(), signature(1));
    let signed = Signed { id: "msg_1", timestamp: &now, signature: &signature };
    for (at, expected) in [
        (NOW - 301, Err(Unverified::Stale)),
        (NOW - 300, Ok(())),
        (NOW + 300, Ok(())),
        (NOW + 301, Err(Unverified::Stale)),
        (i64::MAX, Err(Unverified::Stale)),
        (i64::MIN, Err(Unverified::Stale)),
    ] {
        assert_eq!(signed.check(&[secret(1)], BODY, at), expected, "{}", i128::from(at) - i128::from(NOW));
    }
}

#[test]
fn odd_headers_are_no_message() {
    let (now, signature) = (NOW.to_string(), signature(1));
    for odd in ["", "+1763800000", "01763800000", "1763800000.5", "99999999999999999999", "now", " 1"] {
        assert_eq!(check(odd, &signature, &[secret(1)], BODY), Err(Unverified::Malformed), "{odd}");
    }
    let long = "m".repeat(129);
    for id in ["", "msg.1", "msg 1", "m\u{fc}", &long] {
        let signed = Signed { id, timestamp: &now, signature: &signature };
        assert_eq!(signed.check(&[secret(1)], BODY, NOW), Err(Unverified::Malformed), "{id}");
    }
    let headers = |names: &'static [&'static str]| {
        Signed::of(move |name: &str| {
            names.contains(&name).then_some(if name.starts_with("svix") { "a" } else { "b" })
        })
    };
    assert!(headers(&["svix-id", "svix-timestamp", "svix-signature"]).is_ok());
    assert!(headers(&["webhook-id", "webhook-timestamp", "webhook-signature"]).is_ok());
    assert!(headers(&["svix-id", "svix-timestamp", "webhook-signature"]).is_err());
    let both = [
        "svix-id",
        "svix-timestamp",
        "svix-signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ];
    assert!(headers(Box::leak(Box::new(both))).is_err());
    assert!(Signed::of(|_| Some("the same")).is_ok());
}
