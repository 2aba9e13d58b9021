//! Whoever was removed from an organisation comes back when it is asked to, also by the organisation's own provider.

use costlens_tests::run;
use serde_json::json;

use super::super::open;
use super::Firm;

#[test]
fn whoever_was_removed_does_not_come_back_unasked() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 0, "removing").await;
        let (mut ann, who) = firm.person(open, "ann");
        let session = firm.enter(&mut ann, &who).await;
        let id = session["user"]["id"].as_str().unwrap().to_owned();
        firm.owner.call("DELETE", &format!("/api/v1/members/{id}"), None).await.expect(204);
        ann.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
        assert_eq!(firm.trip(&mut ann, &who).await, "/sign-in?problem=not_invited");
        // Nor under another name there, with the same address.
        let again = firm.know(&ann.email, true);
        assert_eq!(firm.trip(&mut ann, &again).await, "/sign-in?problem=address_taken");
        let asked = json!({"email": ann.email, "role": "analyst"});
        firm.owner.post("/api/v1/invitations", asked).await.expect(201);
        let session = firm.enter(&mut ann, &who).await;
        assert_eq!((&session["user"]["id"], &session["role"]), (&json!(id), &json!("analyst")));
    });
}

#[test]
fn whoever_was_removed_and_is_forgotten_does_not_come_back_unasked_either() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 0, "forgetting").await;
        let (mut ann, who) = firm.person(open, "ann");
        let session = firm.enter(&mut ann, &who).await;
        let id = session["user"]["id"].as_str().unwrap().to_owned();
        firm.owner.call("DELETE", &format!("/api/v1/members/{id}"), None).await.expect(204);
        // Thirty days later.
        let hers = format!("lower(email) = lower('{}')", ann.email);
        let since = "memberless_since = now() - interval '31 days'";
        open.app.sql(&format!("UPDATE user_account SET {since} WHERE {hers}"));
        open.app.sql("SELECT forget_memberless(now() - interval '30 days', NULL, 100)");
        assert_eq!(open.app.query(&format!("SELECT count(*) FROM user_account WHERE {hers}")).trim(), "0");
        assert_eq!(firm.trip(&mut ann, &who).await, "/sign-in?problem=not_invited");
        assert_eq!(open.app.query(&format!("SELECT count(*) FROM user_account WHERE {hers}")).trim(), "0");
        let asked = json!({"email": ann.email, "role": "analyst"});
        firm.owner.post("/api/v1/invitations", asked).await.expect(201);
        let session = firm.enter(&mut ann, &who).await;
        assert_eq!(session["role"], "analyst");
        assert_ne!(session["user"]["id"], json!(id));
        assert_eq!(firm.enter(&mut ann, &who).await["user"]["id"], session["user"]["id"]);
    });
}
