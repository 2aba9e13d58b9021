//! `costlens statement`: a month's statement as a page, from the command line.

use std::path::PathBuf;

use clap::Args;
use costlens_domain::TenantId;
use costlens_domain::aws::Month;
use costlens_domain::bill::Measure;
use costlens_domain::ports::Clock as _;

use crate::boot::{Failure, Ledger};
use crate::cli::{LedgerArgs, print};
use crate::clock::SystemClock;

#[derive(Args, Debug)]
pub(crate) struct StatementArgs {
    #[command(flatten)]
    ledger: LedgerArgs,
    /// Whose month; may be left out when there is one tenant only.
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Which of the bills' costs.
    #[arg(long, value_enum, default_value = "unblended")]
    measure: MeasureArg,
    /// The file to write; standard output without it.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The month, like 2026-10.
    month: Month,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum MeasureArg {
    /// As billed.
    Unblended,
    /// After private discounts.
    NetUnblended,
    /// Commitments spread over what they cover.
    Amortised,
    /// The same, after private discounts.
    NetAmortised,
}

impl From<MeasureArg> for Measure {
    fn from(arg: MeasureArg) -> Self {
        match arg {
            MeasureArg::Unblended => Self::Unblended,
            MeasureArg::NetUnblended => Self::NetUnblended,
            MeasureArg::Amortised => Self::Amortised,
            MeasureArg::NetAmortised => Self::NetAmortised,
        }
    }
}

pub(crate) async fn run(args: StatementArgs) -> Result<(), Failure> {
    let ledger = Ledger::of(&args.ledger).await?;
    let page = page(&ledger, &args).await;
    ledger.close().await;
    let page = page?;
    match &args.out {
        Some(path) => std::fs::write(path, page)?,
        None => print(&page),
    }
    Ok(())
}

async fn page(ledger: &Ledger, args: &StatementArgs) -> Result<String, Failure> {
    let tenant = ledger.tenant_or_only(args.tenant).await?;
    let mut conn = ledger.store.tenant(tenant).await?;
    let now = SystemClock.now();
    let found = costlens_api::statement::statement(&mut conn, args.month, args.measure.into(), now).await?;
    Ok(found.html()?)
}
