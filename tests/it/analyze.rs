//! `costlens analyze` as whoever has a bill and nothing else runs it: no server, no database, no account.

use std::path::Path;
use std::process::{Command, Output};

use costlens_tests::place;
use serde_json::Value;

use crate::imports::BILL;

fn analyze(file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(place::binary());
    command.env_clear().arg("analyze").arg(file).args(more);
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_bill_is_told_as_text_json_csv_or_one_page_and_a_pipe_carries_that_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("october.csv");
    std::fs::write(&file, BILL).unwrap();
    let text = told(&analyze(&file, &[]));
    assert!(text.contains("1.12") && text.contains("6.62") && !text.contains('\u{1b}'), "{text}");
    let json: Value = serde_json::from_str(&told(&analyze(&file, &["--json"]))).unwrap();
    let currency = &json["currencies"][0];
    assert_eq!(currency["currency"], "USD", "{json}");
    assert_eq!((&currency["total"], &currency["ai"]), (&"6.6200000001".into(), &"1.1200000001".into()));
    let csv = told(&analyze(&file, &["--csv"]));
    assert_eq!(csv.lines().count(), 1 + 2, "{csv}");
    let page = told(&analyze(&file, &["--html", "--cost", "net-amortised"]));
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    for foreign in ["<script src", "http://", "url("] {
        assert!(!page.contains(foreign), "the page wants something else: {foreign}");
    }
}

#[test]
fn the_exit_code_says_what_was_wrong_and_nothing_is_printed_that_could_be_taken_for_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let bill = write("october.csv", BILL);
    let no_bill = write("garbage.csv", "garbage;no,bill\n1,2\n");
    let cut = write("cut.csv", &BILL.replace("0.32", "0,3"));
    let costless = write("costless.csv", &BILL.replace("lineItem/UnblendedCost", "lineItem/Nothing"));
    for (file, more, code, says) in [
        (&bill, &["--top", "many"][..], 2, "--top"),
        (&bill, &["--json", "--csv"][..], 2, "cannot be used with"),
        (&costless, &[][..], 3, "cost"),
        (&no_bill, &[][..], 4, "garbage.csv"),
        (&cut, &[][..], 4, "cut.csv"),
        (&folder.path().join("nowhere.csv"), &[][..], 1, "nowhere.csv"),
    ] {
        let output = analyze(file, more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{}: {said}", file.display());
        assert!(said.contains(says), "{}: {said}", file.display());
        assert!(output.stdout.is_empty(), "{}", file.display());
    }
}
