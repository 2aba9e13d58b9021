-- Hours of a tenant whose calls are to be judged, and have not been: written down before the watch goes on, so that what
-- cannot be judged now holds nobody else's hours up and is not forgotten.
CREATE TABLE unjudged_hour (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    hour timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, hour)
);
CREATE INDEX unjudged_hour_newest ON unjudged_hour (hour DESC, tenant_id);
ALTER TABLE unjudged_hour ENABLE ROW LEVEL SECURITY;
ALTER TABLE unjudged_hour FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON unjudged_hour TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON unjudged_hour TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON unjudged_hour TO costlens_system USING (true) WITH CHECK (true);
-- An hour is judged in the tenant's own transaction, which takes it away.
GRANT SELECT, DELETE ON unjudged_hour TO costlens_app;
GRANT SELECT, INSERT, DELETE ON unjudged_hour TO costlens_system;
INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('unjudged_hour', NULL, 'until it is judged, or nobody would want to hear of it');
