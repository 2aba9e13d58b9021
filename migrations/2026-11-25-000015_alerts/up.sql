-- A sum that spending is held against. It warns; it stops nobody.
CREATE TABLE budget (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    name text NOT NULL,
    api_key_id uuid,
    provider text,
    model text,
    period text NOT NULL CHECK (period IN ('day', 'week', 'month')),
    amount numeric NOT NULL CHECK (amount > 0),
    -- Percent of the amount, ascending.
    thresholds integer[] NOT NULL CHECK (array_length(thresholds, 1) BETWEEN 1 AND 10),
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);

-- One row per crossing: its key is what makes an alert be told once.
CREATE TABLE budget_alert (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    budget_id uuid NOT NULL,
    period_start timestamptz NOT NULL,
    threshold integer NOT NULL,
    spent numeric NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, budget_id, period_start, threshold),
    FOREIGN KEY (tenant_id, budget_id) REFERENCES budget (tenant_id, id)
);

-- An hour whose cost its own past does not explain.
CREATE TABLE anomaly (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    -- `total`, or `key:<uuid>`.
    series text NOT NULL,
    hour timestamptz NOT NULL,
    detector text NOT NULL,
    expected numeric NOT NULL,
    actual numeric NOT NULL,
    contributors jsonb NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX anomaly_once ON anomaly (tenant_id, series, hour, detector);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['budget', 'budget_alert', 'anomaly'] LOOP
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
GRANT UPDATE (name, amount, thresholds, ended_at) ON budget TO costlens_app;
-- Which tenants have budgets, and which had calls: the sweepers ask per tenant, and only those.
CREATE POLICY system ON budget TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT (tenant_id, ended_at) ON budget TO costlens_system;
CREATE POLICY system ON spend_hourly TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT (tenant_id, hour) ON spend_hourly TO costlens_system;
CREATE INDEX spend_hourly_hour ON spend_hourly (hour, tenant_id);

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('budget', NULL, 'settings of the account'),
    ('budget_alert', NULL, 'tells an alert once; a few rows a month'),
    ('anomaly', NULL, 'explains past spend; a few rows a month');
