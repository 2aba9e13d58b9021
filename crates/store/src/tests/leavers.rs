//! People who belong to nobody any more go in their time, and nobody who belongs to somebody ever does.

use chrono::{DateTime, Duration, Utc};
use costlens_domain::{Role, TenantId, UserId, UserLinkId};
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::support::{at, owner};
use crate::testing::{TestDb, unlike_bytes};
use crate::{NewUser, SsoName, StoreError, SystemConn, UserLink, UserLinkPurpose, UserMail, UserMailState};

const GOOGLE: &str = "https://accounts.google.com";
const CLERK: &str = "https://clerk.example";
const IDP: &str = "https://idp.example";

fn day(days: i64) -> DateTime<Utc> {
    at(0) + Duration::days(days)
}

/// A person whom somebody vouches for, and a mail to its address that is about nobody.
async fn person(system: &mut SystemConn, name: &str, issuer: &str) -> UserId {
    let id = UserId::new(at(0), unlike_bytes());
    let email = format!("{name}@people.example");
    let new = NewUser {
        id,
        name: name.to_owned(),
        email: email.clone(),
        password_hash: (issuer != CLERK).then(|| "$2b$12$not-a-hash".to_owned()),
        wrapped_key: vec![1],
        created_at: at(0),
    };
    system.create_user(&new).await.unwrap();
    system.link_identity(id, issuer, name, at(0)).await.unwrap();
    system.confirm_totp(id, &[[7; 32]], at(0)).await.unwrap();
    let link = UserLink {
        id: UserLinkId::new(at(0), unlike_bytes()),
        purpose: UserLinkPurpose::Registration,
        email,
        user_id: None,
        created_at: at(0),
        expires_at: at(7_200),
        mail: UserMail { state: UserMailState::Queued, doubts: 0 },
    };
    system.create_user_link(&link).await.unwrap();
    id
}

async fn leave(db: &TestDb, tenant: TenantId, user: UserId) {
    let mut tx = db.store().tenant(tenant).await.unwrap();
    tx.remove_member(user, at(1)).await.unwrap();
    tx.commit().await.unwrap();
}

/// One night, at which whoever has belonged to nobody for thirty days goes.
async fn night(system: &mut SystemConn, days: i64) -> u64 {
    while system.note_memberless(day(days), 1).await.unwrap() > 0 {}
    system.forget_memberless(day(days - 30), Some(CLERK), 10).await.unwrap()
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

async fn count(db: &TestDb, from: &str) -> i64 {
    let sql = format!("SELECT count(*) AS rows FROM {from}");
    diesel::sql_query(sql).get_result::<Count>(&mut owner(db).await).await.unwrap().rows
}

#[derive(diesel::QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

async fn names(db: &TestDb) -> Vec<String> {
    let rows: Vec<Name> = diesel::sql_query("SELECT name FROM user_account ORDER BY name")
        .load(&mut owner(db).await)
        .await
        .unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

#[tokio::test]
async fn who_belongs_to_nobody_for_thirty_days_goes_with_all_that_hangs_on_it() {
    let db = TestDb::new().await;
    let (acme, other) = (db.create_tenant("acme").await, db.create_tenant("other").await);
    let mut system = db.store().system().await.unwrap();
    let mut ids = Vec::new();
    for name in ["back", "left", "never", "shared", "stays"] {
        let id = person(&mut system, name, GOOGLE).await;
        if name != "never" {
            system.join(acme, id, Role::Member, at(0)).await.unwrap();
        }
        ids.push(id);
    }
    let kept = person(&mut system, "kept", CLERK).await;
    let [back, left, _, shared, _] = ids[..] else { panic!("five people") };
    system.join(other, shared, Role::Member, at(0)).await.unwrap();
    system.link_sso_identity(acme, (IDP, "sub-left"), left, at(0)).await.unwrap();
    for user in [back, left, shared] {
        leave(&db, acme, user).await;
    }
    assert_eq!(night(&mut system, 0).await, 0);
    // Whoever belongs to somebody again, and leaves again, begins anew.
    system.join(other, back, Role::Viewer, day(20)).await.unwrap();
    leave(&db, other, back).await;
    for days in [20, 29] {
        assert_eq!(night(&mut system, days).await, 0, "{days}");
    }
    assert_eq!(night(&mut system, 31).await, 2);
    assert_eq!(names(&db).await, ["back", "kept", "shared", "stays"]);
    assert_eq!(night(&mut system, 51).await, 1);
    assert_eq!(names(&db).await, ["kept", "shared", "stays"]);
    assert!(matches!(system.user(left).await, Err(StoreError::NotFound)));
    assert!(system.user(kept).await.is_ok(), "Clerk has it");
    for table in ["user_identity", "recovery_code", "user_link"] {
        assert_eq!(count(&db, table).await, 3, "{table}");
    }
    // Where nobody keeps people any more, nobody is asked.
    assert_eq!(system.forget_memberless(day(30), None, 10).await.unwrap(), 1);
    assert_eq!(names(&db).await, ["shared", "stays"]);
}

#[tokio::test]
async fn mails_to_an_address_stay_while_somebody_else_has_it() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    let mut system = db.store().system().await.unwrap();
    person(&mut system, "left", GOOGLE).await;
    let twin = person(&mut system, "twin", CLERK).await;
    system.join(acme, twin, Role::Member, at(0)).await.unwrap();
    system.describe_user(twin, "twin", "LEFT@people.example").await.unwrap();
    assert_eq!(night(&mut system, 0).await + night(&mut system, 31).await, 1);
    assert_eq!(count(&db, "user_link WHERE email = 'left@people.example'").await, 1);
}

#[tokio::test]
async fn who_joins_in_the_night_in_which_it_would_go_stays() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    let mut system = db.store().system().await.unwrap();
    let ann = person(&mut system, "ann", GOOGLE).await;
    assert_eq!(night(&mut system, 0).await, 0);
    // Not yet committed: it is not waited for, and its person is left alone.
    let mut joining = db.store().system().await.unwrap().begin().await.unwrap();
    joining.system().unwrap().join(acme, ann, Role::Member, day(31)).await.unwrap();
    assert_eq!(night(&mut system, 31).await, 0);
    joining.commit().await.unwrap();
    assert_eq!(night(&mut system, 32).await, 0);
    assert_eq!(count(&db, "user_account WHERE memberless_since IS NULL").await, 1);
    // The other way round: whoever comes while it goes finds nobody.
    leave(&db, acme, ann).await;
    night(&mut system, 32).await;
    let mut going = db.store().system().await.unwrap().begin().await.unwrap();
    assert_eq!(going.system().unwrap().forget_memberless(day(33), None, 10).await.unwrap(), 1);
    let store = db.store().clone();
    let late =
        tokio::spawn(
            async move { store.system().await.unwrap().join(acme, ann, Role::Member, day(63)).await },
        );
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!late.is_finished(), "it did not wait");
    going.commit().await.unwrap();
    assert_eq!(late.await.unwrap().unwrap_err().constraint(), Some("member_user_id_fkey"));
    assert_eq!(count(&db, "member").await, 0);
}

#[tokio::test]
async fn a_forgotten_persons_name_at_a_provider_is_known_as_that_and_nothing_tells_it() {
    let db = TestDb::new().await;
    let (acme, other) = (db.create_tenant("acme").await, db.create_tenant("other").await);
    let mut system = db.store().system().await.unwrap();
    let ann = person(&mut system, "ann", GOOGLE).await;
    for tenant in [acme, other] {
        system.link_sso_identity(tenant, (IDP, "sub-ann"), ann, at(0)).await.unwrap();
    }
    assert_eq!(system.lock_sso_identity(acme, IDP, "sub-ann").await.unwrap(), SsoName::Of(ann));
    assert_eq!(system.lock_sso_identity(acme, IDP, "sub-bob").await.unwrap(), SsoName::New);
    night(&mut system, 0).await;
    assert_eq!(night(&mut system, 31).await, 1);
    assert_eq!(count(&db, "sso_identity WHERE subject LIKE '%ann%' OR user_id IS NOT NULL").await, 0);
    for tenant in [acme, other] {
        assert_eq!(system.lock_sso_identity(tenant, IDP, "sub-ann").await.unwrap(), SsoName::Forgotten);
    }
    assert_eq!(
        system.lock_sso_identity(acme, "https://another.example", "sub-ann").await.unwrap(),
        SsoName::New
    );
    let again = person(&mut system, "again", GOOGLE).await;
    system.link_sso_identity(acme, (IDP, "sub-ann"), again, at(0)).await.unwrap();
    assert_eq!(system.lock_sso_identity(acme, IDP, "sub-ann").await.unwrap(), SsoName::Of(again));
    assert_eq!(count(&db, "sso_identity").await, 2);
}
