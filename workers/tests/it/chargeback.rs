//! A month is charged to whoever used it: each dollar once, to the last digit, and none under another's name.

use std::io::Read as _;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use costlens_domain::bill::{BillReport, Measure};
use costlens_domain::export::{ExportFormat, ExportWhat};
use costlens_domain::request::{CostBasis, RequestFact};
use costlens_domain::settlement::{Issuer, ResidualCode};
use costlens_domain::{ApiKeyId, BillId, Currency, ExportId};
use costlens_jobs::exports::{WriteExport, ask_to_write};
use costlens_objects::ObjectKey;
use costlens_store::testing::unlike_bytes;
use costlens_store::{
    Chargeback, ChargebackBy, ChargedSlice, IssuerBalance, MonthKey, NewBill, NewExport, RequestFilter,
    SpendFilter,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::Office;
use super::account::Account;
use super::outside::Outside;
use super::settlement::{Customer, MODEL, amount, line, october, october_bill, report};
use super::upkeep::now;

const MEASURES: [Measure; 3] = [Measure::Unblended, Measure::NetUnblended, Measure::Amortised];

fn team() -> ChargebackBy {
    ChargebackBy::Label("team".to_owned())
}

async fn charged(office: &Office, account: &Account, measure: Measure, by: &ChargebackBy) -> Chargeback {
    let key = MonthKey { month: october(), measure };
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let found = tx.chargeback(key, by, 100).await.unwrap();
    // What is promised of every chargeback.
    assert_eq!(found.total(), found.billed() + found.not_billed(), "{found:#?}");
    found
}

async fn label(office: &Office, account: &Account, key: ApiKeyId, team: &str) {
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    tx.replace_key_labels(key, &[("team", team), ("cost-centre", "4711")]).await.unwrap();
    tx.commit().await.unwrap();
}

fn of<'a>(found: &'a Chargeback, group: Option<&str>) -> &'a ChargedSlice {
    let slice = found.slices.iter().find(|slice| slice.group.as_deref() == group && !slice.is_rest);
    slice.unwrap_or_else(|| panic!("{group:?} has no row: {found:#?}"))
}

fn beside(found: &Chargeback, code: ResidualCode) -> Decimal {
    let sums = found.issuers.iter().flat_map(IssuerBalance::beside_calls);
    sums.filter(|sum| sum.code == code).map(|sum| sum.amount).sum()
}

/// The sum of a bill's own lines, by no code of the product's.
fn sum_of(bill: &BillReport, measure: Measure) -> Decimal {
    bill.facts
        .iter()
        .filter(|fact| fact.currency == Currency::USD)
        .filter_map(|fact| fact.cost(measure))
        .sum()
}

#[tokio::test]
async fn every_dollar_of_a_month_is_charged_once_and_what_no_call_caused_stands_alone() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let stranger = Account::open(&office, &outside, "Stranger").await;
    let customer = Customer::of(&office, &account).await;
    label(&office, &account, account.key, "Search").await;
    label(&office, &stranger, stranger.key, "Search").await;
    let mut euros = line("", "USE1-NovaPro-input-tokens", "Usage", 1_000, "7");
    euros.currency = "EUR".parse().unwrap();
    let mut bill = october_bill("1.00");
    bill.facts.push(euros);
    customer.bill(&bill, 0).await;
    customer.is_settled().await;

    for (measure, settled, unproxied) in
        [(Measure::Unblended, "0.00336", "0.8"), (Measure::NetUnblended, "0.003024", "0.72")]
    {
        for (by, rows) in [(team(), 1), (ChargebackBy::Key, 1), (ChargebackBy::Model, 2)] {
            let found = charged(&office, &account, measure, &by).await;
            assert_eq!(found.slices.len(), rows, "{found:#?}");
            let calls = found.calls();
            assert_eq!((calls.calls, calls.settled_calls, calls.unbilled_calls), (4, 3, 1), "{calls:?}");
            assert_eq!((calls.settled, calls.provisional), (amount(settled), Decimal::ZERO));
            // One call went through no connection whose issuer has a bill.
            assert_eq!((calls.unbilled, calls.estimated), (amount("3.00"), amount("3.00336")));
            assert_eq!(beside(&found, ResidualCode::Unproxied), amount(unproxied));
            assert_eq!(beside(&found, ResidualCode::Tax), Decimal::ONE);
            assert_eq!(found.billed(), sum_of(&bill, measure));
            assert_eq!(found.not_billed(), amount("3.00"));
            assert_eq!(found.other_currencies.len(), 1, "{found:#?}");
            assert!(!found.is_final());
        }
    }
    // A budget counts the same: what is settled, the estimate elsewhere, and what went around the proxy if it is to.
    let filter = SpendFilter {
        from: "2026-10-01T00:00:00Z".parse().unwrap(),
        to: "2026-11-01T00:00:00Z".parse().unwrap(),
        api_key_id: None,
        provider: None,
        model: None,
    };
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    for (unproxied, spent) in [(false, "3.003024"), (true, "3.723024")] {
        let counted = tx.budget_spend(&filter, unproxied).await.unwrap();
        assert_eq!((counted.spent, counted.estimated), (spent.parse().ok(), "3.00336".parse().ok()));
        // A day that the span cuts stays estimated.
        let cut = SpendFilter { from: "2026-10-05T01:00:00Z".parse().unwrap(), ..filter.clone() };
        let counted = tx.budget_spend(&cut, unproxied).await.unwrap();
        assert_eq!(counted.spent, counted.estimated, "{unproxied}");
    }
    let narrowed = SpendFilter { provider: Some("openai".to_owned()), ..filter };
    assert_eq!(tx.budget_spend(&narrowed, false).await.unwrap().spent, "3".parse().ok());
    drop(tx);

    let found = charged(&office, &account, Measure::Unblended, &team()).await;
    assert_eq!(of(&found, Some("Search")).calls.calls, 4);
    let by_key = charged(&office, &account, Measure::Unblended, &ChargebackBy::Key).await;
    assert!(of(&by_key, Some(&account.key.to_string())).name.is_some());
    let user = ChargebackBy::Label("user".to_owned());
    let by_user = charged(&office, &account, Measure::Unblended, &user).await;
    assert_eq!(of(&by_user, None).calls, of(&found, Some("Search")).calls, "no key has a user");

    // Nobody else has any of it, whoever is called the same.
    let others = charged(&office, &stranger, Measure::Unblended, &team()).await;
    assert_eq!((others.slices.len(), others.issuers.len(), others.total()), (0, 0, Decimal::ZERO));
    office.close().await;
}

#[tokio::test]
async fn calls_that_came_after_their_month_was_settled_have_their_estimate_and_the_rest_is_one_row() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let bill = october_bill("1.00");
    customer.bill(&bill, 0).await;
    customer.is_settled().await;
    let before = charged(&office, &account, Measure::Unblended, &ChargebackBy::Key).await;

    let other = office.db.create_key(account.tenant, [9; 32]).await.id;
    label(&office, &account, other, "Ads").await;
    let at: DateTime<Utc> = "2026-10-05T12:00:00Z".parse().unwrap();
    let late = |key: ApiKeyId, minutes: i64, cost: &str| RequestFact {
        api_key_id: key,
        connection_id: customer.calls[0].connection_id,
        provider: "openai_compatible".to_owned(),
        ..account.call(at + TimeDelta::minutes(minutes), MODEL, cost)
    };
    // The last one costs nobody knows what.
    let unpriced = RequestFact { cost: None, cost_basis: CostBasis::Unpriced, ..late(other, 2, "0") };
    account.spend(&office, &[late(account.key, 0, "0.5"), late(other, 1, "0.25"), unpriced]).await;

    let found = charged(&office, &account, Measure::Unblended, &ChargebackBy::Key).await;
    let own = &of(&found, Some(&account.key.to_string())).calls;
    assert_eq!((own.calls, own.settled_calls, own.settled), (5, 3, amount("0.00336")), "{own:?}");
    assert_eq!((own.unbilled_calls, own.unbilled), (2, amount("3.50")));
    let others = &of(&found, Some(&other.to_string())).calls;
    assert_eq!((others.calls, others.unbilled, others.unpriced_calls), (2, amount("0.25"), 1));
    assert_eq!((found.billed(), found.total()), (before.billed(), before.total() + amount("0.75")));
    let by_team = charged(&office, &account, Measure::Unblended, &team()).await;
    assert_eq!(of(&by_team, Some("Ads")).calls, *others);
    assert_eq!(of(&by_team, None).calls, *own);

    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let key = MonthKey { month: october(), measure: Measure::Unblended };
    let cut = tx.chargeback(key, &ChargebackBy::Key, 1).await.unwrap();
    let rows: Vec<_> = cut.slices.iter().map(|slice| (slice.is_rest, slice.group.is_some())).collect();
    assert_eq!(rows, [(false, true), (true, false)]);
    assert_eq!((cut.total(), cut.calls()), (found.total(), found.calls()));
    drop(tx);
    office.close().await;
}

#[tokio::test]
async fn a_day_that_the_bill_has_not_to_its_end_is_provisional_and_on_no_bill() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let at: DateTime<Utc> = "2026-10-20T09:00:00Z".parse().unwrap();
    let later = RequestFact {
        connection_id: customer.calls[0].connection_id,
        provider: "openai_compatible".to_owned(),
        ..account.call(at, MODEL, "0.00112")
    };
    account.spend(&office, &[later]).await;
    let bill = BillReport { last_day: NaiveDate::from_ymd_opt(2026, 10, 12), ..october_bill("1.00") };
    customer.bill(&bill, 0).await;
    customer.is_settled().await;
    for measure in MEASURES {
        let found = charged(&office, &account, measure, &ChargebackBy::Key).await;
        let calls = found.calls();
        assert_eq!((calls.settled_calls, calls.provisional_calls, calls.unbilled_calls), (3, 1, 1));
        assert!(calls.provisional > Decimal::ZERO, "{calls:?}");
        assert_eq!(found.issuers[0].late(), calls.provisional, "{found:#?}");
        assert_eq!(found.billed(), sum_of(&bill, measure));
        assert_eq!(found.not_billed(), calls.provisional + amount("3.00"));
    }
    office.close().await;
}

/// The settled export's rows, as lines.
async fn export(office: &Office, account: &Account, format: ExportFormat) -> Vec<Value> {
    let id = ExportId::new(now(), unlike_bytes());
    let filter = RequestFilter { to: Some(now()), ..RequestFilter::default() };
    let new = NewExport { id, what: ExportWhat::FocusSettled, format, filter, created_at: now() };
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    tx.create_export(&new).await.unwrap();
    ask_to_write(&mut tx, WriteExport { export: id, ask: 0 }, now()).await.unwrap();
    tx.commit().await.unwrap();
    let begun = std::time::Instant::now();
    loop {
        let found = office.parts.store.tenant(account.tenant).await.unwrap().export(id).await.unwrap();
        if !found.state.is_open() {
            let key: ObjectKey = found.object_key.as_deref().unwrap().parse().unwrap();
            let bytes = std::fs::read(office.parts.objects.fetch(&key).await.unwrap().path()).unwrap();
            let mut text = String::new();
            if format == ExportFormat::Parquet {
                text.push_str(str::from_utf8(&bytes).unwrap().strip_suffix("end\n").unwrap());
            } else {
                flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
            }
            return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        assert!(begun.elapsed() < crate::PATIENCE, "the export never ended");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The sum of a column over the dollars.
fn sum(rows: &[Value], column: &str) -> Decimal {
    let of = rows.iter().filter(|row| row["BillingCurrency"] == "USD");
    of.filter_map(|row| row[column].as_str()).map(amount).sum()
}

#[tokio::test]
async fn the_settled_export_has_each_dollar_of_both_sources_once() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let later = RequestFact {
        connection_id: customer.calls[0].connection_id,
        provider: "openai_compatible".to_owned(),
        ..account.call("2026-10-20T09:00:00Z".parse().unwrap(), MODEL, "0.00112")
    };
    account.spend(&office, &[later]).await;
    let mut euros = line("", "USE1-NovaPro-input-tokens", "Usage", 1_000, "7");
    euros.currency = "EUR".parse().unwrap();
    let mut bill = BillReport { last_day: NaiveDate::from_ymd_opt(2026, 10, 12), ..october_bill("1.00") };
    bill.facts.push(euros);
    // Before it is settled the bill stands with its own lines, and every call with its estimate.
    let new = NewBill { id: BillId::new(now(), unlike_bytes()), name: "early".to_owned(), created_at: now() };
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    tx.import_bill(&new, &bill).await.unwrap();
    tx.commit().await.unwrap();
    let rows = export(&office, &account, ExportFormat::Jsonl).await;
    assert_eq!(sum(&rows, "BilledCost"), sum_of(&bill, Measure::NetUnblended), "{rows:#?}");
    assert!(rows.iter().all(|row| row["x_CostBasis"] == "billed" || row["x_CostBasis"] == "unbilled"));

    customer.bill(&bill, 1).await;
    customer.is_settled().await;
    let rows = export(&office, &account, ExportFormat::Jsonl).await;
    let unbilled = amount("3.00");
    assert_eq!(sum(&rows, "BilledCost"), sum_of(&bill, Measure::NetUnblended), "{rows:#?}");
    assert_eq!(sum(&rows, "ContractedCost"), sum_of(&bill, Measure::Unblended) + unbilled);
    assert_eq!(sum(&rows, "EffectiveCost"), sum_of(&bill, Measure::Amortised) + unbilled);
    // The price list's cost of all calls.
    assert_eq!(sum(&rows, "ListCost"), amount("3.00448"));
    let of = |name: &str, value: &str| rows.iter().filter(|row| row[name] == value).collect::<Vec<_>>();
    let [settled] = of("x_CostBasis", "settled")[..] else { panic!("{rows:#?}") };
    assert_eq!((&settled["x_Count"], &settled["BilledCost"]), (&json!(3), &json!("0.003024")));
    assert_eq!(of("x_CostBasis", "provisional").len(), 1);
    let [tax] = of("x_SettlementCode", "tax")[..] else { panic!("{rows:#?}") };
    assert_eq!((&tax["ChargeCategory"], &tax["BilledCost"]), (&json!("Tax"), &json!("1")));
    let [unproxied] = of("x_SettlementCode", "unproxied")[..] else { panic!("{rows:#?}") };
    assert_eq!(unproxied["x_Principal"], "arn:aws:iam::222222222222:user/alice");
    assert_eq!(of("BillingCurrency", "EUR").len(), 1);
    let [unbilled] = of("x_CostBasis", "unbilled")[..] else { panic!("{rows:#?}") };
    assert_eq!((&unbilled["BilledCost"], &unbilled["EffectiveCost"]), (&Value::Null, &json!("3")));

    let packed = export(&office, &account, ExportFormat::Parquet).await;
    assert_eq!(packed, rows, "the same rows, whatever the format");
    office.close().await;
}

#[tokio::test]
async fn a_commitment_whose_worth_no_line_tells_is_charged_as_it_was_billed() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let mut bill = october_bill("1.00");
    let known = sum_of(&bill, Measure::Amortised);
    let mut bought = line("", "USE1-NovaPro-input-tokens", "Purchase", 0, "13");
    bought.amortised = None;
    bill.facts.push(bought);
    customer.bill(&bill, 0).await;
    customer.is_settled().await;
    for measure in [Measure::Amortised, Measure::NetAmortised] {
        let found = charged(&office, &account, measure, &ChargebackBy::Key).await;
        assert_eq!(found.billed(), known + amount("13"), "{measure}");
        assert!(found.issuers[0].unsettled().is_zero(), "{found:#?}");
    }
    office.close().await;
}

#[tokio::test]
async fn a_bill_that_is_not_settled_yet_is_named_and_not_lost() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let new =
        NewBill { id: BillId::new(now(), unlike_bytes()), name: "october".to_owned(), created_at: now() };
    let bill = report(october_bill("1.00").facts);
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    tx.import_bill(&new, &bill).await.unwrap();
    tx.commit().await.unwrap();
    let found = charged(&office, &account, Measure::Unblended, &team()).await;
    let [only] = found.issuers.as_slice() else { panic!("{found:#?}") };
    assert_eq!((only.issuer, only.unsettled()), (Issuer::Aws, sum_of(&bill, Measure::Unblended)));
    assert!(!found.is_final());
    assert_eq!((found.slices.len(), found.not_billed()), (0, Decimal::ZERO));
    office.close().await;
}
