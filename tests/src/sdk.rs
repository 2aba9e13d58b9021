//! The vendors' official SDKs, each in its own language: a script takes a list of calls and tells what the SDK
//! made of the answers. A missing interpreter or SDK fails the test: it never passes for want of one.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::place;

/// A language with official SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Language {
    Python,
    TypeScript,
}

/// Makes all these calls one after the other with the official SDKs; one result each.
///
/// A call is `{sdk: openai|anthropic, key, model, stream, include_usage, id}`. A result is
/// `{text, usage, events, empty_choices}` or `{error: {class, bases, status, code, type, message}}`.
pub async fn call(language: Language, base_url: &str, calls: &[Value]) -> Vec<Value> {
    let script = match language {
        Language::Python => "calls.py",
        Language::TypeScript => "calls.mjs",
    };
    let results = run_script(language, script, &json!({"base_url": base_url, "calls": calls})).await;
    let results = results.as_array().unwrap().clone();
    assert_eq!(results.len(), calls.len());
    results
}

/// Runs a script of `tests/sdk` that reads a task from standard input and writes a result: both JSON.
pub(crate) async fn run_script(language: Language, script: &str, task: &Value) -> Value {
    let dir = place::repository().join("tests/sdk");
    let program = match language {
        Language::Python => dir.join(".venv/bin/python"),
        Language::TypeScript => "node".into(),
    };
    let mut child = Command::new(&program)
        .arg(dir.join(script))
        .current_dir(&dir)
        // Nobody's proxy, key or base URL from outside may take part.
        .env_remove("OPENAI_BASE_URL")
        .env_remove("ANTHROPIC_BASE_URL")
        .env("NO_PROXY", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{} cannot be run ({error}): run tests/sdk/install", program.display())
        });
    child.stdin.take().unwrap().write_all(task.to_string().as_bytes()).await.unwrap();
    let output = tokio::time::timeout(crate::PATIENCE, child.wait_with_output());
    let output = output.await.expect("the SDKs hang").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed (tests/sdk/install makes what it needs):\n{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"))
}
