//! Exports become files: whole, once, and through crashes of all kinds.

use std::collections::BTreeSet;
use std::io::Read as _;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::export::{Cell, Column, ExportFormat, ExportWhat};
use costlens_domain::request::{CostBasis, Outcome, RequestFact};
use costlens_domain::{ConnectionId, ExportId};
use costlens_jobs::exports::{AREA, WriteExport, ask_to_write};
use costlens_objects::ObjectKey;
use costlens_queue::ErrorClass;
use costlens_queue::ops::{self, JobRow, State};
use costlens_store::testing::unlike_bytes;
use costlens_store::{Export, ExportState, NewExport, RequestFilter};
use costlens_workers::exports::parquet::{NotWritten, ParquetFile, WriteParquet};
use serde_json::{Value, json};

use super::Office;
use super::account::Account;
use super::outside::Outside;
use super::upkeep::now;

/// Writes lines of JSON where the binary writes Parquet.
#[derive(Debug)]
pub(super) struct Lines;

impl WriteParquet for Lines {
    fn begin(&self, columns: &'static [Column]) -> Result<Box<dyn ParquetFile>, NotWritten> {
        Ok(Box::new(LinesFile(columns)))
    }
}

#[derive(Debug)]
struct LinesFile(&'static [Column]);

impl ParquetFile for LinesFile {
    fn add(&mut self, rows: &[Vec<Cell<'_>>]) -> Result<Vec<u8>, NotWritten> {
        let mut text = String::new();
        for row in rows {
            ExportFormat::Jsonl.put_row(self.0, row, &mut text);
        }
        Ok(text.into_bytes())
    }

    fn end(self: Box<Self>) -> Result<Vec<u8>, NotWritten> {
        Ok(b"end\n".to_vec())
    }
}

/// An account that asks for exports.
struct Customer {
    account: Account,
}

/// What an export holds: all that a filter which says nothing lets through until now.
fn everything() -> RequestFilter {
    RequestFilter { to: Some(now()), ..RequestFilter::default() }
}

impl Customer {
    async fn of(office: &Office, outside: &Outside) -> Self {
        Self { account: Account::open(office, outside, "acme").await }
    }

    /// So many calls, a minute apart, the last one a minute ago.
    async fn calls(&self, office: &Office, count: i64) -> Vec<RequestFact> {
        let facts: Vec<RequestFact> = (1..=count)
            .rev()
            .map(|minutes| {
                let mut fact =
                    self.account.call(now() - TimeDelta::minutes(minutes), "gpt-4o", "0.0010000000000001");
                if minutes % 3 == 0 {
                    (fact.cost_basis, fact.cost) = (CostBasis::Unpriced, None);
                }
                fact
            })
            .collect();
        for facts in facts.chunks(1_000) {
            self.account.spend(office, facts).await;
        }
        facts
    }

    async fn ask(
        &self,
        office: &Office,
        what: ExportWhat,
        format: ExportFormat,
        filter: RequestFilter,
    ) -> ExportId {
        self.keep(office, what, format, filter, true).await
    }

    async fn keep(
        &self,
        office: &Office,
        what: ExportWhat,
        format: ExportFormat,
        filter: RequestFilter,
        ask: bool,
    ) -> ExportId {
        let at = now() - TimeDelta::minutes(10);
        let new = NewExport { id: ExportId::new(at, unlike_bytes()), what, format, filter, created_at: at };
        let mut conn = office.parts.store.tenant(self.account.tenant).await.unwrap();
        conn.create_export(&new).await.unwrap();
        if ask {
            assert!(ask_to_write(&mut conn, WriteExport { export: new.id, ask: 0 }, at).await.unwrap());
        }
        conn.commit().await.unwrap();
        new.id
    }

    async fn look(&self, office: &Office, id: ExportId) -> Export {
        office.parts.store.tenant(self.account.tenant).await.unwrap().export(id).await.unwrap()
    }

    async fn jobs(&self, office: &Office) -> Vec<JobRow> {
        office.jobs("export.v1").await
    }

    /// The export once it has ended and none of its jobs is under way.
    async fn ended(&self, office: &Office, id: ExportId) -> Export {
        let begun = std::time::Instant::now();
        loop {
            let export = self.look(office, id).await;
            let over = |job: &JobRow| matches!(job.state, State::Done | State::Dead | State::Cancelled);
            if !export.state.is_open() && self.jobs(office).await.iter().all(over) {
                return export;
            }
            assert!(begun.elapsed() < crate::PATIENCE, "the export never ended: {export:?}");
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    }

    async fn files(&self, office: &Office) -> usize {
        office.parts.objects.count_prefix(self.account.tenant).await.unwrap()
    }

    /// What stands in an export's file.
    async fn text(&self, office: &Office, export: &Export) -> String {
        let key: ObjectKey = export.object_key.as_deref().unwrap().parse().unwrap();
        let copy = office.parts.objects.fetch(&key).await.unwrap();
        let bytes = std::fs::read(copy.path()).unwrap();
        assert_eq!(export.bytes, u64::try_from(bytes.len()).ok());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
        text
    }

    async fn lines(&self, office: &Office, export: &Export) -> Vec<Value> {
        let text = self.text(office, export).await;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn outside_of(export: &Export) -> (ExportState, u64, u16) {
    (export.state, export.rows, export.permille)
}

#[tokio::test]
async fn an_export_holds_every_row_once_oldest_first_across_pages() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let acme = Customer::of(&office, &outside).await;
    let other = Account::open(&office, &outside, "other").await;
    other.spend(&office, &[other.call(now() - TimeDelta::minutes(5), "gpt-4o", "99")]).await;
    // More than two pages, over two days.
    let facts = acme.calls(&office, 2_105).await;
    let id = acme.ask(&office, ExportWhat::Requests, ExportFormat::Jsonl, everything()).await;
    let export = acme.ended(&office, id).await;
    assert_eq!(outside_of(&export), (ExportState::Done, 2_105, 1000));
    assert_eq!(export.expires_at, Some(now() + TimeDelta::days(7)));
    let rows = acme.lines(&office, &export).await;
    let expected: Vec<String> = facts.iter().map(|fact| fact.id.to_string()).collect();
    let found: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(found, expected);
    for (row, fact) in rows.iter().zip(&facts) {
        let cost = fact.cost.map_or(Value::Null, |cost| Value::from(cost.to_string()));
        assert_eq!(row["cost"], cost);
    }
    // Once more does nothing to it.
    let file = export.object_key.clone();
    let mut conn = office.parts.store.tenant(acme.account.tenant).await.unwrap();
    costlens_jobs::ask(&mut conn, &WriteExport { export: id, ask: 1 }).await.unwrap();
    conn.commit().await.unwrap();
    office.settled("export.v1").await;
    assert_eq!(acme.ended(&office, id).await.object_key, file);
    assert_eq!((acme.jobs(&office).await.len(), acme.files(&office).await), (2, 1));
    let events = office.jobs("event.v1").await;
    assert_eq!(events.len(), 1, "one export tells one event");
    office.end().await;
}

#[tokio::test]
async fn each_filter_narrows_and_csv_tells_unknown_from_nothing() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let acme = Customer::of(&office, &outside).await;
    let connection = ConnectionId::new(now(), unlike_bytes());
    let minutes = |ago| now() - TimeDelta::minutes(ago);
    let call = |ago: i64, model: &str| acme.account.call(minutes(ago), model, "0.5");
    let mut through = call(10, "gpt-4o");
    through.connection_id = Some(connection);
    let mut failed = call(20, "=1+1");
    (failed.outcome, failed.cost_basis, failed.cost) = (Outcome::Failed, CostBasis::Unpriced, None);
    let mut served = call(30, "gpt-4o-mini");
    served.model_requested = "an-alias".to_owned();
    acme.account.spend(&office, &[through.clone(), failed.clone(), served.clone()]).await;
    let all = everything();
    let cases = [
        (RequestFilter { connection_id: Some(connection), ..all.clone() }, vec![&through]),
        (RequestFilter { outcome: Some(Outcome::Failed), ..all.clone() }, vec![&failed]),
        (RequestFilter { model: Some("gpt-4o-mini".to_owned()), ..all.clone() }, vec![&served]),
        (RequestFilter { model: Some("an-alias".to_owned()), ..all.clone() }, vec![&served]),
        (RequestFilter { from: Some(minutes(20)), ..all.clone() }, vec![&failed, &through]),
        (RequestFilter { to: Some(minutes(20)), ..all.clone() }, vec![&served]),
        (RequestFilter { provider: Some("anthropic".to_owned()), ..all.clone() }, vec![]),
        (
            RequestFilter { api_key_id: Some(acme.account.key), ..all.clone() },
            vec![&served, &failed, &through],
        ),
    ];
    for (filter, expected) in cases {
        let id = acme.ask(&office, ExportWhat::Requests, ExportFormat::Jsonl, filter.clone()).await;
        let export = acme.ended(&office, id).await;
        let found: Vec<String> =
            acme.lines(&office, &export).await.iter().map(|row| row["id"].to_string()).collect();
        let expected: Vec<String> = expected.iter().map(|fact| format!("\"{}\"", fact.id)).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let id = acme.ask(&office, ExportWhat::Requests, ExportFormat::Csv, all).await;
    let export = acme.ended(&office, id).await;
    let text = acme.text(&office, &export).await;
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[0].starts_with("id,started_at,"), "{text}");
    assert!(lines[2].contains(",\"'=1+1\",") && lines[2].contains(",unpriced,,USD,"), "{}", lines[2]);
    assert!(lines[3].contains(",exact,0.5,USD,"), "{}", lines[3]);
    office.end().await;
}

#[tokio::test]
async fn hours_add_up_to_the_calls_and_keep_unpriced_ones_apart() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let acme = Customer::of(&office, &outside).await;
    // So many models that an hour fills more than a page.
    let mut facts = acme.calls(&office, 120).await;
    let many: Vec<RequestFact> = (0..1_300)
        .map(|n| acme.account.call(now() - TimeDelta::minutes(200), &format!("m{n}"), "0.01"))
        .collect();
    acme.account.spend(&office, &many).await;
    facts.extend(many);
    let id = acme.ask(&office, ExportWhat::HourlySpend, ExportFormat::Jsonl, everything()).await;
    let export = acme.ended(&office, id).await;
    let rows = acme.lines(&office, &export).await;
    assert_eq!(export.rows, u64::try_from(rows.len()).unwrap());
    let requests: u64 = rows.iter().map(|row| row["requests"].as_u64().unwrap()).sum();
    assert_eq!(requests, u64::try_from(facts.len()).unwrap());
    let mut sum = costlens_domain::Usd::ZERO;
    for row in &rows {
        match (row["cost_basis"].as_str().unwrap(), row["cost"].as_str()) {
            ("exact", Some(cost)) => sum = sum.checked_add(cost.parse().unwrap()).unwrap(),
            ("unpriced", None) => assert_eq!(row["cost"], Value::Null),
            other => panic!("{other:?}"),
        }
    }
    let expected = facts
        .iter()
        .filter_map(|fact| fact.cost)
        .fold(costlens_domain::Usd::ZERO, |sum, cost| sum.checked_add(cost).unwrap());
    assert_eq!(sum, expected);
    let places: BTreeSet<String> =
        rows.iter().map(|row| format!("{} {} {}", row["hour"], row["model"], row["cost_basis"])).collect();
    assert_eq!(places.len(), rows.len(), "no row twice");
    let hours: Vec<&str> = rows.iter().map(|row| row["hour"].as_str().unwrap()).collect();
    assert!(hours.is_sorted(), "oldest first");

    let from: DateTime<Utc> = now() - TimeDelta::minutes(30);
    let filter = RequestFilter { from: Some(from), ..everything() };
    let id = acme.ask(&office, ExportWhat::HourlySpend, ExportFormat::Jsonl, filter).await;
    let export = acme.ended(&office, id).await;
    let rows = acme.lines(&office, &export).await;
    assert!(rows.iter().all(|row| row["hour"] == "2026-11-25T11:00:00Z") && !rows.is_empty(), "{rows:?}");
    office.end().await;
}

#[tokio::test]
async fn a_worker_that_is_killed_leaves_a_file_that_goes_and_another_writes_the_export() {
    let outside = Outside::open().await;
    let mut office = Office::closed(now()).await;
    let acme = Customer::of(&office, &outside).await;
    acme.calls(&office, 10).await;
    let id = acme.ask(&office, ExportWhat::Requests, ExportFormat::Csv, everything()).await;
    // What a worker leaves that is killed in the middle, and one that is killed between its file and the row.
    let mut conn = office.parts.store.tenant(acme.account.tenant).await.unwrap();
    conn.begin_export(id, now()).await.unwrap();
    conn.commit().await.unwrap();
    let key = |attempt: &str| ObjectKey::new(acme.account.tenant, AREA, &format!("{id}_{attempt}")).unwrap();
    let mut half = office.parts.objects.put(key("half"), 1_000).await.unwrap();
    half.write(b"hal").await.unwrap();
    std::mem::forget(half);
    let mut whole = office.parts.objects.put(key("whole"), 1_000).await.unwrap();
    whole.write(b"whole").await.unwrap();
    whole.finish().await.unwrap();
    // A file of a bill is none of ours.
    let bill = ObjectKey::new(acme.account.tenant, "bills", "upl_0").unwrap();
    office.parts.objects.put(bill.clone(), 10).await.unwrap().finish().await.unwrap();

    office.work().await;
    let export = acme.ended(&office, id).await;
    assert_eq!(outside_of(&export), (ExportState::Done, 10, 1000));
    assert_eq!(acme.text(&office, &export).await.lines().count(), 11);
    assert_eq!(acme.files(&office).await, 4);
    for files in [2, 0] {
        let swept = office.run("exports.v1").await;
        assert_eq!(swept.job.progress, Some(json!({"asked": 0, "ended": 0, "expired": 0, "files": files})));
    }
    assert_eq!(acme.text(&office, &export).await.lines().count(), 11);
    assert!(office.parts.objects.fetch(&bill).await.is_ok());
    office.close().await;
}

#[tokio::test]
async fn a_file_of_an_export_that_is_being_written_stays() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let acme = Customer::of(&office, &outside).await;
    let id = acme.keep(&office, ExportWhat::Requests, ExportFormat::Csv, everything(), false).await;
    let mut conn = office.parts.store.tenant(acme.account.tenant).await.unwrap();
    conn.begin_export(id, now()).await.unwrap();
    conn.commit().await.unwrap();
    let key = ObjectKey::new(acme.account.tenant, AREA, &format!("{id}_now")).unwrap();
    let mut put = office.parts.objects.put(key, 1_000).await.unwrap();
    put.write(b"now").await.unwrap();
    let swept = office.run("exports.v1").await;
    assert_eq!(swept.job.progress.unwrap()["files"], 0);
    put.finish().await.unwrap();
    assert_eq!(acme.files(&office).await, 1);
    office.close().await;
}

#[tokio::test]
async fn a_file_goes_after_seven_days_and_the_row_says_so() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let acme = Customer::of(&office, &outside).await;
    acme.calls(&office, 3).await;
    let id = acme.ask(&office, ExportWhat::Requests, ExportFormat::Csv, everything()).await;
    acme.ended(&office, id).await;
    office.set_clock(now() + TimeDelta::days(7) - TimeDelta::seconds(1));
    assert_eq!(office.run("exports.v1").await.job.progress.unwrap()["expired"], 0);
    assert_eq!(acme.files(&office).await, 1);
    office.set_clock(now() + TimeDelta::days(7));
    for expired in [1, 0] {
        let swept = office.run("exports.v1").await;
        assert_eq!(swept.job.progress.unwrap()["expired"], expired);
        assert_eq!(acme.files(&office).await, 0);
    }
    let export = acme.look(&office, id).await;
    assert_eq!((export.state, export.object_key, export.rows), (ExportState::Expired, None, 3));
    assert!(export.bytes.is_some() && export.sha256.is_some());
    office.end().await;
}

#[tokio::test]
async fn an_export_that_is_too_large_fails_in_words_and_leaves_no_file() {
    let outside = Outside::open().await;
    let mut office = Office::closed(now()).await;
    office.parts.max_export_bytes = 1_000;
    office.work().await;
    let acme = Customer::of(&office, &outside).await;
    acme.calls(&office, 1_200).await;
    let id = acme.ask(&office, ExportWhat::Requests, ExportFormat::Csv, everything()).await;
    let export = acme.ended(&office, id).await;
    let problem = export.problem.unwrap();
    assert_eq!((export.state, problem.code.as_str()), (ExportState::Failed, "export_too_large"));
    assert!(problem.detail.contains("1000 bytes"), "{}", problem.detail);
    let job = acme.jobs(&office).await.remove(0);
    assert_eq!((job.state, job.class), (State::Dead, Some(ErrorClass::CustomerAction)));
    assert_eq!(acme.files(&office).await, 0);
    office.close().await;
}

#[tokio::test]
async fn what_was_cancelled_is_not_written_and_of_two_attempts_one_counts() {
    let outside = Outside::open().await;
    let mut office = Office::closed(now()).await;
    let acme = Customer::of(&office, &outside).await;
    acme.calls(&office, 5).await;
    // Cancelled in the row alone, as when the queue could not be told.
    let id = acme.ask(&office, ExportWhat::Requests, ExportFormat::Csv, everything()).await;
    let mut conn = office.parts.store.tenant(acme.account.tenant).await.unwrap();
    assert!(conn.end_export(id, None, now()).await.unwrap());
    conn.commit().await.unwrap();
    // Cancelled as an operator does, before it begins.
    let other = acme.ask(&office, ExportWhat::Requests, ExportFormat::Csv, everything()).await;
    for job in acme.jobs(&office).await {
        if job.key.as_deref() == Some(other.to_string().as_str()) {
            let mut conn = office.queue.conn().await.unwrap();
            assert_eq!(ops::cancel(&mut conn, job.id, None).await.unwrap(), ops::Cancelled::Now);
        }
    }
    // Asked for twice at once.
    let twice = acme.ask(&office, ExportWhat::Requests, ExportFormat::Csv, everything()).await;
    let mut conn = office.parts.store.tenant(acme.account.tenant).await.unwrap();
    costlens_jobs::ask(&mut conn, &WriteExport { export: twice, ask: 7 }).await.unwrap();
    conn.commit().await.unwrap();
    office.work().await;
    office.settled("export.v1").await;
    let swept = office.run("exports.v1").await;
    assert_eq!(swept.job.progress, Some(json!({"asked": 0, "ended": 1, "expired": 0, "files": 0})));
    for id in [id, other] {
        assert_eq!(acme.ended(&office, id).await.state, ExportState::Cancelled);
    }
    let export = acme.ended(&office, twice).await;
    assert_eq!(outside_of(&export), (ExportState::Done, 5, 1000));
    assert_eq!(acme.files(&office).await, 1);
    office.close().await;
}

#[tokio::test]
async fn the_sweeper_asks_again_for_an_export_without_a_job_and_ends_one_whose_job_died() {
    let outside = Outside::open().await;
    let mut office = Office::closed(now()).await;
    let acme = Customer::of(&office, &outside).await;
    let never = acme.keep(&office, ExportWhat::Requests, ExportFormat::Csv, everything(), false).await;
    let dead = acme.ask(&office, ExportWhat::Requests, ExportFormat::Csv, everything()).await;
    office.sql("UPDATE queue.job SET status = 'dead', done_at = now() WHERE queue = 'export.v1'").await;
    let gone = acme.ask(&office, ExportWhat::Requests, ExportFormat::Csv, everything()).await;
    office.sql(&format!("DELETE FROM queue.job WHERE key = '{gone}'")).await;
    office.work().await;
    let swept = office.run("exports.v1").await;
    assert_eq!(swept.job.progress, Some(json!({"asked": 2, "ended": 1, "expired": 0, "files": 0})));
    for id in [never, gone] {
        assert_eq!(acme.ended(&office, id).await.state, ExportState::Done);
    }
    let export = acme.ended(&office, dead).await;
    assert_eq!((export.state, export.problem.unwrap().code.as_str()), (ExportState::Failed, "internal"));
    office.close().await;
}

#[tokio::test]
async fn an_account_that_is_being_closed_gets_no_export() {
    let outside = Outside::open().await;
    let mut office = Office::closed(now()).await;
    let acme = Customer::of(&office, &outside).await;
    acme.calls(&office, 5).await;
    let id = acme.ask(&office, ExportWhat::Requests, ExportFormat::Csv, everything()).await;
    office.sql("UPDATE tenant SET closing_at = now()").await;
    office.work().await;
    assert_eq!(acme.ended(&office, id).await.state, ExportState::Cancelled);
    assert_eq!(acme.files(&office).await, 0);
    office.close().await;
}
