//! Moments as LiteLLM, its answers and PostgreSQL's exports write them. One without a zone is UTC, as LiteLLM stores it.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

/// The moment in a cell.
pub(super) fn time(cell: &Value) -> Option<DateTime<Utc>> {
    let text = super::row::text(cell)?;
    let text = text.strip_suffix(" UTC").unwrap_or(&text);
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    for form in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"] {
        if let Ok(time) = DateTime::parse_from_str(text, form) {
            return Some(time.to_utc());
        }
    }
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .into_iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_moment_is_the_same_moment() {
        let expected = "2026-11-20T10:00:00.500Z".parse::<DateTime<Utc>>().unwrap();
        for text in [
            "2026-11-20T10:00:00.500Z",
            "2026-11-20T10:00:00.500000+00:00",
            "2026-11-20T12:00:00.5+02:00",
            "2026-11-20 10:00:00.5",
            "2026-11-20T10:00:00.5",
            "2026-11-20 10:00:00.5+00",
            "2026-11-20 10:00:00.500000+0000",
            "2026-11-20 10:00:00.5 UTC",
        ] {
            assert_eq!(time(&Value::from(text)), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "2026-11-20", "20.11.2026 10:00", "1763800000"] {
            assert_eq!(time(&Value::from(text)), None, "{text}");
        }
    }
}
