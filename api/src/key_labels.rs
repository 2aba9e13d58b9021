//! Labels of API keys: whose a key is, in the account's own words. What calls cost is charged by them.

use std::collections::BTreeSet;
use std::sync::Arc;

use costlens_domain::ApiKeyId;
use costlens_domain::audit::Action;
use costlens_store::KeyLabel;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::principal::{Caller, Permission};
use crate::wire::Wire;
use crate::{ApiParts, Tag};

/// The most labels of one key.
const MOST: u32 = 20;
/// The longest name.
const LONGEST_NAME: usize = 63;

/// A label.
#[derive(Object)]
#[oai(rename = "Label")]
pub struct LabelView {
    /// `team` or `user`, which chargeback knows by name, or a tag's: a small letter, then small letters, digits, `_`, `.`
    /// and `-`.
    #[oai(validator(min_length = 1, max_length = 63))]
    pub name: String,
    /// What it says.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub value: String,
}

/// The labels of a key.
#[derive(Object)]
pub struct KeyLabels {
    /// The labels, each name once.
    #[oai(validator(max_items = 20))]
    pub labels: Vec<LabelView>,
}

/// A label and the key that has it.
#[derive(Object)]
#[oai(rename = "KeyLabel")]
pub struct KeyLabelView {
    /// The key.
    pub api_key_id: Wire<ApiKeyId>,
    /// The label's name.
    pub name: String,
    /// What it says.
    pub value: String,
}

/// The labels of all keys.
#[derive(Object)]
pub struct AllKeyLabels {
    /// The labels, by key and name.
    pub items: Vec<KeyLabelView>,
    /// Every name that some label has.
    pub names: Vec<String>,
}

impl From<Vec<KeyLabel>> for KeyLabels {
    fn from(labels: Vec<KeyLabel>) -> Self {
        let view = |label: KeyLabel| LabelView { name: label.name, value: label.value };
        Self { labels: labels.into_iter().map(view).collect() }
    }
}

pub(crate) struct KeyLabelsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Keys")]
impl KeyLabelsApi {
    /// List the labels of all keys
    #[oai(path = "/key-labels", method = "get", operation_id = "list_key_labels")]
    async fn list(
        &self,
        caller: Caller,
        /// How many at most.
        #[oai(default = "many", validator(minimum(value = "1"), maximum(value = "10000")))]
        limit: Query<u32>,
    ) -> Result<Json<AllKeyLabels>, ApiError> {
        let tenant = caller.require(Permission::KeysRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let labels = conn.key_labels(None, limit.0).await?;
        let names = conn.label_names(limit.0).await?;
        let view = |label: KeyLabel| KeyLabelView {
            api_key_id: Wire(label.api_key_id),
            name: label.name,
            value: label.value,
        };
        Ok(Json(AllKeyLabels { items: labels.into_iter().map(view).collect(), names }))
    }

    /// Get the labels of a key
    #[oai(path = "/keys/:id/labels", method = "get", operation_id = "get_key_labels")]
    async fn get(&self, caller: Caller, id: Path<Wire<ApiKeyId>>) -> Result<Json<KeyLabels>, ApiError> {
        let tenant = caller.require(Permission::KeysRead)?;
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = conn.key(id.0.0).await?;
        Ok(Json(conn.key_labels(Some(key.id), MOST).await?.into()))
    }

    /// Set the labels of a key
    ///
    /// They take the place of all that it has. Reports say whose every call of the key was by the labels of now, earlier
    /// months included.
    #[oai(path = "/keys/:id/labels", method = "put", operation_id = "set_key_labels")]
    async fn set(
        &self,
        caller: Caller,
        id: Path<Wire<ApiKeyId>>,
        body: Json<KeyLabels>,
    ) -> Result<Json<KeyLabels>, ApiError> {
        let tenant = caller.require(Permission::KeysWrite)?;
        let wanted = body.0.labels.iter().map(checked).collect::<Result<Vec<_>, _>>()?;
        let names: BTreeSet<&str> = wanted.iter().map(|(name, _)| *name).collect();
        if names.len() < wanted.len() {
            return Err(ApiError::field("labels", "must name each label once"));
        }
        let mut conn = self.0.store.tenant(tenant).await?;
        let key = conn.lock_key(id.0.0).await?;
        let before = conn.key_labels(Some(key.id), MOST).await?;
        let as_they_are: BTreeSet<(&str, &str)> =
            before.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
        let as_they_shall_be: BTreeSet<(&str, &str)> = wanted.iter().copied().collect();
        if as_they_are == as_they_shall_be {
            return Ok(Json(before.into()));
        }
        conn.replace_key_labels(key.id, &wanted).await?;
        let told: serde_json::Map<String, Value> =
            wanted.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        let target = (Action::KeyLabelled, Some(key.id.to_string()));
        let change = json!({ "name": key.name, "labels": told });
        caller.principal().by().did(&self.0, &mut conn, target, change).await?;
        let labels = conn.key_labels(Some(key.id), MOST).await?;
        conn.commit().await?;
        Ok(Json(labels.into()))
    }
}

/// A label as it is kept.
fn checked(label: &LabelView) -> Result<(&str, &str), ApiError> {
    check_name("labels", &label.name)?;
    let value = label.value.trim();
    if value.is_empty() || value.chars().any(char::is_control) || value.chars().count() > 200 {
        let why = "must have a value for each label: 1 to 200 characters, no control characters";
        return Err(ApiError::field("labels", why));
    }
    Ok((&label.name, value))
}

/// Whether a label may be called so.
pub(crate) fn check_name(field: &'static str, name: &str) -> Result<(), ApiError> {
    let is_one_of = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if name.len() > LONGEST_NAME || !begins_well || !name.chars().all(is_one_of) {
        let why =
            "must name labels with a small letter, then small letters, digits, `_`, `.` and `-`: 63 at most";
        return Err(ApiError::field(field, why));
    }
    Ok(())
}

fn many() -> u32 {
    1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_name_that_reads_well_in_an_address_and_a_value_that_says_something() {
        let label = |name: &str, value: &str| LabelView { name: name.to_owned(), value: value.to_owned() };
        for (name, value) in [("team", " Search "), ("cost-centre", "4711"), ("a.b_c-9", "=SUM(A1)")] {
            assert_eq!(checked(&label(name, value)).ok(), Some((name, value.trim())));
        }
        for (name, value) in
            [("", "x"), ("Team", "x"), ("9team", "x"), ("te am", "x"), ("team", "  "), ("team", "a\nb")]
        {
            assert!(checked(&label(name, value)).is_err(), "{name:?} {value:?}");
        }
        assert!(checked(&label(&"a".repeat(64), "x")).is_err());
    }
}
