//! What may be kept of prompts and answers, and for how long.

use chrono::{DateTime, Days, Utc};

use crate::request::text_enum;

text_enum! {
    /// What became of a call's prompt and answer. Decided when the call comes in, and never improved upon.
    BodyState {
        /// Nobody asked for them to be kept.
        None = "none",
        /// Both are kept, sealed.
        Sealed = "sealed",
        /// Both are kept, sealed; the end of one is missing, because it was longer than what is kept.
        Truncated = "truncated",
        /// Zero Data Retention: they were never kept anywhere.
        DroppedZdr = "dropped_zdr",
        /// They were to be kept, and could not be without slowing or failing the call.
        Unavailable = "unavailable",
    }
}

impl BodyState {
    /// Whether there was something to read when the call ended.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        matches!(self, Self::Sealed | Self::Truncated)
    }
}

text_enum! {
    /// How long prompts and answers are kept.
    BodyClass {
        /// Seven days.
        Week = "7d",
        /// Thirty days.
        Month = "30d",
        /// Ninety days.
        Quarter = "90d",
        /// A year.
        Year = "365d",
        /// For ever, or as long as the operator's cap lets them, which is at least [`FOREVER_FLOOR_DAYS`].
        Forever = "forever",
    }
}

/// Bodies that are kept for ever are kept this long whatever the operator's cap.
pub const FOREVER_FLOOR_DAYS: u32 = 30;

impl BodyClass {
    /// For how many days; `None` without end. `forever_cap` is the operator's, which counts as the floor below it.
    #[must_use]
    pub fn days(self, forever_cap: Option<u32>) -> Option<u32> {
        match self {
            Self::Week => Some(7),
            Self::Month => Some(30),
            Self::Quarter => Some(90),
            Self::Year => Some(365),
            Self::Forever => forever_cap.map(|days| days.max(FOREVER_FLOOR_DAYS)),
        }
    }

    /// When a body of a call that began at this moment is past its time; `None` if never.
    #[must_use]
    pub fn expires_at(self, started_at: DateTime<Utc>, forever_cap: Option<u32>) -> Option<DateTime<Utc>> {
        let days = self.days(forever_cap)?;
        started_at.checked_add_days(Days::new(u64::from(days)))
    }

    /// The one that ends first. What was kept under the longer one goes when the shorter one says.
    #[must_use]
    pub fn shorter(self, other: Self) -> Self {
        self.min(other)
    }

    /// Those that end later than this one.
    #[must_use]
    pub fn longer_ones(self) -> &'static [Self] {
        let place = Self::ALL.iter().position(|class| *class == self).unwrap_or_default();
        Self::ALL.get(place + 1..).unwrap_or_default()
    }
}

/// What a tenant lets be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivacySettings {
    /// Keep prompts and answers, sealed.
    pub capture_bodies: bool,
    /// Zero Data Retention: keep none, whatever else is said.
    pub zero_retention: bool,
    /// Take personal data out of what is kept; the provider gets the original.
    pub redact: bool,
    /// How long they are kept.
    pub body_class: BodyClass,
}

impl PrivacySettings {
    /// What holds until somebody says otherwise: nothing is kept.
    pub const INITIAL: Self =
        Self { capture_bodies: false, zero_retention: false, redact: false, body_class: BodyClass::Month };

    /// Whether more is kept than by the others, or for longer, or with more of what it is about.
    #[must_use]
    pub fn is_looser_than(self, others: Self) -> bool {
        (self.capture_bodies && !others.capture_bodies)
            || (!self.zero_retention && others.zero_retention)
            || (!self.redact && others.redact)
            || self.body_class > others.body_class
    }

    /// What becomes of the bodies of a call with a key of such a kind.
    #[must_use]
    pub const fn decide(self, key_has_zero_retention: bool) -> BodyDecision {
        if self.zero_retention || key_has_zero_retention {
            BodyDecision::Drop
        } else if self.capture_bodies {
            BodyDecision::Keep { redact: self.redact, class: self.body_class }
        } else {
            BodyDecision::Ignore
        }
    }
}

/// What is to become of a call's prompt and answer. Taken when the call comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyDecision {
    /// Nobody asked for them.
    Ignore,
    /// They may not be kept.
    Drop,
    /// They are to be kept.
    Keep {
        /// Without personal data.
        redact: bool,
        /// For so long.
        class: BodyClass,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_retention_of_account_or_key_wins_over_capture() {
        let capture = PrivacySettings { capture_bodies: true, ..PrivacySettings::INITIAL };
        let keep = BodyDecision::Keep { redact: false, class: BodyClass::Month };
        assert_eq!(PrivacySettings::INITIAL.decide(false), BodyDecision::Ignore);
        assert_eq!(capture.decide(false), keep);
        assert_eq!(capture.decide(true), BodyDecision::Drop);
        assert_eq!(PrivacySettings { zero_retention: true, ..capture }.decide(false), BodyDecision::Drop);
        assert_eq!(PrivacySettings::INITIAL.decide(true), BodyDecision::Drop);
    }

    #[test]
    fn whatever_keeps_more_is_looser_and_whatever_keeps_less_is_not() {
        let none = PrivacySettings { zero_retention: true, redact: true, ..PrivacySettings::INITIAL };
        for looser in [
            PrivacySettings { capture_bodies: true, ..none },
            PrivacySettings { zero_retention: false, ..none },
            PrivacySettings { redact: false, ..none },
            PrivacySettings { body_class: BodyClass::Quarter, ..none },
            PrivacySettings { body_class: BodyClass::Week, redact: false, ..none },
        ] {
            assert!(looser.is_looser_than(none), "{looser:?}");
        }
        assert!(!none.is_looser_than(none));
        assert!(!PrivacySettings { body_class: BodyClass::Week, ..none }.is_looser_than(none));
        assert!(!none.is_looser_than(PrivacySettings { capture_bodies: true, ..PrivacySettings::INITIAL }));
    }

    #[test]
    fn each_class_ends_to_the_second_and_for_ever_is_at_least_thirty_days() {
        let at = DateTime::from_timestamp(1_763_800_000, 0).unwrap_or_default();
        for (class, cap, days) in [
            (BodyClass::Week, None, Some(7)),
            (BodyClass::Month, Some(40), Some(30)),
            (BodyClass::Quarter, None, Some(90)),
            (BodyClass::Year, None, Some(365)),
            (BodyClass::Forever, None, None),
            (BodyClass::Forever, Some(1), Some(30)),
            (BodyClass::Forever, Some(400), Some(400)),
        ] {
            let expires = class.expires_at(at, cap).map(|end| (end - at).num_seconds());
            assert_eq!(expires, days.map(|days: i64| days * 86_400), "{class} {cap:?}");
        }
    }

    #[test]
    fn the_classes_are_in_the_order_of_their_ends() {
        assert_eq!(BodyClass::Year.shorter(BodyClass::Week), BodyClass::Week);
        assert_eq!(BodyClass::Quarter.longer_ones(), [BodyClass::Year, BodyClass::Forever]);
        assert_eq!(BodyClass::Forever.longer_ones(), []);
    }
}
