//! Messages of other services: kept, and acted upon by a job that is written with them.

use costlens_queue::{Job, NewJob};
use costlens_store::{InboxEvent, StoreError, SystemTx};
use serde::{Deserialize, Serialize};

use crate::failed;

/// Acts on one message of Clerk's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeedClerk {
    /// The message's id.
    pub message: String,
    /// Who keeps the people that it is about.
    pub issuer: String,
}

impl HeedClerk {
    /// Its messages' source in the inbox.
    pub const SOURCE: &str = "clerk";
}

impl Job for HeedClerk {
    const QUEUE: &'static str = "clerk-event.v1";
    /// It asks nobody but the database: what fails is tried until that is back.
    const MAX_ATTEMPTS: u32 = 40;
}

/// Keeps a message of Clerk's and asks for its job. Says whether it is new: a copy asks for nothing.
pub async fn keep(tx: &mut SystemTx, event: &InboxEvent, issuer: &str) -> Result<bool, StoreError> {
    let is_new = tx.system()?.keep_inbox_event(event).await?;
    if is_new && event.is_heeded {
        let (message, issuer) = (event.message_id.clone(), issuer.to_owned());
        let job = NewJob::of(&HeedClerk { message, issuer }).map_err(failed)?.key(event.message_id.clone());
        costlens_queue::enqueue(tx.transaction()?, &[job]).await.map_err(failed)?;
    }
    Ok(is_new)
}
