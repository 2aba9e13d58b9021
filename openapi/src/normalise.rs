//! Mends what the framework writes, rule by rule.

use serde_json::{Map, Value, json};

use crate::SpecVersion;

/// Rewrites the document in place.
pub(crate) fn normalise(document: &mut Value, version: SpecVersion) {
    walk(document, &mut |node| {
        strip_charsets(node);
        canonical_headers(node);
        drop_noise(node);
        lift_defaults(node, version);
        if version == SpecVersion::V3_1 {
            nullable_as_type(node);
        }
    });
    if let Some(root) = document.as_object_mut() {
        let version = if version == SpecVersion::V3_1 { "3.1.1" } else { "3.0.3" };
        root.insert("openapi".to_owned(), version.into());
        root.remove("webhooks");
        root.insert("servers".to_owned(), json!([{"url": "/"}]));
    }
}

/// Visits every object, children first.
fn walk(node: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        Value::Object(map) => {
            map.values_mut().for_each(|value| walk(value, visit));
            visit(map);
        }
        _ => {}
    }
}

/// `application/json; charset=utf-8` names the same media type as `application/json`.
fn strip_charsets(node: &mut Map<String, Value>) {
    let Some(Value::Object(content)) = node.get_mut("content") else { return };
    *content = std::mem::take(content)
        .into_iter()
        .map(|(name, value)| (name.split(';').next().unwrap_or_default().trim().to_owned(), value))
        .collect();
}

/// `SET-COOKIE` as `Set-Cookie`.
fn canonical_headers(node: &mut Map<String, Value>) {
    let Some(Value::Object(headers)) = node.get_mut("headers") else { return };
    *headers = std::mem::take(headers).into_iter().map(|(name, value)| (canonical(&name), value)).collect();
}

fn canonical(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars.map(|c| c.to_ascii_lowercase())).collect::<String>()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// What says nothing: `deprecated: false`, `explode: true`.
fn drop_noise(node: &mut Map<String, Value>) {
    if node.get("deprecated") == Some(&Value::Bool(false)) {
        node.remove("deprecated");
    }
    if node.contains_key("in") {
        node.remove("explode");
    }
    if node.get("description") == Some(&Value::from("")) && !node.contains_key("content") {
        node.insert("description".to_owned(), "No content.".into());
    }
}

/// `allOf: [{$ref}, {default}]` is an object to some generators; it is a reference with a default.
fn lift_defaults(node: &mut Map<String, Value>, version: SpecVersion) {
    let Some(Value::Array(parts)) = node.get("allOf") else { return };
    let reference = parts.iter().find_map(|part| part.get("$ref").cloned());
    let plain = parts.iter().all(|part| {
        part.as_object().is_some_and(|part| {
            part.keys().all(|key| ["$ref", "default", "description", "nullable"].contains(&key.as_str()))
        })
    });
    let (Some(reference), true) = (reference, plain) else { return };
    let mut extra = Map::new();
    for part in parts.clone() {
        if let Value::Object(part) = part {
            extra.extend(part.into_iter().filter(|(key, _)| key != "$ref"));
        }
    }
    node.remove("allOf");
    if version == SpecVersion::V3_1 {
        node.insert("$ref".to_owned(), reference);
    } else {
        node.insert("allOf".to_owned(), json!([{"$ref": reference}]));
    }
    node.extend(extra);
}

/// 3.1 has no `nullable`: a null is a type of its own.
fn nullable_as_type(node: &mut Map<String, Value>) {
    if node.remove("nullable") != Some(Value::Bool(true)) {
        return;
    }
    if let Some(Value::String(kind)) = node.get("type") {
        let kind = json!([kind, "null"]);
        node.insert("type".to_owned(), kind);
    } else if let Some(reference) = node.remove("$ref") {
        node.insert("anyOf".to_owned(), json!([{"$ref": reference}, {"type": "null"}]));
    }
}
