//! `costlens prices check`: whether the prices can be used, and where another list says otherwise.

use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;
use costlens_domain::pricing::{Catalogue, Comparison, Disagreement, Disagreements, compare_litellm};

use super::{PricesError, read, read_json};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// LiteLLM's `model_prices_and_context_window_backup.json`, to compare figures with.
    #[arg(long, value_name = "FILE")]
    litellm: Option<PathBuf>,
    /// The committed list of differences.
    #[arg(long, value_name = "FILE", default_value = "prices/disagreements.json")]
    disagreements: PathBuf,
    /// Name the models that only the other list prices.
    #[arg(long, requires = "litellm")]
    verbose: bool,
}

pub(super) fn check(args: &CheckArgs, now: DateTime<Utc>, out: &mut dyn Write) -> Result<(), PricesError> {
    let catalogue = Catalogue::embedded()?;
    let mut total = 0;
    for provider in catalogue.providers() {
        let entries: Vec<_> = catalogue.models().filter(|entry| entry.provider == provider).collect();
        let oldest = entries.iter().map(|entry| entry.checked).min();
        let age = oldest.map(|checked| now.date_naive().signed_duration_since(checked).num_days());
        let age = age.map(|days| format!(", checked {days} days ago")).unwrap_or_default();
        total += entries.len();
        writeln!(out, "{provider:<10} {:>4} models{age}", entries.len())?;
    }
    writeln!(out, "{:<10} {total:>4} models", "all")?;
    match &args.litellm {
        Some(path) => compare(args, path, &catalogue, out),
        None => Ok(()),
    }
}

fn compare(
    args: &CheckArgs,
    path: &Path,
    catalogue: &Catalogue,
    out: &mut dyn Write,
) -> Result<(), PricesError> {
    let listed: Disagreements = read_json(&args.disagreements)?;
    let found = compare_litellm(catalogue, &read(path)?, listed.at)
        .map_err(|cause| PricesError::Compare { path: path.to_owned(), cause })?;
    write_comparison(&found, args.verbose, out)?;
    writeln!(out)?;
    for group in &listed.groups {
        writeln!(out, "{:>4} explained: {}", group.figures.len(), group.reason)?;
    }
    let drift = listed.drift(&found);
    write_figures("without a reason", &drift.unexplained, out)?;
    write_figures("no longer found", &drift.stale, out)?;
    if drift.unexplained.is_empty() && drift.stale.is_empty() {
        return Ok(());
    }
    Err(PricesError::Drift { unexplained: drift.unexplained.len(), stale: drift.stale.len() })
}

fn write_comparison(found: &Comparison, verbose: bool, out: &mut dyn Write) -> Result<(), PricesError> {
    writeln!(out, "\nfigures    equal  differ  theirs alone   models shared  theirs alone")?;
    for (provider, count) in &found.providers {
        let differ = found.disagreements.iter().filter(|one| one.provider == *provider).count();
        let (equal, alone) = (count.figures_equal, count.figures_theirs_alone);
        let (shared, missing) = (count.models_shared, count.models_theirs_alone.len());
        writeln!(out, "{provider:<10} {equal:>5} {differ:>7} {alone:>13} {shared:>15} {missing:>13}")?;
        if verbose {
            for model in &count.models_theirs_alone {
                writeln!(out, "           {model}")?;
            }
        }
    }
    Ok(())
}

fn write_figures(what: &str, figures: &[Disagreement], out: &mut dyn Write) -> Result<(), PricesError> {
    for one in figures {
        let Disagreement { provider, model, figure, ours, theirs } = one;
        writeln!(out, "{what}: {provider} {model} {figure}: ours {ours}, theirs {theirs}")?;
    }
    Ok(())
}
