//! A surprise among calls is held against the bills that have those calls.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use costlens_domain::alerts::{BillVerdict, Surprise};
use costlens_domain::imports::vendors::BEDROCK;
use costlens_domain::request::RequestFact;
use costlens_domain::{AnomalyId, Currency, RequestId, TenantId};
use costlens_store::testing::unlike_bytes;
use costlens_store::{Anomaly, AnomalyOnBills, Cadence};
use rust_decimal::Decimal;
use serde_json::json;

use super::{Customer, MODEL, amount, line, report};
use crate::Office;
use crate::account::Account;
use crate::outside::Outside;
use crate::upkeep::now;

const UNBILLED: &str = "us.amazon.nova-lite-v1:0";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn surprise(
    office: &Office,
    tenant: TenantId,
    (series, cadence, hour): (&str, Cadence, &str),
    (expected, actual): (&str, &str),
) -> AnomalyId {
    let anomaly = Anomaly {
        id: AnomalyId::new(now(), unlike_bytes()),
        series: series.to_owned(),
        cadence,
        kind: "spike".to_owned(),
        hour: at(hour),
        detector: "a test".to_owned(),
        surprise: Surprise { expected: amount(expected), actual: amount(actual), currency: Currency::USD },
        contributors: json!([]),
        explanation: json!({ "parts": [], "contributors": [] }),
        changes: json!([]),
        found_at: now(),
        decision: None,
        on_bills: None,
    };
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    assert!(tx.create_anomaly(&anomaly).await.unwrap());
    tx.commit().await.unwrap();
    anomaly.id
}

#[tokio::test]
async fn a_surprise_among_calls_is_held_against_every_bill_that_has_them() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Surprised").await;
    // Three calls to Bedrock at nine, beside one to OpenAI for three dollars.
    let customer = Customer::of(&office, &account).await;
    let like = |call: &RequestFact, hours: i64, model: &str| {
        let started_at = call.started_at + TimeDelta::hours(hours);
        RequestFact {
            id: RequestId::new(started_at, unlike_bytes()),
            started_at,
            connection_id: call.connection_id,
            provider: BEDROCK.to_owned(),
            ..account.call(started_at, model, "0.00112")
        }
    };
    let first = &customer.calls[0];
    let calls = [like(first, -24, MODEL), like(first, 2, MODEL), like(first, 1, UNBILLED)];
    account.spend(&office, &calls).await;

    let of = |series: &str, cadence, hour: &str| (series.to_owned(), cadence, hour.to_owned());
    let model = format!("model:{MODEL}");
    let key = format!("key:{}", account.key);
    let mut ids = Vec::new();
    for (what, amounts) in [
        (of(&model, Cadence::Hour, "2026-10-05T09:00:00Z"), ("0.001", "0.00336")),
        (of(&model, Cadence::Day, "2026-10-05T00:00:00Z"), ("0.001", "0.00448")),
        (of(&key, Cadence::Hour, "2026-10-05T11:00:00Z"), ("0.0001", "0.00112")),
        (of(&format!("model:{UNBILLED}"), Cadence::Day, "2026-10-05T00:00:00Z"), ("0.0001", "0.00112")),
        // OpenAI's report is not read.
        (of(&key, Cadence::Hour, "2026-10-05T09:00:00Z"), ("0.001", "3.00336")),
        (of("total", Cadence::Day, "2026-10-05T00:00:00Z"), ("0.001", "3.00560")),
        (of(&format!("bill:{model}"), Cadence::Day, "2026-10-05T00:00:00Z"), ("0.001", "0.00448")),
    ] {
        ids.push(surprise(&office, account.tenant, (&what.0, what.1, &what.2), amounts).await);
    }
    let told = async || {
        let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
        let mut told: Vec<Option<AnomalyOnBills>> = Vec::new();
        for id in &ids {
            told.push(tx.anomaly(*id).await.unwrap().on_bills);
        }
        told
    };
    let words = |told: &[Option<AnomalyOnBills>]| -> Vec<Option<(BillVerdict, Decimal)>> {
        told.iter().map(|one| one.as_ref().map(|one| (one.verdict, one.billed.normalize()))).collect()
    };
    assert!(told().await.iter().all(Option::is_none));

    let gateway = "arn:aws:sts::222222222222:assumed-role/gateway/costlens";
    let bill = |[the_day_before, the_day]: [&str; 2]| {
        let at = |net: &str, day: u32, calls: u64| {
            [("input", 1_000, "0.0008"), ("output", 100, "0.00032")].map(|(kind, tokens, cost)| {
                let usage_type = format!("USE1-NovaPro-{kind}-tokens");
                let mut fact = line(gateway, &usage_type, "Usage", tokens * calls, cost);
                fact.day = fact.day.with_day(day).unwrap();
                fact.unblended *= Decimal::from(calls);
                fact.net_unblended = fact.unblended * amount(net);
                fact
            })
        };
        report([at(the_day_before, 4, 1), at(the_day, 5, 4)].concat())
    };
    let confirmed = |billed| Some((BillVerdict::Confirmed, amount(billed)));
    let lower = |billed| Some((BillVerdict::Lower, amount(billed)));
    let absent = Some((BillVerdict::Absent, Decimal::ZERO));
    customer.bill(&bill(["0.9", "0.9"]), 0).await;
    customer.is_settled().await;
    assert_eq!(
        words(&told().await),
        [confirmed("0.003024"), confirmed("0.004032"), confirmed("0.001008"), absent, None, None, None]
    );
    // Delivered again at a third of that: what was surprising lay in the estimates.
    customer.bill(&bill(["0.9", "0.3"]), 1).await;
    customer.is_settled().await;
    let billed = ["0.001008", "0.001344", "0.000336"];
    let lowered = billed.map(lower);
    assert_eq!(words(&told().await), [lowered[0], lowered[1], lowered[2], absent, None, None, None]);
    // But where that was the price the day before, too, it is a discount.
    customer.bill(&bill(["0.3", "0.3"]), 2).await;
    customer.is_settled().await;
    let stands = billed.map(confirmed);
    let after = told().await;
    assert_eq!(words(&after), [stands[0], stands[1], stands[2], absent, None, None, None]);
    // What has not changed is not said anew.
    office.set_clock(now() + TimeDelta::hours(1));
    office.run("settlement-nights.v1").await;
    office.quiet().await;
    customer.is_settled().await;
    assert_eq!(told().await, after);
    office.close().await;
}
