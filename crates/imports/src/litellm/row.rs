//! One row of the table, as a reported call.

use costlens_domain::imports::{Attribution, Refusal, ReportedCall, Work, failures, vendors};
use costlens_domain::{Usage, Usd};
use serde::Deserialize;
use serde_json::Value;

use super::times::time;
use super::usage::{count, usage};
use crate::bounded::{self, Cell};

/// What is read of a row. Every cell may be of any type: the same table comes out of three programs as three.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    request_id: Cell,
    call_type: Cell,
    api_key: Cell,
    spend: Cell,
    prompt_tokens: Cell,
    completion_tokens: Cell,
    #[serde(rename = "startTime")]
    start_time: Cell,
    #[serde(rename = "endTime")]
    end_time: Cell,
    #[serde(rename = "completionStartTime")]
    completion_start_time: Cell,
    model: Cell,
    model_group: Cell,
    custom_llm_provider: Cell,
    api_base: Cell,
    user: Cell,
    end_user: Cell,
    team_id: Cell,
    request_tags: Cell,
    metadata: Cell,
    cache_hit: Cell,
    status: Cell,
}

impl Row {
    /// A row of CSV: the cells and their columns' names.
    pub(super) fn of_cells<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut row = Self::default();
        for (name, text) in cells {
            let cell = match name {
                "request_id" => &mut row.request_id,
                "call_type" => &mut row.call_type,
                "api_key" => &mut row.api_key,
                "spend" => &mut row.spend,
                "prompt_tokens" => &mut row.prompt_tokens,
                "completion_tokens" => &mut row.completion_tokens,
                "startTime" => &mut row.start_time,
                "endTime" => &mut row.end_time,
                "completionStartTime" => &mut row.completion_start_time,
                "model" => &mut row.model,
                "model_group" => &mut row.model_group,
                "custom_llm_provider" => &mut row.custom_llm_provider,
                "api_base" => &mut row.api_base,
                "user" => &mut row.user,
                "end_user" => &mut row.end_user,
                "team_id" => &mut row.team_id,
                "request_tags" => &mut row.request_tags,
                "metadata" => &mut row.metadata,
                "cache_hit" => &mut row.cache_hit,
                "status" => &mut row.status,
                _ => continue,
            };
            *cell = Cell(Value::from(text));
        }
        row
    }

    pub(super) fn call(self) -> Result<ReportedCall, Refusal> {
        let source_id = text(&self.request_id).ok_or(Refusal::NoId)?;
        let started_at = time(&self.start_time).ok_or(Refusal::NoTime)?;
        let ended_at = match text(&self.end_time) {
            None => started_at,
            Some(_) => time(&self.end_time).ok_or(Refusal::NoTime)?,
        };
        let metadata = opened(self.metadata.0);
        let is_failed = [text(&self.status), text(at(&metadata, &["status"]))]
            .iter()
            .flatten()
            .any(|status| status == "failure");
        let used = match at(&metadata, &["usage_object"]) {
            told @ Value::Object(members) if !members.is_empty() => usage(told)?,
            _ => plain(&self.prompt_tokens, &self.completion_tokens)?,
        };
        let full_name = text(&self.model).or_else(|| text(&self.model_group)).unwrap_or_default();
        let address = text(&self.api_base);
        let theirs = text(&self.custom_llm_provider).or_else(|| {
            // Older rows name the provider in the model alone.
            Some(full_name.split_once('/').filter(|(_, model)| !model.is_empty())?.0.to_owned())
        });
        let theirs = theirs.unwrap_or_default();
        let mut provider = vendors::provider(&theirs, address.as_deref());
        let mut model = vendors::model(&theirs, &provider, &full_name).to_owned();
        let told = |name| text(at(&metadata, &["error_information", name]));
        let (error_class, error_code) = (told("error_class"), told("error_code"));
        let work = if is_true(&self.cache_hit) {
            Work::Cached
        } else if !is_failed {
            Work::Answered(used)
        } else if used == Usage::default() && !(provider.is_empty() && model.is_empty()) {
            // An answer of which a part came was no refusal, whatever it broke off with.
            let has_begun =
                time(&self.completion_start_time).is_some_and(|first| started_at < first && first < ended_at);
            let is_refusal = failures::is_refusal(error_code.as_deref(), error_class.as_deref());
            if is_refusal && !has_begun { Work::Failed(used) } else { Work::Broken }
        } else {
            Work::Failed(used)
        };
        if matches!(work, Work::Failed(_) | Work::Broken) && used == Usage::default() {
            // What failed before it went anywhere counts as a call, and went nowhere.
            let unknown = |name: &mut String| {
                if name.is_empty() {
                    "unknown".clone_into(name);
                }
            };
            unknown(&mut provider);
            unknown(&mut model);
        }
        let error = error_class.or(error_code).unwrap_or_else(|| "failure".to_owned());
        Ok(ReportedCall {
            // LiteLLM takes the provider's id of the answer for its own, and adds to it what it answers from its cache.
            response_id: matches!(work, Work::Answered(_)).then(|| source_id.clone()),
            source_id,
            started_at,
            ended_at,
            region: address.as_deref().and_then(vendors::aws_region),
            provider,
            operation: text(&self.call_type).unwrap_or_else(|| "litellm".to_owned()),
            model_requested: model,
            model_served: None,
            service_tier: text(at(&metadata, &["usage_object", "service_tier"])),
            work,
            error_code: is_failed.then_some(error),
            claimed_cost: text(&self.spend).and_then(|spend| spend.parse::<Usd>().ok()),
            attribution: Attribution {
                user: text(&self.user),
                end_user: text(&self.end_user),
                team: text(at(&metadata, &["user_api_key_team_alias"])).or_else(|| text(&self.team_id)),
                service: None,
                tags: tags(&self.api_key, &self.model_group, &metadata, self.request_tags.0),
            },
        })
    }
}

/// LiteLLM's key is a label: it is none of ours, and its hash opens nothing.
fn tags(api_key: &Value, group: &Value, metadata: &Value, told: Value) -> Vec<String> {
    let label = |name: &str, value: Option<String>| value.map(|value| format!("{name}:{value}"));
    let mut tags: Vec<String> = [
        label("litellm_key", text(api_key)),
        label("litellm_key_alias", text(at(metadata, &["user_api_key_alias"]))),
        label("model_group", text(group)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Value::Array(told) = opened(told) {
        tags.extend(told.iter().filter_map(text));
    }
    tags
}

/// A cell of JSON, which CSV and some answers hold as text.
fn opened(cell: Value) -> Value {
    match cell {
        Value::String(text) => bounded::opened(&text),
        other => other,
    }
}

/// What stands there; null where nothing does.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().try_fold(value, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

/// A cell's text, if there is any. (Python's `None` comes out of some exports as a word.)
pub(super) fn text(cell: &Value) -> Option<String> {
    let text = match cell {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => return None,
    };
    (!text.is_empty() && !matches!(text.as_str(), "None" | "null")).then_some(text)
}

fn is_true(cell: &Value) -> bool {
    text(cell).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "t")
}

/// Two counts without their parts: what older rows have.
fn plain(prompt: &Value, completion: &Value) -> Result<Usage, Refusal> {
    let (input, output) = (count(prompt)?.unwrap_or_default(), count(completion)?.unwrap_or_default());
    Ok(Usage {
        fresh_input: costlens_domain::Tokens(input),
        output: costlens_domain::Tokens(output),
        ..Usage::default()
    })
}
