-- A month's settlement by one measure: what its calls were estimated to cost, what they cost by the bill, and what the
-- difference is made of. A new delivery of the month settles it anew, in one transaction with all of its rows.
CREATE TABLE settlement (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    measure text NOT NULL CHECK (measure IN ('unblended', 'net_unblended', 'amortised')),
    -- The newest of the bills that it was settled by, and all of them.
    version uuid NOT NULL,
    bill_ids uuid[] NOT NULL,
    complete_through date NOT NULL,
    settled_at timestamptz NOT NULL,
    -- Currencies of the bills that estimates in dollars say nothing about.
    other_currencies text[] NOT NULL,
    billed numeric NOT NULL,
    estimated numeric NOT NULL,
    settled numeric NOT NULL,
    unknown numeric NOT NULL,
    billed_for_tokens numeric NOT NULL,
    covered numeric NOT NULL,
    billed_tokens bigint NOT NULL,
    covered_tokens bigint NOT NULL,
    calls bigint NOT NULL,
    absent numeric NOT NULL,
    absent_calls bigint NOT NULL,
    PRIMARY KEY (tenant_id, month, measure)
);

ALTER TABLE settlement ENABLE ROW LEVEL SECURITY;
ALTER TABLE settlement FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON settlement TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON settlement TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT, DELETE ON settlement TO costlens_app;

-- Every difference with its reason. `side` says whether it changed what calls cost, or is the bill's alone.
CREATE TABLE settlement_residual (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    month date NOT NULL,
    measure text NOT NULL,
    n bigint NOT NULL,
    day date NOT NULL,
    account text NOT NULL,
    region text NOT NULL,
    principal text NOT NULL,
    model text NOT NULL,
    code text NOT NULL,
    side text NOT NULL CHECK (side IN ('calls', 'outside')),
    amount numeric NOT NULL,
    tokens bigint NOT NULL,
    PRIMARY KEY (tenant_id, month, measure, n),
    FOREIGN KEY (tenant_id, month, measure) REFERENCES settlement (tenant_id, month, measure)
);

ALTER TABLE settlement_residual ENABLE ROW LEVEL SECURITY;
ALTER TABLE settlement_residual FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON settlement_residual TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON settlement_residual TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT, DELETE ON settlement_residual TO costlens_app;

-- What of each principal's use of a model went through the proxy.
CREATE TABLE settlement_coverage (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    month date NOT NULL,
    measure text NOT NULL,
    n bigint NOT NULL,
    account text NOT NULL,
    region text NOT NULL,
    principal text NOT NULL,
    model text NOT NULL,
    billed_tokens bigint NOT NULL,
    covered_tokens bigint NOT NULL,
    billed numeric NOT NULL,
    covered numeric NOT NULL,
    PRIMARY KEY (tenant_id, month, measure, n),
    FOREIGN KEY (tenant_id, month, measure) REFERENCES settlement (tenant_id, month, measure)
);

ALTER TABLE settlement_coverage ENABLE ROW LEVEL SECURITY;
ALTER TABLE settlement_coverage FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON settlement_coverage TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON settlement_coverage TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT, DELETE ON settlement_coverage TO costlens_app;

-- Calls that nothing on a bill tells apart, added up: what they were estimated to cost and what they cost. `parts` has what
-- each kind of token cost and how many they were, from which the cost of any one call of the cell follows; `even` is
-- shared by the calls evenly.
CREATE TABLE settlement_cell (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    month date NOT NULL,
    measure text NOT NULL,
    n bigint NOT NULL,
    day date NOT NULL,
    api_key_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    service_tier text NOT NULL,
    certainty text NOT NULL CHECK (certainty IN ('exact', 'output_estimated', 'estimated')),
    long_prompt boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('settled', 'provisional', 'absent')),
    confidence text NOT NULL CHECK (confidence IN ('certain', 'likely', 'shared')),
    calls bigint NOT NULL,
    unpriced_calls bigint NOT NULL,
    estimated numeric NOT NULL,
    settled numeric NOT NULL,
    even numeric NOT NULL,
    parts jsonb NOT NULL,
    PRIMARY KEY (tenant_id, month, measure, n),
    UNIQUE (tenant_id, measure, day, api_key_id, connection_id, model, service_tier, certainty, long_prompt),
    FOREIGN KEY (tenant_id, month, measure) REFERENCES settlement (tenant_id, month, measure)
);

ALTER TABLE settlement_cell ENABLE ROW LEVEL SECURITY;
ALTER TABLE settlement_cell FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON settlement_cell TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON settlement_cell TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT, DELETE ON settlement_cell TO costlens_app;

-- Unit prices that the bill implies, beside the catalogue's.
CREATE TABLE settlement_price (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    month date NOT NULL,
    measure text NOT NULL,
    n bigint NOT NULL,
    model text NOT NULL,
    kind text NOT NULL,
    tier text NOT NULL,
    routing text NOT NULL,
    long_context boolean NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    rows bigint NOT NULL,
    quantity bigint NOT NULL,
    charged numeric NOT NULL,
    listed numeric,
    finding text NOT NULL CHECK (finding IN ('agrees', 'discount', 'differs', 'unit', 'unlisted')),
    PRIMARY KEY (tenant_id, month, measure, n),
    FOREIGN KEY (tenant_id, month, measure) REFERENCES settlement (tenant_id, month, measure)
);

ALTER TABLE settlement_price ENABLE ROW LEVEL SECURITY;
ALTER TABLE settlement_price FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON settlement_price TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON settlement_price TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT, DELETE ON settlement_price TO costlens_app;

-- How near the estimates of a day came, by every version of its bill: our error history, which is published to the user.
CREATE TABLE settlement_day (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    day date NOT NULL,
    measure text NOT NULL,
    version uuid NOT NULL,
    settled_at timestamptz NOT NULL,
    calls bigint NOT NULL,
    estimated numeric NOT NULL,
    settled numeric NOT NULL,
    missed numeric NOT NULL,
    billed numeric NOT NULL,
    unknown numeric NOT NULL,
    PRIMARY KEY (tenant_id, day, measure, version)
);

ALTER TABLE settlement_day ENABLE ROW LEVEL SECURITY;
ALTER TABLE settlement_day FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON settlement_day TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON settlement_day TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

GRANT SELECT, INSERT, DELETE ON settlement_day TO costlens_app;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('settlement', NULL, 'how a month was settled last'),
    ('settlement_residual', NULL, 'how a month was settled last'),
    ('settlement_coverage', NULL, 'how a month was settled last'),
    ('settlement_cell', NULL, 'how a month was settled last'),
    ('settlement_price', NULL, 'how a month was settled last'),
    ('settlement_day', NULL, 'the history of our own error');
