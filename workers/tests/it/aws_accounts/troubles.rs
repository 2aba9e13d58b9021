//! Roles, buckets, files and jobs that fail, for a while or for ever.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use costlens_aws::testing::aws::{AwsCall, AwsState, Failure};
use costlens_domain::aws::Month;
use costlens_queue::ops::{JobRow, State};
use costlens_store::{AwsConnectionState, BillMonthState};

use super::{Customer, noon};

#[tokio::test]
async fn an_old_month_that_cannot_be_read_hides_nothing_and_is_no_failure_of_the_connection() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.deliver(this.back(1), 1);
    customer.spoil(this.back(8), 1);
    customer.next_look().await;
    let active = customer.next_look().await;
    assert_eq!((active.state, active.problem), (AwsConnectionState::Active, None));
    let mut conn = customer.office.parts.store.tenant(customer.tenant).await.unwrap();
    let old = conn.bill_month(customer.connection, this.back(8)).await.unwrap();
    assert_eq!((old.state, old.problem.unwrap().code.as_str()), (BillMonthState::Failed, "file_unreadable"));
    drop(conn);

    let told = customer.told().await;
    customer.spoil(this.back(1), 2);
    customer.next_look().await;
    let failing = customer.next_look().await;
    let problem = failing.problem.unwrap();
    assert_eq!((failing.state, problem.code.as_str()), (AwsConnectionState::Failing, "file_unreadable"));
    assert!(problem.detail.starts_with("October 2026: "), "{problem:?}");
    assert_eq!(customer.told().await, told + 1);
    // It lets us in as before, and is not probed for its ExternalId at every look.
    drop(customer.aws.calls());
    customer.next_look().await;
    let calls = customer.aws.calls();
    assert_eq!(calls.iter().filter(|call| call.action == "sts:AssumeRole").count(), 1, "{calls:?}");

    // Then AWS stops, which October's files do not hide.
    let stale = customer.check_at(noon() + TimeDelta::hours(38)).await;
    assert_eq!(stale.problem.unwrap().code, "delivery_stale");
    assert_eq!(customer.told().await, told + 2);
}

#[tokio::test]
async fn a_month_that_takes_too_much_memory_is_told_as_too_large() {
    let customer = Customer::connected().await;
    customer.make_role();
    customer.reader.is_full.store(true, Ordering::SeqCst);
    customer.deliver("2026-11".parse().unwrap(), 1);
    // The month is read after the look that found it. The one that its reading asks for is of the same millisecond of
    // this clock, which stands still, and so the same job: the next is the first to see what became of the month.
    customer.next_look().await;
    let failing = customer.next_look().await;
    assert_eq!(failing.state, AwsConnectionState::Failing);
    let problem = failing.problem.unwrap();
    assert_eq!(
        (problem.code.as_str(), problem.detail.as_str()),
        ("too_large", "November 2026: it needs more memory")
    );
}

#[tokio::test]
async fn a_session_that_expires_in_mid_download_costs_no_month_and_is_renewed_as_soon_as_it_can_be() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.next_look().await;
    assert_eq!(customer.lines().await, [(this, 1)]);
    let good = customer.month().await.delivery;

    // The hour is over between the first file and the second, and STS gives no other one.
    let role = customer.place.role.as_str().to_owned();
    // The first question about the second file is its HEAD, the next its GET.
    customer.aws.before("s3:GetObject", "2-1", |_| ());
    customer.aws.before("s3:GetObject", "2-1", move |state| {
        state.end_sessions(&role);
        state.fail("sts:AssumeRole", "", Failure::Status(400), u32::MAX);
    });
    customer.deliver(this, 2);
    drop(customer.aws.calls());
    customer.next_look().await;
    let calls = customer.aws.calls();
    let refused = |call: &&AwsCall| call.resource.ends_with("2-1") && call.status == 400;
    assert_eq!(calls.iter().filter(refused).count(), 1, "{calls:?}");
    assert_eq!(customer.lines().await, [(this, 1)]);
    assert_eq!(customer.month().await.delivery, good);

    customer.aws.fail("sts:AssumeRole", "", Failure::Status(400), 0);
    let begun = std::time::Instant::now();
    while customer.lines().await != [(this, 2)] {
        assert!(begun.elapsed() < crate::PATIENCE, "the month is not read again");
        customer.office.wake_all().await;
        customer.office.quiet().await;
    }
    assert_ne!(customer.month().await.delivery, good);
}

#[tokio::test]
async fn a_month_whose_job_died_is_told_of_once_and_tried_again_when_a_failed_month_is() {
    let mut customer = Customer::connected().await;
    customer.make_role();
    customer.deliver("2026-11".parse().unwrap(), 2);
    customer.read_in_vain(noon() + TimeDelta::minutes(1), "dead").await;
    let died = customer.next_look().await;
    assert_eq!(died.state, AwsConnectionState::Failing);
    assert_eq!(died.problem.unwrap().code, "internal");
    let failed_at = customer.month().await.updated_at;
    // Looks go on, and neither ask for another job nor tell of it again.
    while customer.office.parts.clock.now() < failed_at + TimeDelta::hours(5) {
        assert_eq!(customer.next_look().await.state, AwsConnectionState::Failing);
    }
    assert_eq!(customer.office.jobs("bill-month.v1").await.len(), 1);
    assert_eq!((customer.month().await.state, customer.told().await), (BillMonthState::Failed, 1));

    // One that was asked for again and never came to anything is asked for at the next look.
    customer.read_in_vain(failed_at + TimeDelta::hours(6), "cancelled").await;
    customer.next_look().await;
    assert_eq!(customer.lines().await, [("2026-11".parse().unwrap(), 2)]);
    assert_eq!(customer.next_look().await.state, AwsConnectionState::Active);
}

#[tokio::test]
async fn an_account_without_a_delivery_for_a_day_and_a_half_says_so_once_and_until_the_next_one() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.next_look().await;
    let fresh = customer.check_at(noon() + TimeDelta::hours(35)).await;
    assert_eq!((fresh.state, fresh.problem), (AwsConnectionState::Active, None));
    let told = customer.told().await;
    for hours in [37, 38, 60] {
        let stale = customer.check_at(noon() + TimeDelta::hours(hours)).await;
        let problem = stale.problem.unwrap();
        assert_eq!((stale.state, problem.code.as_str()), (AwsConnectionState::Failing, "delivery_stale"));
        assert!(problem.detail.contains("2026-11-20 12:"), "{problem:?}");
    }
    assert_eq!(customer.told().await, told + 1);
    customer.deliver(this, 2);
    let next = customer.check_at(noon() + TimeDelta::hours(61)).await;
    assert_eq!((next.state, next.problem), (AwsConnectionState::Active, None));
    assert_eq!(customer.lines().await, [(this, 2)]);
}

/// Writes an object anew before each question about it.
fn rewrite_for_ever(state: &mut AwsState, key: &'static str) {
    state.before("s3:GetObject", key, move |state| {
        let full = state.keys("acme-billing").into_iter().find(|one| one.ends_with(key)).unwrap();
        state.put("acme-billing", &full, "2026-11-01");
        rewrite_for_ever(state, key);
    });
}

#[tokio::test]
async fn what_moves_at_every_reading_is_told_by_name_and_read_when_it_stands_still() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.next_look().await;
    let good = customer.month().await.delivery;
    rewrite_for_ever(&mut customer.aws.state(), "2-1");
    customer.deliver(this, 2);
    customer.next_look().await;
    let code = |jobs: &[JobRow]| jobs.iter().any(|job| job.code.as_deref() == Some("changed_in_mid_read"));
    customer.office.until("bill-month.v1", code).await;
    // It has many attempts; this is the last one.
    let begun = std::time::Instant::now();
    while customer.month().await.state != BillMonthState::Failed {
        assert!(begun.elapsed() < crate::PATIENCE, "it is tried for ever");
        let last = "UPDATE queue.job SET attempts = max_attempts - 1 \
                    WHERE queue = 'bill-month.v1' AND status = 'pending' AND attempts > 0";
        customer.office.sql(last).await;
        customer.office.wake("bill-month.v1").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let month = customer.month().await;
    assert_eq!((month.state, month.delivery), (BillMonthState::Failed, good));
    assert_eq!(month.problem.unwrap().code, "changed_in_mid_read");
    let failing = customer.next_look().await;
    assert_eq!(failing.state, AwsConnectionState::Failing);
    assert_eq!(failing.problem.unwrap().code, "changed_in_mid_read");
    assert_eq!(customer.lines().await, [(this, 1)]);

    // That look had it tried again, in vain; it stands still by the next attempt.
    customer.aws.state().forget_plans();
    customer.deliver(this, 3);
    customer.office.wake("bill-month.v1").await;
    customer.office.quiet().await;
    assert_eq!(customer.lines().await, [(this, 3)]);
    assert_eq!(customer.next_look().await.problem, None);
}

#[tokio::test]
async fn a_bucket_that_is_away_costs_no_month_and_is_read_when_it_is_there_again() {
    let customer = Customer::connected().await;
    customer.make_role();
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    customer.next_look().await;
    for (files, failure) in [(2, Failure::Status(503)), (3, Failure::CutInHalf)] {
        let (bill, before) = (customer.month().await.delivery, customer.lines().await);
        let file = if files == 2 { "2-1" } else { "3-1" };
        customer.aws.fail("s3:GetObject", file, failure, u32::MAX);
        customer.deliver(this, files);
        customer.next_look().await;
        let waits = |jobs: &[JobRow]| jobs.iter().any(|job| job.state == State::Retrying);
        customer.office.until("bill-month.v1", waits).await;
        assert_eq!((customer.month().await.delivery, customer.lines().await), (bill, before));
        let looked = customer.look().await;
        assert_eq!(
            (looked.state, looked.problem),
            (AwsConnectionState::Active, None),
            "it is no fault of theirs"
        );
        customer.aws.fail("s3:GetObject", file, failure, 0);
        customer.office.wake("bill-month.v1").await;
        customer.office.quiet().await;
        assert_eq!(customer.lines().await, [(this, u64::try_from(files).unwrap())]);
    }
}

#[tokio::test]
async fn an_account_that_never_delivers_says_so_after_two_days_and_one_whose_report_is_gone_at_once() {
    let customer = Customer::connected().await;
    customer.make_role();
    let early = customer.check_at(noon() + TimeDelta::hours(47)).await;
    assert_eq!((early.state, early.problem), (AwsConnectionState::Active, None));
    assert_eq!(customer.told().await, 0);
    for hours in [49, 50, 72] {
        let late = customer.check_at(noon() + TimeDelta::hours(hours)).await;
        let problem = late.problem.unwrap();
        assert_eq!((late.state, problem.code.as_str()), (AwsConnectionState::Failing, "nothing_delivered"));
        assert!(problem.detail.contains("costlens below acme-billing/exports"), "{problem:?}");
    }
    assert_eq!(customer.told().await, 1);
    let this: Month = "2026-11".parse().unwrap();
    customer.deliver(this, 1);
    let there = customer.check_at(noon() + TimeDelta::hours(73)).await;
    assert_eq!((there.state, there.problem), (AwsConnectionState::Active, None));
    assert_eq!(customer.lines().await, [(this, 1)]);

    // Whoever empties the bucket hears of it at the next look, and what was read counts.
    customer.aws.state().empty("acme-billing");
    let emptied = customer.check_at(noon() + TimeDelta::hours(74)).await;
    assert_eq!(emptied.problem.unwrap().code, "nothing_delivered");
    assert_eq!(customer.lines().await, [(this, 1)]);
}
