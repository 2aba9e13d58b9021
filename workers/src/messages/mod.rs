//! Messages to people: each goes out once, as far as anybody can know.
//!
//! `sending` stands in the ledger before the first byte leaves. A worker that finds it there knows that an earlier one
//! died or froze in the middle: what the message is decides whether twice is better than never. A digest that may have
//! arrived is not sent again; the word that an account is about to be erased is.

use std::time::Duration;

use costlens_domain::{MessageId, TenantId};
use costlens_jobs::ask_for;
use costlens_jobs::messages::SendMessage;
use costlens_notify::words::Link;
use costlens_notify::{Kind, MailTo, Message, Retry, SendError, SlackUrl, slack};
use costlens_queue::ops::{self, State};
use costlens_queue::{ErrorClass, Job, JobContext, JobError};
use costlens_store::{self as store, MessageState, MessageTarget, StopReason, TenantConn};
use costlens_vault::LinkPurpose;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{ChannelNews, WorkerParts, sealing, store_failure, tell_of_channel};

/// What is not settled this long after it was written has lost its job.
const LOST_AFTER: chrono::TimeDelta = chrono::TimeDelta::minutes(30);
/// How often what must arrive is sent although an earlier send may have arrived.
const MOST_DOUBTS: u32 = 3;
/// How many are looked at in one step.
const LOST_AT_ONCE: u32 = 500;

/// Asks for messages whose jobs are lost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindMessages {}

impl Job for FindMessages {
    const QUEUE: &'static str = "message-sweep.v1";
}

/// Where a message is to go, with everything that sending it needs.
enum Way {
    Mail { to: String, letter: costlens_notify::Letter, one_click: Option<Link> },
    Slack { url: SlackUrl, message: costlens_notify::SlackMessage },
}

/// Kinds that are sent rather twice than never: somebody must hear of them.
const fn must_arrive(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ConfirmRecipient | Kind::DeletionRequested | Kind::DeletionCancelled | Kind::ChannelDisabled
    )
}

/// Kinds that still go out while the account is frozen.
const fn is_about_closing(kind: Kind) -> bool {
    matches!(kind, Kind::DeletionRequested | Kind::DeletionCancelled)
}

/// Sends a message and writes down what became of it.
pub(crate) async fn send_message(
    job: SendMessage,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    // Where it does not work, whoever needs the keys says so; a letter needs none.
    let _said_by_whoever_opens = sealing::ready(&parts, job.tenant).await;
    let mut tx = parts.store.tenant(job.tenant).await.map_err(store_failure)?;
    let message = match tx.message(job.message).await {
        Ok(message) => message,
        // Purged, or erased with its account.
        Err(store::StoreError::NotFound) => return Ok(()),
        Err(error) => return Err(store_failure(error)),
    };
    if message.job_id != context.id() {
        // It was given to another job, because this one was thought lost.
        return Ok(());
    }
    let kind: Kind = message.kind.parse().map_err(|bad| JobError::give_up(ErrorClass::Bug, "kind", bad))?;
    let now = parts.clock.now();
    match message.state {
        MessageState::Queued => {}
        MessageState::Sending if must_arrive(kind) && message.doubts < MOST_DOUBTS => {}
        MessageState::Sending => {
            let why = "a worker ended while it was being sent; it may have arrived and is not sent again";
            return settle(tx, job.message, MessageState::Unknown, (&parts, None, Some(why))).await;
        }
        _ => return Ok(()),
    }
    if now >= message.expires_at {
        return settle(tx, job.message, MessageState::Expired, (&parts, None, None)).await;
    }
    let way = match way(&mut tx, &parts, &message, kind).await? {
        Ok(way) => way,
        Err(why) => {
            return settle(tx, job.message, MessageState::Suppressed, (&parts, None, Some(why))).await;
        }
    };
    let again = message.state == MessageState::Sending;
    if !tx.begin_sending(job.message, again).await.map_err(store_failure)? {
        return Ok(());
    }
    tx.commit().await.map_err(store_failure)?;
    let sent = send(&parts, job.message, &way).await;
    let tx = parts.store.tenant(job.tenant).await.map_err(store_failure)?;
    conclude(tx, &context, &parts, (&message, kind), sent).await
}

/// Sends. From here on the other side may have it.
async fn send(parts: &WorkerParts, id: MessageId, way: &Way) -> Result<Option<String>, SendError> {
    match way {
        Way::Mail { to, letter, one_click } => {
            let Some(mailer) = &parts.mailer else {
                let text = "no mail server is configured".to_owned();
                return Err(SendError::NotSent { retry: Retry::Later, code: None, text });
            };
            let mail = MailTo {
                to: to.clone(),
                message_id_key: id.to_string(),
                list_unsubscribe: one_click.clone(),
            };
            mailer.send(&mail, letter, parts.clock.now()).await.map(|accepted| accepted.provider_id)
        }
        Way::Slack { url, message } => slack::post(&parts.egress, url, message).await.map(|()| None),
    }
}

/// Writes down what became of a send, and says whether it is tried again.
async fn conclude(
    mut tx: TenantConn,
    context: &JobContext,
    parts: &WorkerParts,
    (message, kind): (&store::Message, Kind),
    sent: Result<Option<String>, SendError>,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let error = match sent {
        Ok(provider_id) => {
            return settle(tx, message.id, MessageState::Sent, (parts, provider_id.as_deref(), None)).await;
        }
        Err(error) => error,
    };
    let text = error.to_string();
    let problem = Some(text.as_str());
    match error {
        SendError::NotSent { retry: Retry::Never, .. } if !must_arrive(kind) => {
            settle(tx, message.id, MessageState::Refused, (parts, None, problem)).await?;
            Err(JobError::give_up(ErrorClass::Bug, "message_refused", error))
        }
        SendError::AddressRefused { permanent: true, .. } => {
            if let MessageTarget::Recipient(id) = message.target {
                tx.stop_recipient(id, StopReason::Bounced, now).await.map_err(store_failure)?;
            }
            settle(tx, message.id, MessageState::Refused, (parts, None, problem)).await
        }
        SendError::ChannelGone { .. } => {
            if let MessageTarget::Slack(id) = message.target {
                stop_channel(&mut tx, parts, id, &text).await?;
            }
            settle(tx, message.id, MessageState::Refused, (parts, None, problem)).await
        }
        SendError::Unknown { .. } if !must_arrive(kind) || message.doubts >= MOST_DOUBTS => {
            settle(tx, message.id, MessageState::Unknown, (parts, None, problem)).await
        }
        SendError::Unknown { .. } => {
            tx.doubt_message(message.id, &text).await.map_err(store_failure)?;
            tx.commit().await.map_err(store_failure)?;
            Err(JobError::retry(error))
        }
        SendError::NotSent { .. } | SendError::AddressRefused { .. } => {
            // What must arrive waits on for the sweeper, until it is of no more use; everything else ends here.
            let last = context.is_last_attempt() && !must_arrive(kind);
            let state = if last { MessageState::Refused } else { MessageState::Queued };
            let wait = match &error {
                SendError::NotSent { retry: Retry::After(wait), .. } => Some(*wait),
                _ => None,
            };
            settle(tx, message.id, state, (parts, None, problem)).await?;
            Err(match wait {
                Some(wait) => JobError::retry_after(wait.min(Duration::from_hours(2)), error),
                None => JobError::retry(error),
            })
        }
    }
}

/// Writes a state down, and keeps it.
async fn settle(
    mut tx: TenantConn,
    id: MessageId,
    state: MessageState,
    (parts, provider_id, problem): (&WorkerParts, Option<&str>, Option<&str>),
) -> Result<(), JobError> {
    let now = parts.clock.now();
    tx.settle_message(id, state, now, provider_id, problem).await.map_err(store_failure)?;
    tx.commit().await.map_err(store_failure)
}

/// Where the message goes and in what words; why it goes nowhere, where nobody wants it any more.
async fn way(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    message: &store::Message,
    kind: Kind,
) -> Result<Result<Way, &'static str>, JobError> {
    let tenant = tx.tenant().await.map_err(store_failure)?;
    if tenant.closing_at.is_some() && !is_about_closing(kind) {
        return Ok(Err("the account is being closed"));
    }
    match message.target {
        MessageTarget::Recipient(id) => {
            let to = match tx.recipient(id).await {
                Ok(to) => to,
                Err(store::StoreError::NotFound) => return Ok(Err("the recipient was removed")),
                Err(error) => return Err(store_failure(error)),
            };
            if !to.is_active() && kind != Kind::ConfirmRecipient {
                return Ok(Err("the recipient has not agreed, or wants no more"));
            }
            if to.stop_reason.as_deref() == Some("bounced") && kind != Kind::ConfirmRecipient {
                return Ok(Err("the address does not take mail"));
            }
            let row = (tenant.id, id.uuid());
            let preferences = parts.links.that_does(&parts.keyring, LinkPurpose::Unsubscribe, row)?;
            let confirm = parts.links.that_does(&parts.keyring, LinkPurpose::Confirm, row)?;
            // The link keeps the account from this end, and from no later one.
            let closure = tx.closure().await.map_err(store_failure)?;
            let closure = closure.map_or_else(|| tenant.id.uuid(), |erasure| erasure.id.uuid());
            let cancel =
                parts.links.that_does(&parts.keyring, LinkPurpose::KeepAccount, (tenant.id, closure))?;
            let links = [("preferences", &preferences), ("confirm", &confirm), ("cancel", &cancel)];
            let letter = words(&message.figures, kind, &links)?
                .letter()
                .map_err(|error| JobError::give_up(ErrorClass::Bug, "template", error))?;
            let subscribed = matches!(kind, Kind::ConfirmRecipient) || is_about_closing(kind);
            let one_click = (!subscribed).then(|| parts.links.one_click(&parts.keyring, row)).transpose()?;
            Ok(Ok(Way::Mail { to: to.email, letter, one_click }))
        }
        MessageTarget::Slack(id) => {
            let channel = match tx.slack_channel(id).await {
                Ok(channel) => channel,
                Err(store::StoreError::NotFound) => return Ok(Err("the channel was removed")),
                Err(error) => return Err(store_failure(error)),
            };
            if channel.stopped_at.is_some() {
                return Ok(Err("the channel is stopped"));
            }
            let place = ("slack_channel", "sealed_url", id.uuid());
            let url = sealing::open(&parts.keyring, tx, place, &channel.sealed_url).await?;
            let url = SlackUrl::parse(&url, parts.egress.policy())
                .map_err(|refused| JobError::give_up(ErrorClass::CustomerAction, "slack_url", refused))?;
            let preferences = parts.links.to("/notifications")?;
            let message = words(&message.figures, kind, &[("preferences", &preferences)])?.slack();
            Ok(match message {
                Some(message) => Ok(Way::Slack { url, message }),
                None => Err("this kind does not go to Slack"),
            })
        }
    }
}

/// The message in words: the frozen figures, with the links that are this target's own.
fn words(figures: &Value, kind: Kind, links: &[(&str, &Link)]) -> Result<Message, JobError> {
    let mut figures = figures.clone();
    if let Some(figures) = figures.as_object_mut() {
        figures.insert("kind".to_owned(), kind.as_str().into());
        for (name, link) in links {
            figures.insert((*name).to_owned(), link.as_str().into());
        }
    }
    Ok(serde_json::from_value(figures)?)
}

/// A Slack channel that is no more is stopped, and the people are told, in one transaction.
async fn stop_channel(
    tx: &mut TenantConn,
    parts: &WorkerParts,
    id: costlens_domain::SlackChannelId,
    why: &str,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    if !tx.stop_slack_channel(id, why, now).await.map_err(store_failure)? {
        return Ok(());
    }
    let channel = tx.slack_channel(id).await.map_err(store_failure)?;
    let news = ChannelNews {
        medium: costlens_notify::words::Medium::Slack,
        id: &id.to_string(),
        name: &channel.name,
        why,
        fails_since: None,
    };
    tell_of_channel(tx, parts, &news).await
}

/// Asks anew for messages whose jobs are gone. A message's own row is what counts; the job only carries it, and one
/// that lives is left to it, however long it takes.
pub(crate) async fn find_messages(
    _job: FindMessages,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let now = parts.clock.now();
    let mut after = None;
    loop {
        let mut system = parts.store.system().await.map_err(store_failure)?;
        let waiting = system.messages_waiting(now - LOST_AFTER, after, LOST_AT_ONCE).await;
        let waiting = waiting.map_err(store_failure)?;
        drop(system);
        let Some((_, last, _)) = waiting.last() else { return Ok(()) };
        after = Some(*last);
        for lost in waiting {
            if context.is_cancelled() {
                return Err(JobError::cancelled());
            }
            look_after(&parts, &context, lost).await?;
        }
    }
}

/// Leaves a message to its job, ends it with it, or gives it another.
async fn look_after(
    parts: &WorkerParts,
    context: &JobContext,
    (tenant, message, job): (TenantId, MessageId, Uuid),
) -> Result<(), JobError> {
    let mut conn = context.queue().conn().await?;
    let found = ops::show(&mut conn, job, None).await?.map(|found| found.job);
    drop(conn);
    match found {
        Some(job) if !matches!(job.state, State::Done | State::Dead | State::Cancelled) => Ok(()),
        Some(job) if job.state == State::Cancelled => {
            end(parts, tenant, message, MessageState::Suppressed, "sending it was cancelled").await
        }
        // Ours to mend: asking again would only give the same. Not so where workers died, or had none for it: nobody has
        // said no, and the next job knows by the message's state whether it may have gone out.
        Some(job)
            if job.state == State::Dead && job.class == Some(ErrorClass::Bug) && !job.ended_unheard() =>
        {
            let code = job.code.as_deref().unwrap_or("bug");
            end(parts, tenant, message, MessageState::Refused, code).await
        }
        _ => ask_again(parts, tenant, message, (job, parts.clock.now().timestamp() / 60)).await,
    }
}

async fn end(
    parts: &WorkerParts,
    tenant: TenantId,
    message: MessageId,
    state: MessageState,
    why: &str,
) -> Result<(), JobError> {
    let tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    settle(tx, message, state, (parts, None, Some(why))).await
}

/// The message's new job, in one transaction with its being the one.
async fn ask_again(
    parts: &WorkerParts,
    tenant: TenantId,
    message: MessageId,
    (lost, minute): (Uuid, i64),
) -> Result<(), JobError> {
    let mut tx = parts.store.tenant(tenant).await.map_err(store_failure)?;
    let job = costlens_jobs::job(&SendMessage { tenant, message, ask: minute }).map_err(store_failure)?;
    let id = job.id();
    let asked = ask_for(&mut tx, job).await.map_err(store_failure)?.is_new();
    if asked && tx.reassign_message(message, lost, id).await.map_err(store_failure)? {
        tx.commit().await.map_err(store_failure)?;
    }
    Ok(())
}
