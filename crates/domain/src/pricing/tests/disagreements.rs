//! The committed list of differences from LiteLLM's price map.
//!
//! The map itself is not in the repository; `scripts/check-prices` compares with a copy of it. Here the list is held
//! to what can be known without it.

use super::*;
use crate::pricing::{Comparison, Disagreement, Disagreements, compare_litellm};

fn listed() -> Disagreements {
    serde_json::from_str(include_str!("../../../../../prices/disagreements.json"))
        .expect("the committed list is readable")
}

#[test]
fn every_listed_difference_has_a_reason_and_stands_once() {
    let listed = listed();
    assert!(!listed.compared_with.is_empty());
    let mut seen = std::collections::BTreeSet::new();
    for group in &listed.groups {
        assert!(group.reason.split_whitespace().count() >= 8, "no reason: {:?}", group.reason);
        assert!(!group.figures.is_empty(), "nothing has this reason: {}", group.reason);
        for one in &group.figures {
            assert!(seen.insert((&one.provider, &one.model, &one.figure)), "listed twice: {one:?}");
            assert_ne!(one.ours, one.theirs, "no difference: {one:?}");
        }
    }
    assert!(seen.len() > 100);
}

#[test]
fn our_side_of_every_listed_difference_is_what_the_catalogue_says() {
    let listed = listed();
    for one in listed.groups.iter().flat_map(|group| &group.figures) {
        let figure: Vec<&str> = one.figure.split(' ').collect();
        let (tier, class, above) = match figure[..] {
            [tier, class] => (tier, class, 0),
            [tier, class, "above", above] => (tier, class, above.parse().expect("a count")),
            _ => panic!("no figure: {one:?}"),
        };
        let name = one.model.rsplit_once('/').map_or(one.model.as_str(), |(_, name)| name);
        let entry = PRICES.find(&one.provider, name).or_else(|| PRICES.find(&one.provider, &one.model));
        let entry = entry.unwrap_or_else(|| panic!("no entry: {one:?}"));
        let tier = crate::pricing::ServiceTier::from_name(tier).expect("a tier");
        let row = entry.row(tier, listed.at, above + 1).expect("a row");
        let rate = row.rates.iter().find(|(known, _)| known.as_str() == class).and_then(|(_, rate)| rate);
        assert_eq!(rate.map(crate::pricing::Rate::text), Some(one.ours.as_str()), "{one:?}");
    }
}

#[test]
fn a_comparison_finds_equal_differing_and_missing_figures() {
    let catalogue = {
        let mut catalogue = Catalogue::default();
        let text = r#"{"provider": "openai", "name": "O", "source": "the test", "models": [{"id": "m", "checked": "2026-11-22", "rates": [
            {"up_to_input": 200000, "fresh_input": "2.5", "output": "10"}, {"above_input": 200000, "fresh_input": "5", "output": "15"},
            {"tier": "flex", "fresh_input": "1.25", "output": "5"}]}]}"#;
        catalogue.add("openai.json", text.as_bytes()).expect("the test's own prices are readable");
        catalogue
    };
    let map = r#"{
        "sample_spec": {"litellm_provider": "one of them", "input_cost_per_token": 0.0},
        "m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5000000000000002e-06, "output_cost_per_token": 1.1e-05,
              "input_cost_per_token_above_200k_tokens": 5e-06, "input_cost_per_token_flex": 1.25e-06, "input_cost_per_token_priority": 5e-06, "max_tokens": 5},
        "n": {"litellm_provider": "openai", "input_cost_per_token": 1e-06},
        "dall-e": {"litellm_provider": "openai", "input_cost_per_pixel": 1e-06}
    }"#;
    let found = compare_litellm(&catalogue, map.as_bytes(), today()).expect("the test's own map is readable");
    let difference = Disagreement {
        provider: "openai".to_owned(),
        model: "m".to_owned(),
        figure: "standard output".to_owned(),
        ours: "10".to_owned(),
        theirs: "11".to_owned(),
    };
    assert_eq!(found.disagreements, std::slice::from_ref(&difference));
    let openai = found.providers.get("openai").expect("the provider was compared");
    assert_eq!((openai.models_shared, openai.figures_equal, openai.figures_theirs_alone), (1, 3, 1));
    assert_eq!(openai.models_theirs_alone, ["n"]);

    let drift = Disagreements::default().drift(&found);
    assert_eq!(drift.unexplained, [difference]);
    assert!(drift.stale.is_empty());
    let stale = listed().drift(&Comparison::default());
    assert!(stale.unexplained.is_empty() && !stale.stale.is_empty());
}

#[test]
fn the_committed_list_is_written_as_the_command_writes_it() {
    let committed = include_str!("../../../../../prices/disagreements.json");
    assert_eq!(listed().to_text().expect("a list is writable"), committed);
}
