//! What lets in, as whom, and what lets nobody in.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use costlens_identity::testing::{Signer, encode};
use costlens_tests::clerk::PARTY;

use super::*;

#[test]
fn a_person_comes_with_its_organisation_and_is_known_again() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let organization = kept.clerk.organization("Acme");
        let ann = kept.clerk.member("Ann", &organization, "admin");
        let mut browser = kept.browser();
        let session = kept.trade(&mut browser, &kept.clerk.token(&ann)).await.expect(201).json();
        assert_eq!((&session["method"], &session["role"]), (&json!("clerk"), &json!("owner")));
        assert_eq!((&session["tenant_name"], &session["user"]["name"]), (&json!("Acme"), &json!("Ann")));
        assert_eq!(session["user"]["email"], format!("{}@clerk.example", ann.id.to_lowercase()));
        assert_eq!((&session["continues_until"], &session["two_factors"]), (&json!(null), &json!(true)));
        assert!(!browser.cookies.contains_key("costlens_refresh"));
        // A second person is of the same tenant, as what Clerk says; and so is a program that has a token.
        let bob = kept.clerk.member("Bob", &organization, "member");
        let other = kept.look(&kept.clerk.token(&bob)).await.expect(200).json();
        assert_eq!((&other["tenant_id"], &other["role"]), (&session["tenant_id"], &json!("member")));
        let again = kept.clerk.again(&ann);
        let mut elsewhere = kept.browser();
        let second = kept.trade(&mut elsewhere, &kept.clerk.token(&again)).await.expect(201).json();
        assert_eq!(second["user"]["id"], session["user"]["id"]);
        // Each sign-in at Clerk is written down once, however often its tokens come.
        kept.look(&kept.clerk.token(&bob)).await.expect(200);
        let acts = ["tenant.registered", "member.joined", "session.opened"];
        assert_eq!(acts.map(|action| kept.acts(&organization, action)), [1, 2, 3]);
        // Others see nothing of them.
        let strange = kept.clerk.organization("Strange");
        let eve = kept.clerk.member("Eve", &strange, "admin");
        let seen = kept.look(&kept.clerk.token(&eve)).await.expect(200).json();
        assert_ne!(seen["tenant_id"], session["tenant_id"]);
        let members = kept.call(&kept.clerk.token(&eve), "GET", "/api/v1/members", None).await.expect(200);
        assert!(!members.text().contains("Ann") && members.text().contains("Eve"));
    });
}

#[test]
fn what_is_forged_late_early_or_for_others_lets_nobody_in() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let organization = kept.clerk.organization("Forged");
        let ann = kept.clerk.member("Ann", &organization, "admin");
        let (signer, claims) = (kept.clerk.signer(), kept.clerk.claims(&ann));
        let now = claims["iat"].as_i64().unwrap();
        let body = encode(&claims);
        let jwk = signer.jwk();
        let under = |header: Value, signature: &dyn Fn(&[u8]) -> Vec<u8>| {
            let signed = format!("{}.{body}", encode(&header));
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature(signed.as_bytes())))
        };
        // The public key, as it stands in the JWKS, as the secret of an HMAC.
        let public = jwk["n"].as_str().unwrap().to_owned();
        let by_public_key = |message: &[u8]| {
            let text = std::str::from_utf8(message).unwrap();
            let (id, rest) = text.split_once('.').unwrap();
            let made =
                costlens_identity::testing::webhook_signature(public.as_bytes(), id, 0, rest.as_bytes());
            made.into_bytes()
        };
        let say = |more: Value| kept.clerk.token_with(&ann, &more);
        let mut tokens = vec![
            ("alg none", under(json!({"alg": "none", "kid": "key-1"}), &|_| Vec::new())),
            ("HS256 by the public key", under(json!({"alg": "HS256", "kid": "key-1"}), &by_public_key)),
            ("another's key", Signer::new("key-1").sign(&claims)),
            ("a key that nobody published", Signer::new("key-9").sign(&claims)),
            ("another issuer", say(json!({"iss": "https://clerk.evil.example"}))),
            ("another origin", say(json!({"azp": "https://evil.example"}))),
            ("expired by six seconds", say(json!({"iat": now - 66, "exp": now - 6}))),
            ("expired by half a minute", say(json!({"iat": now - 90, "exp": now - 30}))),
            ("not yet", say(json!({"nbf": now + 3_000}))),
            ("from the future", say(json!({"iat": now + 3_000, "exp": now + 3_060}))),
            ("pending", say(json!({"sts": "pending"}))),
            ("for longer than an hour", say(json!({"exp": now + 7_200}))),
            ("of the first version", say(json!({"v": 1, "org_id": organization, "org_role": "org:admin"}))),
            ("nothing", "eyJ.eyJ.eyJ".to_owned()),
        ];
        let good = kept.clerk.token(&ann);
        for (index, letter) in good.char_indices().step_by(97) {
            let mut changed = good.clone();
            changed.replace_range(index..=index, if letter == 'A' { "B" } else { "A" });
            tokens.push(("changed", changed));
        }
        for (what, token) in &tokens {
            let mut browser = kept.browser();
            let answer = kept.trade(&mut browser, token).await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.text());
            assert!(browser.cookies.is_empty(), "{what}");
            assert_eq!(kept.look(token).await.status, 401, "{what}");
        }
        assert_eq!(kept.clerk.asked(&format!("/v1/users/{}", ann.id)), 0, "nobody was asked about them");
        kept.look(&kept.clerk.token(&ann)).await.expect(200);
        // An origin need not be named, and no cookie helps a token that is wrong.
        let mut claims = kept.clerk.claims(&ann);
        claims.as_object_mut().unwrap().remove("azp");
        kept.look(&signer.sign(&claims)).await.expect(200);
        let mut browser = kept.signed_in(&ann).await;
        let wrong = say(json!({"sts": "pending"}));
        let url = format!("{}/api/v1/session", browser.base);
        let cookie = format!("costlens_session={}", browser.cookies["costlens_session"]);
        let bearer = format!("Bearer {wrong}");
        let headers = [("cookie", cookie.as_str()), ("authorization", bearer.as_str())];
        http::send("GET", &url, &headers, "").await.expect_problem(401, "session_invalid");
        browser.get("/api/v1/session").await;
        // A made-up cookie is no token, nor is a token in the cookie's place.
        for cookie in ["costlens_session=clerk".to_owned(), format!("costlens_session={good}")] {
            let headers = [("cookie", cookie.as_str())];
            http::send("GET", &url, &headers, "").await.expect_problem(401, "session_invalid");
        }
        assert_eq!(PARTY, "http://localhost:5173");
    });
}

#[test]
fn a_new_key_is_fetched_when_a_token_names_it() {
    run(async {
        let kept = Kept::own(&[]);
        let organization = kept.clerk.organization("Keys");
        let ann = kept.clerk.member("Ann", &organization, "admin");
        let old = kept.clerk.token(&ann);
        kept.look(&old).await.expect(200);
        kept.look(&old).await.expect(200);
        assert_eq!(kept.clerk.asked("/.well-known/jwks.json"), 1);
        // Within the minute nothing is fetched, however many tokens name unknown keys.
        kept.clerk.rotate("key-2");
        for _ in 0..20 {
            kept.look(&kept.clerk.token(&ann)).await.expect_problem(401, "session_invalid");
        }
        assert_eq!(kept.clerk.asked("/.well-known/jwks.json"), 1);
        tokio::time::sleep(Duration::from_secs(61)).await;
        kept.look(&kept.clerk.token(&ann)).await.expect(200);
        assert_eq!(kept.clerk.asked("/.well-known/jwks.json"), 2);
    });
}

#[test]
fn a_role_is_the_least_of_what_is_known_and_an_unknown_one_does_the_least() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let organization = kept.clerk.organization("Roles");
        for (there, here) in [
            ("admin", "owner"),
            ("manager", "admin"),
            ("analyst", "analyst"),
            ("member", "member"),
            ("billing", "viewer"),
        ] {
            let person = kept.clerk.member(there, &organization, there);
            let session = kept.look(&kept.clerk.token(&person)).await.expect(200).json();
            let mut browser = kept.signed_in(&person).await;
            assert_eq!(
                (&session["role"], &browser.get("/api/v1/session").await["role"]),
                (&json!(here), &json!(here))
            );
        }
        let member = kept.clerk.member("climber", &organization, "member");
        let mut climbs = member.clone();
        climbs.organization.as_mut().unwrap().2 = "admin".to_owned();
        // Clerk itself says member when it is asked, whatever the token says.
        let body = json!({"name": "mine"});
        let taken = kept.call(&kept.clerk.token(&climbs), "PATCH", "/api/v1/tenant", Some(body)).await;
        taken.expect_problem(403, "forbidden");
    });
}

#[test]
fn who_acts_as_another_looks_and_dangerous_changes_want_a_second_factor_of_now() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let organization = kept.clerk.organization("Careful");
        let ann = kept.clerk.member("Ann", &organization, "admin");
        let close = || Some(json!({"confirm": "Careful"}));
        for (more, status, code) in [
            (json!({"fva": [1, -1]}), 403, "step_up_required"),
            (json!({"fva": [1, 61]}), 403, "step_up_required"),
            (json!({"fva": [16, 1]}), 403, "step_up_required"),
            (json!({"act": {"iss": "https://dashboard.clerk.com", "sub": "user_support"}}), 403, "forbidden"),
        ] {
            let token = kept.clerk.token_with(&ann, &more);
            let answer = kept.call(&token, "POST", "/api/v1/account/closure", close()).await;
            assert_eq!(answer.status, status, "{more}: {}", answer.text());
            assert_eq!(answer.json()["code"], code, "{more}");
            let again = kept.clerk.again(&ann);
            let mut browser = kept.browser();
            kept.trade(&mut browser, &kept.clerk.token_with(&again, &more)).await.expect(201);
            let answer = browser.post("/api/v1/account/closure", close().unwrap()).await;
            assert_eq!(answer.status, status, "{more}: {}", answer.text());
            browser.get("/api/v1/members").await;
        }
        // Whoever acted in her name is written down by its own.
        let told = kept.call(&kept.clerk.token(&ann), "GET", "/api/v1/audit-events?limit=200", None).await;
        let told = told.expect(200).json();
        let opened = told["items"].as_array().unwrap().iter().filter(|one| one["action"] == "session.opened");
        let acted: Vec<_> = opened
            .filter(|one| one["change"]["read_only"] == true)
            .map(|one| one["change"]["impersonator"].clone())
            .collect();
        assert_eq!(acted, ["user_support"], "{told}");
        // Who acts as another changes nothing else either.
        let token = kept.clerk.token_with(&ann, &json!({"act": {"sub": "user_support"}}));
        kept.look(&token).await.expect(200);
        let body = json!({"name": "taken"});
        let taken = kept.call(&token, "PATCH", "/api/v1/tenant", Some(body.clone())).await;
        taken.expect_problem(403, "forbidden");
        kept.call(&kept.clerk.token(&ann), "PATCH", "/api/v1/tenant", Some(body)).await.expect(200);
        // Nor ends any of the person's sign-ins.
        let mut hers = kept.signed_in(&kept.clerk.again(&ann)).await;
        let list = hers.get("/api/v1/user/sign-ins").await;
        let one = list["items"].as_array().unwrap().iter().find(|one| one["current"] == true).unwrap();
        let path = format!("/api/v1/user/sign-ins/{}", one["id"].as_str().unwrap());
        let token = kept.clerk.token_with(&ann, &json!({"act": {"sub": "user_support"}}));
        kept.call(&token, "DELETE", &path, None).await.expect_problem(403, "forbidden");
        hers.get("/api/v1/session").await;
        kept.call(&kept.clerk.token(&ann), "DELETE", &path, None).await.expect(204);
        hers.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
    });
}

#[test]
fn nobody_has_an_account_of_its_own_unless_anybody_may() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let alone = kept.clerk.person("Alone");
        kept.look(&kept.clerk.token(&alone)).await.expect_problem(403, "forbidden");
        let open = Kept::own(&[("COSTLENS_SIGN_UP", "open".to_owned())]);
        let alone = open.clerk.person("Alone");
        let session = open.look(&open.clerk.token(&alone)).await.expect(200).json();
        assert_eq!(
            (&session["role"], &session["tenant_name"]),
            (&json!("owner"), &json!("Alone's organisation"))
        );
        let mut browser = open.signed_in(&alone).await;
        assert_eq!(browser.get("/api/v1/session").await["tenant_id"], session["tenant_id"]);
    });
}

#[test]
fn the_doors_of_here_are_closed_and_say_where_to_go() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let mut one = kept.browser();
        let email = json!({"email": "a@people.example"});
        for (path, body) in [
            ("/api/v1/sessions/password", json!({"email": "a@people.example", "password": PASSWORD})),
            ("/api/v1/sessions/exchange", json!({"code": "x"})),
            ("/api/v1/session/refresh", json!(null)),
            ("/api/v1/registrations", email.clone()),
            (
                "/api/v1/registrations/complete",
                json!({"token": "x", "name": "x", "tenant_name": "x", "password": PASSWORD}),
            ),
            ("/api/v1/password-resets", email),
            ("/api/v1/password-resets/complete", json!({"token": "x", "password": PASSWORD})),
            ("/api/v1/invitations/accept", json!({"token": "x"})),
        ] {
            let answer = one.post(path, body).await.expect_problem(403, "sign_in_elsewhere");
            assert!(answer["detail"].as_str().unwrap().contains("/sign-in"), "{path}");
        }
        for path in ["/api/v1/oauth/google/start", "/api/v1/oauth/github/callback?code=x&state=y"] {
            one.call("GET", path, None).await.expect_problem(403, "sign_in_elsewhere");
        }
        let organization = kept.clerk.organization("Doors");
        let ann = kept.clerk.member("Ann", &organization, "admin");
        let mut ann = kept.signed_in(&ann).await;
        let me = ann.id().await;
        for (method, path, body) in [
            ("PUT", "/api/v1/user/password".to_owned(), json!({"new": PASSWORD})),
            ("POST", "/api/v1/user/second-factor".to_owned(), json!(null)),
            ("POST", "/api/v1/invitations".to_owned(), json!({"email": "b@people.example", "role": "owner"})),
            ("PATCH", format!("/api/v1/members/{me}"), json!({"role": "owner"})),
            ("DELETE", format!("/api/v1/members/{me}"), json!(null)),
        ] {
            let body = (!body.is_null()).then_some(body);
            ann.call(method, &path, body).await.expect_problem(403, "sign_in_elsewhere");
        }
        let options = kept.app.get("/api/v1/sign-in-options").await.expect(200).json();
        assert_eq!((&options["registration"], &options["providers"]), (&json!(false), &json!([])));
        assert_eq!(options["clerk"]["frontend_url"], kept.clerk.issuer());
        // Whoever has the machine gets in as ever.
        let owner = kept.app.owner("By the command line").await;
        assert_eq!(owner.call("GET", "/api/v1/keys", None).await.status, 200);
        // The console may call Clerk, and nobody else.
        let headers = [("accept", "text/html")];
        let page =
            http::send("GET", &format!("{}/sign-in", kept.app.base_url()), &headers, "").await.expect(200);
        let policy = page.header("content-security-policy").to_owned();
        assert!(policy.contains(&format!("connect-src 'self' {};", kept.clerk.issuer())), "{policy}");
    });
}

#[test]
fn half_of_the_settings_is_no_start() {
    let clerk = Clerk::open();
    let all = clerk.settings();
    let missing = |name: &str| all.iter().filter(|(of, _)| *of != name).cloned().collect::<Vec<_>>();
    let told = |settings: &[(&'static str, String)]| {
        let output = std::process::Command::new(costlens_tests::place::binary())
            .arg("run")
            .env("COSTLENS_DATA_DIR", "/nonexistent")
            .envs(settings.iter().map(|(name, value)| (*name, value.as_str())))
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for name in [
        "CLERK_SECRET_KEY",
        "CLERK_WEBHOOK_SECRETS",
        "CLERK_AUTHORIZED_PARTIES",
        "CLERK_SIGN_IN_URL",
        "CLERK_INSTANCE_ID",
    ] {
        let told = told(&missing(name));
        assert!(told.contains(&format!("{name} is not set, and CLERK_ISSUER is")), "{name}: {told}");
    }
    let told_of_issuer = told(&missing("CLERK_ISSUER"));
    assert!(told_of_issuer.contains("CLERK_ISSUER is not set"), "{told_of_issuer}");
    for (name, value, words) in [
        ("CLERK_ISSUER", "http://clerk.example", "CLERK_ISSUER is no https address"),
        ("CLERK_ISSUER", "https://clerk.example/", "CLERK_ISSUER is more than an origin"),
        ("CLERK_API_URL", "http://10.0.0.1", "CLERK_API_URL is no https address"),
        ("CLERK_WEBHOOK_SECRETS", "whsec_AAAA", "CLERK_WEBHOOK_SECRETS holds what is no secret"),
        ("CLERK_AUTHORIZED_PARTIES", "costlens.example", "CLERK_AUTHORIZED_PARTIES is no address"),
    ] {
        let mut settings = missing(name);
        settings.push((name, value.to_owned()));
        let told = told(&settings);
        assert!(told.contains(words), "{name}={value}: {told}");
        assert!(!told.contains("whsec_") || name == "CLERK_WEBHOOK_SECRETS");
    }
    let mut production = all.clone();
    production.push(("COSTLENS_ENV", "production".to_owned()));
    let told = told(&production);
    assert!(told.contains("CLERK_ISSUER is no https address"), "{told}");
}
