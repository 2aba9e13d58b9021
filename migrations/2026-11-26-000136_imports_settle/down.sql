-- The next settlement makes them again, without what was imported.
DELETE FROM settlement_cell WHERE origin <> 'proxy';
ALTER TABLE settlement_cell DROP CONSTRAINT settlement_cell_once, DROP COLUMN origin, DROP COLUMN region,
    ALTER COLUMN connection_id SET NOT NULL,
    ADD UNIQUE (tenant_id, measure, day, api_key_id, connection_id, model, service_tier, certainty, long_prompt);
UPDATE api_key SET scopes = CASE
    WHEN cardinality(array_remove(scopes, 'calls.import')) > 0 THEN array_remove(scopes, 'calls.import')
    -- No key is for nothing; one that was for imports alone is for no calls either.
    ELSE ARRAY['requests.read'] END
WHERE 'calls.import' = ANY (scopes);
ALTER TABLE api_key DROP CONSTRAINT api_key_scopes_check,
    ADD CONSTRAINT api_key_scopes_check CHECK (
        scopes <@ ARRAY['proxy', 'requests.read', 'spend.read', 'bills.read'] AND cardinality(scopes) > 0);
