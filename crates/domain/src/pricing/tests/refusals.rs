//! What is not exact is refused when it is read, not rounded when it is used.

use super::*;
use crate::pricing::{CatalogueFault, Rate};

fn fault(models: &str) -> CatalogueFault {
    let text = format!(r#"{{"provider": "p", "name": "P", "source": "the test", "models": {models}}}"#);
    Catalogue::default().add("p.json", text.as_bytes()).expect_err("the prices are wrong on purpose").fault
}

fn model(rates: &str) -> String {
    format!(r#"[{{"id": "m", "checked": "2026-11-22", "rates": {rates}}}]"#)
}

#[test]
fn figures_are_strings_and_exact() {
    assert!(
        matches!(fault(&model(r#"[{"fresh_input": 2.5}]"#)), CatalogueFault::Json(_)),
        "a JSON number is no figure"
    );
    for figure in ["abc", "", "-1", "1e99", "0.0000000000001", "99999999999"] {
        let refused = fault(&model(&format!(r#"[{{"fresh_input": "{figure}"}}]"#)));
        assert!(matches!(refused, CatalogueFault::Rate { ref id, .. } if id == "m"), "{figure}: {refused}");
    }
    assert!(
        matches!(fault(&model(r#"[{"fresh_inptu": "1"}]"#)), CatalogueFault::Json(_)),
        "a misspelt class"
    );
}

#[test]
fn rows_that_would_price_the_same_call_are_refused() {
    let overlapping = [
        r#"[{"fresh_input": "1"}, {"fresh_input": "2"}]"#,
        r#"[{"fresh_input": "1"}, {"from": "2026-01-01", "fresh_input": "2"}]"#,
        r#"[{"up_to_input": 10, "fresh_input": "1"}, {"above_input": 9, "fresh_input": "2"}]"#,
        r#"[{"hours": "22:00-02:00", "fresh_input": "1"}, {"hours": "01:00-03:00", "fresh_input": "2"}]"#,
        r#"[{"days": "weekdays", "fresh_input": "1"}, {"fresh_input": "2"}]"#,
    ];
    for rates in overlapping {
        assert!(matches!(fault(&model(rates)), CatalogueFault::Overlap { .. }), "{rates}");
    }
    let apart = [
        r#"[{"until": "2026-01-01", "fresh_input": "1"}, {"from": "2026-01-01", "fresh_input": "2"}]"#,
        r#"[{"up_to_input": 10, "fresh_input": "1"}, {"above_input": 10, "fresh_input": "2"}]"#,
        r#"[{"hours": "22:00-01:00", "fresh_input": "1"}, {"hours": "01:00-22:00", "fresh_input": "2"}]"#,
        r#"[{"days": "weekdays", "fresh_input": "1"}, {"days": "weekends", "fresh_input": "2"}]"#,
        r#"[{"fresh_input": "1"}, {"tier": "flex", "fresh_input": "2"}]"#,
    ];
    for rates in apart {
        catalogue(&model(rates));
    }
}

#[test]
fn the_order_of_the_rows_does_not_matter() {
    let rows = [
        r#"{"up_to_input": 10, "fresh_input": "1"}"#,
        r#"{"above_input": 10, "up_to_input": 20, "fresh_input": "2"}"#,
        r#"{"above_input": 20, "fresh_input": "3"}"#,
    ];
    let [small, middle, large] = rows;
    for rates in [[small, middle, large], [large, middle, small], [middle, large, small]] {
        let known = catalogue(&model(&format!("[{}]", rates.join(", "))));
        let priced = [0, 10, 11, 20, 21].map(|tokens| {
            let usage = usage(tokens, 0, 0, 0, 0);
            outcome(&known.price(Quote { provider: "p", model: "m", tier: None, at: today(), usage: &usage }))
        });
        assert_eq!(priced, ["0", "0.00001", "0.000022", "0.00004", "0.000063"]);
    }
}

#[test]
fn rows_that_contradict_themselves_are_refused() {
    let wrong = [
        r#"[{"from": "2026-01-01", "until": "2026-01-01", "fresh_input": "1"}]"#,
        r#"[{"above_input": 10, "up_to_input": 10, "fresh_input": "1"}]"#,
        r#"[{"hours": "25:00-26:00", "fresh_input": "1"}]"#,
        r#"[{"hours": "01:00-01:00", "fresh_input": "1"}]"#,
        r#"[{"cache_read": "=fresh_input"}]"#,
    ];
    for rates in wrong {
        assert!(matches!(fault(&model(rates)), CatalogueFault::Row { .. }), "{rates}");
    }
}

#[test]
fn one_name_cannot_mean_two_models() {
    let twice = r#"[{"id": "a", "names": ["x"], "checked": "2026-11-22", "rates": []}, {"id": "b", "names": ["X"], "checked": "2026-11-22", "rates": []}]"#;
    assert!(matches!(fault(twice), CatalogueFault::NameTwice { .. }));
    let mut known = catalogue("[]");
    let again =
        known.add("again.json", br#"{"provider": "p", "name": "P", "source": "the test", "models": []}"#);
    assert!(matches!(again.map_err(|error| error.fault), Err(CatalogueFault::ProviderTwice(_))));
}

#[test]
fn billed_as_fresh_input_is_said_by_the_data_and_not_by_the_code() {
    let said = catalogue(&model(r#"[{"fresh_input": "2", "cache_read": "=fresh_input", "output": "4"}]"#));
    let silent = catalogue(&model(r#"[{"fresh_input": "2", "output": "4"}]"#));
    let quote = |catalogue: &Catalogue| {
        let usage = usage(1_000_000, 500_000, 0, 0, 0);
        outcome(&catalogue.price(Quote { provider: "p", model: "m", tier: None, at: today(), usage: &usage }))
    };
    assert_eq!(quote(&said), "3");
    assert_eq!(quote(&silent), "class_not_priced");
}

#[test]
fn amounts_hold_every_digit_or_none() {
    let tiny = catalogue(&model(r#"[{"fresh_input": "0.000000000001", "output": "18000000"}]"#));
    let quote = |usage: Usage| {
        outcome(&tiny.price(Quote { provider: "p", model: "m", tier: None, at: today(), usage: &usage }))
    };
    assert_eq!(quote(usage(1, 0, 0, 0, 0)), "0.000000000000000001");
    assert_eq!(quote(usage(1, 0, 0, 0, 1)), "18.000000000000000001");
    assert_eq!(quote(usage(999_999_999_999, 0, 0, 0, 4_000_000_000)), "72000000000.000000999999999999");
    assert_eq!(quote(usage(0, 0, 0, 0, u64::MAX)), "out_of_range");
    assert_eq!(quote(usage(u64::MAX, 0, 0, 0, u64::MAX)), "out_of_range");
}

#[test]
fn a_rate_shows_itself_as_it_was_published() {
    let rate = Rate::per_million("2.50").expect("a figure");
    assert_eq!(rate.text(), "2.5");
    assert_eq!(rate.per_unit().to_string(), "0.0000025");
    assert!(!rate.is_free());
    assert!(Rate::per_thousand("0").expect("a figure").is_free());
    assert_eq!(Rate::per_thousand("10").expect("a figure").per_unit().to_string(), "0.01");
}
