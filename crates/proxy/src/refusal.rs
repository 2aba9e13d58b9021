//! A call that is not made, told as a problem that the vendors' SDKs can read.
//!
//! The body is RFC 9457 with one more member, `error`, in the dialect's own shape: OpenAI's SDKs read
//! `error.message`, `error.type` and `error.code`; Anthropic's read `error.type` and `error.message`.

use costlens_domain::providers::Dialect;
use costlens_domain::{Problem, ProblemCode};
use serde_json::{Value, json};

/// Why a call is not made.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) problem: Box<Problem>,
    /// Seconds after which trying again makes sense.
    pub(crate) retry_after: Option<u32>,
    /// Which member of the body is wrong.
    pub(crate) param: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { problem: Box::new(Problem::new(code, detail)), retry_after: None, param: None }
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn param(mut self, name: &str) -> Self {
        self.param = Some(name.to_owned());
        self
    }

    /// The body: the problem with the vendor's `error` member.
    pub(crate) fn body(&self, dialect: Dialect) -> String {
        let mut body = serde_json::to_value(&*self.problem).unwrap_or(Value::Null);
        let error = match dialect {
            Dialect::OpenAiChat => json!({
                "message": self.problem.detail,
                "type": openai_type(self.problem.status),
                "code": self.problem.code,
                "param": self.param,
            }),
            Dialect::AnthropicMessages => json!({
                "type": anthropic_type(self.problem.status),
                "message": self.problem.detail,
            }),
        };
        if let Some(body) = body.as_object_mut() {
            body.insert("error".to_owned(), error);
        }
        body.to_string()
    }
}

const fn openai_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

const fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
