//! `docs/trust.md` as data. A test holds the served rows against the document's own; what does not parse is left out
//! here and missed there.

use std::path::Path;

use chrono::NaiveDate;

use super::{Promise, PromiseArea, PromiseState, Proof};

const TEXT: &str = include_str!("../../../docs/trust.md");

/// The whole list.
pub(super) struct Document {
    pub(super) last_change: NaiveDate,
    pub(super) areas: Vec<PromiseArea>,
}

pub(super) fn read() -> Document {
    let mut areas: Vec<PromiseArea> = Vec::new();
    for line in TEXT.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            // `A. Access to …`: the letter is in the rows' numbers.
            let title = title.split_once(". ").map_or(title, |(_, title)| title);
            areas.push(PromiseArea { title: title.to_owned(), promises: Vec::new() });
        } else if let (Some(area), Some(promise)) = (areas.last_mut(), promise(line)) {
            area.promises.push(promise);
        }
    }
    areas.retain(|area| !area.promises.is_empty());
    let day = TEXT.lines().find_map(|line| line.strip_prefix("Last change of a row: "));
    let day = day.and_then(|rest| rest.split('.').next()).and_then(|day| day.parse().ok());
    Document { last_change: day.unwrap_or_default(), areas }
}

/// A row of one of the tables: with a number and a state, or of what holds besides.
fn promise(line: &str) -> Option<Promise> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").map(str::trim).collect();
    let (id, promise, state, kept_by, proofs, mutants) = match cells.as_slice() {
        ["#" | "promise", ..] => return None,
        [id, promise, state, kept_by, proofs, mutants] => {
            (Some((*id).to_owned()), promise, self::state(state)?, kept_by, proofs, quoted(mutants))
        }
        [promise, kept_by, proofs] => (None, promise, PromiseState::Kept, kept_by, proofs, Vec::new()),
        _ => return None,
    };
    let kept_by = if *kept_by == "–" { "" } else { kept_by };
    Some(Promise {
        id,
        promise: (*promise).to_owned(),
        state,
        kept_by: kept_by.to_owned(),
        proofs: proofs_of(proofs),
        mutants,
    })
}

fn state(word: &str) -> Option<PromiseState> {
    Some(match word {
        "kept" => PromiseState::Kept,
        "partly" => PromiseState::Partly,
        "being built" => PromiseState::BeingBuilt,
        "not built" => PromiseState::NotBuilt,
        _ => return None,
    })
}

fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// `path.rs`: `first_test`, `second_test`; `other/path.rs`: `third_test`.
fn proofs_of(cell: &str) -> Vec<Proof> {
    let mut proofs: Vec<Proof> = Vec::new();
    for word in quoted(cell) {
        let is_file = word.contains('/') && Path::new(&word).extension().is_some();
        match proofs.last_mut() {
            _ if is_file => proofs.push(Proof { file: word, tests: Vec::new() }),
            Some(proof) => proof.tests.push(word),
            None => {}
        }
    }
    proofs
}
