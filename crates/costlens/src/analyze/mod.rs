//! `costlens analyze FILE|DIR…`: where the AI money of a bill went, without a server, a database or an account.
//!
//! The report goes to standard output, and nothing else does; the progress bar lives on standard error and only
//! on a terminal, so that a pipe carries the report alone.

mod csv;
mod figures;
mod html;
mod json;
mod progress;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use costlens_bill::{BillError, NoProgress, ReadOptions, read_bill};
use costlens_domain::bill::{BillReport, Measure};

/// What `costlens analyze` is asked to do.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 the report carries no cost, \
                        4 a file is corrupt or no bill.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct AnalyzeArgs {
    /// Reports, or folders of one report's files: legacy CUR, CUR 2.0, cost exports of Azure or Google Cloud, or FOCUS 1.x;
    /// CSV, lines of JSON, either with gzip, or Parquet.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Print the breakdown as one JSON object.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print one HTML page with charts and what could be saved, which needs nothing else to be read.
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    html: bool,
    /// Print the daily facts as CSV, one line per fact.
    #[arg(long)]
    csv: bool,
    /// How many rows of a breakdown to show.
    #[arg(long, default_value_t = 10, value_name = "ROWS")]
    top: usize,
    /// Which cost to break down.
    #[arg(long, value_enum, default_value_t = Cost::Unblended)]
    cost: Cost,
    /// What telling resources apart may hold in memory before it spills to disk, in megabytes.
    #[arg(long, default_value_t = 192, value_name = "MB", value_parser = clap::value_parser!(u16).range(16..))]
    memory: u16,
    /// Print without bold and dim letters, also on a terminal.
    #[arg(long, env = "NO_COLOR", value_parser = FalseyValueParser::new(), hide_env = true)]
    no_color: bool,
}

/// Which of a line's costs is broken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cost {
    /// As billed.
    Unblended,
    /// As billed, after private discounts.
    Net,
    /// Commitments spread over the usage that they cover.
    Amortised,
    /// The same after private discounts: what use really costs.
    NetAmortised,
    /// By the public list price; unknown where the bill does not tell it.
    List,
}

impl From<Cost> for Measure {
    fn from(cost: Cost) -> Self {
        match cost {
            Cost::Unblended => Self::Unblended,
            Cost::Net => Self::NetUnblended,
            Cost::Amortised => Self::Amortised,
            Cost::NetAmortised => Self::NetAmortised,
            Cost::List => Self::List,
        }
    }
}

/// Reads the bill and prints what it says.
pub(crate) async fn run(args: AnalyzeArgs) -> ExitCode {
    let options = ReadOptions {
        memory_bytes: usize::from(args.memory) * 1024 * 1024,
        top_resources: args.top,
        ..ReadOptions::default()
    };
    let read = if std::io::stderr().is_terminal() {
        read_bill(&args.paths, &options, &progress::Bar::new()).await
    } else {
        read_bill(&args.paths, &options, &NoProgress).await
    };
    let report = match read {
        Ok(report) => report,
        Err(error) => return fail(&error),
    };
    let stdout = std::io::stdout();
    let style = text::Style { bold: stdout.is_terminal() && !args.no_color };
    match print(&report, &args, style, &mut stdout.lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the pipe has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "costlens: the report could not be written: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(
    report: &BillReport,
    args: &AnalyzeArgs,
    style: text::Style,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(out);
    if args.json {
        json::write(report, args.cost.into(), &mut out)?;
    } else if args.html {
        html::write(report, args.cost.into(), args.top, &mut out)?;
    } else if args.csv {
        csv::write(&report.facts, &mut out)?;
    } else {
        text::write(report, args.cost.into(), args.top, style, &mut out)?;
    }
    out.flush()
}

fn fail(error: &BillError) -> ExitCode {
    let mut message = format!("costlens: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        message.push_str(": ");
        message.push_str(&inner.to_string());
        cause = inner.source();
    }
    // With standard error closed there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{message}");
    match error {
        BillError::NoCost { .. } => ExitCode::from(3),
        BillError::Corrupt { .. }
        | BillError::OutOfRange { .. }
        | BillError::UnknownFormat { .. }
        | BillError::MissingColumns { .. }
        | BillError::NothingFound { .. } => ExitCode::from(4),
        _ => ExitCode::FAILURE,
    }
}
