//! `costlens import`: a bill from the command line into a tenant's ledger.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use costlens_bill::{NoProgress, ReadOptions, read_bill};
use costlens_domain::audit::Action;
use costlens_domain::ports::{Clock as _, Entropy as _};
use costlens_domain::{BillId, TenantId};
use costlens_store::NewBill;
use costlens_vault::OsEntropy;
use serde_json::json;

use crate::boot::{Failure, Ledger};
use crate::cli::{LedgerArgs, print};
use crate::clock::SystemClock;
use crate::record;

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    ledger: LedgerArgs,
    /// Whose bill it is; may be left out when there is one tenant only.
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Files and folders of one report.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
}

/// Reads first, then stores: a bill that cannot be read changes nothing.
pub(crate) async fn run(args: ImportArgs) -> Result<(), Failure> {
    let report = read_bill(&args.paths, &ReadOptions::default(), &NoProgress).await?;
    let ledger = Ledger::of(&args.ledger).await?;
    let stored = store(&ledger, &args, &report).await;
    ledger.close().await;
    print(&stored?);
    Ok(())
}

async fn store(
    ledger: &Ledger,
    args: &ImportArgs,
    report: &costlens_domain::bill::BillReport,
) -> Result<String, Failure> {
    let tenant = ledger.tenant_or_only(args.tenant).await?;
    let now = SystemClock.now();
    let name = args.paths.first().and_then(|path| path.file_name()).unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let new = NewBill { id: BillId::new(now, OsEntropy.for_id()), name, created_at: now };
    let mut conn = ledger.store.tenant(tenant).await?;
    conn.import_bill(&new, report).await?;
    let change = json!({ "lines": report.lines });
    conn.audit(&record::event(&SystemClock, Action::BillImported, Some(new.id.to_string()), change)).await?;
    conn.commit().await?;
    let mut told = format!("{}  {} lines, {} daily facts\n", new.id, report.lines, report.facts.len());
    for (currency, share) in report.by_currency() {
        let (total, ai) = (share.total.normalize(), share.ai.normalize());
        let _infallible = writeln!(told, "  {currency}: {total} in all, {ai} of it AI");
    }
    Ok(told)
}
