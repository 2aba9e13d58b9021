//! What is said of a bill once its fate is known, in the transaction that decides it.

use costlens_domain::ProblemCode;
use costlens_domain::bill::shares;
use costlens_domain::events::EventKind;
use costlens_jobs::events::happened;
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::Kind;
use costlens_notify::words::{BillFailed, BillPublished, BillTotal};
use costlens_queue::JobError;
use costlens_store::{Bill, BillUpload, TenantConn, TenantSettings, UploadProblem};
use serde_json::json;

use crate::{WorkerParts, store_failure};

/// How long a notice is of use.
const USEFUL: chrono::TimeDelta = chrono::TimeDelta::days(3);

/// A bill counts. People who want alerts are told; so are programs.
pub(super) async fn of_published(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    upload: &BillUpload,
    bill: &Bill,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let controls = tx.bill_totals(bill.id).await.map_err(store_failure)?;
    let totals: Vec<BillTotal> = shares(&controls)
        .into_iter()
        .map(|(currency, share)| BillTotal { currency, total: share.total, ai: share.ai })
        .collect();
    let told: Vec<_> = totals
        .iter()
        .map(|total| json!({ "currency": total.currency, "total": total.total, "ai": total.ai }))
        .collect();
    let payload = json!({
        "upload_id": upload.id,
        "bill_id": bill.id,
        "name": bill.name,
        "first_day": bill.first_day,
        "last_day": bill.last_day,
        "lines": bill.lines,
        "totals": told,
    });
    happened(tx, EventKind::BillPublished, payload, now, &*parts.entropy).await.map_err(store_failure)?;
    let (Some(from), Some(to)) = (bill.first_day, bill.last_day) else { return Ok(()) };
    let words = BillPublished {
        tenant: tx.tenant().await.map_err(store_failure)?.name,
        bill: bill.name.clone(),
        from,
        to,
        totals,
        console: parts.links.to(&format!("/bills/{}", bill.id))?,
        preferences: parts.links.to("/notifications")?,
    };
    let figures = serde_json::to_value(&words)?;
    let telling = Telling {
        about: &format!("bill:{}", bill.id),
        kind: Kind::BillPublished.as_str(),
        figures,
        audience: Audience::Alerts,
        at: now,
        expires_at: now + USEFUL,
    };
    tell(tx, &telling, &*parts.entropy).await.map_err(store_failure)?;
    Ok(())
}

/// What the reader of a file that is no bill can do.
const REMEDY: &str = "Export the report again and upload it whole: CUR 2.0, the legacy Cost and Usage Report or FOCUS, as \
                      CSV, gzipped CSV or Parquet.";
/// And where the failure is ours.
const REMEDY_OF_OURS: &str = "Upload the file again later. If that fails too, tell whoever runs Costlens for you: the \
                              reason stands in its log.";

/// A file was no bill that can be read, or could not be read for reasons of ours.
pub(super) async fn of_failed(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    upload: &BillUpload,
    problem: &UploadProblem,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let payload = json!({
        "upload_id": upload.id, "name": upload.name, "code": problem.code, "detail": problem.detail,
    });
    happened(tx, EventKind::BillFailed, payload, now, &*parts.entropy).await.map_err(store_failure)?;
    let settings = tx.settings().await.map_err(store_failure)?;
    let is_ours = problem.code == ProblemCode::Internal.as_str();
    let words = BillFailed {
        tenant: tx.tenant().await.map_err(store_failure)?.name,
        bill: upload.name.clone(),
        at: now,
        zone: settings.unwrap_or_else(|| TenantSettings::initial(now)).zone,
        reason: problem.detail.clone(),
        remedy: if is_ours { REMEDY_OF_OURS } else { REMEDY }.to_owned(),
        console: parts.links.to("/bills")?,
        preferences: parts.links.to("/notifications")?,
    };
    let telling = Telling {
        about: &format!("bill-failed:{}", upload.id),
        kind: Kind::BillFailed.as_str(),
        figures: serde_json::to_value(&words)?,
        audience: Audience::Alerts,
        at: now,
        expires_at: now + USEFUL,
    };
    tell(tx, &telling, &*parts.entropy).await.map_err(store_failure)?;
    Ok(())
}
