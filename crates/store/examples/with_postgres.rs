//! Runs a command beside one throw-away PostgreSQL that all of its test processes share:
//! `cargo run -p costlens-store --features testing --example with_postgres -- cargo test --workspace`.

use std::process::{Command, ExitCode};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("name a command to run")?;
    let pg = costlens_store::testing::throw_away().await?;
    let mut command = Command::new(program);
    command.args(arguments).env("COSTLENS_TEST_POSTGRES", pg.url_of("postgres"));
    let status = tokio::task::spawn_blocking(move || command.status()).await??;
    pg.stop().await;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
