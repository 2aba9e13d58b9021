CREATE TABLE connection (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    provider text NOT NULL,
    name text NOT NULL,
    base_url text,
    sealed_secret bytea,
    models text[] NOT NULL,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX connection_name ON connection (tenant_id, name) WHERE disabled_at IS NULL;

ALTER TABLE connection ENABLE ROW LEVEL SECURITY;
ALTER TABLE connection FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON connection TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON connection TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON connection TO costlens_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE (name, sealed_secret, disabled_at) ON connection TO costlens_app;
GRANT SELECT ON connection TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES ('connection', NULL, 'requests name their connection');
