//! All prices of this build as one document, for an operator to host.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use costlens_domain::pricing::PriceBundle;

use super::PricesError;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Read this folder of price files, e.g. `prices`, in place of the build's own.
    #[arg(long)]
    from: Option<PathBuf>,
    /// What a reader of the document should know.
    #[arg(long)]
    note: Option<String>,
    /// The file to write; standard output without it.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn export(args: &ExportArgs, out: &mut dyn Write) -> Result<(), PricesError> {
    let embedded = PriceBundle::embedded()?;
    let mut bundle = match &args.from {
        None => embedded,
        Some(dir) => {
            // The files that the build knows, in its order: a folder also holds what is no price file.
            let mut files = Vec::with_capacity(embedded.files.len());
            for known in &embedded.files {
                files.push(super::read_json(&dir.join(format!("{}.json", known.provider)))?);
            }
            PriceBundle { files, ..embedded }
        }
    };
    bundle.note.clone_from(&args.note);
    let text =
        bundle.to_text().map_err(|cause| PricesError::Json { path: PathBuf::from("export"), cause })?;
    // What nobody could read is not written.
    costlens_domain::pricing::Catalogue::from_bundle(text.as_bytes())?;
    match &args.out {
        Some(path) => {
            std::fs::write(path, text).map_err(|cause| PricesError::File { path: path.clone(), cause })
        }
        None => Ok(out.write_all(text.as_bytes())?),
    }
}
