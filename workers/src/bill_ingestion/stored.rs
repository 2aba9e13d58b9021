//! What follows from a bill that is stored, in the transaction that stores it: the one place, whether an upload became it,
//! a delivery from a customer's bucket, or a vendor's own report. Whatever is to happen once a bill is there is asked for here.

use costlens_domain::aws::Month;
use costlens_domain::bill::shares;
use costlens_domain::events::EventKind;
use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::{AwsConnectionId, BillId, BillUploadId, InvoiceSourceId};
use costlens_jobs::events::happened;
use costlens_jobs::insight::LookAtFacts;
use costlens_jobs::messages::{Audience, Telling, tell};
use costlens_jobs::settlement::ask_to_settle;
use costlens_notify::Kind;
use costlens_notify::words::{BillPublished, BillTotal};
use costlens_queue::JobError;
use costlens_store::{Bill, BillDelivery, TenantConn};
use serde_json::json;

use crate::{WorkerParts, store_failure};

/// How long a notice is of use.
const USEFUL: chrono::TimeDelta = chrono::TimeDelta::days(3);

/// Where a bill is from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// Somebody uploaded it.
    Upload(BillUploadId),
    /// AWS delivered it.
    Delivery {
        /// The connection.
        connection: AwsConnectionId,
        /// The delivery.
        delivery: &'a BillDelivery,
    },
    /// A vendor reports it.
    Invoice {
        /// By this source.
        source: InvoiceSourceId,
        /// The vendor.
        vendor: InvoiceVendor,
        /// The month.
        month: Month,
        /// The bill in whose place it counts.
        replaces: Option<BillId>,
    },
}

impl Origin<'_> {
    /// Whether people are told: AWS delivers a month up to three times a day, and vendors report anew each day, so of a
    /// month's first alone.
    const fn is_told(self) -> bool {
        match self {
            Self::Upload(_) => true,
            Self::Delivery { delivery, .. } => delivery.previous.is_none(),
            Self::Invoice { replaces, .. } => replaces.is_none(),
        }
    }
}

/// A bill counts. Programs are told, and people who want alerts; its months are settled, and its facts looked at.
pub(crate) async fn bill_stored(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    origin: Origin<'_>,
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
    let mut payload = json!({
        "bill_id": bill.id,
        "name": bill.name,
        "first_day": bill.first_day,
        "last_day": bill.last_day,
        "lines": bill.lines,
        "totals": told,
    });
    if let Some(members) = payload.as_object_mut() {
        match origin {
            Origin::Upload(upload) => {
                members.insert("upload_id".to_owned(), json!(upload));
            }
            Origin::Delivery { connection, delivery } => {
                members.insert("aws_connection_id".to_owned(), json!(connection));
                members.insert("delivery_id".to_owned(), json!(delivery.id));
                members.insert("month".to_owned(), json!(delivery.month));
                members.insert("change".to_owned(), json!(delivery.change));
            }
            Origin::Invoice { source, vendor, month, replaces } => {
                members.insert("invoice_source_id".to_owned(), json!(source));
                members.insert("vendor".to_owned(), json!(vendor.as_str()));
                members.insert("month".to_owned(), json!(month));
                members.insert("replaces".to_owned(), json!(replaces));
            }
        }
    }
    happened(tx, EventKind::BillPublished, payload, now, &*parts.entropy).await.map_err(store_failure)?;
    ask_to_settle(tx, bill).await.map_err(store_failure)?;
    let look = LookAtFacts::after_bill(tx.tenant_id(), bill.id);
    costlens_jobs::ask(tx, &look).await.map_err(store_failure)?;
    let (Some(from), Some(to)) = (bill.first_day, bill.last_day) else { return Ok(()) };
    if !origin.is_told() {
        return Ok(());
    }
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
