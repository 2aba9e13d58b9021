//! What is handed to reviewers: the evidence of each control, the filled questionnaire and the agreement on data
//! processing. None of them says more than `docs/trust.md` does, and so than the tests that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use costlens_tests::app::shared;
use costlens_tests::{place, run};
use serde_json::{Value, json};

use super::promises::{rows, tests_of, trust};

const QUESTIONNAIRE: &str = "docs/src/reference/questionnaire.md";
const AGREEMENT: &str = "docs/src/reference/data-processing.md";

fn text(path: &str) -> String {
    std::fs::read_to_string(place::repository().join(path)).unwrap()
}

fn evidence(arguments: &[&str]) {
    let root = place::repository();
    let output =
        Command::new(root.join("scripts/evidence")).args(arguments).current_dir(&root).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/evidence {arguments:?}: {said}");
}

/// A line of the evidence: a test of a control.
struct Line {
    /// Control, file and test.
    of: [String; 3],
    /// What its last run ended in, and when and at which commit it last passed.
    run: [String; 3],
}

/// A pack that is made in this folder.
fn pack(dir: &Path, record: &str) -> Vec<Line> {
    let folder = dir.join("pack");
    evidence(&["--record", record, "pack", folder.to_str().unwrap()]);
    let packed = std::fs::read_to_string(folder.join("controls.json")).unwrap();
    let packed: Value = serde_json::from_str(&packed).unwrap();
    let lines = packed["controls"].as_array().unwrap().iter().map(|line| {
        let words = |names: [&str; 3]| names.map(|name| line[name].as_str().unwrap().to_owned());
        Line {
            of: words(["control", "file", "test"]),
            run: words(["last_result", "last_green_at", "last_green_commit"]),
        }
    });
    let lines: Vec<Line> = lines.collect();
    let csv = std::fs::read_to_string(folder.join("controls.csv")).unwrap();
    assert_eq!(csv.lines().count(), lines.len() + 1, "the table has other lines");
    for paper in [QUESTIONNAIRE, AGREEMENT] {
        let name = Path::new(paper).file_name().unwrap();
        assert_eq!(std::fs::read_to_string(folder.join(name)).unwrap(), text(paper));
    }
    lines
}

#[test]
fn the_evidence_says_of_each_test_of_each_control_when_it_last_passed() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("runs.json").to_str().unwrap().to_owned();
    let note = |at: &str, commit: &str, log: &str| {
        let path = dir.path().join("log");
        std::fs::write(&path, log).unwrap();
        evidence(&["--record", &record, "--at", at, "--commit", commit, "note", path.to_str().unwrap()]);
    };
    note(
        "2026-11-20T10:00:00Z",
        "aaaa",
        "test tests::urls::only_https_passes ... ok\n\
         test tests::urls::credentials_queries_and_fragments_are_refused ... ok\n\
         test result: ok. 2 passed; 0 failed\n",
    );
    // One passes again, one fails, one fails in one of the two places that have its name, and of one nothing is told.
    note(
        "2026-11-20T12:00:00Z",
        "aabb",
        "test tests::urls::only_https_passes ... ok\n\
         test tests::urls::credentials_queries_and_fragments_are_refused ... ok\n\
         test tests::urls::the_operators_list_opens_exactly_what_it_names ... ok\n",
    );
    note(
        "2026-11-21T10:00:00Z",
        "bbbb",
        "test tests::urls::only_https_passes ... ok\n\
         test tests::urls::credentials_queries_and_fragments_are_refused ... FAILED\n\
         test one::shapes_that_parsers_disagree_on_are_refused ... FAILED\n\
         test other::shapes_that_parsers_disagree_on_are_refused ... ok\n",
    );
    let lines = pack(dir.path(), &record);

    let run = |test: &str| {
        let line = lines.iter().find(|line| line.of[2] == test).unwrap_or_else(|| panic!("no {test}"));
        line.run.each_ref().map(String::as_str)
    };
    assert_eq!(run("only_https_passes"), ["passed", "2026-11-21T10:00:00Z", "bbbb"]);
    let failed_since = ["failed", "2026-11-20T12:00:00Z", "aabb"];
    assert_eq!(run("credentials_queries_and_fragments_are_refused"), failed_since);
    assert_eq!(run("shapes_that_parsers_disagree_on_are_refused"), ["failed", "never", "never"]);
    let not_run_since = ["not run", "2026-11-20T12:00:00Z", "aabb"];
    assert_eq!(run("the_operators_list_opens_exactly_what_it_names"), not_run_since);
    assert_eq!(run("a_key_may_do_no_more_than_whoever_learns_its_secret"), ["never", "never", "never"]);

    // Every control is there, with every test that it names, and those that are not built without any.
    let mut expected = Vec::new();
    for row in rows(&trust()) {
        let tests = tests_of(&row.proven_by);
        if tests.is_empty() {
            expected.push([row.id.clone(), String::new(), String::new()]);
        }
        expected.extend(tests.into_iter().map(|(file, test)| [row.id.clone(), file, test]));
    }
    assert_eq!(lines.into_iter().map(|line| line.of).collect::<Vec<_>>(), expected);
    assert!(text("scripts/test").contains("scripts/evidence note"), "no run is noted");
}

/// A row of the questionnaire: number, question, answer, and the controls that it rests on.
fn answers() -> Vec<(String, String, String, Vec<String>)> {
    let document = text(QUESTIONNAIRE);
    let lines = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| # |"));
    let rows = lines.filter_map(|line| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, question, answer, controls, how] = cells[..] else { return None };
        assert!(question.ends_with('?') && how.ends_with('.'), "{line}");
        let controls = controls.split(", ").filter(|control| *control != "–").map(str::to_owned).collect();
        Some((number.to_owned(), question.to_owned(), answer.to_owned(), controls))
    });
    rows.collect()
}

#[test]
fn no_answer_of_the_questionnaire_says_more_than_its_controls() {
    let rows = rows(&trust());
    let states: BTreeMap<&str, &str> = rows.iter().map(|row| (row.id.as_str(), row.state.as_str())).collect();
    let answers = answers();
    for (number, question, answer, controls) in &answers {
        let states: Vec<&str> = controls
            .iter()
            .map(|control| *states.get(control.as_str()).unwrap_or_else(|| panic!("{number}: no {control}")))
            .collect();
        let holds = match answer.as_str() {
            "Yes" => !states.is_empty() && states.iter().all(|state| *state == "kept"),
            "Partly" => {
                states.contains(&"partly") && states.iter().all(|state| ["kept", "partly"].contains(state))
            }
            "No" => states.iter().all(|state| ["not built", "being built"].contains(state)),
            "Operator" => states.is_empty(),
            other => panic!("{number}: `{other}` is no answer"),
        };
        assert!(
            holds,
            "{number} says {answer} to `{question}`, and its controls {controls:?} are {states:?}"
        );
    }
    let numbers: BTreeSet<&String> = answers.iter().map(|(number, ..)| number).collect();
    assert_eq!(numbers.len(), answers.len(), "a number stands twice");
    let domains: BTreeSet<&str> =
        answers.iter().filter_map(|(number, ..)| number.split_once('.')).map(|(domain, _)| domain).collect();
    let ccm = [
        "A&A", "AIS", "BCR", "CCC", "CEK", "DCS", "DSP", "GRC", "HRS", "IAM", "IPY", "IVS", "LOG", "SEF",
        "STA", "TVM", "UEM",
    ];
    assert_eq!(domains, BTreeSet::from(ccm));
    let (.., certificate, _) =
        answers.iter().find(|(_, question, ..)| question.contains("certificate")).unwrap();
    assert_eq!(certificate, "No");
}

#[test]
fn the_agreement_promises_what_is_kept_and_no_certificate() {
    let rows = rows(&trust());
    let agreement = text(AGREEMENT);
    let words = agreement.split(|c: char| !c.is_ascii_alphanumeric());
    let is_control = |word: &&str| {
        word.len() > 1
            && word.starts_with(|c: char| ('A'..='J').contains(&c))
            && word[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    let named: BTreeSet<&str> = words.filter(is_control).collect();
    assert!(named.len() > 25, "{named:?}");
    for control in named {
        let row =
            rows.iter().find(|row| row.id == control).unwrap_or_else(|| panic!("there is no {control}"));
        assert!(["kept", "partly"].contains(&row.state.as_str()), "{control} is {}", row.state);
    }
    for document in [&agreement, &text(QUESTIONNAIRE)] {
        assert!(document.contains("no certificate"), "a certificate is not denied");
        for claim in ["is certified", "are certified", "SOC 2 compliant", "GDPR compliant", "SOC 2 Type"] {
            assert!(!document.contains(claim), "`{claim}` is claimed");
        }
    }
}

#[test]
fn the_papers_are_to_be_had_without_signing_in() {
    run(async {
        for (path, file) in
            [("/trust/questionnaire.md", QUESTIONNAIRE), ("/trust/data-processing.md", AGREEMENT)]
        {
            let answer = shared().get(path).await.expect(200);
            assert_eq!(answer.header("content-type"), "text/markdown; charset=utf-8");
            assert_eq!(answer.text(), text(file));
            let page = text("console/src/screens/trust/trust-screen.tsx");
            assert!(page.contains(&format!("href=\"{path}\"")), "the trust page does not lead to {path}");
        }
        let served = shared().get("/api/v1/trust").await.expect(200).json();
        let all = served["areas"].as_array().unwrap().iter();
        let mut all = all.flat_map(|area| area["promises"].as_array().unwrap());
        assert_eq!(all.find(|promise| promise["id"] == "J3").unwrap()["state"], json!("kept"));
    });
}
