-- How long each tenant table's rows are kept. A schema rule fails the build for a tenant table without a row.
CREATE TABLE retention (
    table_name text PRIMARY KEY,
    -- NULL: for as long as the tenant exists.
    keep_days integer CHECK (keep_days > 0),
    reason text NOT NULL
);

CREATE TABLE tenant (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL
);

ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON tenant TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON tenant TO costlens_app
    USING (id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON tenant TO costlens_system USING (true) WITH CHECK (true);

GRANT SELECT ON tenant TO costlens_app;
GRANT SELECT, INSERT ON tenant TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES ('tenant', NULL, 'the account itself');
