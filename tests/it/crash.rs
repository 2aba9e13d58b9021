//! `kill -9` at random moments under load: the vendor's log says what was answered, and the ledger must agree.
//! `COSTLENS_CRASH_ROUNDS=200` makes the long form of it.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use costlens_tests::actors::Program;
use costlens_tests::app::TestApp;
use costlens_tests::fake_llm::Line;
use costlens_tests::judge::judge;
use costlens_tests::load::{self, Called, Load};
use costlens_tests::{eventually, place, run};

async fn set_up(app: &TestApp) -> (Program, Line) {
    let owner = app.owner("Crashes").await;
    let line = load::line(&app.llm);
    owner.connect_both(&line).await;
    (owner.create_key("load").await, line)
}

/// A sequence that looks random and is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Loads the server, kills it so long after so many answers, and gives what the clients remember.
async fn load_and_kill(
    app: &mut TestApp,
    program: &Program,
    line: &Line,
    answers: u64,
    then: Duration,
) -> Vec<Called> {
    let before = line.log().len();
    let load = Load::start(&program.at(&app.base_url()), 8);
    eventually("load to kill the server under", async || {
        let answered = line.log()[before..].iter().filter(|heard| heard.was_answered()).count();
        (answered as u64 >= answers).then_some(())
    })
    .await;
    tokio::time::sleep(then).await;
    app.kill();
    load.finish().await
}

#[test]
fn no_answered_call_is_lost_doubled_or_changed_by_kills_under_load() {
    run(async {
        let rounds = place::number("COSTLENS_CRASH_ROUNDS", 6);
        let mut chance = Chance(place::number("COSTLENS_CRASH_SEED", 20_261_122));
        let mut app = TestApp::own(&[]);
        let (program, line) = set_up(&app).await;
        let mut calls = Vec::new();
        for round in 0..rounds {
            let (answers, then) = (5 + chance.below(40), Duration::from_millis(chance.below(40)));
            calls.extend(load_and_kill(&mut app, &program, &line, answers, then).await);
            if round % 3 == 2 {
                // What a write that was never finished leaves behind the last whole record.
                tear(&app.spool_dir(), &Tear::Garbage);
            }
            app.start();
        }
        let verdict = judge(&program.at(&app.base_url()), &line, &calls, 0).await;
        eprintln!("{rounds} kills: {verdict:?}");
        assert!(verdict.answered as u64 >= rounds * 3, "there was hardly any load: {verdict:?}");
        assert!(verdict.interrupted > 0, "no kill met a call in the middle: {verdict:?}");
    });
}

#[test]
fn a_torn_last_record_costs_that_record_alone() {
    run(async {
        let mut app = TestApp::own(&[]);
        let (program, line) = set_up(&app).await;
        let calls = load_and_kill(&mut app, &program, &line, 20, Duration::from_millis(7)).await;
        tear(&app.spool_dir(), &Tear::Last);
        app.start();
        let verdict = judge(&program.at(&app.base_url()), &line, &calls, 1).await;
        assert!(verdict.answered >= 10, "{verdict:?}");
    });
}

#[test]
fn a_clean_stop_ships_everything_and_leaves_nothing_behind() {
    run(async {
        let mut app = TestApp::own(&[]);
        let (program, line) = set_up(&app).await;
        let load = Load::start(&program, 8);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let calls = load.finish().await;
        app.stop();
        app.start();
        let verdict = judge(&program.at(&app.base_url()), &line, &calls, 0).await;
        assert_eq!((verdict.completed, verdict.interrupted), (calls.len(), 0), "{verdict:?}");
    });
}

enum Tear {
    /// Bytes that are no record, behind the last one.
    Garbage,
    /// The last record's own last bytes are gone.
    Last,
}

/// Damages the end of the newest segment, as a power cut in the middle of a write does.
fn tear(spool: &Path, how: &Tear) {
    let segments = std::fs::read_dir(spool).unwrap().flatten().map(|entry| entry.path());
    let newest = segments.filter(|path| path.metadata().unwrap().len() > 4_096).max();
    let newest = newest.unwrap_or_else(|| panic!("no segment in {}", spool.display()));
    let mut file = std::fs::File::options().read(true).write(true).open(&newest).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    // Segments are allocated ahead: the last byte that is not zero is the last record's.
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let (at, with): (usize, &[u8]) = match how {
        Tear::Garbage => (end, b"\x07\x01half a record, and then the power went"),
        Tear::Last => (end - 5, &[0; 5]),
    };
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(with).unwrap();
}
