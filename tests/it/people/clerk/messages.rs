//! Clerk's webhooks: who is believed, that each is kept once, and that they end where the last of them would, in
//! whatever order they come.

use costlens_identity::testing::webhook_signature;
use costlens_tests::clerk::{INSTANCE, WEBHOOK_SECRETS, milliseconds, send};

use super::*;

const KINDS: &str = "SELECT kind || ' ' || state FROM inbox_event WHERE message_id = ";

#[test]
fn a_member_that_is_removed_is_out_at_once() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let organization = kept.clerk.organization("At once");
        let ann = kept.clerk.member("Ann", &organization, "admin");
        let bob = kept.clerk.member("Bob", &organization, "member");
        let mut browser = kept.signed_in(&bob).await;
        let mut hers = kept.signed_in(&ann).await;
        // Another role counts with the next call.
        let (_, id, _) = bob.organization.clone().unwrap();
        let mut membership = kept.clerk.object(&id);
        membership["role"] = json!("org:analyst");
        membership["updated_at"] = json!(milliseconds());
        kept.tell_and_wait("organizationMembership.updated", &membership).await;
        assert_eq!(browser.get("/api/v1/session").await["role"], "analyst");
        // The token still says less: the least counts.
        browser.get("/api/v1/workflows").await;
        let less = kept.call(&kept.clerk.token(&bob), "GET", "/api/v1/workflows", None).await;
        less.expect_problem(403, "forbidden");
        let token = kept.clerk.token(&bob);
        kept.clerk.remove(&bob);
        kept.tell_and_wait("organizationMembership.deleted", &membership).await;
        browser.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
        // A token that Clerk signed a moment before does not help.
        kept.look(&token).await.expect_problem(403, "forbidden");
        kept.trade(&mut browser, &token).await.expect_problem(403, "forbidden");
        hers.get("/api/v1/session").await;
        assert_eq!(
            (kept.acts(&organization, "member.removed"), kept.acts(&organization, "member.role_changed")),
            (1, 1)
        );
        let page = hers.get("/api/v1/audit-events").await;
        let removed =
            page["items"].as_array().unwrap().iter().find(|act| act["action"] == "member.removed").unwrap();
        assert_eq!((&removed["actor"], &removed["change"]["role"]), (&json!("clerk"), &json!("analyst")));
    });
}

#[test]
fn sessions_bans_deletions_and_organisations_are_heard_of() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let organization = kept.clerk.organization("Heard");
        let person = |name: &str| kept.clerk.member(name, &organization, "member");
        for kind in ["session.ended", "session.removed", "session.revoked"] {
            let ann = person("Ann");
            let mut browser = kept.signed_in(&ann).await;
            let other = kept.clerk.again(&ann);
            let mut elsewhere = kept.signed_in(&other).await;
            kept.tell_and_wait(kind, &json!({"id": ann.session, "user_id": ann.id})).await;
            browser.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
            // Clerk itself has not heard of it; here it is over for good.
            kept.look(&kept.clerk.token(&ann)).await.expect_problem(401, "session_invalid");
            elsewhere.get("/api/v1/session").await;
        }
        let bob = person("Bob");
        let mut browser = kept.signed_in(&bob).await;
        kept.clerk.ban(&bob, true);
        kept.tell_and_wait("user.updated", &kept.clerk.object(&bob.id)).await;
        browser.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
        kept.look(&kept.clerk.token(&bob)).await.expect_problem(401, "sign_in_refused");
        kept.clerk.ban(&bob, false);
        kept.tell_and_wait("user.updated", &kept.clerk.object(&bob.id)).await;
        kept.look(&kept.clerk.token(&bob)).await.expect(200);
        let acts = ["member.barred", "member.admitted"].map(|act| kept.acts(&organization, act));
        assert_eq!(acts, [1, 1]);
        let eve = person("Eve");
        let mut browser = kept.signed_in(&eve).await;
        kept.tell_and_wait("user.deleted", &json!({"id": eve.id, "deleted": true, "object": "user"})).await;
        browser.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
        // Gone is gone, though Clerk still answers; and nothing of the person is left here.
        kept.look(&kept.clerk.token(&eve)).await.expect_problem(401, "sign_in_refused");
        let left = format!(
            "SELECT count(*) FROM user_account WHERE lower(email) = lower('{}@clerk.example')",
            eve.id
        );
        assert_eq!(kept.app.query(&left).trim(), "0");
        let ann = person("Ann");
        let mut browser = kept.signed_in(&ann).await;
        let mut renamed = kept.clerk.object(&organization);
        renamed["name"] = json!("Renamed");
        renamed["updated_at"] = json!(milliseconds());
        kept.tell_and_wait("organization.updated", &renamed).await;
        assert_eq!(browser.get("/api/v1/session").await["tenant_name"], "Renamed");
        kept.tell_and_wait("organization.deleted", &json!({"id": organization, "deleted": true})).await;
        browser.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
        kept.look(&kept.clerk.token(&ann)).await.expect_problem(403, "forbidden");
    });
}

#[test]
fn only_who_knows_a_secret_is_believed_for_five_minutes() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let organization = kept.clerk.organization("Believed");
        let ann = kept.clerk.member("Ann", &organization, "member");
        let mut browser = kept.signed_in(&ann).await;
        let base = kept.app.base_url();
        let (id, body) = kept.clerk.message("user.deleted", &json!({"id": ann.id, "deleted": true}));
        let now = milliseconds() / 1_000;
        let sign = |secret: &[u8], at: i64| webhook_signature(secret, &id, at, body.as_bytes());
        let right = sign(&WEBHOOK_SECRETS[0], now);
        let (at, late, early) = (now.to_string(), (now - 302).to_string(), (now + 900).to_string());
        let cases = [
            ("another secret", id.as_str(), at.as_str(), sign(&[8; 32], now)),
            ("no signature", id.as_str(), at.as_str(), String::new()),
            ("another version", id.as_str(), at.as_str(), right.replace("v1,", "v0,")),
            ("too late", id.as_str(), late.as_str(), sign(&WEBHOOK_SECRETS[0], now - 302)),
            ("too early", id.as_str(), early.as_str(), sign(&WEBHOOK_SECRETS[0], now + 900)),
            ("another time than was signed", id.as_str(), late.as_str(), right.clone()),
            ("another id than was signed", "msg_other", at.as_str(), right.clone()),
        ];
        for (what, id, at, signature) in &cases {
            for family in ["svix", "webhook"] {
                let answer = send(&base, family, (id, at, signature), &body).await;
                assert_eq!(
                    (answer.status, &answer.json()["code"]),
                    (401, &json!("signature_refused")),
                    "{what}"
                );
            }
        }
        for index in (0..body.len()).step_by(13) {
            let mut changed = body.clone().into_bytes();
            changed[index] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(send(&base, "svix", (&id, &at, &right), &changed).await.status, 401, "byte {index}");
        }
        let again = body.replace("{\"data\"", "{ \"data\"");
        assert_ne!(again, body);
        assert_eq!(send(&base, "svix", (&id, &at, &right), &again).await.status, 401, "written anew");
        http::send("POST", &format!("{base}/webhooks/clerk"), &[], body.clone()).await.expect(401);
        http::send("GET", &format!("{base}/webhooks/clerk"), &[], "").await.expect(405);
        // Right, but of another instance, or nothing that Clerk would send, or too much.
        let signed = async |body: String| {
            let signature = webhook_signature(&WEBHOOK_SECRETS[0], &id, now, body.as_bytes());
            send(&base, "svix", (&id, &at, &signature), &body).await.status
        };
        assert_eq!(signed(body.replace(INSTANCE, "ins_other")).await, 401);
        assert_eq!(signed("[]".to_owned()).await, 400);
        assert_eq!(signed(format!("{body}{}", " ".repeat(300 * 1024))).await, 413);
        assert_eq!(kept.app.query(&format!("{KINDS}'{id}'")), "");
        browser.get("/api/v1/session").await;
        // Either secret, under either family of names.
        for (secret, family) in [(0, "svix"), (0, "webhook"), (1, "svix"), (1, "webhook")] {
            let (id, body) = kept.clerk.message("user.updated", &kept.clerk.object(&ann.id));
            let signature = webhook_signature(&WEBHOOK_SECRETS[secret], &id, now, body.as_bytes());
            let several = format!("v1,AAAA {signature}");
            assert_eq!(send(&base, family, (&id, &at, &several), &body).await.status, 204);
            kept.heeded(&(id, body)).await;
        }
        // No server without Clerk has the door.
        let other = costlens_tests::app::shared().base_url();
        assert_eq!(kept.clerk.deliver(&other, &(id, body)).await.status, 404);
    });
}

#[test]
fn a_message_that_comes_again_is_taken_and_does_nothing() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let organization = kept.clerk.organization("Again");
        let ann = kept.clerk.member("Ann", &organization, "member");
        kept.look(&kept.clerk.token(&ann)).await.expect(200);
        let base = kept.app.base_url();
        let (_, id, _) = ann.organization.clone().unwrap();
        let message = kept.clerk.message("organizationMembership.deleted", &kept.clerk.object(&id));
        // At once, and one after the other.
        let tries = (0..16).map(|_| kept.clerk.deliver(&base, &message));
        for answer in futures_util::future::join_all(tries).await {
            assert_eq!(answer.status, 204);
        }
        kept.heeded(&message).await;
        for _ in 0..3 {
            assert_eq!(kept.clerk.deliver(&base, &message).await.status, 204);
        }
        let jobs = format!(
            "SELECT count(*) FROM queue.job WHERE queue = 'clerk-event.v1' AND key = '{}'",
            message.0
        );
        assert_eq!(kept.app.query(&jobs).trim(), "1");
        assert_eq!(kept.acts(&organization, "member.removed"), 1);
        // What nobody acts on is kept, and no more.
        for kind in ["session.created", "user.invented"] {
            let (id, _) = kept.tell(kind, &json!({"id": "x", "first_name": "Zeisig"})).await;
            assert_eq!(kept.app.query(&format!("{KINDS}'{id}'")).trim(), format!("{kind} ignored"));
        }
        // No name of a person and no address is kept of any.
        kept.tell_and_wait("user.updated", &kept.clerk.object(&ann.id)).await;
        let names = "SELECT count(*) FROM inbox_event WHERE payload::text ~* 'ann|zeisig|@'";
        assert_eq!(kept.app.query(names).trim(), "0");
    });
}

#[test]
fn messages_in_any_order_end_where_the_last_would() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let organization = kept.clerk.organization("Order");
        let begun = milliseconds() - 60_000;
        // Made a member, given another role twice, and removed; or not removed.
        for (round, order) in
            [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [3, 0, 2, 1], [1, 3, 2, 0]].into_iter().enumerate()
        {
            for is_removed in [true, false] {
                let ann = kept.clerk.member(&format!("Ann {round}"), &organization, "viewer");
                kept.look(&kept.clerk.token(&ann)).await.expect(200);
                let (_, id, _) = ann.organization.clone().unwrap();
                let step = |n: i64, role: &str| {
                    let mut of = kept.clerk.object(&id);
                    of["role"] = json!(format!("org:{role}"));
                    of["updated_at"] = json!(begun + 120_000 + n);
                    of
                };
                let mut steps = vec![
                    ("organizationMembership.created", step(0, "member")),
                    ("organizationMembership.updated", step(1, "admin")),
                    ("organizationMembership.updated", step(2, "analyst")),
                ];
                if is_removed {
                    steps.push(("organizationMembership.deleted", step(3, "analyst")));
                }
                for index in order.into_iter().filter(|index| *index < steps.len()) {
                    let (kind, data) = &steps[index];
                    kept.tell_and_wait(kind, data).await;
                }
                let role = format!(
                    "SELECT m.role FROM member m JOIN user_identity i USING (user_id) WHERE i.subject = '{}'",
                    ann.id
                );
                let expected = if is_removed { "" } else { "analyst" };
                assert_eq!(kept.app.query(&role).trim(), expected, "{order:?}");
            }
        }
        // A new membership of somebody who was removed before counts, though the end of the old one comes late.
        let mut ann = kept.clerk.member("Back", &organization, "member");
        let mut browser = kept.signed_in(&ann).await;
        let (_, old, _) = ann.organization.clone().unwrap();
        let ended = kept.clerk.object(&old);
        kept.clerk.remove(&ann);
        kept.clerk.join(&mut ann, &organization, "analyst");
        let (_, new, _) = ann.organization.clone().unwrap();
        kept.tell_and_wait("organizationMembership.created", &kept.clerk.object(&new)).await;
        kept.tell_and_wait("organizationMembership.deleted", &ended).await;
        assert_eq!(browser.get("/api/v1/session").await["role"], "analyst");
        // A person that was deleted does not come back by what was sent before.
        let eve = kept.clerk.member("Eve", &organization, "member");
        let mut browser = kept.signed_in(&eve).await;
        let before = kept.clerk.object(&eve.id);
        kept.tell_and_wait("user.deleted", &json!({"id": eve.id})).await;
        kept.tell_and_wait("user.updated", &before).await;
        kept.tell_and_wait("user.created", &before).await;
        browser.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
        kept.look(&kept.clerk.token(&eve)).await.expect_problem(401, "sign_in_refused");
    });
}
