//! The product under test: `costlens run` with a private database and the upstream as its OpenAI, prepared the way
//! a person would: sign in, connect the provider, use the key.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::Outcome;
use crate::load::Target;

/// How long a first start may take: it makes a database cluster.
const START: Duration = Duration::from_mins(1);
/// How long a stop may take: it ships the spool and stops the database.
const STOP: Duration = Duration::from_secs(30);

/// A started product.
pub(crate) struct Product {
    pub(crate) target: Target,
    child: Child,
    _home: TempDir,
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
pub(crate) async fn start(binary: &Path, upstream: SocketAddr) -> Outcome<Product> {
    let home = TempDir::with_prefix("costlens-bench-")?;
    // Started as root, the database runs as somebody else, who has to get through.
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711))?;
    let mut child = Command::new(binary)
        .args(["run", "--print-json", "--listen", "127.0.0.1:0", "--log", "warn"])
        .arg("--data-dir")
        .arg(home.path().join("data"))
        .arg("--key-file")
        .arg(home.path().join("master.key"))
        .args(["--allow-private-hosts", &upstream.to_string()])
        .env_remove("DATABASE_URL")
        .env_remove("COSTLENS_MASTER_KEY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", binary.display()))?;
    let pid = child.id().ok_or("costlens ended at once")?;
    let out = child.stdout.take().ok_or("costlens has no output")?;
    let line = tokio::time::timeout(START, BufReader::new(out).lines().next_line()).await??;
    let welcome: Value = serde_json::from_str(&line.ok_or("costlens ended before it was ready")?)?;
    let told = |name: &str| {
        welcome.get(name).and_then(Value::as_str).ok_or_else(|| format!("costlens did not print its {name}"))
    };
    let address: SocketAddr = told("listening")?.parse()?;
    connect_provider(address, told("sign_in")?, upstream).await?;
    let target = Target {
        name: "costlens",
        address,
        key: told("api_key")?.to_owned(),
        model: "gpt-4o-mini".to_owned(),
        pid,
    };
    Ok(Product { target, child, _home: home })
}

impl Product {
    /// Asks it to stop and waits, so that its database is not left behind.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        Command::new("kill").args(["-TERM", &self.target.pid.to_string()]).status().await?;
        tokio::time::timeout(STOP, self.child.wait()).await.map_err(|_| "costlens did not stop")??;
        Ok(())
    }
}

async fn connect_provider(address: SocketAddr, sign_in: &str, upstream: SocketAddr) -> Outcome<()> {
    let (_, token) = sign_in.split_once("#t=").ok_or("the sign-in link has no token")?;
    let session = post(address, "/api/v1/sessions", "", &json!({ "token": token })).await?;
    let cookie = session.headers().get(SET_COOKIE).ok_or("no session cookie")?.to_str()?;
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let connection = json!({
        "provider": "openai",
        "name": "openai",
        "base_url": format!("http://{upstream}/v1"),
        "secret": "sk-bench-not-a-real-secret",
    });
    post(address, "/api/v1/connections", &cookie, &connection).await?;
    Ok(())
}

async fn post(address: SocketAddr, path: &str, cookie: &str, body: &Value) -> Outcome<Response<Bytes>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post(path)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json")
        .header(COOKIE, cookie)
        .body(Full::new(Bytes::from(body.to_string())))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    if !head.status.is_success() {
        return Err(format!("{path} answered {}: {}", head.status, String::from_utf8_lossy(&body)).into());
    }
    Ok(Response::from_parts(head, body))
}
