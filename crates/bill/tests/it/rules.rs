//! Cost rules: amortisation, split-cost rows, currencies, unknown line types, units.

use costlens_domain::bill::{Dimension, Measure, breakdown};
use rust_decimal::Decimal;

use super::read_text;

fn of(text: &str) -> Decimal {
    text.parse().unwrap()
}

const HEADER: &str = "bill/PayerAccountId,lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,lineItem/ProductCode,lineItem/UsageType,lineItem/Operation,lineItem/UsageAmount,lineItem/CurrencyCode,lineItem/UnblendedCost,lineItem/NetUnblendedCost,savingsPlan/SavingsPlanEffectiveCost,reservation/EffectiveCost,pricing/unit";

#[tokio::test]
async fn commitments_are_spread_over_what_they_cover() {
    let text = format!(
        "{HEADER}\n\
         1,2,SavingsPlanCoveredUsage,2026-10-01T00:00:00Z,AmazonSageMaker,USE1-Host:ml.g5.xlarge,,1,USD,10,,7,,Hrs\n\
         1,2,SavingsPlanNegation,2026-10-01T00:00:00Z,AmazonSageMaker,USE1-Host:ml.g5.xlarge,,1,USD,-10,,,,Hrs\n\
         1,2,DiscountedUsage,2026-10-01T00:00:00Z,AmazonSageMaker,USE1-Host:ml.g5.xlarge,,1,USD,0,,,3,Hrs\n\
         1,2,Usage,2026-10-01T00:00:00Z,AmazonSageMaker,USE1-Host:ml.g5.xlarge,,1,USD,5,4,,,Hrs\n"
    );
    let report = read_text("bill.csv", &text).await.unwrap();
    let sum = |measure| breakdown(report.facts.iter(), Dimension::Service, measure)[0].cost.unwrap();
    assert_eq!(sum(Measure::Unblended), of("5"));
    assert_eq!(sum(Measure::NetUnblended), of("4"), "the cost stands in where there is no net cost");
    assert_eq!(sum(Measure::Amortised), of("15"));
    assert_eq!(sum(Measure::NetAmortised), of("14"), "the discount is taken off the use that nothing covers");
    assert!(report.facts.iter().all(|fact| fact.list.is_none()), "no column says what the list would cost");
    let hours: Decimal = report.facts.iter().map(|fact| fact.usage_quantity).sum();
    assert_eq!(hours, of("3"), "a negation uses nothing");
}

#[tokio::test]
async fn container_rows_repeat_their_instance_and_stay_out_of_shares() {
    let text = format!(
        "{HEADER}\n\
         1,2,Usage,2026-10-01T00:00:00Z,AmazonEC2,USE1-BoxUsage:p5.48xlarge,RunInstances,1,USD,100,,,,Hrs\n\
         1,2,Usage,2026-10-01T00:00:00Z,AmazonEC2,USE1-BoxUsage:p5.48xlarge,EKSPod-EC2,1,USD,60,,,,Hrs\n\
         1,2,Usage,2026-10-01T00:00:00Z,AmazonEC2,USE1-BoxUsage:p5.48xlarge,ECSTask-EC2,1,USD,40,,,,Hrs\n"
    );
    let report = read_text("bill.csv", &text).await.unwrap();
    assert_eq!(report.totals[0].unblended, of("200"));
    assert_eq!(report.totals[0].split_cost, of("100"));
    let share = report.by_currency().into_values().next().unwrap();
    assert_eq!((share.total, share.candidate, share.ai), (of("100"), of("100"), of("0")));
}

#[tokio::test]
async fn two_currencies_are_two_sums() {
    let text = format!(
        "{HEADER}\n\
         1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,,1000,USD,1.5,,,,1K tokens\n\
         1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,,1000,EUR,2.5,,,,1K tokens\n\
         1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,,1000,,3.5,,,,1K tokens\n"
    );
    let report = read_text("bill.csv", &text).await.unwrap();
    let slices = breakdown(report.facts.iter(), Dimension::Model, Measure::Unblended);
    let told: Vec<(String, Decimal)> =
        slices.iter().map(|slice| (slice.currency.to_string(), slice.cost.unwrap())).collect();
    let wanted = [("EUR", "2.5"), ("USD", "1.5"), ("XXX", "3.5")];
    assert_eq!(told, wanted.map(|(currency, cost)| (currency.to_owned(), of(cost))));
    assert_eq!(report.totals.len(), 3);
}

#[tokio::test]
async fn one_currency_in_two_spellings_is_one_fact() {
    let text = format!(
        "{HEADER}\n\
         1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,,1000,USD,1.5,,,,1K tokens\n\
         1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,,1000,usd,2.5,,,,1K tokens\n"
    );
    let report = read_text("bill.csv", &text).await.unwrap();
    let facts: Vec<_> = report.facts.iter().map(|fact| (fact.unblended, fact.lines)).collect();
    assert_eq!(facts, [(of("4.0"), 2)]);
}

#[tokio::test]
async fn an_unknown_line_type_is_kept_and_named() {
    let text = format!(
        "{HEADER}\n1,2,GreenSurcharge,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,,1000,USD,1.5,,,,1K tokens\n"
    );
    let report = read_text("bill.csv", &text).await.unwrap();
    assert_eq!(
        report.unknown_line_types.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        ["GreenSurcharge"]
    );
    assert_eq!(report.facts[0].unblended, of("1.5"));
    assert_eq!(report.facts[0].amortised, Some(of("1.5")));
    assert_eq!(report.facts[0].tokens, None, "only use uses tokens");
}

#[tokio::test]
async fn tokens_follow_the_unit_and_are_unknown_without_one() {
    let text = format!(
        "{HEADER}\n\
         1,1,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,,2,USD,1,,,,1K tokens\n\
         1,2,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,,2,USD,1,,,,1M tokens\n\
         1,3,Usage,2026-10-01T00:00:00Z,AmazonBedrock,USE1-NovaPro-input-tokens,,2,USD,1,,,,\n"
    );
    let report = read_text("bill.csv", &text).await.unwrap();
    let tokens: Vec<Option<Decimal>> = report.facts.iter().map(|fact| fact.tokens).collect();
    assert_eq!(tokens, [Some(of("2000")), Some(of("2000000")), None]);
}

#[tokio::test]
async fn csv_sums_are_exact_also_in_e_notation() {
    let mut text = HEADER.to_owned();
    for _ in 0..3000 {
        text.push_str("\n1,2,Usage,2026-10-01T00:00:00Z,AmazonS3,x,,1,USD,0.1,,,,GB\n1,2,Usage,2026-10-01T00:00:00Z,AmazonS3,x,,1,USD,1.81E-8,,,,GB");
    }
    let report = read_text("bill.csv", &text).await.unwrap();
    assert_eq!(report.totals[0].unblended, of("300.0000543"));
    assert_eq!(report.totals[0].lines, 6000);
}
