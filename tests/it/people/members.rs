//! Who belongs to an organisation, and what each role may do.

use costlens_tests::run;
use serde_json::json;

use super::{PASSWORD, Person, open};

#[test]
fn each_role_may_do_its_part_and_no_more() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        // (method, path, body, the least role)
        let table = [
            ("GET", "/api/v1/spend/breakdown?by=key", None, 0),
            ("GET", "/api/v1/budgets", None, 0),
            ("GET", "/api/v1/keys", None, 1),
            ("POST", "/api/v1/keys", Some(json!({"name": "a"})), 1),
            ("GET", "/api/v1/requests", None, 1),
            ("GET", "/api/v1/members", None, 1),
            ("GET", "/api/v1/workflows", None, 2),
            ("POST", "/api/v1/budgets", Some(json!({"name": "b", "period": "day", "amount": "1"})), 2),
            ("GET", "/api/v1/audit-events", None, 3),
            ("GET", "/api/v1/invitations", None, 3),
            ("PATCH", "/api/v1/settings", Some(json!({})), 3),
            ("GET", "/api/v1/account/closure", None, 4),
        ];
        for (rank, role) in ["viewer", "member", "analyst", "admin"].into_iter().enumerate() {
            let mut person = Person::invited(open, &mut owner, role).await;
            for (method, path, body, least) in &table {
                let answer = person.call(method, path, body.clone()).await;
                if rank >= *least {
                    assert!([200, 201].contains(&answer.status), "{role} {method} {path}: {}", answer.text());
                } else {
                    answer.expect_problem(403, "forbidden");
                }
            }
        }
        for (method, path, body, _) in table {
            let answer = owner.call(method, path, body).await;
            assert!([200, 201].contains(&answer.status), "owner {method} {path}: {}", answer.text());
        }
    });
}

#[test]
fn the_last_owner_stays_and_admins_decide_about_no_owner() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        let mut admin = Person::invited(open, &mut owner, "admin").await;
        let (owner_path, admin_path) = (
            format!("/api/v1/members/{}", owner.id().await),
            format!("/api/v1/members/{}", admin.id().await),
        );
        let role = |role: &str| Some(json!({"role": role}));
        admin.call("PATCH", &owner_path, role("viewer")).await.expect_problem(403, "forbidden");
        admin.call("DELETE", &owner_path, None).await.expect_problem(403, "forbidden");
        admin.call("PATCH", &admin_path, role("owner")).await.expect_problem(403, "forbidden");
        let body = json!({"email": "x@people.example", "role": "owner"});
        admin.post("/api/v1/invitations", body).await.expect_problem(403, "forbidden");
        owner.call("PATCH", &owner_path, role("admin")).await.expect_problem(409, "conflict");
        owner.call("DELETE", &owner_path, None).await.expect_problem(409, "conflict");
        owner.call("PATCH", &admin_path, role("owner")).await.expect(200);
        // Two owners that step down at once: one stays.
        let (mut a, mut b) = (owner.clone(), admin.clone());
        let (down_a, down_b) = (owner_path.clone(), admin_path.clone());
        let (a, b) =
            tokio::join!(a.call("PATCH", &down_a, role("viewer")), b.call("PATCH", &down_b, role("viewer")));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    });
}

#[test]
fn a_removed_member_is_out_at_once_and_a_changed_role_counts_at_once() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        let mut analyst = Person::invited(open, &mut owner, "analyst").await;
        let path = format!("/api/v1/members/{}", analyst.id().await);
        let budget = |name: &str| json!({"name": name, "period": "day", "amount": "1"});
        analyst.post("/api/v1/budgets", budget("first")).await.expect(201);
        owner.call("PATCH", &path, Some(json!({"role": "viewer"}))).await.expect(200);
        analyst.post("/api/v1/budgets", budget("second")).await.expect_problem(403, "forbidden");
        owner.call("DELETE", &path, None).await.expect(204);
        assert_eq!(analyst.call("GET", "/api/v1/session", None).await.status, 401);
        let refused = analyst.sign_in().await;
        refused.expect_problem(403, "forbidden");
        let events = owner.get("/api/v1/audit-events").await;
        let actions: Vec<_> =
            events["items"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
        assert!(
            actions.contains(&json!("member.removed")) && actions.contains(&json!("member.role_changed"))
        );
    });
}

#[test]
fn somebody_belongs_to_several_organisations_and_sees_one_at_a_time() {
    run(async {
        let open = open();
        let mut ann = Person::registered(open, "ann").await;
        let mut bob = Person::registered(open, "bob").await;
        let body = json!({"email": bob.email, "role": "viewer"});
        let sent = ann.post("/api/v1/invitations", body.clone()).await.expect(201).json();
        ann.post("/api/v1/invitations", body).await.expect_problem(409, "conflict");
        // The mail proves whose the address is: whoever asked sees no link.
        assert_eq!(sent["link"], json!(null));
        let token = open.mailbox.token(&bob.email, "/invitation", 0).await;
        // Nobody makes a member of somebody else, whatever it has of the link.
        let mut eve = Person::registered(open, "eve").await;
        for body in [json!({"token": token}), json!({"token": token, "name": "Bob", "password": PASSWORD})] {
            for one in [&mut eve, &mut bob.elsewhere(open)] {
                let refused = one.post("/api/v1/invitations/accept", body.clone()).await;
                refused.expect_problem(409, "conflict");
            }
        }
        bob.post("/api/v1/invitations/accept", json!({"token": token})).await.expect(204);
        bob.post("/api/v1/invitations/accept", json!({"token": token}))
            .await
            .expect_problem(404, "link_invalid");
        let user = bob.get("/api/v1/user").await;
        let memberships = user["memberships"].as_array().unwrap().clone();
        assert_eq!(memberships.len(), 2);
        let anns = memberships.iter().find(|of| of["role"] == "viewer").unwrap()["tenant_id"].clone();
        bob.post("/api/v1/keys", json!({"name": "bob's"})).await.expect(201);
        let session = bob.post("/api/v1/session/tenant", json!({"tenant_id": anns})).await.expect(201).json();
        assert_eq!((&session["tenant_id"], &session["role"]), (&anns, &json!("viewer")));
        bob.post("/api/v1/keys", json!({"name": "in ann's"})).await.expect_problem(403, "forbidden");
        assert_eq!(ann.get("/api/v1/keys").await["items"], json!([]));
        let mut carl = Person::registered(open, "carl").await;
        let stranger = carl.post("/api/v1/session/tenant", json!({"tenant_id": anns})).await;
        stranger.expect_problem(404, "not_found");
        // Signing in names the organisation.
        let body = json!({"email": bob.email, "password": PASSWORD, "tenant_id": anns});
        let session = bob.elsewhere(open).post("/api/v1/sessions/password", body).await.expect(201).json();
        assert_eq!(session["tenant_id"], anns);
    });
}

#[test]
fn an_invitation_that_was_taken_back_or_ran_out_makes_nobody_a_member() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        let mut eve = Person::new(open, "eve");
        let accept = |token: &str| json!({"token": token, "name": "Eve", "password": PASSWORD});
        let invite = json!({"email": eve.email, "role": "member"});
        let sent = owner.post("/api/v1/invitations", invite.clone()).await.expect(201).json();
        let (id, token) =
            (sent["id"].as_str().unwrap(), open.mailbox.token(&eve.email, "/invitation", 0).await);
        owner.call("DELETE", &format!("/api/v1/invitations/{id}"), None).await.expect(204);
        eve.post("/api/v1/invitations/accept", accept(&token)).await.expect_problem(404, "link_invalid");
        let sent = owner.post("/api/v1/invitations", invite.clone()).await.expect(201).json();
        let (id, token) =
            (sent["id"].as_str().unwrap(), open.mailbox.token(&eve.email, "/invitation", 1).await);
        open.app.sql(&format!(
            "UPDATE invitation SET expires_at = created_at WHERE id = '{}'",
            id.trim_start_matches("inv_")
        ));
        eve.post("/api/v1/invitations/accept", accept(&token)).await.expect_problem(404, "link_invalid");
        // Who ran out can be asked again, and a repeated call shows no second link.
        owner.post("/api/v1/invitations", invite).await.expect(201);
    });
}

#[test]
fn what_a_member_asked_others_for_ends_with_what_it_may() {
    run(async {
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        for method in ["PATCH", "DELETE"] {
            let mut admin = Person::invited(open, &mut owner, "admin").await;
            let path = format!("/api/v1/members/{}", admin.id().await);
            // One of its own addresses, say, kept for later.
            let mut friend = Person::new(open, "friend");
            let asked = json!({"email": friend.email, "role": "admin"});
            admin.post("/api/v1/invitations", asked).await.expect(201);
            let token = open.mailbox.token(&friend.email, "/invitation", 0).await;
            let mut kept = Person::new(open, "kept");
            owner
                .post("/api/v1/invitations", json!({"email": kept.email, "role": "viewer"}))
                .await
                .expect(201);
            let body = (method == "PATCH").then(|| json!({"role": "analyst"}));
            let done = owner.call(method, &path, body).await;
            assert!([200, 204].contains(&done.status), "{}", done.text());
            let accept = json!({"token": token, "name": "Friend", "password": PASSWORD});
            let refused = friend.post("/api/v1/invitations/accept", accept).await;
            refused.expect_problem(404, "link_invalid");
            let token = open.mailbox.token(&kept.email, "/invitation", 0).await;
            let accept = json!({"token": token, "name": "Kept", "password": PASSWORD});
            kept.post("/api/v1/invitations/accept", accept).await.expect(201);
        }
    });
}
