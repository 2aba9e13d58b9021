//! `costlens prices …`: where the figures come from, what they are, and whether they still agree with another list.
//!
//! Nothing here touches a database or the network. Files come in as arguments; text goes to the given output.

mod check;
mod export;
mod import;
mod show;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use costlens_domain::pricing::{CatalogueError, GenaiError, LitellmError};

/// Shows, checks and imports prices.
#[derive(Debug, Args)]
pub(crate) struct PricesArgs {
    #[command(subcommand)]
    command: PricesCommand,
}

#[derive(Debug, Subcommand)]
enum PricesCommand {
    /// Writes price files from figures that others publish.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Shows what is known about a model: every provider, tier and context size.
    Show(show::ShowArgs),
    /// Writes all prices as one document, for servers that fetch their prices (COSTLENS_PRICES_URL).
    Export(export::ExportArgs),
    /// Reads all prices and says whether they can be used; with a file, compares them with LiteLLM's price map.
    Check(check::CheckArgs),
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Reads genai-prices data (format v2) and writes a file per provider.
    Genai(import::GenaiArgs),
}

/// Why a `prices` command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PricesError {
    /// A file cannot be read or written.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A file of ours is not what it should be.
    #[error("{path}: {cause}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// The data set cannot be imported.
    #[error("{path}: {cause}", path = path.display())]
    Import {
        /// The data set.
        path: PathBuf,
        /// Why not.
        cause: GenaiError,
    },
    /// The price map cannot be compared.
    #[error("{path}: {cause}", path = path.display())]
    Compare {
        /// The price map.
        path: PathBuf,
        /// Why not.
        cause: LitellmError,
    },
    /// Our own prices cannot be used.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// Our own prices make no document.
    #[error(transparent)]
    Bundle(#[from] costlens_domain::pricing::BundleFault),
    /// No provider sells such a model.
    #[error("no price is known for {model}{near}", near = nearest(near))]
    UnknownModel {
        /// The name asked for.
        model: String,
        /// Names that resemble it.
        near: Vec<String>,
    },
    /// The comparison and the committed list of differences do not agree.
    #[error("{unexplained} differences without a reason and {stale} reasons without a difference")]
    Drift {
        /// Differences that nobody has explained.
        unexplained: usize,
        /// Explained differences that are gone.
        stale: usize,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

fn nearest(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(", ")) }
}

/// Runs a `prices` command. `now` picks the rates that hold.
pub(crate) fn run(args: &PricesArgs, now: DateTime<Utc>, out: &mut dyn Write) -> Result<(), PricesError> {
    match &args.command {
        PricesCommand::Import(ImportCommand::Genai(args)) => import::genai(args, out),
        PricesCommand::Show(args) => show::show(args, now, out),
        PricesCommand::Export(args) => export::export(args, out),
        PricesCommand::Check(args) => check::check(args, now, out),
    }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, PricesError> {
    std::fs::read(path).map_err(|cause| PricesError::File { path: path.to_owned(), cause })
}

fn read_json<T: serde::de::DeserializeOwned>(path: &std::path::Path) -> Result<T, PricesError> {
    serde_json::from_slice(&read(path)?).map_err(|cause| PricesError::Json { path: path.to_owned(), cause })
}
