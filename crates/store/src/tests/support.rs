//! What the tests share: facts of a given shape, and the owner's view of the database.

use chrono::{DateTime, Duration, Utc};
use costlens_domain::privacy::BodyState;
use costlens_domain::request::{CostBasis, Outcome, PriceReceipt, Provenance, RequestFact};
use costlens_domain::{RequestId, TenantId, Tokens, Usage};
use diesel_async::{AsyncConnection, AsyncPgConnection};

use crate::testing::{TestDb, unlike_bytes};
use crate::{ApiKey, Store};

/// A tenant with one key.
pub(crate) struct Actor {
    pub(crate) tenant: TenantId,
    pub(crate) key: ApiKey,
}

pub(crate) async fn actor(db: &TestDb, name: &str) -> Actor {
    let tenant = db.create_tenant(name).await;
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let key = db.create_key(tenant, hash).await;
    Actor { tenant, key }
}

/// 2025-11-22 08:26:40 UTC, and so many seconds later.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_800_000, 0).unwrap() + Duration::seconds(seconds)
}

/// A priced call of this moment: 1000 tokens in, 10 out, a tenth of a cent and a bit.
pub(crate) fn fact(actor: &Actor, started_at: DateTime<Utc>) -> RequestFact {
    RequestFact {
        id: RequestId::new(started_at, unlike_bytes()),
        tenant_id: actor.tenant,
        api_key_id: actor.key.id,
        connection_id: None,
        started_at,
        duration_ms: 1_234,
        first_byte_ms: Some(56),
        provider: "openai".to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        model_requested: "gpt-4o".to_owned(),
        model_served: Some("gpt-4o-2024-08-06".to_owned()),
        service_tier: Some("default".to_owned()),
        streamed: true,
        status: Some(200),
        outcome: Outcome::Completed,
        error_code: None,
        usage: Usage {
            fresh_input: Tokens(1_000),
            output: Tokens(10),
            reasoning: Tokens(4),
            ..Usage::default()
        },
        cost_basis: CostBasis::Exact,
        cost: "0.0010000000000001".parse().ok(),
        price: PriceReceipt { price_id: Some("openai/gpt-4o".to_owned()), ..PriceReceipt::default() },
        caller_request_id: Some("caller-1".to_owned()),
        provider_request_id: Some("chatcmpl-1".to_owned()),
        provenance: Provenance::default(),
        body: BodyState::None,
    }
}

/// The same call without a price.
pub(crate) fn unpriced(fact: RequestFact) -> RequestFact {
    RequestFact { cost_basis: CostBasis::Unpriced, cost: None, ..fact }
}

pub(crate) async fn owner(db: &TestDb) -> AsyncPgConnection {
    AsyncPgConnection::establish(db.owner_url()).await.unwrap()
}

pub(crate) async fn ship(store: &Store, facts: &[RequestFact]) -> crate::Shipped {
    store.writer().await.unwrap().insert_facts(facts).await.unwrap()
}
