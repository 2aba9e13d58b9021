//! The commands as a person types them.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Typed {
    #[command(flatten)]
    prices: PricesArgs,
}

fn typed(words: &[&str]) -> (Result<(), PricesError>, String) {
    let typed =
        Typed::try_parse_from(std::iter::once(&"prices").chain(words)).expect("the words are a command");
    let mut out = Vec::new();
    let now = "2026-11-22T12:00:00Z".parse().expect("a time");
    let done = run(&typed.prices, now, &mut out);
    (done, String::from_utf8(out).expect("text"))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../prices")
}

#[test]
fn show_tells_every_rate_of_a_model_and_its_source() {
    let (done, text) = typed(&["show", "gpt-4o-2024-08-06"]);
    done.expect("gpt-4o has a price");
    assert!(text.starts_with("openai/gpt-4o\n  source  genai-prices"), "{text}");
    assert!(text.contains("  standard\n    fresh_input     $2.5 per million\n"), "{text}");
    assert!(text.contains("  batch, from 2026-10-14\n"), "{text}");
    let (done, text) = typed(&["show", "bedrock/claude-opus-4-5"]);
    done.expect("Bedrock sells it");
    assert!(
        text.starts_with("bedrock/regional.anthropic.claude-opus-4-5-v1:0\n") && !text.contains("google/"),
        "{text}"
    );
}

#[test]
fn show_of_an_unknown_model_names_the_nearest() {
    let (done, text) = typed(&["show", "gpt4o"]);
    let told = done.expect_err("there is no gpt4o").to_string();
    assert!(told.contains("did you mean gpt-4o"), "{told}");
    assert!(text.is_empty());
}

#[test]
fn check_counts_the_models_of_every_provider() {
    let (done, text) = typed(&["check"]);
    done.expect("the committed prices are readable");
    assert_eq!(text.lines().count(), 10, "{text}");
    assert!(text.contains("bedrock"), "{text}");
}

#[test]
fn check_against_a_map_that_differs_fails_and_names_the_figure() {
    let dir = tempfile::tempdir().expect("a folder");
    let map = dir.path().join("map.json");
    std::fs::write(&map, r#"{"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 3e-06}}"#)
        .expect("written");
    let list = folder().join("disagreements.json");
    let (done, text) =
        typed(&["check", "--litellm", &map.to_string_lossy(), "--disagreements", &list.to_string_lossy()]);
    assert!(matches!(done, Err(PricesError::Drift { unexplained: 1, .. })), "{done:?}");
    assert!(
        text.contains("without a reason: openai gpt-4o standard fresh_input: ours 2.5, theirs 3"),
        "{text}"
    );
}

#[test]
fn import_writes_a_file_per_provider_and_refuses_what_is_not_exact() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in [("curation.json", r#"{"rules": []}"#), ("supplement.json", "{}")] {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let data = dir.path().join("data.json");
    let import = |figure: &str| {
        let text = format!(
            r#"[{{"id": "x-ai", "name": "xAI", "models": [{{"id": "g", "match": {{"equals": "g"}}, "prices": {{"input_mtok": {figure}}}}}]}}]"#
        );
        std::fs::write(&data, text).expect("written");
        typed(&[
            "import",
            "genai",
            &data.to_string_lossy(),
            "--source",
            "a test",
            "--checked",
            "2026-11-01",
            "--folder",
            &dir.path().to_string_lossy(),
        ])
    };
    let (done, text) = import("0.30");
    done.expect("the figure is exact");
    assert!(text.contains("xai.json: 1 models"), "{text}");
    let written = std::fs::read_to_string(dir.path().join("xai.json")).expect("the file is there");
    assert!(written.contains(r#"{"fresh_input": "0.3"}"#), "{written}");
    let (done, _) = import("0.30000000000000004");
    assert!(matches!(done, Err(PricesError::Import { .. })), "{done:?}");
    assert_eq!(std::fs::read_to_string(dir.path().join("xai.json")).expect("the file is there"), written);
}
