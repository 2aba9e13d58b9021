//! Signing in by Google and GitHub.

use costlens_tests::http::{self, Answer};
use costlens_tests::run;
use costlens_tests::vouchers::{Fault, Known, Tells};
use serde_json::{Value, json};

use super::sign_in::authenticator;
use super::{Open, PASSWORD, Person, open};

static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1_000);
/// They misbehave for all at once.
pub(super) static ALONE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

pub(super) fn known(open: &Open, person: &Person, verified: bool) -> String {
    let subject = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
    let email = (person.email.clone(), verified);
    open.vouchers.know(&subject, Known { subject: subject.clone(), email });
    subject
}

/// There and back again: the page of the console that the browser ends up at.
pub(super) async fn trip(person: &mut Person, provider: &str, who: &str, link: bool) -> String {
    let there =
        person.call("GET", &format!("/api/v1/oauth/{provider}/start?link={link}"), None).await.expect(303);
    let back = consent(&there, who).await;
    come_back(person, &back).await
}

/// The person says yes there; where they send the browser back to.
async fn consent(there: &Answer, who: &str) -> String {
    let url = format!("{}&as={who}", there.header("location"));
    http::send("GET", &url, &[], "").await.expect(302).header("location").to_owned()
}

async fn come_back(person: &mut Person, back: &str) -> String {
    let answer = person.call("GET", &of_ours(person, back), None).await.expect(303);
    of_ours(person, answer.header("location"))
}

/// There, and what the server says to whoever comes back.
pub(super) async fn return_of(person: &mut Person, provider: &str, who: &str) -> Answer {
    let there = person.call("GET", &format!("/api/v1/oauth/{provider}/start"), None).await.expect(303);
    let back = consent(&there, who).await;
    person.call("GET", &of_ours(person, &back), None).await
}

/// The path of an address of this server, by whichever of its names.
fn of_ours(person: &Person, url: &str) -> String {
    let port = person.base.rsplit(':').next().unwrap();
    let after = url.split_once("://").unwrap().1;
    let (host, path) = after.split_once('/').unwrap();
    assert_eq!(host.rsplit(':').next().unwrap(), port, "{url} is not ours");
    format!("/{path}")
}

pub(super) async fn exchange(person: &mut Person, page: &str) -> Answer {
    let code = page.strip_prefix("/signed-in#x=").unwrap_or_else(|| panic!("came back to {page}"));
    person.post("/api/v1/sessions/exchange", json!({"code": code})).await
}

/// Sets a second factor up; one of its recovery codes.
async fn with_second_factor(person: &mut Person) -> Value {
    let setup = person.call("POST", "/api/v1/user/second-factor", None).await.expect(200).json();
    let code = authenticator(setup["secret"].as_str().unwrap(), 0);
    let confirmed = person.post("/api/v1/user/second-factor/confirm", json!({"code": code})).await;
    confirmed.expect(200).json()["codes"][0].clone()
}

#[test]
fn a_person_comes_by_either_and_is_known_again_by_its_name_there() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        for provider in ["google", "github"] {
            let mut ann = Person::new(open, provider);
            let who = known(open, &ann, true);
            let page = trip(&mut ann, provider, &who, false).await;
            let session = exchange(&mut ann, &page).await.expect(201).json();
            assert_eq!((&session["method"], &session["role"]), (&json!(provider), &json!("owner")));
            let id = session["user"]["id"].clone();
            // Another address there changes nothing: the name is what counts.
            let subject = who.clone();
            open.vouchers.know(&who, Known { subject, email: (format!("new-{}", ann.email), true) });
            let mut again = ann.elsewhere(open);
            let page = trip(&mut again, provider, &who, false).await;
            let session = exchange(&mut again, &page).await.expect(201).json();
            assert_eq!(session["user"]["id"], id);
            assert_eq!(again.get("/api/v1/user").await["has_password"], false);
        }
    });
}

#[test]
fn nobody_becomes_somebody_with_a_password_by_having_its_address_there() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        let mut ann = Person::registered(open, "ann").await;
        let mut thief = Person::new(open, "thief");
        let who = known(open, &ann, true);
        assert_eq!(trip(&mut thief, "google", &who, false).await, "/sign-in?problem=address_taken");
        assert!(!thief.cookies.contains_key("costlens_session"));
        let letter = open.mailbox.letter(&ann.email, 1).await;
        assert!(letter.text.contains("registered already"));
        // After signing in she links them herself; from then on they let her in.
        assert_eq!(trip(&mut ann, "google", &who, true).await, "/profile");
        let page = trip(&mut thief, "google", &who, false).await;
        let session = exchange(&mut thief, &page).await.expect(201).json();
        assert_eq!(session["user"]["email"], ann.email);
        // The other direction: an address that came by GitHub is not registered anew.
        let mut bob = Person::new(open, "bob");
        let who = known(open, &bob, true);
        let page = trip(&mut bob, "github", &who, false).await;
        exchange(&mut bob, &page).await.expect(201);
        bob.post("/api/v1/registrations", json!({"email": bob.email})).await.expect(202);
        assert!(open.mailbox.letter(&bob.email, 0).await.text.contains("registered already"));
    });
}

#[test]
fn a_second_factor_is_asked_for_whoever_vouched() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        let mut ann = Person::registered(open, "both").await;
        let who = known(open, &ann, true);
        assert_eq!(trip(&mut ann, "google", &who, true).await, "/profile");
        open.mailbox.letter_with(&ann.email, "How you sign in was changed", 0).await;
        let recovery = with_second_factor(&mut ann).await;
        let mut elsewhere = ann.elsewhere(open);
        let page = trip(&mut elsewhere, "google", &who, false).await;
        // Asking for it uses nothing up, and neither does a wrong one.
        exchange(&mut elsewhere, &page).await.expect_problem(401, "second_factor_required");
        let code = page.strip_prefix("/signed-in#x=").unwrap();
        let wrong = json!({"code": code, "second_factor": "000000"});
        let wrong = elsewhere.post("/api/v1/sessions/exchange", wrong).await;
        wrong.expect_problem(401, "second_factor_required");
        assert!(!elsewhere.cookies.contains_key("costlens_session"));
        let body = json!({"code": code, "second_factor": recovery});
        let session = elsewhere.post("/api/v1/sessions/exchange", body).await.expect(201).json();
        assert_eq!((&session["method"], &session["two_factors"]), (&json!("google"), &json!(true)));
    });
}

#[test]
fn a_sign_in_there_of_long_ago_is_no_fresh_proof_and_a_second_factor_here_is_one() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        let mut ann = Person::registered(open, "ann").await;
        let who = known(open, &ann, true);
        assert_eq!(trip(&mut ann, "google", &who, true).await, "/profile");
        open.vouchers.tell(&who, Tells::NeverAsks);
        let mut phone = ann.elsewhere(open);
        let page = trip(&mut phone, "google", &who, false).await;
        exchange(&mut phone, &page).await.expect(201);
        let rename = Some(json!({"name": "ann's own"}));
        let refused = phone.call("PATCH", "/api/v1/tenant", rename.clone()).await;
        refused.expect_problem(403, "step_up_required");
        // Of whoever says nothing of it nothing better can be had than that the person is shown who it is there.
        let there = phone.call("GET", "/api/v1/oauth/google/start?anew=true", None).await.expect(303);
        assert!(there.header("location").ends_with("&prompt=select_account"), "{}", there.header("location"));
        open.vouchers.tell(&who, Tells::WhereAsked);
        let back = consent(&there, &who).await;
        let page = come_back(&mut phone, &back).await;
        exchange(&mut phone, &page).await.expect(201);
        phone.call("PATCH", "/api/v1/tenant", rename.clone()).await.expect(200);
        let there = phone.call("GET", "/api/v1/oauth/github/start?anew=true", None).await.expect(303);
        assert!(there.header("location").ends_with("&prompt=select_account"), "{}", there.header("location"));
        open.vouchers.tell(&who, Tells::NeverAsks);
        let recovery = with_second_factor(&mut ann).await;
        let mut tablet = ann.elsewhere(open);
        let page = trip(&mut tablet, "google", &who, false).await;
        let code = page.strip_prefix("/signed-in#x=").unwrap();
        let both = json!({"code": code, "second_factor": recovery});
        tablet.post("/api/v1/sessions/exchange", both).await.expect(201);
        tablet.call("PATCH", "/api/v1/tenant", rename).await.expect(200);
    });
}

#[test]
fn a_link_that_was_begun_before_a_new_password_is_not_made() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        let mut ann = Person::registered(open, "robbed").await;
        let mut thief = ann.elsewhere(open);
        thief.sign_in().await.expect(201);
        let who = known(open, &thief, true);
        let there = thief.call("GET", "/api/v1/oauth/google/start?link=true", None).await.expect(303);
        let back = consent(&there, &who).await;
        let body = json!({"current": PASSWORD, "new": "another horse battery"});
        ann.call("PUT", "/api/v1/user/password", Some(body)).await.expect(204);
        assert_eq!(come_back(&mut thief, &back).await, "/sign-in?problem=stale");
        assert_eq!(ann.get("/api/v1/user").await["identities"], json!([]));
    });
}

#[test]
fn an_address_that_they_did_not_check_makes_nobody_a_user() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        for provider in ["google", "github"] {
            let mut eve = Person::new(open, "eve");
            let who = known(open, &eve, false);
            assert_eq!(trip(&mut eve, provider, &who, false).await, "/sign-in?problem=no_verified_address");
        }
    });
}

#[test]
fn a_trip_works_in_the_browser_that_began_it_and_once() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        let mut ann = Person::new(open, "ann");
        let who = known(open, &ann, true);
        let there = ann.call("GET", "/api/v1/oauth/google/start", None).await.expect(303);
        let back = consent(&there, &who).await;
        // An address that is sent to somebody else signs nobody in.
        let mut victim = Person::new(open, "victim");
        assert_eq!(come_back(&mut victim, &back).await, "/sign-in?problem=stale");
        victim.call("GET", "/api/v1/oauth/google/start", None).await.expect(303);
        assert_eq!(come_back(&mut victim, &back).await, "/sign-in?problem=stale");
        // Any changed letter of the state is noticed.
        let (head, state) = back.split_once("state=").unwrap();
        for index in (0..state.len()).step_by(7) {
            let mut changed = state.to_owned().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = format!("{head}state={}", String::from_utf8(changed).unwrap());
            if changed != back {
                assert_eq!(come_back(&mut ann, &changed).await, "/sign-in?problem=stale", "letter {index}");
            }
        }
        let page = come_back(&mut ann, &back).await;
        assert!(!page.contains("acs_"), "no token in an address");
        // The code there was used up, and ours is traded once, in this browser.
        assert_eq!(come_back(&mut ann.clone(), &back).await, "/sign-in?problem=refused");
        exchange(&mut victim, &page).await.expect_problem(401, "sign_in_refused");
        let tries: Vec<_> = (0..16)
            .map(|_| {
                let (mut one, page) = (ann.clone(), page.clone());
                one.address = Person::new(open, "x").address;
                tokio::spawn(async move { exchange(&mut one, &page).await.status })
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
fn our_code_lasts_a_minute_and_a_get_or_a_form_does_not_trade_it() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        let mut ann = Person::new(open, "late");
        let who = known(open, &ann, true);
        let page = trip(&mut ann, "google", &who, false).await;
        let code = page.split_once("#x=").unwrap().1.to_owned();
        let get = ann.call("GET", &format!("/api/v1/sessions/exchange?code={code}"), None).await;
        assert!([404, 405].contains(&get.status), "{}", get.status);
        let of_hers = format!("user_id = (SELECT id FROM user_account WHERE email = '{}')", ann.email);
        let life = format!("SELECT expires_at - created_at FROM exchange_code WHERE {of_hers}");
        assert_eq!(open.app.query(&life).trim(), "00:01:00");
        open.app.sql(&format!("UPDATE exchange_code SET expires_at = created_at WHERE {of_hers}"));
        exchange(&mut ann, &page).await.expect_problem(401, "sign_in_refused");
    });
}

#[test]
fn what_they_say_is_believed_only_if_it_is_said_to_us_now() {
    run(async {
        let _alone = ALONE.write().await;
        let open = open();
        let mut ann = Person::new(open, "ann");
        let who = known(open, &ann, true);
        let page = trip(&mut ann, "google", &who, false).await;
        exchange(&mut ann, &page).await.expect(201);
        for fault in
            [Fault::OtherNonce, Fault::OtherAudience, Fault::OtherIssuer, Fault::OtherKey, Fault::Expired]
        {
            open.vouchers.misbehave(fault);
            let page = trip(&mut ann.elsewhere(open), "google", &who, false).await;
            assert_eq!(page, "/sign-in?problem=refused", "{fault:?}");
        }
        open.vouchers.misbehave(Fault::None);
        let mut late = ann.elsewhere(open);
        let there = late.call("GET", "/api/v1/oauth/github/start", None).await.expect(303);
        let back = consent(&there, &who).await;
        open.vouchers.misbehave(Fault::Down);
        assert_eq!(come_back(&mut late, &back).await, "/sign-in?problem=unavailable");
        open.vouchers.misbehave(Fault::None);
    });
}

#[test]
fn the_only_way_in_is_not_cut_off() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        let mut ann = Person::new(open, "only");
        let who = known(open, &ann, true);
        let page = trip(&mut ann, "github", &who, false).await;
        exchange(&mut ann, &page).await.expect(201);
        let issuer = ann.get("/api/v1/user").await["identities"][0]["issuer"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/user/identities?issuer={issuer}");
        ann.call("DELETE", &path, None).await.expect_problem(409, "conflict");
        ann.call("PUT", "/api/v1/user/password", Some(json!({"new": PASSWORD}))).await.expect(204);
        ann.call("DELETE", &path, None).await.expect(204);
        ann.call("DELETE", &path, None).await.expect_problem(404, "not_found");
        ann.elsewhere(open).sign_in().await.expect(201);
    });
}

#[test]
fn somebody_who_is_invited_joins_by_an_address_that_they_checked() {
    run(async {
        let _others = ALONE.read().await;
        let open = open();
        let mut owner = Person::registered(open, "owner").await;
        let mut ann = Person::new(open, "asked");
        let body = json!({"email": ann.email, "role": "analyst"});
        owner.post("/api/v1/invitations", body).await.expect(201);
        let who = known(open, &ann, true);
        let page = trip(&mut ann, "google", &who, false).await;
        let session = exchange(&mut ann, &page).await.expect(201).json();
        assert_eq!((&session["role"], &session["tenant_name"]), (&json!("analyst"), &json!("owner's")));
        assert_eq!(ann.get("/api/v1/user").await["memberships"].as_array().unwrap().len(), 1);
    });
}
