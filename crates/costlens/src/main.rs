//! `costlens`: reads the environment, wires the crates together, runs.
//!
//! One binary, many roles. `run` is everything on one machine with a private PostgreSQL; `analyze` reads a bill
//! without any server. This crate alone reads the environment and chooses adapters.

mod analyze;
mod api_adapters;
mod aws;
mod boot;
mod certificate;
mod clerk;
mod cli;
mod clock;
mod import;
mod jobs;
mod keys;
mod log;
mod outward;
mod preview;
mod prices;
mod production;
mod record;
mod run;
mod seal_counts;
mod settings;
mod sign_in;
mod statement;
mod status_targets;
mod tenants;
mod verify_audit;
mod welcome;
mod work;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

/// For the bill engine, whose threads allocate and free large buffers all the time; the proxy neither gains nor
/// loses by it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime.block_on(dispatch(cli))
}

async fn dispatch(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Analyze(args) => return analyze::run(args).await,
        Command::Prices(args) => {
            let now = costlens_domain::ports::Clock::now(&clock::SystemClock);
            prices::run(&args, now, &mut std::io::stdout().lock()).map_err(Into::into)
        }
        Command::Openapi(args) => return openapi(&args),
        Command::Run(args) => run::run(args).await,
        Command::Work(args) => work::run(args).await,
        Command::Migrate(args) => boot::migrate(args).await,
        Command::Tenants(args) => tenants::run(args).await,
        Command::SignIn(args) => sign_in::run(args).await,
        Command::Import(args) => import::run(args).await,
        Command::Statement(args) => statement::run(args).await,
        Command::Preview(args) => preview::run(&args),
        Command::VerifyCertificate(args) => certificate::run(&args).await,
        Command::VerifyAudit(args) => verify_audit::run(&args),
        Command::Jobs(args) => jobs::run(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

/// Writes the contract.
fn openapi(args: &cli::OpenapiArgs) -> ExitCode {
    let text = match costlens_openapi::document(args.version) {
        Ok(text) => text,
        Err(error) => return fail(&error),
    };
    let Some(path) = &args.out else {
        cli::print(&text);
        return ExitCode::SUCCESS;
    };
    std::fs::write(path, text).map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

/// Says what went wrong and why, each cause on a line of its own.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    cli::complain(&format!("costlens: {error}"));
    let mut cause = error.source();
    while let Some(error) = cause {
        cli::complain(&format!("  because: {error}"));
        cause = error.source();
    }
    ExitCode::FAILURE
}
