-- A tenant's leave for whoever runs the service to read its prompts and answers: for a time, and taken back at once.
CREATE TABLE support_grant (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    reason text NOT NULL,
    granted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK (expires_at > granted_at AND expires_at <= granted_at + interval '72 hours')
);
ALTER TABLE support_grant ENABLE ROW LEVEL SECURITY;
ALTER TABLE support_grant FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON support_grant TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON support_grant TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
-- Operators see which leaves hold.
CREATE POLICY system ON support_grant TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT ON support_grant TO costlens_system;
CREATE INDEX support_grant_end ON support_grant (expires_at) WHERE revoked_at IS NULL;
GRANT SELECT, INSERT, UPDATE (revoked_at) ON support_grant TO costlens_app;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('support_grant', NULL, 'who was let in when is asked about as long as the account is');
