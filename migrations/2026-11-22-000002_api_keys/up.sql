-- A revoked key keeps its row, so that it can be refused by name and its calls keep their key.
CREATE TABLE api_key (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    hash bytea NOT NULL CONSTRAINT api_key_hash UNIQUE CHECK (length(hash) = 32),
    name text NOT NULL,
    hint text NOT NULL,
    hangup text NOT NULL CHECK (hangup IN ('drain', 'abort')),
    stream_usage text NOT NULL CHECK (stream_usage IN ('inject', 'estimate')),
    durability text NOT NULL CHECK (durability IN ('spool', 'fsync', 'database')),
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    last_used_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);

ALTER TABLE api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_key FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON api_key TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON api_key TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY writer ON api_key TO costlens_writer USING (true) WITH CHECK (true);
CREATE POLICY system ON api_key TO costlens_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE (name, revoked_at) ON api_key TO costlens_app;
-- The shipper asks which keys exist, so that a stray fact is refused and its batch is not.
GRANT SELECT (tenant_id, id) ON api_key TO costlens_writer;
GRANT SELECT, UPDATE (last_used_at) ON api_key TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES ('api_key', NULL, 'requests name their key');
