-- What a tenant has at services outside that the operator chose. Written before the first byte goes there, so that an
-- erasure knows where to go, whatever the configuration says by then. While a row is left, nothing can be certified:
-- the count by the catalogue finds it, and the tenant's own row cannot go.
CREATE TABLE held_outside (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    service text NOT NULL,
    -- Which of them: a server's address.
    place text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, service, place)
);
ALTER TABLE held_outside ENABLE ROW LEVEL SECURITY;
ALTER TABLE held_outside FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON held_outside TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON held_outside TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
-- Only an erasure takes one away.
GRANT SELECT, INSERT ON held_outside TO costlens_app;
INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('held_outside', NULL, 'says where the account must be erased outside');
