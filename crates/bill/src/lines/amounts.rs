//! Amounts and days of a column, whatever the file has them in.

use chrono::NaiveDate;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType,
};
use rust_decimal::Decimal;

use super::{FLOAT_SCALE, SCALE, Source};
use crate::BillError;

/// Whole numbers of 10⁻¹⁸; `None` where the bill says nothing.
pub(crate) type Amount = Option<i128>;
/// Days since 1970-01-01.
pub(crate) type Day = Option<i32>;

/// 1 as binary numbers are scaled.
const FLOAT_UNITS: i64 = 10_i64.pow(FLOAT_SCALE as u32);
/// From the scale of binary numbers to that of amounts.
const FLOAT_TO_SCALE: i128 = 10_i128.pow((SCALE - FLOAT_SCALE) as u32);

/// The amounts that the sources say, row by row; a message where one is no amount.
pub(crate) fn amounts(columns: &[ArrayRef], rows: usize, sources: &[Source]) -> Result<Vec<Amount>, String> {
    first_said(columns, rows, sources, amounts_of)
}

/// The days that the sources say, row by row; a message where one is no day.
pub(crate) fn days(columns: &[ArrayRef], rows: usize, sources: &[Source]) -> Result<Vec<Day>, String> {
    first_said(columns, rows, sources, days_of)
}

/// Where any of the sources says something.
pub(crate) fn said(columns: &[ArrayRef], rows: usize, sources: &[Source]) -> Result<Vec<bool>, String> {
    let said = first_said(columns, rows, sources, |column| {
        if let Some(column) = column.as_any_dictionary_opt() {
            // Each text of a dictionary once.
            let values = cast(column.values(), &DataType::Utf8).map_err(|error| error.to_string())?;
            let is_said: Vec<bool> = values
                .as_string::<i32>()
                .iter()
                .map(|text| text.is_some_and(|text| !text.is_empty()))
                .collect();
            if column.null_count() == 0 && !is_said.contains(&false) {
                return Ok(vec![Some(()); column.len()]);
            }
            let keys = cast(column.keys(), &DataType::Int64).map_err(|error| error.to_string())?;
            let keys = keys.as_primitive::<Int64Type>().iter();
            let at = |key: Option<i64>| usize::try_from(key?).ok().and_then(|at| is_said.get(at)).copied();
            return Ok(keys.map(|key| at(key).unwrap_or(false).then_some(())).collect());
        }
        let column = cast(column, &DataType::Utf8).map_err(|error| error.to_string())?;
        let texts = column.as_string::<i32>().iter();
        Ok(texts.map(|text| text.filter(|text| !text.is_empty()).map(|_| ())).collect())
    })?;
    Ok(said.iter().map(Option::is_some).collect())
}

fn first_said<T: Copy>(
    columns: &[ArrayRef],
    rows: usize,
    sources: &[Source],
    read: impl Fn(&ArrayRef) -> Result<Vec<Option<T>>, String>,
) -> Result<Vec<Option<T>>, String> {
    let mut out: Option<Vec<Option<T>>> = None;
    for source in sources {
        let Some(column) = columns.get(source.place) else { continue };
        match &mut out {
            None => out = Some(read(column)?),
            Some(values) if values.iter().any(Option::is_none) => {
                for (value, other) in values.iter_mut().zip(read(column)?) {
                    *value = value.or(other);
                }
            }
            Some(_) => break,
        }
    }
    Ok(out.unwrap_or_else(|| vec![None; rows]))
}

fn amounts_of(column: &ArrayRef) -> Result<Vec<Amount>, String> {
    match column.data_type() {
        _ if column.null_count() == column.len() => Ok(vec![None; column.len()]),
        DataType::Float64 => {
            // Room for all of them at once: what collects results grows step by step.
            let mut amounts = Vec::with_capacity(column.len());
            for value in column.as_primitive::<Float64Type>() {
                amounts.push(value.map(of_float).transpose()?);
            }
            Ok(amounts)
        }
        DataType::Float16 | DataType::Float32 => amounts_of(&cast_to(column, &DataType::Float64)?),
        DataType::Decimal128(_, scale) if u8::try_from(*scale) == Ok(SCALE) => {
            Ok(column.as_primitive::<Decimal128Type>().iter().collect())
        }
        DataType::Utf8 => {
            let read = |text: &str| {
                crate::csv_table::cells::amount(text, SCALE).ok_or_else(|| format!("{text:?} is no amount"))
            };
            let texts = column.as_string::<i32>().iter();
            texts.map(|text| text.filter(|text| !text.is_empty()).map(read).transpose()).collect()
        }
        DataType::Dictionary(..) | DataType::LargeUtf8 | DataType::Utf8View => {
            amounts_of(&cast_to(column, &DataType::Utf8)?)
        }
        _ => amounts_of(&cast_to(column, &DataType::Decimal128(38, SCALE.cast_signed()))?),
    }
}

#[expect(
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "exports carry amounts as binary numbers; here they become decimals of twelve digits, before any sum"
)]
fn of_float(value: f64) -> Result<i128, String> {
    // Below this whole numbers have no gaps, so that the nearest one is what the writer meant.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let units = (value * FLOAT_UNITS as f64).round();
    if units.abs() < EXACT {
        return Ok(i128::from(units as i64) * FLOAT_TO_SCALE);
    }
    // Above, the shortest decimal that is this number is.
    crate::csv_table::cells::amount(&value.to_string(), SCALE).ok_or_else(|| format!("{value} is no amount"))
}

fn days_of(column: &ArrayRef) -> Result<Vec<Day>, String> {
    const DAY_MS: i64 = 86_400_000;
    let whole =
        |value: Option<i64>, units: i64| value.and_then(|value| i32::try_from(value.div_euclid(units)).ok());
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            Ok(column.as_primitive::<TimestampMillisecondType>().iter().map(|at| whole(at, DAY_MS)).collect())
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let times = column.as_primitive::<TimestampMicrosecondType>().iter();
            Ok(times.map(|at| whole(at, DAY_MS * 1000)).collect())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            let times = column.as_primitive::<TimestampNanosecondType>().iter();
            Ok(times.map(|at| whole(at, DAY_MS * 1_000_000)).collect())
        }
        DataType::Date32 => Ok(column.as_primitive::<Date32Type>().iter().collect()),
        DataType::Utf8 => {
            let read =
                |text: &str| crate::csv_table::cells::day(text).ok_or_else(|| format!("{text:?} is no day"));
            let texts = column.as_string::<i32>().iter();
            texts.map(|text| text.filter(|text| !text.is_empty()).map(read).transpose()).collect()
        }
        DataType::Dictionary(..) | DataType::LargeUtf8 | DataType::Utf8View => {
            days_of(&cast_to(column, &DataType::Utf8)?)
        }
        _ => days_of(&cast_to(column, &DataType::Date32)?),
    }
}

fn cast_to(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    // What does not fit is no empty cell.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, to, &options).map_err(|error| error.to_string())
}

/// The date of a day.
pub(crate) fn date(days: i32) -> Result<NaiveDate, BillError> {
    let wide = chrono::Duration::try_days(i64::from(days));
    wide.and_then(|days| NaiveDate::default().checked_add_signed(days))
        .ok_or(BillError::OutOfRange { what: "a day" })
}

/// Our 38 digits as 28. Trailing zeros go first; only a sum of more than 28 significant digits, which no bill
/// has, would then lose its last ones.
pub(crate) fn decimal(units: i128, scale: u8) -> Result<Decimal, BillError> {
    let mut digits = units;
    let mut scale = u32::from(scale);
    // A million at a time: most amounts have twelve digits.
    while scale >= 6 && digits % 1_000_000 == 0 {
        digits /= 1_000_000;
        scale -= 6;
    }
    while scale > 0 && digits % 10 == 0 {
        digits /= 10;
        scale -= 1;
    }
    loop {
        match Decimal::try_from_i128_with_scale(digits, scale) {
            Ok(amount) => return Ok(amount),
            Err(_) if scale > 0 => {
                digits /= 10;
                scale -= 1;
            }
            Err(_) => return Err(out_of_range()),
        }
    }
}

/// A sum that would not fit.
pub(crate) const fn out_of_range() -> BillError {
    BillError::OutOfRange { what: "a sum" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_come_out_digit_by_digit() {
        let show =
            |digits, scale| decimal(digits, scale).map(|amount| amount.to_string()).unwrap_or_default();
        assert_eq!(show(100_000_000_000_000_000, 18), "0.1");
        assert_eq!(show(-1_250, 2), "-12.5");
        assert_eq!(show(0, 18), "0");
        assert_eq!(show(123_456_789_012_345_678_901_234_567_890, 18), "123456789012.34567890123456789");
    }

    #[test]
    fn what_is_out_of_range_is_the_bills_fault() {
        assert_eq!(date(20_000).unwrap().to_string(), "2024-10-04");
        assert!(matches!(date(i32::MAX), Err(BillError::OutOfRange { what: "a day" })));
        assert!(matches!(decimal(i128::MAX, 0), Err(BillError::OutOfRange { what: "a sum" })));
    }

    #[test]
    #[expect(clippy::disallowed_types, reason = "it is binary numbers that are read here")]
    fn binary_numbers_keep_twelve_digits() {
        let show =
            |value| of_float(value).ok().and_then(|units| decimal(units, SCALE).ok()).map(|d| d.to_string());
        assert_eq!(show(0.1).as_deref(), Some("0.1"));
        assert_eq!(show(-1.81e-8).as_deref(), Some("-0.0000000181"));
        assert_eq!(show(12_345_678.9).as_deref(), Some("12345678.9"));
        assert_eq!(show(12_345.678_901).as_deref(), Some("12345.678901"));
        assert_eq!(show(-123_456_789.123_456).as_deref(), Some("-123456789.123456"));
        assert_eq!(show(4e15).as_deref(), Some("4000000000000000"));
        assert_eq!(show(f64::INFINITY), None);
        assert_eq!(show(f64::NAN), None);
    }

    #[test]
    fn days_before_1970_exist() {
        assert_eq!(date(-1).ok().map(|day| day.to_string()).as_deref(), Some("1969-12-31"));
    }
}
