//! What a certificate says was erased is what was there, though workers die at the steps of the erasure.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use costlens_queue::NewJob;
use costlens_queue::testing::{Side, WireTap};
use costlens_store::ErasureState;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::account::Account;
use super::children::{ToldClock, Worker};
use super::erasures::{filled, lasting, request, rows, state};
use super::outside::Outside;
use super::{Office, PATIENCE};

fn start() -> DateTime<Utc> {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// What the queue holds of an account.
async fn jobs(office: &Office, account: &Account) -> i64 {
    let sql = format!("SELECT count(*) AS rows FROM queue.job WHERE tenant = '{}'", account.tenant.uuid());
    let mut owner = AsyncPgConnection::establish(office.db.owner_url()).await.unwrap();
    let count: Count = diesel::sql_query(sql).get_result(&mut owner).await.unwrap();
    count.rows
}

const KEYS: fn(&str) -> bool = |sql| sql.starts_with("SELECT erase_data_keys");
/// All files are gone, and their number is written down.
const FILES: fn(&str) -> bool = |sql| sql.starts_with("UPDATE erasure SET evidence = (evidence -");
const ROWS: fn(&str) -> bool = |sql| sql.starts_with("SELECT erase_counted_rows");
const JOBS: fn(&str) -> bool = |sql| sql.starts_with("SELECT add_erased");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_counts_every_row_once_though_workers_are_killed_at_the_steps() {
    let rounds = [
        (KEYS, 1, Side::After),
        (FILES, 1, Side::Before),
        (FILES, 1, Side::After),
        (ROWS, 13, Side::After),
        (ROWS, 40, Side::After),
        (JOBS, 1, Side::Before),
        (JOBS, 1, Side::After),
    ];
    for (step, n, side) in rounds {
        let outside = Outside::open().await;
        let mut office = Office::open_with_svix(&outside, start()).await;
        let acme = filled(&office, &outside, "Acme").await;
        let asked = request(&office, &acme).await;
        office.stop_work().await;
        let now = start() + TimeDelta::days(8);
        office.set_clock(now);
        let mut there = Vec::new();
        for table in lasting() {
            there.push((table, rows(&office, table, &acme).await));
        }
        let files = office.parts.objects.count_prefix(acme.tenant).await.unwrap();
        let jobs = jobs(&office, &acme).await;
        office.ask(NewJob::raw("erasure-sweep.v1", json!({}))).await;
        let url = office.db.runtime_url();
        let tap = WireTap::start(url).await.unwrap();
        tap.start_counting(step);
        let mut worker = Worker::start(&office, &outside, &tap.url(url), ToldClock::Stands(now));
        let pid = worker.pid();
        tap.kill_at(n, side, move || {
            let _gone = kill_process(pid, Signal::KILL);
        });
        let begun = Instant::now();
        while !worker.has_ended() {
            assert!(begun.elapsed() < PATIENCE, "{n} {side:?}: {:#?}", office.unfinished().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let struck = tap.hit().unwrap();
        let worker = Worker::start(&office, &outside, url, ToldClock::Stands(now));
        while state(&office, asked.id).await.state != ErasureState::Certified {
            assert!(begun.elapsed() < PATIENCE, "{struck}: {:#?}", office.unfinished().await);
            office.wake_all().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(worker);
        let certificate = state(&office, asked.id).await.certificate.unwrap();
        let steps = &certificate["steps"];
        let mut keys = 0;
        for (table, before) in there {
            // The keys were destroyed before any table was emptied.
            if ["tenant_key", "subject_key"].contains(&table) {
                keys += before;
                continue;
            }
            assert_eq!(steps[format!("rows:{table}")], before, "killed {side:?} {n} of {struck}: {table}");
        }
        assert_eq!(steps["data_keys"], keys, "killed {side:?} {struck}");
        assert_eq!(steps["files"], files, "killed {side:?} {struck}");
        assert!(steps["files_found"].is_null(), "{steps}");
        // What was still to be done when the account was closed may have asked for more.
        assert!(steps["jobs"].as_i64().unwrap() >= jobs, "killed {side:?} {struck}: {steps}");
    }
}
