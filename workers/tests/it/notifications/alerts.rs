//! Budgets that are reached, hours that surprise, and months that are expected to.

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::alerts::{BudgetRule, BudgetScope};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::calendar::Period;
use costlens_domain::request::RequestFact;
use costlens_domain::{AuditEventId, BudgetId, TenantId};
use costlens_store::testing::unlike_bytes;
use costlens_store::{Budget, NewAuditEvent};
use serde_json::json;

use super::{budget, events, monday, unpriced};
use crate::Office;
use crate::account::Account;
use crate::outside::Outside;
use crate::settlement::{Customer, october_bill};

#[tokio::test]
async fn a_budget_that_was_reached_in_its_last_minutes_is_told_in_the_next_period() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    budget(&office, acme.tenant, "10.00").await;
    // Monday ends at 05:00 UTC in New York; the call is of 04:55, and reached the ledger late.
    acme.spend(&office, &[acme.call(monday() + TimeDelta::minutes(895), "gpt-4o", "11.00")]).await;
    office.set_clock(monday() + TimeDelta::minutes(910));
    for _ in 0..2 {
        office.run("budgets.v1").await;
    }
    office.quiet().await;
    assert_eq!(outside.letters().len(), 1);
    let told = events(&outside.posts("/hook"), "budget.reached");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["data"]["period_start"], "2026-11-23T05:00:00Z");
    office.end().await;
}

#[tokio::test]
async fn in_a_zone_of_half_hours_no_hour_counts_for_two_days() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    office.sql("UPDATE tenant_settings SET time_zone = 'Asia/Kolkata'").await;
    budget(&office, acme.tenant, "10.00").await;
    // Midnight in India is 18:30 UTC: the hour of 18:00 belongs to the day that it begins in.
    acme.spend(&office, &[acme.call(monday() + TimeDelta::minutes(250), "gpt-4o", "6.00")]).await;
    acme.spend(&office, &[acme.call(monday() + TimeDelta::minutes(310), "gpt-4o", "6.00")]).await;
    office.set_clock(monday() + TimeDelta::minutes(320));
    office.run("budgets.v1").await;
    office.quiet().await;
    let told = events(&outside.posts("/hook"), "budget.reached");
    let spent: Vec<_> = told.iter().map(|event| event["data"]["spent"].clone()).collect();
    assert_eq!(spent, ["6", "6"], "{told:?}");
    office.end().await;
}

#[tokio::test]
async fn a_budget_says_each_threshold_once_a_period() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    budget(&office, acme.tenant, "10.00").await;
    acme.spend(&office, &[acme.call(monday() - TimeDelta::hours(1), "gpt-4o", "4.99")]).await;
    office.run("budgets.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 0);
    acme.spend(&office, &[acme.call(monday() - TimeDelta::minutes(5), "gpt-4o", "3.02")]).await;
    for _ in 0..3 {
        office.run("budgets.v1").await;
    }
    office.quiet().await;
    // Half and four fifths are reached at once: the higher one is told.
    assert_eq!(outside.letters().len(), 1);
    assert!(outside.letters()[0].contains("80%") && outside.letters()[0].contains("$8.01"));
    let told = events(&outside.posts("/hook"), "budget.reached");
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["data"]["spent"], &told[0]["data"]["threshold_percent"]),
        (&json!("8.01"), &json!(80))
    );

    // The next day in New York begins anew.
    office.set_clock(monday() + TimeDelta::hours(16));
    acme.spend(&office, &[acme.call(monday() + TimeDelta::minutes(930), "gpt-4o", "10.00")]).await;
    office.run("budgets.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 2);
    assert!(outside.letters()[1].contains("100%"), "{}", outside.letters()[1]);
    office.end().await;
}

#[tokio::test]
async fn an_hour_that_its_past_does_not_explain_is_told_once_with_what_made_it() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday() + TimeDelta::minutes(20)).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let mut calls = Vec::new();
    for day in 1..=14 {
        for hour in -3..=3 {
            let at = monday() - TimeDelta::days(day) + TimeDelta::hours(hour);
            calls.push(acme.call(at, "gpt-4o-mini", if day % 2 == 0 { "1.00" } else { "1.20" }));
        }
    }
    calls.push(acme.call(monday() - TimeDelta::minutes(50), "gpt-4o-mini", "1.10"));
    acme.spend(&office, &calls).await;
    office.run("anomalies.v1").await;
    office.quiet().await;
    assert_eq!(outside.letters().len(), 0, "an hour like any other");
    acme.spend(&office, &[acme.call(monday() - TimeDelta::minutes(40), "o3", "60.00")]).await;
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    tx.audit(&NewAuditEvent {
        id: AuditEventId::new(monday(), unlike_bytes()),
        at: monday() - TimeDelta::minutes(70),
        actor: Actor::CommandLine,
        action: Action::ConnectionCreated,
        target: Some("con_o3".to_owned()),
        change: json!({}),
        request_id: None,
        address: None,
    })
    .await
    .unwrap();
    tx.commit().await.unwrap();
    for _ in 0..2 {
        office.run("anomalies.v1").await;
    }
    office.quiet().await;
    let letters = outside.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].contains("$61.10") && letters[0].contains("o3"), "{}", letters[0]);
    assert_eq!(events(&outside.posts("/hook"), "anomaly.found").len(), 1);
    // The hour after, the earlier one is looked at again and not told again.
    office.set_clock(monday() + TimeDelta::minutes(80));
    acme.spend(&office, &[acme.call(monday() + TimeDelta::minutes(5), "o3", "60.00")]).await;
    office.run("anomalies.v1").await;
    office.quiet().await;
    // What lasts is written down, and is no news within a day.
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let found = tx.list_anomalies(None, 10).await.unwrap();
    assert_eq!(found.len(), 2);
    // The earlier one says what was changed before it, and its parts are the whole difference.
    let first = found.iter().find(|one| one.hour == monday() - TimeDelta::hours(1)).unwrap();
    let changes: Vec<_> = first.changes.as_array().unwrap().iter().map(|one| one["action"].clone()).collect();
    assert!(changes.contains(&json!("connection.created")), "{changes:?}");
    let parts = first.explanation["parts"].as_array().unwrap();
    let sum: rust_decimal::Decimal = parts
        .iter()
        .map(|part| part["amount"].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap())
        .sum();
    assert_eq!(sum, first.surprise.actual - first.surprise.expected, "{first:?}");
    assert!(parts.len() > 1, "{parts:?}");
    drop(tx);
    assert_eq!(outside.letters().len(), 1);
    office.end().await;
}

#[tokio::test]
async fn hours_without_any_price_are_no_part_of_a_past_and_an_outage_is_made_up_for() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday() + TimeDelta::minutes(20)).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let mut calls = Vec::new();
    for day in 1..=14 {
        for hour in -4..=3 {
            let at = monday() - TimeDelta::days(day) + TimeDelta::hours(hour);
            // In most hours of the past nobody knows what was spent; counted as nothing they would be its median.
            let call = acme.call(at, "gpt-4o-mini", "40.00");
            calls.push(if day % 3 == 0 || hour == 0 { call } else { unpriced(call) });
        }
    }
    calls.push(acme.call(monday() - TimeDelta::minutes(50), "gpt-4o-mini", "41.00"));
    acme.spend(&office, &calls).await;
    office.run("anomalies.v1").await;
    office.quiet().await;
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    assert_eq!(tx.list_anomalies(None, 10).await.unwrap(), [], "an hour like those whose price is known");
    drop(tx);

    // Nobody looks for thirty hours and then for five days; each time dear hours lie in between.
    for (away, dear, told) in [(30, 20, 0), (120, 47, 0), (121, 1, 1)] {
        let now = monday() + TimeDelta::hours(away) + TimeDelta::minutes(20);
        office.set_clock(now);
        let hour = now - TimeDelta::minutes(20) - TimeDelta::hours(dear);
        acme.spend(&office, &[acme.call(hour + TimeDelta::minutes(5), "o3", "900.00")]).await;
        let letters = outside.letters().len();
        for _ in 0..2 {
            office.run("anomalies.v1").await;
        }
        office.quiet().await;
        let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
        let found = tx.list_anomalies(None, 50).await.unwrap();
        assert_eq!(found.iter().filter(|anomaly| anomaly.hour == hour).count(), 1, "{away}: {found:?}");
        // What happened half a day ago or longer is written down and wakes nobody.
        assert_eq!(outside.letters().len() - letters, told, "{away}");
    }
    office.end().await;
}

#[tokio::test]
async fn an_hour_that_cannot_be_judged_waits_by_itself_and_holds_nobody_up() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday() + TimeDelta::minutes(20)).await;
    let (acme, other) =
        (Account::open(&office, &outside, "Acme").await, Account::open(&office, &outside, "Other").await);
    for account in [&acme, &other] {
        let past = (1..=14).flat_map(|day| (-3..=9).map(move |hour| (day, hour)));
        let mut calls: Vec<_> = past
            .map(|(day, hour)| {
                let at = monday() - TimeDelta::days(day) + TimeDelta::hours(hour);
                account.call(at, "gpt-4o-mini", if day % 2 == 0 { "1.00" } else { "1.20" })
            })
            .collect();
        calls.push(account.call(monday() - TimeDelta::minutes(40), "o3", "60.00"));
        account.spend(&office, &calls).await;
    }
    office
        .sql(&format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                 'BEGIN IF NEW.tenant_id = ''{}'' THEN RAISE EXCEPTION ''held''; END IF; RETURN NEW; END'; \
             CREATE TRIGGER held BEFORE INSERT ON anomaly FOR EACH ROW EXECUTE FUNCTION refuse()",
            acme.tenant.uuid()
        ))
        .await;
    let found = async |account: &Account| {
        let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
        tx.list_anomalies(None, 10).await.unwrap().into_iter().map(|anomaly| anomaly.hour).collect::<Vec<_>>()
    };
    let fails = async || {
        let id = office.enqueue("anomalies.v1").await;
        office.until("anomalies.v1", |jobs| jobs.iter().any(|job| job.id == id && job.error.is_some())).await;
        office
            .sql("UPDATE queue.job SET status = 'cancelled', done_at = now() WHERE queue = 'anomalies.v1'")
            .await;
    };
    fails().await;
    let hour = monday() - TimeDelta::hours(1);
    assert_eq!((found(&acme).await, found(&other).await), (vec![], vec![hour]));
    // Others' hours go on, the newest first, and what is judged is looked at no more.
    office.set_clock(monday() + TimeDelta::hours(6) + TimeDelta::minutes(20));
    other.spend(&office, &[other.call(monday() + TimeDelta::minutes(330), "o3", "60.00")]).await;
    fails().await;
    assert_eq!(found(&other).await.len(), 2);
    let mut system = office.parts.store.system().await.unwrap();
    assert_eq!(system.watched_upto("anomalies").await.unwrap(), Some(monday() + TimeDelta::hours(5)));
    assert_eq!(system.unjudged_hours(None, 10).await.unwrap(), [(hour, acme.tenant)]);
    drop(system);
    // Far behind the mark it is found, as soon as it can be.
    office.sql("DROP TRIGGER held ON anomaly").await;
    office.run("anomalies.v1").await;
    office.quiet().await;
    assert_eq!(found(&acme).await, [hour]);
    assert_eq!(outside.letters().len(), 2, "each has heard of it once: {:?}", outside.letters());
    office.close().await;
}

/// A budget of a month that says a word at all of it.
async fn monthly(office: &Office, tenant: TenantId, amount: &str) {
    let now = office.parts.clock.now();
    let budget = Budget {
        id: BudgetId::new(now, unlike_bytes()),
        name: "The month".to_owned(),
        rule: BudgetRule {
            scope: BudgetScope::default(),
            period: Period::Month,
            amount: amount.parse().unwrap(),
            thresholds: vec![100],
        },
        created_at: now,
        ended_at: None,
    };
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    tx.create_budget(&budget).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_month_that_is_expected_to_cross_its_budget_is_told_of_once_with_the_day() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, monday()).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let other = Account::open(&office, &outside, "Other").await;
    monthly(&office, acme.tenant, "129.00").await;
    // Nobody expects it to be crossed.
    monthly(&office, other.tenant, "1300.00").await;
    for account in [&acme, &other] {
        // Five dollars a day, from the second of November on.
        let calls: Vec<RequestFact> =
            (1..=21_i64).map(|day| account.call(monday() - TimeDelta::days(day), "gpt-4o", "5.00")).collect();
        account.spend(&office, &calls).await;
    }
    for _ in 0..3 {
        office.run("budgets.v1").await;
    }
    office.quiet().await;
    let letters = outside.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let told = events(&outside.posts("/hook"), "budget.forecast");
    assert_eq!(told.len(), 1, "{told:?}");
    // $105 in 21 days; the fifth day from the twenty-third on makes $130, more than there is.
    let data = &told[0]["data"];
    assert_eq!((&data["expected_on"], &data["spent"]), (&json!("2026-11-27"), &json!("105")), "{data}");
    assert_eq!(events(&outside.posts("/hook"), "budget.reached").len(), 0);

    // Once it is crossed that is told, and nothing is expected of the month any more.
    acme.spend(&office, &[acme.call(monday() - TimeDelta::minutes(5), "gpt-4o", "40.00")]).await;
    for _ in 0..2 {
        office.run("budgets.v1").await;
    }
    office.quiet().await;
    assert_eq!(events(&outside.posts("/hook"), "budget.reached").len(), 1);
    assert_eq!(events(&outside.posts("/hook"), "budget.forecast").len(), 1);
    office.end().await;
}

#[tokio::test]
async fn what_bills_say_of_a_month_that_is_over_is_told_of_its_budget() {
    let outside = Outside::open().await;
    let october: DateTime<Utc> = "2026-10-20T12:00:00Z".parse().unwrap();
    let office = Office::open_to(&outside, october).await;
    let acme = Account::open(&office, &outside, "Acme").await;
    let budget = Budget {
        id: BudgetId::new(october, unlike_bytes()),
        name: "All that is billed".to_owned(),
        rule: BudgetRule {
            scope: BudgetScope { unproxied: true, ..BudgetScope::default() },
            period: Period::Month,
            amount: "3.50".parse().unwrap(),
            thresholds: vec![100],
        },
        created_at: october,
        ended_at: None,
    };
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    tx.create_budget(&budget).await.unwrap();
    tx.commit().await.unwrap();
    let customer = Customer::of(&office, &acme).await;
    office.set_clock("2026-11-05T12:00:00Z".parse().unwrap());
    office.run("budgets.v1").await;
    office.quiet().await;
    let told = || events(&outside.posts("/hook"), "budget.reached");
    assert_eq!(told().len(), 0, "the calls alone cost a little more than $3");

    // The bill comes five days after the month, with what somebody used around the proxy.
    customer.bill(&october_bill("1.00"), 0).await;
    customer.is_settled().await;
    for _ in 0..2 {
        office.run("budgets.v1").await;
    }
    office.quiet().await;
    let told = told();
    assert_eq!(told.len(), 1, "{told:?}");
    let data = &told[0]["data"];
    assert_eq!((&data["period_start"], &data["spent"]), (&json!("2026-10-01T04:00:00Z"), &json!("3.723024")));
    office.close().await;
}
