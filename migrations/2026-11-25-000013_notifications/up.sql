-- Whom and what a tenant tells, and when. Addresses of machines (Slack, webhooks) are sealed: they are credentials.
CREATE TABLE tenant_settings (
    tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
    time_zone text NOT NULL,
    digest_weekday integer NOT NULL CHECK (digest_weekday BETWEEN 1 AND 7),
    digest_hour integer NOT NULL CHECK (digest_hour BETWEEN 0 AND 23),
    -- The digest's deadline: a sweeper asks for what is past it, so a lost job delays a digest and loses none.
    next_digest_at timestamptz NOT NULL
);
CREATE INDEX tenant_settings_digest ON tenant_settings (next_digest_at);

CREATE TABLE recipient (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    email text NOT NULL,
    digest boolean NOT NULL,
    alerts boolean NOT NULL,
    created_at timestamptz NOT NULL,
    -- Nothing but the question for consent is sent before.
    confirmed_at timestamptz,
    stopped_at timestamptz,
    stop_reason text CHECK (stop_reason IN ('unsubscribed', 'bounced')),
    PRIMARY KEY (tenant_id, id),
    CHECK ((stopped_at IS NULL) = (stop_reason IS NULL))
);
CREATE UNIQUE INDEX recipient_email ON recipient (tenant_id, lower(email));

CREATE TABLE slack_channel (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    name text NOT NULL,
    sealed_url bytea NOT NULL,
    digest boolean NOT NULL,
    alerts boolean NOT NULL,
    created_at timestamptz NOT NULL,
    stopped_at timestamptz,
    stop_reason text,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE webhook_endpoint (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    name text NOT NULL,
    -- Shown; the path of the URL is not, it often is a credential.
    host text NOT NULL,
    sealed_url bytea NOT NULL,
    sealed_secret bytea NOT NULL,
    -- Empty: every kind of event.
    kinds text[] NOT NULL,
    created_at timestamptz NOT NULL,
    failing_since timestamptz,
    stopped_at timestamptz,
    stop_reason text,
    PRIMARY KEY (tenant_id, id)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenant_settings', 'recipient', 'slack_channel', 'webhook_endpoint'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY owner ON %I TO CURRENT_USER USING (true) WITH CHECK (true)', name);
        EXECUTE format($p$CREATE POLICY tenant ON %I TO costlens_app
            USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
            WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)$p$, name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO costlens_app', name);
    END LOOP;
END
$$;
CREATE POLICY system ON tenant_settings TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT ON tenant_settings TO costlens_system;
-- The rotation of keys asks whose texts name an old one.
CREATE POLICY system ON slack_channel TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT (tenant_id, sealed_url) ON slack_channel TO costlens_system;
CREATE POLICY system ON webhook_endpoint TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT (tenant_id, sealed_url, sealed_secret) ON webhook_endpoint TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('tenant_settings', NULL, 'settings of the account'),
    ('recipient', NULL, 'settings of the account'),
    ('slack_channel', NULL, 'settings of the account'),
    ('webhook_endpoint', NULL, 'settings of the account');
