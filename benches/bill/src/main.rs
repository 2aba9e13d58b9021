//! Makes a month of bill lines, and reads one while measuring itself.
//!
//! `bench-bill generate DIR` writes a seeded CUR 2.0 month: 116 columns with MAP columns, snappy Parquet, 16
//! files. `bench-bill read DIR` reads it into classified daily facts and prints what that took as JSON;
//! `scripts/bench-bill` runs it beside DuckDB over the same files.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to whoever started it")]

mod columns;
mod generate;
mod random;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use clap::{Parser, Subcommand};
use costlens_bill::{Progress, ReadOptions, read_bill};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a month of bill lines.
    Generate {
        /// The folder to write to.
        folder: PathBuf,
        /// How many lines in all.
        #[arg(long, default_value_t = 8_000_000)]
        lines: usize,
        /// How many files.
        #[arg(long, default_value_t = 16)]
        files: usize,
        /// The seed; the same seed makes the same lines.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Read a bill into classified daily facts.
    Read {
        /// The bill.
        folder: PathBuf,
        /// How many resources to name; 0 saves reading their names.
        #[arg(long, default_value_t = 25)]
        resources: usize,
        /// What grouping may hold in memory, in megabytes.
        #[arg(long, default_value_t = 192)]
        memory: usize,
        /// How many threads group.
        #[arg(long, default_value_t = 2)]
        partitions: usize,
    },
}

/// Says on standard error when each step began.
#[derive(Default)]
struct Steps(Mutex<(Option<Instant>, String)>);

impl Progress for Steps {
    fn begin(&self, _size_bytes: u64) {
        if let Ok(mut state) = self.0.lock() {
            state.0 = Some(Instant::now());
        }
    }

    fn advance(&self, step: &str, _permille: u16) {
        if let Ok(mut state) = self.0.lock()
            && state.1 != step
        {
            eprintln!("{:>8} ms: {step}", state.0.map_or(0, |began| began.elapsed().as_millis()));
            step.clone_into(&mut state.1);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Cli::parse().command {
        Command::Generate { folder, lines, files, seed } => {
            std::fs::create_dir_all(&folder)?;
            let each = lines.div_ceil(files.max(1));
            for file in 0..files {
                let count = each.min(lines.saturating_sub(file * each));
                let path = folder.join(format!("bench-{:05}.snappy.parquet", file + 1));
                generate::file(&path, count, seed.wrapping_mul(1000).wrapping_add(file as u64))?;
                println!("{} lines in {}", count, path.display());
            }
        }
        Command::Read { folder, resources, memory, partitions } => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(partitions.max(1))
                .enable_all()
                .build()?;
            let started = Instant::now();
            let options =
                ReadOptions { top_resources: resources, partitions, memory_bytes: memory * 1024 * 1024 };
            let report = runtime.block_on(read_bill(&[folder], &options, &Steps::default()))?;
            let totals: Vec<serde_json::Value> = report
                .totals
                .iter()
                .map(|total| {
                    serde_json::json!({
                        "type": total.line_item_type.as_ref(),
                        "currency": total.currency.as_str(),
                        "lines": total.lines,
                        "cost": total.unblended.to_string(),
                    })
                })
                .collect();
            let told = serde_json::json!({
                "lines": report.lines,
                "facts": report.facts.len(),
                "resources": report.resources.len(),
                "milliseconds": u64::try_from(started.elapsed().as_millis())?,
                "totals": totals,
            });
            println!("{told}");
        }
    }
    Ok(())
}
