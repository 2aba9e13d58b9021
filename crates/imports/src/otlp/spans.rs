//! A span as a reported call, by the names of the semantic conventions, today's before those of earlier years.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use costlens_domain::imports::{Attribution, Refusal, ReportedCall, Work, failures, fresh_input, vendors};
use costlens_domain::{Tokens, Usage};

/// The attributes that are kept. No name here holds anything that was said.
const WANTED: &[&str] = &[
    "gen_ai.provider.name",
    "gen_ai.system",
    "gen_ai.operation.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.response.id",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "gen_ai.agent.name",
    "aws.bedrock.guardrail.id",
    "aws.region",
    "cloud.region",
    "server.address",
    "error.type",
    "http.response.status_code",
    "user.id",
    "enduser.id",
    "team.id",
    "service.name",
    "service.namespace",
    "deployment.environment.name",
    "deployment.environment",
];

/// The operations that call a model, each once. The others hold such calls within them, and tell their tokens again.
const CALLS: &[&str] = &["chat", "text_completion", "generate_content", "embeddings"];

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Count(i64),
}

/// The wanted attributes of a span or its resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes(BTreeMap<&'static str, Value>);

impl Attributes {
    pub(super) fn wants(name: &str) -> bool {
        WANTED.contains(&name)
    }

    /// Keeps a value, if it is wanted; the last one of a name.
    pub(super) fn put(&mut self, name: &str, value: Value) {
        if let Some(name) = WANTED.iter().find(|wanted| **wanted == name) {
            self.0.insert(name, value);
        }
    }

    fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| match self.0.get(name)? {
            Value::Text(text) if text.trim().is_empty() => None,
            Value::Text(text) => Some(text.trim().to_owned()),
            Value::Count(count) => Some(count.to_string()),
        })
    }

    fn count(&self, names: &[&str]) -> Result<Option<u64>, Refusal> {
        let Some(value) = names.iter().find_map(|name| self.0.get(name)) else { return Ok(None) };
        let count = match value {
            Value::Text(text) => text.trim().parse().ok(),
            Value::Count(count) => u64::try_from(*count).ok(),
        };
        count.map(Some).ok_or(Refusal::Tokens)
    }
}

/// What is read of a span.
#[derive(Debug)]
pub(super) struct Span {
    /// 32 hexadecimal digits.
    pub(super) trace_id: String,
    /// 16 hexadecimal digits.
    pub(super) id: String,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) is_error: bool,
    pub(super) attributes: Attributes,
}

impl Span {
    /// The call of a model that it is; `None` where it is anything else.
    pub(super) fn call(self, resource: &Attributes) -> Result<Option<ReportedCall>, Refusal> {
        let own = &self.attributes;
        let Some(theirs) = own.text(&["gen_ai.provider.name", "gen_ai.system"]) else { return Ok(None) };
        let operation = own.text(&["gen_ai.operation.name"]);
        let is_call = operation.as_deref().is_none_or(|operation| CALLS.contains(&operation));
        let model = own.text(&["gen_ai.request.model", "gen_ai.response.model"]);
        // Spans of the first conventions have no operation; those of them that call a model name it.
        if !is_call || operation.is_none() && model.is_none() {
            return Ok(None);
        }
        let source_id = self.id()?;
        let started_at = moment(self.start).filter(|_| self.start > 0).ok_or(Refusal::NoTime)?;
        let ended_at = if self.end == 0 { Some(started_at) } else { moment(self.end) };
        let either = |names: &[&str]| own.text(names).or_else(|| resource.text(names));
        let address = own.text(&["server.address"]);
        let provider = vendors::provider(&theirs, address.as_deref());
        let model = model.ok_or(Refusal::NoModel)?;
        let name = |model: &str| vendors::model(&theirs, &provider, model).to_owned();
        let error = own.text(&["error.type"]);
        let is_failed = self.is_error || error.is_some();
        let used = usage(own)?;
        let status = own.text(&["http.response.status_code"]);
        // What the provider said of its answer only an answer that had begun has.
        let has_begun = own.text(&["gen_ai.response.id", "gen_ai.response.model"]).is_some();
        let is_refusal = !has_begun && failures::is_refusal(status.as_deref(), error.as_deref());
        let work = if !is_failed {
            Work::Answered(used)
        } else if used != Usage::default() || is_refusal {
            Work::Failed(used)
        } else {
            Work::Broken
        };
        let of_address = address.as_deref().and_then(vendors::aws_region).filter(|region| !region.is_empty());
        let label = |label: &str, names: &[&str]| either(names).map(|value| format!("{label}:{value}"));
        let tags = [
            label("environment", &["deployment.environment.name", "deployment.environment"]),
            label("namespace", &["service.namespace"]),
            label("agent", &["gen_ai.agent.name"]),
            label("guardrail", &["aws.bedrock.guardrail.id"]),
        ];
        Ok(Some(ReportedCall {
            source_id,
            response_id: own.text(&["gen_ai.response.id"]).filter(|id| id.len() <= 128),
            started_at,
            ended_at: ended_at.ok_or(Refusal::NoTime)?,
            model_requested: name(&model),
            model_served: own.text(&["gen_ai.response.model"]).map(|served| name(&served)),
            operation: operation.unwrap_or_else(|| "chat".to_owned()),
            service_tier: own.text(&["openai.response.service_tier", "gen_ai.openai.response.service_tier"]),
            region: of_address.or_else(|| either(&["aws.region"])).or_else(|| either(&["cloud.region"])),
            work,
            error_code: is_failed.then(|| error.unwrap_or_else(|| "error".to_owned())),
            claimed_cost: None,
            attribution: Attribution {
                user: either(&["user.id"]),
                end_user: either(&["enduser.id"]),
                team: either(&["team.id"]),
                service: either(&["service.name"]),
                tags: tags.into_iter().flatten().collect(),
            },
            provider,
        }))
    }

    /// What tells the span apart from every other.
    fn id(&self) -> Result<String, Refusal> {
        let is_id = |id: &str, digits: usize| {
            id.len() == digits
                && id.bytes().all(|digit| digit.is_ascii_hexdigit())
                && id.bytes().any(|digit| digit != b'0')
        };
        if is_id(&self.trace_id, 32) && is_id(&self.id, 16) {
            Ok(format!("{}-{}", self.trace_id, self.id))
        } else {
            Err(Refusal::NoId)
        }
    }
}

/// `input_tokens` holds what came from and went to a cache, as the conventions want it.
fn usage(told: &Attributes) -> Result<Usage, Refusal> {
    let of = |names: &[&str]| told.count(names).map(Option::unwrap_or_default);
    let input = of(&["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"])?;
    let output = of(&["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"])?;
    let cached = of(&["gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"])?;
    let written =
        of(&["gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens"])?;
    let reasoning = of(&["gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"])?;
    Ok(Usage {
        fresh_input: Tokens(fresh_input(input, cached.saturating_add(written))),
        cache_read: Tokens(cached),
        // Nobody says how long it lives; five minutes is every vendor's default.
        cache_write_5m: Tokens(written),
        output: Tokens(output),
        reasoning: Tokens(reasoning.min(output)),
        ..Usage::default()
    })
}

fn moment(nanos: u64) -> Option<DateTime<Utc>> {
    i64::try_from(nanos).ok().map(DateTime::from_timestamp_nanos)
}
