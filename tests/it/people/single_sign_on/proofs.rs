//! What a sign-in by somebody who vouches is worth as a fresh proof: whoever is signed in there comes back without being
//! asked anything.

use costlens_tests::run;
use costlens_tests::vouchers::Tells;
use serde_json::{Value, json};

use super::super::{Open, Person, open};
use super::{Firm, come_back, consent, depart, exchange, trip_with};

/// An administrator of the firm who comes by its provider alone.
async fn administrator(open: &'static Open, firm: &mut Firm) -> (Person, String) {
    let (person, who) = firm.person(open, "ada");
    let asked = json!({"email": person.email, "role": "admin"});
    firm.owner.post("/api/v1/invitations", asked).await.expect(201);
    (person, who)
}

/// There and back again where the person is to be asked though it is signed in.
async fn enter_anew(person: &mut Person, who: &str) {
    let body = json!({"email": person.email, "anew": true});
    let page = trip_with(person, who, body).await;
    exchange(person, &page).await.expect(201);
}

async fn may_change_what_is_dangerous(person: &mut Person) -> bool {
    let answer = person.call("PATCH", "/api/v1/tenant", Some(json!({"name": "aurora"}))).await;
    if answer.status != 200 {
        answer.expect_problem(403, "step_up_required");
        return false;
    }
    true
}

#[test]
fn being_signed_in_at_the_provider_is_no_fresh_proof() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 0, "proving").await;
        let (mut ada, who) = administrator(open, &mut firm).await;
        // It says nothing unless it is asked to ask.
        let session = firm.enter(&mut ada, &who).await;
        assert_eq!(session["role"], "admin");
        assert!(!may_change_what_is_dangerous(&mut ada).await);
        enter_anew(&mut ada, &who).await;
        assert!(may_change_what_is_dangerous(&mut ada).await);
        // It says when the person proved it.
        for (tells, comes, is_asked) in
            [(Tells::LongAgo, false, true), (Tells::NeverAsks, false, false), (Tells::Now, true, true)]
        {
            firm.idp.tell(&who, tells);
            firm.enter(&mut ada, &who).await;
            assert_eq!(may_change_what_is_dangerous(&mut ada).await, comes, "{tells:?}");
            enter_anew(&mut ada, &who).await;
            assert_eq!(may_change_what_is_dangerous(&mut ada).await, is_asked, "{tells:?}");
        }
        // What is wanted there travels through the browser, which takes it out.
        firm.idp.tell(&who, Tells::LongAgo);
        let anew = json!({"email": ada.email, "anew": true});
        let mut there = depart(&mut ada, anew).await.expect(200).json();
        let url = there["url"].as_str().unwrap().to_owned();
        let without = url.replace("&prompt=login&max_age=0", "");
        assert_ne!(url, without, "{url}");
        there["url"] = Value::String(without);
        let back = consent(&there, &who).await;
        let page = come_back(&mut ada, &back).await;
        exchange(&mut ada, &page).await.expect(201);
        assert!(!may_change_what_is_dangerous(&mut ada).await);
        // What is no moment is no answer.
        firm.idp.tell(&who, Tells::NoMoment);
        assert_eq!(firm.trip(&mut ada, &who).await, "/sign-in?problem=refused");
    });
}

#[test]
fn a_stale_sign_in_at_the_provider_lasts_its_hour_here() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 0, "staying").await;
        let (mut ada, who) = administrator(open, &mut firm).await;
        firm.idp.tell(&who, Tells::NeverAsks);
        let session = firm.enter(&mut ada, &who).await;
        let at = |name: &str| {
            chrono::DateTime::parse_from_rfc3339(session[name].as_str().unwrap()).unwrap().to_utc()
        };
        let left = at("expires_at") - at("proven_until");
        assert!((3_590..=3_610).contains(&left.num_seconds()), "{session}");
        ada.get("/api/v1/members").await;
    });
}
