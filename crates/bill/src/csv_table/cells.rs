//! From the text of a CSV cell to what it means.
//!
//! Empty cells and the words `NULL` and `None`, which some writers leave instead, are no value at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use datafusion::arrow::array::{
    Array, ArrayRef, Date32Builder, Decimal128Builder, StringArray, StringBuilder,
};
use datafusion::arrow::datatypes::DataType;
use serde_json::value::RawValue;

use crate::lines::{SCALE, Wanted, What};

/// A cell that is not what its column promises.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadCell {
    /// The row within the batch.
    pub(super) row: u64,
    /// What was wrong.
    pub(super) reason: String,
}

/// The maps of one batch, taken apart once although several keys are wanted of each.
#[derive(Default)]
pub(super) struct Maps {
    parsed: BTreeMap<usize, Vec<Arc<BTreeMap<String, String>>>>,
}

/// One column of a batch.
pub(super) fn convert(texts: &StringArray, wanted: &Wanted, maps: &mut Maps) -> Result<ArrayRef, BadCell> {
    let rows = texts.len();
    let name = &wanted.found.name;
    let cells = texts.iter().map(|text| text.and_then(value));
    let bad = |row: usize, reason: String| BadCell { row: u64::try_from(row).unwrap_or(0), reason };
    match wanted.what {
        What::Text => {
            let mut out = StringBuilder::with_capacity(rows, rows * 12);
            cells.for_each(|text| out.append_option(text));
            Ok(Arc::new(out.finish()))
        }
        What::Entry(key) => {
            let mut out = StringBuilder::with_capacity(rows, rows * 12);
            let parsed = maps.parsed.entry(wanted.found.index).or_insert_with(|| parse_maps(texts));
            for map in parsed.iter() {
                out.append_option(map.get(key).map(String::as_str));
            }
            Ok(Arc::new(out.finish()))
        }
        What::Amount | What::AddedTo(_) => {
            let data_type = DataType::Decimal128(38, SCALE.cast_signed());
            let mut out = Decimal128Builder::with_capacity(rows).with_data_type(data_type);
            for (row, text) in cells.enumerate() {
                let read = |text| {
                    amount(text, SCALE)
                        .ok_or_else(|| bad(row, format!("{name} is {text:?}, which is no amount")))
                };
                out.append_option(text.map(read).transpose()?);
            }
            Ok(Arc::new(out.finish()))
        }
        What::Day => {
            let mut out = Date32Builder::with_capacity(rows);
            for (row, text) in cells.enumerate() {
                let read =
                    |text| day(text).ok_or_else(|| bad(row, format!("{name} is {text:?}, which is no day")));
                out.append_option(text.map(read).transpose()?);
            }
            Ok(Arc::new(out.finish()))
        }
    }
}

/// One column of amounts, each a list of them or their sum, added to those of another column. Where it says nothing there is no
/// sum.
pub(super) fn sums(
    texts: &StringArray,
    wanted: &Wanted,
    base: Option<&StringArray>,
) -> Result<ArrayRef, BadCell> {
    let data_type = DataType::Decimal128(38, SCALE.cast_signed());
    let mut out = Decimal128Builder::with_capacity(texts.len()).with_data_type(data_type);
    for (row, text) in texts.iter().enumerate() {
        let bad = |text: &str| BadCell {
            row: u64::try_from(row).unwrap_or(0),
            reason: format!(
                "{} is {text:?}, which is neither an amount nor a list of them",
                wanted.found.name
            ),
        };
        let Some(text) = text.and_then(value) else {
            out.append_null();
            continue;
        };
        let base = base.filter(|base| base.is_valid(row)).map_or("0", |base| base.value(row));
        let base = value(base).map_or(Some(0), |base| amount(base, SCALE)).ok_or_else(|| bad(base))?;
        let added = listed(text).and_then(|added| base.checked_add(added)).ok_or_else(|| bad(text))?;
        out.append_value(added);
    }
    Ok(Arc::new(out.finish()))
}

/// What a credit says of itself.
#[derive(serde::Deserialize)]
struct Credit<'a> {
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
}

/// The sum of `[{"amount": -1.5}, …]`, or of one amount.
fn listed(text: &str) -> Option<i128> {
    if !text.starts_with('[') {
        return amount(text, SCALE);
    }
    let credits: Vec<Credit<'_>> = serde_json::from_str(text).ok()?;
    credits.iter().filter_map(|credit| credit.amount).try_fold(0_i128, |sum, said| {
        // BigQuery writes floats as numbers, and decimals as texts.
        let said = said.get().trim_matches('"');
        sum.checked_add(if said == "null" { 0 } else { amount(said, SCALE)? })
    })
}

fn value(text: &str) -> Option<&str> {
    let text = text.trim();
    (!matches!(text, "" | "NULL" | "None" | "null")).then_some(text)
}

/// Days since 1970 of a date or a time stamp in ISO 8601, or of a date as Azure writes it: `10/31/2026`, always with two digits
/// for month and day.
pub(crate) fn day(text: &str) -> Option<i32> {
    let text = text.get(..10)?;
    let date: NaiveDate = match text.as_bytes().get(2) {
        Some(b'/') => NaiveDate::parse_from_str(text, "%m/%d/%Y").ok()?,
        _ => text.parse().ok()?,
    };
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// A decimal, plain or in E-notation, as a whole number of its last digits. Digits beyond the scale are rounded
/// half to even; no bill that we know has them.
pub(crate) fn amount(text: &str, scale: u8) -> Option<i128> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, number) = match number.as_bytes().first()? {
        b'-' => (true, number.get(1..)?),
        b'+' => (false, number.get(1..)?),
        _ => (false, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut digits: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        digits = digits.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
    }
    let shift = i32::from(scale).checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let amount = shifted(digits, shift)?;
    Some(if negative { -amount } else { amount })
}

/// `digits` times ten to the power of `shift`.
fn shifted(digits: i128, shift: i32) -> Option<i128> {
    if digits == 0 {
        return Some(0);
    }
    let power = 10_i128.checked_pow(shift.unsigned_abs());
    if shift >= 0 {
        return digits.checked_mul(power?);
    }
    // Less than half of the last digit once the power is out of reach.
    let Some(power) = power else { return Some(0) };
    let (whole, rest) = (digits.checked_div(power)?, digits.checked_rem(power)?);
    let twice = rest.checked_mul(2)?;
    let up = twice > power || (twice == power && whole % 2 == 1);
    Some(if up { whole + 1 } else { whole })
}

/// Maps as JSON text; what is no JSON object is an empty map. Most lines repeat the map of the line before.
pub(crate) fn parse_maps(texts: &StringArray) -> Vec<Arc<BTreeMap<String, String>>> {
    let mut last: Option<(&str, Arc<BTreeMap<String, String>>)> = None;
    let mut out = Vec::with_capacity(texts.len());
    for text in texts {
        let text = text.unwrap_or_default();
        let map = match &last {
            Some((known, map)) if *known == text => Arc::clone(map),
            _ => Arc::new(parse_map(text)),
        };
        last = Some((text, Arc::clone(&map)));
        out.push(map);
    }
    out
}

fn parse_map(text: &str) -> BTreeMap<String, String> {
    let Ok(serde_json::Value::Object(map)) = serde_json::from_str(text) else {
        return BTreeMap::new();
    };
    let text = |value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Null => None,
        other => Some(other.to_string()),
    };
    map.into_iter().filter_map(|(key, value)| text(value).map(|value| (key, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_digit_by_digit() {
        assert_eq!(amount("1.81E-8", 18), Some(18_100_000_000));
        assert_eq!(amount("0.1", 18), Some(100_000_000_000_000_000));
        assert_eq!(amount("-12.5", 2), Some(-1250));
        assert_eq!(amount(".5", 1), Some(5));
        assert_eq!(amount("1e3", 2), Some(100_000));
        assert_eq!(amount("0.0000000000000000005", 18), Some(0), "half to even");
        assert_eq!(amount("0.0000000000000000015", 18), Some(2), "half to even");
        assert_eq!(amount("1e-60", 18), Some(0));
        for bad in ["", "-", ".", "1,5", "abc", "1e", "NaN", "0x1", "1e40", "--1"] {
            assert_eq!(amount(bad, 18), None, "{bad:?}");
        }
    }

    #[test]
    fn words_for_nothing_are_nothing() {
        for nothing in ["", " ", "NULL", "None", "null"] {
            assert_eq!(value(nothing), None);
        }
        assert_eq!(value("0"), Some("0"));
    }

    #[test]
    fn days_come_from_both_ways_of_writing_a_time() {
        assert_eq!(day("1970-01-02T00:00:00.000Z"), Some(1));
        assert_eq!(day("2024-09-18 22:00:00"), Some(19984));
        assert_eq!(day("11/1/2023"), None);
        assert_eq!(day("01/02/1970"), Some(1));
        assert_eq!(day("31/12/2026"), None);
    }

    #[test]
    fn credits_are_added_up_digit_by_digit() {
        let unit = 10_i128.pow(17);
        assert_eq!(listed("[]"), Some(0));
        assert_eq!(listed("-0.3"), Some(-3 * unit));
        assert_eq!(
            listed(r#"[{"name":"a","amount":-0.1},{"amount":"-0.2"},{"amount":null}]"#),
            Some(-3 * unit)
        );
        for bad in ["[", "x", r#"[{"amount":"x"}]"#, r"[1]"] {
            assert_eq!(listed(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_map_that_is_no_json_is_empty() {
        assert_eq!(parse_map("{\"a\":\"b\",\"n\":1,\"z\":null}").len(), 2);
        assert!(parse_map("{a=b}").is_empty());
    }
}
