-- What dashboards read. Written in the transaction that inserts the calls it counts, so it equals their sum.
-- `model` is the model served, or the one asked for where none is known. `cost` is NULL for unpriced calls.
CREATE TABLE spend_hourly (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    hour timestamptz NOT NULL,
    api_key_id uuid NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    outcome text NOT NULL,
    cost_basis text NOT NULL,
    requests bigint NOT NULL,
    fresh_input bigint NOT NULL,
    cache_read bigint NOT NULL,
    cache_write_5m bigint NOT NULL,
    cache_write_1h bigint NOT NULL,
    output bigint NOT NULL,
    reasoning bigint NOT NULL,
    audio_input bigint NOT NULL,
    audio_output bigint NOT NULL,
    web_searches bigint NOT NULL,
    cost numeric,
    PRIMARY KEY (tenant_id, hour, api_key_id, provider, model, outcome, cost_basis)
);

ALTER TABLE spend_hourly ENABLE ROW LEVEL SECURITY;
ALTER TABLE spend_hourly FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON spend_hourly TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON spend_hourly TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY writer ON spend_hourly TO costlens_writer USING (true) WITH CHECK (true);

GRANT SELECT ON spend_hourly TO costlens_app;
GRANT SELECT, INSERT, UPDATE ON spend_hourly TO costlens_writer;

INSERT INTO retention (table_name, keep_days, reason) VALUES ('spend_hourly', NULL, 'sums of the ledger');
