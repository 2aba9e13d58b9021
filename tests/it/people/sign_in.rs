//! Registering, passwords, second factors.

use std::time::{Duration, Instant};

use costlens_tests::{eventually, run};
use serde_json::json;

use super::{PASSWORD, Person, open, vouched};

#[test]
fn a_person_registers_by_mail_and_the_link_works_once() {
    run(async {
        let open = open();
        let mut ann = Person::new(open, "ann");
        ann.post("/api/v1/registrations", json!({"email": ann.email.to_uppercase()})).await.expect(202);
        let letter = open.mailbox.letter(&ann.email, 0).await;
        let token = letter.token("/register");
        let body = |password: &str| json!({"token": token, "name": "Ann", "tenant_name": "Ann & Co", "password": password});
        let weak = ann.post("/api/v1/registrations/complete", body("qwertyuiop")).await;
        weak.expect_problem(400, "invalid_request");
        let session = ann.post("/api/v1/registrations/complete", body(PASSWORD)).await.expect(201).json();
        assert_eq!((&session["role"], &session["tenant_name"]), (&json!("owner"), &json!("Ann & Co")));
        assert_eq!(session["user"]["email"], ann.email);
        assert!(!ann.cookies.contains_key("costlens_refresh"), "an owner stays for an hour alone");
        let again = ann.elsewhere(open).post("/api/v1/registrations/complete", body(PASSWORD)).await;
        again.expect_problem(404, "link_invalid");
        // Somebody who enters the address again hears the same, and the mailbox hears what is what.
        let mut other = Person::new(open, "other");
        other.post("/api/v1/registrations", json!({"email": ann.email})).await.expect(202);
        let letter = open.mailbox.letter(&ann.email, 1).await;
        assert!(
            letter.text.contains("registered already") && !letter.text.contains("#t="),
            "{}",
            letter.text
        );
        let actions = ann.get("/api/v1/audit-events").await;
        let actions: Vec<_> =
            actions["items"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
        assert_eq!(actions, ["session.opened", "tenant.registered"]);
    });
}

#[test]
fn of_many_tries_with_one_registration_link_one_becomes_a_user() {
    run(async {
        let open = open();
        let mut ann = Person::new(open, "race");
        ann.post("/api/v1/registrations", json!({"email": ann.email})).await.expect(202);
        let token = open.mailbox.letter(&ann.email, 0).await.token("/register");
        let tries = (0..8).map(|_| {
            let (mut racer, token) = (Person::new(open, "racer"), token.clone());
            tokio::spawn(async move {
                let body = json!({"token": token, "name": "R", "tenant_name": "R", "password": PASSWORD});
                racer.post("/api/v1/registrations/complete", body).await.status
            })
        });
        let mut statuses = Vec::new();
        for one in tries.collect::<Vec<_>>() {
            statuses.push(one.await.unwrap());
        }
        statuses.sort_unstable();
        // Who waited too long for its turn to hash was told to come back.
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [201, 404, 503].contains(status)), "{statuses:?}");
    });
}

#[test]
fn a_wrong_password_and_an_unknown_address_are_told_apart_by_nothing() {
    run(async {
        let open = open();
        let ann = Person::registered(open, "ann").await;
        let mut at_home = ann.elsewhere(open);
        let wrong = at_home.sign_in_with("wrong horse battery", None).await;
        let mut nobody = Person::new(open, "nobody");
        let unknown = nobody.sign_in().await;
        let told = |answer: &costlens_tests::http::Answer| {
            let mut problem = answer.expect_problem(401, "sign_in_refused");
            problem["instance"] = json!(null);
            (problem, answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(told(&wrong), told(&unknown));
        at_home.sign_in().await.expect(201);
        assert_eq!(at_home.get("/api/v1/session").await["method"], "password");
        assert!(at_home.cookies.contains_key("costlens_browser"));
    });
}

#[test]
fn asking_for_a_new_password_does_the_same_work_whoever_has_the_address() {
    run(async {
        let open = open();
        let ann = Person::registered(open, "asked").await;
        let nobody = Person::new(open, "nobody").email;
        let mut answers = Vec::new();
        for email in [&ann.email, &nobody] {
            let mut stranger = Person::new(open, "stranger");
            let answer = stranger.post("/api/v1/password-resets", json!({"email": email})).await.expect(202);
            answers.push((answer.text(), answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>()));
        }
        assert_eq!(answers[0], answers[1]);
        // For both a row is written and a job asked for, which alone finds out whether there is anybody to write to.
        let of_reset = |column: &str, email: &str| {
            let rows = format!("user_link WHERE purpose = 'password_reset' AND email = '{email}'");
            open.app.query(&format!("SELECT {column} FROM {rows}")).trim().to_owned()
        };
        assert_eq!(
            (of_reset("user_id IS NULL", &ann.email), of_reset("user_id IS NULL", &nobody)),
            ("f".to_owned(), "t".to_owned())
        );
        let _ = open.mailbox.letter(&ann.email, 1).await.token("/new-password");
        eventually("end of what is mailed to nobody", async || {
            (of_reset("mail_state", &nobody) == "refused").then_some(())
        })
        .await;
        assert!(open.mailbox.letters_to(&nobody).is_empty());
    });
}

#[test]
fn a_password_is_stored_as_bcrypt_of_cost_12_and_stands_in_no_log() {
    run(async {
        let open = open();
        let ann = Person::registered(open, "hashed").await;
        ann.elsewhere(open).sign_in().await.expect(201);
        open.app.sql(&format!(
            "DO $$ BEGIN ASSERT (SELECT password_hash LIKE '$2b$12$%' FROM user_account WHERE email = '{}'); END $$",
            ann.email
        ));
        assert!(!open.app.log_tail().contains(PASSWORD));
    });
}

#[test]
fn a_second_factor_is_asked_for_and_a_code_works_once() {
    run(async {
        let open = open();
        let mut ann = Person::registered(open, "factor").await;
        let setup = ann.call("POST", "/api/v1/user/second-factor", None).await.expect(200).json();
        let secret = setup["secret"].as_str().unwrap().to_owned();
        // Not asked for before it is confirmed.
        ann.elsewhere(open).sign_in().await.expect(201);
        let wrong = ann.post("/api/v1/user/second-factor/confirm", json!({"code": "000000"})).await;
        assert!([400].contains(&wrong.status), "{}", wrong.text());
        let code = authenticator(&secret, 0);
        let confirmed =
            ann.post("/api/v1/user/second-factor/confirm", json!({"code": code})).await.expect(200);
        let recovery = confirmed.json()["codes"].as_array().unwrap().clone();
        assert_eq!(recovery.len(), 10);

        let mut elsewhere = ann.elsewhere(open);
        elsewhere.sign_in().await.expect_problem(401, "second_factor_required");
        assert!(elsewhere.cookies.is_empty());
        let used = elsewhere.sign_in_with(PASSWORD, Some(&code)).await;
        used.expect_problem(401, "second_factor_required");
        // A code lasts half a minute: where a turn to look at the password comes later, a newer one is taken.
        let session = loop {
            let (begun, next) = (Instant::now(), authenticator(&secret, 1));
            let answer = elsewhere.sign_in_with(PASSWORD, Some(&next)).await;
            if answer.status == 201 || begun.elapsed() < Duration::from_secs(30) {
                break answer.expect(201).json();
            }
        };
        assert_eq!(session["two_factors"], true);
        let recovery = recovery[0].as_str().unwrap();
        ann.elsewhere(open).sign_in_with(PASSWORD, Some(recovery)).await.expect(201);
        let again = ann.elsewhere(open).sign_in_with(PASSWORD, Some(recovery)).await;
        again.expect_problem(401, "second_factor_required");
        let user = ann.get("/api/v1/user").await;
        assert_eq!((&user["second_factor"], &user["recovery_codes_left"]), (&json!(true), &json!(9)));
        // A wrong password never gets to hear that there is a second factor.
        ann.elsewhere(open)
            .sign_in_with("wrong horse battery", None)
            .await
            .expect_problem(401, "sign_in_refused");
    });
}

#[test]
fn a_second_factor_is_removed_and_gets_new_codes_by_both_factors_alone() {
    run(async {
        let _others = vouched::ALONE.read().await;
        let open = open();
        let (factor, recovery) = ("/api/v1/user/second-factor", "/api/v1/user/recovery-codes");
        let mut ann = Person::registered(open, "both").await;
        let who = vouched::known(open, &ann, true);
        assert_eq!(vouched::trip(&mut ann, "google", &who, true).await, "/profile");
        // Google vouches for one factor, however lately; a password alone is one, too.
        let mut by_google = ann.elsewhere(open);
        let page = vouched::trip(&mut by_google, "google", &who, false).await;
        vouched::exchange(&mut by_google, &page).await.expect(201);
        let setup = ann.call("POST", factor, None).await.expect(200).json();
        let code = authenticator(setup["secret"].as_str().unwrap(), 0);
        let confirmed = ann.post("/api/v1/user/second-factor/confirm", json!({"code": code})).await;
        let old = confirmed.expect(200).json()["codes"].as_array().unwrap().clone();
        let half = by_google.post("/api/v1/session/proof", json!({"password": PASSWORD})).await;
        half.expect_problem(401, "second_factor_required");
        for (method, path) in [("DELETE", factor), ("POST", recovery)] {
            by_google.call(method, path, None).await.expect_problem(403, "step_up_required");
        }
        let user = by_google.get("/api/v1/user").await;
        assert_eq!((&user["second_factor"], &user["recovery_codes_left"]), (&json!(true), &json!(10)));
        // After a proof by both there are new codes, and the old ones are of no use.
        let proof = json!({"password": PASSWORD, "code": old[0]});
        by_google.post("/api/v1/session/proof", proof).await.expect(200);
        let made = by_google.call("POST", recovery, None).await.expect(200).json();
        let made = made["codes"].as_array().unwrap().clone();
        assert_eq!(made.len(), 10);
        let mut by_both = ann.elsewhere(open);
        let refused = by_both.sign_in_with(PASSWORD, old[1].as_str()).await;
        refused.expect_problem(401, "second_factor_required");
        by_both.sign_in_with(PASSWORD, made[0].as_str()).await.expect(201);
        // Removing what is gone removes nothing.
        by_both.call("DELETE", factor, None).await.expect(204);
        by_both.call("DELETE", factor, None).await.expect(204);
        let user = by_both.get("/api/v1/user").await;
        assert_eq!((&user["second_factor"], &user["recovery_codes_left"]), (&json!(false), &json!(0)));
        ann.elsewhere(open).sign_in().await.expect(201);
        let events = by_both.get("/api/v1/audit-events").await;
        let actions: Vec<_> =
            events["items"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
        for action in ["user.recovery_codes_replaced", "user.second_factor_removed"] {
            let written = actions.iter().filter(|of| **of == json!(action)).count();
            assert_eq!(written, 1, "{action}: {actions:?}");
        }
    });
}

#[test]
fn a_new_password_by_mail_ends_every_sign_in_and_keeps_the_second_factor() {
    run(async {
        let open = open();
        let mut ann = Person::registered(open, "reset").await;
        let setup = ann.call("POST", "/api/v1/user/second-factor", None).await.expect(200).json();
        let secret = setup["secret"].as_str().unwrap().to_owned();
        let code = authenticator(&secret, 0);
        ann.post("/api/v1/user/second-factor/confirm", json!({"code": code})).await.expect(200);
        let mut elsewhere = ann.elsewhere(open);
        elsewhere.post("/api/v1/password-resets", json!({"email": ann.email})).await.expect(202);
        let mut nobody = Person::new(open, "nobody");
        nobody.post("/api/v1/password-resets", json!({"email": nobody.email})).await.expect(202);
        let token = open.mailbox.token(&ann.email, "/new-password", 0).await;
        let body = json!({"token": token, "password": "another horse battery"});
        elsewhere.post("/api/v1/password-resets/complete", body.clone()).await.expect(204);
        elsewhere.post("/api/v1/password-resets/complete", body).await.expect_problem(404, "link_invalid");
        assert_eq!(ann.call("GET", "/api/v1/session", None).await.status, 401);
        ann.elsewhere(open).sign_in().await.expect_problem(401, "sign_in_refused");
        let factor = ann.elsewhere(open).sign_in_with("another horse battery", None).await;
        factor.expect_problem(401, "second_factor_required");
        open.mailbox.letter_with(&ann.email, "password was changed", 0).await;
        open.mailbox.letter_with(&ann.email, "How you sign in was changed", 0).await;
        assert!(open.mailbox.letters_to(&nobody.email).is_empty());
    });
}

#[test]
fn a_new_password_makes_a_mailed_link_to_another_worthless() {
    run(async {
        let open = open();
        let mut ann = Person::registered(open, "changed").await;
        let mut thief = ann.elsewhere(open);
        thief.post("/api/v1/password-resets", json!({"email": ann.email})).await.expect(202);
        let token = open.mailbox.token(&ann.email, "/new-password", 0).await;
        let body = json!({"current": PASSWORD, "new": "another horse battery"});
        ann.call("PUT", "/api/v1/user/password", Some(body)).await.expect(204);
        let body = json!({"token": token, "password": "a thief's horse battery"});
        thief.post("/api/v1/password-resets/complete", body).await.expect_problem(404, "link_invalid");
    });
}

#[test]
fn of_many_switches_at_once_one_goes_on() {
    run(async {
        let open = open();
        let mut ann = Person::registered(open, "switching").await;
        let tenant = ann.get("/api/v1/session").await["tenant_id"].clone();
        let tries: Vec<_> = (0..8)
            .map(|_| {
                let (mut one, body) = (ann.clone(), json!({"tenant_id": tenant}));
                tokio::spawn(async move { one.post("/api/v1/session/tenant", body).await.status })
            })
            .collect();
        let mut statuses = Vec::new();
        for one in tries {
            statuses.push(one.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 401, 401, 401, 401, 401, 401, 401]);
    });
}

/// The code that an authenticator shows, so many steps from now: RFC 6238 by an independent implementation.
/// The code that an authenticator shows, so many steps ahead.
pub(crate) fn authenticator(secret: &str, ahead: i64) -> String {
    let script = "import sys,hmac,base64,struct,time\n\
        key=base64.b32decode(sys.argv[1]); step=int(time.time())//30+int(sys.argv[2])\n\
        h=hmac.new(key,struct.pack('>Q',step),'sha1').digest(); o=h[-1]&15\n\
        print('%06d'%((struct.unpack('>I',h[o:o+4])[0]&0x7fffffff)%1000000))";
    let output =
        std::process::Command::new("python3").args(["-c", script, secret, &ahead.to_string()]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}
