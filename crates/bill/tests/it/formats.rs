//! One generated bill in every format: the same sums, exactly, and the same AI.

use std::collections::BTreeMap;

use costlens_domain::bill::{Dimension, Measure, breakdown};
use rust_decimal::Decimal;

use super::generator::{self, Format};
use super::read;

#[tokio::test]
async fn every_format_agrees_with_an_independent_sum() {
    let rows = generator::rows(1, 700);
    for format in Format::ALL {
        let folder = tempfile::tempdir().unwrap();
        // The name says nothing: the format is told from the content.
        let path = folder.path().join("bill");
        generator::write(&rows, format, &path);
        let report = read(path).await.unwrap_or_else(|error| panic!("{format:?}: {error}"));
        assert_eq!(report.format, format.report(), "{format:?}");
        generator::assert_totals(&report, &rows);
    }
}

#[tokio::test]
async fn every_format_finds_the_same_ai() {
    let rows = generator::rows(3, 700);
    for format in Format::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format.file_name());
        generator::write(&rows, format, &path);
        let report = read(path).await.unwrap();
        let found: BTreeMap<(String, String), Decimal> = breakdown(
            report.facts.iter().filter(|fact| fact.is_ai()),
            Dimension::Service,
            Measure::Unblended,
        )
        .into_iter()
        .map(|slice| ((slice.key, slice.currency.to_string()), slice.cost.unwrap().normalize()))
        .collect();
        assert_eq!(found, generator::expected_services(&rows), "{format:?}");
        let tokens: Decimal = report.facts.iter().filter_map(|fact| fact.tokens).sum();
        assert_eq!(tokens.normalize(), generator::expected_tokens(&rows), "{format:?}");
    }
}
