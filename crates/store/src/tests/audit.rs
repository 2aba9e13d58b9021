//! The audit's chain in the database: gapless, whoever writes; fixed, whoever asks; and what was before it, chained.

use chrono::Duration;
use costlens_domain::audit::chain::{Hash, Place};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::{AuditEventId, ErasureId, TenantId};
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use serde_json::json;

use super::support::{actor, at, owner};
use crate::testing::{TestDb, patient, unlike_bytes};
use crate::{ChainedEvent, NewAuditEvent, RuntimeLogin, Store, migrate};

pub(super) fn event(action: Action, second: i64) -> NewAuditEvent {
    NewAuditEvent {
        id: AuditEventId::new(at(second), unlike_bytes()),
        at: at(second),
        actor: Actor::CommandLine,
        action,
        target: Some("a thing".to_owned()),
        change: json!({ "b": 1, "a": { "name": "x" } }),
        request_id: None,
        address: Some([192, 0, 2, 1].into()),
    }
}

async fn write(store: &Store, tenant: TenantId, events: &[NewAuditEvent]) {
    let mut tx = store.tenant(tenant).await.unwrap();
    for event in events {
        tx.audit(event).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// The whole chain, whose numbers and links are looked at; the hashes themselves are verified by those who have one.
async fn chain(store: &Store, tenant: TenantId) -> Vec<ChainedEvent> {
    let mut tx = store.tenant(tenant).await.unwrap();
    let head = tx.audit_head().await.unwrap();
    let events = tx.audit_chain(0, 100_000).await.unwrap();
    let mut last = head.pruned;
    for event in &events {
        assert_eq!((event.seq, event.prev), (last.seq + 1, last.hash));
        last = Place { seq: event.seq, hash: event.hash };
    }
    assert_eq!(last, head.head);
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_32_writers_at_once_each_finds_its_place_and_none_leaves_a_gap() {
    let db = TestDb::new().await;
    let (acme, other) = (db.create_tenant("acme").await, db.create_tenant("other").await);
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..32_i64 {
        let store = db.store().clone();
        writers.spawn(async move {
            for round in 0..4 {
                let tenant = if n % 8 == 7 { other } else { acme };
                let two = [event(Action::KeyCreated, n * 10 + round), event(Action::KeyRevoked, n)];
                // One in four is given up: it leaves nothing behind.
                let mut tx = store.tenant(tenant).await.unwrap();
                for event in &two {
                    tx.audit(event).await.unwrap();
                }
                if round < 3 {
                    tx.commit().await.unwrap();
                }
            }
        });
    }
    writers.join_all().await;
    let events = chain(db.store(), acme).await;
    assert_eq!(events.len(), 28 * 3 * 2);
    assert_eq!(chain(db.store(), other).await.len(), 4 * 3 * 2);
    // What one transaction does stands together, in its order.
    for two in events.chunks(2) {
        assert_eq!([&two[0].record.action, &two[1].record.action], ["key.created", "key.revoked"]);
    }
}

#[tokio::test]
async fn what_is_written_down_comes_back_as_it_was_and_newest_first() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    // Written in another order than that of their times.
    let written =
        [event(Action::KeyCreated, 9), event(Action::KeyRevoked, 3), event(Action::BudgetCreated, 5)];
    for event in &written {
        write(db.store(), acme, std::slice::from_ref(event)).await;
    }
    let mut tx = db.store().tenant(acme).await.unwrap();
    let all = tx.list_audit_events(None, 10).await.unwrap();
    let actions: Vec<_> = all.iter().map(|event| (event.seq, event.action.as_str())).collect();
    assert_eq!(actions, [(3, "budget.created"), (2, "key.revoked"), (1, "key.created")]);
    assert_eq!(all[0].address.as_deref(), Some("192.0.2.1"));
    assert_eq!(tx.list_audit_events(Some(all[1].id), 10).await.unwrap(), all[2..]);
    assert_eq!(tx.list_audit_events(Some(AuditEventId::new(at(0), unlike_bytes())), 10).await.unwrap(), []);
    let chain = tx.audit_chain(2, 10).await.unwrap();
    assert_eq!(chain[0].record.change, r#"{"a": {"name": "x"}, "b": 1}"#, "as PostgreSQL writes it");
    drop(tx);

    // What PostgreSQL would refuse does not undo what it tells of.
    let zero = NewAuditEvent {
        target: Some("a\0b".to_owned()),
        change: json!({ "name": "c\0d" }),
        ..event(Action::KeyCreated, 10)
    };
    write(db.store(), acme, &[zero]).await;
    let mut tx = db.store().tenant(acme).await.unwrap();
    assert_eq!(tx.list_audit_events(None, 1).await.unwrap()[0].target.as_deref(), Some("a\u{fffd}b"));
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    what: String,
}

#[tokio::test]
async fn no_role_may_change_or_remove_an_event_and_an_owners_slip_does_not_either() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    write(db.store(), acme, &[event(Action::KeyCreated, 1), event(Action::KeyRevoked, 2)]).await;
    let mut system = db.store().system().await.unwrap();
    system.note_operator_event(&event(Action::SchedulePaused, 1)).await.unwrap();
    let mut conn = owner(&db).await;
    let sql = "SELECT r.rolname || ' may ' || p.what || ' ' || t.name AS what \
               FROM pg_roles r, \
               unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS p(what), \
               unnest(ARRAY['audit_event', 'audit_head', 'operator_event', 'operator_event_head', \
                            'kept_audit_event', 'audit_anchor']) AS t(name) \
               WHERE starts_with(r.rolname, 'costlens_') \
                 AND (has_table_privilege(r.rolname, t.name, p.what) \
                      OR (p.what = 'UPDATE' AND has_any_column_privilege(r.rolname, t.name, p.what)))";
    let may: Vec<Row> = diesel::sql_query(sql).load(&mut conn).await.unwrap();
    assert!(may.is_empty(), "{:?}", may.iter().map(|row| &row.what).collect::<Vec<_>>());

    for slip in [
        "UPDATE audit_event SET actor = 'nobody'",
        "DELETE FROM audit_event WHERE seq = 2",
        "TRUNCATE audit_event",
        "UPDATE audit_head SET seq = 1",
        "UPDATE audit_head SET hash = sha256('')",
        "UPDATE audit_head SET pruned_seq = pruned_seq - 1",
        "DELETE FROM audit_head",
        "UPDATE operator_event SET actor = 'nobody'",
        "DELETE FROM operator_event",
        "TRUNCATE operator_event",
        "TRUNCATE kept_audit_event",
    ] {
        let refused = conn.batch_execute(slip).await.unwrap_err();
        assert!(matches!(refused, diesel::result::Error::DatabaseError(..)), "{slip}: {refused}");
    }
    // Who inserts a row by hand gets the next place all the same, whatever it says of itself.
    let by_hand = format!(
        "INSERT INTO audit_event (tenant_id, id, at, actor, action, change, seq, prev_hash, hash) \
         VALUES ('{0}', '{0}', now(), 'x', 'y.z', '{{}}', 77, sha256(''), sha256(''))",
        acme.uuid()
    );
    conn.batch_execute(&by_hand).await.unwrap();
    assert_eq!(chain(db.store(), acme).await.len(), 3);
}

#[derive(diesel::QueryableByName)]
struct Pruned {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[tokio::test]
async fn a_pruned_chain_goes_on_from_where_it_was_pruned() {
    let db = TestDb::new().await;
    let (acme, other) = (db.create_tenant("acme").await, db.create_tenant("other").await);
    let day = 86_400;
    let days =
        |from: i64, to: i64| -> Vec<_> { (from..to).map(|n| event(Action::KeyCreated, n * day)).collect() };
    write(db.store(), acme, &days(-300, -290)).await;
    // An old one behind a newer one stays: a chain is pruned from its beginning.
    write(db.store(), acme, &[event(Action::KeyRevoked, 0), event(Action::KeyRevoked, -299 * day)]).await;
    write(db.store(), other, &days(-10, 0)).await;
    let whole = chain(db.store(), acme).await;

    let mut system = db.store().system().await.unwrap();
    let before = at(0) - Duration::days(200);
    assert_eq!(system.purge("audit_event", before, 4).await.unwrap(), Some(4));
    assert_eq!(chain(db.store(), acme).await, whole[4..]);
    assert_eq!(system.purge("audit_event", before, 100).await.unwrap(), Some(6));
    assert_eq!(system.purge("audit_event", before, 100).await.unwrap(), Some(0));
    assert_eq!(chain(db.store(), acme).await, whole[10..]);
    assert_eq!(chain(db.store(), other).await.len(), 10);
    let mut tx = db.store().tenant(acme).await.unwrap();
    let head = tx.audit_head().await.unwrap();
    assert_eq!(head.pruned, Place { seq: 10, hash: whole[9].hash });
    drop(tx);
    write(db.store(), acme, &[event(Action::KeyCreated, 1)]).await;
    assert_eq!(chain(db.store(), acme).await.last().unwrap().seq, 13);

    // Nothing that is not 90 days old by the server's own clock goes, and no rule may say otherwise.
    let mut conn = owner(&db).await;
    let now = "SELECT prune_audit(clock_timestamp() - interval '89 days', 10) AS rows";
    assert!(diesel::sql_query(now).get_result::<Pruned>(&mut conn).await.is_err());
    let now = "SELECT prune_audit(clock_timestamp() - interval '91 days', 0) AS rows";
    assert_eq!(diesel::sql_query(now).get_result::<Pruned>(&mut conn).await.unwrap().rows, 0);
    let rule = "UPDATE retention SET keep_days = 89 WHERE table_name = 'audit_event'";
    assert!(conn.batch_execute(rule).await.is_err());
    conn.batch_execute("UPDATE retention SET keep_days = 90 WHERE table_name = 'audit_event'").await.unwrap();
}

#[tokio::test]
async fn an_erasure_keeps_every_event_by_its_number_in_a_chain_of_its_own() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await.tenant;
    let id = ErasureId::new(at(0), unlike_bytes());
    let mut tx = db.store().tenant(acme).await.unwrap();
    tx.request_closure(id, ("a test", None), at(0), at(0), at(60)).await.unwrap();
    tx.audit(&event(Action::ClosureRequested, 5)).await.unwrap();
    tx.commit().await.unwrap();
    let mut system = db.store().system().await.unwrap();
    assert!(system.begin_erasure(id, &[0; 32], at(1)).await.unwrap());
    assert_eq!(system.keep_audit(id).await.unwrap(), 1);
    // Two more, of times that were kept already: by the time they would be missed.
    write(db.store(), acme, &[event(Action::KeyRevoked, 5), event(Action::KeyRevoked, 4)]).await;
    // What was not kept is not erased.
    let early = system.erase_rows(id, "audit_event", 10).await.unwrap_err();
    assert_eq!(early.constraint(), Some("audit_append_only"));
    assert_eq!(system.keep_audit(id).await.unwrap(), 3);
    assert_eq!(system.keep_audit(id).await.unwrap(), 3);
    let kept = system.kept_audit(id).await.unwrap();
    let (mut last, mut n) = (Hash::NONE, 0);
    for event in &kept {
        assert_eq!((event.n, event.prev), (n + 1, last));
        (n, last) = (event.n, event.hash);
    }
    assert_eq!(kept.iter().filter(|event| event.action == "key.revoked").count(), 2);
    assert_eq!(system.erase_rows(id, "audit_event", 10).await.unwrap(), 3);
    // The next one has its number after those that are gone.
    write(db.store(), acme, &[event(Action::KeyRevoked, 6)]).await;
    assert_eq!(system.keep_audit(id).await.unwrap(), 4);
    assert_eq!(system.kept_audit(id).await.unwrap().last().unwrap().n, 4);
}

#[tokio::test]
async fn refused_sign_ins_are_written_down_up_to_a_bound() {
    let db = TestDb::new().await;
    let acme = db.create_tenant("acme").await;
    let mut system = db.store().system().await.unwrap();
    for of in [Some(acme), None] {
        let mut written = 0;
        for n in 0..70 {
            let refused = event(Action::SessionRefused, n);
            written += usize::from(system.note_refusal(of, &refused).await.unwrap());
        }
        assert_eq!(written, 60);
        assert!(system.note_refusal(of, &event(Action::SessionRefused, 3_700)).await.unwrap());
    }
    assert_eq!(chain(db.store(), acme).await.len(), 61);
}

/// The migration's own: rows from before it.
#[tokio::test]
async fn what_was_written_before_the_chain_is_chained_by_the_migration() {
    use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
    use diesel_migrations::MigrationHarness;

    let db = TestDb::new().await;
    let (acme, other) = (db.create_tenant("acme").await, db.create_tenant("other").await);
    for n in 0..5 {
        write(db.store(), acme, &[event(Action::KeyCreated, n)]).await;
    }
    write(db.store(), other, &[event(Action::KeyCreated, 1)]).await;
    let mut system = db.store().system().await.unwrap();
    for n in 0..3 {
        system.note_operator_event(&event(Action::SchedulePaused, n)).await.unwrap();
    }
    let strip = |events: Vec<ChainedEvent>| -> Vec<_> {
        let bare = |event: ChainedEvent| (event.seq, event.record.id, event.record.change);
        events.into_iter().map(bare).collect()
    };
    let before = strip(chain(db.store(), acme).await);

    let conn = diesel_async::AsyncPgConnection::establish(db.owner_url()).await.unwrap();
    tokio::task::spawn_blocking(move || {
        let mut conn = AsyncConnectionWrapper::<diesel_async::AsyncPgConnection>::from(conn);
        while let Ok(reverted) = conn.revert_last_migration(crate::migrate::MIGRATIONS) {
            if reverted.to_string().contains("000025") {
                return;
            }
        }
        panic!("the chain's migration was not reverted");
    })
    .await
    .unwrap();
    migrate(db.owner_url(), &RuntimeLogin::Unchanged, Vec::new()).await.unwrap();
    // Connections that know the tables from before are gone with their plans.
    let store = Store::connect(&patient(db.runtime_url())).unwrap();
    assert_eq!(strip(chain(&store, acme).await), before);
    assert_eq!(chain(&store, other).await.len(), 1);
    let mut system = store.system().await.unwrap();
    let operators = system.operator_chain(0, 10).await.unwrap();
    assert_eq!(operators.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(operators[2].hash, system.operator_head().await.unwrap().head.hash);
    // And the chain goes on.
    write(&store, acme, &[event(Action::KeyRevoked, 9)]).await;
    assert_eq!(chain(&store, acme).await.len(), 6);
}
