//! What people do to themselves, and what is decided about them, stands in the audit of their organisations: one event
//! for each, with who did it and to whom.

use std::collections::BTreeSet;

use costlens_tests::http::Answer;
use costlens_tests::{eventually, run};
use serde_json::{Value, json};

use super::sign_in::authenticator;
use super::vouched::{ALONE, known, trip};
use super::{PASSWORD, Person, open};
use crate::audit::of_people;

const NEXT_PASSWORD: &str = "another horse battery";
const LAST_PASSWORD: &str = "a third horse battery";

/// Looks for the event of each step.
#[derive(Default)]
struct Walk {
    walked: BTreeSet<&'static str>,
    /// What somebody did to itself: which step, with which answer.
    own: Vec<(&'static str, Answer)>,
}

impl Walk {
    /// What changed, as the one event says that this answer's request wrote down of its operation's kind, where the
    /// reader may read; it must be by this actor, about this target.
    async fn finds(
        &mut self,
        reader: &mut Person,
        operation: &str,
        answer: &Answer,
        (actor, target): (&str, &str),
    ) -> Value {
        assert!((200..300).contains(&answer.status), "{operation}: {} {}", answer.status, answer.text());
        let of_ours = of_people().find(|(id, _)| *id == operation);
        let (id, action) = of_ours.unwrap_or_else(|| panic!("{operation} is not in the list"));
        let written = written(reader, answer, action).await;
        let [event] = &written[..] else { panic!("{operation} wrote {written:?}") };
        assert_eq!((&event["actor"], &event["target"]), (&json!(actor), &json!(target)), "{event}");
        self.walked.insert(id);
        if action.starts_with("user.") || action == "session.revoked" {
            self.own.push((action, answer.clone()));
        }
        event["change"].clone()
    }
}

/// The events of this kind that a request wrote down in the organisation that the reader administers.
async fn written(reader: &mut Person, answer: &Answer, action: &str) -> Vec<Value> {
    let request = json!(answer.header("x-request-id"));
    let events = reader.get("/api/v1/audit-events?limit=200").await;
    let of_request = |event: &&Value| event["request_id"] == request && event["action"] == action;
    events["items"].as_array().unwrap().iter().filter(of_request).cloned().collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

/// Signs in with a password and a code, to see this organisation.
async fn sign_in(person: &mut Person, password: &str, code: Option<&Value>, tenant: &Value) -> Answer {
    let mut body = json!({"email": person.email, "password": password, "tenant_id": tenant});
    if let Some(code) = code {
        body["code"] = code.clone();
    }
    person.post("/api/v1/sessions/password", body).await
}

#[test]
fn what_people_do_to_themselves_and_what_is_decided_about_them_is_written_down() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        let mut walk = Walk::default();
        let mut boss = Person::registered(open, "boss").await;
        let firm = boss.get("/api/v1/session").await["tenant_id"].clone();
        let by_boss = format!("user:{}", boss.id().await);

        // She registers, becomes a member of the firm, and goes on there.
        let mut ann = Person::new(open, "walker");
        ann.post("/api/v1/registrations", json!({"email": ann.email})).await.expect(202);
        let token = open.mailbox.letter(&ann.email, 0).await.token("/register");
        let body = json!({"token": token, "name": "Ann", "tenant_name": "Ann's", "password": PASSWORD});
        let registered = ann.post("/api/v1/registrations/complete", body).await;
        let id = ann.id().await;
        let her = format!("user:{id}");
        let own = ann.get("/api/v1/session").await["tenant_id"].clone();
        let target = own.as_str().unwrap();
        walk.finds(&mut ann, "complete_registration", &registered, (&her, target)).await;
        let asked = json!({"email": ann.email, "role": "analyst"});
        let asked = boss.post("/api/v1/invitations", asked).await.expect(201).json();
        let token = open.mailbox.token(&ann.email, "/invitation", 0).await;
        let joined = ann.post("/api/v1/invitations/accept", json!({"token": token})).await;
        let change = walk.finds(&mut boss, "accept_invitation", &joined, (&her, text(&asked, "id"))).await;
        assert_eq!(change, json!({"role": "analyst"}));
        let switched = ann.post("/api/v1/session/tenant", json!({"tenant_id": firm})).await;
        let session = switched.json();
        walk.finds(&mut boss, "switch_tenant", &switched, (&her, text(&session, "id"))).await;
        let renamed = ann.call("PATCH", "/api/v1/user", Some(json!({"name": "Ann B."}))).await;
        walk.finds(&mut boss, "update_user", &renamed, (&her, &id)).await;

        // A second factor, and a session that was proven by both.
        let setup = ann.call("POST", "/api/v1/user/second-factor", None).await.expect(200).json();
        let code = json!({"code": authenticator(text(&setup, "secret"), 0)});
        let confirmed = ann.post("/api/v1/user/second-factor/confirm", code).await;
        walk.finds(&mut boss, "confirm_second_factor", &confirmed, (&her, &id)).await;
        let mut sure = ann.elsewhere(open);
        let opened = sign_in(&mut sure, PASSWORD, Some(&confirmed.json()["codes"][0]), &firm).await;
        let session = opened.json();
        let by_both =
            walk.finds(&mut boss, "create_password_session", &opened, (&her, text(&session, "id"))).await;
        assert_eq!((&by_both["method"], &by_both["two_factors"]), (&json!("password"), &json!(true)));
        let replaced = sure.call("POST", "/api/v1/user/recovery-codes", None).await;
        walk.finds(&mut boss, "replace_recovery_codes", &replaced, (&her, &id)).await;

        // Google vouches for her in another browser, whose sign-in she ends, and then no longer.
        let who = known(open, &ann, true);
        assert_eq!(trip(&mut sure, "google", &who, true).await, "/profile");
        let mut phone = ann.elsewhere(open);
        let page = trip(&mut phone, "google", &who, false).await;
        let code = page.strip_prefix("/signed-in#x=").unwrap_or_else(|| panic!("came back to {page}"));
        let factor = replaced.json()["codes"][0].clone();
        let code = json!({"code": code, "second_factor": factor, "tenant_id": firm});
        let opened = phone.post("/api/v1/sessions/exchange", code).await;
        let session = opened.json();
        let change =
            walk.finds(&mut boss, "create_exchanged_session", &opened, (&her, text(&session, "id"))).await;
        assert_eq!(change["method"], "google");
        let path = format!("/api/v1/user/sign-ins/{}", text(&session, "id"));
        let ended = sure.call("DELETE", &path, None).await;
        let change = walk.finds(&mut boss, "end_sign_in", &ended, (&her, &id)).await;
        assert_eq!(change, json!({"sign_in": session["id"]}));
        let issuer = sure.get("/api/v1/user").await["identities"][0]["issuer"].clone();
        let path = format!("/api/v1/user/identities?issuer={}", issuer.as_str().unwrap());
        let unlinked = sure.call("DELETE", &path, None).await;
        let change = walk.finds(&mut boss, "unlink_identity", &unlinked, (&her, &id)).await;
        assert_eq!(change, json!({"issuer": issuer}));

        // A new password, no second factor any more, and a new password by mail.
        let body = json!({"current": PASSWORD, "new": NEXT_PASSWORD});
        let changed = sure.call("PUT", "/api/v1/user/password", Some(body)).await;
        walk.finds(&mut boss, "change_password", &changed, (&her, &id)).await;
        let removed = sure.call("DELETE", "/api/v1/user/second-factor", None).await;
        walk.finds(&mut boss, "remove_second_factor", &removed, (&her, &id)).await;
        let mut lost = ann.elsewhere(open);
        lost.post("/api/v1/password-resets", json!({"email": ann.email})).await.expect(202);
        let body = json!({"token": open.mailbox.token(&ann.email, "/new-password", 0).await, "password": LAST_PASSWORD});
        let reset = lost.post("/api/v1/password-resets/complete", body).await;
        walk.finds(&mut boss, "complete_password_reset", &reset, ("link", &id)).await;

        // What she did to herself stands in the audit of her other organisation, too.
        let mut home = ann.elsewhere(open);
        sign_in(&mut home, LAST_PASSWORD, None, &own).await.expect(201);
        assert_eq!(walk.own.len(), 8);
        for (action, answer) in &walk.own {
            assert_eq!(written(&mut home, answer, action).await.len(), 1, "{action}");
        }

        // Whoever tried to be her stands there, too, written down behind the answer.
        let tried = sign_in(&mut ann.elsewhere(open), "wrong horse battery", None, &own).await;
        tried.expect_problem(401, "sign_in_refused");
        let refusal = eventually("the refusal", async || {
            let mut found = written(&mut home.clone(), &tried, "session.refused").await;
            found.pop()
        })
        .await;
        assert_eq!(refusal["change"], json!({"method": "password", "reason": "password"}));
        assert_eq!((&refusal["actor"], &refusal["target"]), (&json!("nobody"), &json!(id)), "{refusal}");

        // What is decided about her.
        let path = format!("/api/v1/members/{id}");
        let demoted = boss.call("PATCH", &path, Some(json!({"role": "viewer"}))).await;
        let change = walk.finds(&mut boss, "update_member", &demoted, (&by_boss, &id)).await;
        assert_eq!(change, json!({"role": {"before": "analyst", "after": "viewer"}}));
        let gone = boss.call("DELETE", &path, None).await;
        let change = walk.finds(&mut boss, "remove_member", &gone, (&by_boss, &id)).await;
        assert_eq!(change, json!({"role": "viewer", "itself": false}));

        let unwalked: Vec<_> = of_people().filter(|(id, _)| !walk.walked.contains(id)).collect();
        assert!(unwalked.is_empty(), "these were not done: {unwalked:?}");
    });
}
