//! From the format's matchers to names.
//!
//! The format matches loosely ("contains `nova-lite`"), which would price a model that does not exist yet. We keep
//! the names that its matchers spell out and let only a date or a version follow them.

use super::schema::{Matcher, SourceModel};
use super::{CurationRule, GenaiError};

/// Bedrock's geographic inference profiles. Government regions have prices of their own and are not among them.
const GEOGRAPHIES: [&str; 7] = ["us", "eu", "apac", "jp", "au", "ca", "in"];
const GOVERNMENT: &str = "us-gov.";

#[derive(Debug, Default)]
pub(super) struct Selectors {
    pub(super) names: Vec<String>,
    pub(super) versions: Vec<String>,
    pub(super) prefixes: Vec<String>,
}

pub(super) fn selectors_of(
    provider: &str,
    model: &SourceModel,
    rules: &[&CurationRule],
) -> Result<Selectors, GenaiError> {
    let mut found = Selectors::default();
    found.versions.extend(rules.iter().flat_map(|rule| rule.add_names.iter().cloned()));
    let dropped = |name: &String| rules.iter().any(|rule| rule.drop_names.contains(name));
    read(provider, model, &model.matcher, &mut found)?;
    let plain = model.id.strip_prefix("regional.");
    found.names.extend(plain.map(str::to_owned));
    for names in [&mut found.versions, &mut found.prefixes, &mut found.names] {
        names.retain(|name| !name.starts_with(GOVERNMENT) && !dropped(name));
        names.sort();
        names.dedup();
    }
    let versions = &found.versions;
    found.names.retain(|name| *name != model.id && !versions.contains(name));
    Ok(found)
}

fn read(
    provider: &str,
    model: &SourceModel,
    matcher: &Matcher,
    found: &mut Selectors,
) -> Result<(), GenaiError> {
    match matcher {
        Matcher::Equals(name) => found.names.push(name.clone()),
        Matcher::StartsWith(start) if start.contains("ft:") || start.ends_with(".ft-") => {
            found.prefixes.push(start.clone());
        }
        Matcher::StartsWith(start) => found.versions.push(stem(start)),
        Matcher::EndsWith(end) => found.names.push(end.clone()),
        Matcher::Contains(part) if provider == "bedrock" => found.versions.extend(bedrock(&model.id, part)),
        Matcher::Contains(part) => found.versions.push(stem(part)),
        Matcher::Regex(pattern) => found.versions.extend(dated(model, pattern)?),
        Matcher::Or(all) | Matcher::And(all) => {
            for one in all {
                read(provider, model, one, found)?;
            }
        }
    }
    Ok(())
}

/// A start that breaks off in the middle of a date (`claude-sonnet-4-2025`) is the name before it.
fn stem(start: &str) -> String {
    let start = start.trim_end_matches(['-', '@']);
    match start.rsplit_once('-') {
        Some((name, "0" | "2024" | "2025" | "2026")) if !name.ends_with("-v") => name.to_owned(),
        _ => start.to_owned(),
    }
}

/// The names under which Bedrock shows what a matcher contains.
fn bedrock(id: &str, part: &str) -> Vec<String> {
    let scoped = |name: &str| {
        name.split_once('.')
            .is_some_and(|(scope, _)| GEOGRAPHIES.contains(&scope) || matches!(scope, "global" | "us-gov"))
    };
    if scoped(part) {
        return vec![part.to_owned()];
    }
    let plain = id.strip_prefix("regional.").unwrap_or(id);
    let name = match plain.split_once('.') {
        Some((vendor, rest)) if rest.starts_with(part) => format!("{vendor}.{part}"),
        _ => part.to_owned(),
    };
    // A regional price is the same in every geography; a plain one is the list price of the United States alone.
    let geographies: &[&str] = if plain == id { &["us"] } else { &GEOGRAPHIES };
    let profiles = geographies.iter().map(|geography| format!("{geography}.{name}"));
    std::iter::once(name.clone()).chain(profiles).collect()
}

/// How a pattern says that a date follows.
const DATES: [&str; 5] = [r"[-@]\d{8}$", r"-\d{4}-\d{2}-\d{2}$", r"-\d{8}$", r"@\d{8}$", r"-\d"];

/// The patterns in use say "this name with a date behind it", or exclude speech models, which our names do anyway.
fn dated(model: &SourceModel, pattern: &str) -> Result<Option<String>, GenaiError> {
    if pattern.starts_with("^(?!") {
        return Ok(None);
    }
    let body = pattern.strip_prefix('^');
    let name = body.and_then(|body| DATES.iter().find_map(|date| body.strip_suffix(date)));
    match name.map(|name| name.replace("\\.", ".")) {
        Some(name) if !name.contains(['\\', '(', '[', '*', '+', '?', '|']) => Ok(Some(name)),
        _ => Err(GenaiError::Unsupported {
            model: model.id.clone(),
            what: format!("the pattern {pattern} is not a dated name"),
        }),
    }
}
