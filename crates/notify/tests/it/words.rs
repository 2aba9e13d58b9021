//! Every kind as it is read, and names that try to break it.

use costlens_notify::words::{ExpectedCrossing, Kind, Message, preview, sample};
use serde_json::Value;

#[test]
fn every_kind_reads_as_it_did() {
    for kind in Kind::ALL {
        let shown = preview(*kind).unwrap();
        insta::assert_snapshot!(format!("{kind}.text"), format!("{}\n\n{}", shown.subject, shown.text));
        insta::assert_snapshot!(format!("{kind}.html"), shown.html);
        assert_eq!(shown.slack.is_some(), kind.goes_to_slack());
        if let Some(slack) = shown.slack {
            insta::assert_snapshot!(format!("{kind}.slack"), serde_json::to_string_pretty(&slack).unwrap());
        }
    }
}

#[test]
fn figures_survive_being_stored_and_hold_no_floats() {
    for kind in Kind::ALL {
        let message = sample(*kind);
        let stored = serde_json::to_value(&message).unwrap();
        assert_no_float(&stored);
        let again: Message = serde_json::from_value(stored).unwrap();
        assert_eq!(again, message);
        assert_eq!(kind.as_str().parse(), Ok(*kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}

fn assert_no_float(value: &Value) {
    match value {
        Value::Number(number) => assert!(!number.is_f64(), "{number}"),
        Value::Array(items) => items.iter().for_each(assert_no_float),
        Value::Object(fields) => fields.values().for_each(assert_no_float),
        _ => {}
    }
}

/// Puts a text wherever a user or a vendor may have given one.
fn with_names(value: &mut Value, hostile: &str) {
    const GIVEN: &[&str] = &[
        "tenant",
        "name",
        "budget",
        "covers",
        "series",
        "what",
        "bill",
        "reason",
        "remedy",
        "channel",
        "requested_by",
        "cancelled_by",
        "certificate",
        "subscription",
    ];
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| with_names(item, hostile)),
        Value::Object(fields) => {
            for (key, field) in fields {
                if GIVEN.contains(&key.as_str()) && field.is_string() {
                    *field = Value::String(hostile.to_owned());
                } else {
                    with_names(field, hostile);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn hostile_names_break_neither_layout_nor_subject_nor_slack() {
    let long = "x".repeat(10_000);
    let ampersands = "&<>".repeat(4_000);
    let emoji = "👩‍🚀".repeat(3_000);
    for hostile in [
        "<script>alert(1)</script>\"'><img src=x onerror=y>",
        "a\r\nBcc: evil@example.net\r\n\r\nb",
        "<!channel> *bold* _it_ ~no~ `code` ```block``` <https://evil.example|click>",
        "\u{202e}evil\u{2066}\u{200f}\u{0}\u{7}",
        "{{ page.subject }} {% raw %}",
        "",
        long.as_str(),
        ampersands.as_str(),
        emoji.as_str(),
    ] {
        for kind in Kind::ALL {
            let mut stored = serde_json::to_value(sample(*kind)).unwrap();
            with_names(&mut stored, hostile);
            let message: Message = serde_json::from_value(stored).unwrap();
            let letter = message.letter().unwrap();
            assert!(letter.subject.chars().count() <= 150 && !letter.subject.chars().any(char::is_control));
            well_formed(&letter.html);
            assert!(!letter.html.contains("<script") && !letter.html.contains("<img"), "{kind}");
            for text in [&letter.html, &letter.text, &letter.subject] {
                assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{0}', '\r']), "{kind}");
            }
            assert!(letter.html.len() < 100_000, "{kind}: Gmail cuts letters at 102 kB");
            if let Some(slack) = message.slack() {
                fits_slack(&slack.to_json());
            }
        }
    }
}

fn fits_slack(message: &Value) {
    let blocks = message["blocks"].as_array().unwrap();
    assert!((1..=50).contains(&blocks.len()));
    let units = |text: &Value| text.as_str().unwrap().encode_utf16().count();
    assert!(units(&message["text"]) <= 3000);
    for block in blocks {
        match block["type"].as_str().unwrap() {
            "header" => assert!((1..=150).contains(&units(&block["text"]["text"]))),
            "section" => {
                for text in block["fields"].as_array().into_iter().flatten() {
                    assert!((1..=2000).contains(&units(&text["text"])));
                }
                if block["text"].is_object() {
                    assert!((1..=3000).contains(&units(&block["text"]["text"])));
                }
            }
            "context" => assert!(block["elements"].as_array().unwrap().len() <= 10),
            other => panic!("{other}"),
        }
        // A header is `plain_text`, in which Slack reads no markup.
        let text = if block["type"] == "header" { String::new() } else { block.to_string() };
        assert!(!text.contains("<!") && !text.contains("<https://evil"), "{text}");
    }
}

/// Every element is closed in its order, attributes are quoted, and nothing is fetched.
fn well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("<!--") {
            rest = after.split_once("-->").unwrap().1;
            continue;
        }
        let (tag, after) = rest[1..].split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split([' ', '\n']).next().unwrap();
        assert!(!["img", "script", "link", "iframe", "form"].contains(&name), "{tag}");
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn every_style_stands_in_its_element_and_the_sheet_only_adapts() {
    for kind in Kind::ALL {
        let html = preview(*kind).unwrap().html;
        well_formed(&html);
        let sheet = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let outside: Vec<&str> =
            sheet.split("@media").next().unwrap().lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(outside, [":root { color-scheme: light dark; supported-color-schemes: light dark; }"]);
        assert!(!sheet.contains("@import") && !html.contains("url("));
        for tag in html.split("<body").nth(1).unwrap().split('<') {
            assert!(!tag.contains("class=\"") || tag.contains("style=\""), "{kind}: {tag}");
            assert!(!tag.contains("style=\"\""), "{kind}: {tag}");
        }
    }
}

#[test]
fn an_empty_week_reads_well() {
    let mut stored = serde_json::to_value(sample(Kind::WeeklyDigest)).unwrap();
    for empty in ["days", "models", "keys", "providers", "budgets", "anomalies"] {
        stored[empty] = serde_json::json!([]);
    }
    for zero in ["requests", "unpriced", "failed"] {
        stored[zero] = serde_json::json!(0);
    }
    stored["spend"] = serde_json::json!("0");
    for none in ["bill", "before"] {
        stored[none] = Value::Null;
    }
    let message: Message = serde_json::from_value(stored).unwrap();
    let letter = message.letter().unwrap();
    well_formed(&letter.html);
    insta::assert_snapshot!("empty_week.text", format!("{}\n\n{}", letter.subject, letter.text));
    fits_slack(&message.slack().unwrap().to_json());
}

#[test]
fn a_digest_counts_what_stood_out_and_not_what_it_kept_of_it() {
    let mut stored = serde_json::to_value(sample(Kind::WeeklyDigest)).unwrap();
    let anomaly = stored["anomalies"][0].clone();
    stored["anomalies"] = vec![anomaly; 20].into();
    stored["all_anomalies"] = 63.into();
    let text =
        |stored: &Value| serde_json::from_value::<Message>(stored.clone()).unwrap().letter().unwrap().text;
    assert!(text(&stored).contains("And 58 anomalies more"), "{}", text(&stored));
    // Figures from before all were counted tell of those that they have.
    let figures = stored.as_object_mut().unwrap();
    figures.remove("all_anomalies");
    figures.remove("all_budgets");
    assert!(text(&stored).contains("And 15 anomalies more"), "{}", text(&stored));
}

#[test]
fn what_is_unpriced_is_never_written_as_nothing() {
    let mut stored = serde_json::to_value(sample(Kind::WeeklyDigest)).unwrap();
    stored["spend"] = Value::Null;
    for row in stored["models"].as_array_mut().unwrap() {
        row["cost"] = Value::Null;
    }
    let message: Message = serde_json::from_value(stored).unwrap();
    let letter = message.letter().unwrap();
    assert!(letter.subject.contains("unpriced on AI"), "{}", letter.subject);
    assert!(!letter.text.contains("$0.00"), "{}", letter.text);
}

#[test]
fn a_budget_that_is_expected_to_be_crossed_says_when_and_is_not_said_to_be_reached() {
    let Message::BudgetAlert(mut alert) = sample(Kind::BudgetAlert) else { panic!("another kind") };
    let on = "2026-11-27".parse().unwrap();
    alert.expected = Some(ExpectedCrossing { on, spent: "2512.5".parse().unwrap() });
    let stored = serde_json::to_value(Message::from(*alert.clone())).unwrap();
    let message: Message = serde_json::from_value(stored).unwrap();
    let letter = message.letter().unwrap();
    assert_eq!(letter.subject, "Budget “Customer support”: expected to cross $2,500.00 on 27 November 2026");
    assert!(letter.text.contains("is expected to cross its limit on 27 November 2026"), "{}", letter.text);
    assert!(letter.text.contains("Expected: $2,512.50 by 27 November 2026"), "{}", letter.text);
    assert!(!letter.text.contains("Threshold") && !letter.text.contains("has reached"), "{}", letter.text);
}
