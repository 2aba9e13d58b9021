//! The importer, on a small file in the format it reads.

use super::*;
use crate::pricing::{Curation, GenaiError, ImportOptions, PriceFile, Supplement, import_genai};

fn options() -> ImportOptions {
    ImportOptions { source: "a test".to_owned(), checked: "2026-10-26".parse().expect("a day") }
}

fn data(models: &str) -> String {
    format!(
        r#"[{{"id": "openai", "name": "OpenAI", "pricing_urls": ["https://example.com/pricing"], "models": {models}}}]"#
    )
}

fn import(models: &str, curation: &str) -> Result<Vec<PriceFile>, GenaiError> {
    let curation: Curation = serde_json::from_str(curation).expect("the test's own rules are readable");
    import_genai(data(models).as_bytes(), &options(), &curation, &Supplement::default())
}

fn imported(models: &str) -> String {
    let files = import(models, r#"{"rules": []}"#).expect("the data is well-formed");
    files.first().expect("one provider").to_text().expect("a file is writable")
}

#[test]
fn figures_come_over_as_the_text_they_were_written_as() {
    let text = imported(
        r#"[{"id": "m", "match": {"or": [{"equals": "m-1"}, {"starts_with": "m-next"}, {"regex": "^m-\\d{8}$"}]},
             "prices": {"input_mtok": 0.10, "cache_read_mtok": 3e-2, "cache_write_mtok": 1.25, "cache_write_1h_mtok": 2, "output_mtok": 0.435, "web_searches_kcount": 10}}]"#,
    );
    let row = r#"{"fresh_input": "0.1", "cache_read": "0.03", "cache_write_5m": "1.25", "cache_write_1h": "2", "output": "0.435", "web_search": "10"}"#;
    assert!(text.contains(row), "{text}");
    assert!(text.contains(r#""names": ["m-1"]"#) && text.contains(r#""versions": ["m","m-next"]"#), "{text}");
    assert!(text.contains(r#""source": "a test, after https://example.com/pricing""#), "{text}");
    let mut catalogue = Catalogue::default();
    catalogue.add("openai.json", text.as_bytes()).expect("what is written is readable");
    assert!(catalogue.find("openai", "m-20260101").is_some());
}

#[test]
fn overlays_dates_and_context_steps_become_plain_rows() {
    let text = imported(
        r#"[{"id": "m", "match": {"equals": "m"},
             "prices": [{"prices": {"input_mtok": {"base": 5, "tiers": [{"start": 1000, "price": 10}]}, "output_mtok": 30}},
                        {"constraint": {"start_date": "2026-08-21"}, "prices": {"input_mtok": {"base": 4, "tiers": [{"start": 1000, "price": 8}]}, "output_mtok": 20}}],
             "price_variants": [{"when": {"service_tier": "default"}, "prices": {}},
                                {"when": {"service_tier": "flex"}, "prices": {"input_mtok": 2}, "constraint": {"start_date": "2026-10-12"}}]}]"#,
    );
    let rows: Vec<&str> = text.lines().map(str::trim).filter(|line| line.contains("fresh_input")).collect();
    assert_eq!(
        rows,
        [
            r#"{"until": "2026-08-21", "up_to_input": 1000, "fresh_input": "5", "output": "30"},"#,
            r#"{"until": "2026-08-21", "above_input": 1000, "fresh_input": "10", "output": "30"},"#,
            r#"{"from": "2026-08-21", "up_to_input": 1000, "fresh_input": "4", "output": "20"},"#,
            r#"{"from": "2026-08-21", "above_input": 1000, "fresh_input": "8", "output": "20"},"#,
            r#"{"tier": "flex", "from": "2026-10-12", "fresh_input": "2", "output": "20"}"#,
        ]
    );
}

#[test]
fn the_noise_of_a_binary_float_is_refused() {
    let noisy = import(
        r#"[{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 0.30000000000000004}}]"#,
        r#"{"rules": []}"#,
    );
    assert!(
        matches!(noisy, Err(GenaiError::FloatNoise { ref text, .. }) if text == "0.30000000000000004"),
        "{noisy:?}"
    );
}

#[test]
fn what_the_importer_does_not_understand_stops_it() {
    let unknown = [
        r#"[{"id": "m", "match": {"equals": "m"}, "prices": {"smell_mtok": 1}}]"#,
        r#"[{"id": "m", "match": {"regex": "^m-(a|b)$"}, "prices": {"input_mtok": 1}}]"#,
        r#"[{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 1}, "price_variants": [{"when": {"mood": "good"}, "prices": {}}]}]"#,
        r#"[{"id": "m", "match": {"equals": "m"}, "prices": [{"constraint": {"day_of_week": 1}, "prices": {"input_mtok": 1}}]}]"#,
        r#"[{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": "1"}}]"#,
    ];
    for models in unknown {
        assert!(import(models, r#"{"rules": []}"#).is_err(), "{models}");
    }
}

#[test]
fn a_rule_adds_what_the_data_set_cannot_say_and_an_idle_one_is_told() {
    let models = r#"[{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 1}}, {"id": "f", "match": {"equals": "f"}, "prices": {}}]"#;
    let rules = r#"{"rules": [{"provider": "openai", "models": ["m"], "cache_read_as_fresh_input": true, "reason": "The vendor says so."},
                              {"provider": "openai", "models": ["f"], "free": true, "reason": "Free of charge."}]}"#;
    let files = import(models, rules).expect("the data is well-formed");
    let text = files.first().expect("one provider").to_text().expect("a file is writable");
    assert!(
        text.contains(r#""cache_read": "=fresh_input""#) && text.contains("The vendor says so."),
        "{text}"
    );
    assert!(text.contains(r#""fresh_input": "0""#), "{text}");
    let fee = r#"{"rules": [{"provider": "openai", "models": ["m"], "charged_apart": ["other_units"], "reason": "A fee."}]}"#;
    let files = import(models, fee).expect("the data is well-formed");
    let text = files.first().expect("one provider").to_text().expect("a file is writable");
    assert!(text.contains(r#""charged_apart": ["other_units"]"#), "{text}");
    let idle = import(
        models,
        r#"{"rules": [{"provider": "openai", "models": ["gone"], "free": true, "reason": "-"}]}"#,
    );
    assert!(matches!(idle, Err(GenaiError::IdleRule { .. })));
    let without = import(models, r#"{"rules": []}"#).expect("the data is well-formed");
    assert!(
        without.iter().all(|file| file.models.iter().all(|entry| entry.id != "f")),
        "a model without a price is no free model"
    );
}

#[test]
fn the_committed_files_are_written_as_the_importer_writes_them() {
    let committed = include_str!("../../../../../prices/openai.json");
    let file: PriceFile = serde_json::from_str(committed).expect("the committed prices are readable");
    assert_eq!(file.to_text().expect("a file is writable"), committed);
}

/// Names that a rule takes away, and what it adds, are so in the committed files: nobody forgot to import anew.
#[test]
fn the_committed_files_hold_what_the_committed_rules_say() {
    let curation: Curation = serde_json::from_str(include_str!("../../../../../prices/curation.json"))
        .expect("the committed rules are readable");
    for rule in &curation.rules {
        for model in rule.models.iter().filter(|model| !model.ends_with('*')) {
            let entry = PRICES.find(&rule.provider, model).expect("an entry that a rule is about");
            assert_eq!(&entry.id, model);
            assert!(entry.note.as_ref().is_some_and(|note| note.contains(&rule.reason)), "{model}");
            assert!(rule.charged_apart.iter().all(|what| entry.charged_apart.contains(what)), "{model}");
            let kept = rule
                .drop_names
                .iter()
                .find(|name| entry.names.contains(name) || entry.versions.contains(name));
            assert_eq!(kept, None, "{model}");
        }
    }
}
