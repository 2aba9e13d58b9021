//! What is said of an upload that became no bill, in the transaction that decides it.

use costlens_domain::ProblemCode;
use costlens_domain::events::EventKind;
use costlens_jobs::events::happened;
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_notify::Kind;
use costlens_notify::words::BillFailed;
use costlens_queue::JobError;
use costlens_store::{BillUpload, TenantConn, TenantSettings, UploadProblem};
use serde_json::json;

use crate::{WorkerParts, store_failure};

/// How long a notice is of use.
const USEFUL: chrono::TimeDelta = chrono::TimeDelta::days(3);

/// What the reader of a file that is no bill can do.
const REMEDY: &str = "Export the report again and upload it whole: CUR 2.0, the legacy Cost and Usage Report or FOCUS, as \
                      CSV, gzipped CSV or Parquet.";
/// And where another bill has its months.
const REMEDY_OF_OVERLAP: &str = "Where AWS delivers the month itself there is nothing to upload: pause that connection if \
                                 your file is to count in its place. Otherwise withdraw the bill that is named here, or \
                                 upload each month by itself.";
/// And where reading it takes too much memory, which goes to telling days, usage types and principals apart.
const REMEDY_OF_SIZE: &str = "Export the report again without IAM principals, which make most of what is told apart. If that \
                              does not help, tell whoever runs Costlens for you.";
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
    let remedy = if problem.code == ProblemCode::Internal.as_str() {
        REMEDY_OF_OURS
    } else if problem.code == ProblemCode::BillOverlaps.as_str() {
        REMEDY_OF_OVERLAP
    } else if problem.code == ProblemCode::BodyTooLarge.as_str() {
        REMEDY_OF_SIZE
    } else {
        REMEDY
    };
    let words = BillFailed {
        tenant: tx.tenant().await.map_err(store_failure)?.name,
        bill: upload.name.clone(),
        at: now,
        zone: settings.unwrap_or_else(|| TenantSettings::initial(now)).zone,
        reason: problem.detail.clone(),
        remedy: remedy.to_owned(),
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
