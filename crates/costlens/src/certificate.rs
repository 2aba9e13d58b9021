//! `costlens verify-certificate`: whether a certificate of deletion is ours, in every word.

use std::path::PathBuf;

use clap::Args;
use costlens_workers::erasure::{Certificate, is_genuine};

use crate::boot::Failure;
use crate::cli::print;
use crate::settings::KeyArgs;

#[derive(Args, Debug)]
pub(crate) struct CertificateArgs {
    #[command(flatten)]
    keys: KeyArgs,
    /// The certificate, as JSON.
    file: PathBuf,
}

pub(crate) fn run(args: &CertificateArgs) -> Result<(), Failure> {
    let certificate: Certificate = serde_json::from_slice(&std::fs::read(&args.file)?)?;
    if !is_genuine(&args.keys.existing_keyring()?, &certificate) {
        return Err(
            "this is not a certificate that was issued with this master key, or it was changed".into()
        );
    }
    print(&format!("genuine: {} was erased at {}\n", certificate.number, certificate.erased_at));
    Ok(())
}
