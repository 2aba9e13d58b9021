-- The answer is written in the transaction that claims the key, so a committed row always has one.
CREATE TABLE idempotency_key (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    operation text NOT NULL,
    key text NOT NULL,
    body_hash bytea NOT NULL CHECK (length(body_hash) = 32),
    created_at timestamptz NOT NULL,
    status integer,
    answer text,
    PRIMARY KEY (tenant_id, operation, key)
);
CREATE INDEX idempotency_key_age ON idempotency_key (tenant_id, created_at);

ALTER TABLE idempotency_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_key FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON idempotency_key TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON idempotency_key TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON idempotency_key TO costlens_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE (status, answer) ON idempotency_key TO costlens_app;
GRANT SELECT (tenant_id, created_at), DELETE ON idempotency_key TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES ('idempotency_key', 1, 'clients retry within a day');
