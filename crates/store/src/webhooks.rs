//! What happened, for programs: events, the endpoints that are told, and the deliveries to each.
//!
//! An endpoint's URL and secret are credentials and get here sealed.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use costlens_domain::{EventId, TenantId, WebhookEndpointId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use crate::db::{named, to_bigint};
use crate::schema::{event, webhook_delivery, webhook_endpoint};
use crate::{StoreError, SystemConn, TenantConn};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id, which every delivery of it carries.
    pub id: EventId,
    /// What kind of thing, such as `bill.published`.
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The facts.
    pub payload: Value,
}

/// A program that is told.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// What its people call it.
    pub name: String,
    /// The URL's host, which may be shown.
    pub host: String,
    /// The URL, sealed.
    pub sealed_url: Vec<u8>,
    /// The signing secret, sealed.
    pub sealed_secret: Vec<u8>,
    /// The kinds of events it is told; empty for all.
    pub kinds: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when no delivery has succeeded; `None` after one that has.
    pub failing_since: Option<DateTime<Utc>>,
    /// Since when it is told nothing.
    pub stopped_at: Option<DateTime<Utc>>,
    /// Why.
    pub stop_reason: Option<String>,
}

impl std::fmt::Debug for WebhookEndpoint {
    /// Leaves the credentials out, sealed as they are.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookEndpoint")
            .field("id", &self.id)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl WebhookEndpoint {
    /// Whether it is to be told of events of this kind.
    #[must_use]
    pub fn wants(&self, kind: &str) -> bool {
        self.stopped_at.is_none() && (self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind))
    }
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is tried, or will be.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// Every attempt of the schedule failed. It can be sent again by hand.
    Exhausted,
    /// The endpoint is told nothing any more.
    Stopped,
}

impl DeliveryState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Exhausted => "exhausted",
            Self::Stopped => "stopped",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Exhausted, Self::Stopped]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What is told.
    pub event_id: EventId,
    /// To whom.
    pub endpoint_id: WebhookEndpointId,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was tried last.
    pub last_at: Option<DateTime<Utc>>,
    /// When it is tried next.
    pub next_at: Option<DateTime<Utc>>,
    /// When its fate was known.
    pub settled_at: Option<DateTime<Utc>>,
    /// The status that the endpoint answered with last.
    pub last_status: Option<u16>,
    /// Why the last attempt failed, as a stable name.
    pub last_code: Option<String>,
    /// How long the last attempt took.
    pub last_millis: Option<u64>,
    /// How the endpoint's last answer began.
    pub last_answer: Option<String>,
    /// The one job that may deliver it. `None` for one that an earlier version wrote: any may.
    pub job_id: Option<Uuid>,
}

/// What was called in an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// The URL that the endpoint has. What came of it says how the endpoint fares.
    ItsUrl,
    /// The URL that it had before. What came of it says nothing of the one that it has.
    AnotherUrl,
    /// Nothing: the delivery ended without a call.
    Nothing,
}

/// What one attempt came to.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "they mean what they mean for a delivery")]
pub struct DeliveryAttempt {
    pub state: DeliveryState,
    pub called: Called,
    /// How many attempts of the schedule are behind it now.
    pub attempts: u32,
    /// When it was made.
    pub at: DateTime<Utc>,
    pub next_at: Option<DateTime<Utc>>,
    pub status: Option<u16>,
    pub code: Option<String>,
    pub millis: u64,
    pub answer: Option<String>,
}

impl TenantConn {
    /// Writes down what happened.
    pub async fn create_event(&mut self, new: &Event) -> Result<(), StoreError> {
        diesel::insert_into(event::table)
            .values((
                event::tenant_id.eq(self.tenant_id().uuid()),
                event::id.eq(new.id.uuid()),
                event::kind.eq(&new.kind),
                event::at.eq(new.at),
                event::payload.eq(&new.payload),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// One event.
    pub async fn event(&mut self, id: EventId) -> Result<Event, StoreError> {
        let row = event::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: EventRow = row.select(EventRow::as_select()).first(self.conn()?).await?;
        Ok(Event { id: row.id.into(), kind: row.kind, at: row.at, payload: row.payload })
    }

    /// The kinds of these events.
    pub async fn event_kinds(&mut self, ids: &[EventId]) -> Result<HashMap<EventId, String>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let rows: Vec<(Uuid, String)> = event::table
            .filter(event::tenant_id.eq(self.tenant_id().uuid()))
            .filter(event::id.eq_any(ids))
            .select((event::id, event::kind))
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(|(id, kind)| (id.into(), kind)).collect())
    }

    /// Adds an endpoint.
    pub async fn create_webhook_endpoint(&mut self, new: &WebhookEndpoint) -> Result<(), StoreError> {
        diesel::insert_into(webhook_endpoint::table)
            .values((
                webhook_endpoint::tenant_id.eq(self.tenant_id().uuid()),
                webhook_endpoint::id.eq(new.id.uuid()),
                webhook_endpoint::name.eq(&new.name),
                webhook_endpoint::host.eq(&new.host),
                webhook_endpoint::sealed_url.eq(&new.sealed_url),
                webhook_endpoint::sealed_secret.eq(&new.sealed_secret),
                webhook_endpoint::kinds.eq(&new.kinds),
                webhook_endpoint::created_at.eq(new.created_at),
            ))
            .execute(self.conn()?)
            .await?;
        Ok(())
    }

    /// All endpoints, oldest first.
    pub async fn list_webhook_endpoints(&mut self) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let rows: Vec<EndpointRow> = webhook_endpoint::table
            .filter(webhook_endpoint::tenant_id.eq(self.tenant_id().uuid()))
            .order(webhook_endpoint::id)
            .select(EndpointRow::as_select())
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(WebhookEndpoint::from).collect())
    }

    /// One endpoint.
    pub async fn webhook_endpoint(&mut self, id: WebhookEndpointId) -> Result<WebhookEndpoint, StoreError> {
        let row = webhook_endpoint::table.find((self.tenant_id().uuid(), id.uuid()));
        let row: EndpointRow = row.select(EndpointRow::as_select()).first(self.conn()?).await?;
        Ok(row.into())
    }

    /// One endpoint, to be changed in this transaction: whoever else changes it waits.
    pub async fn lock_webhook_endpoint(
        &mut self,
        id: WebhookEndpointId,
    ) -> Result<WebhookEndpoint, StoreError> {
        let row = webhook_endpoint::table.find((self.tenant_id().uuid(), id.uuid()));
        let row = row.select(EndpointRow::as_select()).for_no_key_update();
        Ok(row.first::<EndpointRow>(self.conn()?).await?.into())
    }

    /// Puts an endpoint's URL, secret and kinds in the old ones' place, and starts it again if it was stopped.
    pub async fn replace_webhook_endpoint(&mut self, changed: &WebhookEndpoint) -> Result<(), StoreError> {
        let row = webhook_endpoint::table.find((self.tenant_id().uuid(), changed.id.uuid()));
        let replaced = diesel::update(row)
            .set((
                webhook_endpoint::name.eq(&changed.name),
                webhook_endpoint::host.eq(&changed.host),
                webhook_endpoint::sealed_url.eq(&changed.sealed_url),
                webhook_endpoint::sealed_secret.eq(&changed.sealed_secret),
                webhook_endpoint::kinds.eq(&changed.kinds),
                webhook_endpoint::failing_since.eq(None::<DateTime<Utc>>),
                webhook_endpoint::stopped_at.eq(None::<DateTime<Utc>>),
                webhook_endpoint::stop_reason.eq(None::<String>),
            ))
            .execute(self.conn()?)
            .await?;
        if replaced == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// The endpoint is told nothing more, if it still has the URL that was called. True where it was not stopped before.
    pub async fn stop_webhook_endpoint(
        &mut self,
        called: &WebhookEndpoint,
        reason: &str,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let row = webhook_endpoint::table.find((self.tenant_id().uuid(), called.id.uuid()));
        let same = row
            .filter(webhook_endpoint::stopped_at.is_null())
            .filter(webhook_endpoint::sealed_url.eq(&called.sealed_url));
        let stopped = diesel::update(same)
            .set((webhook_endpoint::stopped_at.eq(at), webhook_endpoint::stop_reason.eq(reason)))
            .execute(self.conn()?)
            .await?;
        Ok(stopped > 0)
    }

    /// Removes an endpoint with its deliveries.
    pub async fn delete_webhook_endpoint(&mut self, id: WebhookEndpointId) -> Result<(), StoreError> {
        let row = webhook_endpoint::table.find((self.tenant_id().uuid(), id.uuid()));
        let gone = diesel::delete(row).execute(self.conn()?).await?;
        if gone == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// Writes a delivery, with the job that makes it. False where there is one.
    pub async fn create_delivery(
        &mut self,
        event: EventId,
        endpoint: WebhookEndpointId,
        job: Uuid,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let written = diesel::insert_into(webhook_delivery::table)
            .values((
                webhook_delivery::tenant_id.eq(self.tenant_id().uuid()),
                webhook_delivery::event_id.eq(event.uuid()),
                webhook_delivery::endpoint_id.eq(endpoint.uuid()),
                webhook_delivery::state.eq(DeliveryState::Pending.as_str()),
                webhook_delivery::attempts.eq(0),
                webhook_delivery::created_at.eq(at),
                webhook_delivery::next_at.eq(at),
                webhook_delivery::job_id.eq(job),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn()?)
            .await?;
        Ok(written > 0)
    }

    /// One delivery.
    pub async fn delivery(
        &mut self,
        event: EventId,
        endpoint: WebhookEndpointId,
    ) -> Result<Delivery, StoreError> {
        let row = webhook_delivery::table.find((self.tenant_id().uuid(), event.uuid(), endpoint.uuid()));
        let row: DeliveryRow = row.select(DeliveryRow::as_select()).first(self.conn()?).await?;
        row.try_into()
    }

    /// An endpoint's deliveries, newest event first; `after` is the last event of the page before.
    pub async fn list_deliveries(
        &mut self,
        endpoint: WebhookEndpointId,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut query = webhook_delivery::table
            .filter(webhook_delivery::tenant_id.eq(self.tenant_id().uuid()))
            .filter(webhook_delivery::endpoint_id.eq(endpoint.uuid()))
            .order(webhook_delivery::event_id.desc())
            .limit(i64::from(limit))
            .select(DeliveryRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(webhook_delivery::event_id.lt(after.uuid()));
        }
        let rows: Vec<DeliveryRow> = query.load(self.conn()?).await?;
        rows.into_iter().map(Delivery::try_from).collect()
    }

    /// Writes down what an attempt came to, and how the endpoint fares if its URL was called: since when it fails, or
    /// that it does not. False, and nothing is written, where the delivery has had another attempt meanwhile, or was
    /// given to another job.
    pub async fn note_attempt(
        &mut self,
        before: &Delivery,
        attempt: &DeliveryAttempt,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant_id().uuid();
        let counted = |attempts| i32::try_from(attempts).unwrap_or(i32::MAX);
        let ends = attempt.state != DeliveryState::Pending;
        let row = webhook_delivery::table
            .find((tenant, before.event_id.uuid(), before.endpoint_id.uuid()))
            .filter(webhook_delivery::state.eq(DeliveryState::Pending.as_str()))
            .filter(webhook_delivery::attempts.eq(counted(before.attempts)))
            .filter(webhook_delivery::job_id.is_not_distinct_from(before.job_id));
        // What no call was made for leaves the last call's story as it is.
        let call = (attempt.called != Called::Nothing).then(|| {
            let answer = attempt.answer.as_deref().map(|text| crate::db::mend(text, 1_024));
            (
                webhook_delivery::last_at.eq(attempt.at),
                webhook_delivery::last_status.eq(attempt.status.map(i32::from)),
                webhook_delivery::last_millis.eq(to_bigint(attempt.millis)),
                webhook_delivery::last_answer.eq(answer),
            )
        });
        let noted = diesel::update(row)
            .set((
                webhook_delivery::state.eq(attempt.state.as_str()),
                webhook_delivery::attempts.eq(counted(attempt.attempts)),
                webhook_delivery::next_at.eq(attempt.next_at),
                webhook_delivery::settled_at.eq(ends.then_some(attempt.at)),
                attempt.code.as_deref().map(|code| webhook_delivery::last_code.eq(code)),
                call,
            ))
            .execute(self.conn()?)
            .await?;
        if attempt.called != Called::ItsUrl {
            return Ok(noted > 0);
        }
        let endpoint = webhook_endpoint::table.find((tenant, before.endpoint_id.uuid()));
        if attempt.state == DeliveryState::Delivered {
            diesel::update(endpoint.filter(webhook_endpoint::failing_since.is_not_null()))
                .set(webhook_endpoint::failing_since.eq(None::<DateTime<Utc>>))
                .execute(self.conn()?)
                .await?;
        } else if noted > 0 {
            diesel::update(endpoint.filter(webhook_endpoint::failing_since.is_null()))
                .set(webhook_endpoint::failing_since.eq(attempt.at))
                .execute(self.conn()?)
                .await?;
        }
        Ok(noted > 0)
    }

    /// Lets a delivery begin again by this job, however far it is: an earlier job's attempt counts no more.
    pub async fn restart_delivery(
        &mut self,
        event: EventId,
        endpoint: WebhookEndpointId,
        job: Uuid,
        at: DateTime<Utc>,
    ) -> Result<Delivery, StoreError> {
        let row = webhook_delivery::table.find((self.tenant_id().uuid(), event.uuid(), endpoint.uuid()));
        diesel::update(row)
            .set((
                webhook_delivery::state.eq(DeliveryState::Pending.as_str()),
                webhook_delivery::attempts.eq(0),
                webhook_delivery::next_at.eq(at),
                webhook_delivery::settled_at.eq(None::<DateTime<Utc>>),
                webhook_delivery::job_id.eq(job),
            ))
            .execute(self.conn()?)
            .await?;
        self.delivery(event, endpoint).await
    }

    /// Gives a delivery that waits to another job than it has. False where it does not wait, or has another by now.
    pub async fn reassign_delivery(
        &mut self,
        event: EventId,
        endpoint: WebhookEndpointId,
        from: Option<Uuid>,
        to: Uuid,
    ) -> Result<bool, StoreError> {
        let row = webhook_delivery::table
            .find((self.tenant_id().uuid(), event.uuid(), endpoint.uuid()))
            .filter(webhook_delivery::state.eq(DeliveryState::Pending.as_str()))
            .filter(webhook_delivery::job_id.is_not_distinct_from(from));
        let given = diesel::update(row).set(webhook_delivery::job_id.eq(to)).execute(self.conn()?).await?;
        Ok(given > 0)
    }
}

/// A delivery that should have been tried by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they mean what they mean for a delivery")]
pub struct OverdueDelivery {
    pub tenant_id: TenantId,
    pub event_id: EventId,
    pub endpoint_id: WebhookEndpointId,
    pub job_id: Option<Uuid>,
}

impl SystemConn {
    /// Deliveries whose next attempt was due before this moment, in the order of their events and endpoints; `after` is
    /// the last of the page before.
    pub async fn overdue_deliveries(
        &mut self,
        before: DateTime<Utc>,
        after: Option<&OverdueDelivery>,
        limit: u32,
    ) -> Result<Vec<OverdueDelivery>, StoreError> {
        let mut query = webhook_delivery::table
            .filter(webhook_delivery::state.eq(DeliveryState::Pending.as_str()))
            .filter(webhook_delivery::next_at.lt(before))
            .order((webhook_delivery::event_id, webhook_delivery::endpoint_id))
            .limit(i64::from(limit))
            .select((
                webhook_delivery::tenant_id,
                webhook_delivery::event_id,
                webhook_delivery::endpoint_id,
                webhook_delivery::job_id,
            ))
            .into_boxed();
        if let Some(after) = after {
            let of_the_event = webhook_delivery::event_id.eq(after.event_id.uuid());
            let behind = of_the_event.and(webhook_delivery::endpoint_id.gt(after.endpoint_id.uuid()));
            query = query.filter(webhook_delivery::event_id.gt(after.event_id.uuid()).or(behind));
        }
        let rows: Vec<(Uuid, Uuid, Uuid, Option<Uuid>)> = query.load(&mut self.conn).await?;
        let one = |(tenant, event, endpoint, job_id): (Uuid, Uuid, Uuid, Option<Uuid>)| OverdueDelivery {
            tenant_id: tenant.into(),
            event_id: event.into(),
            endpoint_id: endpoint.into(),
            job_id,
        };
        Ok(rows.into_iter().map(one).collect())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = event)]
struct EventRow {
    id: Uuid,
    kind: String,
    at: DateTime<Utc>,
    payload: Value,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_endpoint)]
struct EndpointRow {
    id: Uuid,
    name: String,
    host: String,
    sealed_url: Vec<u8>,
    sealed_secret: Vec<u8>,
    kinds: Vec<String>,
    created_at: DateTime<Utc>,
    failing_since: Option<DateTime<Utc>>,
    stopped_at: Option<DateTime<Utc>>,
    stop_reason: Option<String>,
}

impl From<EndpointRow> for WebhookEndpoint {
    fn from(row: EndpointRow) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            host: row.host,
            sealed_url: row.sealed_url,
            sealed_secret: row.sealed_secret,
            kinds: row.kinds,
            created_at: row.created_at,
            failing_since: row.failing_since,
            stopped_at: row.stopped_at,
            stop_reason: row.stop_reason,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_delivery)]
struct DeliveryRow {
    event_id: Uuid,
    endpoint_id: Uuid,
    state: String,
    attempts: i32,
    created_at: DateTime<Utc>,
    last_at: Option<DateTime<Utc>>,
    next_at: Option<DateTime<Utc>>,
    settled_at: Option<DateTime<Utc>>,
    last_status: Option<i32>,
    last_code: Option<String>,
    last_millis: Option<i64>,
    last_answer: Option<String>,
    job_id: Option<Uuid>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        Ok(Self {
            event_id: row.event_id.into(),
            endpoint_id: row.endpoint_id.into(),
            state: named("webhook_delivery.state", &row.state, DeliveryState::from_name)?,
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            created_at: row.created_at,
            last_at: row.last_at,
            next_at: row.next_at,
            settled_at: row.settled_at,
            last_status: row.last_status.and_then(|status| u16::try_from(status).ok()),
            last_code: row.last_code,
            last_millis: row.last_millis.and_then(|millis| u64::try_from(millis).ok()),
            last_answer: row.last_answer,
            job_id: row.job_id,
        })
    }
}
