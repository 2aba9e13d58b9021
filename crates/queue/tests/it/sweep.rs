//! A run that is killed at every one of its writes, before and after each, once and twice, and is then what one that
//! was never killed is: every step, every push and every effect outside once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use costlens_queue::run::{self, CallFailed, Flow, NewRun, Reconciled, Run, Sent};
use costlens_queue::testing::{Side, WireTap, may_change};
use costlens_queue::{JobContext, JobError, Settings, Workers};
use diesel::sql_types::{Integer, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::children::{ChildWorker, larger};
use crate::postgres::{self, Db};
use crate::workers::{Probe, millis, probe, quick, secs};

/// Everything that a run can do, in one.
pub(crate) struct Walk;

impl Flow for Walk {
    const NAME: &'static str = "walk";
    const VERSION: u32 = 1;
    type Input = i32;
}

fn brisk() -> Settings {
    Settings { heartbeat: millis(50), grace: millis(200), ..quick() }
}

async fn noted(tx: &mut AsyncPgConnection, n: i32, phase: &str) -> Result<(), JobError> {
    diesel::sql_query("INSERT INTO ran (n, phase, worker) VALUES ($1, $2, 'walk')")
        .bind::<Integer, _>(n)
        .bind::<Text, _>(phase)
        .execute(tx)
        .await?;
    Ok(())
}

async fn walk(run: Run<Walk>, outside: String) -> Result<(), JobError> {
    run.job().enqueue(probe(1));
    let seven: i32 = run
        .step("one", async |tx| {
            run.job().enqueue(probe(2));
            noted(tx, 1, "one").await.map(|()| 7)
        })
        .await?;
    call(&run, &outside, "plain").await?;
    run.sleep("nap", millis(30)).await?;
    let mut own = run.job().queue().conn().await?;
    run.step_in(&mut own, "two", async |tx| {
        run.job().enqueue(probe(3));
        noted(tx, seven, "two").await
    })
    .await?;
    drop(own);
    // The second job's handler sends it.
    let answer: i32 = run.wait("go").await?;
    run.step("three", async |tx| noted(tx, answer, "three").await).await?;
    call(&run, &outside, "dropped").await?;
    run.wait_for::<i32>("never", millis(20)).await?;
    run.step("four", async |tx| noted(tx, 4, "four").await).await
}

/// Has something done outside that must not be done twice.
pub(crate) async fn call<F: Flow>(run: &Run<F>, outside: &str, key: &str) -> Result<Sent<String>, JobError> {
    let send = || async {
        match ask(outside, &format!("do {key}")).await {
            Ok(answer) => Ok(Sent { provider_id: Some(answer.clone()), value: answer }),
            Err(error) => Err(CallFailed::Unknown(JobError::retry(error))),
        }
    };
    let reconcile = |_| async {
        let answer = ask(outside, &format!("was {key}")).await.map_err(JobError::retry)?;
        Ok(match answer.as_str() {
            "no" => Reconciled::NotSent,
            id => Reconciled::Sent(Sent { provider_id: Some(id.to_owned()), value: id.to_owned() }),
        })
    };
    run.call("outside", key, send, reconcile).await
}

async fn ask(outside: &str, line: &str) -> std::io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(outside).await?);
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    if answer.is_empty() {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(answer.trim().to_owned())
    }
}

#[derive(diesel::QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: uuid::Uuid,
}

/// What the run pushes: an effect with its outcome, and for one of them a signal to the run.
async fn pushed(job: Probe, ctx: JobContext) -> Result<(), JobError> {
    let mut conn = ctx.queue().conn().await?;
    conn.transaction(async |tx| {
        diesel::sql_query("INSERT INTO effect VALUES ($1)").bind::<Integer, _>(job.n).execute(tx).await?;
        if job.n == 2 {
            let run: Id = diesel::sql_query("SELECT id FROM queue.run").get_result(tx).await?;
            run::signal(tx, run.id, "go", &5, None).await?;
        }
        ctx.complete_in(tx).await?;
        Ok(())
    })
    .await
}

/// The child: works until it is told to end.
pub(crate) async fn child(db: &Db, outside: &str) {
    let outside = outside.to_owned();
    let workers = Workers::new(db.queue(), "walker")
        .flow::<Walk, _, _>(brisk(), 2, move |run| walk(run, outside.clone()))
        .job(brisk(), 2, pushed);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    let told = async move {
        terminate.recv().await;
    };
    workers.run_until(told).await.unwrap();
}

/// The other side: it does what it is told every time that it is told, knows what it did, and loses its first answer
/// about some.
pub(crate) struct Outside {
    pub(crate) address: String,
    pub(crate) done: Arc<Mutex<HashMap<String, u32>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Outside {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let done = Arc::<Mutex<HashMap<String, u32>>>::default();
        let doing = Arc::clone(&done);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                if stream.read_line(&mut line).await.is_err() || !line.ends_with('\n') {
                    continue;
                }
                let (what, key) = line.trim().split_once(' ').unwrap();
                let times = {
                    let mut done = doing.lock().unwrap();
                    if what == "do" {
                        *done.entry(key.to_owned()).or_default() += 1;
                    }
                    done.get(key).copied().unwrap_or_default()
                };
                if what == "do" && key.starts_with("dropped") && times == 1 {
                    continue;
                }
                let answer = if times == 0 { "no\n".to_owned() } else { format!("id-of-{key}\n") };
                // Who asked may be dead by now.
                let _gone = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, done, task }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const ALL_DONE: &str = "EXISTS (SELECT FROM queue.run WHERE state = 'done') \
    AND NOT EXISTS (SELECT FROM queue.job WHERE status <> 'done')";

/// All but the claims, of which there are many and which write nothing but who runs what.
fn outcomes_and_effects(sql: &str) -> bool {
    may_change(sql) && !sql.contains("queue.claim(")
}

/// Lets a run be killed `times` at its n-th write. Where that was, if it had so many.
async fn killed_at(n: u64, side: Side, times: u32) -> Vec<String> {
    let db = Db::new().await;
    let tap = WireTap::start(&db.url).await.unwrap();
    tap.start_counting(if larger() { may_change } else { outcomes_and_effects });
    let outside = Outside::start().await;
    run::start(&mut db.conn().await, NewRun::<Walk>::of(1)).await.unwrap();
    let mut conn = db.conn().await;
    let mut number = async |sql: &str| postgres::number(&mut conn, sql).await;
    let all_done = format!("({ALL_DONE})::int");
    let mut hits = Vec::new();
    for _ in 0..times {
        let pid = Arc::new(OnceLock::<Pid>::new());
        let known = Arc::clone(&pid);
        tap.kill_at(n, side, move || kill_process(*known.wait(), Signal::KILL).unwrap());
        let tapped = Db { url: tap.url(&db.url) };
        let mut child = ChildWorker::start(&tapped, "walk", &outside.address);
        pid.set(child.pid()).unwrap();
        let begin = Instant::now();
        while child.lives() && number(&all_done).await == 0 {
            assert!(begin.elapsed() < secs(180), "{side:?} {n}: no end; {:#?}", tap.seen());
            tokio::time::sleep(millis(25)).await;
        }
        hits.extend(tap.hit());
    }
    // One that nobody kills, where there is anything left.
    if number(&all_done).await == 0 {
        let child = ChildWorker::start(&db, "walk", &outside.address);
        db.wait_for(ALL_DONE).await;
        child.send(Signal::TERM);
        assert_eq!(child.code().await, Some(0));
    }
    let what = format!("killed {} of {times} times {side:?} write {n}: {hits:?}", hits.len());
    let mut count = async |sql: &str| number(&format!("SELECT count(*) FROM {sql}")).await;
    for (phase, n) in [("one", 1), ("two", 7), ("three", 5), ("four", 4)] {
        assert_eq!(count(&format!("ran WHERE phase = '{phase}' AND n = {n}")).await, 1, "{what}: {phase}");
    }
    assert_eq!(count("ran").await, 4, "{what}");
    assert_eq!(
        (count("effect").await, count("(SELECT DISTINCT n FROM effect) AS d").await),
        (3, 3),
        "{what}"
    );
    assert_eq!(count("queue.job").await, 4, "{what}: the run and what it pushed");
    assert_eq!(
        count("queue.effect WHERE state = 'sent' AND result #>> '{}' = 'id-of-' || key").await,
        2,
        "{what}"
    );
    let done = outside.done.lock().unwrap().clone();
    let expected = [("plain", 1), ("dropped", 1)].map(|(key, times)| (key.to_owned(), times));
    assert_eq!(done, HashMap::from(expected), "{what}: outside");
    hits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_killed_before_or_after_any_of_its_writes_does_everything_once() {
    let begin = Instant::now();
    // As many writes as there are: a run that is not killed any more has fewer.
    let mut walks = Vec::new();
    for (side, times) in [(Side::After, 1), (Side::Before, 1), (Side::Before, 2), (Side::After, 2)] {
        let mut all = futures_util::stream::iter((1..200).step_by(every(side, times)))
            .map(move |n| async move { (n, killed_at(n, side, times).await) })
            .buffered(if (side, times) == (Side::After, 1) { 5 } else { 2 });
        let walk = async move {
            let mut kills = Vec::new();
            while let Some((_, hits)) = all.next().await {
                if hits.is_empty() {
                    return (side, times, kills);
                }
                kills.push(hits);
            }
            panic!("there is no end to its writes")
        };
        walks.push(tokio::spawn(walk));
    }
    for walk in walks {
        let (side, times, kills) = walk.await.unwrap();
        let hits: usize = kills.iter().map(Vec::len).sum();
        println!("{side:?} each of {} writes, up to {times} times in a row: {hits} kills", kills.len());
        assert!(kills.len() * every(side, times) >= 30, "{kills:#?}");
        if (side, times) == (Side::After, 1) {
            println!("{}", kills.iter().flatten().map(|sql| shortened(sql)).collect::<Vec<_>>().join("\n"));
        }
    }
    println!("in {:?}", Duration::from_millis(u64::try_from(begin.elapsed().as_millis()).unwrap()));
}

/// Every answer is lost once. To be killed before a write is hardly another thing than after the one before it, so that is
/// for a sample, and so is twice in a row, unless there is time.
fn every(side: Side, times: u32) -> usize {
    match (side, times) {
        _ if larger() => 1,
        (Side::After, 1) => 1,
        (Side::Before, 1) => 3,
        _ => 8,
    }
}

fn shortened(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().take(6).collect();
    format!("  {}", words.join(" "))
}
