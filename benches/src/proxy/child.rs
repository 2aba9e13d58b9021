//! A part of the bench in a process of its own, which ends with us.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::Outcome;

/// A running part and where it listens.
pub(crate) struct Part {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    _child: Child,
}

/// Starts this binary in another role and waits for the address it prints.
pub(crate) async fn start(args: &[&str]) -> Outcome<Part> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().ok_or("a part ended at once")?;
    let out = child.stdout.take().ok_or("a part has no output")?;
    let mut lines = BufReader::new(out).lines();
    let line = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await??;
    let address = line.ok_or("a part ended before it listened")?.parse()?;
    Ok(Part { address, pid, _child: child })
}

/// Listens on a free port of loopback and says which, for [`start`].
pub(crate) async fn listen() -> Outcome<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

/// Ends when the process that started us does, however it ends: our standard input closes.
pub(crate) async fn parent_gone() {
    let (gone, wait) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(gone);
    });
    let _ = wait.await;
}
