-- What goes out. A row is written in the transaction of what it tells of, with the job that sends it.

-- To people. The ledger of each send: `sending` is written before the first byte goes out, so that a send that
-- may have happened is known as such and never repeated blindly.
CREATE TABLE message (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    -- What it is about and whom it goes to: the same is told once.
    key text NOT NULL,
    kind text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'slack')),
    -- The recipient or the Slack channel.
    target_id uuid NOT NULL,
    -- The figures, frozen; words are made of them when it is sent.
    figures jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'unknown', 'refused', 'suppressed', 'expired')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    attempts integer NOT NULL,
    -- The one job that may send it.
    job_id uuid NOT NULL,
    -- How often a send may have arrived.
    doubts integer NOT NULL,
    settled_at timestamptz,
    provider_id text,
    problem text,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX message_key ON message (tenant_id, key);
CREATE INDEX message_age ON message (created_at);

-- To programs: what happened, as webhooks tell it.
CREATE TABLE event (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    payload jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX event_age ON event (at);

CREATE TABLE webhook_delivery (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    event_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'delivered', 'exhausted', 'stopped')),
    attempts integer NOT NULL,
    created_at timestamptz NOT NULL,
    last_at timestamptz,
    next_at timestamptz,
    settled_at timestamptz,
    last_status integer,
    last_code text,
    last_millis bigint,
    last_answer text,
    PRIMARY KEY (tenant_id, event_id, endpoint_id),
    FOREIGN KEY (tenant_id, event_id) REFERENCES event (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoint (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX webhook_delivery_endpoint ON webhook_delivery (tenant_id, endpoint_id, event_id);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['message', 'event', 'webhook_delivery'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY owner ON %I TO CURRENT_USER USING (true) WITH CHECK (true)', name);
        EXECUTE format($p$CREATE POLICY tenant ON %I TO costlens_app
            USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
            WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)$p$, name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO costlens_app', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['message', 'event'] LOOP
        EXECUTE format('CREATE POLICY system ON %I TO costlens_system USING (true) WITH CHECK (true)', name);
    END LOOP;
END
$$;
-- The nightly purge, and the sweeper of what waits without a job.
GRANT SELECT (tenant_id, id, state, created_at, expires_at, job_id), DELETE ON message TO costlens_system;
GRANT SELECT (tenant_id, id, at), DELETE ON event TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('message', 90, 'what was sent to whom can be asked for a quarter'),
    ('event', 90, 'events can be sent again for a quarter'),
    ('webhook_delivery', NULL, 'goes with its event');
