//! Who loses its access over there loses it here within the hour, though no webhook ever comes; and what the nightly
//! look finds.

use super::*;

/// How somebody loses its access over there.
type Lose = fn(&Clerk, &ClerkPerson);

/// Lets the hour of every session pass that stands on this one.
fn outlive(kept: &Kept, person: &ClerkPerson) {
    kept.app.sql(&format!(
        "UPDATE session SET created_at = created_at - interval '1 hour', expires_at = expires_at - interval '1 hour' \
         WHERE outer_session = '{}'",
        person.session
    ));
}

#[test]
fn whoever_lost_its_access_has_lost_it_within_the_hour_though_no_webhook_comes() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let ways: [(&str, Lose); 4] = [
            ("removed", |clerk, person| clerk.remove(person)),
            ("banned", |clerk, person| clerk.ban(person, true)),
            ("deleted", |clerk, person| clerk.delete(person)),
            ("signed out", |clerk, person| clerk.end(person)),
        ];
        for (what, lose) in ways {
            let organization = kept.clerk.organization("Hour");
            let person = kept.clerk.member(what, &organization, "member");
            let mut browser = kept.signed_in(&person).await;
            kept.look(&kept.clerk.token(&person)).await.expect(200);
            let asked = kept.clerk.asked(&format!("/v1/users/{}", person.id));
            // Clerk is asked once an hour, not with every call.
            for _ in 0..5 {
                kept.look(&kept.clerk.token(&person)).await.expect(200);
                browser.get("/api/v1/session").await;
            }
            assert_eq!(kept.clerk.asked(&format!("/v1/users/{}", person.id)), asked);
            let life = "SELECT count(*) FROM session WHERE expires_at > created_at + interval '1 hour'";
            assert_eq!(kept.app.query(life).trim(), "0");
            lose(&kept.clerk, &person);
            outlive(kept, &person);
            browser.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
            // Tokens that Clerk signed before, and would not sign now.
            let answer = kept.look(&kept.clerk.token(&person)).await;
            assert!([401, 403].contains(&answer.status), "{what}: {}", answer.text());
            let answer = kept.trade(&mut kept.browser(), &kept.clerk.token(&person)).await;
            assert!([401, 403].contains(&answer.status), "{what}: {}", answer.text());
        }
    });
}

#[test]
fn while_clerk_cannot_be_asked_nobody_new_gets_in_and_the_hour_ends() {
    run(async {
        let kept = Kept::own(&[]);
        let organization = kept.clerk.organization("Away");
        let ann = kept.clerk.member("Ann", &organization, "member");
        let mut browser = kept.signed_in(&ann).await;
        kept.clerk.be_down(true);
        browser.get("/api/v1/session").await;
        kept.look(&kept.clerk.token(&ann)).await.expect(200);
        outlive(&kept, &ann);
        browser.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
        kept.look(&kept.clerk.token(&ann)).await.expect_problem(503, "voucher_unavailable");
        kept.trade(&mut browser, &kept.clerk.token(&ann)).await.expect_problem(503, "voucher_unavailable");
        kept.clerk.be_down(false);
        kept.look(&kept.clerk.token(&ann)).await.expect(200);
    });
}

#[test]
fn everybody_signs_in_anew_at_clerk_after_an_hour() {
    run(async {
        let _others = ALONE.read().await;
        let kept = kept();
        let organization = kept.clerk.organization("Anew");
        for (role, minutes, status) in [
            ("admin", 59, 200),
            ("admin", 61, 401),
            ("manager", 61, 401),
            ("member", 59, 200),
            ("member", 61, 401),
            ("billing", 61, 401),
        ] {
            let person = kept.clerk.member(role, &organization, role);
            let token = kept.clerk.token_with(&person, &json!({"fva": [minutes, minutes]}));
            assert_eq!(kept.look(&token).await.status, status, "{role} {minutes}");
            let traded = kept.trade(&mut kept.browser(), &token).await.status;
            assert_eq!(traded, if status == 200 { 201 } else { 401 }, "{role} {minutes}");
        }
        // A session that was opened before is not what counts.
        let ann = kept.clerk.member("Ann", &organization, "admin");
        kept.look(&kept.clerk.token(&ann)).await.expect(200);
        let late = kept.clerk.token_with(&ann, &json!({"fva": [61, 61]}));
        kept.look(&late).await.expect_problem(401, "session_invalid");
        // Nor does a session here, whoever carries it, last past the hour that began at Clerk.
        let bob = kept.clerk.member("Bob", &organization, "member");
        let token = kept.clerk.token_with(&bob, &json!({"fva": [40, 40]}));
        kept.trade(&mut kept.browser(), &token).await.expect(201);
        let life = format!(
            "SELECT expires_at <= created_at + interval '20 minutes' FROM session WHERE outer_session = '{}'",
            bob.session
        );
        assert_eq!(kept.app.query(&life).trim(), "t");
    });
}

#[test]
fn the_nightly_look_finds_what_no_message_told() {
    run(async {
        let kept = Kept::own(&[]);
        let organization = kept.clerk.organization("Swept");
        let gone = kept.clerk.organization("Gone");
        let names = ["stays", "removed", "banned", "deleted"];
        let people: Vec<_> =
            names.iter().map(|name| kept.clerk.member(name, &organization, "member")).collect();
        let of_gone = kept.clerk.member("of gone", &gone, "admin");
        for person in people.iter().chain([&of_gone]) {
            kept.look(&kept.clerk.token(person)).await.expect(200);
        }
        // Many more than a page, of whom nobody ever came.
        for n in 0..60 {
            drop(kept.clerk.member(&format!("idle {n}"), &organization, "member"));
        }
        kept.clerk.remove(&people[1]);
        kept.clerk.ban(&people[2], true);
        kept.clerk.delete(&people[3]);
        kept.clerk.delete_organization(&gone);
        // What was heard a moment before the question may be newer than the answer.
        kept.app.sql("UPDATE outer_object SET seen_at = seen_at - interval '2 minutes'");
        let late =
            "UPDATE queue.schedule SET last_tick = now() - interval '25 hours' WHERE name = 'clerk-sweep'";
        kept.app.sql(late);
        eventually("end of the sweep", async || {
            let of_gone = kept.acts(&gone, "member.removed");
            let removed = kept.acts(&organization, "member.removed");
            ((of_gone, removed, kept.acts(&organization, "member.barred")) == (1, 2, 1)).then_some(())
        })
        .await;
        kept.look(&kept.clerk.token(&people[0])).await.expect(200);
        for person in people[1..].iter().chain([&of_gone]) {
            let answer = kept.look(&kept.clerk.token(person)).await;
            assert!([401, 403].contains(&answer.status), "{}", answer.text());
        }
        // Nobody is kept here who never came.
        assert_eq!(kept.app.query("SELECT count(*) FROM user_account").trim(), "4");
    });
}
