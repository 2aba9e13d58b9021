//! Whether the ledger tells the truth, by the vendor's own log and the clients' own memory: no answered call lost,
//! none doubled, none with other tokens, and the hourly sums are the sums of the rows.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::actors::Program;
use crate::eventually;
use crate::fake_llm::Line;
use crate::load::{Called, Fate, tokens_of};

/// What a judgement counted, for people to read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Verdict {
    pub calls: usize,
    pub heard: usize,
    pub answered: usize,
    pub refused: usize,
    pub rows: usize,
    pub completed: usize,
    pub interrupted: usize,
    /// Answered calls whose record was torn off the disk.
    pub torn: usize,
}

/// Judges all rows of the program's tenant against everything that was called. `torn` records may be missing:
/// those that a test tore off the disk.
pub async fn judge(program: &Program, line: &Line, calls: &[Called], torn: usize) -> Verdict {
    let heard: HashSet<String> = line.log().iter().map(|heard| heard.caller_id().to_owned()).collect();
    let answered: HashSet<&str> =
        calls.iter().filter(|call| call.fate == Fate::Whole).map(|call| call.id.as_str()).collect();
    let rows = settled(program, &heard, torn).await;

    let mut by_caller: HashMap<&str, &Value> = HashMap::new();
    let mut ids = HashSet::new();
    for row in &rows {
        let id = row["caller_request_id"].as_str().unwrap();
        assert!(by_caller.insert(id, row).is_none(), "{id} has two rows");
        assert!(ids.insert(row["id"].as_str().unwrap()), "an id is doubled: {row}");
    }
    let mut verdict = Verdict {
        calls: calls.len(),
        heard: heard.len(),
        answered: answered.len(),
        refused: calls.iter().filter(|call| matches!(call.fate, Fate::Refused(..))).count(),
        rows: rows.len(),
        ..Verdict::default()
    };
    let known: HashSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
    for (id, row) in &by_caller {
        assert!(known.contains(id), "a row that nobody called for: {row}");
        let outcome = row["outcome"].as_str().unwrap();
        verdict.completed += usize::from(outcome == "completed");
        verdict.interrupted += usize::from(outcome == "interrupted");
        if row["cost_basis"] == "exact" && outcome != "failed" {
            let (tokens, usage) = (tokens_of(id), &row["usage"]);
            assert_eq!(usage["fresh_input"], tokens.fresh, "other tokens: {row}");
            assert_eq!(usage["output"], tokens.output, "other tokens: {row}");
        } else {
            assert!(!row["price"]["note"].is_null(), "an estimate says why: {row}");
        }
        if !heard.contains(*id) {
            assert!(matches!(outcome, "interrupted" | "failed"), "the vendor never heard of it: {row}");
        }
    }
    for id in &answered {
        assert!(heard.contains(*id), "{id} was answered by nobody");
        let row = by_caller.get(id);
        if row.is_some_and(|row| row["outcome"] == "completed" && row["cost_basis"] == "exact") {
            continue;
        }
        verdict.torn += 1;
        assert!(verdict.torn <= torn, "{id} was answered, and the ledger says {row:?}");
    }
    for call in calls.iter().filter(|call| matches!(call.fate, Fate::Refused(..))) {
        assert!(!heard.contains(&call.id), "{} was refused, and yet the vendor was called", call.id);
    }
    check_sums(program, &rows).await;
    verdict
}

/// All rows, once everything that the vendor heard has one and the number rests.
async fn settled(program: &Program, heard: &HashSet<String>, torn: usize) -> Vec<Value> {
    let mut last = 0;
    eventually("row of every call that the vendor heard", async || {
        let rows = program.rows().await;
        let told: HashSet<_> = rows.iter().filter_map(|row| row["caller_request_id"].as_str()).collect();
        let missing = heard.iter().filter(|id| !told.contains(id.as_str())).count();
        let rests = rows.len() == last;
        last = rows.len();
        if missing > torn || !rests {
            tokio::time::sleep(Duration::from_millis(300)).await;
            return None;
        }
        Some(rows)
    })
    .await
}

/// The hourly sums were updated exactly once with each row.
async fn check_sums(program: &Program, rows: &[Value]) {
    let total = program.get("/api/v1/spend/series?interval=hour").await.expect(200).json()["total"].clone();
    assert_eq!(total["requests"], rows.len(), "{total}");
    let cost = |row: &Value| row["cost"].as_str().map_or(Decimal::ZERO, |cost| cost.parse().unwrap());
    let sum: Decimal = rows.iter().map(cost).sum();
    assert_eq!(cost(&total).normalize(), sum.normalize(), "the sums are not those of the rows: {total}");
    for class in ["fresh_input", "output"] {
        let sum: u64 = rows.iter().map(|row| row["usage"][class].as_u64().unwrap()).sum();
        assert_eq!(total["usage"][class], sum, "{class}: {total}");
    }
}
