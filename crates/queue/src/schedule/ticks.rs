//! When a schedule ticks: on paper, without a clock or a database.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;

use super::CatchUp;
use crate::QueueError;

/// The most ticks that one look back counts; older ones are forgotten.
const MOST: usize = 1_000;

/// How late a tick may be and still not count as missed.
const LATE: TimeDelta = TimeDelta::seconds(60);

fn read(name: &str, cron: &str, tz: &str) -> Result<(Cron, Tz), QueueError> {
    let refuse = |reason: String| QueueError::Schedule { name: name.to_owned(), reason };
    let parsed = cron.parse().map_err(|error: croner::errors::CronError| refuse(error.to_string()))?;
    let tz = tz.parse().map_err(|_| refuse(format!("there is no time zone {tz}")))?;
    Ok((parsed, tz))
}

/// The first tick after a moment.
pub(super) fn next(
    name: &str,
    cron: &str,
    tz: &str,
    after: DateTime<Utc>,
) -> Result<DateTime<Utc>, QueueError> {
    let (cron, tz) = read(name, cron, tz)?;
    let next = cron.find_next_occurrence(&after.with_timezone(&tz), false);
    let refuse = |error: croner::errors::CronError| QueueError::Schedule {
        name: name.to_owned(),
        reason: error.to_string(),
    };
    Ok(next.map_err(refuse)?.with_timezone(&Utc))
}

/// The ticks after `from` up to and with `until`, the latest thousand at most, oldest first.
pub(super) fn between(
    name: &str,
    cron: &str,
    tz: &str,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<DateTime<Utc>>, QueueError> {
    let (cron, tz) = read(name, cron, tz)?;
    // Backwards, so that a schedule of seconds that slept for a year costs a thousand steps and not millions.
    let mut found = Vec::new();
    let mut at = until.with_timezone(&tz);
    let mut inclusive = true;
    while found.len() < MOST {
        let Ok(before) = cron.find_previous_occurrence(&at, inclusive) else { break };
        let tick = before.with_timezone(&Utc);
        if tick <= from || found.last().is_some_and(|last| tick >= *last) {
            break;
        }
        found.push(tick);
        at = before;
        inclusive = false;
    }
    found.reverse();
    Ok(found)
}

/// Which of the ticks that are due are to be run.
pub(super) fn to_run(due: &[DateTime<Utc>], catch_up: CatchUp, now: DateTime<Utc>) -> &[DateTime<Utc>] {
    let latest = |count: usize| due.get(due.len().saturating_sub(count)..).unwrap_or_default();
    match catch_up {
        CatchUp::Last => latest(1),
        CatchUp::All(most) => latest(usize::try_from(most).unwrap_or(usize::MAX)),
        CatchUp::Skip if due.last().is_some_and(|last| now - *last <= LATE) => latest(1),
        CatchUp::Skip => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn days(cron: &str, from: &str, until: &str) -> Vec<String> {
        let ticks = between("test", cron, "Europe/Berlin", at(from), at(until)).unwrap();
        ticks.iter().map(|tick| tick.format("%m-%dT%H:%MZ").to_string()).collect()
    }

    #[test]
    fn nine_in_the_morning_stays_nine_in_the_morning_when_the_clocks_change() {
        // Berlin: summer time began on 2026-03-29 and ended on 2026-10-25.
        let spring = days("0 9 * * *", "2026-03-28T00:00:00Z", "2026-03-30T23:00:00Z");
        assert_eq!(spring, ["03-28T08:00Z", "03-29T07:00Z", "03-30T07:00Z"]);
        let autumn = days("0 9 * * *", "2026-10-24T00:00:00Z", "2026-10-26T23:00:00Z");
        assert_eq!(autumn, ["10-24T07:00Z", "10-25T08:00Z", "10-26T08:00Z"]);
    }

    #[test]
    fn a_time_that_the_clocks_skip_still_ticks_once_that_day_and_one_that_they_repeat_ticks_once() {
        let skipped = days("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
        assert_eq!(skipped.len(), 1, "{skipped:?}");
        assert!(skipped.iter().all(|tick| tick.starts_with("03-29T01:")), "{skipped:?}");
        let repeated = days("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
        assert_eq!(repeated.len(), 1, "{repeated:?}");
    }

    #[test]
    fn an_hourly_interval_ticks_every_hour_through_both_changes() {
        let autumn = days("0 * * * *", "2026-10-24T22:00:00Z", "2026-10-25T03:00:00Z");
        assert_eq!(autumn, ["10-24T23:00Z", "10-25T00:00Z", "10-25T01:00Z", "10-25T02:00Z", "10-25T03:00Z"]);
        let spring = days("0 * * * *", "2026-03-28T23:00:00Z", "2026-03-29T03:00:00Z");
        assert_eq!(spring, ["03-29T00:00Z", "03-29T01:00Z", "03-29T02:00Z", "03-29T03:00Z"]);
    }

    #[test]
    fn looking_forward_and_looking_back_find_the_same_ticks() {
        for cron in ["*/20 * * * *", "30 2 * * *", "0 3 * * 0", "15 1,2,3 * * *"] {
            for (from, until) in [
                ("2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z"),
                ("2026-10-24T00:00:00Z", "2026-10-27T00:00:00Z"),
            ] {
                let back = between("test", cron, "Europe/Berlin", at(from), at(until)).unwrap();
                let mut forward = Vec::new();
                let mut now = at(from);
                loop {
                    now = next("test", cron, "Europe/Berlin", now).unwrap();
                    if now > at(until) {
                        break;
                    }
                    forward.push(now);
                }
                assert_eq!(back, forward, "{cron} from {from}");
            }
        }
    }

    #[test]
    fn missed_ticks_are_caught_up_with_as_far_as_the_schedule_says() {
        let due: Vec<_> = (0..5).map(|hour| at("2026-05-01T00:00:00Z") + TimeDelta::hours(hour)).collect();
        let late = at("2026-05-01T04:30:00Z");
        assert!(to_run(&due, CatchUp::Skip, late).is_empty());
        assert_eq!(to_run(&due, CatchUp::Skip, at("2026-05-01T04:00:30Z")), &due[4..]);
        assert_eq!(to_run(&due, CatchUp::Last, late), &due[4..]);
        assert_eq!(to_run(&due, CatchUp::All(3), late), &due[2..]);
        assert_eq!(to_run(&due, CatchUp::All(9), late), &due[..]);
    }

    #[test]
    fn a_long_sleep_costs_a_bounded_number_of_ticks() {
        let ticks =
            between("t", "* * * * *", "UTC", at("2025-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(ticks.len(), MOST);
        assert_eq!(ticks.last().copied(), Some(at("2026-01-01T00:00:00Z")));
    }
}
