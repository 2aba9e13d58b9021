-- A key may be for handing in calls that never passed the proxy; none is before somebody says so.
ALTER TABLE api_key DROP CONSTRAINT api_key_scopes_check,
    ADD CONSTRAINT api_key_scopes_check CHECK (
        scopes <@ ARRAY['proxy', 'requests.read', 'spend.read', 'bills.read', 'calls.import'] AND cardinality(scopes) > 0);

-- Imported calls settle as proxied ones of their provider do. They went through no connection of ours; their own region
-- stands for it.
ALTER TABLE settlement_cell
    ADD COLUMN origin text NOT NULL DEFAULT 'proxy',
    ADD COLUMN region text NOT NULL DEFAULT '',
    ALTER COLUMN connection_id DROP NOT NULL,
    DROP CONSTRAINT settlement_cell_tenant_id_measure_day_api_key_id_connection_key,
    ADD CHECK ((connection_id IS NULL) <= (origin <> 'proxy')),
    ADD CONSTRAINT settlement_cell_once UNIQUE NULLS NOT DISTINCT (
        tenant_id, measure, day, api_key_id, connection_id, origin, region, provider, model, service_tier, certainty,
        long_prompt);
