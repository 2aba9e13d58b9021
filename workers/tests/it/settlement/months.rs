//! When a month is settled, how often, and what the days remember.

use chrono::TimeDelta;
use costlens_domain::bill::Measure;
use costlens_domain::request::RequestFact;
use costlens_domain::settlement::{ResidualCode, ResidualSide};
use costlens_domain::{BillId, RequestId};
use costlens_jobs::settlement::SettleMonth;
use costlens_queue::ops::State;
use costlens_store::testing::unlike_bytes;
use rust_decimal::Decimal;

use super::{Customer, QUEUE, amount, line, october, october_bill, of_october, report, rows};
use crate::Office;
use crate::account::Account;
use crate::outside::Outside;
use crate::upkeep::now;

#[tokio::test]
async fn a_bill_settles_its_month_once_however_often_the_job_runs() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let bill = customer.bill(&october_bill("1.00"), 0).await;
    customer.is_settled().await;

    for (measure, settled, unproxied) in
        [(Measure::Unblended, "0.00336", "0.8"), (Measure::NetUnblended, "0.003024", "0.72")]
    {
        let head = customer.settlement(measure).await;
        assert_eq!((head.version, head.calls, head.absent_calls), (bill.id, 3, 0), "{head:?}");
        assert_eq!((head.estimated, head.settled), (amount("0.00336"), amount(settled)), "{head:?}");
        assert_eq!(head.billed, amount(settled) + amount(unproxied) + Decimal::ONE);
        assert_eq!((head.billed_tokens, head.covered_tokens, head.is_amber()), (1_003_300, 3_300, false));
        let outside = |code| customer.residual(measure, code, ResidualSide::Outside);
        assert_eq!(outside(ResidualCode::Unproxied).await, amount(unproxied));
        assert_eq!(outside(ResidualCode::Tax).await, Decimal::ONE);
        let discount = customer.residual(measure, ResidualCode::Discount, ResidualSide::Calls).await;
        assert_eq!(discount, amount(settled) - amount("0.00336"));
        // Each call used a third of it.
        let mut sum = Decimal::ZERO;
        for call in &customer.calls {
            sum += customer.cost(call.id, measure).await.unwrap();
        }
        assert_eq!(sum, amount(settled));
    }
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let shadow = tx.settlement_coverage(of_october(Measure::NetUnblended), 1).await.unwrap().remove(0);
    assert_eq!(shadow.principal, "arn:aws:iam::222222222222:user/alice");
    assert_eq!((shadow.covered_tokens, shadow.billed), (0, amount("0.72")));
    drop(tx);

    let before = rows(&office, account.tenant).await;
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    // As the same, and as somebody else's wish for the same month.
    let job = SettleMonth { month: october(), bill: bill.id, night: None };
    costlens_jobs::ask(&mut tx, &job).await.unwrap();
    let again = SettleMonth { bill: BillId::new(now(), unlike_bytes()), ..job };
    costlens_jobs::ask(&mut tx, &again).await.unwrap();
    tx.commit().await.unwrap();
    customer.is_settled().await;
    assert_eq!(office.jobs(QUEUE).await.len(), 2);
    assert_eq!(rows(&office, account.tenant).await, before);
    office.close().await;
}

#[tokio::test]
async fn a_month_of_which_more_than_a_hundredth_is_unknown_turns_amber() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    // Beside 1.80336 that have their reasons: just below the hundredth, and just above it.
    for (minutes, surcharge, is_amber) in [(0, "0.018", false), (1, "0.019", true)] {
        let mut bill = october_bill("1.00");
        bill.facts.push(line("", "", "GreenSurcharge", 0, surcharge));
        customer.bill(&bill, minutes).await;
        customer.is_settled().await;
        let head = customer.settlement(Measure::Unblended).await;
        assert_eq!(head.billed, amount("1.80336") + amount(surcharge), "{head:?}");
        assert_eq!((head.unknown, head.is_amber()), (amount(surcharge), is_amber), "{head:?}");
    }
    office.close().await;
}

#[tokio::test]
async fn a_call_that_reached_the_ledger_after_its_bill_is_settled_in_the_night() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    customer.bill(&october_bill("1.00"), 0).await;
    // Somebody else whose month is the same.
    let other = Account::open(&office, &outside, "Other").await;
    let others = Customer::of(&office, &other).await;
    others.bill(&october_bill("1.00"), 0).await;
    customer.is_settled().await;
    // Used by one more of the gateway's calls, so that its tokens were not on the bill as the others'.
    let late = RequestFact {
        started_at: customer.calls[2].started_at + TimeDelta::minutes(1),
        ..customer.calls[2].clone()
    };
    let late = RequestFact { id: RequestId::new(late.started_at, unlike_bytes()), ..late };
    account.spend(&office, std::slice::from_ref(&late)).await;
    assert_eq!(customer.settlement(Measure::Unblended).await.calls, 3);
    office.run("settlement-nights.v1").await;
    office.quiet().await;
    customer.is_settled().await;
    let head = customer.settlement(Measure::Unblended).await;
    assert_eq!((head.calls, head.estimated), (4, amount("0.00448")), "{head:?}");
    assert!(customer.cost(late.id, Measure::Unblended).await.is_some());
    // Asked twice in a night, it is settled once, and everybody's is.
    let jobs = office.jobs(QUEUE).await.len();
    assert_eq!(jobs, 4, "a bill and a night of each");
    office.run("settlement-nights.v1").await;
    office.quiet().await;
    assert_eq!(office.jobs(QUEUE).await.len(), jobs);
    office.close().await;
}

#[tokio::test]
async fn another_delivery_settles_anew_and_the_days_remember_the_first() {
    let outside = Outside::open().await;
    let office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let customer = Customer::of(&office, &account).await;
    let first = customer.bill(&october_bill("1.00"), 0).await;
    customer.is_settled().await;
    let mut facts = october_bill("1.00").facts;
    for fact in &mut facts[..2] {
        // The private rate was lowered afterwards.
        fact.net_unblended = fact.unblended * amount("0.5");
    }
    let second = customer.bill(&report(facts), 1).await;
    customer.is_settled().await;
    let head = customer.settlement(Measure::NetUnblended).await;
    assert_eq!((head.version, head.settled), (second.id, amount("0.00168")));
    assert_eq!(head.bill_ids, [second.id]);
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    let days = tx.settlement_days(of_october(Measure::NetUnblended)).await.unwrap();
    let day = october() + chrono::Days::new(4);
    let of_day: Vec<_> =
        days.iter().filter(|one| one.day == day).map(|one| (one.version, one.settled)).collect();
    assert_eq!(of_day, [(first.id, amount("0.003024")), (second.id, amount("0.00168"))]);
    // By how much the estimates missed, which the lower rate made more.
    let missed: Vec<_> = days.iter().filter(|one| one.day == day).collect();
    assert!(missed.iter().all(|one| one.missed == (one.estimated - one.settled).abs()), "{missed:?}");
    assert!(missed[0].missed < missed[1].missed, "{missed:?}");
    drop(tx);
    office.close().await;
}

#[tokio::test]
async fn a_worker_that_dies_while_it_settles_delays_a_settlement_and_no_more() {
    let outside = Outside::open().await;
    let mut office = Office::open_to(&outside, now()).await;
    let account = Account::open(&office, &outside, "Settler").await;
    let mut held = office.parts.store.tenant(account.tenant).await.unwrap();
    held.lock_settlement(october()).await.unwrap();
    let (bill, calls) = {
        let customer = Customer::of(&office, &account).await;
        let bill = customer.bill(&october_bill("1.00"), 0).await;
        (bill, customer.calls)
    };
    office.until(QUEUE, |jobs| jobs.iter().any(|job| job.state == State::Running)).await;
    office.die().await;
    let mut tx = office.parts.store.tenant(account.tenant).await.unwrap();
    assert!(tx.list_settlements(Measure::Unblended, None, 10).await.unwrap().is_empty());
    drop(tx);
    drop(held);
    office.work().await;
    let customer = Customer { office: &office, account: &account, calls };
    customer.is_settled().await;
    assert_eq!(customer.settlement(Measure::Unblended).await.version, bill.id);
    let job = office.jobs(QUEUE).await.remove(0);
    assert_eq!(job.attempts, 2);
    office.close().await;
}
