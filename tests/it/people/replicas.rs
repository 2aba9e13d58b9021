//! Two processes on one PostgreSQL and one Redis: what one of them takes back, uses up or counts holds for the other.

use std::time::Duration;

use costlens_cache::testing::PrivateRedis;
use costlens_egress::testing::TxtServer;
use costlens_tests::actors::{Program, redeem};
use costlens_tests::app::TestApp;
use costlens_tests::http::Answer;
use costlens_tests::mailbox::Mailbox;
use costlens_tests::vouchers::{Known, Vouchers};
use costlens_tests::{eventually, in_time, run};
use futures_util::future::join_all;
use serde_json::json;

use super::{Open, PASSWORD, Person, settings, vouched};

/// The two, over the same ledger.
struct Pair {
    first: Open,
    second: TestApp,
    redis: PrivateRedis,
}

impl Pair {
    fn start() -> Self {
        let redis = PrivateRedis::start();
        let (mailbox, vouchers) = (Mailbox::open(), Vouchers::open());
        let mut settings = settings(&mailbox, &vouchers);
        settings.push(("REDIS_URL", redis.url_text()));
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let app = TestApp::own(&settings);
        let second = app.replica(&settings);
        // Nobody comes by a firm's own provider here.
        let (names, firms) = (TxtServer::open(), Vec::new());
        Self { first: Open { app, mailbox, vouchers, names, firms }, second, redis }
    }

    fn bases(&self) -> [String; 2] {
        [self.first.app.base_url(), self.second.base_url()]
    }

    /// The same browser, at the other process.
    fn across(&self, person: &Person) -> Person {
        Person { base: self.second.base_url(), ..person.clone() }
    }
}

#[test]
fn a_second_process_honours_limits_revocations_and_codes_of_the_first_within_a_second() {
    run(async {
        let mut pair = Pair::start();
        limits_are_counted_together(&pair).await;
        what_ends_at_one_ends_at_the_other(&pair).await;
        what_works_once_works_at_one_of_them(&pair).await;
        limits_hold_while_redis_is_away_and_answers_say_that_it_is(&mut pair).await;
    });
}

async fn limits_hold_while_redis_is_away_and_answers_say_that_it_is(pair: &mut Pair) {
    let mut ann = Person::registered(&pair.first, "bereft").await;
    redis_is_used(&mut ann).await;
    pair.redis.kill();
    let mut stranger = Person::new(&pair.first, "flood-alone");
    for refused in ten_at_once(&[&stranger]).await {
        assert_eq!(refused.header("costlens-degraded"), "redis", "{}", refused.text());
    }
    stranger.try_password(PASSWORD).await.expect_problem(429, "too_many_requests");
    pair.redis.start_again();
    redis_is_used(&mut ann).await;
}

async fn redis_is_used(ann: &mut Person) {
    eventually("answer of a process that Redis counts for", async || {
        let answer = ann.call("GET", "/api/v1/user", None).await;
        answer.header("costlens-degraded").is_empty().then_some(())
    })
    .await;
}

/// Ten tries to sign in from these browsers in turn, all within the minute that limits look at; each is counted, also
/// where it waited too long for its turn to be looked at.
async fn ten_at_once(browsers: &[&Person]) -> Vec<Answer> {
    let tries = (0..10).map(|n| {
        let mut one = browsers[n % browsers.len()].clone();
        one.email = format!("{n}-{}", one.email);
        async move { one.try_password(PASSWORD).await }
    });
    let answers = join_all(tries).await;
    for answer in &answers {
        assert!([401, 503].contains(&answer.status), "{}", answer.text());
    }
    answers
}

async fn limits_are_counted_together(pair: &Pair) {
    let ann = Person::registered(&pair.first, "ann").await;
    // A process that Redis does not answer within a blink counts alone for a while: such a round proves nothing, and
    // somebody else begins another. Where each counts for itself there is no round with a refusal at both.
    let flood = eventually("refusal at both", async || {
        let here = Person::new(&pair.first, "flood");
        let there = pair.across(&here);
        ten_at_once(&[&here, &there]).await;
        let mut refused = 0;
        for mut one in [here.clone(), there] {
            one.email.clone_from(&ann.email);
            refused += u32::from(one.try_password(PASSWORD).await.status == 429);
        }
        (refused == 2).then_some(here)
    })
    .await;
    // They are counted in the one Redis, and nothing of them tells whose they are.
    let keys = pair.redis.ask(&["KEYS", "*"]);
    assert!(!keys.trim().is_empty());
    for plain in [&ann.email, &flood.address] {
        assert!(!keys.contains(plain.as_str()), "{keys}");
    }
    ann.elsewhere(&pair.first).sign_in().await.expect(201);
}

async fn what_ends_at_one_ends_at_the_other(pair: &Pair) {
    let [_, second] = pair.bases();
    // A key that is warm at the second is revoked at the first.
    let owner = pair.first.app.owner("Pair").await;
    let key = owner.create_key("ci").await;
    let there = Program::new(&second, &key.secret);
    assert_eq!(there.chat("demo/echo", "x").await.status, 200);
    owner.call("DELETE", &format!("/api/v1/keys/{}", key.key_id), None).await.expect(204);
    in_time(Duration::from_secs(1), "refusal of the key", async || {
        (there.chat("demo/echo", "x").await.status != 200).then_some(())
    })
    .await;
    // A session ends with the answer that ends it.
    let mut ann = Person::registered(&pair.first, "leaves").await;
    let mut across = pair.across(&ann);
    across.get("/api/v1/user").await;
    ann.call("DELETE", "/api/v1/session", None).await.expect(204);
    across.call("GET", "/api/v1/user", None).await.expect_problem(401, "session_invalid");
    // A refresh that was used at the first ends the sign-in for everybody when it comes to the second.
    let mut boss = Person::registered(&pair.first, "boss").await;
    let mut member = Person::invited(&pair.first, &mut boss, "member").await;
    let mut thief = pair.across(&member);
    member.call("POST", "/api/v1/session/refresh", None).await.expect(201);
    let again = thief.call("POST", "/api/v1/session/refresh", None).await;
    assert_eq!(again.status, 401, "{}", again.text());
    assert_eq!(member.call("GET", "/api/v1/user", None).await.status, 401);
    // An account that is closed at the first is frozen at the second.
    let key = owner.create_key("closing").await;
    let there = Program::new(&second, &key.secret);
    assert_eq!(there.chat("demo/echo", "x").await.status, 200);
    let closed = owner.call("POST", "/api/v1/account/closure", Some(&json!({"confirm": "Pair"}))).await;
    assert!([200, 201, 202].contains(&closed.status), "{}", closed.text());
    let refused = in_time(Duration::from_secs(1), "refusal of the account's calls", async || {
        let answer = there.chat("demo/echo", "x").await;
        (answer.status != 200).then_some(answer)
    });
    refused.await.expect_problem(403, "account_closing");
}

async fn what_works_once_works_at_one_of_them(pair: &Pair) {
    let bases = pair.bases();
    let tenant = pair.first.app.command(&["tenants", "create", "Once"]);
    for _ in 0..4 {
        // A link from the command line.
        let link = pair.first.app.sign_in_link(&tenant);
        let both = join_all((0..6).map(|n| redeem(&bases[n % 2], &link))).await;
        assert_eq!(both.iter().filter(|answer| answer.status == 201).count(), 1);
        // What the browser got from somebody who vouched.
        let mut ann = Person::new(&pair.first, "vouched");
        let subject = ann.email.clone();
        let email = (ann.email.clone(), true);
        pair.first.vouchers.know(&subject, Known { subject: subject.clone(), email });
        let page = vouched::trip(&mut ann, "google", &subject, false).await;
        let code = page.strip_prefix("/signed-in#x=").unwrap().to_owned();
        let mut browsers: Vec<Person> =
            (0..6).map(|n| if n % 2 == 0 { ann.clone() } else { pair.across(&ann) }).collect();
        let body = json!({"code": code});
        let all =
            join_all(browsers.iter_mut().map(|one| one.post("/api/v1/sessions/exchange", body.clone())));
        let won = all.await.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(won, 1, "a code was traded {won} times");
    }
    // The link of a registration.
    let mut ann = Person::new(&pair.first, "registers");
    ann.post("/api/v1/registrations", json!({"email": ann.email})).await.expect(202);
    let token = pair.first.mailbox.letter(&ann.email, 0).await.token("/register");
    let body = json!({"token": token, "name": "Ann", "tenant_name": "Ann's", "password": PASSWORD});
    let mut browsers = [ann.clone(), pair.across(&ann)];
    let both =
        join_all(browsers.iter_mut().map(|one| one.post("/api/v1/registrations/complete", body.clone())));
    assert_eq!(both.await.iter().filter(|answer| answer.status == 201).count(), 1);
}
