//! What each door shows, refuses and survives.

use std::time::{Duration, Instant};

use costlens_domain::ConnectionId;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::support::{actor, at, fact, owner, ship};
use crate::private::{PrivatePg, PrivatePgConfig};
use crate::roles::{Door, door_url};
use crate::testing::{TestDb, patient, unlike_bytes};
use crate::{
    FoundKey, IdempotencyKey, Idempotent, KeyChange, NewConnection, RequestFilter, RoleFault, RuntimeLogin,
    SpendFilter, Store, StoreConfig, StoreError, StoredAnswer, Tenant, migrate,
};

async fn door(db: &TestDb, door: Door) -> AsyncPgConnection {
    AsyncPgConnection::establish(&door_url(db.runtime_url(), door).unwrap()).await.unwrap()
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

async fn count(conn: &mut AsyncPgConnection, table: &str) -> i64 {
    let sql = format!("SELECT count(*) AS count FROM {table}");
    diesel::sql_query(sql).get_result::<Count>(conn).await.unwrap().count
}

async fn refusal(conn: &mut AsyncPgConnection, sql: &str) -> String {
    conn.batch_execute(sql).await.unwrap_err().to_string()
}

fn connection_named(name: &str) -> NewConnection {
    NewConnection {
        id: ConnectionId::new(at(0), unlike_bytes()),
        provider: "openai".to_owned(),
        name: name.to_owned(),
        base_url: None,
        sealed_secret: Some(vec![1, 2, 3]),
        models: vec!["a".to_owned(), "b".to_owned()],
        created_at: at(0),
    }
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another() {
    let db = TestDb::new().await;
    let (acme, globex) = (actor(&db, "acme").await, actor(&db, "globex").await);
    let secret = fact(&globex, at(0));
    ship(db.store(), std::slice::from_ref(&secret)).await;
    let mut theirs = db.store().tenant(globex.tenant).await.unwrap();
    let connection = theirs.create_connection(&connection_named("main")).await.unwrap();
    theirs.commit().await.unwrap();

    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert!(matches!(conn.key(globex.key.id).await, Err(StoreError::NotFound)));
    assert!(matches!(conn.connection(connection.id).await, Err(StoreError::NotFound)));
    assert!(matches!(conn.request(secret.id).await, Err(StoreError::NotFound)));
    assert!(matches!(conn.revoke_key(globex.key.id, at(1)).await, Err(StoreError::NotFound)));
    assert!(matches!(conn.disable_connection(connection.id, at(1)).await, Err(StoreError::NotFound)));
    assert!(matches!(conn.replace_connection_secret(connection.id, &[9]).await, Err(StoreError::NotFound)));
    assert_eq!(conn.list_keys(None, 50).await.unwrap(), [acme.key]);
    assert_eq!(conn.list_connections(None, 50).await.unwrap(), []);
    assert_eq!(conn.list_requests(&RequestFilter::default(), None, 50).await.unwrap().items, []);
    let all = SpendFilter { from: at(-9_000), to: at(9_000), api_key_id: None, provider: None, model: None };
    assert_eq!(conn.spend_totals(&all).await.unwrap().requests, 0);
    assert_eq!(conn.tenant().await.unwrap().name, "acme");
    conn.commit().await.unwrap();

    let mut conn = db.store().tenant(globex.tenant).await.unwrap();
    assert_eq!(conn.key(globex.key.id).await.unwrap().revoked_at, None);
    assert_eq!(conn.connection(connection.id).await.unwrap(), connection);
    assert_eq!(conn.request(secret.id).await.unwrap(), secret);
}

#[tokio::test]
async fn without_a_tenant_the_application_sees_no_row() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    ship(db.store(), &[fact(&acme, at(0))]).await;
    let mut conn = door(&db, Door::Tenant).await;
    let tables = ["tenant", "api_key", "connection", "request", "spend_hourly", "idempotency_key"];
    for table in tables {
        assert_eq!(count(&mut conn, table).await, 0, "{table}");
    }
    // After a SET LOCAL the session holds an empty text, not NULL.
    let set = format!("BEGIN; SET LOCAL costlens.tenant = '{}'; COMMIT", acme.tenant.uuid());
    conn.batch_execute(&set).await.unwrap();
    for table in tables {
        assert_eq!(count(&mut conn, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_door_cannot_be_left_or_widened() {
    let db = TestDb::new().await;
    let (acme, globex) = (actor(&db, "acme").await, actor(&db, "globex").await);
    ship(db.store(), &[fact(&acme, at(0))]).await;
    let mut app = door(&db, Door::Tenant).await;
    app.batch_execute("RESET ROLE").await.unwrap();
    let role: Role =
        diesel::sql_query("SELECT current_user::text AS role").get_result(&mut app).await.unwrap();
    assert_eq!(role.role, "costlens_app");
    assert!(refusal(&mut app, "SELECT * FROM request_20251122").await.contains("permission denied"));
    assert!(refusal(&mut app, "SELECT * FROM session").await.contains("permission denied"));
    assert!(
        refusal(&mut app, "INSERT INTO request SELECT * FROM request").await.contains("permission denied")
    );
    assert!(
        refusal(&mut app, "SELECT ensure_request_partition('2025-01-01')")
            .await
            .contains("permission denied")
    );
    assert!(refusal(&mut app, "CREATE TABLE mine (id int)").await.contains("permission denied"));
    assert!(
        refusal(&mut app, "ALTER TABLE request DISABLE ROW LEVEL SECURITY").await.contains("must be owner")
    );
    assert!(refusal(&mut app, "DELETE FROM api_key").await.contains("permission denied"));
    let smuggle = format!(
        "BEGIN; SET LOCAL costlens.tenant = '{}'; INSERT INTO connection VALUES \
         ('{}', gen_random_uuid(), 'p', 'n', NULL, NULL, '{{}}', now(), NULL)",
        acme.tenant.uuid(),
        globex.tenant.uuid()
    );
    assert!(refusal(&mut app, &smuggle).await.contains("row-level security"));

    let mut writer = door(&db, Door::Writer).await;
    assert!(refusal(&mut writer, "SELECT cost FROM request").await.contains("permission denied"));
    assert!(refusal(&mut writer, "DELETE FROM request").await.contains("permission denied"));
    assert!(refusal(&mut writer, "UPDATE request SET cost = 0").await.contains("permission denied"));
    assert!(refusal(&mut writer, "SELECT hash FROM api_key").await.contains("permission denied"));
    assert!(
        refusal(&mut writer, "SELECT ensure_request_partition('1999-01-01')").await.contains("2020 to 2099")
    );

    let mut system = door(&db, Door::System).await;
    assert!(refusal(&mut system, "SELECT id FROM request").await.contains("permission denied"));
    assert!(refusal(&mut system, "SELECT * FROM spend_hourly").await.contains("permission denied"));
    assert!(refusal(&mut system, "UPDATE api_key SET revoked_at = NULL").await.contains("permission denied"));

    let mut none = door(&db, Door::Tenant).await;
    none.batch_execute("SET ROLE NONE").await.unwrap();
    assert!(refusal(&mut none, "SELECT * FROM api_key").await.contains("permission denied"));
}

#[derive(diesel::QueryableByName)]
struct Role {
    #[diesel(sql_type = Text)]
    role: String,
}

#[tokio::test]
async fn a_role_that_could_lift_the_policies_is_refused() {
    let db = TestDb::new().await;
    db.store().check_runtime_role().await.unwrap();
    let as_owner = Store::connect(&patient(db.owner_url())).unwrap();
    let refused = as_owner.check_runtime_role().await.unwrap_err();
    assert!(matches!(refused, StoreError::Role(RoleFault::Superuser(_))), "{refused:?}");

    // Roles belong to the cluster, which other tests use: these are of this test alone.
    let mut conn = owner(&db).await;
    let make = |name: &str, with: &str| {
        format!(
            "DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN NOINHERIT {with} PASSWORD 'x';
             GRANT costlens_app, costlens_writer, costlens_system TO {name};"
        )
    };
    let name = format!("roles_{}", std::process::id());
    let sneaky = format!("{name}_bypass");
    conn.batch_execute(&make(&sneaky, "BYPASSRLS")).await.unwrap();
    let owning = format!("{name}_owner");
    conn.batch_execute(&make(&owning, "")).await.unwrap();
    conn.batch_execute(&format!("CREATE TABLE theirs (id int); ALTER TABLE theirs OWNER TO {owning}"))
        .await
        .unwrap();
    let store_as = |role: &str| {
        let mut url = url::Url::parse(db.runtime_url()).unwrap();
        url.set_username(role).unwrap();
        url.set_password(Some("x")).unwrap();
        Store::connect(&patient(url.as_str())).unwrap()
    };
    let refused = store_as(&sneaky).check_runtime_role().await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Role(RoleFault::BypassesRowSecurity(role)) if *role == sneaky),
        "{refused:?}"
    );
    let refused = store_as(&owning).check_runtime_role().await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Role(RoleFault::OwnsTables(role)) if *role == owning),
        "{refused:?}"
    );
    conn.batch_execute(&format!("DROP TABLE theirs; DROP ROLE {sneaky}; DROP ROLE {owning}")).await.unwrap();
}

#[tokio::test]
async fn what_is_not_committed_is_gone_and_its_connection_is_not() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let config = StoreConfig { connections_per_door: 1, ..patient(db.runtime_url()) };
    let store = Store::connect(&config).unwrap();
    let mut backends = std::collections::BTreeSet::new();
    for n in 0..5 {
        let mut conn = store.tenant(acme.tenant).await.unwrap();
        conn.create_connection(&connection_named(&format!("c{n}"))).await.unwrap();
        let backend: Count = diesel::sql_query("SELECT pg_backend_pid()::bigint AS count")
            .get_result(conn.conn().unwrap())
            .await
            .unwrap();
        backends.insert(backend.count);
    }
    let mut conn = store.tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.list_connections(None, 50).await.unwrap(), []);
    assert_eq!(backends.len(), 1);
}

#[tokio::test]
async fn a_revoked_key_stays_known_and_every_listener_hears_of_it() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut changes = db.store().key_changes().await.unwrap();
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let revoked = conn.revoke_key(acme.key.id, at(3)).await.unwrap();
    assert_eq!(conn.revoke_key(acme.key.id, at(4)).await.unwrap().revoked_at, Some(at(3)));
    conn.create_connection(&connection_named("main")).await.unwrap();
    conn.commit().await.unwrap();
    let next = async || tokio::time::timeout(Duration::from_mins(1), changes.next()).await.unwrap().unwrap();
    let mut next = next;
    assert_eq!(next().await, KeyChange { tenant_id: acme.tenant, api_key_id: Some(acme.key.id) });
    assert_eq!(next().await, KeyChange { tenant_id: acme.tenant, api_key_id: None });
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(b"acme");
    let mut system = db.store().system().await.unwrap();
    let found = FoundKey { key: revoked, valid_until: None, closing: false };
    assert_eq!(system.key_by_hash(&hash).await.unwrap(), Some(found));
    assert_eq!(system.key_by_hash(&[0xff; 32]).await.unwrap(), None);
}

#[tokio::test]
async fn the_last_use_of_a_key_never_goes_back() {
    let db = TestDb::new().await;
    let (acme, globex) = (actor(&db, "acme").await, actor(&db, "globex").await);
    let mut system = db.store().system().await.unwrap();
    let stranger = (globex.tenant, acme.key.id, at(99));
    system
        .touch_keys(&[(acme.tenant, acme.key.id, at(7)), (acme.tenant, acme.key.id, at(5)), stranger])
        .await
        .unwrap();
    system.touch_keys(&[(acme.tenant, acme.key.id, at(6))]).await.unwrap();
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.key(acme.key.id).await.unwrap().last_used_at, Some(at(7)));
}

#[tokio::test]
async fn the_name_of_an_enabled_connection_is_taken() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let first = conn.create_connection(&connection_named("main")).await.unwrap();
    conn.commit().await.unwrap();
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let taken = conn.create_connection(&connection_named("main")).await.unwrap_err();
    assert_eq!(taken.constraint(), Some("connection_name"));
    drop(conn);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.disable_connection(first.id, at(1)).await.unwrap();
    let second = conn.create_connection(&connection_named("main")).await.unwrap();
    let second = conn.replace_connection_secret(second.id, &[4, 5]).await.unwrap();
    conn.commit().await.unwrap();
    assert_eq!(second.sealed_secret, Some(vec![4, 5]));
    assert_eq!(db.store().system().await.unwrap().connections_of(acme.tenant).await.unwrap(), [second]);
}

#[tokio::test]
async fn a_connection_that_is_disabled_has_no_secret_any_more() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let made = conn.create_connection(&connection_named("main")).await.unwrap();
    let disabled = conn.disable_connection(made.id, at(1)).await.unwrap();
    assert_eq!((disabled.sealed_secret, disabled.disabled_at), (None, Some(at(1))));
    // Nor does it get another, by whatever way.
    let another = conn.replace_connection_secret(made.id, &[9]).await;
    assert!(matches!(another, Err(StoreError::NotFound)), "{another:?}");
    conn.commit().await.unwrap();
    let refused = refusal(&mut owner(&db).await, "UPDATE connection SET sealed_secret = '\\x09'").await;
    assert!(refused.contains("connection_disabled_secret"), "{refused}");
    // One without a secret can be disabled, too.
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let without = NewConnection { sealed_secret: None, ..connection_named("open") };
    let without = conn.create_connection(&without).await.unwrap();
    assert_eq!(conn.disable_connection(without.id, at(2)).await.unwrap().sealed_secret, None);
}

#[tokio::test]
async fn an_idempotency_key_gives_the_same_answer_to_the_same_body() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let key = IdempotencyKey { operation: "create_key".to_owned(), key: "k".to_owned(), body_hash: [1; 32] };
    let answer = StoredAnswer { status: 201, body: "{\"id\":1}".to_owned() };
    let of = |body: [u8; 32]| move |kept: &[u8]| kept == body;
    let mut first = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(first.begin_idempotent(&key, at(0), of([1; 32])).await.unwrap(), Idempotent::New);
    let second = tokio::spawn({
        let (store, key) = (db.store().clone(), key.clone());
        async move {
            let mut conn = store.tenant(acme.tenant).await.unwrap();
            conn.begin_idempotent(&key, at(0), of([1; 32])).await.unwrap()
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!second.is_finished(), "the second caller waits for the first");
    first.finish_idempotent(&key, &answer).await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), Idempotent::Replay(answer));
    let other_body = IdempotencyKey { body_hash: [2; 32], ..key.clone() };
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.begin_idempotent(&other_body, at(0), of([2; 32])).await.unwrap(), Idempotent::Mismatch);
    // Under the key of before, the hash of the same body was another.
    let found = conn.begin_idempotent(&other_body, at(0), of([1; 32])).await.unwrap();
    assert!(matches!(found, Idempotent::Replay(_)), "{found:?}");
    drop(conn);
    let mut system = db.store().system().await.unwrap();
    assert_eq!(system.purge("idempotency_key", at(0), 10).await.unwrap(), Some(0));
    assert_eq!(system.purge("idempotency_key", at(1), 10).await.unwrap(), Some(1));
}

#[tokio::test]
async fn an_outage_answers_quickly_and_ends_by_itself() {
    let dir = tempfile::Builder::new().prefix("costlens-test-").tempdir_in("/tmp").unwrap();
    let config = PrivatePgConfig { durable: false, ..PrivatePgConfig::new(dir.path().join("pg")) };
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let pg = PrivatePg::start(config.clone()).await.unwrap();
    let login = RuntimeLogin::Password(pg.runtime_password().to_owned());
    migrate(&pg.url(), &login, Vec::new()).await.unwrap();
    let store = Store::connect(&patient(&pg.runtime_url().unwrap())).unwrap();
    let tenant = Tenant::new(costlens_domain::TenantId::new(at(0), [1; 10]), "acme", at(0));
    store.system().await.unwrap().create_tenant(&tenant).await.unwrap();
    let mut open = store.tenant(tenant.id).await.unwrap();
    let mut changes = store.key_changes().await.unwrap();
    pg.stop().await;

    let begun = Instant::now();
    assert!(open.tenant().await.unwrap_err().is_unavailable());
    assert!(store.ping().await.unwrap_err().is_unavailable());
    assert!(store.tenant(tenant.id).await.unwrap_err().is_unavailable());
    assert!(store.writer().await.unwrap_err().is_unavailable());
    assert!(changes.next().await.unwrap_err().is_unavailable());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());

    let pg = PrivatePg::start(config).await.unwrap();
    assert_eq!(store.tenant(tenant.id).await.unwrap().tenant().await.unwrap(), tenant);
    store.key_changes().await.unwrap();
    pg.stop().await;
}
