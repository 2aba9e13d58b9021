use super::*;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Rule, subject};

static FIVE_A_MINUTE: Rule = Rule::new("five", 5, Duration::from_mins(1));

/// A clock that stands until it is moved.
#[derive(Debug)]
struct Moved(Mutex<DateTime<Utc>>);

impl Moved {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-26T12:00:00Z".parse().unwrap())))
    }

    fn by(&self, delta: TimeDelta) {
        *self.0.lock().unwrap() += delta;
    }
}

impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

fn asked(rule: &'static Rule, name: &str) -> Asked {
    Asked { rule, key: subject::key(&[7; 32], rule.name, name) }
}

fn take(local: &Local, name: &str) -> Option<Duration> {
    local.count(&[asked(&FIVE_A_MINUTE, name)], true).refused_for
}

#[test]
fn a_window_begins_with_the_first_take_and_ends_to_the_millisecond() {
    let clock = Moved::new();
    let local = Local::new(clock.clone(), 1000);
    for _ in 0..5 {
        assert_eq!(take(&local, "ada"), None);
        clock.by(TimeDelta::seconds(10));
    }
    assert_eq!(take(&local, "ada"), Some(Duration::from_secs(10)));
    clock.by(TimeDelta::milliseconds(9_999));
    assert_eq!(take(&local, "ada"), Some(Duration::from_millis(1)));
    assert_eq!(take(&local, "bob"), None);
    clock.by(TimeDelta::milliseconds(1));
    assert_eq!(take(&local, "ada"), None);
}

#[test]
fn a_clock_that_is_set_back_refuses_for_no_longer_than_a_window() {
    let clock = Moved::new();
    let local = Local::new(clock.clone(), 1000);
    for _ in 0..5 {
        assert_eq!(take(&local, "ada"), None);
    }
    clock.by(TimeDelta::days(-30));
    assert_eq!(take(&local, "ada"), Some(Duration::from_mins(1)));
    clock.by(TimeDelta::minutes(1));
    assert_eq!(take(&local, "ada"), None);
}

#[test]
fn a_flood_of_strangers_stays_within_bounds_and_a_full_counter_is_not_forgotten() {
    let local = Local::new(Moved::new(), 1600);
    for _ in 0..5 {
        assert_eq!(take(&local, "ada"), None);
    }
    let mut most = 0;
    for stranger in 0..50_000 {
        assert_eq!(take(&local, &format!("stranger {stranger}")), None);
        most = most.max(local.len());
    }
    assert!((1000..=1600).contains(&most), "{most}");
    assert!(take(&local, "ada").is_some());
}

#[test]
fn counters_whose_window_is_over_make_room_first() {
    let clock = Moved::new();
    let local = Local::new(clock.clone(), 1600);
    for stranger in 0..1600 {
        for _ in 0..3 {
            take(&local, &format!("stranger {stranger}"));
        }
    }
    clock.by(TimeDelta::minutes(1));
    for late in 0..800 {
        take(&local, &format!("late {late}"));
    }
    let one_less = |late| local.count(&[asked(&FIVE_A_MINUTE, &format!("late {late}"))], false).standings;
    let known = (0..800).filter(|late| one_less(*late).iter().all(|standing| standing.count == 1)).count();
    assert_eq!(known, 800, "what was taken once in this window outlives what was taken thrice in the last");
}

#[test]
fn where_one_counter_is_full_none_is_taken() {
    static TWO: Rule = Rule::new("two", 2, Duration::from_secs(30));
    let local = Local::new(Moved::new(), 1000);
    let both = [asked(&FIVE_A_MINUTE, "ada"), asked(&TWO, "203.0.113.7")];
    for taken in 1..=2 {
        let outcome = local.count(&both, true);
        assert_eq!(outcome.refused_for, None);
        assert!(outcome.standings.iter().all(|standing| standing.count == taken));
    }
    for _ in 0..10 {
        assert_eq!(local.count(&both, true).refused_for, Some(Duration::from_secs(30)));
    }
    assert_eq!(local.count(&both[..1], false).standings[0].count, 2);
}

#[test]
fn threads_that_take_the_same_two_counters_in_either_order_get_exactly_the_limit() {
    static MANY: Rule = Rule::new("many", 1000, Duration::from_mins(1));
    let local = Local::new(Moved::new(), 1000);
    let (one, other) = (asked(&MANY, "a"), asked(&MANY, "b"));
    let allowed = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for turn in 0..8 {
            let (local, allowed) = (&local, &allowed);
            scope.spawn(move || {
                let both = if turn % 2 == 0 { [one, other] } else { [other, one] };
                for _ in 0..200 {
                    if local.count(&both, true).refused_for.is_none() {
                        allowed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(allowed.into_inner(), 1000);
}
