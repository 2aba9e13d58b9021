//! Amounts, counts and shares as people read them. Rounding happens here and nowhere before.

use costlens_domain::money::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

/// An amount of money: two decimals, more for less than a cent.
pub(super) fn money(amount: Decimal, currency: Currency) -> String {
    let small = !amount.is_zero() && amount.abs() < Decimal::new(1, 2);
    let digits = if small { 6 } else { 2 };
    let rounded = rounded(amount, digits);
    let sign = if rounded.is_sign_negative() && !rounded.is_zero() { "-" } else { "" };
    let figure = if small { rounded.abs().normalize().to_string() } else { grouped(rounded.abs(), 2) };
    if currency == Currency::USD { format!("{sign}${figure}") } else { format!("{sign}{currency} {figure}") }
}

/// An amount that may be unknown, which is a word and never a zero.
pub(super) fn known_money(amount: Option<Decimal>, currency: Currency) -> String {
    amount.map_or_else(|| "unknown".to_owned(), |amount| money(amount, currency))
}

/// A share of a whole in percent; a dash where either is unknown.
pub(super) fn known_percent(part: Option<Decimal>, whole: Option<Decimal>) -> String {
    part.zip(whole).map_or_else(|| "–".to_owned(), |(part, whole)| percent(part, whole))
}

/// The sum of amounts; unknown where any of them is.
pub(super) fn known_sum(amounts: impl Iterator<Item = Option<Decimal>>) -> Option<Decimal> {
    amounts.sum()
}

/// A share of a whole in percent; a dash where there is none.
pub(super) fn percent(part: Decimal, whole: Decimal) -> String {
    if whole <= Decimal::ZERO {
        return "–".to_owned();
    }
    match part.checked_mul(Decimal::ONE_HUNDRED).and_then(|part| part.checked_div(whole)) {
        Some(share) => format!("{} %", grouped(rounded(share, 1), 1)),
        None => "–".to_owned(),
    }
}

/// A count of tokens in thousands, millions or billions; empty for none.
pub(super) fn tokens(count: Decimal) -> String {
    const UNITS: [(i64, &str); 4] =
        [(1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")];
    if count.is_zero() {
        return String::new();
    }
    for (size, unit) in UNITS {
        let size = Decimal::from(size);
        if count.abs() >= size
            && let Some(figure) = count.checked_div(size)
        {
            return format!("{} {unit}", grouped(rounded(figure, 2), 2));
        }
    }
    grouped(rounded(count, 0), 0)
}

/// A whole number with separators.
pub(super) fn count(count: u64) -> String {
    grouped(Decimal::from(count), 0)
}

/// Hours and other quantities: at most two decimals.
pub(super) fn quantity(quantity: Decimal) -> String {
    grouped(rounded(quantity, 2), 2)
}

fn rounded(amount: Decimal, digits: u32) -> Decimal {
    amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointNearestEven)
}

fn grouped(amount: Decimal, digits: usize) -> String {
    let plain = format!("{amount:.digits$}");
    let (sign, plain) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("-", rest));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn money_keeps_its_currency_and_its_small_change() {
        assert_eq!(money(of("1234567.885"), Currency::USD), "$1,234,567.88");
        assert_eq!(money(of("-0.5"), Currency::USD), "-$0.50");
        assert_eq!(money(of("0.00042"), Currency::USD), "$0.00042");
        assert_eq!(money(of("0"), Currency::USD), "$0.00");
        assert_eq!(money(of("12"), "EUR".parse().unwrap()), "EUR 12.00");
    }

    #[test]
    fn a_share_of_nothing_is_no_number() {
        assert_eq!(percent(of("1"), of("0")), "–");
        assert_eq!(percent(of("1"), of("3")), "33.3 %");
    }

    #[test]
    fn a_sum_with_an_unknown_part_is_unknown() {
        let euro = "EUR".parse().unwrap();
        assert_eq!(known_money(known_sum([Some(of("1")), Some(of("2"))].into_iter()), euro), "EUR 3.00");
        let unknown = known_sum([Some(of("1")), None].into_iter());
        assert_eq!(known_money(unknown, euro), "unknown");
        assert_eq!(known_percent(unknown, Some(of("3"))), "–");
    }

    #[test]
    fn tokens_are_short() {
        assert_eq!(tokens(of("12763758914.8")), "12.76 B");
        assert_eq!(tokens(of("999")), "999");
        assert_eq!(tokens(of("0")), "");
    }
}
