//! `costlens prices import genai FILE`: figures of genai-prices as our own files.

use std::io::Write;
use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Args;
use costlens_domain::pricing::{Curation, ImportOptions, Supplement, import_genai};

use super::{PricesError, read, read_json};

#[derive(Debug, Args)]
pub(super) struct GenaiArgs {
    /// The data set: `data/prices.json` of the `genai-prices` package.
    file: PathBuf,
    /// The data set's name, version and licence, as every receipt will show it.
    #[arg(long, value_name = "TEXT")]
    source: String,
    /// The day up to which the data set was maintained.
    #[arg(long, value_name = "YYYY-MM-DD")]
    checked: NaiveDate,
    /// The folder with `curation.json` and `supplement.json`, into which the price files are written.
    #[arg(long, value_name = "DIR", default_value = "prices")]
    folder: PathBuf,
}

pub(super) fn genai(args: &GenaiArgs, out: &mut dyn Write) -> Result<(), PricesError> {
    let options = ImportOptions { source: args.source.clone(), checked: args.checked };
    let curation: Curation = read_json(&args.folder.join("curation.json"))?;
    let supplement: Supplement = read_json(&args.folder.join("supplement.json"))?;
    let files = import_genai(&read(&args.file)?, &options, &curation, &supplement)
        .map_err(|cause| PricesError::Import { path: args.file.clone(), cause })?;
    // All texts first: a file that cannot be written as text must not leave the others half new.
    let mut texts = Vec::with_capacity(files.len());
    for file in &files {
        let path = args.folder.join(format!("{}.json", file.provider));
        let text = file.to_text().map_err(|cause| PricesError::Json { path: path.clone(), cause })?;
        texts.push((path, text, file.models.len()));
    }
    for (path, text, models) in texts {
        std::fs::write(&path, text).map_err(|cause| PricesError::File { path: path.clone(), cause })?;
        writeln!(out, "{}: {models} models", path.display())?;
    }
    Ok(())
}
