//! What a key's durability promises about the moment at which an answer is whole.

use std::time::{Duration, Instant};

use costlens_tests::actors::{CHAT, call_id};
use costlens_tests::app::{TestApp, shared};
use costlens_tests::run;
use serde_json::json;

/// No answer waits for the database for less than this, where that hangs.
const BOUND: Duration = Duration::from_secs(1);

const HELLO: &str = r#"{"model":"demo/echo","messages":[{"role":"user","content":"Hello"}]}"#;

#[test]
fn with_database_durability_the_row_is_there_when_the_answer_is() {
    run(async {
        let owner = shared().owner("Durable").await;
        let key = owner.create_key_with(json!({"name": "ci", "durability": "database"})).await;
        for _ in 0..5 {
            let id = call_id();
            let begun = Instant::now();
            key.post(CHAT, &id, HELLO).await.expect(200);
            let waited = begun.elapsed();
            // Asked once, at once: nothing may be left to wait for. (The wait is bounded: an answer that took so long
            // may have come without the row.)
            let is_there = key.rows().await.iter().any(|row| row["caller_request_id"] == id.as_str());
            assert!(is_there || waited >= BOUND, "{id} is not there yet");
        }
    });
}

#[test]
fn only_database_durability_waits_for_a_database_that_hangs() {
    run(async {
        let app = TestApp::own(&[]);
        let owner = app.owner("Hanging").await;
        let mut keys = Vec::new();
        for durability in ["spool", "fsync", "database"] {
            let key = owner.create_key_with(json!({"name": durability, "durability": durability})).await;
            keys.push(key);
        }
        // Known keys are served from memory.
        for key in &keys {
            key.post(CHAT, &call_id(), HELLO).await.expect(200);
        }
        app.signal_postgres("STOP");
        let mut took = Vec::new();
        for key in &keys {
            let begun = Instant::now();
            let answer = key.post(CHAT, &call_id(), HELLO).await;
            took.push((answer.status, begun.elapsed()));
        }
        app.signal_postgres("CONT");
        let [(spool, quick), (fsync, synced), (database, waited)] = took.as_slice() else {
            panic!("{took:?}")
        };
        // The wait is bounded, and the spool holds the row: the answer comes all the same.
        assert_eq!((*spool, *fsync, *database), (200, 200, 200));
        assert!(*waited >= BOUND, "the answer did not wait for the database: {took:?}");
        assert!(quick < waited && synced < waited, "{took:?}");
        for key in &keys {
            costlens_tests::eventually("both rows of each key", async || {
                let rows = key.rows().await;
                (rows.iter().filter(|row| row["api_key_id"] == key.key_id.as_str()).count() == 2)
                    .then_some(())
            })
            .await;
        }
    });
}
