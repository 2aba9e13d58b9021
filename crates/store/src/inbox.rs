//! Messages of other services that were verified: each is kept once by its sender's id, and acted upon once.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use crate::schema::inbox_event;
use crate::{StoreError, SystemConn};

/// A message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEvent {
    /// Who sent it: `clerk`.
    pub source: String,
    /// The sender's id of it, which stays the same over all deliveries.
    pub message_id: String,
    /// The sender's name for what happened.
    pub kind: String,
    /// What is acted upon. No name of a person and no address.
    pub payload: Value,
    /// Whether anybody acts on it.
    pub is_heeded: bool,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

impl SystemConn {
    /// Keeps a message. Says whether it is new: one that is there already is left as it is.
    pub async fn keep_inbox_event(&mut self, event: &InboxEvent) -> Result<bool, StoreError> {
        let kept = diesel::insert_into(inbox_event::table)
            .values((
                inbox_event::source.eq(&event.source),
                inbox_event::message_id.eq(&event.message_id),
                inbox_event::kind.eq(&event.kind),
                inbox_event::payload.eq(&event.payload),
                inbox_event::state.eq(if event.is_heeded { "queued" } else { "ignored" }),
                inbox_event::received_at.eq(event.received_at),
            ))
            .on_conflict_do_nothing()
            .execute(&mut self.conn)
            .await?;
        Ok(kept > 0)
    }

    /// Takes a message to act on it in this transaction: of any number of tries one gets its payload. `None` if it was
    /// acted upon before, is none to act on, or is gone.
    pub async fn take_inbox_event(
        &mut self,
        source: &str,
        message_id: &str,
        at: DateTime<Utc>,
    ) -> Result<Option<Value>, StoreError> {
        let queued = inbox_event::table.find((source, message_id)).filter(inbox_event::state.eq("queued"));
        let taken = diesel::update(queued)
            .set((inbox_event::state.eq("done"), inbox_event::done_at.eq(at)))
            .returning(inbox_event::payload)
            .get_result(&mut self.conn)
            .await
            .optional()?;
        Ok(taken)
    }

    /// Removes messages that came before this moment, and what was last heard of outer objects before it, at most so
    /// many of each; says how many.
    pub async fn purge_outer(&mut self, before: DateTime<Utc>, most: i64) -> Result<usize, StoreError> {
        let mut removed = 0;
        for sql in [
            "DELETE FROM inbox_event WHERE (source, message_id) IN \
             (SELECT source, message_id FROM inbox_event WHERE received_at < $1 LIMIT $2)",
            "DELETE FROM outer_object WHERE (issuer, kind, id) IN \
             (SELECT issuer, kind, id FROM outer_object WHERE seen_at < $1 LIMIT $2)",
        ] {
            removed += diesel::sql_query(sql)
                .bind::<Timestamptz, _>(before)
                .bind::<BigInt, _>(most)
                .execute(&mut self.conn)
                .await?;
        }
        Ok(removed)
    }
}
