//! How long somebody stays signed in, what continues it, and what ends it.

use costlens_tests::run;
use serde_json::{Value, json};

use super::{PASSWORD, Person, open};

const REFRESH: &str = "/api/v1/session/refresh";

#[test]
fn a_member_continues_past_the_hour_and_who_runs_the_account_does_not() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        let mut member = Person::invited(open, &mut owner, "member").await;
        let mut admin = Person::invited(open, &mut owner, "admin").await;
        assert!(!admin.cookies.contains_key("costlens_refresh"));
        admin.call("POST", "/api/v1/session/refresh", None).await.expect_problem(401, "session_invalid");
        member.outlive_session(open).await;
        assert_eq!(member.call("GET", "/api/v1/session", None).await.status, 401);
        let next = member.call("POST", "/api/v1/session/refresh", None).await.expect(201).json();
        assert_eq!(next["role"], "member");
        assert_eq!(member.get("/api/v1/session").await["id"], next["id"]);
        // A sign-in that became an admin's ends with its hour.
        let id = member.id().await;
        owner
            .call("PATCH", &format!("/api/v1/members/{id}"), Some(json!({"role": "admin"})))
            .await
            .expect(200);
        member.call("POST", "/api/v1/session/refresh", None).await.expect_problem(401, "session_invalid");
    });
}

#[test]
fn a_refresh_that_is_used_twice_ends_the_sign_in_for_everybody() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        let mut member = Person::invited(open, &mut owner, "member").await;
        let mut thief = member.clone();
        thief.address = Person::new(open, "thief").address;
        member.call("POST", "/api/v1/session/refresh", None).await.expect(201);
        member.get("/api/v1/session").await;
        thief.call("POST", "/api/v1/session/refresh", None).await.expect_problem(401, "session_invalid");
        assert_eq!(member.call("GET", "/api/v1/session", None).await.status, 401, "both are out");
        member.call("POST", "/api/v1/session/refresh", None).await.expect_problem(401, "session_invalid");
        let events = owner.get("/api/v1/audit-events").await;
        assert!(
            events["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|event| event["action"] == "session.refresh_reused")
        );
    });
}

#[test]
fn of_many_refreshes_at_once_one_goes_on_and_a_page_of_another_origin_none() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        let member = Person::invited(open, &mut owner, "viewer").await;
        let cookie = format!("costlens_refresh={}", member.cookies["costlens_refresh"]);
        let url = format!("{}/api/v1/session/refresh", member.base);
        let foreign = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
        assert_eq!(costlens_tests::http::send("POST", &url, &foreign, "").await.status, 403);
        let tries: Vec<_> = (0..8)
            .map(|_| {
                let mut one = member.clone();
                one.address = Person::new(open, "tab").address;
                tokio::spawn(async move { one.call("POST", "/api/v1/session/refresh", None).await.status })
            })
            .collect();
        let mut won = 0;
        for one in tries {
            won += usize::from(one.await.unwrap() == 201);
        }
        assert_eq!(won, 1);
    });
}

#[test]
fn a_tenant_that_wants_it_signs_everybody_in_anew_after_an_hour() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        let mut member = Person::invited(open, &mut owner, "member").await;
        owner.call("PATCH", "/api/v1/tenant", Some(json!({"one_hour_sign_in": true}))).await.expect(200);
        member.call("POST", "/api/v1/session/refresh", None).await.expect_problem(401, "session_invalid");
        member.sign_in().await.expect(201);
        assert!(!member.cookies.contains_key("costlens_refresh"));
        assert_eq!(member.get("/api/v1/session").await["continues_until"], json!(null));
    });
}

#[test]
fn while_an_aws_account_is_connected_everybody_signs_in_anew_after_an_hour() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "connected").await;
        let mut member = Person::invited(open, &mut owner, "member").await;
        let mut before = member.clone();
        let account = json!({
            "account_id": "123456789012", "bucket": "billing", "prefix": "exports", "report_name": "costlens",
        });
        let made = owner.post("/api/v1/aws-connections", account).await.expect(201).json();
        let path = format!("/api/v1/aws-connections/{}", made["id"].as_str().unwrap());
        // What began before the account was connected ends with its hour, too.
        before.outlive_session(open).await;
        before.call("POST", REFRESH, None).await.expect_problem(401, "session_invalid");
        member.sign_in().await.expect(201);
        assert!(!member.cookies.contains_key("costlens_refresh"));
        assert_eq!(member.get("/api/v1/session").await["continues_until"], json!(null));
        // A pause takes no role away, and what the organisation wants is another matter.
        owner.call("POST", &format!("{path}/pause"), None).await.expect(200);
        owner.call("PATCH", "/api/v1/tenant", Some(json!({"one_hour_sign_in": false}))).await.expect(200);
        before.call("POST", REFRESH, None).await.expect_problem(401, "session_invalid");
        owner.call("DELETE", &path, None).await.expect(204);
        before.call("POST", REFRESH, None).await.expect(201);
        member.sign_in().await.expect(201);
        member.call("POST", REFRESH, None).await.expect(201);
    });
}

#[test]
fn a_sign_in_is_over_after_seven_days_and_no_refresh_extends_it() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        let mut member = Person::invited(open, &mut owner, "member").await;
        let id = |session: &Value| session["id"].as_str().unwrap().replace("ses_", "");
        let ends_in = |session: &Value, time: &str| {
            open.app.sql(&format!(
                "UPDATE session SET refresh_expires_at = now() + interval '{time}' WHERE id = '{}'",
                id(session)
            ));
        };
        let first = member.get("/api/v1/session").await;
        let life = format!("SELECT refresh_expires_at - created_at FROM session WHERE id = '{}'", id(&first));
        assert_eq!(open.app.query(&life).trim(), "7 days");
        // Three days later.
        ends_in(&first, "4 days");
        let until = member.get("/api/v1/session").await["continues_until"].clone();
        let next = member.call("POST", REFRESH, None).await.expect(201).json();
        assert_eq!(next["continues_until"], until);
        // In the last hour.
        ends_in(&next, "10 minutes");
        let until = member.get("/api/v1/session").await["continues_until"].clone();
        let last = member.call("POST", REFRESH, None).await.expect(201).json();
        assert_eq!((&last["expires_at"], &last["continues_until"]), (&until, &Value::Null));
        assert!(!member.cookies.contains_key("costlens_refresh"));
        // And a moment too late.
        member.sign_in().await.expect(201);
        ends_in(&member.get("/api/v1/session").await, "-1 second");
        member.call("POST", REFRESH, None).await.expect_problem(401, "session_invalid");
    });
}

#[test]
fn seeing_another_organisation_makes_no_sign_in_longer() {
    run(async {
        let open = open();
        let mut ann = Person::registered(open, "ann").await;
        let mut bob = Person::registered(open, "bob").await;
        let asked = json!({"email": bob.email, "role": "viewer"});
        ann.post("/api/v1/invitations", asked).await.expect(201);
        let token = open.mailbox.letter(&bob.email, 1).await.token("/invitation");
        bob.post("/api/v1/invitations/accept", json!({"token": token})).await.expect(204);
        let user = bob.get("/api/v1/user").await;
        let of_role = |role: &str| {
            let memberships = user["memberships"].as_array().unwrap();
            memberships.iter().find(|of| of["role"] == role).unwrap()["tenant_id"].clone()
        };
        let (owned, seen) = (of_role("owner"), of_role("viewer"));
        let minutes_left = |session: &Value| -> i64 {
            let id = session["id"].as_str().unwrap().replace("ses_", "");
            let left = "extract(epoch FROM expires_at - now()) / 60";
            open.app
                .query(&format!("SELECT ceil({left})::bigint FROM session WHERE id = '{id}'"))
                .trim()
                .parse()
                .unwrap()
        };
        let see = async |bob: &mut Person, tenant: &Value| {
            bob.post("/api/v1/session/tenant", json!({"tenant_id": tenant})).await
        };
        // Its own organisation again, at the end of the hour: the hour ends all the same.
        bob.grow_older(open, "59 minutes").await;
        let again = see(&mut bob, &owned).await.expect(201).json();
        assert!(minutes_left(&again) <= 1, "{again}");
        bob.grow_older(open, "1 minute").await;
        see(&mut bob, &owned).await.expect_problem(403, "step_up_required");
        bob.get("/api/v1/session").await;
        bob.post("/api/v1/session/proof", json!({"password": PASSWORD})).await.expect(200);
        let proven = see(&mut bob, &owned).await.expect(201).json();
        assert!(minutes_left(&proven) > 50, "{proven}");

        // A sign-in that may go on for a week runs no account at its end.
        let body = json!({"email": bob.email, "password": PASSWORD, "tenant_id": seen});
        let session = bob.post("/api/v1/sessions/password", body).await.expect(201).json();
        assert_ne!(session["continues_until"], Value::Null);
        bob.grow_older(open, "6 days").await;
        bob.call("POST", REFRESH, None).await.expect(201);
        see(&mut bob, &owned).await.expect_problem(403, "step_up_required");
        assert_eq!(bob.get("/api/v1/session").await["tenant_id"], seen);
        bob.post("/api/v1/session/proof", json!({"password": PASSWORD})).await.expect(200);
        let session = see(&mut bob, &owned).await.expect(201).json();
        assert_eq!((&session["role"], &session["continues_until"]), (&json!("owner"), &Value::Null));
        assert!(!bob.cookies.contains_key("costlens_refresh"));
    });
}

#[test]
fn sign_ins_are_listed_and_one_that_is_ended_lets_nobody_in() {
    run(async {
        let open = open();
        let mut ann = Person::registered(open, "ann").await;
        let mut phone = ann.elsewhere(open);
        phone.sign_in().await.expect(201);
        let list = ann.get("/api/v1/user/sign-ins").await;
        let items = list["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), 2, "{list}");
        assert!(items.iter().all(|one| one["browser"] == "Testfox/1.0"));
        let other = items.iter().find(|one| one["current"] == false).unwrap();
        let path = format!("/api/v1/user/sign-ins/{}", other["id"].as_str().unwrap());
        // Nobody ends another person's.
        let mut bob = Person::registered(open, "bob").await;
        assert_eq!(bob.call("DELETE", &path, None).await.status, 404);
        phone.get("/api/v1/session").await;
        ann.call("DELETE", &path, None).await.expect(204);
        assert_eq!(phone.call("GET", "/api/v1/session", None).await.status, 401);
        ann.get("/api/v1/session").await;
    });
}

#[test]
fn dangerous_changes_want_a_fresh_proof() {
    run(async {
        let open = open();
        let mut ann = Person::registered(open, "ann").await;
        ann.grow_stale(open).await;
        let close = json!({"confirm": "ann's"});
        let refused = ann.post("/api/v1/account/closure", close.clone()).await;
        refused.expect_problem(403, "step_up_required");
        ann.call("POST", "/api/v1/user/second-factor", None).await.expect_problem(403, "step_up_required");
        ann.call("PATCH", "/api/v1/tenant", Some(json!({"name": "x"})))
            .await
            .expect_problem(403, "step_up_required");
        let wrong = ann.post("/api/v1/session/proof", json!({"password": "wrong horse battery"})).await;
        wrong.expect_problem(401, "sign_in_refused");
        ann.post("/api/v1/account/closure", close.clone()).await.expect_problem(403, "step_up_required");
        ann.post("/api/v1/session/proof", json!({"password": PASSWORD})).await.expect(200);
        ann.post("/api/v1/account/closure", close).await.expect(201);
    });
}

#[test]
fn a_changed_password_ends_every_other_sign_in() {
    run(async {
        let open = open();
        let mut ann = Person::registered(open, "ann").await;
        let mut phone = ann.elsewhere(open);
        phone.sign_in().await.expect(201);
        let change = |current: &str| json!({"current": current, "new": "another horse battery"});
        let wrong = ann.call("PUT", "/api/v1/user/password", Some(change("wrong horse battery"))).await;
        wrong.expect_problem(401, "sign_in_refused");
        phone.get("/api/v1/session").await;
        ann.call("PUT", "/api/v1/user/password", Some(change(PASSWORD))).await.expect(204);
        ann.get("/api/v1/session").await;
        assert_eq!(phone.call("GET", "/api/v1/session", None).await.status, 401);
        phone.sign_in().await.expect_problem(401, "sign_in_refused");
        phone.sign_in_with("another horse battery", None).await.expect(201);
    });
}
