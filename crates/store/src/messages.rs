//! What goes to people, and the ledger of each send.
//!
//! A message is `sending` before its first byte goes out. One that is found so by a later attempt may have arrived:
//! it is known as such, and whether it is sent again is a choice, not an accident.

use chrono::{DateTime, Utc};
use costlens_domain::{MessageId, RecipientId, SlackChannelId, TenantId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use crate::db::named;
use crate::schema::{message, tenant};
use crate::{StoreError, SystemConn, TenantConn};

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageTarget {
    /// A person, by e-mail.
    Recipient(RecipientId),
    /// A Slack channel.
    Slack(SlackChannelId),
}

impl MessageTarget {
    const fn parts(self) -> (&'static str, Uuid) {
        match self {
            Self::Recipient(id) => ("email", id.uuid()),
            Self::Slack(id) => ("slack", id.uuid()),
        }
    }
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageState {
    /// Nothing has gone out.
    Queued,
    /// It goes out, or whoever sent it died meanwhile.
    Sending,
    /// The other side took it.
    Sent,
    /// It may have arrived.
    Unknown,
    /// The other side refused it for good.
    Refused,
    /// It is no longer wanted there.
    Suppressed,
    /// It came too late to be of use.
    Expired,
}

impl MessageState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Suppressed => "suppressed",
            Self::Expired => "expired",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [
            Self::Queued,
            Self::Sending,
            Self::Sent,
            Self::Unknown,
            Self::Refused,
            Self::Suppressed,
            Self::Expired,
        ]
        .into_iter()
        .find(|state| state.as_str() == name)
    }
}

/// A message to be written.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its id.
    pub id: MessageId,
    /// What it is about: with the target, what makes it be told once.
    pub about: String,
    /// Its kind, as the templates know it.
    pub kind: String,
    /// Where it goes.
    pub target: MessageTarget,
    /// The figures, frozen.
    pub figures: Value,
    /// When it is written.
    pub created_at: DateTime<Utc>,
    /// From when it is of no more use.
    pub expires_at: DateTime<Utc>,
    /// The one job that may send it.
    pub job_id: Uuid,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they mean what they mean for a new message")]
pub struct Message {
    pub id: MessageId,
    pub kind: String,
    pub target: MessageTarget,
    pub figures: Value,
    /// How far it is.
    pub state: MessageState,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// How often it began to go out.
    pub attempts: u32,
    pub job_id: Uuid,
    /// How often a send may have arrived.
    pub doubts: u32,
    /// When its fate was known.
    pub settled_at: Option<DateTime<Utc>>,
    /// How the other side names it.
    pub provider_id: Option<String>,
    /// What went wrong, in words.
    pub problem: Option<String>,
}

impl TenantConn {
    /// Writes a message. False where the same was written for this target before: then nothing more is to be done.
    pub async fn create_message(&mut self, new: &NewMessage) -> Result<bool, StoreError> {
        let (channel, target) = new.target.parts();
        let written = diesel::insert_into(message::table)
            .values((
                message::tenant_id.eq(self.tenant_id().uuid()),
                message::id.eq(new.id.uuid()),
                message::key.eq(format!("{}:{channel}:{target}", new.about)),
                message::kind.eq(&new.kind),
                message::channel.eq(channel),
                message::target_id.eq(target),
                message::figures.eq(&new.figures),
                message::state.eq(MessageState::Queued.as_str()),
                message::created_at.eq(new.created_at),
                message::expires_at.eq(new.expires_at),
                message::attempts.eq(0),
                message::job_id.eq(new.job_id),
                message::doubts.eq(0),
            ))
            .on_conflict((message::tenant_id, message::key))
            .do_nothing()
            .execute(self.conn()?)
            .await?;
        Ok(written > 0)
    }

    /// How many messages of a kind were written since then, whatever became of whom they were for.
    pub async fn count_messages(&mut self, kind: &str, since: DateTime<Utc>) -> Result<u64, StoreError> {
        let count: i64 = message::table
            .filter(message::tenant_id.eq(self.tenant_id().uuid()))
            .filter(message::kind.eq(kind))
            .filter(message::created_at.ge(since))
            .count()
            .get_result(self.conn()?)
            .await?;
        Ok(crate::db::from_bigint(count))
    }

    /// One message.
    pub async fn message(&mut self, id: MessageId) -> Result<Message, StoreError> {
        let row = message::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: Row = row.select(Row::as_select()).first(self.conn()?).await?;
        row.try_into()
    }

    /// Messages, newest first; `after` is the last id of the page before.
    pub async fn list_messages(
        &mut self,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let mut query = message::table
            .filter(message::tenant_id.eq(self.tenant_id().uuid()))
            .order(message::id.desc())
            .limit(i64::from(limit))
            .select(Row::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(message::id.lt(after.uuid()));
        }
        let rows: Vec<Row> = query.load(self.conn()?).await?;
        rows.into_iter().map(Message::try_from).collect()
    }

    /// When the newest message of this kind for this target was written.
    pub async fn last_message_at(
        &mut self,
        kind: &str,
        target: MessageTarget,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let (channel, target) = target.parts();
        let newest = message::table
            .filter(message::tenant_id.eq(self.tenant_id().uuid()))
            .filter(message::kind.eq(kind))
            .filter(message::channel.eq(channel))
            .filter(message::target_id.eq(target))
            .select(diesel::dsl::max(message::created_at))
            .first(self.conn()?)
            .await?;
        Ok(newest)
    }

    /// Takes a message that waits (or, with `again`, one whose earlier send may have arrived) to be sent now. False
    /// where somebody else has it.
    pub async fn begin_sending(&mut self, id: MessageId, again: bool) -> Result<bool, StoreError> {
        let from = if again {
            vec![
                MessageState::Queued.as_str(),
                MessageState::Sending.as_str(),
                MessageState::Unknown.as_str(),
            ]
        } else {
            vec![MessageState::Queued.as_str()]
        };
        let row = message::table.find((self.tenant_id().uuid(), id.uuid()));
        let taken = diesel::update(row.filter(message::state.eq_any(from)))
            .set((
                message::state.eq(MessageState::Sending.as_str()),
                message::attempts.eq(message::attempts + 1),
                message::doubts.eq(message::doubts + i32::from(again)),
                message::settled_at.eq(None::<DateTime<Utc>>),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(taken > 0)
    }

    /// Gives a message whose job is gone to another. False where somebody else did.
    pub async fn reassign_message(
        &mut self,
        id: MessageId,
        from: Uuid,
        to: Uuid,
    ) -> Result<bool, StoreError> {
        let row = message::table.find((self.tenant_id().uuid(), id.uuid()));
        let given = diesel::update(row.filter(message::job_id.eq(from)))
            .set(message::job_id.eq(to))
            .execute(self.conn()?)
            .await?;
        Ok(given > 0)
    }

    /// Notes that the send which goes on may have arrived, and lets the message wait for another.
    pub async fn doubt_message(&mut self, id: MessageId, problem: &str) -> Result<(), StoreError> {
        let row = message::table.find((self.tenant_id().uuid(), id.uuid()));
        diesel::update(row.filter(message::state.eq(MessageState::Sending.as_str())))
            .set((
                message::state.eq(MessageState::Queued.as_str()),
                message::doubts.eq(message::doubts + 1),
                message::problem.eq(problem),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// Writes down what became of a message. That it was sent holds whatever stood there; anything else holds only for
    /// one that is not settled.
    pub async fn settle_message(
        &mut self,
        id: MessageId,
        state: MessageState,
        at: DateTime<Utc>,
        provider_id: Option<&str>,
        problem: Option<&str>,
    ) -> Result<bool, StoreError> {
        let open = if state == MessageState::Sent {
            vec![
                MessageState::Queued.as_str(),
                MessageState::Sending.as_str(),
                MessageState::Unknown.as_str(),
            ]
        } else {
            vec![MessageState::Queued.as_str(), MessageState::Sending.as_str()]
        };
        let ends = state != MessageState::Queued;
        let row = message::table.find((self.tenant_id().uuid(), id.uuid()));
        let settled = diesel::update(row.filter(message::state.eq_any(open)))
            .set((
                message::state.eq(state.as_str()),
                message::settled_at.eq(ends.then_some(at)),
                message::provider_id.eq(provider_id),
                message::problem.eq(problem),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(settled > 0)
    }
}

impl SystemConn {
    /// Messages that are not settled though they were written before `before`, in the order of their ids, with the jobs
    /// that are to send them, which may be lost; `after` is the last id of the page before.
    pub async fn messages_waiting(
        &mut self,
        before: DateTime<Utc>,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<(TenantId, MessageId, Uuid)>, StoreError> {
        let mut query = message::table
            .inner_join(tenant::table)
            .filter(message::created_at.lt(before))
            .filter(message::state.eq_any([MessageState::Queued.as_str(), MessageState::Sending.as_str()]))
            .order(message::id)
            .limit(i64::from(limit))
            .select((message::tenant_id, message::id, message::job_id))
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(message::id.gt(after.uuid()));
        }
        let rows: Vec<(Uuid, Uuid, Uuid)> = query.load(&mut self.conn).await?;
        Ok(rows.into_iter().map(|(tenant, id, job)| (tenant.into(), id.into(), job)).collect())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = message)]
struct Row {
    id: Uuid,
    kind: String,
    channel: String,
    target_id: Uuid,
    figures: Value,
    state: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    attempts: i32,
    job_id: Uuid,
    doubts: i32,
    settled_at: Option<DateTime<Utc>>,
    provider_id: Option<String>,
    problem: Option<String>,
}

impl TryFrom<Row> for Message {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let target = if row.channel == "email" {
            MessageTarget::Recipient(row.target_id.into())
        } else {
            MessageTarget::Slack(row.target_id.into())
        };
        Ok(Self {
            id: row.id.into(),
            kind: row.kind,
            target,
            figures: row.figures,
            state: named("message.state", &row.state, MessageState::from_name)?,
            created_at: row.created_at,
            expires_at: row.expires_at,
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            job_id: row.job_id,
            doubts: u32::try_from(row.doubts).unwrap_or_default(),
            settled_at: row.settled_at,
            provider_id: row.provider_id,
            problem: row.problem,
        })
    }
}
