-- One delivery of a report. Deliveries of the same scope (format, paying accounts, month) are versions of one
-- another: the newest counts, the older ones are kept and marked.
CREATE TABLE bill (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    name text NOT NULL,
    format text NOT NULL,
    scope text NOT NULL,
    lines bigint NOT NULL,
    first_day date,
    last_day date,
    rules_version bigint NOT NULL,
    files jsonb NOT NULL,
    resources jsonb NOT NULL,
    unknown_line_types text[] NOT NULL,
    skipped text[] NOT NULL,
    created_at timestamptz NOT NULL,
    superseded_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX bill_current ON bill (tenant_id, scope) WHERE superseded_at IS NULL;

ALTER TABLE bill ENABLE ROW LEVEL SECURITY;
ALTER TABLE bill FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON bill TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON bill TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE (superseded_at) ON bill TO costlens_app;

-- The whole bill, AI or not: the figures to hold against an independent sum of the same files.
CREATE TABLE bill_control_total (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    bill_id uuid NOT NULL,
    line_item_type text NOT NULL,
    currency text NOT NULL,
    lines bigint NOT NULL,
    lines_without_cost bigint NOT NULL,
    unblended numeric NOT NULL,
    split_cost numeric NOT NULL,
    ai numeric NOT NULL,
    candidate numeric NOT NULL,
    PRIMARY KEY (tenant_id, bill_id, line_item_type, currency),
    FOREIGN KEY (tenant_id, bill_id) REFERENCES bill (tenant_id, id)
);

ALTER TABLE bill_control_total ENABLE ROW LEVEL SECURITY;
ALTER TABLE bill_control_total FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON bill_control_total TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON bill_control_total TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT ON bill_control_total TO costlens_app;

-- The AI and candidate lines by day and property. What breakdowns group by is a column; `class` is the whole
-- classification. Amounts of two currencies are never added: every sum groups by currency.
CREATE TABLE bill_daily_fact (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    bill_id uuid NOT NULL,
    n bigint NOT NULL,
    day date NOT NULL,
    billing_account text NOT NULL,
    usage_account text NOT NULL,
    region text NOT NULL,
    billing_entity text NOT NULL,
    product_code text NOT NULL,
    product_name text NOT NULL,
    usage_type text NOT NULL,
    operation text NOT NULL,
    principal text NOT NULL,
    line_item_type text NOT NULL,
    currency text NOT NULL,
    verdict text NOT NULL,
    service text NOT NULL,
    category text NOT NULL,
    model text,
    meter text NOT NULL,
    tier text NOT NULL,
    routing text NOT NULL,
    class jsonb NOT NULL,
    pricing_unit text NOT NULL,
    usage_quantity numeric NOT NULL,
    tokens numeric,
    unblended numeric NOT NULL,
    net_unblended numeric NOT NULL,
    amortised numeric NOT NULL,
    lines bigint NOT NULL,
    PRIMARY KEY (tenant_id, bill_id, n),
    FOREIGN KEY (tenant_id, bill_id) REFERENCES bill (tenant_id, id)
);
CREATE INDEX bill_daily_fact_day ON bill_daily_fact (tenant_id, day);

ALTER TABLE bill_daily_fact ENABLE ROW LEVEL SECURITY;
ALTER TABLE bill_daily_fact FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON bill_daily_fact TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON bill_daily_fact TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT ON bill_daily_fact TO costlens_app;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('bill', NULL, 'every version of a month is kept'),
    ('bill_control_total', NULL, 'proves the bill'),
    ('bill_daily_fact', NULL, 'every version of a month is kept');
