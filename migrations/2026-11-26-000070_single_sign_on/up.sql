-- Single sign-on: a tenant's own identity provider, the domains of e-mail addresses that are the tenant's, and whom the
-- provider vouches for. It vouches in this tenant and in no other.
CREATE TABLE sso_provider (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    -- Another provider, or another client there, is another row.
    id uuid NOT NULL,
    -- As the provider writes it in its tokens, to the last character.
    issuer text NOT NULL,
    client_id text NOT NULL,
    sealed_secret bytea NOT NULL,
    -- What somebody becomes who comes for the first time.
    default_role text NOT NULL CHECK (default_role IN ('analyst', 'member', 'viewer')),
    -- Whether members with addresses in a proven domain must come by it; owners may come as ever.
    required boolean NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT sso_provider_one UNIQUE (tenant_id)
);
ALTER TABLE sso_provider ENABLE ROW LEVEL SECURITY;
ALTER TABLE sso_provider FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON sso_provider TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON sso_provider TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON sso_provider TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE (sealed_secret, default_role, required, changed_at), DELETE ON sso_provider
    TO costlens_app;
-- Whoever signs in is nobody's yet.
GRANT SELECT ON sso_provider TO costlens_system;

CREATE TABLE sso_domain (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    -- ASCII, in lower case.
    domain text NOT NULL CHECK (domain = lower(domain)),
    -- What the record in the DNS must hold. It is public there.
    token text NOT NULL,
    created_at timestamptz NOT NULL,
    -- When it was last looked for, and last seen.
    checked_at timestamptz,
    seen_at timestamptz,
    proven_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT sso_domain_name UNIQUE (tenant_id, domain),
    CONSTRAINT sso_domain_seen CHECK (proven_at IS NULL OR seen_at IS NOT NULL)
);
-- Anybody may say that a domain is its own; of those who do, one has proven it.
CREATE UNIQUE INDEX sso_domain_proven ON sso_domain (domain) WHERE proven_at IS NOT NULL;
ALTER TABLE sso_domain ENABLE ROW LEVEL SECURITY;
ALTER TABLE sso_domain FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON sso_domain TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON sso_domain TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON sso_domain TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE (checked_at, seen_at, proven_at), DELETE ON sso_domain TO costlens_app;
GRANT SELECT ON sso_domain TO costlens_system;

-- Who is who there. A row stays when its person is removed: whoever was removed does not come back by coming again.
CREATE TABLE sso_identity (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, issuer, subject)
);
CREATE INDEX sso_identity_user ON sso_identity (user_id);
ALTER TABLE sso_identity ENABLE ROW LEVEL SECURITY;
ALTER TABLE sso_identity FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON sso_identity TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON sso_identity TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON sso_identity TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT ON sso_identity TO costlens_app;
GRANT SELECT, INSERT ON sso_identity TO costlens_system;

-- By which provider somebody comes who trades this code; its session is in that provider's tenant.
ALTER TABLE exchange_code ADD COLUMN sso_provider_id uuid;

-- What a provider vouched for ends with it, in the transaction that removes it.
GRANT SELECT (outer_session) ON session TO costlens_app;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('sso_provider', NULL, 'as long as the account, or until removed'),
    ('sso_domain', NULL, 'as long as the account, or until removed'),
    ('sso_identity', NULL, 'as long as the account: who was removed does not come back unasked');
