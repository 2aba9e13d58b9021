//! What holds of every operation and schema of the contract.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{SpecVersion, document};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

fn contract() -> Value {
    serde_json::from_str(&document(SpecVersion::V3_1).unwrap()).unwrap()
}

fn operations(contract: &Value) -> Vec<(String, Value)> {
    let paths = contract["paths"].as_object().unwrap();
    let each = |(path, methods): (&String, &Value)| {
        let path = path.clone();
        methods
            .as_object()
            .unwrap()
            .iter()
            .map(|(method, operation)| (format!("{method} {path}"), operation.clone()))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(each).collect()
}

#[test]
fn the_committed_contract_is_the_one_of_the_code() {
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == document(SpecVersion::V3_1).unwrap(),
        "openapi/openapi.json is stale: run `cargo run -p costlens -- openapi --out openapi/openapi.json`"
    );
}

#[test]
fn every_operation_has_an_id_a_tag_a_summary_and_the_problems_it_may_answer_with() {
    let contract = contract();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&contract) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no operation id"));
        assert!(ids.insert(id.to_owned()), "{id} stands twice");
        assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{name} needs one tag");
        assert!(operation["summary"].is_string(), "{name} needs a summary");
        for status in ["400", "401", "503"] {
            let content = &operation["responses"][status]["content"]["application/problem+json"];
            assert!(content.is_object(), "{name} does not tell its {status}");
        }
    }
    assert!(ids.len() >= 15, "the contract has lost operations: {ids:?}");
}

/// The schemas of what clients send: a field that is left out there means what the operation says.
fn request_bodies(contract: &Value) -> BTreeSet<&str> {
    let operations = contract["paths"].as_object().into_iter().flatten();
    let operations = operations.filter_map(|(_, path)| path.as_object()).flatten();
    let contents = operations.filter_map(|(_, operation)| operation["requestBody"]["content"].as_object());
    let names = contents.flatten().filter_map(|(_, content)| content["schema"]["$ref"].as_str());
    names.filter_map(|name| name.rsplit('/').next()).collect()
}

#[test]
fn no_schema_carries_money_as_a_number_or_a_null_it_does_not_admit() {
    let contract = contract();
    let schemas = contract["components"]["schemas"].as_object().unwrap();
    let inputs = request_bodies(&contract);
    for (name, schema) in schemas {
        let required: BTreeSet<_> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let text = property.to_string();
            if field == "cost" || field.ends_with("_cost") || field.starts_with("unit_cost") {
                assert!(text.contains("decimal"), "{name}.{field} carries money and is no decimal string");
            }
            let is_input = inputs.contains(name.as_str());
            if !required.contains(field.as_str()) && !is_input {
                // A schema that says nothing of its type admits everything.
                let any =
                    ["type", "$ref", "allOf", "anyOf", "oneOf"].iter().all(|key| property.get(key).is_none());
                let admits = any || text.contains("\"null\"") || property["default"] != Value::Null;
                let left_out = ["instance", "errors"].contains(&field.as_str());
                assert!(admits || left_out, "{name}.{field} may be null and does not say so");
            }
        }
    }
}

#[test]
fn both_versions_say_what_they_are_and_no_media_type_has_a_charset() {
    for (version, text) in [(SpecVersion::V3_0, "3.0.3"), (SpecVersion::V3_1, "3.1.1")] {
        let document = document(version).unwrap();
        assert!(document.contains(&format!("\"openapi\": \"{text}\"")));
        assert!(!document.contains("charset"), "a media type has a charset");
        assert!(!document.contains("naive-date"));
    }
    assert!(!document(SpecVersion::V3_1).unwrap().contains("\"nullable\""));
}
