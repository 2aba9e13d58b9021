//! Kill -9 at random moments, judged by what the killed process had said.
//!
//! The test runs itself as a child that begins and completes calls at speed, ships them into a file, and prints
//! each call only after `begin` or `complete` returned. `COSTLENS_SPOOL_KILLS=200` makes it a long run.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use costlens_domain::RequestId;
use costlens_domain::request::{Durability, Outcome, RequestFact};

use super::super::{FactSink, SinkError};
use super::{completed, intent, open, quick, replay, small};

const CHILD: &str = "COSTLENS_SPOOL_CHILD";
const KILLS: &str = "COSTLENS_SPOOL_KILLS";

#[expect(clippy::disallowed_methods, reason = "how the parent tells its child what to do, in a test alone")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A ledger that survives its process: one line a row, appended. It forgets no id, because the judge reads all
/// of it; every seventh insert commits and loses its answer.
struct FileLedger {
    path: PathBuf,
    inserts: AtomicU64,
}

impl FileLedger {
    /// A killed append may have left half a line, which was never answered.
    fn recover(path: &Path) -> Self {
        let mut text = std::fs::read(path).unwrap_or_default();
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
        std::fs::write(path, text).unwrap();
        Self { path: path.to_owned(), inserts: AtomicU64::new(0) }
    }
}

#[async_trait]
impl FactSink for FileLedger {
    async fn insert(&self, facts: &[RequestFact]) -> Result<(), SinkError> {
        let mut lines = Vec::new();
        for fact in facts {
            serde_json::to_writer(&mut lines, fact).unwrap();
            lines.push(b'\n');
        }
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).unwrap();
        file.write_all(&lines).unwrap();
        match self.inserts.fetch_add(1, Ordering::Relaxed) % 7 {
            6 => Err(SinkError::Retry("the answer was lost".into())),
            _ => Ok(()),
        }
    }
}

/// The child's whole life, which ends by a kill (or after ten seconds, should its parent be gone).
fn live(work: &Path, round: u64) {
    let (spool, recovered) = open(small(&work.join("spool")));
    let ledger = Arc::new(FileLedger::recover(&work.join("ledger")));
    let _shipper = spool.start_shipper(recovered, ledger, quick());
    let say = |line: String| std::io::stdout().write_all(line.as_bytes()).unwrap();
    std::thread::scope(|threads| {
        for thread in 0..2 {
            let spool = &spool;
            threads.spawn(move || {
                let mut open = std::collections::VecDeque::new();
                let start = std::time::Instant::now();
                for step in 0.. {
                    let number = round * 10_000_000 + step * 10 + thread;
                    let ticket = spool.begin(&intent(number)).unwrap();
                    say(format!("\nbegun {number}\n"));
                    open.push_back((number, ticket));
                    if open.len() > 5 {
                        let (number, ticket) = open.pop_front().unwrap();
                        ticket.complete(completed(number), Durability::Spool).unwrap();
                        say(format!("\nended {number}\n"));
                    }
                    // Slow enough for the shipper to keep up, so that kills meet it at work too.
                    std::thread::sleep(Duration::from_micros(300));
                    if start.elapsed() > Duration::from_secs(10) {
                        return;
                    }
                }
            });
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_doubles_or_changes_a_call() {
    if let Some(child) = told(CHILD) {
        let (round, work) = child.split_once(' ').unwrap();
        live(Path::new(work), round.parse().unwrap());
        return;
    }
    let kills: u64 = told(KILLS).and_then(|kills| kills.parse().ok()).unwrap_or(20);
    let work = tempfile::tempdir().unwrap();
    let mut said: HashMap<u64, bool> = HashMap::new();
    for round in 1..=kills {
        // Any spread of moments will do; this one is the same in every run.
        let moment = Duration::from_millis(round * 7919 % 131);
        for (number, ended) in killed_after(work.path(), round, moment) {
            *said.entry(number).or_default() |= ended;
        }
    }
    let begun = said.len();
    let ended = said.values().filter(|ended| **ended).count();
    assert!(ended as u64 > kills, "the children hardly ran: {ended} calls ended in {kills} lives");

    drop(FileLedger::recover(&work.path().join("ledger")));
    let ledger = std::fs::read(work.path().join("ledger")).unwrap();
    let mut rows: Vec<RequestFact> =
        ledger.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let shipped_alive = rows.len();
    let (left, _) = replay(small(&work.path().join("spool"))).await;
    rows.extend(left);

    let mut judged: HashMap<RequestId, RequestFact> = HashMap::new();
    for row in rows {
        let before = judged.entry(row.id).or_insert_with(|| row.clone());
        assert_eq!(*before, row, "a call came twice with other figures: the ledger would have to choose");
    }
    for (number, ended) in &said {
        let row = judged.get(&intent(*number).id).unwrap_or_else(|| panic!("call {number} is lost"));
        match (ended, row.outcome) {
            (true, _) | (false, Outcome::Completed) => assert_eq!(*row, completed(*number)),
            (false, _) => assert_eq!(*row, intent(*number)),
        }
    }
    let unsaid = judged.len() - begun;
    assert!(unsaid as u64 <= 4 * kills, "{unsaid} calls that nobody began");
    println!(
        "{kills} kills: {begun} calls begun, {ended} ended, {shipped_alive} rows shipped by the children, 0 lost"
    );
}

/// Runs a child until its first word and a moment longer; what it said by then.
fn killed_after(work: &Path, round: u64, moment: Duration) -> Vec<(u64, bool)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "spool::tests::kills::no_kill_loses_doubles_or_changes_a_call"])
        .env(CHILD, format!("{round} {}", work.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = Vec::new();
    while !text.windows(6).any(|word| word == b"begun ") {
        assert!(out.read_until(b'\n', &mut text).unwrap() > 0, "the child died by itself");
    }
    let reading = std::thread::spawn(move || {
        out.read_to_end(&mut text).unwrap();
        text
    });
    std::thread::sleep(moment);
    child.kill().unwrap();
    child.wait().unwrap();
    let text = String::from_utf8(reading.join().unwrap()).unwrap();
    let whole = text.rfind('\n').map_or("", |last| &text[..last]);
    let told = |line: &str| {
        let (verb, number) = line.split_once(' ')?;
        let ended = match verb {
            "begun" => false,
            "ended" => true,
            _ => return None,
        };
        Some((number.parse().unwrap(), ended))
    };
    whole.lines().filter_map(told).collect()
}
