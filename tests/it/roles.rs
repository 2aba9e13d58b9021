//! What an organisation's own people may do: whoever is less than an operation asks for is refused, is told what it
//! asks for, and changes nothing by asking; whoever acts in another's name looks and changes nothing. What each operation
//! asks for stands in the matrix of `isolation`.

use costlens_domain::Role;
use costlens_tests::actors::Owner;
use costlens_tests::http::Answer;
use costlens_tests::run;
use serde_json::json;

use crate::isolation::{May, may, untouched};
use crate::people::{Open, PASSWORD, Person, open};
use crate::victim::{Operation, Victim, operations, send};

/// Ends what the others need.
const LEAVING: &str = "delete_session";

/// A member of an organisation.
struct Member {
    person: Person,
    id: String,
}

impl Member {
    /// Somebody new in this owner's organisation.
    async fn of(open: &Open, owner: &Owner, role: Role) -> Self {
        let mut person = Person::new(open, "climber");
        let asked = json!({"email": person.email, "role": role.as_str()});
        owner.call("POST", "/api/v1/invitations", Some(&asked)).await.expect(201);
        let token = open.mailbox.token(&person.email, "/invitation", 0).await;
        let accepted = json!({"token": token, "name": "Climber", "password": PASSWORD});
        person.post("/api/v1/invitations/accept", accepted).await.expect(201);
        let id = person.id().await;
        Self { person, id }
    }

    /// From now on it has this role.
    async fn becomes(&self, owner: &Owner, role: Role) {
        let path = format!("/api/v1/members/{}", self.id);
        owner.call("PATCH", &path, Some(&json!({"role": role.as_str()}))).await.expect(200);
    }

    /// Calls an operation with a body that it takes, on the organisation's own things.
    async fn calls(&self, open: &Open, operation: &Operation, victim: &Victim) -> Answer {
        let cookie = format!("costlens_session={}", self.person.cookies["costlens_session"]);
        let credential = [("cookie", cookie.as_str()), ("x-forwarded-for", self.person.address.as_str())];
        send(&open.app, operation, &victim.named_in(&operation.path), &credential).await
    }

    /// How often the audit names it (each change writes an event), its own row, and its sessions.
    fn traces(&self, open: &Open) -> String {
        let id = self.id.trim_start_matches("usr_");
        open.app.query(&format!(
            "SELECT count(*)::text FROM audit_event WHERE actor = 'user:{}' \
             UNION ALL SELECT u::text FROM user_account u WHERE u.id = '{id}' \
             UNION ALL SELECT s::text FROM session s WHERE s.user_id = '{id}'",
            self.id
        ))
    }
}

/// Looks at a refusal, and at the reason that it gives.
#[track_caller]
fn is_refused(operation: &Operation, answer: &Answer, reason: &str) {
    assert_eq!(answer.status, 403, "{}, not refused because {reason}: {}", operation.id, answer.text());
    let problem = answer.expect_problem(403, "forbidden");
    assert_eq!(problem["detail"], reason, "{}", operation.id);
}

/// Nobody is refused for what it is; and what is there is shown.
#[track_caller]
fn is_not_refused(operation: &Operation, answer: &Answer) {
    let what = format!("{}: {}", operation.id, answer.status);
    if operation.method == "GET" {
        assert_eq!(answer.status, 200, "{what} {}", answer.text());
    } else if !(200..300).contains(&answer.status) {
        // A wrong code or password, or somebody whom nobody knows.
        let problem = answer.json();
        assert!(problem["code"] != "forbidden" && problem["code"] != "session_invalid", "{what} {problem}");
    }
}

#[test]
fn who_is_less_than_an_operation_asks_for_is_refused_and_changes_nothing() {
    run(async {
        let open = open();
        let operations = operations(&open.app).await;
        let victim = Victim::with_everything(&open.app, &operations, Some(&open.mailbox)).await;
        let member = Member::of(open, &victim.owner, Role::Viewer).await;
        // A viewer asks for everything, each other role for what the next one may.
        for pair in Role::ALL.windows(2) {
            let [role, next] = pair else { unreachable!() };
            member.becomes(&victim.owner, *role).await;
            let before = member.traces(open);
            let mut refused = 0;
            for operation in &operations {
                let Some(least) = may(operation).least() else { continue };
                if least == *next || (*role == Role::Viewer && least > *role) {
                    let answer = member.calls(open, operation, &victim).await;
                    is_refused(operation, &answer, &format!("this needs the role {least}; yours is {role}"));
                    refused += 1;
                }
            }
            assert!(refused > 2, "a {role} was refused {refused} operations");
            assert_eq!(member.traces(open), before, "a {role} left a trace");
        }
        untouched(&victim, 2).await;

        member.becomes(&victim.owner, Role::Viewer).await;
        for operation in operations.iter().filter(|operation| operation.id != LEAVING) {
            match may(operation) {
                May::Operate => {
                    let answer = member.calls(open, operation, &victim).await;
                    answer.expect_problem(404, "not_found");
                }
                asks if asks.least() == Some(Role::Viewer) => {
                    let answer = member.calls(open, operation, &victim).await;
                    is_not_refused(operation, &answer);
                }
                _ => {}
            }
        }
    });
}

/// What wants a fresh proof of whoever asks, whatever it is asked for in particular.
const DANGEROUS: [&str; 16] = [
    "begin_second_factor",
    "change_password",
    "check_single_sign_on_domain",
    "confirm_second_factor",
    "create_support_grant",
    "delete_single_sign_on_domain",
    "destroy_key_bodies",
    "remove_member",
    "remove_second_factor",
    "remove_single_sign_on",
    "replace_recovery_codes",
    "request_closure",
    "set_single_sign_on",
    "unlink_identity",
    "update_member",
    "update_tenant",
];

#[test]
fn what_is_dangerous_wants_a_fresh_proof_and_changes_nothing_without_one() {
    run(async {
        let open = open();
        let operations = operations(&open.app).await;
        let victim = Victim::with_everything(&open.app, &operations, Some(&open.mailbox)).await;
        let mut member = Member::of(open, &victim.owner, Role::Owner).await;
        member.person.grow_stale(open).await;
        let before = member.traces(open);
        for id in DANGEROUS {
            let operation = operations.iter().find(|operation| operation.id == id).unwrap();
            let answer = member.calls(open, operation, &victim).await;
            assert_eq!(answer.status, 403, "{id}: {}", answer.text());
            assert_eq!(answer.json()["code"], "step_up_required", "{id}: {}", answer.text());
        }
        assert_eq!(member.traces(open), before);
        untouched(&victim, 2).await;
        // Whatever else wants one says so above.
        let others = operations.iter().filter(|operation| {
            matches!(may(operation), May::Act(_)) && !DANGEROUS.contains(&operation.id.as_str())
        });
        for operation in others {
            let answer = member.calls(open, operation, &victim).await;
            let is_asked = answer.status == 403 && answer.json()["code"] == "step_up_required";
            assert!(!is_asked, "{} wants a fresh proof, and is not among what is dangerous", operation.id);
        }
    });
}

#[test]
fn who_acts_in_anothers_name_looks_and_changes_nothing() {
    run(async {
        let open = open();
        let operations = operations(&open.app).await;
        let victim = Victim::with_everything(&open.app, &operations, Some(&open.mailbox)).await;
        let mut member = Member::of(open, &victim.owner, Role::Owner).await;
        // As if whoever keeps the people had let somebody in in its name.
        open.app.sql(&format!(
            "UPDATE session SET read_only = true WHERE user_id = '{}'",
            member.id.trim_start_matches("usr_")
        ));
        assert_eq!(member.person.get("/api/v1/session").await["read_only"], true);

        let before = member.traces(open);
        let reason = "who acts in another's name may look, and change nothing";
        let mut refused = 0;
        for operation in operations.iter().filter(|operation| matches!(may(operation), May::Act(_))) {
            let answer = member.calls(open, operation, &victim).await;
            is_refused(operation, &answer, reason);
            refused += 1;
        }
        assert!(refused > 60, "{refused}");
        // Nor does it let anybody else vouch for the person.
        for (method, path, body) in [
            ("GET", "/api/v1/oauth/google/start?link=true", None),
            ("POST", "/api/v1/single-sign-on/trips", Some(json!({"link": true}))),
        ] {
            let answer = member.person.call(method, path, body).await;
            assert_eq!(answer.expect_problem(403, "forbidden")["detail"], reason, "{path}");
        }
        assert_eq!(member.traces(open), before);
        untouched(&victim, 2).await;

        let leaving = operations.iter().find(|operation| operation.id == LEAVING).unwrap();
        for operation in operations.iter().filter(|operation| operation.id != LEAVING) {
            if let May::Look(_) = may(operation) {
                let answer = member.calls(open, operation, &victim).await;
                is_not_refused(operation, &answer);
            }
        }
        member.calls(open, leaving, &victim).await.expect(204);
    });
}
