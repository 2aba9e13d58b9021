//! The rules that every tenant table obeys, read from the live catalogue. A new table that forgets one of them
//! fails here, with the rule's name.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, Bool, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::support::{actor, at, fact, owner, ship};
use crate::migrate::{MIGRATIONS, RuntimeLogin, migrate};
use crate::testing::TestDb;

#[derive(diesel::QueryableByName)]
struct Fault {
    #[diesel(sql_type = Text)]
    fault: String,
}

async fn faults(conn: &mut AsyncPgConnection) -> Vec<String> {
    let rows: Vec<Fault> = diesel::sql_query(include_str!("schema_faults.sql")).load(conn).await.unwrap();
    rows.into_iter().map(|row| row.fault).collect()
}

#[tokio::test]
async fn every_tenant_table_obeys_the_rules() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    ship(db.store(), &[fact(&acme, at(0))]).await;
    assert_eq!(faults(&mut owner(&db).await).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_table_that_forgets_a_rule_is_named() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    ship(db.store(), &[fact(&acme, at(0))]).await;
    let mut conn = owner(&db).await;
    conn.batch_execute(
        "CREATE TABLE careless (id uuid PRIMARY KEY, tenant_id uuid);
         CREATE TABLE leaky (tenant_id uuid REFERENCES tenant (id), id uuid, PRIMARY KEY (tenant_id, id));
         ALTER TABLE leaky ENABLE ROW LEVEL SECURITY;
         ALTER TABLE leaky FORCE ROW LEVEL SECURITY;
         CREATE POLICY all_of_it ON leaky TO costlens_app USING (true);
         CREATE VIEW window_on_requests AS SELECT * FROM request;
         INSERT INTO retention VALUES ('leaky', 1, 'a test'), ('no_such_table', 1, 'a test');
         GRANT SELECT ON request_20251122 TO costlens_app;
         GRANT SELECT ON window_on_requests TO costlens_app;
         GRANT CREATE ON SCHEMA public TO costlens_system;
         CREATE FUNCTION loose() RETURNS void LANGUAGE sql SECURITY DEFINER AS '';",
    )
    .await
    .unwrap();
    let expected = [
        "careless: no foreign key from tenant_id to tenant",
        "careless: no index begins with tenant_id",
        "careless: no retention row",
        "careless: row-level security is not forced",
        "careless: the primary key does not begin with tenant_id",
        "costlens_system: may create in the schema",
        "leaky: the policy all_of_it lets costlens_app see every tenant",
        "loose(): security definer without a fixed search_path, or open to all",
        "no_such_table: a retention row without a table",
        "request_20251122: a partition with grants",
        "window_on_requests: a view that a door may read goes round the policies",
    ];
    assert_eq!(faults(&mut conn).await, expected);
}

#[derive(diesel::QueryableByName)]
struct LiveTable {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Array<Text>)]
    columns: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    key: Vec<String>,
}

/// `schema.rs` as table → (key, columns), each column as it is written there.
fn written_schema() -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let mut tables = BTreeMap::new();
    for block in include_str!("../schema.rs").split("diesel::table! {").skip(1) {
        let mut lines = block.lines().map(str::trim).filter(|line| !line.is_empty());
        let head = lines.next().unwrap();
        let (name, key) = head.trim_end_matches(") {").split_once(" (").unwrap();
        let columns = lines.take_while(|line| *line != "}").map(|line| line.trim_end_matches(',').to_owned());
        let key = key.split(", ").map(str::to_owned).collect();
        tables.insert(name.to_owned(), (key, columns.collect()));
    }
    tables
}

#[tokio::test]
async fn the_written_schema_is_the_live_one() {
    let db = TestDb::new().await;
    let sql = include_str!("live_schema.sql");
    let live: Vec<LiveTable> = diesel::sql_query(sql).load(&mut owner(&db).await).await.unwrap();
    let live: BTreeMap<_, _> =
        live.into_iter().map(|table| (table.name, (table.key, table.columns))).collect();
    let written = written_schema();
    assert!(written.len() >= 8, "schema.rs was not read");
    assert_eq!(written, live);
}

#[tokio::test]
async fn migrating_again_does_nothing() {
    let db = TestDb::new().await;
    let again = migrate(db.owner_url(), &RuntimeLogin::Unchanged, Vec::new()).await.unwrap();
    assert_eq!(again.applied, Vec::<String>::new());
    assert!(again.total >= 7);
}

#[derive(diesel::QueryableByName)]
struct Exists {
    #[diesel(sql_type = Bool)]
    exists: bool,
}

#[tokio::test]
async fn every_migration_can_be_taken_back_and_made_again() {
    use diesel_async::AsyncConnection;
    use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
    use diesel_migrations::MigrationHarness;

    let db = TestDb::new().await;
    let conn = AsyncPgConnection::establish(db.owner_url()).await.unwrap();
    tokio::task::spawn_blocking(move || {
        AsyncConnectionWrapper::<AsyncPgConnection>::from(conn).revert_all_migrations(MIGRATIONS).unwrap();
    })
    .await
    .unwrap();
    let sql = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = 'public' AND c.relname !~ '^__diesel') AS exists";
    let left: Exists = diesel::sql_query(sql).get_result(&mut owner(&db).await).await.unwrap();
    assert!(!left.exists);
    let again = migrate(db.owner_url(), &RuntimeLogin::Unchanged, Vec::new()).await.unwrap();
    assert_eq!(again.applied.len(), again.total);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_databases_of_a_cluster_are_migrated_at_once() {
    let databases = [TestDb::new().await, TestDb::new().await, TestDb::new().await];
    let mut runs = tokio::task::JoinSet::new();
    for url in databases.iter().flat_map(|db| [db.owner_url().to_owned(), db.owner_url().to_owned()]) {
        let login = RuntimeLogin::Password("runtime-of-the-tests".to_owned());
        runs.spawn(async move { migrate(&url, &login, Vec::new()).await });
    }
    for run in runs.join_all().await {
        run.unwrap();
    }
    databases[0].store().check_runtime_role().await.unwrap();
}
