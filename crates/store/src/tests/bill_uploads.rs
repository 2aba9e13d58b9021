//! An upload ends once, its bill is kept with its end, and the same content makes one bill.

use costlens_domain::BillUploadId;

use chrono::NaiveDate;
use costlens_domain::bill::{BillReport, DailyFact, ReportFormat};
use costlens_domain::classify::RULES_VERSION;

use super::bills::{PAYER, new_bill, october_of, usd_report};
use super::support::{actor, at};
use crate::testing::{TestDb, unlike_bytes};
use crate::{
    InTheWay, NewBillUpload, Published, Store, StoreError, TenantConn, UploadProblem, UploadProgress,
    UploadState, Withdrawal,
};

fn upload(content: u8) -> NewBillUpload {
    let id = BillUploadId::new(at(0), unlike_bytes());
    NewBillUpload {
        id,
        name: "october.csv".to_owned(),
        object_key: format!("ten/bills/{id}"),
        bytes: 3,
        sha256: [content; 32],
        created_at: at(0),
    }
}

async fn create(store: &Store, tenant: costlens_domain::TenantId, content: u8) -> BillUploadId {
    let mut conn = store.tenant(tenant).await.unwrap();
    let made = conn.create_bill_upload(&upload(content)).await.unwrap();
    conn.commit().await.unwrap();
    made.id
}

async fn publish(mut conn: TenantConn, id: BillUploadId, second: i64) -> Published {
    let new = new_bill("october.csv", second);
    let published = conn.publish_bill_upload(id, &new, &usd_report("1")).await.unwrap();
    conn.commit().await.unwrap();
    published
}

#[tokio::test]
async fn an_upload_becomes_a_bill_once() {
    let db = TestDb::new().await;
    let (acme, globex) = (actor(&db, "acme").await.tenant, actor(&db, "globex").await.tenant);
    let id = create(db.store(), acme, 1).await;
    let mut conn = db.store().tenant(acme).await.unwrap();
    assert_eq!(conn.begin_reading_bill(id, at(1)).await.unwrap().state, UploadState::Reading);
    let progress = UploadProgress { step: "reading".to_owned(), permille: 250 };
    conn.note_bill_progress(id, &progress, at(2)).await.unwrap();
    assert_eq!(conn.bill_upload(id).await.unwrap().progress, Some(progress));
    conn.commit().await.unwrap();

    let Published::Bill(bill) = publish(db.store().tenant(acme).await.unwrap(), id, 3).await else {
        panic!("no bill")
    };
    assert_eq!(publish(db.store().tenant(acme).await.unwrap(), id, 4).await, Published::Ended);
    let mut conn = db.store().tenant(acme).await.unwrap();
    let upload = conn.begin_reading_bill(id, at(5)).await.unwrap();
    assert_eq!((upload.state, upload.bill_id), (UploadState::Published, Some(bill.id)));
    assert_eq!(upload.finished_at, Some(at(3)));
    let problem = UploadProblem { code: "internal".to_owned(), detail: "x".to_owned() };
    assert!(!conn.fail_bill_upload(id, &problem, at(6)).await.unwrap());
    assert_eq!(conn.list_bills(None, 9).await.unwrap().len(), 1);
    assert_eq!(conn.list_bill_uploads(None, 9).await.unwrap().len(), 1);
    assert_eq!(conn.list_bill_uploads(Some(id), 9).await.unwrap(), []);

    let mut other = db.store().tenant(globex).await.unwrap();
    assert!(matches!(other.bill_upload(id).await, Err(StoreError::NotFound)));
    assert!(!other.fail_bill_upload(id, &problem, at(7)).await.unwrap());
    assert_eq!(other.list_bill_uploads(None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn the_same_content_makes_no_second_bill_while_the_first_one_counts() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await.tenant;
    let (first, second) = (create(db.store(), acme, 1).await, create(db.store(), acme, 1).await);
    // Both were there before either was read.
    let Published::Bill(bill) = publish(db.store().tenant(acme).await.unwrap(), first, 1).await else {
        panic!("no bill")
    };
    let again = publish(db.store().tenant(acme).await.unwrap(), second, 2).await;
    assert_eq!(again, Published::Duplicate(bill.id));
    let mut conn = db.store().tenant(acme).await.unwrap();
    let third = conn.create_bill_upload(&upload(1)).await.unwrap();
    assert_eq!((third.state, third.bill_id), (UploadState::Duplicate, Some(bill.id)));
    assert_eq!(conn.list_bills(None, 9).await.unwrap().len(), 1);
    drop(conn);
    // Another content takes the month over, so that the first content is news again.
    let newer = create(db.store(), acme, 2).await;
    assert!(matches!(publish(db.store().tenant(acme).await.unwrap(), newer, 3).await, Published::Bill(_)));
    let back = create(db.store(), acme, 1).await;
    assert!(matches!(publish(db.store().tenant(acme).await.unwrap(), back, 4).await, Published::Bill(_)));
}

#[tokio::test]
async fn content_that_was_read_by_earlier_rules_is_read_again() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await.tenant;
    let first = create(db.store(), acme, 1).await;
    let mut conn = db.store().tenant(acme).await.unwrap();
    let older = BillReport { rules_version: RULES_VERSION - 1, ..usd_report("1") };
    let done = conn.publish_bill_upload(first, &new_bill("october", 1), &older).await.unwrap();
    assert!(matches!(done, Published::Bill(_)), "{done:?}");
    conn.commit().await.unwrap();
    let again = create(db.store(), acme, 1).await;
    let done = publish(db.store().tenant(acme).await.unwrap(), again, 2).await;
    assert!(matches!(done, Published::Bill(_)), "{done:?}");
    let mut conn = db.store().tenant(acme).await.unwrap();
    let counts = conn.list_bills(None, 9).await.unwrap();
    let counts: Vec<_> = counts.iter().filter(|bill| bill.superseded_at.is_none()).collect();
    assert_eq!((counts.len(), counts[0].rules_version), (1, RULES_VERSION));
    drop(conn);
    // Now it is the content of a bill that counts.
    let third = create(db.store(), acme, 1).await;
    let done = publish(db.store().tenant(acme).await.unwrap(), third, 3).await;
    assert!(matches!(done, Published::Duplicate(_) | Published::Ended), "{done:?}");
}

#[tokio::test]
async fn two_that_publish_at_once_make_one_bill() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await.tenant;
    let (one, other) = (create(db.store(), acme, 1).await, create(db.store(), acme, 1).await);
    let (a, b, c) = tokio::join!(
        publish(db.store().tenant(acme).await.unwrap(), one, 1),
        publish(db.store().tenant(acme).await.unwrap(), one, 1),
        publish(db.store().tenant(acme).await.unwrap(), other, 1),
    );
    let bills = [&a, &b, &c].into_iter().filter(|done| matches!(done, Published::Bill(_))).count();
    assert_eq!(bills, 1, "{a:?} {b:?} {c:?}");
    let mut conn = db.store().tenant(acme).await.unwrap();
    assert_eq!(conn.list_bills(None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_sweeper_sees_what_has_not_ended_and_no_more_than_it_needs() {
    let db = TestDb::new().await;
    let (acme, globex) = (actor(&db, "acme").await.tenant, actor(&db, "globex").await.tenant);
    let (left, ended) = (create(db.store(), acme, 1).await, create(db.store(), globex, 1).await);
    let job = uuid::Uuid::from_u128(7);
    let mut conn = db.store().tenant(globex).await.unwrap();
    let problem = UploadProblem { code: "bill_unreadable".to_owned(), detail: "line 3".to_owned() };
    assert!(conn.fail_bill_upload(ended, &problem, at(9)).await.unwrap());
    assert!(!conn.note_bill_upload_job(ended, 1, job, at(9)).await.unwrap());
    conn.commit().await.unwrap();
    let mut conn = db.store().tenant(acme).await.unwrap();
    assert!(conn.note_bill_upload_job(left, 2, job, at(9)).await.unwrap());
    assert!(!conn.note_bill_upload_job(left, 1, job, at(9)).await.unwrap());
    conn.commit().await.unwrap();

    let mut system = db.store().system().await.unwrap();
    assert_eq!(system.unfinished_bill_uploads(at(9), None, 9).await.unwrap(), []);
    let unfinished = system.unfinished_bill_uploads(at(10), None, 9).await.unwrap();
    let told: Vec<_> = unfinished.iter().map(|one| (one.tenant_id, one.id, one.job_id, one.asks)).collect();
    assert_eq!(told, [(acme, left, Some(job), 2)]);
    assert_eq!(system.unfinished_bill_uploads(at(10), Some(left), 9).await.unwrap(), []);
    let gone = BillUploadId::new(at(0), [9; 10]);
    assert_eq!(system.wanted_bill_uploads(&[left, ended, gone]).await.unwrap(), [left]);
    assert_eq!(system.purge("bill_upload", at(10), 9).await.unwrap(), Some(1));
    assert_eq!(system.purge("bill_upload", at(10), 9).await.unwrap(), Some(0));
}

fn month(month: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, month, 1).unwrap()
}

/// Uploads a report in a file of this name.
async fn upload_of(
    store: &Store,
    tenant: costlens_domain::TenantId,
    name: &str,
    report: &BillReport,
) -> Published {
    let content = name.bytes().fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let id = create(store, tenant, content).await;
    let mut conn = store.tenant(tenant).await.unwrap();
    let published = conn.publish_bill_upload(id, &new_bill(name, 9), report).await.unwrap();
    conn.commit().await.unwrap();
    published
}

#[tokio::test]
async fn a_month_counts_once_in_whatever_format_and_file_it_comes() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await.tenant;
    let report = usd_report("1");
    let cur = upload_of(db.store(), acme, "acme-00001.csv.gz", &report).await;
    assert!(matches!(cur, Published::Bill(_)), "{cur:?}");
    let why = |published: Published| match published {
        Published::InTheWay(other) => other.why,
        other => panic!("{other:?}"),
    };
    // The other part of the same report is not the month anew.
    assert_eq!(why(upload_of(db.store(), acme, "acme-00002.csv.gz", &report).await), InTheWay::OtherPart);
    // Another format is the same money.
    let focus = BillReport { format: ReportFormat::Focus, ..report.clone() };
    assert!(matches!(upload_of(db.store(), acme, "focus.parquet", &focus).await, Published::Bill(_)));
    let mut conn = db.store().tenant(acme).await.unwrap();
    let count =
        conn.list_bills(None, 9).await.unwrap().iter().filter(|bill| bill.superseded_at.is_none()).count();
    assert_eq!(count, 1);
    drop(conn);
    // A quarter would count the month again, and a line of a neighbouring month does not make a bill one of that.
    let quarter = BillReport { months: Some((month(8), month(10))), ..report.clone() };
    assert_eq!(why(upload_of(db.store(), acme, "quarter.csv", &quarter).await), InTheWay::OtherMonths);
    let november = BillReport { months: Some((month(11), month(11))), ..report.clone() };
    assert!(matches!(upload_of(db.store(), acme, "november.csv", &november).await, Published::Bill(_)));
    let mut conn = db.store().tenant(acme).await.unwrap();
    let count =
        conn.list_bills(None, 9).await.unwrap().iter().filter(|bill| bill.superseded_at.is_none()).count();
    assert_eq!(count, 2, "November did not take October's place");
    drop(conn);
    // By the end of the month another paying account has used AI, too; and without it the file has less than what counts.
    let mut both = report.clone();
    let line = both.facts[0].clone();
    both.facts.push(DailyFact { billing_account: "999999999999".into(), usage_account: "b".into(), ..line });
    let whole = upload_of(db.store(), acme, "whole.csv", &both).await;
    assert!(matches!(whole, Published::Bill(_)), "{whole:?}");
    assert_eq!(why(upload_of(db.store(), acme, "half.csv", &report).await), InTheWay::OtherAccounts);
    let mut conn = db.store().tenant(acme).await.unwrap();
    let count =
        conn.list_bills(None, 9).await.unwrap().iter().filter(|bill| bill.superseded_at.is_none()).count();
    assert_eq!(count, 2, "October once, and November");
}

/// The tenant's bills that count, by their names.
async fn counting(conn: &mut TenantConn) -> Vec<String> {
    let bills = conn.list_bills(None, 20).await.unwrap();
    bills.into_iter().filter(|bill| bill.superseded_at.is_none()).map(|bill| bill.name).collect()
}

#[tokio::test]
async fn a_members_own_report_does_not_take_the_place_of_the_payers() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await.tenant;
    let whole = october_of(&[(PAYER, "m1", "1"), (PAYER, "m2", "2")]);
    assert!(matches!(upload_of(db.store(), acme, "whole.csv", &whole).await, Published::Bill(_)));
    let member = october_of(&[(PAYER, "m1", "1")]);
    let Published::InTheWay(other) = upload_of(db.store(), acme, "member.csv", &member).await else {
        panic!("the other member's dollars are lost")
    };
    assert_eq!((&*other.name, other.why), ("whole.csv", InTheWay::OtherLines));
    // A newer whole has more accounts, and one whose accounts nobody tells may be whole.
    let newer = october_of(&[(PAYER, "m1", "1"), (PAYER, "m2", "2"), (PAYER, "m3", "3")]);
    assert!(matches!(upload_of(db.store(), acme, "newer.csv", &newer).await, Published::Bill(_)));
    let untold = october_of(&[(PAYER, "", "6")]);
    assert!(matches!(upload_of(db.store(), acme, "untold.csv", &untold).await, Published::Bill(_)));
    let mut conn = db.store().tenant(acme).await.unwrap();
    assert_eq!(counting(&mut conn).await, ["untold.csv"]);
}

#[tokio::test]
async fn content_takes_its_own_bills_place_though_it_has_fewer_accounts_by_other_rules() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await.tenant;
    let by_older = BillReport {
        rules_version: RULES_VERSION - 1,
        ..october_of(&[(PAYER, "m1", "1"), (PAYER, "m2", "2")])
    };
    assert!(matches!(upload_of(db.store(), acme, "one.csv", &by_older).await, Published::Bill(_)));
    let by_newer = october_of(&[(PAYER, "m1", "1")]);
    let again = upload_of(db.store(), acme, "one.csv", &by_newer).await;
    assert!(matches!(again, Published::Bill(_)), "{again:?}");
    let mut conn = db.store().tenant(acme).await.unwrap();
    assert_eq!(counting(&mut conn).await, ["one.csv"]);
}

#[tokio::test]
async fn a_withdrawn_bill_counts_no_longer_and_makes_room() {
    let db = TestDb::new().await;
    let (acme, globex) = (actor(&db, "acme").await.tenant, actor(&db, "globex").await.tenant);
    let whole = october_of(&[(PAYER, "m1", "1"), (PAYER, "m2", "2")]);
    let Published::Bill(bill) = upload_of(db.store(), acme, "whole.csv", &whole).await else {
        panic!("no bill")
    };
    let mut other = db.store().tenant(globex).await.unwrap();
    assert!(matches!(other.withdraw_bill(bill.id, at(20)).await, Err(StoreError::NotFound)));
    drop(other);

    let mut conn = db.store().tenant(acme).await.unwrap();
    let Withdrawal::Done(withdrawn) = conn.withdraw_bill(bill.id, at(21)).await.unwrap() else {
        panic!("not withdrawn")
    };
    assert_eq!((withdrawn.superseded_at, withdrawn.withdrawn_at), (Some(at(21)), Some(at(21))));
    assert_eq!(conn.withdraw_bill(bill.id, at(22)).await.unwrap(), Withdrawal::Past);
    conn.commit().await.unwrap();
    let mut conn = db.store().tenant(acme).await.unwrap();
    assert_eq!(conn.bill(bill.id).await.unwrap(), *withdrawn);
    assert_eq!(conn.current_bills().await.unwrap(), []);
    drop(conn);

    // The member's report is in nobody's way, and the same content as before is a new bill.
    let member = october_of(&[(PAYER, "m1", "1")]);
    let done = upload_of(db.store(), acme, "member.csv", &member).await;
    assert!(matches!(done, Published::Bill(_)), "{done:?}");
    let again = upload_of(db.store(), acme, "whole.csv", &whole).await;
    assert!(matches!(again, Published::Bill(_)), "{again:?}");
    // One in whose place another counts is not withdrawn.
    let mut conn = db.store().tenant(acme).await.unwrap();
    assert_eq!(counting(&mut conn).await, ["whole.csv"]);
    assert_eq!(conn.bill(bill.id).await.unwrap().withdrawn_at, Some(at(21)));
    let Published::Bill(member) = done else { unreachable!() };
    assert_eq!(conn.withdraw_bill(member.id, at(23)).await.unwrap(), Withdrawal::Past);
}
