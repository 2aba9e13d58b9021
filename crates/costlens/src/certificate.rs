//! `costlens verify-certificate`: whether a certificate of deletion is ours, in every word.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use costlens_domain::ports::Clock;
use costlens_workers::erasure::{Certificate, is_genuine};

use crate::boot::{Failure, Ledger};
use crate::cli::{LedgerArgs, print};
use crate::clock::SystemClock;
use crate::keys::KeyArgs;

#[derive(Args, Debug)]
pub(crate) struct CertificateArgs {
    #[command(flatten)]
    keys: KeyArgs,
    /// Where a key service holds the keys, what it wrapped is in the ledger.
    #[command(flatten)]
    ledger: LedgerArgs,
    /// The certificate, as JSON.
    file: PathBuf,
}

pub(crate) async fn run(args: &CertificateArgs) -> Result<(), Failure> {
    let certificate: Certificate = serde_json::from_slice(&std::fs::read(&args.file)?)?;
    let plan = args.keys.existing()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let keyring = if plan.wants_store() {
        let ledger = Ledger::of(&args.ledger).await?;
        let keyring = plan.open(Some(&ledger.store), &clock).await;
        ledger.close().await;
        keyring?
    } else {
        plan.open(None, &clock).await?
    };
    if !is_genuine(&keyring, &certificate) {
        return Err(
            "this is not a certificate that was issued with this master key, or it was changed".into()
        );
    }
    print(&format!("genuine: {} was erased at {}\n", certificate.number, certificate.erased_at));
    Ok(())
}
