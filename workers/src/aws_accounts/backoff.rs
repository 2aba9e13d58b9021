//! When a connection is looked at next.

use std::time::Duration;

/// How often deliveries are looked for. AWS writes up to three a day.
pub(super) const DELIVERIES: Duration = Duration::from_mins(20);
/// After AWS could not be asked.
pub(super) const AWAY: Duration = Duration::from_mins(5);
/// How many looks in vain make a day, by [`for_role`].
pub(super) const MOST_FOR_ROLE: u32 = 104;

/// While the role is not there yet: often at first, because somebody waits; then every quarter of an hour.
pub(super) fn for_role(checks: u32) -> Duration {
    match checks {
        0 => Duration::from_secs(5),
        1 => Duration::from_secs(10),
        2 => Duration::from_secs(20),
        3..=6 => Duration::from_secs(40),
        7..=14 => Duration::from_mins(2),
        _ => Duration::from_mins(15),
    }
}

/// While something is wrong that only its people can mend: less and less often, every six hours at last.
pub(super) fn for_people(checks: u32) -> Duration {
    let times = 1_u32 << checks.min(5);
    DELIVERIES.saturating_mul(times).min(Duration::from_hours(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_looked_for_through_a_day_and_a_failure_ever_more_seldom() {
        let day: Duration = (0..MOST_FOR_ROLE).map(for_role).sum();
        assert!(day > Duration::from_hours(22) && day < Duration::from_hours(26), "{day:?}");
        let pauses: Vec<Duration> = (0..20).map(for_people).collect();
        assert!(pauses.is_sorted() && pauses[0] == DELIVERIES && pauses[19] == Duration::from_hours(6));
    }
}
