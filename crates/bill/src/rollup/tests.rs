use std::sync::Arc;

use datafusion::arrow::array::StringArray;

use super::*;
use crate::columns::{Columns, Kind};
use crate::lines::{Arrival, Layout};

/// Adds a line for each of these, with another usage type each.
fn look_at(rollup: &mut Rollup, usage_types: &[String]) -> Result<Vec<Pick>, Failed> {
    let columns = Columns::new([("lineItem/UsageType".to_owned(), Kind::Text)]);
    let layout = Layout::new(ReportFormat::LegacyCur, &columns, Arrival::Wanted, FIRST);
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(usage_types));
    rollup.look(&mut BatchReader::new(layout), &[texts], usage_types.len())
}

#[test]
fn a_bill_of_nothing_but_new_texts_is_refused_before_it_fills_the_memory() {
    let bound = Bound(100_000);
    let mut rollup = Rollup { bound, ..Rollup::default() };
    let alike = vec!["USE1-NovaPro-input-tokens".to_owned(); 10_000];
    look_at(&mut rollup, &alike).unwrap();
    assert_eq!(rollup.lines(), 10_000, "what repeats itself is held once");
    let long = ["x".repeat(100_000)];
    let refused = look_at(&mut Rollup { bound, ..Rollup::default() }, &long).unwrap_err();
    assert!(matches!(refused, Failed::Other(BillError::Memory { memory_bytes: 100_000 })), "{refused:?}");
    let other: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    assert!(look_at(&mut rollup, &other).is_err(), "many short ones take as much");

    // Each of two threads has room, and both together have not.
    let of = |name: &str| {
        let mut part = Rollup { bound, ..Rollup::default() };
        let texts: Vec<String> = (0..250).map(|n| format!("{name}{n}")).collect();
        look_at(&mut part, &texts).unwrap();
        part
    };
    let mut whole = of("a");
    whole.absorb(&of("a")).unwrap();
    let absorbed: Result<(), _> = ["b", "c", "d", "e"].iter().try_for_each(|name| whole.absorb(&of(name)));
    assert!(matches!(absorbed, Err(BillError::Memory { .. })), "{absorbed:?}");
}

/// The months of a bill with so many lines in each month, from January 2024 on.
fn months_of(lines: &[u64]) -> Option<(String, String)> {
    let epoch = NaiveDate::default();
    let mut rollup = Rollup::default();
    for (n, lines) in (0..).zip(lines) {
        let (year, month) = (2024 + n / 12, 1 + u32::try_from(n % 12).unwrap());
        let day = NaiveDate::from_ymd_opt(year, month, 9).unwrap();
        let day = i32::try_from((day - epoch).num_days()).unwrap();
        if *lines > 0 {
            rollup.lines_by_day.insert(day, *lines);
        }
    }
    let name = |month: NaiveDate| month.format("%Y-%m").to_string();
    rollup.months().unwrap().map(|(first, last)| (name(first), name(last)))
}

#[test]
fn a_bill_is_of_its_months_however_many_they_are_and_not_of_a_strayed_line() {
    let from_to = |from: &str, to: &str| Some((from.to_owned(), to.to_owned()));
    assert_eq!(months_of(&[100; 37]), from_to("2024-01", "2027-01"), "three years and a month");
    let mut thin = [100; 24];
    thin[0] = 50;
    assert_eq!(months_of(&thin), from_to("2024-01", "2025-12"), "it began in the middle of its first month");
    assert_eq!(months_of(&[20, 1]), from_to("2024-01", "2024-01"), "a short month and one line of the next");
    assert_eq!(months_of(&[1, 5_000, 1]), from_to("2024-02", "2024-02"));
    assert_eq!(months_of(&[40, 60]), from_to("2024-01", "2024-02"));
    assert_eq!(months_of(&[10, 100]), from_to("2024-01", "2024-02"), "it grew to ten times as much");
    assert_eq!(months_of(&[]), None);
}
