//! People who were removed from an organisation are erased, too: in their time, or with its account.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::{AuditEventId, Role, SessionId, UserId};
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use costlens_store::{ErasureState, NewAuditEvent, NewUser};
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use serde_json::json;

use super::Office;
use super::account::{Account, ISSUER};
use super::erasures::{request, state};
use super::outside::{Outside, clerk};

fn start() -> DateTime<Utc> {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

async fn person(office: &Office, name: &str, issuer: &str) -> UserId {
    let now = office.parts.clock.now();
    let id = UserId::new(now, unlike_bytes());
    let new = NewUser {
        id,
        name: name.to_owned(),
        email: format!("{name}@people.example"),
        password_hash: None,
        wrapped_key: vec![1],
        created_at: now,
    };
    let mut system = office.parts.store.system().await.unwrap();
    system.create_user(&new).await.unwrap();
    system.link_identity(id, issuer, name, now).await.unwrap();
    id
}

async fn join(office: &Office, account: &Account, user: UserId) {
    let now = office.parts.clock.now();
    let mut system = office.parts.store.system().await.unwrap();
    system.join(account.tenant, user, Role::Member, now).await.unwrap();
}

/// Removes a member, and writes it down as the API does.
async fn remove(office: &Office, account: &Account, user: UserId) {
    let now = office.parts.clock.now();
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    tx.remove_member(user, now).await.unwrap();
    let event = NewAuditEvent {
        id: AuditEventId::new(now, unlike_bytes()),
        at: now,
        actor: Actor::CommandLine,
        action: Action::MemberRemoved,
        target: Some(user.to_string()),
        change: json!({}),
        request_id: None,
        address: None,
    };
    tx.audit(&event).await.unwrap();
    tx.commit().await.unwrap();
}

/// A session of a person's in an account that is over.
async fn session(office: &Office, account: &Account, user: UserId) {
    let id = SessionId::new(office.parts.clock.now(), unlike_bytes()).uuid();
    office
        .sql(&format!(
            "INSERT INTO session (tenant_id, id, hash, created_at, expires_at, user_id) \
             SELECT '{}', '{id}', sha256('{id}'), '{at}', '{at}', '{}'",
            account.tenant.uuid(),
            user.uuid(),
            at = office.parts.clock.now(),
        ))
        .await;
}

#[derive(diesel::QueryableByName)]
struct Names {
    #[diesel(sql_type = Text)]
    names: String,
}

async fn people(office: &Office) -> String {
    let sql = "SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') AS names FROM user_account";
    let mut owner = AsyncPgConnection::establish(office.db.owner_url()).await.unwrap();
    let found: Names = diesel::sql_query(sql).get_result(&mut owner).await.unwrap();
    found.names
}

#[tokio::test]
async fn a_night_takes_who_belonged_to_nobody_for_thirty_days_and_nobody_whom_clerk_keeps() {
    let outside = Outside::open().await;
    let mut office = Office::open_to(&outside, start()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    office.quiet().await;
    office.stop_work().await;
    office.parts.clerk = Some(clerk(&office, outside.http_port));
    office.work().await;
    for (name, issuer) in [("left", "https://github.com"), ("kept", ISSUER)] {
        let user = person(&office, name, issuer).await;
        join(&office, &acme, user).await;
        remove(&office, &acme, user).await;
    }
    let stays = person(&office, "stays", "https://github.com").await;
    join(&office, &acme, stays).await;
    for (days, gone, left) in [(0, 0, "kept left stays"), (30, 0, "kept left stays"), (31, 1, "kept stays")] {
        office.set_clock(start() + TimeDelta::days(days));
        let night = office.run("retention.v1").await.job;
        assert_eq!(night.state, State::Done, "{night:?}");
        assert_eq!(night.progress.unwrap()["user_account"], gone, "{days}");
        assert_eq!(people(&office).await, left, "{days}");
    }
    office.close().await;
}

#[tokio::test]
async fn an_erasure_takes_those_along_who_were_removed_before_and_are_known_nowhere_else() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, start()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let other = Account::open(&office, &outside, "Other").await;
    office.quiet().await;
    let google = "https://accounts.google.com";
    let mut users = Vec::new();
    for name in ["came-by-sso", "came-in", "elsewhere", "invited", "known-elsewhere", "member"] {
        let user = person(&office, name, google).await;
        join(&office, &acme, user).await;
        users.push(user);
    }
    let [by_sso, came_in, elsewhere, invited, known, _] = users[..] else { panic!("six people") };
    join(&office, &other, elsewhere).await;
    let mut system = office.parts.store.system().await.unwrap();
    for user in [by_sso, elsewhere] {
        let subject = user.to_string();
        system
            .link_sso_identity(acme.tenant, ("https://idp.example", &subject), user, start())
            .await
            .unwrap();
    }
    drop(system);
    for user in [by_sso, came_in, elsewhere, known] {
        session(&office, &acme, user).await;
    }
    session(&office, &other, known).await;
    for user in [by_sso, came_in, elsewhere, invited, known] {
        remove(&office, &acme, user).await;
    }
    let id = request(&office, &acme).await.id;
    office.set_clock(start() + TimeDelta::days(8));
    office.run("erasure-sweep.v1").await;
    office.quiet().await;
    let done = state(&office, id).await;
    assert_eq!(done.state, ErasureState::Certified, "{:?}", office.jobs("erasure.v1").await);
    // Of the one whose session the other account still has, that account's nights take care.
    assert_eq!(people(&office).await, "elsewhere known-elsewhere");
    let steps = &done.certificate.unwrap()["steps"];
    assert_eq!(steps["rows:user_account"], 4, "{steps}");
    assert_eq!((&steps["rows:session"], &steps["rows:sso_identity"]), (&json!(4), &json!(2)), "{steps}");
    office.end().await;
}
