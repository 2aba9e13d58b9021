//! A bill labelled by hand, line by line: AI of every kind, and lines that only look like it.
//!
//! Every line has an account of its own, so that each can be held against its label.

use std::collections::BTreeMap;
use std::path::PathBuf;

use costlens_domain::bill::BillReport;

/// A line's label: verdict, service, model, meter.
type Label = [String; 4];

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/labelled.csv")
}

/// The labels by account, read without the code under test. The fixture quotes nothing.
fn labels() -> BTreeMap<String, Label> {
    let text = std::fs::read_to_string(fixture()).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let label = ["label/Verdict", "label/Service", "label/Model", "label/Meter"].map(at);
    let account = at("lineItem/UsageAccountId");
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(cells.len(), header.len(), "{line}");
            (cells[account].to_owned(), label.map(|at| cells[at].to_owned()))
        })
        .collect()
}

/// What the report says about each line; a line without a fact is no AI.
fn found(report: &BillReport) -> BTreeMap<String, Label> {
    let text = |fact: &costlens_domain::bill::DailyFact| {
        let class = &fact.class;
        [
            class.verdict.to_string(),
            class.service.to_string(),
            class.model.clone().unwrap_or_default(),
            class.meter.to_string(),
        ]
    };
    report.facts.iter().map(|fact| (fact.usage_account.to_string(), text(fact))).collect()
}

fn disagreements(labels: &BTreeMap<String, Label>, found: &BTreeMap<String, Label>) -> Vec<String> {
    let nothing: Label = ["not_ai", "", "", ""].map(str::to_owned);
    labels
        .iter()
        .filter_map(|(account, label)| {
            let found = found.get(account).unwrap_or(&nothing);
            (found != label).then(|| format!("line {account}: labelled {label:?}, found {found:?}"))
        })
        .collect()
}

#[tokio::test]
async fn every_line_is_what_its_label_says() {
    let labels = labels();
    let look_alikes = labels.values().filter(|label| label[0] == "not_ai").count();
    assert!(labels.len() >= 150 && look_alikes >= 60, "{} lines, {look_alikes} look-alikes", labels.len());
    let report = super::read(fixture()).await.unwrap();
    assert_eq!(report.lines, u64::try_from(labels.len()).unwrap());
    let wrong = disagreements(&labels, &found(&report));
    assert!(wrong.is_empty(), "{} of {} lines:\n{}", wrong.len(), labels.len(), wrong.join("\n"));
}

#[tokio::test]
async fn calling_everything_ai_or_nothing_fails() {
    let labels = labels();
    let nothing = BTreeMap::new();
    assert!(disagreements(&labels, &nothing).len() >= 90);
    let everything: BTreeMap<String, Label> = labels
        .keys()
        .map(|account| (account.clone(), ["ai", "bedrock", "", "fresh_input"].map(str::to_owned)))
        .collect();
    assert!(disagreements(&labels, &everything).len() >= 150);
}

#[tokio::test]
async fn what_no_rule_knows_is_kept_and_named() {
    let report = super::read(fixture()).await.unwrap();
    let mut unclear: Vec<&str> = report.unclassified().map(|fact| fact.usage_type.as_ref()).collect();
    unclear.sort_unstable();
    assert_eq!(unclear, ["USE1-Unheard-Of-Thing", "USE1-Zebra9-input-tokens"]);
}
