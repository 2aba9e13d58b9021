-- A surprise is explained, of a day as well as of an hour, of a bill as well as of calls; and people say what they make
-- of it.
ALTER TABLE anomaly
    ADD COLUMN cadence text NOT NULL DEFAULT 'hour' CHECK (cadence IN ('hour', 'day')),
    ADD COLUMN kind text NOT NULL DEFAULT 'spike' CHECK (kind IN ('spike', 'new_level')),
    ADD COLUMN currency text NOT NULL DEFAULT 'USD',
    -- Parts that add up to the difference, and who made it.
    ADD COLUMN explanation jsonb NOT NULL DEFAULT '{"parts": [], "contributors": []}',
    -- What the audit says was changed at that time.
    ADD COLUMN changes jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN decision text CHECK (decision IN ('acknowledged', 'dismissed')),
    ADD COLUMN decision_reason text,
    ADD COLUMN decided_by text,
    ADD COLUMN decided_at timestamptz;
GRANT UPDATE (decision, decision_reason, decided_by, decided_at) ON anomaly TO costlens_app;

-- What happened, told by rules without statistics: once each.
CREATE TABLE insight_event (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    day date NOT NULL,
    currency text NOT NULL,
    amount numeric NOT NULL,
    detail jsonb NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX insight_event_once ON insight_event (tenant_id, kind, md5(subject), day, currency);

-- What could be saved, as the last look found it. What is not found any more is over; what was dismissed stays so.
CREATE TABLE recommendation (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    currency text NOT NULL,
    monthly_saving numeric NOT NULL,
    monthly_cost numeric NOT NULL,
    confidence text NOT NULL CHECK (confidence IN ('low', 'medium', 'high')),
    evidence jsonb NOT NULL,
    first_found_at timestamptz NOT NULL,
    found_at timestamptz NOT NULL,
    ended_at timestamptz,
    dismissed_at timestamptz,
    dismissed_by text,
    dismissed_reason text,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX recommendation_once ON recommendation (tenant_id, kind, md5(subject), currency);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['insight_event', 'recommendation'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY owner ON %I TO CURRENT_USER USING (true) WITH CHECK (true)', name);
        EXECUTE format($p$CREATE POLICY tenant ON %I TO costlens_app
            USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
            WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)$p$, name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO costlens_app', name);
    END LOOP;
END
$$;
GRANT UPDATE (monthly_saving, monthly_cost, confidence, evidence, found_at, ended_at, dismissed_at, dismissed_by,
    dismissed_reason) ON recommendation TO costlens_app;
-- Whose facts are looked at in the night: the sweeper asks per tenant.
CREATE POLICY system_looks ON bill TO costlens_system USING (true) WITH CHECK (false);
GRANT SELECT (tenant_id, superseded_at) ON bill TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('insight_event', NULL, 'explains past spend; a few rows a month'),
    ('recommendation', NULL, 'one row for each thing that could be saved');
