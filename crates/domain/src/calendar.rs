//! Days, weeks and months as the tenant's people mean them: in their time zone, over its changes of the clock.

use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Utc, Weekday,
};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name is not one of the IANA time zone database's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time zone of the IANA database, such as Europe/Berlin")]
pub struct UnknownZone(pub String);

/// A time zone of the IANA database. JSON carries its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(from)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}

/// How long a budget's or a report's stretch of time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday's midnight (ISO 8601).
    Week,
    /// From the first's midnight.
    Month,
}

impl Period {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The period of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Day, Self::Week, Self::Month].into_iter().find(|period| period.as_str() == name)
    }
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The zone of this name.
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        name.parse().map(Self).map_err(|_| UnknownZone(name.to_owned()))
    }

    /// The name, as in the IANA database.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// What clocks on the wall show.
    #[must_use]
    pub fn local(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.0).naive_local()
    }

    /// The moment at which clocks on the wall show this. Of a time that comes twice, the first; for one that is left
    /// out, the first moment after the gap.
    #[must_use]
    pub fn moment(self, local: NaiveDateTime) -> DateTime<Utc> {
        // No zone has ever left out more than a day.
        for minutes in 0..=24 * 60 {
            let shown = local + TimeDelta::minutes(minutes);
            if let Some(at) = self.0.from_local_datetime(&shown).earliest() {
                return at.with_timezone(&Utc);
            }
        }
        local.and_utc()
    }

    /// The day's first moment.
    #[must_use]
    pub fn midnight(self, day: NaiveDate) -> DateTime<Utc> {
        self.moment(day.and_time(NaiveTime::MIN))
    }

    /// When the period that this moment lies in began.
    #[must_use]
    pub fn start_of(self, period: Period, at: DateTime<Utc>) -> DateTime<Utc> {
        let today = self.local(at).date();
        let first = match period {
            Period::Day => today,
            Period::Week => monday_of(today),
            Period::Month => today.with_day(1).unwrap_or(today),
        };
        self.midnight(first)
    }

    /// The first moment after this one at which it is that hour of that day of the week.
    #[must_use]
    pub fn next_weekly(self, after: DateTime<Utc>, day: Weekday, hour: u32) -> DateTime<Utc> {
        let today = self.local(after).date();
        let time = NaiveTime::from_hms_opt(hour.min(23), 0, 0).unwrap_or(NaiveTime::MIN);
        let ahead = (7 + day.num_days_from_monday() - today.weekday().num_days_from_monday()) % 7;
        let in_days = |days: u32| today.checked_add_days(Days::new(u64::from(days))).unwrap_or(today);
        let this = self.moment(in_days(ahead).and_time(time));
        if this > after { this } else { self.moment(in_days(ahead + 7).and_time(time)) }
    }
}

/// The Monday of a day's ISO week.
#[must_use]
pub fn monday_of(day: NaiveDate) -> NaiveDate {
    day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday()))).unwrap_or(day)
}

/// The ISO week of a day, such as `2026-W48`.
#[must_use]
pub fn iso_week(day: NaiveDate) -> String {
    let week = day.iso_week();
    format!("{}-W{:02}", week.year(), week.week())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn nine_oclock_stays_nine_oclock_over_the_changes_of_the_clock() {
        let new_york = Zone::parse("America/New_York").unwrap();
        let before = new_york.next_weekly(at("2026-10-20T00:00:00Z"), Weekday::Mon, 9);
        assert_eq!(before, at("2026-10-26T13:00:00Z"));
        let after = new_york.next_weekly(at("2026-10-27T00:00:00Z"), Weekday::Mon, 9);
        assert_eq!(after, at("2026-11-02T14:00:00Z"));
        // The moment itself is not after itself.
        assert_eq!(new_york.next_weekly(after, Weekday::Mon, 9), at("2026-11-09T14:00:00Z"));
        let just_before = after - TimeDelta::seconds(1);
        assert_eq!(new_york.next_weekly(just_before, Weekday::Mon, 9), after);
    }

    #[test]
    fn a_time_that_is_left_out_is_the_first_after_the_gap_and_one_that_comes_twice_the_first() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        assert_eq!(
            berlin.next_weekly(at("2026-03-28T00:00:00Z"), Weekday::Sun, 2),
            at("2026-03-29T01:00:00Z")
        );
        assert_eq!(
            berlin.next_weekly(at("2026-10-24T00:00:00Z"), Weekday::Sun, 2),
            at("2026-10-25T00:00:00Z")
        );
    }

    #[test]
    fn a_zone_of_half_hours_and_one_that_skipped_a_day() {
        let lord_howe = Zone::parse("Australia/Lord_Howe").unwrap();
        assert_eq!(
            lord_howe.next_weekly(at("2026-07-01T00:00:00Z"), Weekday::Mon, 9),
            at("2026-07-05T22:30:00Z")
        );
        let apia = Zone::parse("Pacific/Apia").unwrap();
        let skipped = NaiveDate::from_ymd_opt(2011, 12, 30).unwrap();
        assert_eq!(apia.midnight(skipped), apia.midnight(NaiveDate::from_ymd_opt(2011, 12, 31).unwrap()));
    }

    #[test]
    fn periods_begin_where_the_tenants_people_say() {
        let tokyo = Zone::parse("Asia/Tokyo").unwrap();
        let now = at("2026-11-30T16:00:00Z"); // 1 December, 01:00
        assert_eq!(tokyo.start_of(Period::Day, now), at("2026-11-30T15:00:00Z"));
        assert_eq!(tokyo.start_of(Period::Month, now), at("2026-11-30T15:00:00Z"));
        assert_eq!(tokyo.start_of(Period::Week, now), at("2026-11-29T15:00:00Z"));
        assert_eq!(Zone::UTC.start_of(Period::Month, now), at("2026-11-01T00:00:00Z"));
        assert_eq!(iso_week(NaiveDate::from_ymd_opt(2027, 1, 1).unwrap()), "2026-W53");
    }

    #[test]
    fn only_names_of_the_database_are_zones() {
        assert_eq!(Zone::parse("Mars/Olympus"), Err(UnknownZone("Mars/Olympus".to_owned())));
        assert_eq!(Zone::parse("Europe/Berlin").unwrap().name(), "Europe/Berlin");
    }
}
