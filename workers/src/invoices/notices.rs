//! What is said of a source that fails, once, in the transaction that says so in its row.

use costlens_domain::events::EventKind;
use costlens_domain::invoices::Refusal;
use costlens_jobs::events::happened;
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::Kind;
use costlens_notify::words::BillFailed;
use costlens_queue::JobError;
use costlens_store::{InvoiceProblem, InvoiceSource, TenantConn, TenantSettings};
use serde_json::json;

use crate::{WorkerParts, store_failure};

/// How long a notice is of use.
const USEFUL: chrono::TimeDelta = chrono::TimeDelta::days(3);

/// People who want alerts are told, and so are programs.
pub(super) async fn of_failing(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    source: &InvoiceSource,
    problem: &InvoiceProblem,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let payload = json!({
        "invoice_source_id": source.id, "vendor": source.vendor.as_str(), "name": source.name, "code": problem.code,
        "detail": problem.detail,
    });
    happened(tx, EventKind::BillFailed, payload, now, &*parts.entropy).await.map_err(store_failure)?;
    let settings = tx.settings().await.map_err(store_failure)?;
    let remedy = Refusal::from_name(&problem.code).map_or("", Refusal::remedy);
    let words = BillFailed {
        tenant: tx.tenant().await.map_err(store_failure)?.name,
        bill: format!("{}, {}", source.vendor.title(), source.name),
        at: now,
        zone: settings.unwrap_or_else(|| TenantSettings::initial(now)).zone,
        reason: problem.detail.clone(),
        remedy: remedy.to_owned(),
        console: parts.links.to("/bills/vendors")?,
        preferences: parts.links.to("/notifications")?,
    };
    let telling = Telling {
        about: &format!("invoices:{}:{}:{}", source.id, problem.code, now.timestamp()),
        kind: Kind::BillFailed.as_str(),
        figures: serde_json::to_value(&words)?,
        audience: Audience::Alerts,
        at: now,
        expires_at: now + USEFUL,
    };
    tell(tx, &telling, &*parts.entropy).await.map_err(store_failure)?;
    Ok(())
}
