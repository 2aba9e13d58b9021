//! Mail to people: the links that make somebody a user or a member, and word of what was changed.

use costlens_domain::{InvitationId, TenantId, UserLinkId};
use costlens_queue::{Job, NewJob};
use costlens_store::{StoreError, SystemTx};
use serde::{Deserialize, Serialize};

use crate::{TenantJob, failed};

/// Sends the mail of one link to a person.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SendUserLink {
    /// The link.
    pub link: UserLinkId,
}

impl Job for SendUserLink {
    const QUEUE: &'static str = "user-link.v1";
    const MAX_ATTEMPTS: u32 = 8;
}

/// Sends the mail of one invitation.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SendInvitation {
    /// Who invites.
    pub tenant: TenantId,
    /// The invitation.
    pub invitation: InvitationId,
}

impl Job for SendInvitation {
    const QUEUE: &'static str = "invitation.v1";
    const MAX_ATTEMPTS: u32 = 12;
}

impl TenantJob for SendInvitation {
    fn key(&self) -> Option<String> {
        Some(self.invitation.to_string())
    }
}

/// Asks for a link's mail, in the transaction that makes the link.
pub async fn send_user_link(tx: &mut SystemTx, link: UserLinkId) -> Result<(), StoreError> {
    let job = NewJob::of(&SendUserLink { link }).map_err(failed)?.key(link.to_string());
    costlens_queue::enqueue(tx.transaction()?, &[job]).await.map_err(failed)?;
    Ok(())
}
