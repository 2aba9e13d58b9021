//! Mail to people about how they get in. The row of what the mail is about says how far it is: `sending` stands there
//! before the first byte leaves.
//!
//! These mails must arrive, and a second copy does no harm: each holds the same link, which works once. So a send that
//! may have arrived is made again, a few times. What is asked for anew (a reset, a registration) makes a row of its own.

use chrono::{DateTime, Utc};
use costlens_domain::{InvitationId, TenantId, UserLinkId};
use costlens_jobs::people::{SendInvitation, SendUserLink};
use costlens_notify::words::{
    AccountExists, InvitationLink, PasswordChanged, PasswordResetLink, RegistrationLink, SignInChanged,
};
use costlens_notify::{MailTo, Message, Retry, SendError};
use costlens_queue::{ErrorClass, JobContext, JobError};
use costlens_store::{StoreError, TenantSettings, UserLinkPurpose, UserMail as Mail, UserMailState as State};
use costlens_vault::{LinkPurpose, PersonalPurpose, personal_token};

use crate::{WorkerParts, store_failure};

/// How often a mail is sent although it may have arrived before.
const MOST_DOUBTS: u32 = 3;

/// Sends the mail of one link to a person.
pub(crate) async fn send_user_link(
    job: SendUserLink,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let link = match parts.store.system().await.map_err(store_failure)?.user_link(job.link).await {
        Ok(link) => link,
        // Purged, or its person is gone.
        Err(StoreError::NotFound) => return Ok(()),
        Err(error) => return Err(store_failure(error)),
    };
    // Asked for with an address by which nobody signs in: the row is there so that asking takes as long, and ends here.
    if link.purpose == UserLinkPurpose::PasswordReset && link.user_id.is_none() {
        Row::Link(link.id).move_on(&parts, link.mail, Mail { state: State::Refused, ..link.mail }).await?;
        return Ok(());
    }
    let place = |purpose, path: &str| {
        parts.links.to(&format!("{path}#t={}", personal_token(&parts.keyring, purpose, link.id.uuid())))
    };
    let words: Message = match link.purpose {
        UserLinkPurpose::Registration => RegistrationLink {
            link: place(PersonalPurpose::Registration, "/register")?,
            expires: link.expires_at,
        }
        .into(),
        UserLinkPurpose::PasswordReset => PasswordResetLink {
            link: place(PersonalPurpose::PasswordReset, "/new-password")?,
            expires: link.expires_at,
        }
        .into(),
        UserLinkPurpose::AccountExists => AccountExists { sign_in: parts.links.to("/sign-in")? }.into(),
        UserLinkPurpose::PasswordChanged => {
            PasswordChanged { at: link.created_at, sign_in: parts.links.to("/sign-in")? }.into()
        }
        UserLinkPurpose::SignInChanged => {
            SignInChanged { at: link.created_at, profile: parts.links.to("/profile")? }.into()
        }
    };
    let of = Letter {
        row: Row::Link(link.id),
        key: link.id.to_string(),
        to: link.email,
        expires: link.expires_at,
    };
    send(&parts, &context, of, link.mail, words).await
}

/// Sends the mail of one invitation.
pub(crate) async fn send_invitation(
    job: SendInvitation,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let mut tx = parts.store.tenant(job.tenant).await.map_err(store_failure)?;
    let invitation = match tx.invitation(job.invitation).await {
        Ok(invitation) => invitation,
        Err(StoreError::NotFound) => return Ok(()),
        Err(error) => return Err(store_failure(error)),
    };
    let tenant = tx.tenant().await.map_err(store_failure)?;
    if tenant.closing_at.is_some() || !invitation.is_open_at(parts.clock.now()) {
        return Ok(());
    }
    let settings = tx.settings().await.map_err(store_failure)?;
    drop(tx);
    let settings = settings.unwrap_or_else(|| TenantSettings::initial(parts.clock.now()));
    let row = (job.tenant, invitation.id.uuid());
    let words = InvitationLink {
        tenant: tenant.name,
        role: invitation.role.to_string(),
        link: parts.links.that_does(&parts.keyring, LinkPurpose::Invitation, row)?,
        expires: invitation.expires_at,
        zone: settings.zone,
    };
    let of = Letter {
        row: Row::Invitation(job.tenant, invitation.id),
        key: invitation.id.to_string(),
        to: invitation.email,
        expires: invitation.expires_at,
    };
    send(&parts, &context, of, invitation.mail, words.into()).await
}

/// Whose row says how far the mail is.
#[derive(Clone, Copy)]
enum Row {
    Link(UserLinkId),
    Invitation(TenantId, InvitationId),
}

impl Row {
    async fn move_on(self, parts: &WorkerParts, from: Mail, to: Mail) -> Result<bool, JobError> {
        match self {
            Self::Link(id) => {
                let mut system = parts.store.system().await.map_err(store_failure)?;
                system.move_user_mail(id, from, to).await.map_err(store_failure)
            }
            Self::Invitation(tenant, id) => {
                let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
                let moved = tx.move_invitation_mail(id, from, to).await.map_err(store_failure)?;
                tx.commit().await.map_err(store_failure)?;
                Ok(moved)
            }
        }
    }
}

struct Letter {
    row: Row,
    /// What its copies have in common, so that a mailbox may know them as one.
    key: String,
    to: String,
    expires: DateTime<Utc>,
}

async fn send(
    parts: &WorkerParts,
    context: &JobContext,
    of: Letter,
    mail: Mail,
    words: Message,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let sending = match mail.state {
        State::Queued => Mail { state: State::Sending, ..mail },
        State::Sending if mail.doubts < MOST_DOUBTS => {
            Mail { state: State::Sending, doubts: mail.doubts + 1 }
        }
        State::Sending => {
            of.row.move_on(parts, mail, Mail { state: State::Unknown, ..mail }).await?;
            return Ok(());
        }
        _ => return Ok(()),
    };
    if now >= of.expires {
        of.row.move_on(parts, mail, Mail { state: State::Expired, ..mail }).await?;
        return Ok(());
    }
    let letter = words.letter().map_err(|error| JobError::give_up(ErrorClass::Bug, "template", error))?;
    if !of.row.move_on(parts, mail, sending).await? {
        // Another worker has it.
        return Ok(());
    }
    let Err(error) = deliver(parts, &of, &letter, now).await else {
        of.row.move_on(parts, sending, Mail { state: State::Sent, ..sending }).await?;
        return Ok(());
    };
    let ended = |state| Mail { state, ..sending };
    match &error {
        SendError::AddressRefused { permanent: true, .. } => {
            of.row.move_on(parts, sending, ended(State::Refused)).await?;
            Ok(())
        }
        // It stays `sending`: the next attempt counts the doubt, and ends when there are too many.
        SendError::Unknown { .. } => Err(JobError::retry(error)),
        other => {
            let state = if context.is_last_attempt() { State::Refused } else { State::Queued };
            of.row.move_on(parts, sending, ended(state)).await?;
            let wait = match other {
                SendError::NotSent { retry: Retry::After(wait), .. } => Some(*wait),
                _ => None,
            };
            Err(match wait {
                Some(wait) => JobError::retry_after(wait.min(std::time::Duration::from_mins(15)), error),
                None => JobError::retry(error),
            })
        }
    }
}

async fn deliver(
    parts: &WorkerParts,
    of: &Letter,
    letter: &costlens_notify::Letter,
    now: DateTime<Utc>,
) -> Result<(), SendError> {
    let Some(mailer) = &parts.mailer else {
        let text = "no mail server is configured".to_owned();
        return Err(SendError::NotSent { retry: Retry::Later, code: None, text });
    };
    let to = MailTo { to: of.to.clone(), message_id_key: of.key.clone(), list_unsubscribe: None };
    mailer.send(&to, letter, now).await.map(|_| ())
}
