//! Its bills: what they say, where they come from, and how they are uploaded.

use costlens_domain::classify::{LineKey, classify};
use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::{BillUploadId, InvoiceSourceId};
use costlens_jobs::bills::{AREA, IngestBill, ask_to_ingest};
use costlens_objects::ObjectKey;
use costlens_store::testing::unlike_bytes;
use costlens_store::{NewBillUpload, NewInvoiceSource, TenantConn};

use super::{Account, CANARY, seal};
use crate::Office;

impl Account {
    /// What its bill says, and what calls cost by it.
    pub(super) async fn bills(&self, office: &Office) {
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
    pub(super) async fn sources_of_bills(&self, office: &Office) {
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
