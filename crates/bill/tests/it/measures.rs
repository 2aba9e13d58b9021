//! Every measure of every type of line, by hand: the same lines as legacy CUR, CUR 2.0 and FOCUS, as CSV and as Parquet.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use costlens_domain::bill::{BillReport, Measure, OtherCosts, ReportFormat};
use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use rust_decimal::Decimal;

use super::{read, read_text};

fn of(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The columns of texts: as legacy CSV spells them and as CUR 2.0 does.
const TEXTS: [[&str; 2]; 9] = [
    ["bill/PayerAccountId", "bill_payer_account_id"],
    ["lineItem/UsageAccountId", "line_item_usage_account_id"],
    ["lineItem/LineItemType", "line_item_line_item_type"],
    ["lineItem/UsageStartDate", "line_item_usage_start_date"],
    ["lineItem/ProductCode", "line_item_product_code"],
    ["lineItem/UsageType", "line_item_usage_type"],
    ["lineItem/CurrencyCode", "line_item_currency_code"],
    ["pricing/unit", "pricing_unit"],
    ["reservation/ReservationARN", "reservation_reservation_a_r_n"],
];

/// The columns of amounts, likewise.
const AMOUNTS: [[&str; 2]; 14] = [
    ["lineItem/UsageAmount", "line_item_usage_amount"],
    ["lineItem/UnblendedCost", "line_item_unblended_cost"],
    ["lineItem/NetUnblendedCost", "line_item_net_unblended_cost"],
    ["pricing/publicOnDemandCost", "pricing_public_on_demand_cost"],
    ["savingsPlan/SavingsPlanEffectiveCost", "savings_plan_savings_plan_effective_cost"],
    ["savingsPlan/NetSavingsPlanEffectiveCost", "savings_plan_net_savings_plan_effective_cost"],
    ["savingsPlan/TotalCommitmentToDate", "savings_plan_total_commitment_to_date"],
    ["savingsPlan/UsedCommitment", "savings_plan_used_commitment"],
    ["reservation/EffectiveCost", "reservation_effective_cost"],
    ["reservation/NetEffectiveCost", "reservation_net_effective_cost"],
    [
        "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod",
        "reservation_unused_amortized_upfront_fee_for_billing_period",
    ],
    [
        "reservation/NetUnusedAmortizedUpfrontFeeForBillingPeriod",
        "reservation_net_unused_amortized_upfront_fee_for_billing_period",
    ],
    ["reservation/UnusedRecurringFee", "reservation_unused_recurring_fee"],
    ["reservation/NetUnusedRecurringFee", "reservation_net_unused_recurring_fee"],
];

/// A line: its type, whether it names a reservation, and the amounts that it says, by the end of their CUR 2.0 names.
type Line = (&'static str, bool, &'static [(&'static str, &'static str)]);

const LINES: [Line; 12] = [
    ("Usage", false, &[("item_unblended_cost", "10"), ("net_unblended_cost", "9"), ("demand_cost", "12")]),
    (
        "SavingsPlanCoveredUsage",
        false,
        &[
            ("item_unblended_cost", "20"),
            ("net_unblended_cost", "20"),
            ("demand_cost", "20"),
            ("plan_savings_plan_effective_cost", "14"),
            ("net_savings_plan_effective_cost", "12.6"),
        ],
    ),
    (
        "SavingsPlanNegation",
        false,
        &[("item_unblended_cost", "-20"), ("net_unblended_cost", "-20"), ("demand_cost", "-20")],
    ),
    (
        "SavingsPlanRecurringFee",
        false,
        &[
            ("item_unblended_cost", "5"),
            ("net_unblended_cost", "4.5"),
            ("total_commitment_to_date", "5"),
            ("used_commitment", "4.2"),
        ],
    ),
    ("SavingsPlanUpfrontFee", false, &[("item_unblended_cost", "100"), ("net_unblended_cost", "90")]),
    (
        "DiscountedUsage",
        false,
        &[
            ("item_unblended_cost", "0"),
            ("net_unblended_cost", "0"),
            ("demand_cost", "8"),
            ("reservation_effective_cost", "5.5"),
            ("reservation_net_effective_cost", "4.95"),
        ],
    ),
    (
        "RIFee",
        true,
        &[
            ("item_unblended_cost", "50"),
            ("net_unblended_cost", "45"),
            ("reservation_unused_amortized_upfront_fee_for_billing_period", "1.25"),
            ("net_unused_amortized_upfront_fee_for_billing_period", "1.125"),
            ("reservation_unused_recurring_fee", "0.75"),
            ("net_unused_recurring_fee", "0.675"),
        ],
    ),
    ("Fee", true, &[("item_unblended_cost", "300"), ("net_unblended_cost", "270")]),
    ("Fee", false, &[("item_unblended_cost", "7"), ("net_unblended_cost", "6.3")]),
    ("Tax", false, &[("item_unblended_cost", "1.5"), ("net_unblended_cost", "1.5")]),
    ("Credit", false, &[("item_unblended_cost", "-2"), ("net_unblended_cost", "-2")]),
    ("EdpDiscount", false, &[("item_unblended_cost", "-1"), ("net_unblended_cost", "0")]),
];

/// What each type of line comes to: unblended, net, amortised, net amortised, list.
const WHOLE: [(&str, [&str; 5]); 11] = [
    ("Credit", ["-2", "-2", "-2", "-2", "0"]),
    ("DiscountedUsage", ["0", "0", "5.5", "4.95", "8"]),
    ("EdpDiscount", ["-1", "0", "-1", "0", "0"]),
    ("Fee", ["307", "276.3", "7", "6.3", "0"]),
    ("RIFee", ["50", "45", "2", "1.8", "0"]),
    ("SavingsPlanCoveredUsage", ["20", "20", "14", "12.6", "20"]),
    ("SavingsPlanNegation", ["-20", "-20", "0", "0", "0"]),
    ("SavingsPlanRecurringFee", ["5", "4.5", "0.8", "0.8", "0"]),
    ("SavingsPlanUpfrontFee", ["100", "90", "0", "0", "0"]),
    ("Tax", ["1.5", "1.5", "1.5", "1.5", "0"]),
    ("Usage", ["10", "9", "10", "9", "12"]),
];

/// How a bill is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    LegacyCsv,
    Cur2Csv,
    Cur2Parquet,
}

const WRITERS: [Writer; 3] = [Writer::LegacyCsv, Writer::Cur2Csv, Writer::Cur2Parquet];

fn is_plans(kind: &str) -> bool {
    matches!(kind, "SavingsPlanRecurringFee" | "SavingsPlanUpfrontFee" | "SavingsPlanNegation")
}

fn text_of(line: &Line, name: &str) -> String {
    let (kind, is_reserved, _) = line;
    match name {
        "line_item_line_item_type" => (*kind).to_owned(),
        "line_item_usage_start_date" => "2026-10-05T00:00:00Z".to_owned(),
        // The plan is a product of its own, on the lines of its fees and on those that take back what it covers.
        "line_item_product_code" if is_plans(kind) => "MachineLearningSavingsPlans".to_owned(),
        "line_item_product_code" => "AmazonSageMaker".to_owned(),
        "line_item_usage_type" if kind.ends_with("Fee") && is_plans(kind) => {
            "SageMakerSP:1yrPartialUpfront".to_owned()
        }
        "line_item_usage_type" => "USE1-Host:ml.g5.xlarge".to_owned(),
        "line_item_currency_code" => "USD".to_owned(),
        "pricing_unit" => "Hrs".to_owned(),
        "reservation_reservation_a_r_n" if *is_reserved => "arn:aws:ec2:…:reserved/1".to_owned(),
        "reservation_reservation_a_r_n" => String::new(),
        _ => "111111111111".to_owned(),
    }
}

fn amount_of(line: &Line, name: &str) -> &'static str {
    let found = line.2.iter().find(|(end, _)| name == *end || name.ends_with(&format!("_{end}")));
    found.map_or(if name == "line_item_usage_amount" { "1" } else { "" }, |(_, amount)| amount)
}

/// Writes the lines without the columns that `left_out` holds for.
#[expect(clippy::disallowed_types, reason = "Parquet exports carry amounts as binary numbers")]
fn write(writer: Writer, left_out: impl Fn(&str) -> bool, path: &Path) {
    let spelling = usize::from(writer != Writer::LegacyCsv);
    let amounts: Vec<[&str; 2]> = AMOUNTS.into_iter().filter(|[_, name]| !left_out(name)).collect();
    if writer == Writer::Cur2Parquet {
        let texts = TEXTS.map(|[_, name]| {
            let cells = LINES.iter().map(|line| Some(text_of(line, name)).filter(|text| !text.is_empty()));
            (name, Arc::new(cells.collect::<StringArray>()) as ArrayRef)
        });
        let payers = Arc::new(StringArray::from(vec!["payer"; LINES.len()])) as ArrayRef;
        let amounts = amounts.iter().map(|[_, name]| {
            let cells = LINES.iter().map(|line| amount_of(line, name).parse::<f64>().ok());
            (*name, Arc::new(cells.collect::<Float64Array>()) as ArrayRef)
        });
        let all = texts.into_iter().chain(amounts).chain([("bill_payer_account_name", payers)]);
        let batch = RecordBatch::try_from_iter_with_nullable(all.map(|(name, array)| (name, array, true)));
        let batch = batch.unwrap();
        // A row group for each line: some are of commitments and some are not.
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1)).build();
        let file = File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        return;
    }
    let mut header: Vec<&str> = TEXTS.iter().chain(&amounts).map(|names| names[spelling]).collect();
    if writer == Writer::Cur2Csv {
        header.push("bill_payer_account_name");
    }
    let mut out = header.join(",");
    for line in &LINES {
        let mut cells: Vec<String> = TEXTS.iter().map(|[_, name]| text_of(line, name)).collect();
        cells.extend(amounts.iter().map(|[_, name]| amount_of(line, name).to_owned()));
        if writer == Writer::Cur2Csv {
            cells.push("payer".to_owned());
        }
        out.push('\n');
        out.push_str(&cells.join(","));
    }
    std::fs::write(path, out + "\n").unwrap();
}

async fn bill(writer: Writer, left_out: impl Fn(&str) -> bool) -> BillReport {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(if writer == Writer::Cur2Parquet { "bill.parquet" } else { "bill.csv" });
    write(writer, left_out, &path);
    read(path).await.unwrap()
}

/// The AI by type of line and by measure, as the control totals have it; the facts must say the same.
fn by_type(report: &BillReport) -> BTreeMap<String, [Option<Decimal>; 5]> {
    let mut of_facts: BTreeMap<String, OtherCosts> = BTreeMap::new();
    for fact in &report.facts {
        of_facts.entry(fact.line_item_type.to_string()).or_default().add_fact(fact);
    }
    let told = report.totals.iter().map(|total| {
        let costs = total.ai_costs;
        assert_eq!(Some(&costs), of_facts.get(&*total.line_item_type), "{}", total.line_item_type);
        assert_eq!((total.unblended, total.candidate_costs), (total.ai, OtherCosts::default()));
        let all = [Some(total.ai), costs.net_unblended, costs.amortised, costs.net_amortised, costs.list];
        (total.line_item_type.to_string(), all.map(|cost| cost.map(|cost| cost.normalize())))
    });
    told.collect()
}

fn wanted(
    of_type: impl Fn([&'static str; 5]) -> [Option<&'static str>; 5],
) -> BTreeMap<String, [Option<Decimal>; 5]> {
    let lines = WHOLE.into_iter();
    lines.map(|(kind, costs)| (kind.to_owned(), of_type(costs).map(|cost| cost.map(of)))).collect()
}

#[tokio::test]
async fn every_type_of_line_has_its_five_costs_in_every_format() {
    for writer in WRITERS {
        let report = bill(writer, |_| false).await;
        let format = if writer == Writer::LegacyCsv { ReportFormat::LegacyCur } else { ReportFormat::Cur2 };
        assert_eq!(report.format, format, "{writer:?}");
        assert_eq!(by_type(&report), wanted(|costs| costs.map(Some)), "{writer:?}");
        let sums = Measure::ALL.map(|measure| {
            report.facts.iter().map(|fact| fact.cost(measure)).sum::<Option<Decimal>>().unwrap()
        });
        // By hand, over all twelve lines: 470.5 is billed, and the month is worth 34.95.
        assert_eq!(sums, ["470.5", "424.3", "37.8", "34.95", "40"].map(of), "{writer:?}");
    }
}

#[tokio::test]
async fn without_net_columns_each_net_cost_is_the_one_before_discounts() {
    for writer in WRITERS {
        let report = bill(writer, |name| name.contains("_net_")).await;
        let same = wanted(|[unblended, _, amortised, _, list]| {
            [unblended, unblended, amortised, amortised, list].map(Some)
        });
        assert_eq!(by_type(&report), same, "{writer:?}");
    }
}

#[tokio::test]
async fn without_a_list_price_it_is_unknown_and_never_zero() {
    for writer in WRITERS {
        let report = bill(writer, |name| name == "pricing_public_on_demand_cost").await;
        let unknown = wanted(|[unblended, net, amortised, net_amortised, _]| {
            [Some(unblended), Some(net), Some(amortised), Some(net_amortised), None]
        });
        assert_eq!(by_type(&report), unknown, "{writer:?}");
        assert!(report.facts.iter().all(|fact| fact.cost(Measure::List).is_none()), "{writer:?}");
    }
}

const FOCUS: &str = "BillingAccountId,SubAccountId,ChargeCategory,ChargePeriodStart,ServiceCategory,ServiceName,x_ServiceCode,x_UsageType,PricingQuantity,PricingUnit,BillingCurrency,BilledCost,EffectiveCost,ListCost,ContractedCost";

/// What FOCUS says of a charge: its category, and its four costs.
fn focus(lines: &[(&str, [&str; 4])]) -> String {
    let mut out = FOCUS.to_owned();
    for (category, costs) in lines {
        out.push_str("\n1,2,");
        out.push_str(category);
        out.push_str(",2026-10-05T00:00:00Z,AI and Machine Learning,Amazon SageMaker,AmazonSageMaker,USE1-Host:ml.g5.xlarge,1,Hrs,USD,");
        out.push_str(&costs.join(","));
    }
    out + "\n"
}

#[tokio::test]
async fn focus_bills_the_purchase_and_spreads_it_over_what_it_covers() {
    // Covered use, of which nothing is billed; use that nothing covers; the commitment, bought; a tax.
    let lines = [
        ("Usage", ["0", "7", "10", "9"]),
        ("Usage", ["5", "5", "6", "5.5"]),
        ("Purchase", ["500", "0", "500", "500"]),
        ("Tax", ["1", "1", "NULL", "1"]),
    ];
    let report = read_text("bill.csv", &focus(&lines)).await.unwrap();
    assert_eq!(report.format, ReportFormat::Focus);
    let told = by_type(&report);
    let costs = |costs: [&str; 5]| costs.map(|cost| Some(of(cost)));
    // Its effective cost is after all discounts, so that both amortised costs are it.
    assert_eq!(told["Usage"], costs(["5", "5", "12", "12", "16"]));
    assert_eq!(told["Purchase"], costs(["500", "500", "0", "0", "500"]));
    assert_eq!(told["Tax"], costs(["1", "1", "1", "1", "0"]));
    let used = report.facts.iter().find(|fact| &*fact.line_item_type == "Usage").unwrap();
    assert!(used.is_paid_by_commitment());
    assert_eq!(used.spread_cost(), of("12"));
}

#[tokio::test]
async fn focus_without_list_costs_knows_none() {
    let text = focus(&[("Usage", ["5", "4", "6", "5"]), ("Usage", ["1", "1", "NULL", "1"])]);
    let report = read_text("bill.csv", &text).await.unwrap();
    assert_eq!(by_type(&report)["Usage"][4], None, "one line does not say it");
    let report = read_text("bill.csv", &text.replace("ListCost", "x_Other")).await.unwrap();
    assert_eq!(by_type(&report)["Usage"][4], None);
    assert!(!report.facts[0].is_paid_by_commitment());
}

#[tokio::test]
async fn a_bill_has_invoices_once_every_line_with_a_cost_names_one() {
    let of = async |lines: &[(&str, &str, &str)]| {
        let mut text =
            "bill_payer_account_id,bill_invoice_id,line_item_line_item_type,line_item_usage_start_date,\
             line_item_product_code,line_item_usage_type,line_item_currency_code,line_item_unblended_cost\n"
                .to_owned();
        for (product, invoice, cost) in lines {
            writeln!(text, "1,{invoice},Usage,2026-10-03T00:00:00Z,{product},USE1-Pages,USD,{cost}").unwrap();
        }
        crate::read_text("bill.csv", &text).await.unwrap().has_invoices
    };
    let (ai, other) = ("AmazonTextract", "AmazonS3");
    assert!(
        of(&[(ai, "123", "1"), (ai, "", "0"), (other, "124", "5")]).await,
        "what costs nothing is on none"
    );
    assert!(!of(&[(ai, "123", "1"), (ai, "", "2")]).await, "a seller's own came first");
    assert!(!of(&[(ai, "123", "1"), (other, "", "5")]).await, "what is no AI is not closed yet");
    assert!(!of(&[(ai, "", "0")]).await, "nothing says anything");
}
