//! `docs/trust.md` holds every promise once, by its number, with what proves it: the tests that it names are there,
//! and so are the mutants, deliberate breakages that those tests must kill. `scripts/mutants` runs them; here each is
//! only held against the sources, so that one that rots is noticed at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use costlens_tests::place;

/// The promises by their numbers: an area's letter and how many there are.
const AREAS: &[(char, u8)] =
    &[('A', 5), ('B', 5), ('C', 2), ('D', 7), ('E', 11), ('F', 6), ('G', 5), ('H', 8), ('J', 5), ('I', 11)];

/// How far a promise may be.
const STATES: &[&str] = &["kept", "partly", "being built", "not built"];

/// The promises that are not built yet. What was built once stays built: nothing else may say so.
const MAY_BE_UNBUILT: &[&str] = &["B2", "C2", "D1", "D2", "D3", "D4", "D6", "H5", "I4", "I8", "I9"];

/// Whether a part of a promise may not be built yet.
fn may_be_unfinished(id: &str) -> bool {
    MAY_BE_UNBUILT.contains(&id) || ["B1", "H3"].contains(&id) || id.starts_with(['A', 'D', 'I'])
}

/// Rows that need a test and a mutant as soon as they are kept.
fn needs_a_mutant(id: &str) -> bool {
    let listed = ["B3", "B4", "B5", "C1", "H1", "H2", "H4", "H6", "H7", "H8"].contains(&id);
    listed || id.starts_with(['E', 'F', 'G', 'J'])
}

pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) promise: String,
    pub(crate) state: String,
    pub(crate) kept_by: String,
    pub(crate) proven_by: String,
    pub(crate) mutants: BTreeSet<String>,
}

pub(crate) fn trust() -> String {
    std::fs::read_to_string(place::repository().join("docs/trust.md")).unwrap()
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split(" | ").map(str::trim).collect()
}

/// The numbered rows.
pub(crate) fn rows(text: &str) -> Vec<Row> {
    let numbered = |first: &str| {
        let mut letters = first.chars();
        letters.next().is_some_and(|letter| letter.is_ascii_uppercase())
            && !letters.as_str().is_empty()
            && letters.all(|digit| digit.is_ascii_digit())
    };
    let rows = text.lines().filter(|line| line.starts_with('|')).map(cells);
    rows.filter(|cells| numbered(cells[0]))
        .map(|cells| {
            let [id, promise, state, kept_by, proven_by, mutants] = cells[..] else {
                panic!("{} has {} cells, not 6: no cell may hold ` | `", cells[0], cells.len())
            };
            Row {
                id: id.to_owned(),
                promise: promise.to_owned(),
                state: state.to_owned(),
                kept_by: kept_by.to_owned(),
                proven_by: proven_by.to_owned(),
                mutants: quoted(mutants).map(str::to_owned).collect(),
            }
        })
        .collect()
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The tests that a cell names: `path.rs`: `first_test`, `second_test`; `other/path.rs`: `third_test`.
pub(crate) fn tests_of(cell: &str) -> Vec<(String, String)> {
    let mut file = None;
    let mut found = Vec::new();
    for word in quoted(cell) {
        let is_file = Path::new(word)
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "ts" || extension == "tsx");
        if is_file && word.contains('/') {
            file = Some(word.to_owned());
        } else if let Some(file) = &file {
            found.push((file.clone(), word.to_owned()));
        } else {
            panic!("`{word}` stands before any file: {cell}");
        }
    }
    found
}

#[test]
fn every_promise_of_the_list_is_there_once() {
    let listed: Vec<String> =
        AREAS.iter().flat_map(|(area, most)| (1..=*most).map(move |n| format!("{area}{n}"))).collect();
    let found: Vec<String> = rows(&trust()).into_iter().map(|row| row.id).collect();
    assert_eq!(found, listed, "docs/trust.md holds each promise once, in this order");
}

#[test]
fn a_kept_promise_names_what_keeps_and_what_proves_it() {
    for row in rows(&trust()) {
        let Row { id, promise, state, kept_by, .. } = &row;
        assert!(STATES.contains(&state.as_str()), "{id}: `{state}` is no state");
        assert!(promise.ends_with('.') && promise.len() > 20, "{id} promises nothing: {promise}");
        if state != "kept" && state != "partly" {
            assert!(MAY_BE_UNBUILT.contains(&id.as_str()), "{id} is {state}, and no longer may be");
            continue;
        }
        assert!(state == "kept" || may_be_unfinished(id), "{id} is {state}, and must be kept whole");
        assert!(quoted(kept_by).next().is_some(), "{id} is {state}, and nothing keeps it");
        for place in quoted(kept_by) {
            assert!(place::repository().join(place).exists(), "{id} is kept by {place}, which is not there");
        }
        assert!(!tests_of(&row.proven_by).is_empty(), "{id} is {state}, and nothing proves it");
        assert!(!needs_a_mutant(id) || !row.mutants.is_empty(), "{id} is {state} and names no mutant");
    }
}

#[test]
fn every_test_that_a_promise_names_is_there() {
    let root = place::repository();
    let text = trust();
    let mut named = 0;
    for line in text.lines().filter(|line| line.starts_with('|')) {
        // The cell with the tests is the last of three, or the one before the mutants.
        let cells = cells(line);
        let Some(cell) = cells.get(if cells.len() == 6 { 4 } else { 2 }) else { continue };
        for (path, test) in tests_of(cell) {
            let code = std::fs::read_to_string(root.join(&path));
            let code = code.unwrap_or_else(|_| panic!("{path} is not there: {line}"));
            let is_rust = Path::new(&path).extension().is_some_and(|extension| extension == "rs");
            let spelled = if is_rust { format!("fn {test}(") } else { format!("\"{test}\"") };
            assert!(code.contains(&spelled), "{path} has no test `{test}`: {line}");
            named += 1;
        }
    }
    assert!(named > 100, "docs/trust.md names hardly any test");
}

/// A mutant: what it breaks, what must notice, and the change itself.
struct Mutant {
    name: String,
    patch: String,
}

impl Mutant {
    /// A line of the patch's head, before the change.
    fn head(&self, label: &str) -> Option<&str> {
        let head = self.patch.split("\ndiff --git ").next().unwrap();
        head.lines().find_map(|line| line.strip_prefix(label)).map(str::trim)
    }

    /// The files that it changes.
    fn files(&self) -> Vec<&str> {
        self.patch.lines().filter_map(|line| line.strip_prefix("--- a/")).collect()
    }
}

fn mutants() -> Vec<Mutant> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(place::repository().join("tests/mutants")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".patch") {
            let patch = std::fs::read_to_string(entry.path()).unwrap();
            found.push(Mutant { name: name.to_owned(), patch });
        }
    }
    assert!(found.len() > 10, "hardly any mutant");
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

#[test]
fn promises_and_mutants_name_each_other() {
    let rows = rows(&trust());
    let named: BTreeMap<&str, &str> =
        rows.iter().flat_map(|row| row.mutants.iter().map(|name| (name.as_str(), row.id.as_str()))).collect();
    let mutants = mutants();
    let there: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
    let missing: Vec<_> = named.keys().filter(|name| !there.contains(*name)).collect();
    assert!(missing.is_empty(), "docs/trust.md names mutants without a patch: {missing:?}");
    let idle: Vec<_> = there.iter().filter(|name| !named.contains_key(*name)).collect();
    assert!(idle.is_empty(), "no row of docs/trust.md names these mutants: {idle:?}");
    for mutant in &mutants {
        let Mutant { name, .. } = mutant;
        let id = named[name.as_str()];
        assert!(name.starts_with(&format!("{id}-")), "{name} stands in the row {id}");
        assert!(
            mutant.head("Breaks:").is_some_and(|what| what.len() > 10),
            "{name} does not say what it breaks"
        );
        // The test that kills it is one that the row names.
        let killer = mutant.head("Killed-by:").unwrap_or_else(|| panic!("{name} does not say what kills it"));
        let test = killer.split_whitespace().last().unwrap();
        let test = test.rsplit("::").next().unwrap();
        let row = rows.iter().find(|row| row.id == id).unwrap();
        let proves = tests_of(&row.proven_by).iter().any(|(_, proof)| proof == test);
        assert!(proves, "{name} is killed by `{test}`, which {id} does not name as its proof");
    }
}

#[test]
fn every_mutant_still_applies() {
    let root = place::repository();
    let mutants = mutants();
    let mut rotten = Vec::new();
    for mutant in &mutants {
        assert!(!mutant.files().is_empty(), "{} changes no file", mutant.name);
        let patch = root.join(format!("tests/mutants/{}.patch", mutant.name));
        let checked =
            Command::new("git").arg("-C").arg(&root).args(["apply", "--check"]).arg(&patch).output();
        match checked {
            Ok(checked) if checked.status.success() => {}
            Ok(checked) => {
                rotten.push(format!("{}: {}", mutant.name, String::from_utf8_lossy(&checked.stderr)));
            }
            // Without git: the lines that it takes for there are there, one after the other.
            Err(_) => rotten.extend(misplaced(&root, mutant)),
        }
    }
    assert!(rotten.is_empty(), "mutants that no longer apply; make them anew:\n{}", rotten.join("\n"));
}

/// The first piece of a patch whose old text is nowhere in its file.
fn misplaced(root: &Path, mutant: &Mutant) -> Option<String> {
    let mut text = String::new();
    let mut old = Vec::new();
    let is_there = |text: &str, old: &mut Vec<String>| {
        let there = old.is_empty() || text.contains(&old.join("\n"));
        old.clear();
        there
    };
    let mut inside = false;
    for line in mutant.patch.lines().chain(["@@"]) {
        if let Some(path) = line.strip_prefix("--- a/") {
            text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
            inside = false;
        } else if line.starts_with("@@") || line.starts_with("diff --git") {
            if !is_there(&text, &mut old) {
                return Some(format!("{}: its context is gone", mutant.name));
            }
            inside = line.starts_with("@@");
        } else if inside && let Some(kept) = line.strip_prefix([' ', '-']) {
            old.push(kept.to_owned());
        }
    }
    None
}

#[test]
fn a_patch_whose_context_is_gone_is_noticed_without_git_too() {
    let root = place::repository();
    for mutant in mutants() {
        assert_eq!(misplaced(&root, &mutant), None);
        let line = mutant.patch.lines().find(|line| line.starts_with('-') && !line.starts_with("---"));
        // What only adds has its place by the lines around it.
        let Some(line) = line else { continue };
        let other = Mutant { name: String::new(), patch: mutant.patch.replacen(line, "-no such line", 1) };
        assert!(misplaced(&root, &other).is_some(), "{}", mutant.name);
    }
}

/// What git says about the repository; `None` where there is no git, or no whole history.
fn git(arguments: &[&str]) -> Option<String> {
    let root = place::repository();
    let run = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if run(&["rev-parse", "--is-shallow-repository"])? != "false" {
        return None;
    }
    run(arguments)
}

#[test]
fn the_last_change_is_the_day_of_the_last_changed_row() {
    let text = trust();
    let stamp = text.lines().find_map(|line| line.strip_prefix("Last change of a row: "));
    let stamp = stamp.and_then(|rest| rest.split('.').next()).expect("no `Last change of a row: …`");
    let day = |text: &str| {
        let parts: Vec<i64> = text.split('-').map(|part| part.parse().unwrap()).collect();
        let [year, month, day] = parts[..] else { panic!("{text} is no day") };
        // Days since the first of March of the year 0, in the calendar that we use.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day
    };
    assert!(stamp.len() == 10 && day(stamp) > 0, "{stamp}");
    let Some(last) = git(&["log", "-1", "-G^[|] [A-J][0-9]", "--format=%as", "--", "docs/trust.md"]) else {
        eprintln!("no whole history here: not compared");
        return;
    };
    // A commit just after midnight, or in another zone, may be of the day after.
    if !last.is_empty() {
        let apart = day(stamp) - day(&last);
        assert!(apart.abs() <= 1, "a row was last changed on {last}: write `Last change of a row: {last}.`");
    }
}
