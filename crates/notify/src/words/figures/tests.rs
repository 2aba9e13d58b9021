use super::*;

fn of(text: &str) -> Usd {
    text.parse().unwrap()
}

#[test]
fn amounts_are_written_with_two_decimals_and_four_below_one() {
    for (amount, text) in [
        ("0", "$0.00"),
        ("1234567.895", "$1,234,567.90"),
        ("999.995", "$1,000.00"),
        ("12", "$12.00"),
        ("0.5", "$0.5000"),
        ("0.99996", "$1.00"),
        ("0.00005", "$0.0001"),
        ("0.00000001", "<$0.0001"),
        ("-3.005", "−$3.01"),
        ("-1234.5", "−$1,234.50"),
    ] {
        assert_eq!(usd(of(amount)), text, "{amount}");
    }
    assert_eq!(usd_or_unpriced(None), "unpriced");
    assert_eq!(money(Decimal::new(123_450, 2), "EUR".parse().unwrap()), "1,234.50 EUR");
}

#[test]
fn changes_and_shares_round_without_lying() {
    let changed = |now: &str, before: &str| change(Some(of(now)), Some(of(before))).unwrap().0;
    assert_eq!(changed("116", "100"), "+16%");
    assert_eq!(changed("96.6", "100"), "−3.4%");
    assert_eq!(changed("109.96", "100"), "+10%");
    assert_eq!(changed("100.01", "100"), "no change");
    assert_eq!(changed("1", "0"), "new");
    assert_eq!(change(Some(of("1")), None), None);
    assert_eq!(change(None, Some(of("1"))), None);
    assert_eq!(share(Some(of("0.001")), Some(of("100"))), "<1%");
    assert_eq!(share(Some(of("99.9")), Some(of("100"))), ">99%");
    assert_eq!(share(None, Some(of("100"))), "–");
    assert_eq!(reached(of("99.99"), of("100")), "99%");
    assert_eq!(reached(of("104.1"), of("100")), "104%");
    assert_eq!(
        (fill(Decimal::ONE, Decimal::from(10_000)), fill(Decimal::from(9_999), Decimal::from(10_000))),
        (1, 99)
    );
    assert_eq!((fill(Decimal::ZERO, Decimal::ZERO), fill(Decimal::from(3), Decimal::TWO)), (0, 100));
}

#[test]
fn the_largest_amounts_are_written_and_do_not_panic() {
    let most = Usd::from(Decimal::MAX);
    assert!(usd(most).starts_with("$79,228,"));
    assert_eq!(share(Some(most), Some(of("1"))), "–");
    assert_eq!(fill(Decimal::MAX, Decimal::ONE), 0);
}

#[test]
fn times_are_the_tenants_own() {
    let zone = Zone::parse("Europe/Berlin").unwrap();
    let at = DateTime::from_timestamp(1_795_600_000, 0).unwrap();
    assert_eq!(moment_in(at, zone), "25 Nov 2026, 10:46 (Europe/Berlin)");
    let later = DateTime::from_timestamp(1_795_603_600, 0).unwrap();
    assert_eq!(span_in(at, later, zone), "25 Nov 2026, 10:46–11:46 (Europe/Berlin)");
    assert!(Zone::parse("Mars/Olympus").is_err());
    let day = |month, day| NaiveDate::from_ymd_opt(2026, month, day).unwrap();
    assert_eq!(days(day(11, 1), day(11, 30)), "November 2026");
    assert_eq!(days(day(11, 30), day(12, 6)), "30 November – 6 December 2026");
}
