//! The last word to an account's people: that all is gone, sent while their addresses are the last thing that is not.
//!
//! That it is about to be sent is written down first, so that it goes out once. Whether it arrives decides nothing: an
//! account is erased whoever hears of it.

use costlens_domain::calendar::Zone;
use costlens_domain::{ErasureId, TenantId};
use costlens_notify::MailTo;
use costlens_notify::words::{DeletionDone, Erased, Message};
use costlens_queue::{ErrorClass, JobError};
use serde_json::json;

use crate::{WorkerParts, store_failure};

/// What stands in the mail as erased.
const PARTS: [&str; 5] = [
    "the keys that sealed your credentials, which makes every sealed copy unreadable",
    "uploaded files",
    "requests, spend and bills",
    "API keys, connections, budgets and endpoints",
    "everything else but the addresses that this letter goes to, which follow now",
];

pub(super) async fn say(
    parts: &WorkerParts,
    id: ErasureId,
    tenant: TenantId,
    outside_is_done: bool,
) -> Result<(), JobError> {
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let (erasure, _) = system.erasure(id).await.map_err(store_failure)?;
    if erasure.evidence.get("farewell").is_some() {
        return Ok(());
    }
    // Of two that come by here at once, one says it.
    let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let recipients = tx.list_recipients().await.map_err(store_failure)?;
    let name = tx.tenant().await.map_err(store_failure)?.name;
    drop(tx);
    let people: Vec<_> = recipients.into_iter().filter(costlens_store::Recipient::is_active).collect();
    let begun = json!({ "to": people.len(), "state": "sending" });
    if !system.note_evidence_once(id, "farewell", &begun).await.map_err(store_failure)? {
        return Ok(());
    }
    drop(system);
    let Some(mailer) = &parts.mailer else { return Ok(()) };
    let now = parts.clock.now();
    let words: Message = DeletionDone {
        tenant: name,
        certificate: id.to_string(),
        erased: PARTS.iter().map(|part| Erased { what: (*part).to_owned(), at: now }).collect(),
        outside_left: !outside_is_done,
        zone: Zone::UTC,
    }
    .into();
    let letter = words.letter().map_err(|error| JobError::give_up(ErrorClass::Bug, "template", error))?;
    let mut sent = 0;
    for to in &people {
        let mail = MailTo {
            to: to.email.clone(),
            message_id_key: format!("{id}:{}", to.id),
            list_unsubscribe: None,
        };
        match mailer.send(&mail, &letter, now).await {
            Ok(_) => sent += 1,
            Err(error) => tracing::warn!(erasure.id = %id, %error, "a last word was not sent"),
        }
    }
    let mut system = parts.store.system().await.map_err(store_failure)?;
    let told = json!({ "to": people.len(), "sent": sent });
    system.note_evidence(id, "farewell", &told).await.map_err(store_failure)
}
