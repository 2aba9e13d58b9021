//! Meters of Azure and SKUs of Google as price lists and exports have them, and what each of their parts means.

use super::{Category, Cloud, LineKey, Verdict, classify, is_usage, screen};

/// A line of usage.
fn line<'a>(cloud: Cloud, service: &'a str, family: &'a str, meter: &'a str, unit: &'a str) -> LineKey<'a> {
    LineKey {
        cloud,
        product_code: service,
        product_family: family,
        usage_type: meter,
        pricing_unit: unit,
        line_item_type: if cloud == Cloud::Google { "regular" } else { "Usage" },
        ..LineKey::default()
    }
}

/// Every abbreviation that was met, with what is no AI beside it.
#[test]
fn every_meter_is_what_its_row_says() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in include_str!("meters.tsv").lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').map(|cell| if cell == "-" { "" } else { cell }).collect();
        let [cloud, service, family, meter, unit, label @ ..] = <[&str; 13]>::try_from(cells).unwrap();
        let key = line(Cloud::named(cloud), service, family, meter, unit);
        let class = classify(&key);
        let tokens = class.tokens_per_unit.map(|tokens| tokens.to_string()).unwrap_or_default();
        let found: [&str; 8] = [
            class.verdict.as_str(),
            &class.service,
            class.category.as_str(),
            class.model.as_deref().unwrap_or_default(),
            class.meter.as_str(),
            class.tier.as_str(),
            class.routing.as_str(),
            &tokens,
        ];
        let is_token = class.category == Category::Inference && class.meter.counts_tokens();
        let is_whole = class.understood && (!is_token || class.vendor.is_some());
        if found != label || !is_whole || screen(&key) != (class.verdict != Verdict::NotAi) {
            wrong.push(format!("{meter}: labelled {label:?}, found {found:?}"));
        }
        rows += 1;
    }
    assert!(rows > 70 && wrong.is_empty(), "{} of {rows}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_nobody_knows_is_ai_that_is_not_understood() {
    for key in [
        line(Cloud::Azure, "Foundry Models", "Azure OpenAI", "Quantum-Widget-glbl", "1"),
        line(Cloud::Azure, "Cognitive Services", "Clairvoyance", "S0 Visions", "1"),
        line(Cloud::Google, "Vertex AI", "", "Flux Capacitor Rental", "count"),
    ] {
        let class = classify(&key);
        assert_eq!((class.verdict, class.understood), (Verdict::Ai, false), "{key:?}");
    }
    let tax = LineKey { line_item_type: "Tax", ..line(Cloud::Azure, "Foundry Models", "", "", "") };
    let class = classify(&tax);
    assert_eq!((class.category, class.understood), (Category::Adjustment, true));
}

#[test]
fn a_unit_is_a_token_in_exports_and_a_block_in_focus() {
    let export = line(Cloud::Azure, "Foundry Models", "Azure OpenAI", "gpt-4o-0806-Inp-glbl", "1K");
    let focus = LineKey { service_category: "AI and Machine Learning", ..export };
    assert_eq!(classify(&export).tokens_per_unit, Some(1));
    assert_eq!(classify(&focus).tokens_per_unit, Some(1_000));
    assert_eq!(classify(&LineKey { pricing_unit: "Tokens", ..focus }).tokens_per_unit, None, "of how many?");
}

#[test]
fn a_meter_that_names_no_model_does_not_hide_the_sku_of_a_charge_in_focus() {
    let meter = line(Cloud::Google, "Vertex AI", "", "Requests", "count");
    let charge = LineKey { description: "Gemini 2.5 Flash GA Text Input - Predictions", ..meter };
    assert!(screen(&meter) && screen(&charge));
    let class = classify(&LineKey { line_item_type: "usage", ..charge });
    assert_eq!((class.model.as_deref(), class.tokens_per_unit), (Some("gemini-2-5-flash"), Some(1)));
    assert!(is_usage("usage"));
}

#[test]
fn a_tuned_model_and_a_long_prompt_have_prices_of_their_own() {
    let tuned = classify(&line(Cloud::Azure, "Foundry Models", "Azure OpenAI", "41 ft opt Dz", "1M"));
    assert_eq!((tuned.model.as_deref(), tuned.custom_model), (Some("gpt-4-1"), true));
    let long = |sku| classify(&line(Cloud::Google, "Gemini API", "", sku, "count")).long_context;
    assert!(long("Generate content input token count Gemini 2.5 Pro long input text"));
    assert!(long("Gemini 2.5 Pro Text Output - Long Context"));
    assert!(!long("Generate content input token count Gemini 2.5 Pro short input text"));
}
