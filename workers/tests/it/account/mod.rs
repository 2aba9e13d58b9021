//! An account with everything that one can have: a row in every tenant table, and a canary in every place that could
//! keep one.

mod bills;
mod people;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::alerts::{BudgetRule, BudgetScope, Surprise};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::calendar::{Period, Zone};
use costlens_domain::events::EventKind;
use costlens_domain::export::{ExportFormat, ExportWhat};
use costlens_domain::privacy::{BodyClass, BodyState, PrivacySettings};
use costlens_domain::request::{CostBasis, Outcome, PriceReceipt, Provenance, RequestFact};
use costlens_domain::{
    AnomalyId, ApiKeyId, AuditEventId, BudgetId, CandidateRuleId, ConnectionId, Currency, ExportId,
    InsightEventId, RecipientId, RecommendationId, RequestId, SessionId, SlackChannelId, SupportGrantId,
    TenantId, Tokens, Usage, Usd, WebhookEndpointId,
};
use costlens_jobs::events::happened;
use costlens_jobs::exports::{WriteExport, ask_to_write};
use costlens_notify::webhooks::WebhookSecret;
use costlens_store::testing::unlike_bytes;
use costlens_store::{
    Anomaly, Budget, Cadence, CandidateRule, CandidateScope, IdempotencyKey, Idempotent, InsightEvent,
    NewAuditEvent, NewConnection, NewExport, NewSession, NewSignInLink, NewSupportGrant, Recommendation,
    RequestFilter, SealedBody, StoredAnswer, TenantConn, TenantSettings, WebhookEndpoint,
};
use costlens_vault::SealedFor;
use costlens_workers::WorkerParts;
use serde_json::json;
use uuid::Uuid;

use super::Office;
use super::outside::Outside;

/// What no byte may be left of.
pub(crate) const CANARY: &str = "Canary-Zeisig";

/// Who keeps people elsewhere.
pub(crate) const ISSUER: &str = "https://clerk.example";

/// An account and what it is known by.
pub(crate) struct Account {
    pub(crate) tenant: TenantId,
    pub(crate) key: ApiKeyId,
    pub(crate) recipient: RecipientId,
    pub(crate) slack: SlackChannelId,
    pub(crate) endpoint: WebhookEndpointId,
    pub(crate) secret: WebhookSecret,
}

async fn fill_privacy(tx: &mut TenantConn, now: DateTime<Utc>) {
    let privacy = PrivacySettings { body_class: BodyClass::Forever, ..PrivacySettings::INITIAL };
    tx.put_privacy(&privacy, now).await.unwrap();
    let leave = NewSupportGrant {
        id: SupportGrantId::new(now, unlike_bytes()),
        reason: format!("{CANARY} leave"),
        granted_at: now,
        expires_at: now + TimeDelta::hours(72),
    };
    tx.create_support_grant(&leave).await.unwrap();
}

impl Account {
    /// An account whose people hear of everything, at the fakes outside.
    pub(crate) async fn open(office: &Office, outside: &Outside, name: &str) -> Self {
        let parts = &office.parts;
        let now = parts.clock.now();
        let tenant = office.db.create_tenant(name).await;
        let mut hash = [0; 32];
        hash[..10].copy_from_slice(&unlike_bytes());
        let key = office.db.create_key(tenant, hash).await.id;
        let mut tx = parts.store.tenant(tenant).await.unwrap();
        let wrapped = parts.keyring.new_data_key(tenant, 1, &*parts.entropy);
        tx.add_data_key(1, &wrapped.0, now).await.unwrap();
        let zone = Zone::parse("America/New_York").unwrap();
        tx.put_settings(&TenantSettings::of(zone, chrono::Weekday::Mon, 9, now)).await.unwrap();
        let recipient = RecipientId::new(now, unlike_bytes());
        let email = format!("cfo@{}.example", name.to_lowercase().replace(' ', "-"));
        tx.create_recipient(recipient, &email, (true, true), now).await.unwrap();
        tx.confirm_recipient(recipient, now).await.unwrap();
        let slack = SlackChannelId::new(now, unlike_bytes());
        let place = ("slack_channel", "sealed_url", slack.uuid());
        let url = seal(parts, &mut tx, place, &outside.slack_url()).await;
        tx.create_slack_channel(slack, "#finops", &url, (true, true), now).await.unwrap();
        let endpoint = WebhookEndpointId::new(now, unlike_bytes());
        let secret = WebhookSecret::generate(&*parts.entropy);
        let place = |column| ("webhook_endpoint", column, endpoint.uuid());
        let new = WebhookEndpoint {
            id: endpoint,
            name: "ops".to_owned(),
            host: "127.0.0.1".to_owned(),
            sealed_url: seal(parts, &mut tx, place("sealed_url"), &outside.hook_url("/hook")).await,
            sealed_secret: seal(parts, &mut tx, place("sealed_secret"), &secret.reveal()).await,
            kinds: Vec::new(),
            created_at: now,
            failing_since: None,
            stopped_at: None,
            stop_reason: None,
        };
        tx.create_webhook_endpoint(&new).await.unwrap();
        tx.commit().await.unwrap();
        Self { tenant, key, recipient, slack, endpoint, secret }
    }

    /// A call of this moment that cost so much.
    pub(crate) fn call(&self, at: DateTime<Utc>, model: &str, cost: &str) -> RequestFact {
        RequestFact {
            id: RequestId::new(at, unlike_bytes()),
            tenant_id: self.tenant,
            api_key_id: self.key,
            connection_id: None,
            started_at: at,
            duration_ms: 1_200,
            first_byte_ms: Some(50),
            provider: "openai".to_owned(),
            endpoint: "/v1/chat/completions".to_owned(),
            model_requested: model.to_owned(),
            model_served: Some(model.to_owned()),
            service_tier: None,
            streamed: false,
            status: Some(200),
            outcome: Outcome::Completed,
            error_code: None,
            usage: Usage { fresh_input: Tokens(1_000), output: Tokens(100), ..Usage::default() },
            cost_basis: CostBasis::Exact,
            cost: cost.parse::<Usd>().ok(),
            price: PriceReceipt { price_id: Some("openai/gpt-4o".to_owned()), ..PriceReceipt::default() },
            caller_request_id: Some(format!("{CANARY} call")),
            provider_request_id: None,
            provenance: Provenance::default(),
            body: BodyState::None,
        }
    }

    /// Calls that reach the ledger.
    pub(crate) async fn spend(&self, office: &Office, calls: &[RequestFact]) {
        let shipped = office.parts.store.writer().await.unwrap().insert_facts(calls).await.unwrap();
        assert_eq!(shipped.inserted, calls.len(), "{shipped:?}");
    }

    /// A call of this moment whose prompt and answer are kept, sealed under the key's own data key, which is made with
    /// the first.
    pub(crate) async fn keep(&self, office: &Office, at: DateTime<Utc>, class: BodyClass) -> RequestId {
        let parts = &office.parts;
        let mut system = parts.store.system().await.unwrap();
        let whose = (self.tenant, self.key.uuid());
        let new = parts.keyring.make_subject_key(whose, 1, &*parts.entropy).await.unwrap();
        let now = parts.clock.now();
        system.add_subject_key(self.tenant, self.key, 1, &new.0, now).await.unwrap();
        let keys = system.subject_keys_of(self.tenant, self.key).await.unwrap();
        drop(system);
        let keys: Vec<_> = keys.into_iter().filter_map(|key| Some((key.version, key.wrapped?))).collect();
        let keys = parts.keyring.subject(self.tenant, self.key.uuid(), &keys);
        let call = RequestFact { body: BodyState::Sealed, ..self.call(at, "gpt-4o-mini", "1.00") };
        let seal = |column| {
            let place = SealedFor { tenant: self.tenant, table: "request_body", column, row: call.id.uuid() };
            keys.seal(&place, CANARY.as_bytes(), &*parts.entropy).unwrap()
        };
        let body = SealedBody {
            class,
            subject: self.key,
            key_version: keys.newest().unwrap(),
            redacted: false,
            request_bytes: 1,
            response_bytes: 1,
            sealed_request: seal("sealed_request"),
            sealed_response: seal("sealed_response"),
        };
        let bodies = BTreeMap::from([(call.id, body)]);
        let shipped = parts
            .store
            .writer()
            .await
            .unwrap()
            .insert_calls(std::slice::from_ref(&call), &bodies)
            .await
            .unwrap();
        assert_eq!(shipped.inserted, 1, "{shipped:?}");
        call.id
    }

    /// Two weeks of calls, the second dearer than the first.
    pub(crate) async fn spend_two_weeks(&self, office: &Office) {
        let now = office.parts.clock.now();
        let mut calls = Vec::new();
        for day in 1..=14_i64 {
            for hour in 0..3 {
                let at = now - TimeDelta::days(day) + TimeDelta::hours(hour);
                let model = if hour == 0 { "gpt-4o" } else { "gpt-4o-mini" };
                calls.push(self.call(at, model, if day <= 7 { "2.50" } else { "1.00" }));
            }
        }
        self.spend(office, &calls).await;
    }

    /// Puts a row into every table that has none yet, with a canary in every text.
    #[expect(clippy::too_many_lines, reason = "one table after the other")]
    pub(crate) async fn fill(&self, office: &Office) {
        let parts = &office.parts;
        let now = parts.clock.now();
        self.spend(office, &[self.call(now - TimeDelta::hours(5), &format!("{CANARY}-model"), "3.00")]).await;
        self.keep(office, now - TimeDelta::hours(4), BodyClass::Forever).await;
        let mut system = parts.store.system().await.unwrap();
        for n in [1, 2] {
            let mut hash = [n; 32];
            hash[..10].copy_from_slice(&unlike_bytes());
            let link = NewSignInLink {
                tenant_id: self.tenant,
                hash,
                created_at: now,
                expires_at: now + TimeDelta::hours(1),
                operator: false,
            };
            system.create_sign_in_link(&link).await.unwrap();
            let session = NewSession {
                id: SessionId::new(now, unlike_bytes()),
                hash,
                expires_at: now + TimeDelta::hours(1),
            };
            system.redeem_sign_in_link(&hash, &session, now).await.unwrap().unwrap();
        }
        drop(system);
        self.people(parts).await;
        let mut tx = parts.store.tenant(self.tenant).await.unwrap();
        let connection = ConnectionId::new(now, unlike_bytes());
        let place = ("connection", "sealed_secret", connection.uuid());
        let sealed = seal(parts, &mut tx, place, &format!("sk-{CANARY}")).await;
        let new = NewConnection {
            id: connection,
            provider: "openai".to_owned(),
            name: format!("{CANARY} connection"),
            base_url: None,
            sealed_secret: Some(sealed),
            models: Vec::new(),
            created_at: now,
        };
        tx.create_connection(&new).await.unwrap();
        fill_privacy(&mut tx, now).await;
        let team = format!("{CANARY} team");
        tx.replace_key_labels(self.key, &[("team", team.as_str())]).await.unwrap();
        let claim = IdempotencyKey {
            operation: "create_key".to_owned(),
            key: format!("{CANARY} idempotency"),
            body_hash: [7; 32],
        };
        assert_eq!(
            tx.begin_idempotent(&claim, now, |kept| kept == claim.body_hash).await.unwrap(),
            Idempotent::New
        );
        let answer = StoredAnswer { status: 201, body: format!("{{\"name\":\"{CANARY}\"}}") };
        tx.finish_idempotent(&claim, &answer).await.unwrap();
        tx.audit(&NewAuditEvent {
            id: AuditEventId::new(now, unlike_bytes()),
            at: now,
            actor: Actor::CommandLine,
            action: Action::KeyCreated,
            target: Some(format!("{CANARY} target")),
            change: json!({ "name": CANARY }),
            request_id: None,
            address: Some([192, 0, 2, 7].into()),
        })
        .await
        .unwrap();
        let budget = Budget {
            id: BudgetId::new(now, unlike_bytes()),
            name: format!("{CANARY} budget"),
            rule: BudgetRule {
                scope: BudgetScope::default(),
                period: Period::Month,
                amount: "10".parse().unwrap(),
                thresholds: vec![10, 50, 100],
            },
            created_at: now,
            ended_at: None,
        };
        tx.create_budget(&budget).await.unwrap();
        let rule = CandidateRule {
            id: CandidateRuleId::new(now, unlike_bytes()),
            scope: CandidateScope {
                service: format!("{CANARY} service"),
                usage_account: Some(format!("{CANARY} account")),
                region: Some(format!("{CANARY} region")),
                instance_type: Some(format!("{CANARY} instance")),
            },
            created_at: now,
            ended_at: None,
        };
        tx.create_candidate_rule(&rule).await.unwrap();
        let anomaly = Anomaly {
            id: AnomalyId::new(now, unlike_bytes()),
            series: "total".to_owned(),
            hour: now - TimeDelta::days(1),
            detector: "a test".to_owned(),
            cadence: Cadence::Hour,
            kind: "spike".to_owned(),
            surprise: Surprise {
                expected: "1".parse().unwrap(),
                actual: "9".parse().unwrap(),
                currency: Currency::USD,
            },
            contributors: json!([{ "name": CANARY }]),
            explanation: json!({ "parts": [], "contributors": [] }),
            changes: json!([]),
            found_at: now,
            decision: None,
            on_bills: None,
        };
        assert!(tx.create_anomaly(&anomaly).await.unwrap());
        let event = InsightEvent {
            id: InsightEventId::new(now, unlike_bytes()),
            kind: "new_model".to_owned(),
            subject: CANARY.to_owned(),
            day: now.date_naive(),
            currency: Currency::USD,
            amount: "1".parse().unwrap(),
            detail: json!({}),
            found_at: now,
        };
        assert!(tx.create_insight_event(&event).await.unwrap());
        let recommendation = Recommendation {
            id: RecommendationId::new(now, unlike_bytes()),
            kind: "use_cache".to_owned(),
            subject: CANARY.to_owned(),
            currency: Currency::USD,
            monthly_saving: "20".parse().unwrap(),
            monthly_cost: "90".parse().unwrap(),
            confidence: "low".to_owned(),
            evidence: json!({}),
            first_found_at: now,
            found_at: now,
            ended_at: None,
            dismissed: None,
        };
        tx.put_recommendations(&[recommendation], now).await.unwrap();
        let payload = json!({ "name": CANARY });
        happened(&mut tx, EventKind::KeyCreated, payload, now, &*parts.entropy).await.unwrap();
        tx.commit().await.unwrap();
        self.upload(office, &format!("{CANARY}.csv"), "bill 2026-10 3").await;
        self.export(office).await;
        office.quiet().await;
        // A call that was priced later, as a walk leaves it.
        let repriced = format!(
            "INSERT INTO repricing (tenant_id, id, kind, key, version, changed, new_cost, started_at, finished_at) \
             VALUES ('{tenant}', '{tenant}', 'unpriced', '{CANARY} walk', 1, 1, 3, now(), now()); \
             INSERT INTO request_repricing SELECT tenant_id, id, '{tenant}', now(), 1, 'unpriced', NULL, \
                 '{{\"note\": \"{CANARY}\"}}', 'exact', 3 FROM request WHERE tenant_id = '{tenant}'",
            tenant = self.tenant.uuid()
        );
        office.sql(&repriced).await;
        if office.parts.svix.is_some() {
            // A delivery from before the operator had Svix.
            let delivered = format!(
                "INSERT INTO webhook_delivery (tenant_id, event_id, endpoint_id, state, attempts, created_at, last_answer) \
                 SELECT tenant_id, id, '{endpoint}', 'delivered', 1, at, '{CANARY}' FROM event \
                 WHERE tenant_id = '{tenant}' AND kind = 'key.created'",
                endpoint = self.endpoint.uuid(),
                tenant = self.tenant.uuid()
            );
            office.sql(&delivered).await;
        }
        let unjudged = format!("INSERT INTO unjudged_hour VALUES ('{}', '2026-01-01')", self.tenant.uuid());
        office.sql(&unjudged).await;
        self.bills(office).await;
        self.sources_of_bills(office).await;
    }

    /// Asks for an export of all calls, and has it written.
    pub(crate) async fn export(&self, office: &Office) -> ExportId {
        let parts = &office.parts;
        let now = parts.clock.now();
        let filter = RequestFilter { to: Some(now), ..RequestFilter::default() };
        let id = ExportId::new(now, unlike_bytes());
        let (what, format) = (ExportWhat::Requests, ExportFormat::Csv);
        let mut tx = parts.store.tenant(self.tenant).await.unwrap();
        tx.create_export(&NewExport { id, what, format, filter, created_at: now }).await.unwrap();
        ask_to_write(&mut tx, WriteExport { export: id, ask: 0 }, now).await.unwrap();
        tx.commit().await.unwrap();
        id
    }
}

/// Seals a secret as the API does.
pub(crate) async fn seal(
    parts: &WorkerParts,
    tx: &mut TenantConn,
    (table, column, row): (&str, &str, Uuid),
    secret: &str,
) -> Vec<u8> {
    let tenant = tx.tenant_id();
    let keys = tx.data_keys().await.unwrap();
    let wrapped: Vec<_> = keys.iter().map(|key| (key.version, &key.wrapped)).collect();
    let place = SealedFor { tenant, table, column, row };
    parts.keyring.tenant(tenant, &wrapped).seal(&place, secret.as_bytes(), &*parts.entropy).unwrap()
}
