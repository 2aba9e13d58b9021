//! The command line: what can be said, and the environment variables that say it too.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::keys::KeyArgs;
use crate::outward::OutwardArgs;
use crate::settings::{RetentionArgs, ServerArgs, WaitArgs};
use crate::{analyze, certificate, import, jobs, preview, prices, statement, verify_audit};

/// Costlens: the ledger of a company's AI spend that agrees with the bill.
#[derive(Parser, Debug)]
#[command(name = "costlens", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run everything on this machine: proxy, console and API over one PostgreSQL.
    Run(Box<ServerArgs>),
    /// Run the workers alone, as one more process beside `run` over a PostgreSQL that both are given.
    Work(Box<WorkArgs>),
    /// Read bills of AWS, Azure and Google Cloud (CUR, cost exports, FOCUS) and say where the AI money went. Needs no server.
    Analyze(analyze::AnalyzeArgs),
    /// Read a bill, or a LiteLLM's spend logs, into a tenant's ledger.
    Import(import::ImportArgs),
    /// Write a month's statement as a page to print and keep.
    Statement(statement::StatementArgs),
    /// Make the schema and the runtime role, with the owner's URL.
    Migrate(MigrateArgs),
    /// Make and list tenants.
    Tenants(TenantsArgs),
    /// Print a single-use sign-in link, valid for 30 minutes.
    SignIn(SignInArgs),
    /// Look at durable work: jobs, dead letters, schedules.
    Jobs(jobs::JobsArgs),
    /// Show how a message looks, over sample figures.
    Preview(preview::PreviewArgs),
    /// Tell whether a certificate of deletion is genuine.
    VerifyCertificate(certificate::CertificateArgs),
    /// Tell whether an exported audit is whole, or which event is the first that is not. Needs no server.
    VerifyAudit(verify_audit::VerifyAuditArgs),
    /// Look into the price catalogue.
    Prices(prices::PricesArgs),
    /// Print the API's contract.
    Openapi(OpenapiArgs),
}

#[derive(Args, Debug)]
pub(crate) struct MigrateArgs {
    /// The owner's URL: it makes tables and roles.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
    /// The password that the runtime role `costlens_runtime` gets; without it the role's login is left as it is.
    #[arg(long, env = "COSTLENS_RUNTIME_PASSWORD", hide_env_values = true)]
    pub(crate) runtime_password: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct WorkArgs {
    /// The runtime role's URL.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
    /// How long anything waits for it.
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    /// The keys that seal: those of the servers beside it.
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// The data directory of this machine.
    #[arg(long, env = "COSTLENS_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where uploads are kept until they are read: the very directory of `run`; `objects` below the data directory by
    /// default.
    #[arg(long, env = "COSTLENS_OBJECT_DIR")]
    pub(crate) object_dir: Option<PathBuf>,
    /// What goes out: as of the servers beside it.
    #[command(flatten)]
    pub(crate) outward: OutwardArgs,
    /// The most bytes of an export's file, compressed.
    #[arg(long, env = "COSTLENS_MAX_EXPORT_BYTES", default_value_t = 1 << 30)]
    pub(crate) max_export_bytes: u64,
    /// The most bytes of a bill that AWS delivers.
    #[arg(long, env = "COSTLENS_MAX_BILL_BYTES", default_value_t = 4 << 30)]
    pub(crate) max_bill_bytes: u64,
    /// For how long things are kept: as of the servers beside it.
    #[command(flatten)]
    pub(crate) retention: RetentionArgs,
    /// What is logged to standard error, in the syntax of `tracing`'s filters.
    #[arg(long, env = "COSTLENS_LOG", default_value = "info")]
    pub(crate) log: String,
}

/// How a command finds the ledger of a running (or stopped) server.
#[derive(Args, Debug, Clone)]
pub(crate) struct LedgerArgs {
    /// The runtime role's URL; without it, the private PostgreSQL below the data directory.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// How long the command waits for it.
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    /// Where the spool and the private PostgreSQL live.
    #[arg(long, env = "COSTLENS_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct TenantsArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    #[command(subcommand)]
    pub(crate) command: TenantsCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum TenantsCommand {
    /// Make a tenant; prints its id.
    Create {
        /// What its people call it.
        name: String,
    },
    /// List all tenants, oldest first.
    List,
}

#[derive(Args, Debug)]
pub(crate) struct SignInArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// The tenant whose console to open; may be left out when there is one only.
    #[arg(long)]
    pub(crate) tenant: Option<costlens_domain::TenantId>,
    /// Sign in as who runs the service: every tenant's workflows are seen, too.
    #[arg(long)]
    pub(crate) operator: bool,
    /// Where browsers reach the console.
    #[arg(long, env = "COSTLENS_PUBLIC_URL", default_value = "http://localhost:8080")]
    pub(crate) public_url: String,
}

#[derive(Args, Debug)]
pub(crate) struct OpenapiArgs {
    /// The version of OpenAPI to write.
    #[arg(long = "spec", value_enum, default_value = "3.1")]
    pub(crate) version: costlens_openapi::SpecVersion,
    /// The file to write; standard output without it.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

/// Prints to standard output. A reader that went away is no error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a line to standard error.
pub(crate) fn complain(line: &str) {
    let _gone = writeln!(std::io::stderr().lock(), "{line}");
}
