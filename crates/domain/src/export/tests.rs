//! Cells that spreadsheets may open, amounts to the last digit, and the page that documents the columns.

use chrono::DateTime;

use super::*;
use crate::privacy::BodyState;
use crate::request::{CostBasis, Outcome, PriceReceipt, Provenance, RequestFact};
use crate::{ApiKeyId, RequestId, TenantId, Usage};

fn csv(cell: &Cell) -> String {
    let mut line = String::new();
    cell.put_csv(&mut line);
    line
}

fn fact(model: &str, cost: Option<&str>) -> RequestFact {
    let at = DateTime::from_timestamp_millis(1_763_800_000_123).unwrap();
    RequestFact {
        id: RequestId::new(at, [1; 10]),
        tenant_id: TenantId::new(at, [2; 10]),
        api_key_id: ApiKeyId::new(at, [3; 10]),
        connection_id: None,
        started_at: at,
        duration_ms: 12,
        first_byte_ms: None,
        provider: "openai".to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        model_requested: model.to_owned(),
        model_served: None,
        service_tier: None,
        streamed: false,
        status: None,
        outcome: Outcome::Failed,
        error_code: None,
        usage: Usage::default(),
        cost_basis: if cost.is_some() { CostBasis::Exact } else { CostBasis::Unpriced },
        cost: cost.map(|cost| cost.parse().unwrap()),
        price: PriceReceipt::default(),
        caller_request_id: None,
        provider_request_id: None,
        provenance: Provenance::default(),
        body: BodyState::None,
    }
}

/// The value of one column in each format.
fn told(fact: &RequestFact, name: &str) -> (String, serde_json::Value) {
    let cells = request_cells(fact);
    let place = REQUEST_COLUMNS.iter().position(|column| column.name == name).unwrap();
    let mut line = String::new();
    ExportFormat::Jsonl.put_row(&REQUEST_COLUMNS, &cells, &mut line);
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    (csv(&cells[place]), json[name].clone())
}

#[test]
fn no_text_that_somebody_chose_is_a_formula_and_each_can_be_had_back() {
    for text in
        ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "'", "＝1", "＋1", "－1", "＠x"]
    {
        let cell = csv(&Cell::Text(text.into()));
        let inside = cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap();
        assert_eq!(inside.replace("\"\"", "\"").strip_prefix('\''), Some(text), "{text:?}");
    }
    for (text, cell) in [
        ("gpt-4o", "gpt-4o"),
        ("a,b", "\"a,b\""),
        ("a;=1", "\"a;=1\""),
        ("say \"hi\"", "\"say \"\"hi\"\"\""),
        ("two\nlines", "\"two\nlines\""),
        ("", ""),
    ] {
        assert_eq!(csv(&Cell::Text(text.into())), cell);
    }
}

#[test]
fn an_amount_is_whole_and_one_that_is_unknown_is_empty() {
    let cost = "0.0010000000000001";
    assert_eq!(told(&fact("m", Some(cost)), "cost"), (cost.to_owned(), cost.into()));
    assert_eq!(told(&fact("m", Some("-2.50")), "cost"), ("-2.5".to_owned(), "-2.5".into()));
    assert_eq!(told(&fact("m", Some("0")), "cost"), ("0".to_owned(), "0".into()));
    assert_eq!(told(&fact("m", None), "cost"), (String::new(), serde_json::Value::Null));
    assert_eq!(told(&fact("m", None), "first_byte_ms"), (String::new(), serde_json::Value::Null));
    assert_eq!(told(&fact("m", None), "output"), ("0".to_owned(), 0.into()));
}

#[test]
fn a_row_has_a_cell_for_each_column_and_stays_one_line_of_json() {
    let fact = fact("=evil\"\n", Some("1"));
    let cells = request_cells(&fact);
    let mut line = ExportFormat::Csv.head(&REQUEST_COLUMNS);
    ExportFormat::Csv.put_row(&REQUEST_COLUMNS, &cells, &mut line);
    assert!(line.starts_with("id,started_at,duration_ms,"), "{line}");
    assert!(line.contains(",\"'=evil\"\"\n\","), "{line}");
    assert!(line.contains(",2025-11-22T08:26:40.123Z,12,,key_"), "{line}");
    let mut json = ExportFormat::Jsonl.head(&REQUEST_COLUMNS);
    ExportFormat::Jsonl.put_row(&REQUEST_COLUMNS, &cells, &mut json);
    assert_eq!(json.matches('\n').count(), 1, "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_object().unwrap().len(), REQUEST_COLUMNS.len());
    assert_eq!(json["model_requested"], "=evil\"\n");
}

#[test]
fn every_column_is_documented_in_these_words() {
    let page = include_str!("../../../../docs/src/reference/exports.md");
    let documented: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let all = REQUEST_COLUMNS.iter().chain(&SPEND_COLUMNS).chain(&CHARGEBACK_COLUMNS).chain(&FOCUS_COLUMNS);
    let wanted: Vec<String> = all.map(|column| format!("| `{}` | {} |", column.name, column.about)).collect();
    assert_eq!(documented, wanted);
}

#[test]
fn focus_has_every_column_that_the_specification_makes_mandatory() {
    // FOCUS 1.2, "Columns", feature level mandatory.
    for name in [
        "BilledCost",
        "BillingAccountId",
        "BillingAccountName",
        "BillingCurrency",
        "BillingPeriodEnd",
        "BillingPeriodStart",
        "ChargeCategory",
        "ChargeClass",
        "ChargeDescription",
        "ChargePeriodEnd",
        "ChargePeriodStart",
        "ContractedCost",
        "EffectiveCost",
        "InvoiceIssuerName",
        "ListCost",
        "PricingQuantity",
        "PricingUnit",
        "ProviderName",
        "PublisherName",
        "ServiceCategory",
        "ServiceName",
    ] {
        assert_eq!(FOCUS_COLUMNS.iter().filter(|column| column.name == name).count(), 1, "{name}");
    }
    let kind = |name: &str| FOCUS_COLUMNS.iter().find(|column| column.name == name).map(Column::kind);
    assert_eq!(kind("PricingCurrencyEffectiveCost"), Some(ColumnKind::Amount));
    assert_eq!(kind("ContractedUnitPrice"), Some(ColumnKind::Amount));
    assert_eq!(kind("ChargePeriodEnd"), Some(ColumnKind::Moment));
    assert_eq!(kind("x_CostBasis"), Some(ColumnKind::Text));
    assert_eq!(kind("x_Count"), Some(ColumnKind::Count));
}
