//! Effects outside the database, under a ledger: intended before the call, sent after it. What may have happened is
//! never done again blindly; the other side is asked.

use std::future::Future;

use chrono::{DateTime, Utc};
use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Flow, Run};
use crate::{JobError, QueueError};

/// What a call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent<T> {
    /// How the other side names it.
    pub provider_id: Option<String>,
    /// What the handler wants to know of it later.
    pub value: T,
}

impl<T> Sent<T> {
    /// An effect that the other side has no name for.
    pub const fn unnamed(value: T) -> Self {
        Self { provider_id: None, value }
    }
}

/// How a call failed.
#[derive(Debug)]
pub enum CallFailed {
    /// The other side refused, or was never reached: nothing happened, and the call may be made again.
    NotSent(JobError),
    /// A timeout, a broken connection, a 5xx: it may have happened.
    Unknown(JobError),
}

/// What the other side says about a call that may have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciled<T> {
    /// It did.
    Sent(Sent<T>),
    /// It did not: it is made now.
    NotSent,
    /// It cannot say yet. The attempt fails and asks again later.
    StillUnknown,
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<Text>)]
    provider_id: Option<String>,
    #[diesel(sql_type = Jsonb)]
    result: Value,
    #[diesel(sql_type = Timestamptz)]
    intended_at: DateTime<Utc>,
}

#[derive(diesel::QueryableByName)]
struct IntendedRow {
    #[diesel(sql_type = Timestamptz)]
    intended_at: DateTime<Utc>,
}

impl<F: Flow> Run<F> {
    /// Makes a call to `target` at most once for this key. `reconcile` is asked, with the time of the first try, where
    /// an earlier try may have happened: the process died during it, or its answer was [`CallFailed::Unknown`].
    /// Hand the key on to the other side wherever it knows idempotency keys.
    pub async fn call<T, S, SFut, R, RFut>(
        &self,
        target: &str,
        key: &str,
        send: S,
        reconcile: R,
    ) -> Result<Sent<T>, JobError>
    where
        T: Serialize + DeserializeOwned + Send,
        S: FnOnce() -> SFut + Send,
        SFut: Future<Output = Result<Sent<T>, CallFailed>> + Send,
        R: FnOnce(DateTime<Utc>) -> RFut + Send,
        RFut: Future<Output = Result<Reconciled<T>, JobError>> + Send,
    {
        self.check_cancelled()?;
        let intended = if let Some(at) = self.intend(target, key).await? {
            at
        } else {
            let row = self.effect(target, key).await?;
            if row.state == "sent" {
                return Ok(Sent { provider_id: row.provider_id, value: serde_json::from_value(row.result)? });
            }
            match reconcile(row.intended_at).await? {
                Reconciled::Sent(sent) => {
                    self.note_sent(target, key, &sent).await?;
                    return Ok(sent);
                }
                Reconciled::NotSent => {
                    self.note_failed(target, key, row.intended_at, "not_sent", None).await?;
                    self.intend(target, key).await?.ok_or_else(|| {
                        JobError::retry("another worker makes the call").code("effect_contended")
                    })?
                }
                Reconciled::StillUnknown => {
                    let text = format!("{target} cannot say yet whether it was done");
                    return Err(JobError::retry(text).code("effect_unknown"));
                }
            }
        };
        match send().await {
            Ok(sent) => {
                self.note_sent(target, key, &sent).await?;
                Ok(sent)
            }
            Err(CallFailed::NotSent(error)) => {
                self.note_failed(target, key, intended, "not_sent", Some(&error)).await?;
                Err(error)
            }
            Err(CallFailed::Unknown(error)) => {
                self.note_failed(target, key, intended, "unknown", Some(&error)).await?;
                Err(error)
            }
        }
    }

    /// Writes the intention before the call, if the lease stands, and says when that was. `None` where there is one
    /// already that may have happened.
    async fn intend(&self, target: &str, key: &str) -> Result<Option<DateTime<Utc>>, JobError> {
        let row = &self.ctx.held.row;
        let mut conn = self.ctx.queue().conn().await?;
        let written: Option<IntendedRow> = diesel::sql_query(
            "INSERT INTO queue.effect AS e (target, key, run, state) \
             SELECT $1, $2, $3, 'intended' FROM queue.job AS j \
              WHERE j.id = $4 AND j.session = $5 AND j.epoch = $6 AND j.status = 'running' \
             ON CONFLICT (target, key) DO UPDATE SET state = 'intended', run = excluded.run, \
                 intended_at = clock_timestamp(), settled_at = NULL, error = NULL WHERE e.state = 'not_sent' \
             RETURNING intended_at",
        )
        .bind::<Text, _>(target)
        .bind::<Text, _>(key)
        .bind::<SqlUuid, _>(self.id)
        .bind::<SqlUuid, _>(row.id)
        .bind::<SqlUuid, _>(row.session)
        .bind::<BigInt, _>(row.epoch)
        .get_result(&mut *conn)
        .await
        .optional()?;
        if written.is_none() {
            // There is one, or the lease is lost.
            self.fence(&mut conn).await?;
        }
        Ok(written.map(|row| row.intended_at))
    }

    async fn effect(&self, target: &str, key: &str) -> Result<Row, JobError> {
        let mut conn = self.ctx.queue().conn().await?;
        let sql =
            "SELECT state, provider_id, result, intended_at FROM queue.effect WHERE target = $1 AND key = $2";
        let query = diesel::sql_query(sql).bind::<Text, _>(target).bind::<Text, _>(key);
        Ok(query.get_result(&mut *conn).await?)
    }

    /// Writes that the call was made. That is so whoever has the job by now.
    async fn note_sent<T: Serialize>(&self, target: &str, key: &str, sent: &Sent<T>) -> Result<(), JobError> {
        let result = serde_json::to_value(&sent.value)?;
        let mut conn = self.ctx.queue().conn().await?;
        diesel::sql_query(
            "UPDATE queue.effect SET state = 'sent', provider_id = $3, result = $4, error = NULL, \
                 settled_at = clock_timestamp() WHERE target = $1 AND key = $2 AND state <> 'sent'",
        )
        .bind::<Text, _>(target)
        .bind::<Text, _>(key)
        .bind::<Nullable<Text>, _>(sent.provider_id.as_deref())
        .bind::<Jsonb, _>(result)
        .execute(&mut *conn)
        .await?;
        Ok(())
    }

    /// Writes that the call of this intention was not made, or may have been. Only while the lease stands, and only if
    /// nobody has intended it anew: what another worker does is not ours to judge.
    async fn note_failed(
        &self,
        target: &str,
        key: &str,
        intended: DateTime<Utc>,
        state: &str,
        error: Option<&JobError>,
    ) -> Result<(), JobError> {
        let row = &self.ctx.held.row;
        let error = error.map(|error| crate::fault::describe(error));
        let mut conn = self.ctx.queue().conn().await?;
        let noted = diesel::sql_query(
            "UPDATE queue.effect SET state = $3, error = $4, settled_at = clock_timestamp() \
              WHERE target = $1 AND key = $2 AND intended_at = $5 AND state <> 'sent' \
                AND EXISTS (SELECT FROM queue.job AS j WHERE j.id = $6 AND j.session = $7 AND j.epoch = $8 \
                               AND j.status = 'running')",
        )
        .bind::<Text, _>(target)
        .bind::<Text, _>(key)
        .bind::<Text, _>(state)
        .bind::<Nullable<Text>, _>(error)
        .bind::<Timestamptz, _>(intended)
        .bind::<SqlUuid, _>(row.id)
        .bind::<SqlUuid, _>(row.session)
        .bind::<BigInt, _>(row.epoch)
        .execute(&mut *conn)
        .await?;
        if noted == 0 { Err(QueueError::LeaseLost.into()) } else { Ok(()) }
    }
}
