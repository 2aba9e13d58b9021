//! `costlens import`: a bill, or a LiteLLM's spend logs, from the command line into a tenant's ledger.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use costlens_api::imports::{Ledger as Taking, MOST_BYTES, months_of};
use costlens_bill::{NoProgress, ReadOptions, read_bill};
use costlens_domain::audit::Action;
use costlens_domain::ports::{Clock as _, Entropy as _};
use costlens_domain::pricing::PricesInForce;
use costlens_domain::request::Origin;
use costlens_domain::{ApiKeyId, BillId, TenantId};
use costlens_imports::litellm;
use costlens_jobs::insight::LookAtFacts;
use costlens_jobs::settlement::ask_to_settle_again;
use costlens_proxy::take_newest;
use costlens_store::{NewBill, StoreError};
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
    #[arg(required_unless_present = "litellm", value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// A file of LiteLLM's spend logs in the place of a report: JSON, JSON lines or CSV.
    #[arg(long, value_name = "FILE", conflicts_with = "paths", requires = "key")]
    litellm: Option<PathBuf>,
    /// The API key whose calls those are to be.
    #[arg(long, requires = "litellm")]
    key: Option<ApiKeyId>,
}

/// Reads first, then stores: a bill that cannot be read changes nothing.
pub(crate) async fn run(args: ImportArgs) -> Result<(), Failure> {
    if let (Some(file), Some(key)) = (&args.litellm, args.key) {
        return run_litellm(&args, file, key).await;
    }
    let report = read_bill(&args.paths, &ReadOptions::default(), &NoProgress).await?;
    let ledger = Ledger::of(&args.ledger).await?;
    let stored = store(&ledger, &args, &report).await;
    ledger.close().await;
    print(&stored?);
    Ok(())
}

/// Reads first, then stores row by row what can be: each counts once, however often the file comes.
async fn run_litellm(args: &ImportArgs, file: &Path, key: ApiKeyId) -> Result<(), Failure> {
    let size = std::fs::metadata(file)?.len();
    if size > MOST_BYTES {
        return Err(format!("{} has more than {MOST_BYTES} bytes; divide it", file.display()).into());
    }
    let read = litellm::read(&std::fs::read(file)?, SystemClock.now())
        .map_err(|why| format!("{}: {why}", file.display()))?;
    let ledger = Ledger::of(&args.ledger).await?;
    let stored = store_litellm(&ledger, args, (key, size), read).await;
    ledger.close().await;
    print(&stored?);
    Ok(())
}

async fn store_litellm(
    ledger: &Ledger,
    args: &ImportArgs,
    (key, size): (ApiKeyId, u64),
    read: litellm::Read,
) -> Result<String, Failure> {
    let tenant = ledger.tenant_or_only(args.tenant).await?;
    let prices = PricesInForce::embedded()?;
    take_newest(&ledger.store, &prices).await?;
    let mut conn = ledger.store.tenant(tenant).await?;
    match conn.key(key).await {
        Ok(_) => {}
        Err(StoreError::NotFound) => return Err(format!("the tenant has no API key {key}").into()),
        Err(error) => return Err(error.into()),
    }
    let refused = read.refused;
    let change = json!({
        "origin": Origin::LiteLlm, "size_bytes": size, "rows": read.calls.len(), "refused": refused.count,
    });
    conn.audit(&record::event(&SystemClock, Action::CallsImported, Some(key.to_string()), change)).await?;
    conn.commit().await?;
    let months = months_of(&read.calls);
    let taking = Taking { store: &ledger.store, clock: &SystemClock, entropy: &OsEntropy, prices: &prices };
    let imported = taking.take((Origin::LiteLlm, tenant, key), read.calls).await?;
    // Also for what is known: whoever stored it may have died before it asked.
    if imported.taken > 0 || imported.known > 0 {
        let mut conn = ledger.store.tenant(tenant).await?;
        ask_to_settle_again(&mut conn, &months, (SystemClock.now(), OsEntropy.for_id())).await?;
        conn.commit().await?;
    }
    let count = refused.count.saturating_add(imported.refused);
    let mut told =
        format!("{} calls taken, {} known already, {count} refused\n", imported.taken, imported.known);
    for (line, why) in &refused.named {
        let _infallible = writeln!(told, "  line {line} {why}");
    }
    let named = u64::try_from(refused.named.len()).unwrap_or(u64::MAX);
    if count > named {
        let _infallible = writeln!(told, "  and {} more", count - named);
    }
    Ok(told)
}

async fn store(
    ledger: &Ledger,
    args: &ImportArgs,
    report: &costlens_domain::bill::BillReport,
) -> Result<String, Failure> {
    let tenant = ledger.tenant_or_only(args.tenant).await?;
    let name = args.paths.first().and_then(|path| path.file_name()).unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let mut conn = ledger.store.tenant(tenant).await?;
    conn.lock_bills().await?;
    // Of two that wait for each other, the second is the newer bill.
    let now = SystemClock.now();
    let new = NewBill { id: BillId::new(now, OsEntropy.for_id()), name, created_at: now };
    if let Some(other) = conn.bill_in_the_way(&new.name, report).await? {
        return Err(format!("{} ({}), which counts, {}", other.id, other.name, other.why.words()).into());
    }
    let bill = conn.import_bill(&new, report).await?;
    costlens_jobs::settlement::ask_to_settle(&mut conn, &bill).await?;
    // As after every other bill, and not with the night alone.
    let look = LookAtFacts::after_bill(tenant, new.id);
    costlens_jobs::ask(&mut conn, &look).await?;
    let change = json!({ "lines": report.lines });
    conn.audit(&record::event(&SystemClock, Action::BillImported, Some(new.id.to_string()), change)).await?;
    // As it was stored: rules may count candidates as AI.
    let shares = costlens_domain::bill::shares(&conn.bill_totals(new.id).await?);
    conn.commit().await?;
    let mut told = format!("{}  {} lines, {} daily facts\n", new.id, report.lines, report.facts.len());
    for (currency, share) in shares {
        let (total, ai) = (share.total.normalize(), share.ai.normalize());
        let _infallible = writeln!(told, "  {currency}: {total} in all, {ai} of it AI");
    }
    Ok(told)
}
