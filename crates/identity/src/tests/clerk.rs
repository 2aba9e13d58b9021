use serde_json::json;

use super::events::{BadEvent, Event};
use super::*;
use costlens_domain::outer::{OuterFact, Standing};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_800_000, 0).unwrap()
}

fn config() -> ClerkConfig {
    ClerkConfig {
        issuer: "https://clerk.example".to_owned(),
        api_url: String::new(),
        secret_key: String::new().into(),
        authorized_parties: vec!["https://costlens.example".to_owned()],
        instance_id: "ins_1".to_owned(),
        sign_in_url: String::new(),
    }
}

fn claims() -> Value {
    let now = now().timestamp();
    json!({
        "iss": "https://clerk.example", "azp": "https://costlens.example", "sub": "user_1", "sid": "sess_1", "v": 2,
        "iat": now, "exp": now + 60, "fva": [5, -1], "o": {"id": "org_1", "rol": "admin", "slg": "acme"},
    })
}

fn read_with(changes: &Value) -> Result<ClerkToken, TokenError> {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    read(&Claims(claims.as_object().unwrap().clone()), &config(), now())
}

#[test]
fn a_whole_token_is_read() {
    let token = read_with(&json!({})).unwrap();
    assert_eq!((token.person.as_str(), token.session.as_str()), ("user_1", "sess_1"));
    assert_eq!(token.organization, Some(("org_1".to_owned(), Role::Owner)));
    assert_eq!(token.proofs, [Some(now() - TimeDelta::minutes(5)), None]);
    assert_eq!(token.impersonator, None);
    let token = read_with(&json!({"azp": null, "o": null, "fva": null, "sts": "active"})).unwrap();
    assert_eq!((token.organization, token.proofs), (None, [None, None]));
    for (act, who) in [
        (json!({"sub": "user_9"}), "user_9"),
        (json!({"iss": "somewhere"}), ""),
        (json!({"sub": "not an id"}), ""),
        (json!(true), ""),
    ] {
        let token = read_with(&json!({"act": act})).unwrap();
        assert_eq!(token.impersonator.as_deref(), Some(who), "{act}");
    }
}

#[test]
fn whatever_is_wrong_with_a_token_is_named() {
    let now = now().timestamp();
    for (change, claim) in [
        (json!({"iss": "https://clerk.example/"}), "iss"),
        (json!({"iss": null}), "iss"),
        (json!({"azp": "https://evil.example"}), "azp"),
        (json!({"azp": ["https://costlens.example"]}), "azp"),
        (json!({"sts": "pending"}), "sts"),
        (json!({"sts": 7}), "sts"),
        (json!({"v": null}), "v"),
        (json!({"v": 1}), "v"),
        (json!({"iat": null}), "exp"),
        (json!({"iat": now + 1, "exp": now}), "exp"),
        (json!({"exp": now + 3_601}), "exp"),
        (json!({"sub": null}), "sub"),
        (json!({"sub": "user_1/../x"}), "sub"),
        (json!({"sid": ""}), "sid"),
        (json!({"o": {"rol": "admin"}}), "o"),
        (json!({"o": "org_1"}), "o"),
    ] {
        assert_eq!(read_with(&change), Err(TokenError::Claim(claim)), "{change}");
    }
}

#[test]
fn a_proof_that_is_no_number_of_minutes_is_none() {
    for odd in [json!([]), json!("5"), json!([-2, -1]), json!([i64::MAX, 1.5]), json!([null, "3"])] {
        assert_eq!(proofs(Some(&odd), now()), [None, None], "{odd}");
    }
}

#[test]
fn a_role_that_is_not_known_may_do_the_least() {
    for (name, expected) in [
        ("admin", Role::Owner),
        ("org:admin", Role::Owner),
        ("org:manager", Role::Admin),
        ("analyst", Role::Analyst),
        ("org:member", Role::Member),
        ("org:billing", Role::Viewer),
        ("Admin", Role::Viewer),
        ("", Role::Viewer),
    ] {
        assert_eq!(role(name), expected, "{name}");
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the tests write it where they call")]
fn event(kind: &str, data: Value) -> Result<Option<OuterFact>, BadEvent> {
    let body = json!({"object": "event", "type": kind, "instance_id": "ins_1", "timestamp": 9, "data": data});
    Event::read(body.to_string().as_bytes()).map(|event| event.fact)
}

#[test]
fn messages_are_read_as_facts_and_others_as_none() {
    let person = |version, standing| OuterFact::Person { id: "user_1".into(), version, standing };
    let user = |more: Value| {
        let mut user = json!({"id": "user_1", "updated_at": 5, "first_name": "Ann"});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    };
    assert_eq!(event("user.created", user(json!({}))), Ok(Some(person(5, Standing::Good))));
    assert_eq!(event("user.updated", user(json!({"banned": true}))), Ok(Some(person(5, Standing::Barred))));
    // Strangers' wrong passwords lock it, and shut nobody out who is signed in.
    assert_eq!(event("user.updated", user(json!({"locked": true}))), Ok(Some(person(5, Standing::Good))));
    let deleted = json!({"id": "user_1", "deleted": true});
    assert_eq!(event("user.deleted", deleted), Ok(Some(person(9, Standing::Gone))));
    let membership = json!({
        "id": "orgmem_1", "updated_at": 5, "role": "org:member",
        "organization": {"id": "org_1"}, "public_user_data": {"user_id": "user_1"},
    });
    let of = |version, role| OuterFact::Membership {
        id: "orgmem_1".into(),
        version,
        organization: "org_1".into(),
        person: "user_1".into(),
        role,
    };
    let kind = |what: &str| format!("organizationMembership.{what}");
    assert_eq!(event(&kind("updated"), membership.clone()), Ok(Some(of(5, Some(Role::Member)))));
    assert_eq!(event(&kind("deleted"), membership), Ok(Some(of(9, None))));
    let over = OuterFact::SessionOver { id: "sess_1".into(), version: 9 };
    assert_eq!(event("session.revoked", json!({"id": "sess_1"})), Ok(Some(over)));
    for ignored in ["session.created", "email.created", "user.invented"] {
        assert_eq!(event(ignored, json!({"id": "x"})), Ok(None));
    }
    for (kind, bad) in [
        ("user.deleted", json!({})),
        ("user.updated", json!({"id": "user_1"})),
        ("session.ended", json!({"id": "a/b"})),
        ("organizationMembership.created", json!({"id": "orgmem_1", "updated_at": 1, "role": "x"})),
    ] {
        assert_eq!(event(kind, bad), Err(BadEvent), "{kind}");
    }
    assert_eq!(Event::read(b"[]"), Err(BadEvent));
    assert_eq!(Event::read(b"\xff"), Err(BadEvent));
}
