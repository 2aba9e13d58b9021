//! Digests, alerts and webhooks, at fakes of the world outside: once, to whom it concerns, and through every failure.

mod alerts;
mod digests;
mod webhooks;

use chrono::{DateTime, Utc};
use costlens_domain::alerts::{BudgetRule, BudgetScope};
use costlens_domain::calendar::Period;
use costlens_domain::events::EventKind;
use costlens_domain::request::{CostBasis, RequestFact};
use costlens_domain::{BudgetId, TenantId};
use costlens_jobs::events::happened;
use costlens_store::testing::unlike_bytes;
use costlens_store::{Budget, Message, MessageState};
use serde_json::{Value, json};

use super::Office;
use super::account::Account;
use super::outside::Post;

/// A Monday, nine o'clock in New York (14:00 UTC).
fn monday() -> DateTime<Utc> {
    "2026-11-23T14:00:00Z".parse().unwrap()
}

async fn messages(office: &Office, tenant: TenantId) -> Vec<Message> {
    office.parts.store.tenant(tenant).await.unwrap().list_messages(None, 100).await.unwrap()
}

fn state_of(messages: &[Message], kind: &str, channel: &str) -> Vec<MessageState> {
    let is_mail = |message: &Message| matches!(message.target, costlens_store::MessageTarget::Recipient(_));
    let of =
        messages.iter().filter(|message| message.kind == kind && is_mail(message) == (channel == "email"));
    of.map(|message| message.state).collect()
}

pub(crate) async fn budget(office: &Office, tenant: TenantId, amount: &str) {
    let now = office.parts.clock.now();
    let budget = Budget {
        id: BudgetId::new(now, unlike_bytes()),
        name: "All of it".to_owned(),
        rule: BudgetRule {
            scope: BudgetScope::default(),
            period: Period::Day,
            amount: amount.parse().unwrap(),
            thresholds: vec![50, 80, 100],
        },
        created_at: now,
        ended_at: None,
    };
    let mut tx = office.parts.store.tenant(tenant).await.unwrap();
    tx.create_budget(&budget).await.unwrap();
    tx.commit().await.unwrap();
}

fn events(posts: &[Post], kind: &str) -> Vec<Value> {
    let bodies = posts.iter().map(|post| serde_json::from_str::<Value>(&post.body).unwrap());
    bodies.filter(|body| body["type"] == kind).collect()
}

/// Calls of no known price.
fn unpriced(call: RequestFact) -> RequestFact {
    RequestFact { cost_basis: CostBasis::Unpriced, cost: None, ..call }
}

pub(crate) async fn tell(office: &Office, acme: &Account) -> costlens_domain::EventId {
    let now = office.parts.clock.now();
    let mut tx = office.parts.store.tenant(acme.tenant).await.unwrap();
    let payload = json!({ "name": "ci" });
    let id = happened(&mut tx, EventKind::KeyCreated, payload, now, &*office.parts.entropy).await.unwrap();
    tx.commit().await.unwrap();
    id
}
