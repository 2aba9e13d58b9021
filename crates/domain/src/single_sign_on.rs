//! What makes a domain of e-mail addresses a tenant's: a record in the DNS, seen lately.
//!
//! Who may write the domain's records may say whose its addresses are. The record stays there: one that is gone takes the
//! domain away again, after days in which somebody can put it back.

use chrono::{DateTime, TimeDelta, Utc};

use crate::Role;

/// How long a domain counts whose record is gone.
pub const GRACE: TimeDelta = TimeDelta::hours(72);
/// How long a domain counts whose name servers give no answer at all.
pub const SILENCE: TimeDelta = TimeDelta::days(14);
/// What stands before the token in the record.
pub const RECORD_PREFIX: &str = "costlens-verification=";
/// Where the record is looked for, besides at the domain itself.
pub const RECORD_LABEL: &str = "_costlens";

/// What the name servers said of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is there.
    Seen,
    /// It is not.
    Missing,
    /// They gave no answer.
    Silent,
}

/// Whether a proven domain still counts, by the last time its record was seen and what was said now.
#[must_use]
pub fn still_counts(seen_at: DateTime<Utc>, look: Look, now: DateTime<Utc>) -> bool {
    match look {
        Look::Seen => true,
        Look::Missing => now - seen_at < GRACE,
        Look::Silent => now - seen_at < SILENCE,
    }
}

/// What somebody becomes who comes for the first time: never who runs the account.
#[must_use]
pub const fn may_be_default(role: Role) -> bool {
    !role.administers()
}

/// A domain as it is stored and compared: ASCII, in lower case, without a dot at its end, of two labels at least. `None`
/// for what is none.
#[must_use]
pub fn normal_domain(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('.').unwrap_or(&text);
    let label = |label: &str| {
        matches!(label.len(), 1..=63)
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels: Vec<_> = text.split('.').collect();
    // A last label of digits is an address.
    let named = labels.last().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()));
    let fits = text.len() <= 253 && labels.len() >= 2 && named && labels.into_iter().all(label);
    fits.then(|| text.to_owned())
}

/// The domain of an address.
#[must_use]
pub fn domain_of(email: &str) -> Option<String> {
    normal_domain(email.rsplit_once('@')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_record_takes_the_domain_after_the_days_of_grace_and_silence_later() {
        let seen = DateTime::from_timestamp(1_763_800_000, 0).unwrap_or_default();
        let (moment, year) = (TimeDelta::seconds(1), TimeDelta::days(365));
        assert!(still_counts(seen, Look::Seen, seen + year));
        assert!(still_counts(seen, Look::Missing, seen + GRACE - moment));
        assert!(!still_counts(seen, Look::Missing, seen + GRACE));
        assert!(still_counts(seen, Look::Silent, seen + SILENCE - moment));
        assert!(!still_counts(seen, Look::Silent, seen + SILENCE));
    }

    #[test]
    fn nobody_begins_as_who_runs_the_account() {
        let defaults: Vec<_> = Role::ALL.into_iter().filter(|role| may_be_default(*role)).collect();
        assert_eq!(defaults, [Role::Viewer, Role::Member, Role::Analyst]);
    }

    #[test]
    fn a_domain_has_one_spelling() {
        assert_eq!(normal_domain(" Firm.Example. "), Some("firm.example".to_owned()));
        assert_eq!(domain_of("ann@Firm.Example"), Some("firm.example".to_owned()));
        let label = "a".repeat(64);
        let (long, whole) = (format!("{label}.example"), format!("{}.example", ["a"; 126].join(".")));
        for bad in [
            "",
            ".",
            "example",
            "-a.example",
            "a-.example",
            "a..example",
            "a_b.example",
            "firm.example..",
            "bücher.example",
            "10.0.0.1",
            "ann@firm.example",
            "*.firm.example",
            "firm.example/x",
            &long,
            &whole,
        ] {
            assert_eq!(normal_domain(bad), None, "{bad:?}");
        }
    }
}
