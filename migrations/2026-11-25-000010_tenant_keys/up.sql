-- The data keys of each tenant, wrapped. Without its row nothing that was sealed under a key opens again, in no backup
-- either: deleting the row is how secrets are destroyed.
CREATE TABLE tenant_key (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    version integer NOT NULL CHECK (version > 0),
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, version)
);

ALTER TABLE tenant_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_key FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON tenant_key TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON tenant_key TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON tenant_key TO costlens_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE (wrapped), DELETE ON tenant_key TO costlens_app;
GRANT SELECT, DELETE ON tenant_key TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason)
VALUES ('tenant_key', NULL, 'opens what is sealed; its rotation removes it');
