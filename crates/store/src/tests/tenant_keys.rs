//! Data keys: who sees them, who may add and destroy them, and what of the sealed columns keeps them.

use std::time::Duration;

use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::{
    ConnectionId, InvoiceSourceId, Role, SlackChannelId, SsoProviderId, TenantId, WebhookEndpointId,
};
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::support::{at, owner};
use crate::testing::{TestDb, unlike_bytes};
use crate::{
    DataKey, Destroy, KeyChange, NewConnection, NewInvoiceSource, SEALED_COLUMNS, SUBJECT_SEALED_COLUMNS,
    SealedText, SsoProvider, Store, StoreError, TenantConn, WebhookEndpoint,
};

async fn add(store: &Store, tenant: TenantId, version: u32, wrapped: &[u8]) -> bool {
    let mut conn = store.tenant(tenant).await.unwrap();
    let added = conn.add_data_key(version, wrapped, at(i64::from(version))).await.unwrap();
    conn.commit().await.unwrap();
    added
}

async fn destroy(store: &Store, tenant: TenantId, which: Destroy) -> usize {
    let mut conn = store.tenant(tenant).await.unwrap();
    let destroyed = conn.destroy_data_keys(which).await.unwrap();
    conn.commit().await.unwrap();
    destroyed
}

/// A connection whose sealed text begins with this.
async fn connect(conn: &mut TenantConn, sealed: &[u8]) -> ConnectionId {
    let id = ConnectionId::new(at(0), unlike_bytes());
    let new = NewConnection {
        id,
        provider: "openai".to_owned(),
        name: id.to_string(),
        base_url: None,
        sealed_secret: Some(sealed.to_vec()),
        models: Vec::new(),
        created_at: at(0),
    };
    conn.create_connection(&new).await.unwrap();
    id
}

fn versions(keys: &[DataKey]) -> Vec<u32> {
    keys.iter().map(|key| key.version).collect()
}

/// A text of the second format under this version.
fn text(version: u32) -> Vec<u8> {
    [&crate::sealed::header(version)[..], b"nonce and ciphertext"].concat()
}

#[tokio::test]
async fn seals_are_added_up_for_each_key_whoever_counts_and_in_whatever_order() {
    let db = TestDb::new().await;
    let (acme, globex) = (db.create_tenant("acme").await, db.create_tenant("globex").await);
    for (tenant, version) in [(acme, 1), (acme, 2), (globex, 1)] {
        add(db.store(), tenant, version, b"x").await;
    }
    let counting: Vec<_> = (0..8)
        .map(|turn| {
            let store = db.store().clone();
            let mut counts = vec![(acme, 1, 3), (globex, 1, 5), (acme, 2, 7), (acme, 9, 1)];
            counts.rotate_left(turn % 4);
            tokio::spawn(async move {
                for _ in 0..10 {
                    store.system().await.unwrap().count_seals(&counts).await.unwrap();
                }
            })
        })
        .collect();
    for task in counting {
        task.await.unwrap();
    }
    let ages = db.store().system().await.unwrap().key_ages(b"x", None, 10).await.unwrap();
    let seals = |tenant| ages.iter().find(|age| age.tenant_id == tenant).unwrap().seals;
    assert_eq!((seals(acme), seals(globex)), (8 * 10 * 7, 8 * 10 * 5), "of the newest key");
}

#[tokio::test]
async fn a_key_of_the_installation_is_the_first_writers_and_is_replaced_if_it_is_still_there() {
    let db = TestDb::new().await;
    let mut system = db.store().system().await.unwrap();
    assert_eq!(system.service_key("tags").await.unwrap(), None);
    system.add_service_key("tags", b"first", at(0)).await.unwrap();
    system.add_service_key("tags", b"second", at(1)).await.unwrap();
    assert_eq!(system.service_key("tags").await.unwrap().as_deref(), Some(&b"first"[..]));
    system.replace_service_key("tags", b"second", b"third").await.unwrap();
    assert_eq!(system.service_key("tags").await.unwrap().as_deref(), Some(&b"first"[..]));
    system.replace_service_key("tags", b"first", b"third").await.unwrap();
    assert_eq!(system.service_key("tags").await.unwrap().as_deref(), Some(&b"third"[..]));
    // No door of a tenant leads there.
    let acme = db.create_tenant("acme").await;
    let mut conn = db.store().tenant(acme).await.unwrap();
    let read = diesel::sql_query("SELECT FROM service_key").execute(conn.transaction().unwrap()).await;
    assert!(read.is_err(), "a tenant's door reads the installation's keys");
}

#[tokio::test]
async fn a_tenants_data_keys_are_its_own_and_the_first_writer_of_a_version_wins() {
    let db = TestDb::new().await;
    let (acme, globex) = (db.create_tenant("acme").await, db.create_tenant("globex").await);
    assert!(add(db.store(), acme, 1, b"first").await);
    assert!(!add(db.store(), acme, 1, b"second").await);
    assert!(add(db.store(), acme, 2, b"two").await);
    assert!(add(db.store(), globex, 1, b"theirs").await);

    let mut conn = db.store().tenant(acme).await.unwrap();
    let keys = conn.data_keys().await.unwrap();
    assert_eq!(
        keys.iter().map(|key| (key.version, &key.wrapped[..])).collect::<Vec<_>>(),
        [(1, &b"first"[..]), (2, &b"two"[..])]
    );
    assert!(!format!("{keys:?}").contains("wrapped"));
    assert!(!conn.replace_wrapped(1, b"second", b"anew").await.unwrap());
    assert!(conn.replace_wrapped(1, b"first", b"anew").await.unwrap());
    conn.commit().await.unwrap();

    assert_eq!(destroy(db.store(), acme, Destroy::All).await, 2);
    assert_eq!(destroy(db.store(), acme, Destroy::All).await, 0);
    let mut system = db.store().system().await.unwrap();
    assert_eq!(system.data_keys_of(acme).await.unwrap(), []);
    let theirs = system.data_keys_of(globex).await.unwrap();
    assert_eq!((versions(&theirs), &theirs[0].wrapped[..]), (vec![1], &b"theirs"[..]));
}

#[tokio::test]
async fn a_version_that_is_no_version_is_refused() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    let mut conn = db.store().tenant(acme).await.unwrap();
    assert!(matches!(conn.add_data_key(0, b"key", at(0)).await, Err(StoreError::Conflict { .. })));
    let mut conn = db.store().tenant(acme).await.unwrap();
    assert!(matches!(conn.add_data_key(u32::MAX, b"key", at(0)).await, Err(StoreError::Bug(_))));
}

#[tokio::test]
async fn every_change_of_a_data_key_is_told_to_the_proxies() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    let mut changes = db.store().key_changes().await.unwrap();
    let expected = KeyChange { tenant_id: acme, api_key_id: None };
    for turn in 0..3 {
        let mut conn = db.store().tenant(acme).await.unwrap();
        match turn {
            0 => assert!(conn.add_data_key(1, b"key", at(0)).await.unwrap()),
            1 => assert!(conn.replace_wrapped(1, b"key", b"anew").await.unwrap()),
            _ => assert_eq!(conn.destroy_data_keys(Destroy::All).await.unwrap(), 1),
        }
        conn.commit().await.unwrap();
        let told = tokio::time::timeout(Duration::from_mins(1), changes.next()).await.unwrap().unwrap();
        assert_eq!(told, expected, "turn {turn}");
    }
}

#[tokio::test]
async fn texts_of_older_versions_and_of_the_first_format_are_found_in_pages() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    let [column, ..] = SEALED_COLUMNS else { panic!("no column is sealed") };
    let mut conn = db.store().tenant(acme).await.unwrap();
    let mut older = Vec::new();
    for sealed in [vec![1, 0xff, 0xff, 0xff, 0xff, 0xff], text(1), text(255), text(256)] {
        older.push(connect(&mut conn, &sealed).await.uuid());
    }
    for version in [257, 258, 65_536, 1 << 24] {
        connect(&mut conn, &text(version)).await;
    }
    let mut found = Vec::new();
    loop {
        let page = conn.sealed_before(column, 257, found.last().copied(), 3).await.unwrap();
        found.extend(page.iter().map(|text| text.row));
        if page.len() < 3 {
            break;
        }
    }
    assert_eq!(found, older);
    assert!(conn.is_sealed_before(2).await.unwrap());
    conn.commit().await.unwrap();

    let other = db.create_tenant("other").await;
    let mut conn = db.store().tenant(other).await.unwrap();
    assert_eq!(conn.sealed_before(column, 257, None, 9).await.unwrap(), []);
    let stolen = SealedText { row: older[1], sealed: text(1) };
    assert!(!conn.replace_sealed(column, &stolen, b"mine").await.unwrap());
}

#[tokio::test]
async fn a_text_is_replaced_only_while_it_stands() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    let [column, ..] = SEALED_COLUMNS else { panic!("no column is sealed") };
    let mut conn = db.store().tenant(acme).await.unwrap();
    let id = connect(&mut conn, &text(1)).await;
    let old = SealedText { row: id.uuid(), sealed: text(1) };
    assert!(conn.replace_sealed(column, &old, &text(2)).await.unwrap());
    assert!(!conn.replace_sealed(column, &old, &text(3)).await.unwrap());
    assert_eq!(conn.connection(id).await.unwrap().sealed_secret, Some(text(2)));
}

#[tokio::test]
async fn a_key_that_a_text_needs_is_not_destroyed_as_unused() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    for version in 1..=3 {
        add(db.store(), acme, version, b"key").await;
    }
    let mut conn = db.store().tenant(acme).await.unwrap();
    let id = connect(&mut conn, &text(2)).await;
    conn.commit().await.unwrap();
    assert_eq!(destroy(db.store(), acme, Destroy::UnusedBelow(3)).await, 0);
    assert_eq!(destroy(db.store(), acme, Destroy::UnusedBelow(2)).await, 1);
    let mut conn = db.store().tenant(acme).await.unwrap();
    conn.replace_connection_secret(id, &text(3)).await.unwrap();
    conn.commit().await.unwrap();
    assert_eq!(destroy(db.store(), acme, Destroy::UnusedBelow(3)).await, 1);
    let mut conn = db.store().tenant(acme).await.unwrap();
    assert_eq!(versions(&conn.data_keys().await.unwrap()), [3]);
}

#[tokio::test]
async fn a_key_waits_for_the_transaction_that_seals_under_it() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    add(db.store(), acme, 1, b"key").await;
    let mut sealing = db.store().tenant(acme).await.unwrap();
    sealing.data_keys().await.unwrap();
    add(db.store(), acme, 2, b"key").await;
    let store = db.store().clone();
    let destroying = tokio::spawn(async move { destroy(&store, acme, Destroy::UnusedBelow(2)).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!destroying.is_finished(), "it did not wait");
    connect(&mut sealing, &text(1)).await;
    sealing.commit().await.unwrap();
    assert_eq!(destroying.await.unwrap(), 0);
}

#[tokio::test]
async fn the_ages_of_all_tenants_keys_come_in_pages() {
    let db = TestDb::new().await;
    let mut tenants = Vec::new();
    for name in ["none", "one", "two", "older master", "the first format alone", "between"] {
        tenants.push(db.create_tenant(name).await);
    }
    add(db.store(), tenants[1], 1, b"\x01NOW:key").await;
    add(db.store(), tenants[2], 1, b"\x01NOW:key").await;
    add(db.store(), tenants[2], 2, b"\x01NOW:key").await;
    add(db.store(), tenants[3], 1, b"\x01OLD:key").await;
    add(db.store(), tenants[5], 300, b"\x01NOW:key").await;
    for (tenant, sealed) in [(1, text(1)), (2, text(2)), (4, vec![1; 40]), (5, text(300)), (5, text(299))] {
        let mut conn = db.store().tenant(tenants[tenant]).await.unwrap();
        connect(&mut conn, &sealed).await;
        conn.commit().await.unwrap();
    }
    let mut system = db.store().system().await.unwrap();
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|age: &crate::KeyAge| age.tenant_id);
        let page = system.key_ages(b"\x01NOW:", after, 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let told: Vec<_> = found
        .iter()
        .map(|age| (age.newest, age.created_at, age.has_older, age.all_current, age.has_older_texts))
        .collect();
    assert_eq!(
        told,
        [
            (None, None, false, true, false),
            (Some(1), Some(at(1)), false, true, false),
            (Some(2), Some(at(2)), true, true, false),
            (Some(1), Some(at(1)), false, false, false),
            (None, None, false, true, true),
            (Some(300), Some(at(300)), false, true, true),
        ]
    );
}

#[derive(diesel::QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
}

async fn sealed_columns(conn: &mut AsyncPgConnection) -> Vec<String> {
    let sql = "SELECT c.relname || '.' || a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
               WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
                 AND a.attname LIKE 'sealed%' AND a.atttypid = 'bytea'::regtype ORDER BY name";
    let rows: Vec<Column> = diesel::sql_query(sql).load(conn).await.unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

#[tokio::test]
async fn every_sealed_column_of_the_schema_is_in_the_list() {
    let db = TestDb::new().await;
    let mut conn = owner(&db).await;
    let all = SEALED_COLUMNS.iter().chain(SUBJECT_SEALED_COLUMNS);
    let mut listed: Vec<_> = all.map(|sealed| format!("{}.{}", sealed.table, sealed.column)).collect();
    listed.sort();
    assert_eq!(sealed_columns(&mut conn).await, listed);
    conn.batch_execute("ALTER TABLE bill ADD sealed_note bytea").await.unwrap();
    assert_ne!(sealed_columns(&mut conn).await, listed, "a forgotten column would not be noticed");
    // And each can be read and replaced by the role that rotates.
    let acme = db.create_tenant("acme").await;
    let mut conn = db.store().tenant(acme).await.unwrap();
    for column in SEALED_COLUMNS {
        assert_eq!(conn.sealed_before(column, 1, None, 1).await.unwrap(), []);
        let nobody = SealedText { row: acme.uuid(), sealed: text(1) };
        assert!(!conn.replace_sealed(column, &nobody, &text(2)).await.unwrap());
    }
}

#[tokio::test]
async fn every_sealed_column_is_read_and_replaced_like_the_first() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    let mut conn = db.store().tenant(acme).await.unwrap();
    connect(&mut conn, &text(1)).await;
    let slack = SlackChannelId::new(at(0), unlike_bytes());
    conn.create_slack_channel(slack, "ops", &text(1), (true, true), at(0)).await.unwrap();
    let endpoint = WebhookEndpoint {
        id: WebhookEndpointId::new(at(0), unlike_bytes()),
        name: "ops".to_owned(),
        host: "hooks.example.com".to_owned(),
        sealed_url: text(1),
        sealed_secret: text(1),
        kinds: Vec::new(),
        created_at: at(0),
        failing_since: None,
        stopped_at: None,
        stop_reason: None,
    };
    conn.create_webhook_endpoint(&endpoint).await.unwrap();
    let provider = SsoProvider {
        tenant_id: acme,
        id: SsoProviderId::new(at(0), unlike_bytes()),
        issuer: "https://idp.example".to_owned(),
        client_id: "client".to_owned(),
        sealed_secret: text(1),
        default_role: Role::Viewer,
        required: false,
        created_at: at(0),
        changed_at: at(0),
    };
    conn.create_sso_provider(&provider).await.unwrap();
    let source = NewInvoiceSource {
        id: InvoiceSourceId::new(at(0), unlike_bytes()),
        vendor: InvoiceVendor::OpenAi,
        name: "all of it".to_owned(),
        sealed_key: text(1),
        key_hint: "abcd".to_owned(),
        created_at: at(0),
    };
    conn.create_invoice_source(&source).await.unwrap();
    for column in SEALED_COLUMNS {
        assert!(conn.is_sealed_before(2).await.unwrap());
        let found = conn.sealed_before(column, 2, None, 9).await.unwrap();
        assert_eq!(found.len(), 1, "{column:?}");
        assert!(conn.replace_sealed(column, &found[0], &text(2)).await.unwrap());
    }
    assert!(!conn.is_sealed_before(2).await.unwrap());
}
