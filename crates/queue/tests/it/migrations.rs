//! Every migration can be taken back, and made again.

use costlens_queue::MIGRATIONS;
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::MigrationHarness;

use crate::postgres::Db;
use crate::workers::{noting_worker, probe, put, quick};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_latest_migration_taken_back_and_made_again_leaves_the_jobs_alone_and_all_can_go() {
    let db = Db::new().await;
    put(&db, vec![probe(1)]).await;
    let again = async |all: bool| {
        let conn = db.conn().await;
        tokio::task::spawn_blocking(move || {
            let mut conn = AsyncConnectionWrapper::<AsyncPgConnection>::from(conn);
            if all {
                conn.revert_all_migrations(MIGRATIONS).map(|_| ()).unwrap();
            } else {
                conn.revert_last_migration(MIGRATIONS).map(|_| ()).unwrap();
            }
            conn.run_pending_migrations(MIGRATIONS).map(|_| ()).unwrap();
        })
        .await
        .unwrap();
    };
    again(false).await;
    let running = noting_worker(&db, "after", quick());
    db.wait_for("EXISTS (SELECT FROM queue.job WHERE status = 'done')").await;
    running.stop().await;
    again(true).await;
    assert_eq!(db.number("SELECT count(*) FROM queue.job").await, 0);
}
