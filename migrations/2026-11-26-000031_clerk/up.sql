-- Identity that somebody else keeps (Clerk): what was last heard of its objects, which of its organisations is which
-- tenant, and the messages that it sends here.

-- The highest version heard of each object, so that what comes late, twice or in another order changes nothing, and
-- what is gone never comes back: ids over there are given once.
CREATE TABLE outer_object (
    issuer text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('user', 'organization', 'membership', 'session')),
    id text NOT NULL,
    -- Milliseconds since 1970, by their clock.
    version bigint NOT NULL,
    gone boolean NOT NULL,
    -- Of a membership: whose, where, and as what here.
    organization text,
    person text,
    role text CHECK (role IN ('owner', 'admin', 'analyst', 'member', 'viewer')),
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, kind, id)
);
CREATE INDEX outer_object_membership ON outer_object (issuer, organization, person) WHERE kind = 'membership';
CREATE INDEX outer_object_age ON outer_object (seen_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON outer_object TO costlens_system;

-- A tenant's organisation over there; a person's own id where it is alone.
CREATE TABLE outer_organization (
    tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
    issuer text NOT NULL,
    organization text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT outer_organization_name UNIQUE (issuer, organization)
);
ALTER TABLE outer_organization ENABLE ROW LEVEL SECURITY;
ALTER TABLE outer_organization FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON outer_organization TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON outer_organization TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON outer_organization TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT ON outer_organization TO costlens_app;
GRANT SELECT, INSERT ON outer_organization TO costlens_system;
INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('outer_organization', NULL, 'as long as the account');

-- Messages that were verified, each once by its sender's id; the job that acts on one is written with it. Of the body
-- only what is acted upon is kept: ids, times and roles, no name of a person and no address.
CREATE TABLE inbox_event (
    source text NOT NULL,
    message_id text NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'done', 'ignored')),
    received_at timestamptz NOT NULL,
    done_at timestamptz,
    PRIMARY KEY (source, message_id)
);
CREATE INDEX inbox_event_age ON inbox_event (received_at);
GRANT SELECT, INSERT, UPDATE (state, done_at), DELETE ON inbox_event TO costlens_system;

-- Members come and go by what is heard, in transactions that know no tenant before.
GRANT UPDATE (role), DELETE ON member TO costlens_system;
GRANT UPDATE (name) ON tenant TO costlens_system;
