//! Asks for a walk over every tenant that has calls without a price, and again for walks that did not come to their end.
//!
//! A walk is known by the prices and the day, so that asking twice is asking once; a day later only the calls that came
//! since are looked at, unless the prices are others.

use chrono::Days;
use costlens_domain::RepricingId;
use costlens_jobs::prices::{PriceUnpriced, RepriceTenant};
use costlens_queue::{JobContext, JobError};
use costlens_store::RepricingKind;
use serde_json::json;

use super::newest_prices;
use crate::{WorkerParts, store_failure};

/// How many tenants are looked at with one query.
const PAGE: u32 = 500;
/// How late a call may reach the ledger, from a spool that waited, and still be looked at by the daily walk.
const LATE: Days = Days::new(7);

pub(crate) async fn price_unpriced(
    _job: PriceUnpriced,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    super::unfinished::go_on(&parts, &context).await?;
    let prices = newest_prices(&parts).await?;
    let now = parts.clock.now();
    let providers: Vec<String> = prices.version.catalogue.providers().map(str::to_owned).collect();
    let key = format!("{}:{}", prices.content, now.date_naive());
    let (mut after, mut asked) = (None, 0_u64);
    loop {
        if context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let page = system.tenants_with_unpriced(&providers, after, PAGE).await.map_err(store_failure)?;
        drop(system);
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for tenant in page {
            let mut tx = parts.store.tenant(tenant.into()).await.map_err(store_failure)?;
            let since =
                tx.last_unpriced_walk(&format!("{}:", prices.content)).await.map_err(store_failure)?;
            let since = since.and_then(|since| since.checked_sub_days(LATE));
            let id = RepricingId::new(now, parts.entropy.for_id());
            let kind = RepricingKind::Unpriced { since };
            if tx.begin_repricing(id, (&kind, &key), prices.version.n, now).await.map_err(store_failure)? {
                let job = RepriceTenant { tenant: tenant.into(), repricing: id, part: 0, ask: 0 };
                costlens_jobs::ask(&mut tx, &job).await.map_err(store_failure)?;
                asked += 1;
            }
            tx.commit().await.map_err(store_failure)?;
        }
    }
    Ok(context.progress(&json!({"version": prices.version.n, "tenants": asked})).await?)
}
