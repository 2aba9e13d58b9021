//! Telling people: a message and the job that sends it, in one transaction.

use chrono::{DateTime, Utc};
use costlens_domain::ports::Entropy;
use costlens_domain::{MessageId, RecipientId, SlackChannelId, TenantId};
use costlens_queue::Job;
use costlens_store::{MessageTarget, NewMessage, StoreError, TenantConn};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{TenantJob, ask_for, job};

/// Sends one message.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SendMessage {
    /// Whose it is.
    pub tenant: TenantId,
    /// The message.
    pub message: MessageId,
    /// Which ask it is: 0 with the message itself; the minute, from a sweeper that finds it without a job.
    pub ask: i64,
}

impl Job for SendMessage {
    const QUEUE: &'static str = "message.v1";
    /// With the queue's backoff (n⁴ and 15 seconds), some eleven hours.
    const MAX_ATTEMPTS: u32 = 12;
}

impl TenantJob for SendMessage {
    fn key(&self) -> Option<String> {
        Some(format!("{}:{}", self.message, self.ask))
    }
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever wants the weekly digest.
    Digest,
    /// Whoever wants alerts.
    Alerts,
    /// Every person who agreed to be told anything, by mail.
    People,
    /// One person, also before it agreed.
    Only(RecipientId),
    /// One Slack channel, whatever it wants.
    OnlyChannel(SlackChannelId),
}

/// What is told.
#[derive(Clone, Debug)]
pub struct Telling<'a> {
    /// What it is about: the same is told to the same target once.
    pub about: &'a str,
    /// The message's kind, as the templates know it.
    pub kind: &'a str,
    /// The figures, frozen.
    pub figures: Value,
    /// Who is told.
    pub audience: Audience,
    /// Now.
    pub at: DateTime<Utc>,
    /// From when it is of no more use.
    pub expires_at: DateTime<Utc>,
}

/// Tells everybody of the audience, in this transaction. Says how many messages that makes.
pub async fn tell(
    tx: &mut TenantConn,
    telling: &Telling<'_>,
    entropy: &dyn Entropy,
) -> Result<usize, StoreError> {
    let mut told = 0;
    for target in targets(tx, telling.audience).await? {
        let id = MessageId::new(telling.at, entropy.for_id());
        let job = job(&SendMessage { tenant: tx.tenant_id(), message: id, ask: 0 })?;
        let message = NewMessage {
            id,
            about: telling.about.to_owned(),
            kind: telling.kind.to_owned(),
            target,
            figures: telling.figures.clone(),
            created_at: telling.at,
            expires_at: telling.expires_at,
            job_id: job.id(),
        };
        if tx.create_message(&message).await? {
            ask_for(tx, job).await?;
            told += 1;
        }
    }
    Ok(told)
}

async fn targets(tx: &mut TenantConn, audience: Audience) -> Result<Vec<MessageTarget>, StoreError> {
    if let Audience::Only(id) = audience {
        return Ok(vec![MessageTarget::Recipient(id)]);
    }
    if let Audience::OnlyChannel(id) = audience {
        return Ok(vec![MessageTarget::Slack(id)]);
    }
    let wants = |digest, alerts| match audience {
        Audience::Digest => digest,
        Audience::Alerts => alerts,
        Audience::People | Audience::Only(_) | Audience::OnlyChannel(_) => true,
    };
    let people = tx.list_recipients().await?;
    let people = people.into_iter().filter(|to| to.is_active() && wants(to.digest, to.alerts));
    let mut targets: Vec<_> = people.map(|to| MessageTarget::Recipient(to.id)).collect();
    if audience != Audience::People {
        let channels = tx.list_slack_channels().await?;
        let channels =
            channels.into_iter().filter(|to| to.stopped_at.is_none() && wants(to.digest, to.alerts));
        targets.extend(channels.map(|to| MessageTarget::Slack(to.id)));
    }
    Ok(targets)
}
