//! The ticks of the product's schedules, said without cron.

use chrono::{DateTime, TimeDelta, Utc};

/// The ticks of a schedule after `begin` up to and with `end`.
pub(super) fn ticks(schedule: &str, begin: DateTime<Utc>, end: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let midnight = begin.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc();
    let every = |minutes, offset| {
        let first = midnight + TimeDelta::minutes(offset);
        (0..).map(move |n| first + TimeDelta::minutes(minutes) * n)
    };
    let all: Box<dyn Iterator<Item = DateTime<Utc>>> = match schedule {
        "bill-uploads" | "budgets" | "erasures" => Box::new(every(10, 0)),
        "aws-checks" | "status" => Box::new(every(1, 0)),
        "messages" => Box::new(every(10, 5)),
        "deliveries" => Box::new(every(10, 8)),
        "exports" => Box::new(every(10, 3)),
        "invoice-fetches" => Box::new(every(10, 2)),
        "digests" => Box::new(every(15, 1)),
        "anomalies" => Box::new(every(60, 20)),
        "dead-letters" => Box::new(every(60, 45)),
        "partitions" => Box::new(every(60, 7)),
        "retention" => Box::new(every(24 * 60, 2 * 60 + 10)),
        "queue-rows" => Box::new(every(24 * 60, 2 * 60 + 40)),
        "key-rotation" => Box::new(every(24 * 60, 3 * 60 + 20)),
        "insight" => Box::new(every(24 * 60, 5 * 60 + 35)),
        "settlements" => Box::new(every(24 * 60, 5 * 60 + 10)),
        "unpriced" => Box::new(every(24 * 60, 4 * 60 + 50)),
        "clerk-sweep" => Box::new(every(24 * 60, 3 * 60 + 50)),
        "sso-domains" => Box::new(every(6 * 60, 35)),
        "audit-anchors" | "prices" => Box::new(every(6 * 60, 25)),
        other => panic!("the calendar does not know {other}"),
    };
    all.skip_while(|at| *at <= begin).take_while(|at| *at <= end).collect()
}

#[test]
fn the_calendar_knows_the_product() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let of = |schedule, begin, end| {
        let ticks = ticks(schedule, at(begin), at(end)).into_iter();
        ticks.map(|at| at.format("%m-%dT%H:%M").to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of("digests", "2026-10-24T23:46:00Z", "2026-10-25T00:20:00Z"), ["10-25T00:01", "10-25T00:16"]);
    assert_eq!(
        of("audit-anchors", "2026-01-15T06:25:00Z", "2026-01-16T00:30:00Z"),
        ["01-15T12:25", "01-15T18:25", "01-16T00:25"]
    );
    assert_eq!(of("retention", "2026-01-15T02:10:00Z", "2026-01-16T12:00:00Z"), ["01-16T02:10"]);
}
