//! Candidates count as AI where a rule says so, in facts and totals alike, and are candidates again when it ends.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use costlens_domain::bill::{BillReport, ControlTotal, DailyFact, Dimension, Measure};
use costlens_domain::classify::Verdict;
use costlens_domain::{BillId, CandidateRuleId, Currency};
use rust_decimal::Decimal;

use super::bill_deliveries::{connect, settle_known, store, usual};
use super::bills::{fact, new_bill, on_instance, report};
use super::support::{actor, at};
use crate::testing::{TestDb, unlike_bytes};
use crate::{
    AwsConnectionState, BillFilter, CandidateRule, CandidateScope, DeliveryStored, NewBill, StoreError,
    TenantConn, Withdrawal,
};

fn rule(second: i64, account: Option<&str>, instance_type: Option<&str>) -> CandidateRule {
    CandidateRule {
        id: CandidateRuleId::new(at(second), unlike_bytes()),
        scope: CandidateScope {
            service: "ec2".to_owned(),
            usage_account: account.map(str::to_owned),
            region: None,
            instance_type: instance_type.map(str::to_owned),
        },
        created_at: at(second),
        ended_at: None,
    }
}

fn october() -> Vec<DailyFact> {
    let of = |account: &str, fact: DailyFact| DailyFact { usage_account: account.into(), ..fact };
    vec![
        of("1", on_instance("p5.48xlarge", "10")),
        of("2", on_instance("p5.48xlarge", "20")),
        of("2", DailyFact { list: None, ..on_instance("g5.xlarge", "40") }),
        of("1", fact(1, "3", Currency::USD)),
    ]
}

/// The total of use, which is all that there is.
async fn total(conn: &mut TenantConn, id: BillId) -> ControlTotal {
    let totals = conn.bill_totals(id).await.unwrap();
    totals
        .into_iter()
        .find(|total| &*total.line_item_type == "Usage" && total.currency == Currency::USD)
        .unwrap()
}

/// What counts as AI by accounts, and the candidates with their rules.
async fn told(
    conn: &mut TenantConn,
    id: BillId,
) -> (Vec<(String, Decimal)>, Vec<(String, Option<CandidateRuleId>)>) {
    let ai = BillFilter { bill_id: Some(id), verdict: Some(Verdict::Ai), ..BillFilter::default() };
    let slices = conn.bill_breakdown(&ai, Dimension::Account, Measure::Unblended, 10).await.unwrap();
    let candidates = conn.bill_candidates(id, 10).await.unwrap();
    (
        slices.into_iter().map(|slice| (slice.key, slice.cost.unwrap())).collect(),
        candidates
            .into_iter()
            .map(|one| (format!("{} {}", one.usage_account, one.cost), one.by_rule))
            .collect(),
    )
}

fn dollars(amount: i64) -> Decimal {
    Decimal::from(amount)
}

#[tokio::test]
async fn a_rule_counts_what_it_names_and_lets_go_of_it_again() {
    let db = TestDb::new().await;
    let (acme, other) = (actor(&db, "acme").await, actor(&db, "other").await);
    let report = report(october());
    let bill = new_bill("october", 0);
    let (mut theirs, foreign) = (db.store().tenant(other.tenant).await.unwrap(), new_bill("theirs", 0));
    theirs.import_bill(&foreign, &report).await.unwrap();
    theirs.commit().await.unwrap();
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.import_bill(&bill, &report).await.unwrap();
    assert!(conn.decide_candidates().await.unwrap().is_empty(), "no rule, no change");
    let (ai, candidates) = told(&mut conn, bill.id).await;
    assert_eq!(ai, [("1".to_owned(), dollars(3))]);
    assert_eq!(candidates, [("2 40".to_owned(), None), ("2 20".to_owned(), None), ("1 10".to_owned(), None)]);

    // One type of one account, and then all of that type.
    let narrow = rule(1, Some("2"), Some("p5.48xlarge"));
    conn.create_candidate_rule(&narrow).await.unwrap();
    let months = BTreeSet::from(["2026-10-01".parse().unwrap()]);
    assert_eq!(conn.decide_candidates().await.unwrap(), months);
    assert!(conn.decide_candidates().await.unwrap().is_empty(), "decided once");
    let (ai, candidates) = told(&mut conn, bill.id).await;
    assert_eq!(ai, [("2".to_owned(), dollars(20)), ("1".to_owned(), dollars(3))]);
    assert_eq!(candidates[1], ("2 20".to_owned(), Some(narrow.id)));
    let sums = total(&mut conn, bill.id).await;
    assert_eq!((sums.ai, sums.candidate), (dollars(23), dollars(50)));
    // The list price of one candidate is unknown, and so is the sum of all.
    assert_eq!((sums.ai_costs.list, sums.candidate_costs.list), (Some("24".parse().unwrap()), None));
    assert_eq!(sums.ai_costs.net_unblended, Some("22.9998".parse().unwrap()));
    // What a fact says of itself is what its column says.
    let facts = conn.bill_facts(Some(bill.id), "2026-10-01".parse().unwrap(), 100).await.unwrap();
    let counted = facts.iter().filter(|fact| fact.is_ai()).map(|fact| fact.unblended).sum::<Decimal>();
    assert_eq!(counted, dollars(23));

    let wide = rule(2, None, Some("p5.48xlarge"));
    conn.create_candidate_rule(&wide).await.unwrap();
    conn.decide_candidates().await.unwrap();
    let (_, candidates) = told(&mut conn, bill.id).await;
    let by = [("2 40", None), ("2 20", Some(narrow.id)), ("1 10", Some(wide.id))];
    assert_eq!(candidates, by.map(|(what, rule)| (what.to_owned(), rule)));
    // What the one no longer counts the other does.
    conn.end_candidate_rule(narrow.id, at(3)).await.unwrap();
    conn.decide_candidates().await.unwrap();
    let (ai, candidates) = told(&mut conn, bill.id).await;
    assert_eq!(candidates[1].1, Some(wide.id));
    assert_eq!(ai, [("2".to_owned(), dollars(20)), ("1".to_owned(), dollars(13))]);
    conn.end_candidate_rule(wide.id, at(4)).await.unwrap();
    conn.decide_candidates().await.unwrap();
    let (ai, candidates) = told(&mut conn, bill.id).await;
    assert_eq!(ai, [("1".to_owned(), dollars(3))]);
    assert!(candidates.iter().all(|(_, rule)| rule.is_none()));
    let sums = total(&mut conn, bill.id).await;
    assert_eq!((sums.ai, sums.candidate), (dollars(3), dollars(70)));
    conn.commit().await.unwrap();

    let mut theirs = db.store().tenant(other.tenant).await.unwrap();
    let (ai, candidates) = told(&mut theirs, foreign.id).await;
    assert_eq!((ai.len(), candidates.iter().filter(|(_, rule)| rule.is_some()).count()), (1, 0));
    assert!(matches!(theirs.candidate_rule(wide.id).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_bill_that_comes_while_a_rule_holds_is_decided_as_it_is_stored() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let holds = rule(1, None, None);
    conn.create_candidate_rule(&holds).await.unwrap();
    let same = conn.create_candidate_rule(&rule(1, None, None)).await;
    assert!(matches!(same, Err(StoreError::Conflict { .. })), "{same:?}");
    drop(conn);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.create_candidate_rule(&holds).await.unwrap();
    let bill = new_bill("october", 0);
    conn.import_bill(&bill, &report(october())).await.unwrap();
    let (ai, candidates) = told(&mut conn, bill.id).await;
    assert_eq!(ai, [("2".to_owned(), dollars(60)), ("1".to_owned(), dollars(13))]);
    assert!(candidates.iter().all(|(_, rule)| *rule == Some(holds.id)));
    let sums = total(&mut conn, bill.id).await;
    assert_eq!((sums.ai, sums.candidate), (dollars(73), Decimal::ZERO));
    // A later version of the month takes its place, decided likewise, and the earlier is left alone.
    let later = new_bill("october again", 5);
    conn.import_bill(&later, &report(october())).await.unwrap();
    conn.end_candidate_rule(holds.id, at(9)).await.unwrap();
    conn.decide_candidates().await.unwrap();
    assert_eq!(total(&mut conn, later.id).await.candidate, dollars(70));
    assert_eq!(total(&mut conn, bill.id).await.candidate, Decimal::ZERO);
}

#[tokio::test]
async fn whoever_decides_waits_for_a_bill_that_is_being_stored() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut storing = db.store().tenant(acme.tenant).await.unwrap();
    storing.lock_bills().await.unwrap();
    let bill = new_bill("october", 0);
    storing.import_bill(&bill, &report(october())).await.unwrap();
    // The rule is committed after the bill looked for rules, and before anybody sees the bill.
    let mut ruling = db.store().tenant(acme.tenant).await.unwrap();
    ruling.create_candidate_rule(&rule(1, None, None)).await.unwrap();
    ruling.commit().await.unwrap();
    let (store, tenant) = (db.store().clone(), acme.tenant);
    let deciding = tokio::spawn(async move {
        let mut conn = store.tenant(tenant).await.unwrap();
        let months = conn.decide_candidates().await.unwrap();
        conn.commit().await.unwrap();
        months
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!deciding.is_finished(), "it decided of what is not there yet");
    storing.commit().await.unwrap();
    assert_eq!(deciding.await.unwrap(), BTreeSet::from(["2026-10-01".parse().unwrap()]));
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let sums = total(&mut conn, bill.id).await;
    assert_eq!((sums.ai, sums.candidate), (dollars(73), Decimal::ZERO));
}

#[tokio::test]
async fn totals_of_a_file_that_gave_a_month_up_move_by_what_a_rule_moves() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let [september, october] = ["2026-09-01", "2026-10-01"].map(|day| day.parse::<NaiveDate>().unwrap());
    let facts = vec![
        DailyFact { day: september, ..on_instance("p5.48xlarge", "100") },
        DailyFact { day: october, ..fact(1, "7", Currency::USD) },
    ];
    let quarter = BillReport { months: Some((september, october)), ..report(facts) };
    let upload =
        NewBill { id: BillId::new(at(1), unlike_bytes()), name: "quarter".to_owned(), created_at: at(1) };
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.import_bill(&upload, &quarter).await.unwrap();
    conn.commit().await.unwrap();
    store(&db, &acme, connection.id, ("one", 1), &usual()).await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.bill(upload.id).await.unwrap().given_up, [october]);
    // Those of the file, of which October is no longer here.
    let before = conn.bill_totals(upload.id).await.unwrap();
    let all = rule(70, None, None);
    conn.create_candidate_rule(&all).await.unwrap();
    assert_eq!(conn.decide_candidates().await.unwrap().into_iter().collect::<Vec<_>>(), [september]);
    let hundred = rust_decimal::Decimal::ONE_HUNDRED;
    for (was, is) in before.iter().zip(conn.bill_totals(upload.id).await.unwrap()) {
        let moved = if was.currency == Currency::USD { hundred } else { rust_decimal::Decimal::ZERO };
        assert_eq!((is.ai, is.candidate), (was.ai + moved, was.candidate - moved), "{is:?}");
    }
    assert!(conn.end_candidate_rule(all.id, at(71)).await.unwrap());
    assert!(!conn.end_candidate_rule(all.id, at(72)).await.unwrap());
    conn.decide_candidates().await.unwrap();
    assert_eq!(conn.bill_totals(upload.id).await.unwrap(), before);
}

#[tokio::test]
async fn a_delivery_that_counts_again_is_decided_by_the_rules_that_came_meanwhile() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let month_of = report(vec![on_instance("p5.48xlarge", "100")]);
    let DeliveryStored::Stored(bill, _) = store(&db, &acme, connection.id, ("one", 1), &month_of).await
    else {
        panic!("not stored")
    };
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.set_aws_connection(connection.id, AwsConnectionState::Paused, None, at(70)).await.unwrap();
    assert!(matches!(conn.withdraw_bill(bill.id, at(71)).await.unwrap(), Withdrawal::Done(_)));
    let all = rule(72, None, None);
    conn.create_candidate_rule(&all).await.unwrap();
    assert!(conn.decide_candidates().await.unwrap().is_empty(), "nothing counts");
    conn.set_aws_connection(connection.id, AwsConnectionState::Active, None, at(73)).await.unwrap();
    conn.commit().await.unwrap();
    let unfinished = {
        let mut conn = db.store().tenant(acme.tenant).await.unwrap();
        conn.unfinished_months(connection.id, bill.rules_version).await.unwrap()
    };
    assert!(unfinished.iter().any(|month| month.is_displaced), "{unfinished:?}");
    assert!(settle_known(&db, &acme, connection.id, 2).await);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let candidates = conn.bill_candidates(bill.id, 10).await.unwrap();
    assert_eq!(candidates.iter().map(|one| one.by_rule).collect::<Vec<_>>(), [Some(all.id)]);
}
