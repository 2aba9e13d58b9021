//! Signing in by one's organisation's own identity provider.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use costlens_tests::http::{self, Answer};
use costlens_tests::run;
use costlens_tests::vouchers::{CLIENT, Fault, Known, SECRET, Vouchers};
use serde_json::{Value, json};

use super::limits::strangers_try;
use super::{Open, PASSWORD, Person, open};
use crate::canary::tells_of;

mod proofs;
mod removed;

static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

/// An organisation with a provider of its own and a domain that it has proven.
pub(super) struct Firm {
    owner: Person,
    domain: String,
    domain_id: String,
    pub(super) idp: &'static Vouchers,
}

impl Firm {
    /// One whose provider this is.
    pub(super) async fn by(open: &'static Open, idp: usize, name: &str) -> Self {
        let idp = &open.firms[idp];
        let mut owner = Person::registered(open, name).await;
        set_up(&mut owner, idp, json!({})).await.expect(200);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let domain = format!("{name}-{n}.example");
        let added = add(&mut owner, &domain).await;
        publish(open, &added);
        let proven = check(&mut owner, &added).await.expect(200).json();
        assert_eq!(proven["state"], "proven");
        let domain_id = added["id"].as_str().unwrap().to_owned();
        Self { owner, domain, domain_id, idp }
    }

    /// Somebody of the firm whom nobody here knows, and its name at the provider.
    pub(super) fn person(&self, open: &Open, name: &str) -> (Person, String) {
        let mut person = Person::new(open, name);
        person.email = format!("{}@{}", person.email.split('@').next().unwrap(), self.domain);
        let who = self.know(&person.email, true);
        (person, who)
    }

    /// The provider knows somebody with this address, under the name that it gives.
    fn know(&self, email: &str, checked: bool) -> String {
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let subject = format!("there-{n}");
        self.idp.know(&subject, Known { subject: subject.clone(), email: (email.to_owned(), checked) });
        subject
    }

    /// There and back again; the page of the console that the browser ends up at.
    async fn trip(&self, person: &mut Person, who: &str) -> String {
        trip(person, who).await
    }

    async fn trip_with(&self, person: &mut Person, who: &str, body: Value) -> String {
        trip_with(person, who, body).await
    }

    /// Signs somebody in, which must succeed.
    async fn enter(&self, person: &mut Person, who: &str) -> Value {
        let page = self.trip(person, who).await;
        exchange(person, &page).await.expect(201).json()
    }

    /// What was done in the account, as action and change.
    async fn events(&mut self, action: &str) -> Vec<Value> {
        let events = self.owner.get("/api/v1/audit-events?limit=200").await;
        let events = events["items"].as_array().unwrap().iter();
        events.filter(|event| event["action"] == action).map(|event| event["change"].clone()).collect()
    }
}

/// Sets a provider up, with more or other members than the usual.
async fn set_up(owner: &mut Person, idp: &Vouchers, mut more: Value) -> Answer {
    let mut body = json!({"issuer": idp.issuer(), "client_id": CLIENT, "client_secret": SECRET});
    body.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
    owner.call("PUT", "/api/v1/single-sign-on", Some(body)).await
}

async fn add(owner: &mut Person, domain: &str) -> Value {
    let body = json!({"domain": domain});
    owner.post("/api/v1/single-sign-on/domains", body).await.expect(201).json()
}

fn publish(open: &Open, domain: &Value) {
    let text = |name: &str| domain[name].as_str().unwrap();
    open.names.put(text("record_name"), &["v=spf1 -all", text("record")]);
}

async fn check(owner: &mut Person, domain: &Value) -> Answer {
    let path = format!("/api/v1/single-sign-on/domains/{}/check", domain["id"].as_str().unwrap());
    owner.call("POST", &path, None).await
}

/// There and back again, by one's own address; the page of the console that the browser ends up at.
pub(crate) async fn trip(person: &mut Person, who: &str) -> String {
    let body = json!({"email": person.email});
    trip_with(person, who, body).await
}

async fn trip_with(person: &mut Person, who: &str, body: Value) -> String {
    let there = depart(person, body).await.expect(200).json();
    let back = consent(&there, who).await;
    come_back(person, &back).await
}

async fn depart(person: &mut Person, body: Value) -> Answer {
    person.post("/api/v1/single-sign-on/trips", body).await
}

/// The person says yes there; where the provider sends the browser back to.
async fn consent(there: &Value, who: &str) -> String {
    let url = format!("{}&as={who}", there["url"].as_str().unwrap());
    http::send("GET", &url, &[], "").await.expect(302).header("location").to_owned()
}

async fn come_back(person: &mut Person, back: &str) -> String {
    let answer = person.call("GET", &path_of(back), None).await.expect(303);
    path_of(answer.header("location"))
}

fn path_of(url: &str) -> String {
    let (_, path) = url.split_once("://").unwrap().1.split_once('/').unwrap();
    format!("/{path}")
}

async fn exchange(person: &mut Person, page: &str) -> Answer {
    let code = page.strip_prefix("/signed-in#x=").unwrap_or_else(|| panic!("came back to {page}"));
    person.post("/api/v1/sessions/exchange", json!({"code": code})).await
}

/// By which name its browser is known, among those of the person.
fn browser_of(person: &Person) -> Vec<u8> {
    let token = URL_SAFE_NO_PAD.decode(&person.cookies["costlens_browser"]).unwrap();
    token[16..32].to_vec()
}

#[test]
fn a_firms_people_come_by_its_own_provider_and_are_its_members() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 0, "aurora").await;
        let (mut ann, who) = firm.person(open, "ann");
        let session = firm.enter(&mut ann, &who).await;
        assert_eq!((&session["method"], &session["role"]), (&json!("oidc"), &json!("viewer")));
        assert_eq!(
            (&session["tenant_name"], &session["continues_until"]),
            (&json!("aurora's"), &Value::Null)
        );
        assert!(!ann.cookies.contains_key("costlens_refresh"), "the provider is asked anew after an hour");
        let known = browser_of(&ann);
        let id = session["user"]["id"].clone();
        // Known again by its name there, whatever its address; one of a foreign domain does not pass.
        let renamed = format!("renamed-{}", ann.email);
        firm.idp.know(&who, Known { subject: who.clone(), email: (renamed, true) });
        let mut elsewhere = ann.elsewhere(open);
        assert_eq!(firm.enter(&mut elsewhere, &who).await["user"]["id"], id);
        assert_eq!(browser_of(&elsewhere), known, "a provider's browsers are one");
        // What newcomers become is the firm's to say, and never who runs it.
        for role in ["admin", "owner"] {
            let refused = set_up(&mut firm.owner, firm.idp, json!({"default_role": role})).await;
            refused.expect_problem(400, "invalid_request");
        }
        set_up(&mut firm.owner, firm.idp, json!({"default_role": "member"})).await.expect(200);
        let (mut bob, who) = firm.person(open, "bob");
        assert_eq!(firm.enter(&mut bob, &who).await["role"], "member");
        // Whoever was invited comes as what it was asked to be.
        let (mut eve, who) = firm.person(open, "eve");
        let asked = json!({"email": eve.email, "role": "analyst"});
        firm.owner.post("/api/v1/invitations", asked).await.expect(201);
        assert_eq!(firm.enter(&mut eve, &who).await["role"], "analyst");
        let members = firm.owner.get("/api/v1/members").await;
        assert_eq!(members["items"].as_array().unwrap().len(), 4);
        assert_eq!(firm.events("member.joined").await.len(), 2);
        assert_eq!(firm.events("user.identity_linked").await.len(), 3);
        assert_eq!(firm.events("single_sign_on.configured").await.len(), 1);
        assert_eq!(firm.events("single_sign_on.changed").await.len(), 1);
        assert_eq!(firm.events("single_sign_on_domain.proven").await.len(), 1);
        let opened = firm.events("session.opened").await;
        assert_eq!(opened.iter().filter(|change| change["method"] == "oidc").count(), 4);
    });
}

#[test]
fn a_provider_is_believed_only_in_what_it_says_to_us_now_of_its_own_people() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 1, "faulty").await;
        let (mut ann, who) = firm.person(open, "ann");
        firm.enter(&mut ann, &who).await;
        for fault in [
            Fault::OtherNonce,
            Fault::OtherAudience,
            Fault::OtherIssuer,
            Fault::OtherKey,
            Fault::Expired,
            Fault::Mutated,
            Fault::OtherSender,
        ] {
            firm.idp.misbehave(fault);
            let page = firm.trip(&mut ann.elsewhere(open), &who).await;
            assert_eq!(page, "/sign-in?problem=refused", "{fault:?}");
        }
        // Many providers of firms do not say whether they checked an address; the domain is proven to be the firm's.
        firm.idp.misbehave(Fault::Unsaid);
        firm.enter(&mut ann.elsewhere(open), &who).await;
        firm.idp.misbehave(Fault::None);
        let (mut eve, _) = firm.person(open, "eve");
        let unchecked = firm.know(&eve.email, false);
        assert_eq!(firm.trip(&mut eve, &unchecked).await, "/sign-in?problem=no_verified_address");
        for foreign in ["eve@people.example", "eve@sub.{}", "eve@{}.evil.example", "eve@evil{}"] {
            let foreign = firm.know(&foreign.replace("{}", &firm.domain), true);
            assert_eq!(firm.trip(&mut eve, &foreign).await, "/sign-in?problem=foreign_domain");
        }
        let mut late = ann.elsewhere(open);
        let email = json!({"email": late.email});
        let there = depart(&mut late, email).await.expect(200).json();
        let back = consent(&there, &who).await;
        firm.idp.misbehave(Fault::Down);
        assert_eq!(come_back(&mut late, &back).await, "/sign-in?problem=unavailable");
        firm.idp.misbehave(Fault::None);
        let refusals = firm.events("session.refused").await;
        for reason in ["refused", "no_verified_address", "foreign_domain", "unavailable"] {
            let told = json!({"method": "oidc", "reason": reason});
            assert!(refusals.contains(&told), "{reason}: {refusals:?}");
        }
        assert_eq!(firm.owner.get("/api/v1/members").await["items"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn a_provider_is_asked_before_it_is_stored_and_its_secret_goes_nowhere_else() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 0, "careful").await;
        let view = firm.owner.get("/api/v1/single-sign-on").await;
        assert!(!view.to_string().contains(SECRET));
        // What is sealed stands in a dump as hexadecimal digits, and so would what is not.
        let dump = open.app.dump();
        assert!(tells_of(&dump, CLIENT.as_bytes()), "nothing was looked at");
        assert!(!tells_of(&dump, SECRET.as_bytes()), "the secret is in the clear");
        let nowhere = format!("http://{}", open.app.nothing_there);
        let slash = format!("{}/", firm.idp.issuer());
        // Plain http, private, nobody there, and another spelling than the provider's own.
        for issuer in ["http://idp.example.com", "https://10.0.0.1", "https://localhost", &nowhere, &slash] {
            let refused = set_up(&mut firm.owner, firm.idp, json!({"issuer": issuer})).await;
            refused.expect_problem(422, "endpoint_refused");
        }
        // The secret of one is not sent to another.
        let body = json!({"issuer": open.firms[3].issuer(), "client_id": CLIENT});
        let refused = firm.owner.call("PUT", "/api/v1/single-sign-on", Some(body)).await;
        refused.expect_problem(400, "invalid_request");
        let body = json!({"issuer": firm.idp.issuer(), "client_id": CLIENT, "default_role": "analyst"});
        let kept = firm.owner.call("PUT", "/api/v1/single-sign-on", Some(body)).await.expect(200).json();
        assert_eq!(kept["provider"]["id"], view["provider"]["id"]);
        let (mut ann, who) = firm.person(open, "ann");
        assert_eq!(firm.enter(&mut ann, &who).await["role"], "analyst");
        // Who runs the account says so, and says it anew.
        ann.call("GET", "/api/v1/single-sign-on", None).await.expect_problem(403, "forbidden");
        firm.owner.grow_stale(open).await;
        set_up(&mut firm.owner, firm.idp, json!({})).await.expect_problem(403, "step_up_required");
        let removed = firm.owner.call("DELETE", "/api/v1/single-sign-on", None).await;
        removed.expect_problem(403, "step_up_required");
        // Whoever was let in by it is out when it goes; its people stay members.
        firm.owner.post("/api/v1/session/proof", json!({"password": PASSWORD})).await.expect(200);
        firm.owner.call("DELETE", "/api/v1/single-sign-on", None).await.expect(204);
        ann.call("GET", "/api/v1/session", None).await.expect_problem(401, "session_invalid");
        assert_eq!(firm.events("single_sign_on.removed").await[0]["sessions_ended"], 1);
        let email = json!({"email": ann.email});
        depart(&mut ann, email).await.expect_problem(404, "not_found");
        assert_eq!(firm.owner.get("/api/v1/members").await["items"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn a_domain_counts_once_its_record_proves_it_and_for_one_organisation() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 0, "proven").await;
        for (bad, why) in [
            ("gmail.com", "mail provider"),
            ("co.uk", "suffix"),
            ("firm", "no domain"),
            ("10.0.0.1", "no domain"),
            ("a b.example", "no domain"),
        ] {
            let refused = firm.owner.post("/api/v1/single-sign-on/domains", json!({"domain": bad})).await;
            let problem = refused.expect_problem(400, "invalid_request");
            assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
        }
        let twice = json!({"domain": firm.domain.to_uppercase()});
        firm.owner.post("/api/v1/single-sign-on/domains", twice).await.expect_problem(409, "conflict");
        // Another domain: said, and not proven.
        let other = format!("other-{}", firm.domain);
        let added = add(&mut firm.owner, &other).await;
        let mut ann = Person::new(open, "ann");
        ann.email = format!("ann@{other}");
        let who = firm.know(&ann.email, true);
        let email = json!({"email": ann.email});
        depart(&mut ann, email.clone()).await.expect_problem(404, "not_found");
        assert_eq!(check(&mut firm.owner, &added).await.expect(200).json()["state"], "pending");
        let record = added["record"].as_str().unwrap();
        let (at_label, at_domain) = (added["record_name"].as_str().unwrap(), other.as_str());
        assert_eq!(at_label, format!("_costlens.{other}"));
        for wrong in
            [&record[..record.len() - 1], &record.replace("costlens", "cost"), "costlens-verification="]
        {
            open.names.put(at_label, &[wrong]);
            assert_eq!(
                check(&mut firm.owner, &added).await.expect(200).json()["state"],
                "pending",
                "{wrong}"
            );
        }
        open.names.remove(at_label);
        open.names.silence(at_domain);
        check(&mut firm.owner, &added).await.expect_problem(503, "unavailable");
        depart(&mut ann, email.clone()).await.expect_problem(404, "not_found");
        // At the domain itself it does as well.
        open.names.put(at_domain, &["something else", record]);
        assert_eq!(check(&mut firm.owner, &added).await.expect(200).json()["state"], "proven");
        firm.enter(&mut ann, &who).await;
        // Another organisation that can write a record, too, does not take it.
        let mut rival = Person::registered(open, "rival").await;
        let theirs = add(&mut rival, &other).await;
        assert_ne!(theirs["record"], added["record"]);
        open.names.put(at_domain, &[record, theirs["record"].as_str().unwrap()]);
        check(&mut rival, &theirs).await.expect_problem(409, "conflict");
        rival
            .call("POST", &format!("/api/v1/single-sign-on/domains/{}/check", firm.domain_id), None)
            .await
            .expect_problem(404, "not_found");
        // The record is gone: for some days the domain counts, and then no longer.
        open.names.put(at_domain, &[theirs["record"].as_str().unwrap()]);
        assert_eq!(check(&mut firm.owner, &added).await.expect(200).json()["state"], "failing");
        firm.enter(&mut ann.elsewhere(open), &who).await;
        open.app.sql(&format!(
            "UPDATE sso_domain SET seen_at = seen_at - interval '73 hours' WHERE domain = '{other}' AND seen_at IS NOT NULL"
        ));
        assert_eq!(check(&mut firm.owner, &added).await.expect(200).json()["state"], "pending");
        depart(&mut ann, email.clone()).await.expect_problem(404, "not_found");
        assert_eq!(firm.events("single_sign_on_domain.lost").await, [json!({"domain": other})]);
        assert_eq!(check(&mut rival, &theirs).await.expect(200).json()["state"], "proven");
        // One that is taken off the list counts no longer, at once.
        let (mut bob, who) = firm.person(open, "bob");
        let body = json!({"email": bob.email});
        let there = depart(&mut bob, body.clone()).await.expect(200).json();
        let back = consent(&there, &who).await;
        let path = format!("/api/v1/single-sign-on/domains/{}", firm.domain_id);
        firm.owner.call("DELETE", &path, None).await.expect(204);
        assert_eq!(come_back(&mut bob, &back).await, "/sign-in?problem=foreign_domain");
        depart(&mut bob, body).await.expect_problem(404, "not_found");
    });
}

#[test]
fn a_trip_to_a_provider_works_in_the_browser_that_began_it_and_for_that_organisation() {
    run(async {
        let open = open();
        let firm = Firm::by(open, 0, "traveller").await;
        let mut neighbour = Firm::by(open, 0, "neighbour").await;
        let (mut ann, who) = firm.person(open, "ann");
        let email = json!({"email": ann.email});
        let there = depart(&mut ann, email.clone()).await.expect(200).json();
        let back = consent(&there, &who).await;
        // An address that is sent to somebody else signs nobody in.
        let mut victim = Person::new(open, "victim");
        assert_eq!(come_back(&mut victim, &back).await, "/sign-in?problem=stale");
        depart(&mut victim, email).await.expect(200);
        assert_eq!(come_back(&mut victim, &back).await, "/sign-in?problem=stale");
        // Nor does what one organisation's provider said pass for another's.
        let view = neighbour.owner.get("/api/v1/single-sign-on").await;
        let theirs = path_of(view["redirect_uri"].as_str().unwrap());
        let (_, search) = back.split_once('?').unwrap();
        let astray = format!("http://x/{}?{search}", theirs.trim_start_matches('/'));
        assert_eq!(come_back(&mut ann.clone(), &astray).await, "/sign-in?problem=stale");
        let page = come_back(&mut ann, &back).await;
        assert!(!page.contains("acs_"), "no token in an address");
        assert_eq!(come_back(&mut ann.clone(), &back).await, "/sign-in?problem=refused");
        exchange(&mut victim, &page).await.expect_problem(401, "sign_in_refused");
        // The code is for this organisation, whatever its browser asks for, and is traded once.
        let code = page.strip_prefix("/signed-in#x=").unwrap();
        let wanted = neighbour.owner.get("/api/v1/session").await["tenant_id"].clone();
        let body = json!({"code": code, "tenant_id": wanted});
        let session = ann.post("/api/v1/sessions/exchange", body.clone()).await.expect(201).json();
        assert_eq!(session["tenant_name"], "traveller's");
        ann.post("/api/v1/sessions/exchange", body).await.expect_problem(401, "sign_in_refused");
    });
}

#[test]
fn who_has_a_password_is_linked_by_itself_alone_and_stays_one_person() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 0, "linking").await;
        let mut ann = member_with_password(open, &mut firm, "ann").await;
        let id = ann.id().await;
        let who = firm.know(&ann.email, true);
        let mut thief = ann.elsewhere(open);
        assert_eq!(firm.trip(&mut thief, &who).await, "/sign-in?problem=address_taken");
        assert!(open.mailbox.letter(&ann.email, 1).await.text.contains("registered already"));
        // With a wrong password nobody goes anywhere, and an address that nobody has is told apart by nothing.
        for email in [ann.email.clone(), format!("nobody@{}", firm.domain), "x@nowhere.example".to_owned()] {
            let body = json!({"email": email, "password": "wrong horse battery"});
            depart(&mut thief, body).await.expect_problem(401, "sign_in_refused");
        }
        // She links it while she is signed in: it vouches for her from then on.
        ann.grow_stale(open).await;
        depart(&mut ann, json!({"link": true})).await.expect_problem(403, "step_up_required");
        ann.post("/api/v1/session/proof", json!({"password": PASSWORD})).await.expect(200);
        assert_eq!(firm.trip_with(&mut ann, &who, json!({"link": true})).await, "/profile");
        let mut elsewhere = ann.elsewhere(open);
        assert_eq!(firm.enter(&mut elsewhere, &who).await["user"]["id"], id.as_str());
        // Somebody else does not take the same one.
        let mut bob = member_with_password(open, &mut firm, "bob").await;
        assert_eq!(
            firm.trip_with(&mut bob, &who, json!({"link": true})).await,
            "/sign-in?problem=linked_elsewhere"
        );
        // Whom a provider let in changes nothing of how it signs in, and sees nothing of its other organisations.
        let mut other = Person::registered(open, "elsewhere").await;
        let asked = json!({"email": ann.email, "role": "viewer"});
        other.post("/api/v1/invitations", asked).await.expect(201);
        let token = open.mailbox.token(&ann.email, "/invitation", 1).await;
        ann.post("/api/v1/invitations/accept", json!({"token": token})).await.expect(204);
        assert_eq!(ann.get("/api/v1/user").await["memberships"].as_array().unwrap().len(), 2);
        assert_eq!(elsewhere.get("/api/v1/user").await["memberships"].as_array().unwrap().len(), 1);
        let theirs = other.get("/api/v1/session").await["tenant_id"].clone();
        for (method, path, body) in [
            ("PUT", "/api/v1/user/password", json!({"current": PASSWORD, "new": "another horse battery"})),
            ("POST", "/api/v1/user/second-factor", json!(null)),
            ("POST", "/api/v1/session/tenant", json!({"tenant_id": theirs})),
            ("POST", "/api/v1/single-sign-on/trips", json!({"link": true})),
        ] {
            let body = (!body.is_null()).then_some(body);
            elsewhere.call(method, path, body).await.expect_problem(403, "forbidden");
        }
        let mut at_other = ann.elsewhere(open);
        let body = json!({"email": ann.email, "password": PASSWORD, "tenant_id": theirs});
        at_other.post("/api/v1/sessions/password", body).await.expect(201);
        let hidden = at_other.get("/api/v1/session").await["id"].as_str().unwrap().to_owned();
        assert!(!elsewhere.get("/api/v1/user/sign-ins").await.to_string().contains(&hidden));
        elsewhere
            .call("DELETE", &format!("/api/v1/user/sign-ins/{hidden}"), None)
            .await
            .expect_problem(404, "not_found");
        at_other.get("/api/v1/session").await;
    });
}

/// A member of the firm with an address of its domain, who signs in by password.
async fn member_with_password(open: &'static Open, firm: &mut Firm, name: &str) -> Person {
    let (mut person, _) = firm.person(open, name);
    let body = json!({"email": person.email, "role": "member"});
    firm.owner.post("/api/v1/invitations", body).await.expect(201);
    let token = open.mailbox.token(&person.email, "/invitation", 0).await;
    let body = json!({"token": token, "name": name, "password": PASSWORD});
    person.post("/api/v1/invitations/accept", body).await.expect(201);
    person
}

#[test]
fn strangers_who_use_up_somebodys_tries_do_not_keep_it_from_linking_its_provider() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 0, "tried").await;
        let mut ann = member_with_password(open, &mut firm, "ann").await;
        strangers_try(open, &ann).await;
        let body = json!({"email": ann.email, "password": PASSWORD});
        let refused = depart(&mut ann.elsewhere(open), body.clone()).await;
        refused.expect_problem(429, "too_many_requests");
        let there = depart(&mut ann, body).await;
        assert!((200..300).contains(&there.status), "{}", there.text());
    });
}

#[test]
fn where_it_is_required_nobody_but_owners_comes_in_another_way() {
    run(async {
        let open = open();
        let mut firm = Firm::by(open, 0, "strict").await;
        let mut ann = member_with_password(open, &mut firm, "ann").await;
        let mut chief = member_with_password(open, &mut firm, "chief").await;
        let chief_id = chief.id().await;
        let path = format!("/api/v1/members/{chief_id}");
        firm.owner.call("PATCH", &path, Some(json!({"role": "owner"}))).await.expect(200);
        // Of another domain: a contractor.
        let mut guest = Person::invited(open, &mut firm.owner, "member").await;
        let strict = set_up(&mut firm.owner, firm.idp, json!({"required": true})).await.expect(200).json();
        assert_eq!(strict["unlinked_members"], 1);
        ann.elsewhere(open).sign_in().await.expect_problem(403, "single_sign_on_required");
        ann.call("POST", "/api/v1/session/refresh", None).await.expect_problem(401, "session_invalid");
        chief.elsewhere(open).sign_in().await.expect(201);
        guest.elsewhere(open).sign_in().await.expect(201);
        guest.call("POST", "/api/v1/session/refresh", None).await.expect(201);
        let refusals = firm.events("session.refused").await;
        assert!(
            refusals.contains(&json!({"method": "password", "reason": "single_sign_on"})),
            "{refusals:?}"
        );
        // A wrong password says nothing of it.
        let wrong = ann.elsewhere(open).sign_in_with("wrong horse battery", None).await;
        wrong.expect_problem(401, "sign_in_refused");
        // She links the provider by her password, and comes in by it.
        let who = firm.know(&ann.email, true);
        let mut linked = ann.elsewhere(open);
        let body = json!({"email": ann.email, "password": PASSWORD});
        let page = firm.trip_with(&mut linked, &who, body).await;
        let session = exchange(&mut linked, &page).await.expect(201).json();
        assert_eq!((&session["method"], &session["user"]["email"]), (&json!("oidc"), &json!(ann.email)));
        assert_eq!(firm.owner.get("/api/v1/single-sign-on").await["unlinked_members"], 0);
        firm.enter(&mut ann.elsewhere(open), &who).await;
        ann.elsewhere(open).sign_in().await.expect_problem(403, "single_sign_on_required");
        // An invitation to an address of the domain is accepted by coming this way.
        let (mut new, who) = firm.person(open, "new");
        let asked = json!({"email": new.email, "role": "analyst"});
        firm.owner.post("/api/v1/invitations", asked).await.expect(201);
        let token = open.mailbox.token(&new.email, "/invitation", 0).await;
        let body = json!({"token": token, "name": "new", "password": PASSWORD});
        let refused = new.post("/api/v1/invitations/accept", body).await;
        refused.expect_problem(403, "single_sign_on_required");
        assert_eq!(firm.enter(&mut new, &who).await["role"], "analyst");
        // By Google neither.
        let _others = super::vouched::ALONE.read().await;
        let (mut tom, _) = firm.person(open, "tom");
        let asked = json!({"email": tom.email, "role": "member"});
        firm.owner.post("/api/v1/invitations", asked).await.expect(201);
        let known = Known { subject: "770099".to_owned(), email: (tom.email.clone(), true) };
        open.vouchers.know("770099", known);
        let page = super::vouched::trip(&mut tom, "google", "770099", false).await;
        exchange(&mut tom, &page).await.expect_problem(403, "single_sign_on_required");
        // A domain that is lost asks nobody for what it cannot give.
        let path = format!("/api/v1/single-sign-on/domains/{}", firm.domain_id);
        firm.owner.call("DELETE", &path, None).await.expect(204);
        ann.elsewhere(open).sign_in().await.expect(201);
    });
}

#[test]
fn two_firms_at_one_provider_see_nothing_of_each_other() {
    run(async {
        let open = open();
        let mut one = Firm::by(open, 3, "one").await;
        let mut other = Firm::by(open, 3, "other").await;
        let (mut ann, who) = one.person(open, "ann");
        let here = firm_and_user(&one.enter(&mut ann, &who).await);
        // The same name there is another person in the other firm.
        one.idp.know(&who, Known { subject: who.clone(), email: (format!("ann@{}", other.domain), true) });
        let mut there = Person::new(open, "there");
        there.email = format!("ann@{}", other.domain);
        let there = firm_and_user(&other.enter(&mut there, &who).await);
        assert!(here.0 != there.0 && here.1 != there.1, "{here:?} {there:?}");
        // And the provider's word for one firm's domain is no word for the other's.
        assert_eq!(one.trip(&mut ann, &who).await, "/sign-in?problem=foreign_domain");
        let seen = other.owner.get("/api/v1/single-sign-on").await.to_string();
        assert!(!seen.contains(&one.domain) && !seen.contains(&one.domain_id));
        let id = here.1.as_str().unwrap();
        other
            .owner
            .call("DELETE", &format!("/api/v1/members/{id}"), None)
            .await
            .expect_problem(404, "not_found");
        other.owner.call("DELETE", "/api/v1/single-sign-on", None).await.expect(204);
        assert_eq!(ann.get("/api/v1/session").await["tenant_name"], "one's");
        assert_eq!(one.owner.get("/api/v1/members").await["items"].as_array().unwrap().len(), 2);
    });
}

fn firm_and_user(session: &Value) -> (Value, Value) {
    (session["tenant_id"].clone(), session["user"]["id"].clone())
}

/// A provider that takes another key is asked for its keys anew, a minute after it was last asked.
#[test]
fn a_provider_that_turns_its_key_is_believed_within_a_minute() {
    run(async {
        let open = open();
        let firm = Firm::by(open, 2, "turning").await;
        let (mut ann, who) = firm.person(open, "ann");
        firm.enter(&mut ann, &who).await;
        firm.idp.turn_key();
        let page = firm.trip(&mut ann.elsewhere(open), &who).await;
        assert_eq!(page, "/sign-in?problem=refused", "its keys were asked for twice within a minute");
        tokio::time::sleep(std::time::Duration::from_secs(61)).await;
        firm.enter(&mut ann.elsewhere(open), &who).await;
    });
}
