//! How figures are written: amounts, shares, changes, counts, days and times.
//!
//! Everything here is exact decimals in, text out, rounded once and half away from zero, because that is how whoever
//! checks a letter against an invoice rounds. A small amount is never written as nothing, and an unknown one is a word.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use costlens_domain::calendar::Zone;
use costlens_domain::{Currency, Usd};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;

/// What stands where a price is not known.
pub(crate) const UNPRICED: &str = "unpriced";

/// How a figure is meant, which colours it. The words say the same without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tone {
    /// As it should be.
    Calm,
    /// Less than before.
    Good,
    /// Worth a look.
    Warn,
    /// Over a limit.
    Bad,
}

fn rounded(amount: Decimal, digits: u32) -> Decimal {
    amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
}

/// Digits with a comma between thousands: `1,234,567.80`. The sign is left to the caller.
fn grouped(amount: Decimal, digits: u32) -> String {
    let mut amount = rounded(amount.abs(), digits);
    amount.rescale(digits);
    let text = amount.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::with_capacity(text.len() + whole.len() / 3);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A count with a comma between thousands.
pub(crate) fn count(number: u64) -> String {
    grouped(Decimal::from(number), 0)
}

/// "1 request", "12,345 requests".
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// The digits of an amount: two decimals, four below one, and `<0.0001` for what would read as nothing.
fn digits(amount: Decimal) -> (bool, String) {
    if amount.is_zero() {
        return (false, "0.00".to_owned());
    }
    let fine = rounded(amount.abs(), 4);
    if fine.is_zero() {
        return (true, "0.0001".to_owned());
    }
    (false, if fine < Decimal::ONE { grouped(amount, 4) } else { grouped(amount, 2) })
}

/// An amount of dollars: `$1,234.50`, `$0.0042`, `<$0.0001`, `−$3.00`.
pub(crate) fn usd(amount: Usd) -> String {
    let (less, digits) = digits(amount.decimal());
    let sign = if amount.decimal().is_sign_negative() && !amount.decimal().is_zero() { "−" } else { "" };
    format!("{}{sign}${digits}", if less { "<" } else { "" })
}

/// An amount that may be unknown.
pub(crate) fn usd_or_unpriced(amount: Option<Usd>) -> String {
    amount.map_or_else(|| UNPRICED.to_owned(), usd)
}

/// An amount of any currency: dollars with their sign, others with their code: `1,234.50 EUR`.
pub(crate) fn money(amount: Decimal, currency: Currency) -> String {
    if currency == Currency::USD {
        return usd(Usd::from(amount));
    }
    let (less, digits) = digits(amount);
    let sign = if amount.is_sign_negative() && !amount.is_zero() { "−" } else { "" };
    format!("{}{sign}{digits} {currency}", if less { "<" } else { "" })
}

/// A ratio in percent, `None` where there is nothing to divide by or the quotient would not fit.
pub(crate) fn percent(part: Decimal, whole: Decimal) -> Option<Decimal> {
    if whole.is_zero() {
        return None;
    }
    part.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(whole)
}

/// A share in whole percent: `45%`, `<1%`, `>99%` for what is not quite all; a dash where there is no whole.
pub(crate) fn share(part: Option<Usd>, whole: Option<Usd>) -> String {
    let (Some(part), Some(whole)) = (part, whole) else { return "–".to_owned() };
    let Some(exact) = percent(part.decimal(), whole.decimal()) else { return "–".to_owned() };
    let round = rounded(exact, 0);
    if round.is_zero() && exact > Decimal::ZERO {
        "<1%".to_owned()
    } else if round == Decimal::ONE_HUNDRED && exact < round {
        ">99%".to_owned()
    } else {
        format!("{}%", grouped(exact, 0))
    }
}

/// A quotient in whole percent, rounded down, so that nothing is said to be reached before it is: `84%`.
pub(crate) fn reached(part: Usd, whole: Usd) -> String {
    percent(part.decimal(), whole.decimal())
        .map_or_else(|| "–".to_owned(), |exact| format!("{}%", grouped(exact.max(Decimal::ZERO).floor(), 0)))
}

/// How much of a bar is filled, 0 to 100. What is there at all fills at least 1, what is not whole at most 99.
pub(crate) fn fill(part: Decimal, whole: Decimal) -> u8 {
    let Some(exact) = percent(part, whole).filter(|exact| exact.is_sign_positive() && !exact.is_zero())
    else {
        return 0;
    };
    if exact >= Decimal::ONE_HUNDRED {
        return 100;
    }
    u8::try_from(rounded(exact, 0)).unwrap_or(0).clamp(1, 99)
}

/// The change from one amount to another: `+12%`, `−3.4%`, `no change`, `new`; `None` where either is unknown.
pub(crate) fn change(now: Option<Usd>, before: Option<Usd>) -> Option<(String, Tone)> {
    let (now, before) = (now?.decimal(), before?.decimal());
    if before.is_zero() {
        let tone = if now.is_zero() { Tone::Calm } else { Tone::Warn };
        return Some((if now.is_zero() { "no change" } else { "new" }.to_owned(), tone));
    }
    let exact = percent(now.checked_sub(before)?, before.abs())?;
    let places = u32::from(exact.abs() < Decimal::TEN);
    if rounded(exact, places).is_zero() {
        return Some(("no change".to_owned(), Tone::Calm));
    }
    let up = exact.is_sign_positive();
    // `9.96` is written as a whole number, as what it rounds to would be.
    let places = u32::from(rounded(exact, places).abs() < Decimal::TEN);
    let text = format!("{}{}%", if up { "+" } else { "−" }, grouped(exact, places));
    Some((text, if up { Tone::Warn } else { Tone::Good }))
}

/// `Mon 16 Nov`.
pub(crate) fn short_day(day: NaiveDate) -> String {
    day.format("%a %-d %b").to_string()
}

/// `16 November 2026`.
pub(crate) fn long_day(day: NaiveDate) -> String {
    day.format("%-d %B %Y").to_string()
}

/// A span of days, both ends included: `16–22 November 2026`, or `November 2026` for a whole month.
pub(crate) fn days(from: NaiveDate, to: NaiveDate) -> String {
    let whole_month = from.day() == 1 && to.succ_opt().is_some_and(|next| next.day() == 1);
    let same_month = (from.year(), from.month()) == (to.year(), to.month());
    if from == to {
        long_day(from)
    } else if whole_month && same_month {
        from.format("%B %Y").to_string()
    } else if same_month {
        format!("{}–{}", from.day(), long_day(to))
    } else if from.year() == to.year() {
        format!("{} – {}", from.format("%-d %B"), long_day(to))
    } else {
        format!("{} – {}", long_day(from), long_day(to))
    }
}

/// A moment in the zone: `22 Nov 2026, 14:05`. Who prints it says the zone's name nearby.
pub(crate) fn moment(at: DateTime<Utc>, zone: Zone) -> String {
    zone.local(at).format("%-d %b %Y, %H:%M").to_string()
}

/// A moment with its zone's name: `22 Nov 2026, 14:05 (Europe/Berlin)`.
pub(crate) fn moment_in(at: DateTime<Utc>, zone: Zone) -> String {
    format!("{} ({})", moment(at, zone), zone.name())
}

/// A span of time in the zone: `22 Nov 2026, 14:00–15:00 (Europe/Berlin)`.
pub(crate) fn span_in(from: DateTime<Utc>, to: DateTime<Utc>, zone: Zone) -> String {
    let (start, end) = (zone.local(from), zone.local(to));
    if start.date() == end.date() {
        format!("{}–{} ({})", moment(from, zone), end.format("%H:%M"), zone.name())
    } else {
        format!("{} – {} ({})", moment(from, zone), moment(to, zone), zone.name())
    }
}

/// Exact decimals as text in JSON, in both directions; a JSON number is refused.
pub(crate) mod exact {
    use rust_decimal::Decimal;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(amount: &Decimal, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&amount.normalize())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        costlens_domain::money::parse_decimal(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
