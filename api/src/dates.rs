//! Which days and moments the API takes. Others are mistakes of whoever sends them: beyond them days cannot be added to,
//! and the database does not know all of them.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};

use crate::error::ApiError;

/// The years that are known here.
const YEARS: std::ops::Range<i32> = 2_000..2_100;

/// Whether a day is one that the API takes.
pub(crate) fn is_known(day: NaiveDate) -> bool {
    YEARS.contains(&day.year())
}

/// The day of a text that is exactly `YYYY-MM-DD`.
pub(crate) fn day(text: &str) -> Option<NaiveDate> {
    let has_form = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if text.len() != 10 || !has_form {
        return None;
    }
    text.parse().ok().filter(|day| is_known(*day))
}

/// A moment that a caller names in this field, if it names one.
///
/// # Errors
/// An invalid request for one that is not known here.
pub(crate) fn moment(field: &str, at: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, ApiError> {
    match at {
        Some(at) if !is_known(at.date_naive()) => {
            Err(ApiError::field(field, "must lie in the years 2000 to 2099"))
        }
        at => Ok(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_one_spelling_and_lie_in_this_century() {
        for text in ["2000-01-01", "2026-11-27", "2099-12-31"] {
            assert_eq!(day(text).map(|day| day.to_string()).as_deref(), Some(text));
        }
        for text in [
            "-9999-01-01",
            "+2026-01-01",
            "9999-01-01",
            "1999-12-31",
            "2100-01-01",
            "2026-1-1",
            "2026-02-30",
            "2026-11-27T",
            " 2026-11-27",
            "2026/11/27",
            "+262142-12-31",
            "",
            "२०२६-११-२७",
        ] {
            assert_eq!(day(text), None, "{text}");
        }
    }

    #[test]
    fn moments_lie_in_this_century() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        for text in ["2000-01-01T00:00:00Z", "2099-12-31T23:59:59.999999Z"] {
            assert_eq!(moment("from", Some(at(text))).unwrap(), Some(at(text)));
        }
        assert_eq!(moment("from", None).unwrap(), None);
        for out in [
            at("1999-12-31T23:59:59Z"),
            at("2100-01-01T00:00:00Z"),
            DateTime::<Utc>::MIN_UTC,
            DateTime::<Utc>::MAX_UTC,
        ] {
            let error = moment("from", Some(out)).unwrap_err();
            assert_eq!((error.told().status, error.told().errors[0].field.as_str()), (400, "/from"));
        }
    }
}
