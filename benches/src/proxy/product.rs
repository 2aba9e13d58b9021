//! The product under test: a proxy that runs already.

use std::net::SocketAddr;
use std::path::Path;

use tokio::process::Child;

use crate::Outcome;
use crate::load::Target;

/// A started product; it ends with this value.
pub(crate) struct Product {
    pub(crate) target: Target,
    _child: Child,
}

/// `URL,KEY,PID[,MODEL]` of a proxy that runs already.
pub(crate) fn running(text: &str) -> Outcome<Target> {
    let parts: Vec<&str> = text.split(',').collect();
    let [url, key, pid, rest @ ..] = parts.as_slice() else {
        return Err("--proxy wants URL,KEY,PID[,MODEL]".into());
    };
    let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/').parse()?;
    let model = rest.first().copied().unwrap_or("gpt-4o-mini").to_owned();
    Ok(Target { name: "costlens", address, key: (*key).to_owned(), model, pid: pid.parse()? })
}

/// Starts the binary with the upstream as its OpenAI.
#[expect(clippy::unused_async, reason = "awaits the product's start")]
pub(crate) async fn start(binary: &Path, upstream: SocketAddr) -> Outcome<Product> {
    Err(format!("{} cannot be started yet for {upstream}", binary.display()).into())
}
