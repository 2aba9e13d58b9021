//! Deliveries of connected accounts: stored once, in the place of the one before, and never for a connection at rest.

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::aws::{ExternalId, Finality, Month, ReportPlace, RoleArn};
use costlens_domain::bill::BillReport;
use costlens_domain::{AwsConnectionId, BillDeliveryId, BillId};
use uuid::Uuid;

use super::bills::{PAYER, fact, october_of, report};
use super::support::{Actor, actor, at};
use crate::testing::{TestDb, unlike_bytes};
use crate::{
    AwsChecked, AwsConnection, AwsConnectionState, AwsProblem, BillMonthState, DeliveryStored, InTheWay,
    NewAwsConnection, NewBill, NewBillDelivery, SeenManifest, StoreError, Withdrawal,
};

fn month() -> Month {
    "2026-10".parse().unwrap()
}

fn new_connection() -> NewAwsConnection {
    let account = "111122223333".parse().unwrap();
    let mut random = [0; 20];
    random[..10].copy_from_slice(&unlike_bytes());
    NewAwsConnection {
        id: AwsConnectionId::new(at(0), unlike_bytes()),
        place: ReportPlace {
            role: RoleArn::of_template(&account),
            account,
            external_id: ExternalId::new(random),
            bucket: "acme-billing".parse().unwrap(),
            prefix: "exports".parse().unwrap(),
            report: "costlens".parse().unwrap(),
        },
        region: None,
        kms_key: None,
        created_at: at(0),
    }
}

pub(super) async fn connect(db: &TestDb, of: &Actor) -> AwsConnection {
    let mut conn = db.store().tenant(of.tenant).await.unwrap();
    let made = conn.create_aws_connection(&new_connection()).await.unwrap();
    conn.commit().await.unwrap();
    made
}

/// Stores a delivery as the `asks`-th reading of its month does.
pub(super) async fn store(
    db: &TestDb,
    of: &Actor,
    connection: AwsConnectionId,
    (name, asks): (&str, u32),
    report: &BillReport,
) -> DeliveryStored {
    store_at(db, of, connection, (name, asks), report, at(62)).await
}

/// The same at another moment.
async fn store_at(
    db: &TestDb,
    of: &Actor,
    connection: AwsConnectionId,
    (name, asks): (&str, u32),
    report: &BillReport,
    stored_at: DateTime<Utc>,
) -> DeliveryStored {
    let mut conn = db.store().tenant(of.tenant).await.unwrap();
    let job = (Uuid::from_bytes([7; 16]), asks);
    conn.await_bill_month(connection, month(), "manifest", job, at(60)).await.unwrap();
    assert!(conn.begin_bill_month(connection, month(), asks, at(61)).await.unwrap());
    let (new, bill) = read(connection, name, stored_at);
    let stored = conn.publish_bill_delivery(&new, asks, &bill, report).await.unwrap();
    conn.commit().await.unwrap();
    stored
}

/// A delivery as it was read at a moment.
fn read(connection: AwsConnectionId, name: &str, at: DateTime<Utc>) -> (NewBillDelivery, NewBill) {
    let new = NewBillDelivery {
        id: BillDeliveryId::new(at, unlike_bytes()),
        connection,
        month: month(),
        delivery: name.to_owned(),
        manifest_key: "manifest".to_owned(),
        manifest_etag: format!("etag of {name}"),
        manifest_sha256: [1; 32],
        columns_sha256: None,
        files: 1,
        bytes: 10,
    };
    (new, NewBill { id: BillId::new(at, unlike_bytes()), name: name.to_owned(), created_at: at })
}

/// A connection of another account of the same organisation.
async fn connect_member(db: &TestDb, of: &Actor, account: &str) -> AwsConnection {
    let mut conn = db.store().tenant(of.tenant).await.unwrap();
    let account = account.parse().unwrap();
    let mut new = new_connection();
    new.place = ReportPlace { role: RoleArn::of_template(&account), account, ..new.place };
    let made = conn.create_aws_connection(&new).await.unwrap();
    conn.commit().await.unwrap();
    made
}

/// What counts of each account.
async fn counts(db: &TestDb, of: &Actor) -> Vec<(String, String)> {
    let mut conn = db.store().tenant(of.tenant).await.unwrap();
    let by = costlens_domain::bill::Dimension::Account;
    let slices = conn
        .bill_breakdown(&crate::BillFilter::default(), by, costlens_domain::bill::Measure::Unblended, 50)
        .await
        .unwrap();
    let mut told: Vec<_> =
        slices.into_iter().map(|slice| (slice.key, slice.cost.unwrap().normalize().to_string())).collect();
    told.sort();
    told
}

const OTHER_PAYER: &str = "999999999999";

fn of_each(costs: &[(&str, &str)]) -> Vec<(String, String)> {
    costs.iter().map(|(account, cost)| ((*account).to_owned(), (*cost).to_owned())).collect()
}

/// Reads a month whose delivery was stored before, as the `asks`-th reading does. Whether that counts again by it.
pub(super) async fn settle_known(db: &TestDb, of: &Actor, connection: AwsConnectionId, asks: u32) -> bool {
    let mut conn = db.store().tenant(of.tenant).await.unwrap();
    let job = (Uuid::from_bytes([7; 16]), asks);
    conn.await_bill_month(connection, month(), "manifest", job, at(70)).await.unwrap();
    assert!(conn.begin_bill_month(connection, month(), asks, at(70)).await.unwrap());
    let seen = SeenManifest { etag: "etag".to_owned(), rules_version: usual().rules_version };
    let counts_again = conn.settle_known_month((connection, month(), asks), &seen, at(71)).await.unwrap();
    conn.commit().await.unwrap();
    counts_again
}

pub(super) fn usual() -> BillReport {
    report(vec![fact(1, "1.25", costlens_domain::Currency::USD)])
}

#[tokio::test]
async fn a_delivery_is_stored_once_and_takes_the_place_of_the_one_before() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let first = store(&db, &acme, connection.id, ("one", 1), &usual()).await;
    let DeliveryStored::Stored(old, first) = first else { panic!("{first:?}") };
    assert_eq!((first.previous, first.change), (None, None));
    assert_eq!(store(&db, &acme, connection.id, ("one", 2), &usual()).await, DeliveryStored::Duplicate);

    let mut cheaper = usual();
    cheaper.totals[0].unblended -= rust_decimal::Decimal::ONE;
    let second = store(&db, &acme, connection.id, ("two", 3), &cheaper).await;
    let DeliveryStored::Stored(new, second) = second else { panic!("{second:?}") };
    assert_eq!((second.previous, second.changes.len()), (Some(first.id), 1));
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let bills = conn.list_bills(None, 10).await.unwrap();
    let counts: Vec<BillId> =
        bills.iter().filter(|bill| bill.superseded_at.is_none()).map(|bill| bill.id).collect();
    assert_eq!((counts, bills.len()), (vec![new.id], 2));
    assert!(!conn.bill_totals(old.id).await.unwrap().is_empty(), "its totals stay");
    let filter = crate::BillFilter { bill_id: Some(old.id), ..crate::BillFilter::default() };
    let facts = conn.bill_series(&filter, None, costlens_domain::bill::Measure::Unblended).await.unwrap();
    assert_eq!(facts, [], "its facts do not");
    let month = conn.bill_month(connection.id, month()).await.unwrap();
    assert_eq!((month.state, month.delivery), (BillMonthState::Current, Some(second.id)));
    assert_eq!(conn.list_bill_deliveries(connection.id, month.month, None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn only_other_amounts_restate_a_month_that_was_invoiced() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let on = |day: &str| format!("{day}T06:00:00Z").parse::<DateTime<Utc>>().unwrap();
    let mut cheaper = usual();
    cheaper.totals[0].unblended -= rust_decimal::Decimal::ONE;
    let newer = BillReport { rules_version: usual().rules_version + 1, ..usual() };
    for (asks, (day, name, report, expected)) in (1..).zip([
        ("2026-11-02", "one", usual(), Finality::Closing),
        // Nothing came when it was invoiced. Then the rules are newer, and say the same.
        ("2026-11-20", "one", newer, Finality::Invoiced),
        ("2026-11-21", "two", cheaper.clone(), Finality::Restated),
        ("2026-11-22", "three", cheaper, Finality::Restated),
    ]) {
        let stored = store_at(&db, &acme, connection.id, (name, asks), &report, on(day)).await;
        let DeliveryStored::Stored(_, delivery) = stored else { panic!("{name}: {stored:?}") };
        assert_eq!(delivery.finality, expected, "{name} on {day}");
    }
}

#[tokio::test]
async fn a_month_is_invoiced_once_all_its_lines_name_their_invoice() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let on = |day: &str| format!("{day}T06:00:00Z").parse::<DateTime<Utc>>().unwrap();
    let invoiced = BillReport { has_invoices: true, ..usual() };
    let mut cheaper = invoiced.clone();
    cheaper.totals[0].unblended -= rust_decimal::Decimal::ONE;
    for (asks, (day, name, report, expected)) in (1..).zip([
        ("2026-11-02", "one", usual(), Finality::Closing),
        ("2026-11-04", "two", invoiced, Finality::Invoiced),
        ("2026-11-05", "three", cheaper, Finality::Restated),
    ]) {
        let stored = store_at(&db, &acme, connection.id, (name, asks), &report, on(day)).await;
        let DeliveryStored::Stored(_, delivery) = stored else { panic!("{name}: {stored:?}") };
        assert_eq!(delivery.finality, expected, "{name} on {day}");
    }
}

#[tokio::test]
async fn a_month_that_a_connection_delivers_is_not_displaced_by_an_upload_until_the_connection_rests() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let delivered = store(&db, &acme, connection.id, ("one", 1), &usual()).await;
    let DeliveryStored::Stored(bill, _) = delivered else { panic!("{delivered:?}") };
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    // Nor is it withdrawn: it would be delivered again.
    assert_eq!(conn.withdraw_bill(bill.id, at(69)).await.unwrap(), Withdrawal::Brought);
    let filtered = report(vec![fact(1, "0.25", costlens_domain::Currency::USD)]);
    let other = conn.bill_in_the_way("filtered.csv", &filtered).await.unwrap().unwrap();
    assert_eq!((other.id, other.why), (bill.id, InTheWay::Delivered));
    conn.set_aws_connection(connection.id, AwsConnectionState::Paused, None, at(70)).await.unwrap();
    assert_eq!(conn.bill_in_the_way("filtered.csv", &filtered).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_resting_connection_delivered_is_withdrawn_until_it_is_resumed() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let delivered = october_of(&[(PAYER, "a", "1"), (PAYER, "b", "2")]);
    let DeliveryStored::Stored(bill, _) = store(&db, &acme, connection.id, ("one", 1), &delivered).await
    else {
        panic!("not stored")
    };
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.set_aws_connection(connection.id, AwsConnectionState::Paused, None, at(70)).await.unwrap();
    // A file of fewer accounts takes no place that has more.
    let part = october_of(&[(PAYER, "a", "1")]);
    let other = conn.bill_in_the_way("part.csv", &part).await.unwrap().unwrap();
    assert_eq!((other.id, other.why), (bill.id, InTheWay::OtherLines));
    let done = conn.withdraw_bill(bill.id, at(71)).await.unwrap();
    assert!(matches!(done, Withdrawal::Done(_)), "{done:?}");
    assert_eq!(conn.bill_in_the_way("part.csv", &part).await.unwrap(), None);
    conn.commit().await.unwrap();
    assert_eq!(counts(&db, &acme).await, []);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.set_aws_connection(connection.id, AwsConnectionState::Active, None, at(72)).await.unwrap();
    conn.commit().await.unwrap();
    assert!(settle_known(&db, &acme, connection.id, 2).await);
    assert_eq!(counts(&db, &acme).await, of_each(&[("a", "1"), ("b", "2")]));
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.bill(bill.id).await.unwrap().withdrawn_at, None);
}

#[tokio::test]
async fn a_month_is_not_taken_from_another_connection_that_is_at_work() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let (first, member) = (connect(&db, &acme).await, connect_member(&db, &acme, "444455556666").await);
    let DeliveryStored::Stored(bill, _) = store(&db, &acme, first.id, ("one", 1), &usual()).await else {
        panic!("not stored")
    };
    // An account of the same organisation, whose bill names the same payer.
    let taken = store(&db, &acme, member.id, ("two", 1), &usual()).await;
    assert_eq!(taken, DeliveryStored::Taken { by: "111122223333".to_owned() });
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.bill(bill.id).await.unwrap().superseded_at, None);
    conn.set_aws_connection(first.id, AwsConnectionState::Paused, None, at(70)).await.unwrap();
    conn.commit().await.unwrap();
    let stored = store(&db, &acme, member.id, ("two", 2), &usual()).await;
    assert!(matches!(stored, DeliveryStored::Stored(..)), "{stored:?}");
    // Nor is it taken back from one at work.
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.set_aws_connection(first.id, AwsConnectionState::Active, None, at(71)).await.unwrap();
    assert_eq!(conn.unfinished_months(first.id, usual().rules_version).await.unwrap(), []);
    conn.commit().await.unwrap();
    assert!(!settle_known(&db, &acme, first.id, 2).await);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert!(conn.bill(bill.id).await.unwrap().superseded_at.is_some());
}

#[tokio::test]
async fn members_of_an_organisation_that_deliver_their_own_reports_count_beside_each_other() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let (one, two) = (connect(&db, &acme).await, connect_member(&db, &acme, "444455556666").await);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    // Uploaded before anything was connected; the first account's part of it will be delivered.
    let new = NewBill { id: BillId::new(at(1), unlike_bytes()), name: "m3".to_owned(), created_at: at(1) };
    conn.import_bill(&new, &october_of(&[(PAYER, "m3", "4"), (PAYER, "m1", "9")])).await.unwrap();
    conn.commit().await.unwrap();
    let stored = |done: &DeliveryStored| matches!(done, DeliveryStored::Stored(..));
    assert!(stored(&store(&db, &acme, one.id, ("one", 1), &october_of(&[(PAYER, "m1", "1")])).await));
    let second = store(&db, &acme, two.id, ("two", 1), &october_of(&[(PAYER, "m2", "2")])).await;
    assert!(stored(&second), "{second:?}");
    assert_eq!(counts(&db, &acme).await, of_each(&[("m1", "1"), ("m2", "2"), ("m3", "4")]));
    // Each delivery is a version of its own account's alone, also while the other one rests.
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.set_aws_connection(one.id, AwsConnectionState::Paused, None, at(70)).await.unwrap();
    conn.commit().await.unwrap();
    assert!(stored(&store(&db, &acme, two.id, ("three", 2), &october_of(&[(PAYER, "m2", "3")])).await));
    assert_eq!(counts(&db, &acme).await, of_each(&[("m1", "1"), ("m2", "3"), ("m3", "4")]));
    // And so is an upload; the payer's own report has all of them.
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let upload = october_of(&[(PAYER, "m3", "5")]);
    assert_eq!(conn.bill_in_the_way("m3.csv", &upload).await.unwrap(), None);
    let new = NewBill { id: BillId::new(at(72), unlike_bytes()), name: "m3".to_owned(), created_at: at(72) };
    conn.import_bill(&new, &upload).await.unwrap();
    conn.commit().await.unwrap();
    assert_eq!(counts(&db, &acme).await, of_each(&[("m1", "1"), ("m2", "3"), ("m3", "5")]));
    let payer = connect_member(&db, &acme, "777788889999").await;
    let whole = october_of(&[(PAYER, "m1", "1"), (PAYER, "m2", "3"), (PAYER, "m3", "5")]);
    let taken = store(&db, &acme, payer.id, ("whole", 1), &whole).await;
    assert_eq!(taken, DeliveryStored::Taken { by: "444455556666".to_owned() });
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.set_aws_connection(two.id, AwsConnectionState::Paused, None, at(73)).await.unwrap();
    conn.commit().await.unwrap();
    assert!(stored(&store(&db, &acme, payer.id, ("whole", 2), &whole).await));
    assert_eq!(counts(&db, &acme).await, of_each(&[("m1", "1"), ("m2", "3"), ("m3", "5")]), "each once");
}

#[tokio::test]
async fn an_upload_with_a_delivered_account_and_another_counts_neither_twice() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let delivered = october_of(&[(PAYER, "a", "1")]);
    let DeliveryStored::Stored(bill, _) = store(&db, &acme, connection.id, ("one", 1), &delivered).await
    else {
        panic!("not stored")
    };
    let both = october_of(&[(PAYER, "a", "1"), (OTHER_PAYER, "b", "2")]);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let other = conn.bill_in_the_way("both.csv", &both).await.unwrap().unwrap();
    assert_eq!((other.id, other.why), (bill.id, InTheWay::Delivered));
    // While it rests the file has both, and counts in the delivery's place.
    conn.set_aws_connection(connection.id, AwsConnectionState::Paused, None, at(70)).await.unwrap();
    assert_eq!(conn.bill_in_the_way("both.csv", &both).await.unwrap(), None);
    let new =
        NewBill { id: BillId::new(at(71), unlike_bytes()), name: "both".to_owned(), created_at: at(71) };
    conn.import_bill(&new, &both).await.unwrap();
    // Then the delivery counts again, and the file for the other account alone.
    conn.set_aws_connection(connection.id, AwsConnectionState::Active, None, at(72)).await.unwrap();
    let unfinished = conn.unfinished_months(connection.id, delivered.rules_version).await.unwrap();
    assert!(unfinished.iter().any(|month| month.is_displaced), "{unfinished:?}");
    conn.commit().await.unwrap();
    assert_eq!(counts(&db, &acme).await, of_each(&[("a", "1"), ("b", "2")]));
    assert!(settle_known(&db, &acme, connection.id, 2).await);
    assert_eq!(counts(&db, &acme).await, of_each(&[("a", "1"), ("b", "2")]));
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.bill(bill.id).await.unwrap().superseded_at, None);
    assert_eq!(conn.bill(new.id).await.unwrap().given_up, [month().first_day()]);
}

#[tokio::test]
async fn a_reader_that_lost_its_job_puts_no_older_delivery_in_a_newer_ones_place() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    store(&db, &acme, connection.id, ("newer", 2), &october_of(&[(PAYER, "a", "2")])).await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let (new, bill) = read(connection.id, "older", at(80));
    let late = conn.publish_bill_delivery(&new, 1, &bill, &october_of(&[(PAYER, "a", "1")])).await.unwrap();
    assert_eq!(late, DeliveryStored::Overtaken);
    conn.commit().await.unwrap();
    assert_eq!(counts(&db, &acme).await, of_each(&[("a", "2")]));
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.list_bill_deliveries(connection.id, month(), None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_month_counts_again_as_delivered_once_its_connection_is_at_work_again() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let DeliveryStored::Stored(bill, _) = store(&db, &acme, connection.id, ("one", 1), &usual()).await else {
        panic!("not stored")
    };
    let rules = usual().rules_version;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.unfinished_months(connection.id, rules).await.unwrap(), []);
    assert_eq!(conn.unfinished_months(connection.id, rules + 1).await.unwrap().len(), 1, "by other rules");
    let october = month().first_day();
    let upload =
        NewBill { id: BillId::new(at(70), unlike_bytes()), name: "upload".to_owned(), created_at: at(70) };
    let report = BillReport { months: Some((october, october)), ..usual() };
    conn.import_bill(&upload, &report).await.unwrap();
    assert!(conn.bill(bill.id).await.unwrap().superseded_at.is_some());
    let unfinished = conn.unfinished_months(connection.id, rules).await.unwrap();
    let displaced = crate::UnfinishedMonth { month: month(), is_displaced: true, is_failed: false };
    assert_eq!(unfinished, [displaced]);
    // Not while it rests, and not by a job that does not count any more.
    conn.set_aws_connection(connection.id, AwsConnectionState::Paused, None, at(70)).await.unwrap();
    conn.commit().await.unwrap();
    assert!(!settle_known(&db, &acme, connection.id, 2).await);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.set_aws_connection(connection.id, AwsConnectionState::Active, None, at(70)).await.unwrap();
    let seen = SeenManifest { etag: "another".to_owned(), rules_version: rules };
    assert!(!conn.settle_known_month((connection.id, month(), 1), &seen, at(71)).await.unwrap());
    conn.commit().await.unwrap();
    assert!(settle_known(&db, &acme, connection.id, 3).await);
    assert!(!settle_known(&db, &acme, connection.id, 4).await, "it counts");
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.bill(bill.id).await.unwrap().superseded_at, None);
    assert_eq!(conn.bill(upload.id).await.unwrap().superseded_at, Some(at(71)));
    assert_eq!(conn.unfinished_months(connection.id, rules).await.unwrap(), []);
}

#[tokio::test]
async fn a_delivery_takes_its_month_out_of_an_upload_of_several() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let other = actor(&db, "other").await;
    let connection = connect(&db, &acme).await;
    let [september, october] = ["2026-09-01", "2026-10-01"].map(|day| day.parse::<NaiveDate>().unwrap());
    let quarter = || {
        let facts = [(september, "2.5"), (october, "1")].map(|(day, cost)| {
            let mut fact = fact(1, cost, costlens_domain::Currency::USD);
            fact.day = day;
            fact
        });
        BillReport { months: Some((september, october)), ..report(facts.to_vec()) }
    };
    let upload =
        NewBill { id: BillId::new(at(1), unlike_bytes()), name: "quarter".to_owned(), created_at: at(1) };
    let mut days = Vec::new();
    for tenant in [acme.tenant, other.tenant] {
        let mut conn = db.store().tenant(tenant).await.unwrap();
        conn.import_bill(&upload, &quarter()).await.unwrap();
        conn.commit().await.unwrap();
    }
    let of_upload = crate::BillFilter { bill_id: Some(upload.id), ..crate::BillFilter::default() };
    store(&db, &acme, connection.id, ("one", 1), &usual()).await;
    for tenant in [acme.tenant, other.tenant] {
        let mut conn = db.store().tenant(tenant).await.unwrap();
        let bill = conn.bill(upload.id).await.unwrap();
        let series =
            conn.bill_series(&of_upload, None, costlens_domain::bill::Measure::Unblended).await.unwrap();
        days.push((
            bill.given_up,
            bill.superseded_at,
            series.iter().map(|point| point.day).collect::<Vec<_>>(),
        ));
    }
    assert_eq!(days[0], (vec![october], None, vec![september]), "September counts as it was uploaded");
    assert_eq!(days[1], (vec![], None, vec![september, october]), "and nobody else's");
}

#[tokio::test]
async fn a_bill_of_which_nobody_knows_the_months_is_of_those_of_its_days() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let years = BillReport {
        months: None,
        first_day: "2023-01-05".parse().ok(),
        last_day: "2026-10-30".parse().ok(),
        ..october_of(&[(PAYER, "a", "1")])
    };
    let new = NewBill { id: BillId::new(at(1), unlike_bytes()), name: "years".to_owned(), created_at: at(1) };
    conn.import_bill(&new, &years).await.unwrap();
    let october = october_of(&[(PAYER, "a", "1")]);
    let other = conn.bill_in_the_way("october.csv", &october).await.unwrap().unwrap();
    assert_eq!((other.id, other.why), (new.id, InTheWay::OtherMonths));
    conn.commit().await.unwrap();
    store(&db, &acme, connection.id, ("one", 1), &october).await;
    assert_eq!(counts(&db, &acme).await, of_each(&[("a", "1")]), "once");
}

#[tokio::test]
async fn a_delivery_is_of_the_month_that_was_asked_for_whatever_days_its_lines_have() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let september = chrono::NaiveDate::from_ymd_opt(2026, 9, 1).unwrap();
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let before = BillReport { months: Some((september, september)), ..usual() };
    let bill =
        NewBill { id: BillId::new(at(1), unlike_bytes()), name: "september".to_owned(), created_at: at(1) };
    conn.import_bill(&bill, &before).await.unwrap();
    conn.commit().await.unwrap();
    // October's, in which a line of September is the earliest.
    let strayed = BillReport { first_day: Some(september), months: Some((september, september)), ..usual() };
    assert!(matches!(
        store(&db, &acme, connection.id, ("one", 1), &strayed).await,
        DeliveryStored::Stored(..)
    ));
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.bill(bill.id).await.unwrap().superseded_at, None, "September still counts");
}

#[tokio::test]
async fn nothing_is_stored_for_a_connection_at_rest_and_a_late_job_ends_no_newer_one() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    conn.set_aws_connection(connection.id, AwsConnectionState::Revoked, None, at(1)).await.unwrap();
    conn.commit().await.unwrap();
    assert_eq!(store(&db, &acme, connection.id, ("one", 1), &usual()).await, DeliveryStored::AtRest);
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert_eq!(conn.list_bills(None, 10).await.unwrap(), []);
    let job = (Uuid::from_bytes([8; 16]), 2);
    conn.await_bill_month(connection.id, month(), "manifest", job, at(70)).await.unwrap();
    assert!(!conn.begin_bill_month(connection.id, month(), 1, at(71)).await.unwrap());
    let problem = AwsProblem { code: "internal".to_owned(), detail: "late".to_owned() };
    let seen = SeenManifest { etag: "e".to_owned(), rules_version: 1 };
    let late = (connection.id, month(), 1);
    assert!(!conn.fail_bill_month(late, &problem, Some(&seen), at(72)).await.unwrap());
}

#[tokio::test]
async fn what_was_found_out_under_another_external_id_or_at_rest_counts_for_nothing() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let connection = connect(&db, &acme).await;
    let checked = AwsChecked {
        external_id: connection.place.external_id.clone(),
        state: AwsConnectionState::Active,
        problem: None,
        checks: 0,
        next_check_at: at(1_200),
        region: Some("eu-west-1".parse().unwrap()),
        layout: Some(costlens_domain::aws::Layout::Legacy),
        verified: true,
        swept: false,
    };
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    assert!(conn.settle_aws_check(connection.id, &checked, at(5)).await.unwrap());
    let found = conn.aws_connection(connection.id).await.unwrap();
    assert_eq!((found.state, found.verified_at), (AwsConnectionState::Active, Some(at(5))));
    let anew = ExternalId::new([9; 20]);
    let moved = conn.set_aws_connection(connection.id, AwsConnectionState::Pending, Some(&anew), at(6)).await;
    let moved = moved.unwrap();
    assert_eq!(moved.verified_at, None, "the role must be proven anew");
    assert_eq!(moved.layout, None, "and the report found anew");
    assert!(!conn.settle_aws_check(connection.id, &checked, at(7)).await.unwrap());
    conn.set_aws_connection(connection.id, AwsConnectionState::Paused, None, at(8)).await.unwrap();
    let of_new = AwsChecked { external_id: anew, ..checked };
    assert!(!conn.settle_aws_check(connection.id, &of_new, at(9)).await.unwrap());
    assert!(!conn.hasten_aws_check(connection.id, at(9)).await.unwrap());
}

#[tokio::test]
async fn an_account_is_connected_once_at_a_time_and_an_external_id_belongs_to_one() {
    let db = TestDb::new().await;
    let (acme, other) = (actor(&db, "acme").await, actor(&db, "other").await);
    let first = connect(&db, &acme).await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let again = conn.create_aws_connection(&new_connection()).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    // Another organisation may have the same account, and never the same ExternalId.
    let mut conn = db.store().tenant(other.tenant).await.unwrap();
    let mut copied = new_connection();
    copied.place.external_id = first.place.external_id.clone();
    let copied = conn.create_aws_connection(&copied).await;
    assert!(matches!(copied, Err(StoreError::Conflict { .. })), "{copied:?}");
    connect(&db, &other).await;
    let mut conn = db.store().tenant(other.tenant).await.unwrap();
    assert!(matches!(conn.aws_connection(first.id).await, Err(StoreError::NotFound)));
    let due = db.store().system().await.unwrap().due_aws_connections(at(0), None, 10).await.unwrap();
    assert_eq!(due.len(), 2);
}
