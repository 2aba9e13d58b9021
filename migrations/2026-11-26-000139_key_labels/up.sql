-- Whose a key is, in its tenant's own words: `team` and `user`, and any other name as a tag. What calls cost is charged by them.
CREATE TABLE api_key_label (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    api_key_id uuid NOT NULL,
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_.-]{0,62}$'),
    value text NOT NULL CHECK (length(value) BETWEEN 1 AND 200),
    PRIMARY KEY (tenant_id, api_key_id, name),
    FOREIGN KEY (tenant_id, api_key_id) REFERENCES api_key (tenant_id, id)
);

ALTER TABLE api_key_label ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_key_label FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON api_key_label TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON api_key_label TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT, DELETE ON api_key_label TO costlens_app;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('api_key_label', NULL, 'settings of the account');
