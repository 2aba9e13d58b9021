//! How often what lets people in may be tried.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use costlens_tests::vouchers::Known;
use costlens_tests::{PATIENCE, eventually, run};
use futures_util::future::join_all;
use serde_json::json;

use super::{Open, PASSWORD, Person, open, vouched};

/// Uses up the tries that strangers have at somebody's account, each from an address of its own.
pub(super) async fn strangers_try(open: &Open, whom: &Person) {
    // All at once; who waits too long for its turn was counted all the same.
    let tries = (0..30).map(|_| {
        let mut stranger = whom.elsewhere(open);
        async move { stranger.try_password("wrong horse battery").await }
    });
    for refused in join_all(tries).await {
        assert!([401, 503].contains(&refused.status), "{}", refused.text());
    }
    let refused = whom.elsewhere(open).try_password("wrong horse battery").await;
    refused.expect_problem(429, "too_many_requests");
}

#[test]
fn the_eleventh_sign_in_of_a_minute_from_one_address_is_refused_whatever_the_account() {
    run(async {
        let open = open();
        let ann = Person::registered(open, "ann").await;
        let mut one = Person::new(open, "flood");
        // All at once: one after the other they take longer than a minute where passwords take long. Who waits too
        // long for its turn was counted all the same.
        let tries = (0..10).map(|n| {
            let mut one = one.clone();
            one.email = format!("nobody-{n}@people.example");
            async move { one.try_password(PASSWORD).await }
        });
        for refused in join_all(tries).await {
            assert!([401, 503].contains(&refused.status), "{}", refused.text());
        }
        one.email.clone_from(&ann.email);
        let refused = one.try_password(PASSWORD).await;
        refused.expect_problem(429, "too_many_requests");
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        ann.elsewhere(open).sign_in().await.expect(201);
    });
}

#[test]
fn strangers_who_use_up_an_accounts_tries_do_not_shut_its_person_out() {
    run(async {
        let open = open();
        let ann = Person::registered(open, "ann").await;
        let mut at_home = ann.elsewhere(open);
        at_home.sign_in().await.expect(201);
        strangers_try(open, &ann).await;
        at_home.sign_in().await.expect(201);
        // No browser is known by a name that it gives itself.
        let mut token = URL_SAFE_NO_PAD.decode(&at_home.cookies["costlens_browser"]).unwrap();
        token[20] ^= 1;
        let mut renamed = ann.elsewhere(open);
        renamed.cookies.insert("costlens_browser".to_owned(), URL_SAFE_NO_PAD.encode(token));
        renamed.sign_in().await.expect_problem(429, "too_many_requests");
        // And a mail lets her in from anywhere.
        let mut elsewhere = ann.elsewhere(open);
        elsewhere.sign_in().await.expect_problem(429, "too_many_requests");
        elsewhere.post("/api/v1/password-resets", json!({"email": ann.email})).await.expect(202);
        let token = open.mailbox.token(&ann.email, "/new-password", 0).await;
        let password = "another horse battery";
        let body = json!({"token": token, "password": password});
        elsewhere.post("/api/v1/password-resets/complete", body).await.expect(204);
        ann.elsewhere(open).sign_in_with(password, None).await.expect(201);
        // What strangers try from then on is not counted where she set it.
        strangers_try(open, &ann).await;
        elsewhere.sign_in_with(password, None).await.expect(201);
    });
}

#[test]
fn every_browser_in_which_somebody_came_in_is_known_from_then_on() {
    run(async {
        let _others = vouched::ALONE.read().await;
        let open = open();
        // By the mail of the registration, and by Google.
        let mut ann = Person::registered(open, "ann").await;
        let who = vouched::known(open, &ann, true);
        assert_eq!(vouched::trip(&mut ann, "google", &who, true).await, "/profile");
        let mut by_google = ann.elsewhere(open);
        let page = vouched::trip(&mut by_google, "google", &who, false).await;
        vouched::exchange(&mut by_google, &page).await.expect(201);
        strangers_try(open, &ann).await;
        ann.sign_in().await.expect(201);
        by_google.sign_in().await.expect(201);
        // By an invitation.
        let mut member = Person::invited(open, &mut ann, "member").await;
        strangers_try(open, &member).await;
        member.sign_in().await.expect(201);
    });
}

#[test]
fn registrations_with_somebodys_address_do_not_take_its_resets() {
    run(async {
        let open = open();
        // The first of five was hers.
        let mut ann = Person::registered(open, "ann").await;
        let body = json!({"email": ann.email});
        for _ in 0..4 {
            Person::new(open, "a").post("/api/v1/registrations", body.clone()).await.expect(202);
        }
        let refused = Person::new(open, "a").post("/api/v1/registrations", body.clone()).await;
        refused.expect_problem(429, "too_many_requests");
        ann.post("/api/v1/password-resets", body).await.expect(202);
        eventually("letter with a link to a new password", async || {
            open.mailbox.letters_to(&ann.email).into_iter().find(|one| one.text.contains("/new-password"))
        })
        .await;
    });
}

#[test]
fn the_sixth_registration_and_reset_of_an_hour_from_one_address_are_refused() {
    run(async {
        let open = open();
        for path in ["/api/v1/registrations", "/api/v1/password-resets"] {
            let mut one = Person::new(open, "many");
            for n in 0..5 {
                one.post(path, json!({"email": format!("{n}-{}", one.email)})).await.expect(202);
            }
            let body = json!({"email": format!("6-{}", one.email)});
            one.post(path, body).await.expect_problem(429, "too_many_requests");
        }
    });
}

#[test]
fn who_is_new_and_vouched_for_counts_as_a_registration() {
    run(async {
        let open = open();
        let _others = super::vouched::ALONE.read().await;
        let mut one = Person::new(open, "many");
        let known = |n: u32| {
            let subject = format!("990{n}");
            let email = format!("{n}-{}", one.email);
            open.vouchers.know(&subject, Known { subject: subject.clone(), email: (email, true) });
            subject
        };
        let people: Vec<String> = (0..6).map(known).collect();
        for who in &people[..5] {
            super::vouched::return_of(&mut one, "google", who).await.expect(303);
        }
        let refused = super::vouched::return_of(&mut one, "google", &people[5]).await;
        refused.expect_problem(429, "too_many_requests");
        // Who is known already is let in.
        super::vouched::return_of(&mut one, "google", &people[0]).await.expect(303);
    });
}

#[test]
fn letters_to_one_address_are_bounded_from_wherever_they_are_asked_for() {
    run(async {
        let open = open();
        for path in ["/api/v1/registrations", "/api/v1/password-resets"] {
            let body = json!({"email": Person::new(open, "target").email});
            for _ in 0..5 {
                Person::new(open, "a").post(path, body.clone()).await.expect(202);
            }
            let refused = Person::new(open, "a").post(path, body).await;
            refused.expect_problem(429, "too_many_requests");
        }
    });
}

/// Every operation that lets people in without a session is counted: found in the contract, not in a list of ours.
#[test]
fn no_door_is_without_a_limit() {
    run(async {
        let open = open();
        let contract = open.app.get("/openapi.json").await.expect(200).json();
        let doors = [
            ("create_session", json!({"token": "x"})),
            ("create_password_session", json!({"email": "a@b.example", "password": PASSWORD})),
            ("refresh_session", json!(null)),
            ("create_registration", json!({"email": "a@b.example"})),
            (
                "complete_registration",
                json!({"token": "x", "name": "x", "tenant_name": "x", "password": PASSWORD}),
            ),
            ("create_password_reset", json!({"email": "a@b.example"})),
            ("complete_password_reset", json!({"token": "x", "password": PASSWORD})),
            ("accept_invitation", json!({"token": "x"})),
            ("create_exchanged_session", json!({"code": "x"})),
            ("create_clerk_session", json!({"token": "x"})),
            ("start_single_sign_on", json!({"email": "a@b.example"})),
            ("start_oauth", json!(null)),
            ("finish_oauth", json!(null)),
            ("finish_single_sign_on", json!(null)),
        ];
        // Without a credential of ours, and no way in. What a recipient's link does has its own rules.
        let others = [
            "confirm_recipient",
            "unsubscribe",
            "keep_account",
            "get_sign_in_options",
            "get_status",
            "get_trust",
            "get_erasure_certificate",
        ];
        for (path, methods) in contract["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                let unguarded =
                    operation.get("security").is_none_or(|of| of.as_array().is_none_or(Vec::is_empty));
                if !unguarded || others.contains(&id) {
                    continue;
                }
                let Some((_, body)) = doors.iter().find(|(door, _)| *door == id) else {
                    panic!("{id} lets anybody call it: give it a limit, and a row here")
                };
                // Nobody's organisation: what comes back from its provider is counted all the same.
                let path = path.replace("{provider}", "google");
                let path = path.replace("{tenant_id}", "ten_019ab3c4d5e67f8091a2b3c4d5e6f708");
                let (path, one) = (path.as_str(), Person::new(open, "door"));
                let body = (!body.is_null()).then(|| body.clone());
                // Many at once: the widest door lets 600 in within a minute.
                let (method, mut tried, begun) = (method.to_uppercase(), 0, Instant::now());
                loop {
                    let tries = (0..25).map(|_| {
                        let (mut one, body, method) = (one.clone(), body.clone(), &method);
                        async move { one.call_once(method, path, body).await.status }
                    });
                    if join_all(tries).await.contains(&429) {
                        break;
                    }
                    tried += 25;
                    // A machine that was too slow to pass it within a minute tries on.
                    let in_a_minute = tried * 60 / begun.elapsed().as_secs().max(1);
                    let says_little = in_a_minute < 1_200 && begun.elapsed() < PATIENCE;
                    assert!(tried < 2_500 || says_little, "{id} is never refused");
                }
            }
        }
    });
}
