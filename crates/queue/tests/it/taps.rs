//! The tap on the wire itself: what it strikes has happened, or has not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use costlens_queue::testing::{Side, WireTap};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::postgres::Db;

async fn insert(conn: &mut AsyncPgConnection, n: i32) -> diesel::QueryResult<usize> {
    let sql = "INSERT INTO effect VALUES ($1)";
    diesel::sql_query(sql).bind::<diesel::sql_types::Integer, _>(n).execute(conn).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_struck_write_has_happened_or_not_and_its_answer_is_lost_in_both_cases() {
    let db = Db::new().await;
    let tap = WireTap::start(&db.url).await.unwrap();
    for (side, rows) in [(Side::Before, 2), (Side::After, 3)] {
        db.sql("DELETE FROM effect").await;
        let mut conn = AsyncPgConnection::establish(&tap.url(&db.url)).await.unwrap();
        let mut other = AsyncPgConnection::establish(&tap.url(&db.url)).await.unwrap();
        let hits = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&hits);
        tap.kill_at(3, side, move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        for n in 1..=2 {
            insert(&mut conn, n).await.unwrap();
            other.batch_execute("SELECT 1").await.unwrap();
        }
        assert_eq!(tap.hit(), None);
        assert!(insert(&mut conn, 3).await.is_err(), "the answer is lost");
        assert!(other.batch_execute("SELECT 1").await.is_err(), "and so is every other connection");
        assert_eq!(db.number("SELECT count(*) FROM effect").await, rows, "{side:?}");
        assert_eq!(AtomicU32::load(&hits, Ordering::SeqCst), 1);
        assert_eq!(tap.hit().unwrap(), "INSERT INTO effect VALUES ($1)");
        assert_eq!((tap.count(), tap.seen().len()), (3, 3), "reads and preparations do not count");
        // The tap goes on for those who come after.
        let mut next = AsyncPgConnection::establish(&tap.url(&db.url)).await.unwrap();
        insert(&mut next, 4).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_has_happened() {
    let db = Db::new().await;
    let tap = WireTap::start(&db.url).await.unwrap();
    for (side, rows) in [(Side::Before, 0), (Side::After, 1)] {
        let mut conn = AsyncPgConnection::establish(&tap.url(&db.url)).await.unwrap();
        tap.kill_at(2, side, || {});
        let lost = conn.transaction(async |tx| insert(tx, 1).await.map(|_| ())).await;
        assert!(lost.is_err(), "{lost:?}");
        assert_eq!(tap.hit().unwrap(), "COMMIT");
        assert_eq!(db.number("SELECT count(*) FROM effect").await, rows, "{side:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_reaches_a_server_that_listens_on_tcp() {
    let db = Db::new().await;
    // The tests' server listens on a socket alone; a second tap stands behind a port for it.
    let inner = WireTap::start(&db.url).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let path = inner.socket();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = tokio::net::UnixStream::connect(path).await.unwrap();
        tokio::io::copy_bidirectional(&mut client, &mut server).await
    });
    let (_, name) = db.url.rsplit_once('/').unwrap();
    let url = format!("postgres://owner@127.0.0.1:{port}/{name}");
    let outer = WireTap::start(&url).await.unwrap();
    let mut conn = AsyncPgConnection::establish(&outer.url(&url)).await.unwrap();
    insert(&mut conn, 1).await.unwrap();
    assert_eq!((outer.count(), inner.count()), (1, 1));
    outer.cut();
    assert!(insert(&mut conn, 2).await.is_err());
}
