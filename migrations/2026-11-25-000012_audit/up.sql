-- What was done that somebody may ask about later: by whom, to what. Rows are added, and never changed.
CREATE TABLE audit_event (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text,
    change jsonb NOT NULL,
    request_id uuid,
    PRIMARY KEY (tenant_id, id)
);

ALTER TABLE audit_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_event FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON audit_event TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON audit_event TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT ON audit_event TO costlens_app;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('audit_event', NULL, 'as long as the account; an erasure keeps times and actions under a pseudonym');

-- What operators do across tenants, and what they must look at. No tenant's data stands in it.
CREATE TABLE operator_event (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text,
    change jsonb NOT NULL
);
GRANT SELECT, INSERT ON operator_event TO costlens_system;
