//! An account with everything that one can have: a row in every tenant table, and a canary in every place that could
//! keep one.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use costlens_domain::alerts::{BudgetRule, BudgetScope, Surprise};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::calendar::{Period, Zone};
use costlens_domain::classify::{LineKey, classify};
use costlens_domain::events::EventKind;
use costlens_domain::export::{ExportFormat, ExportWhat};
use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::outer::OuterFact;
use costlens_domain::privacy::{BodyClass, BodyState, PrivacySettings};
use costlens_domain::request::{CostBasis, Outcome, PriceReceipt, Provenance, RequestFact};
use costlens_domain::{
    AnomalyId, ApiKeyId, AuditEventId, BillUploadId, BudgetId, ConnectionId, Currency, ExportId,
    InsightEventId, InvitationId, InvoiceSourceId, RecipientId, RecommendationId, RequestId, Role, SessionId,
    SlackChannelId, SsoDomainId, SsoProviderId, SupportGrantId, TenantId, Tokens, Usage, Usd, UserId,
    UserLinkId, WebhookEndpointId,
};
use costlens_jobs::bills::{AREA, IngestBill, ask_to_ingest};
use costlens_jobs::events::happened;
use costlens_jobs::exports::{WriteExport, ask_to_write};
use costlens_jobs::inbox::{HeedClerk, keep};
use costlens_notify::webhooks::WebhookSecret;
use costlens_objects::ObjectKey;
use costlens_store::testing::unlike_bytes;
use costlens_store::{
    Anomaly, Budget, Cadence, IdempotencyKey, Idempotent, InboxEvent, InsightEvent, Invitation,
    NewAuditEvent, NewBillUpload, NewConnection, NewExchangeCode, NewExport, NewInvoiceSource, NewSession,
    NewSignInLink, NewSupportGrant, NewUser, Recommendation, RequestFilter, SealedBody, SsoDomain,
    SsoProvider, StoredAnswer, TenantConn, TenantSettings, UserLink, UserLinkPurpose, UserMail,
    UserMailState, WebhookEndpoint,
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

    /// What its bill says, and what calls cost by it.
    async fn bills(&self, office: &Office) {
        // The reader of these tests finds lines and no facts.
        let facts = format!(
            "INSERT INTO bill_control_total SELECT tenant_id, id, 'Usage', 'USD', 3, 0, 9, 0, 9, 0 FROM bill \
             WHERE tenant_id = '{tenant}'; \
             INSERT INTO bill_daily_fact SELECT tenant_id, id, 1, '2026-10-01', '{CANARY} payer', 'account', 'us-east-1', \
                 'AWS', 'AmazonBedrock', 'Bedrock', 'usage', 'operation', '{CANARY} principal', 'Usage', 'USD', 'ai', \
                 'bedrock', 'inference', 'claude', 'output', 'standard', 'regional', '{class}', 'Tokens', 1, 1000, 9, 9, 9, 3 \
             FROM bill WHERE tenant_id = '{tenant}'",
            class = serde_json::to_string(&classify(&LineKey {
                product_code: "AmazonBedrock",
                ..LineKey::default()
            }))
            .unwrap(),
            tenant = self.tenant.uuid()
        );
        office.sql(&facts).await;
        let settled = format!(
            "INSERT INTO settlement SELECT tenant_id, '2026-10-01', 'unblended', id, ARRAY[id], '2026-10-29', created_at, '{{}}', \
                 9, 8, 9, 0, 9, 9, 100, 100, 1, 0, 0, 'aws' FROM bill WHERE tenant_id = '{tenant}'; \
             INSERT INTO settlement_residual VALUES ('{tenant}', '2026-10-01', 'unblended', 0, '2026-10-01', '{CANARY}', \
                 'us-east-1', '{CANARY} principal', 'claude', 'discount', 'calls', 1, 100, 'aws'); \
             INSERT INTO settlement_coverage VALUES ('{tenant}', '2026-10-01', 'unblended', 0, '{CANARY}', 'us-east-1', \
                 '{CANARY} principal', 'claude', 100, 100, 9, 9, 'aws'); \
             INSERT INTO settlement_cell VALUES ('{tenant}', '2026-10-01', 'unblended', 0, '2026-10-01', '{tenant}', \
                 '{tenant}', 'openai', '{CANARY}-model', '', 'exact', false, 'settled', 'certain', 1, 0, 8, 9, 0, '[]', 'aws'); \
             INSERT INTO settlement_price VALUES ('{tenant}', '2026-10-01', 'unblended', 0, '{CANARY}', 'output', \
                 'standard', 'regional', false, '2026-10-01', '2026-10-01', 3, 100, 9, 8, 'differs', 'aws'); \
             INSERT INTO settlement_day VALUES ('{tenant}', '2026-10-01', 'unblended', '{tenant}', now(), 1, 8, 9, 1, 9, 0, 'aws')",
            tenant = self.tenant.uuid()
        );
        office.sql(&settled).await;
        let imported = format!(
            "INSERT INTO imported_call VALUES ('{tenant}', 'otlp', '{CANARY} span', '2026-10-01', '{tenant}', NULL, now(), 1, \
                 '{CANARY} user', NULL, '{CANARY} team', NULL, '[\"{CANARY}\"]', NULL)",
            tenant = self.tenant.uuid()
        );
        office.sql(&imported).await;
    }

    /// Where bills come from: an account of AWS, and a vendor, both at rest.
    async fn sources_of_bills(&self, office: &Office) {
        let (parts, now) = (&office.parts, office.parts.clock.now());
        let mut tx = parts.store.tenant(self.tenant).await.unwrap();
        let source = InvoiceSourceId::from(self.tenant.uuid());
        let sealed_key = seal(parts, &mut tx, ("invoice_source", "sealed_key", source.uuid()), CANARY).await;
        tx.create_invoice_source(&NewInvoiceSource {
            id: source,
            vendor: InvoiceVendor::OpenAi,
            name: format!("{CANARY} vendor"),
            sealed_key,
            key_hint: "hint".to_owned(),
            created_at: now,
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let sources = format!(
            "INSERT INTO aws_connection (tenant_id, id, account_id, role_arn, external_id, bucket, prefix, report, state, \
                 created_at, updated_at) \
             VALUES ('{tenant}', '{tenant}', '123456789012', '{CANARY} role', '{CANARY} {tenant}', '{CANARY} bucket', \
                 '{CANARY}', '{CANARY} report', 'paused', now(), now()); \
             INSERT INTO bill_delivery (tenant_id, id, connection_id, month, delivery, manifest_key, manifest_etag, \
                 manifest_sha256, rules_version, bill_id, finality, files, bytes, changes, created_at) \
             SELECT tenant_id, id, '{tenant}', '2026-10-01', '{CANARY} delivery', '{CANARY} key', 'etag', \
                 decode(repeat('00', 32), 'hex'), 1, id, 'closing', 1, 1, '[]', now() FROM bill WHERE tenant_id = '{tenant}'; \
             INSERT INTO bill_month (tenant_id, connection_id, month, state, manifest_key, delivery_id, updated_at) \
             SELECT tenant_id, '{tenant}', '2026-10-01', 'current', '{CANARY} key', id, now() FROM bill_delivery \
             WHERE tenant_id = '{tenant}'; \
             UPDATE invoice_source SET state = 'paused', next_fetch_at = NULL, organisation = '{CANARY} firm' \
                 WHERE tenant_id = '{tenant}'; \
             INSERT INTO invoice_month (tenant_id, source_id, month, content_sha256, bill_id, updated_at) \
             SELECT tenant_id, '{tenant}', '2026-10-01', decode(repeat('00', 32), 'hex'), id, now() FROM bill \
             WHERE tenant_id = '{tenant}'",
            tenant = self.tenant.uuid()
        );
        office.sql(&sources).await;
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
        assert_eq!(tx.begin_idempotent(&claim, now).await.unwrap(), Idempotent::New);
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

    /// A member with everything that a person can have, and somebody who is asked to become one.
    async fn people(&self, parts: &WorkerParts) {
        let now = parts.clock.now();
        let user = UserId::new(now, unlike_bytes());
        let email = format!("{CANARY}-{user}@people.example");
        let wrapped = parts.keyring.new_data_key(TenantId::from(user.uuid()), 1, &*parts.entropy);
        let mut system = parts.store.system().await.unwrap();
        let new = NewUser {
            id: user,
            name: format!("{CANARY} person"),
            email: email.clone(),
            password_hash: Some("$2b$12$not-a-hash".to_owned()),
            wrapped_key: wrapped.0,
            created_at: now,
        };
        system.create_user(&new).await.unwrap();
        system.join(self.tenant, user, Role::Analyst, now).await.unwrap();
        system
            .link_identity(user, "https://accounts.example", &format!("{CANARY}-{user}"), now)
            .await
            .unwrap();
        system.bind_outer(self.tenant, ISSUER, &format!("org_{}", self.tenant), now).await.unwrap();
        system.confirm_totp(user, &[[7; 32]], now).await.unwrap();
        let link = UserLink {
            id: UserLinkId::new(now, unlike_bytes()),
            purpose: UserLinkPurpose::PasswordReset,
            email: email.clone(),
            user_id: Some(user),
            created_at: now,
            expires_at: now + TimeDelta::hours(2),
            mail: UserMail { state: UserMailState::Queued, doubts: 0 },
        };
        system.create_user_link(&link).await.unwrap();
        let mut hash = [8; 32];
        hash[..10].copy_from_slice(&unlike_bytes());
        let end = now + TimeDelta::minutes(1);
        let code = NewExchangeCode { user, method: "google", provider: None };
        system.create_exchange_code((&hash, &[9; 32]), &code, now, end).await.unwrap();
        let named = ("https://idp.example", email.as_str());
        system.link_sso_identity(self.tenant, named, user, now).await.unwrap();
        drop(system);
        let mut tx = parts.store.tenant(self.tenant).await.unwrap();
        let provider = SsoProviderId::new(now, unlike_bytes());
        let place = ("sso_provider", "sealed_secret", provider.uuid());
        let provider = SsoProvider {
            tenant_id: self.tenant,
            id: provider,
            issuer: format!("https://{CANARY}.example"),
            client_id: CANARY.to_owned(),
            sealed_secret: seal(parts, &mut tx, place, CANARY).await,
            default_role: Role::Viewer,
            required: false,
            created_at: now,
            changed_at: now,
        };
        tx.create_sso_provider(&provider).await.unwrap();
        let domain = SsoDomain {
            id: SsoDomainId::new(now, unlike_bytes()),
            domain: format!("{CANARY}.example").to_lowercase(),
            token: CANARY.to_owned(),
            created_at: now,
            checked_at: None,
            seen_at: None,
            proven_at: None,
        };
        tx.create_sso_domain(&domain).await.unwrap();
        tx.create_invitation(&Invitation {
            id: InvitationId::new(now, unlike_bytes()),
            email: format!("{CANARY}-asked@people.example"),
            role: Role::Viewer,
            invited_by: "a test".to_owned(),
            created_at: now,
            expires_at: now + TimeDelta::days(7),
            accepted_at: None,
            revoked_at: None,
            mail: UserMail { state: UserMailState::Queued, doubts: 0 },
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    /// Somebody whom Clerk keeps is a member, and messages come that it is one no longer: one of them twice.
    pub(crate) async fn kept_member_that_leaves(&self, office: &Office) {
        let parts = &office.parts;
        let now = parts.clock.now();
        let user = UserId::new(now, unlike_bytes());
        let wrapped = parts.keyring.new_data_key(TenantId::from(user.uuid()), 1, &*parts.entropy);
        let mut tx = parts.store.system().await.unwrap().begin().await.unwrap();
        let new = NewUser {
            id: user,
            name: "Kept".to_owned(),
            email: format!("{user}@people.example"),
            password_hash: None,
            wrapped_key: wrapped.0,
            created_at: now,
        };
        let (person, organization) = (user.to_string(), format!("org_{}", self.tenant));
        let membership = |version, role| OuterFact::Membership {
            id: format!("orgmem_{user}"),
            version,
            organization: organization.clone(),
            person: person.clone(),
            role,
        };
        let system = tx.system().unwrap();
        system.create_user(&new).await.unwrap();
        system.link_identity(user, ISSUER, &person, now).await.unwrap();
        system.bind_outer(self.tenant, ISSUER, &organization, now).await.unwrap();
        let joined = system.learn(ISSUER, &membership(1, Some(Role::Member)), now).await.unwrap();
        assert_eq!(joined.changes.len(), 1);
        for message in ["msg_1", "msg_1", "msg_2"] {
            let event = InboxEvent {
                source: HeedClerk::SOURCE.to_owned(),
                message_id: format!("{message}_{user}"),
                kind: "organizationMembership.deleted".to_owned(),
                payload: serde_json::to_value(membership(2, None)).unwrap(),
                is_heeded: true,
                received_at: now,
            };
            keep(&mut tx, &event, ISSUER).await.unwrap();
        }
        tx.commit().await.unwrap();
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

    /// Uploads a bill, and has it read.
    pub(crate) async fn upload(&self, office: &Office, name: &str, content: &str) -> BillUploadId {
        let (id, mut tx) = self.put_upload(office, name, content).await;
        let now = office.parts.clock.now();
        ask_to_ingest(&mut tx, IngestBill { upload: id, ask: 0 }, now).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Uploads a bill that nobody asks to read.
    pub(crate) async fn keep_upload(&self, office: &Office, name: &str, content: &str) -> BillUploadId {
        let (id, tx) = self.put_upload(office, name, content).await;
        tx.commit().await.unwrap();
        id
    }

    async fn put_upload(&self, office: &Office, name: &str, content: &str) -> (BillUploadId, TenantConn) {
        let parts = &office.parts;
        let now = parts.clock.now();
        let id = BillUploadId::new(now, unlike_bytes());
        let key = ObjectKey::new(self.tenant, AREA, &id.to_string()).unwrap();
        let mut put = parts.objects.put(key.clone(), 1 << 20).await.unwrap();
        put.write(content.as_bytes()).await.unwrap();
        let stored = put.finish().await.unwrap();
        let new = NewBillUpload {
            id,
            name: name.to_owned(),
            object_key: key.to_string(),
            bytes: stored.bytes,
            sha256: stored.sha256,
            created_at: now,
        };
        let mut tx = parts.store.tenant(self.tenant).await.unwrap();
        tx.create_bill_upload(&new).await.unwrap();
        (id, tx)
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
