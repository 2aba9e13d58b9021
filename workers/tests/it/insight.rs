//! A tenant of ninety days is looked at in the night: what it is known to hold stands in the tables, once.

#![expect(clippy::indexing_slicing, reason = "a check stops at the first surprise")]

use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, TimeDelta, Utc};
use costlens_domain::bill::{BillReport, DailyFact, ReportFormat};
use costlens_domain::classify::RULES_VERSION;
use costlens_domain::imports::vendors::BEDROCK;
use costlens_domain::{BillId, TenantId, Usd};
use costlens_insight::stories::{Delivery, Tenant};
use costlens_jobs::insight::LookAtFacts;
use costlens_store::testing::unlike_bytes;
use costlens_store::{Cadence, NewBill};

use super::Office;
use super::settlement::line;

fn report(delivery: &Delivery) -> BillReport {
    let facts = delivery.facts.clone();
    let months = delivery.facts.iter().map(|fact| fact.day.with_day(1).unwrap());
    BillReport {
        format: ReportFormat::Cur2,
        files: Vec::new(),
        lines: 1,
        first_day: facts.iter().map(|fact| fact.day).min(),
        last_day: facts.iter().map(|fact| fact.day).max(),
        months: months.clone().min().zip(months.max()),
        has_invoices: false,
        rules_version: RULES_VERSION,
        totals: Vec::new(),
        facts,
        resources: Vec::new(),
        unknown_line_types: Vec::new(),
        skipped: Vec::new(),
    }
}

/// The rollup as the shipper would have left it.
async fn put_calls(office: &Office, tenant: TenantId, of: &Tenant) {
    for rows in of.calls.chunks(2_000) {
        let values: Vec<String> = rows
            .iter()
            .map(|row| {
                let usage = &row.usage;
                format!(
                    "('{}', '{}', '{}', '{}', '{}', 'completed', 'exact', {}, {}, {}, {}, 0, {}, 0, 0, 0, 0, {})",
                    tenant.uuid(),
                    row.hour.to_rfc3339(),
                    row.api_key_id.uuid(),
                    row.provider,
                    row.model,
                    row.requests,
                    usage.fresh_input,
                    usage.cache_read,
                    usage.cache_write_5m,
                    usage.output,
                    row.cost.unwrap_or(Usd::ZERO),
                )
            })
            .collect();
        office
            .sql(&format!(
                "INSERT INTO spend_hourly (tenant_id, hour, api_key_id, provider, model, outcome, cost_basis, requests, \
                 fresh_input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, audio_input, audio_output, \
                 web_searches, cost) VALUES {}",
                values.join(", ")
            ))
            .await;
    }
}

#[tokio::test]
async fn a_look_in_the_night_writes_down_once_what_the_facts_hold() {
    let of = Tenant::new(3, "2026-08-10".parse().unwrap());
    let now = of.end.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(6);
    let office = Office::open(now).await;
    let tenant = office.db.create_tenant("Acme").await;
    let mut last = None;
    for (n, delivery) in (0..).zip(&of.deliveries) {
        let mut tx = office.parts.store.tenant(tenant).await.unwrap();
        let created_at = now - TimeDelta::minutes(60 - n);
        let new =
            NewBill { id: BillId::new(created_at, unlike_bytes()), name: "a bill".to_owned(), created_at };
        let bill = tx.import_bill(&new, &report(delivery)).await.unwrap();
        tx.commit().await.unwrap();
        if replaces(&of, delivery) {
            last = Some(bill.id);
        }
    }
    put_calls(&office, tenant, &of).await;
    office.run("insight-nights.v1").await;
    office.quiet().await;
    // The same again, and for the bill that replaced another: what is known is written once.
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    let before =
        (tx.list_anomalies(None, 200).await.unwrap(), tx.list_insight_events(None, 200).await.unwrap());
    let look = LookAtFacts::after_bill(tenant, last.unwrap());
    costlens_jobs::ask(&mut tx, &look).await.unwrap();
    tx.commit().await.unwrap();
    office.quiet().await;
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    let anomalies = tx.list_anomalies(None, 200).await.unwrap();
    assert_eq!(anomalies, before.0);
    assert!(anomalies.iter().any(|one| one.series == "bill:category:sagemaker/inference"), "{anomalies:#?}");
    assert!(anomalies.iter().all(|one| one.cadence == Cadence::Day));
    let events = tx.list_insight_events(None, 200).await.unwrap();
    let mut kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["cache_turned_on", "first_endpoint", "month_restated", "price_changed", "shadow_use"]);
    assert_eq!(events.len(), before.1.len() + 1, "the restated month is told by its bill");
    let recommendations = tx.list_recommendations(false, 50).await.unwrap();
    let [idle] = &recommendations[..] else { panic!("{recommendations:#?}") };
    assert_eq!(idle.kind, "idle_endpoint");
    assert_eq!(idle.monthly_saving, "1013.76".parse().unwrap());
    // What somebody dismissed stays so when it is found again.
    tx.dismiss_recommendation(idle.id, (now, "somebody", "it is a spare")).await.unwrap();
    tx.commit().await.unwrap();
    office.set_clock(now + TimeDelta::days(1));
    office.run("insight-nights.v1").await;
    office.quiet().await;
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    assert_eq!(tx.list_recommendations(false, 50).await.unwrap(), []);
    assert_eq!(tx.list_recommendations(true, 50).await.unwrap().len(), 1);
    drop(tx);
    office.end().await;
}

/// Bills of a month each, one after the other, as rules of a version read them.
async fn put_bills<const N: usize>(
    office: &Office,
    tenant: TenantId,
    now: DateTime<Utc>,
    bills: [(Vec<DailyFact>, u32); N],
) {
    for (n, (facts, rules_version)) in (0..).zip(bills) {
        let days = facts.iter().map(|fact| fact.day);
        let (first_day, last_day) = (days.clone().min(), days.max());
        let month = first_day.map(|day| day.with_day(1).unwrap());
        let report = BillReport {
            first_day,
            last_day,
            months: month.zip(month),
            rules_version,
            ..super::settlement::report(facts)
        };
        let created_at = now - TimeDelta::minutes(60 - n);
        let new =
            NewBill { id: BillId::new(created_at, unlike_bytes()), name: "a bill".to_owned(), created_at };
        let mut tx = office.parts.store.tenant(tenant).await.unwrap();
        tx.import_bill(&new, &report).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// The same use on each day.
fn used(month: u32, days: RangeInclusive<u32>, usage_type: &str, cost: &str) -> Vec<DailyFact> {
    let day = |n| NaiveDate::from_ymd_opt(2026, month, n).unwrap();
    days.map(|n| DailyFact { day: day(n), ..line("", usage_type, "Usage", 1_000, cost) }).collect()
}

#[tokio::test]
async fn a_model_that_newer_rules_named_is_no_news() {
    let now: DateTime<Utc> = "2026-10-28T06:00:00Z".parse().unwrap();
    let office = Office::open(now).await;
    let tenant = office.db.create_tenant("Acme").await;
    let used = |month, days, usage_type| used(month, days, usage_type, "2");
    let (pro, lite, oss) =
        ("USE1-NovaPro-input-tokens", "USE1-NovaLite-input-tokens", "USE1-gpt-oss-120b-input-tokens");
    // Rules of before did not know what is used late in October, too, and knew what is used throughout.
    let mut september = used(9, 1..=30, pro);
    for fact in &mut september {
        let mut class = (*fact.class).clone();
        class.model = None;
        fact.class = Arc::new(class);
    }
    september.extend(used(9, 1..=30, oss));
    let october = [used(10, 1..=27, oss), used(10, 18..=27, pro), used(10, 20..=27, lite)].concat();
    put_bills(&office, tenant, now, [(september, RULES_VERSION - 1), (october, RULES_VERSION)]).await;
    office.run("insight-nights.v1").await;
    office.quiet().await;
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    let events = tx.list_insight_events(None, 200).await.unwrap();
    let models: Vec<_> = events
        .iter()
        .filter(|event| event.kind == "new_model")
        .map(|event| (event.subject.as_str(), event.day.to_string()))
        .collect();
    assert_eq!(models, [("nova-lite", "2026-10-20".to_owned())], "{events:#?}");
    drop(tx);
    office.end().await;
}

#[tokio::test]
async fn a_step_that_newer_rules_made_is_no_surprise() {
    let now: DateTime<Utc> = "2026-10-28T06:00:00Z".parse().unwrap();
    let office = Office::open(now).await;
    let tenant = office.db.create_tenant("Acme").await;
    let (pro, lite) = ("USE1-NovaPro-input-tokens", "USE1-NovaLite-input-tokens");
    // Rules of before took a half of the use for no AI; and somebody uses ten times as much on one day.
    let september = used(9, 1..=30, pro, "100");
    let october = [
        used(10, 1..=23, pro, "100"),
        used(10, 24..=24, pro, "1000"),
        used(10, 25..=27, pro, "100"),
        used(10, 1..=27, lite, "100"),
    ]
    .concat();
    put_bills(&office, tenant, now, [(september, RULES_VERSION - 1), (october, RULES_VERSION)]).await;
    office.run("insight-nights.v1").await;
    office.quiet().await;
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    let anomalies = tx.list_anomalies(None, 200).await.unwrap();
    let told: Vec<_> = anomalies
        .iter()
        .map(|one| (one.series.as_str(), one.kind.as_str(), one.hour.date_naive().to_string()))
        .collect();
    assert_eq!(told, [("bill:model:nova-pro", "spike", "2026-10-24".to_owned())], "{anomalies:#?}");
    drop(tx);
    office.end().await;
}

#[tokio::test]
async fn each_bill_that_restates_a_month_says_so() {
    let now: DateTime<Utc> = "2026-10-28T06:00:00Z".parse().unwrap();
    let office = Office::open(now).await;
    let tenant = office.db.create_tenant("Acme").await;
    let mut told = Vec::new();
    for (n, cost) in (0..).zip(["100", "90", "80"]) {
        let september = used(9, 1..=30, "USE1-NovaPro-input-tokens", cost);
        put_bills(&office, tenant, now + TimeDelta::minutes(n), [(september, RULES_VERSION)]).await;
        // Whoever looks twice tells it once.
        for _ in 0..2 {
            let mut tx = office.parts.store.tenant(tenant).await.unwrap();
            let bill = tx.current_bills().await.unwrap()[0];
            costlens_jobs::ask(&mut tx, &LookAtFacts::after_bill(tenant, bill)).await.unwrap();
            tx.commit().await.unwrap();
            office.quiet().await;
        }
        let mut tx = office.parts.store.tenant(tenant).await.unwrap();
        let events = tx.list_insight_events(None, 200).await.unwrap();
        let restated = events.iter().filter(|event| event.kind == "month_restated");
        told.push(restated.map(|event| event.amount.normalize().to_string()).collect::<Vec<_>>());
    }
    assert_eq!(told, [vec![], vec!["-300"], vec!["-300", "-300"]]);
    office.end().await;
}

/// What Bedrock was called for through the proxy, a million tokens on each of these days.
async fn put_daily_calls(office: &Office, tenant: TenantId, first: NaiveDate, days: i64, model: &str) {
    office
        .sql(&format!(
            "INSERT INTO spend_hourly (tenant_id, hour, api_key_id, provider, model, outcome, cost_basis, requests, \
             fresh_input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, audio_input, audio_output, \
             web_searches, cost) \
             SELECT '{}', '{first} 09:00Z'::timestamptz + n * interval '1 day', '{}', '{BEDROCK}', '{model}', \
             'completed', 'exact', 10, 1000000, 0, 0, 0, 0, 0, 0, 0, 0, 0.8 FROM generate_series(0, {days} - 1) AS n",
            tenant.uuid(),
            uuid::Uuid::nil(),
        ))
        .await;
}

#[tokio::test]
async fn who_goes_round_the_proxy_is_told_of_once_and_not_anew_every_night() {
    let first: NaiveDate = "2026-05-01".parse().unwrap();
    let last: NaiveDate = "2026-10-26".parse().unwrap();
    let now = last.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(30);
    let office = Office::open(now).await;
    let tenant = office.db.create_tenant("Acme").await;
    put_daily_calls(&office, tenant, first, (last - first).num_days() + 1, "us.amazon.nova-pro-v1:0").await;
    let mut months: Vec<(Vec<DailyFact>, u32)> = Vec::new();
    for month in 5..=10 {
        let days = first.iter_days().take_while(|day| *day <= last).filter(|day| day.month() == month);
        let by = |principal: &str, day: NaiveDate, tokens: u64, cost: &str| DailyFact {
            day,
            ..line(principal, "USE1-NovaPro-input-tokens", "Usage", tokens, cost)
        };
        let facts =
            days.flat_map(|day| [by("gateway", day, 1_000_000, "0.8"), by("jane", day, 2_000_000, "1.6")]);
        months.push((facts.collect(), RULES_VERSION));
    }
    let months: [_; 6] = months.try_into().unwrap();
    put_bills(&office, tenant, now, months).await;
    for night in 0..3 {
        office.set_clock(now + TimeDelta::days(night));
        office.run("insight-nights.v1").await;
        office.quiet().await;
    }
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    let events = tx.list_insight_events(None, 200).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.subject.as_str())).collect();
    assert_eq!(told, [("shadow_use", "jane")], "{events:#?}");
    drop(tx);
    office.end().await;
}

#[tokio::test]
async fn of_more_calls_than_a_look_holds_the_newest_are_looked_at() {
    let today: NaiveDate = "2026-10-28".parse().unwrap();
    let office = Office::open(today.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(6)).await;
    let tenant = office.db.create_tenant("Acme").await;
    // From 110 to 70 days ago somebody tried hundreds of models, hour by hour.
    office
        .sql(&format!(
            "INSERT INTO spend_hourly (tenant_id, hour, api_key_id, provider, model, outcome, cost_basis, requests, \
             fresh_input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, audio_input, audio_output, \
             web_searches, cost) \
             SELECT '{}', '{} 00:00Z'::timestamptz + n / 210 * interval '1 hour', '{}', 'openai', 'm' || n % 210, \
             'completed', 'exact', 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0.01 FROM generate_series(0, 40 * 24 * 210) AS n",
            tenant.uuid(),
            today - chrono::Days::new(110),
            uuid::Uuid::nil(),
        ))
        .await;
    put_daily_calls(&office, tenant, today - chrono::Days::new(59), 59, "us.amazon.nova-pro-v1:0").await;
    put_daily_calls(&office, tenant, today - chrono::Days::new(4), 4, "us.amazon.nova-lite-v1:0").await;
    office.run("insight-nights.v1").await;
    office.quiet().await;
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    let events = tx.list_insight_events(None, 200).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.subject.as_str())).collect();
    assert_eq!(told, [("new_model", "us.amazon.nova-lite-v1:0")]);
    drop(tx);
    office.end().await;
}

fn replaces(of: &Tenant, delivery: &Delivery) -> bool {
    let same: Vec<&Delivery> = of.deliveries.iter().filter(|other| other.month == delivery.month).collect();
    same.len() == 2 && same[1] == delivery
}
