-- The cell of one call, by the expressions of `settlement_calls.sql`, and what the call used. A call without a price of
-- which nobody counted what it used is in no cell, though there may be one for calls like it.
SELECT c.state, c.confidence, c.calls, c.even, c.parts, c.month, s.settled_at,
       r.fresh_input, r.cache_read, r.cache_write_5m, r.cache_write_1h, r.output, r.audio_input, r.audio_output,
       r.web_searches
FROM request r
JOIN settlement_cell c
  ON c.tenant_id = r.tenant_id AND c.measure = $4 AND c.day = r.day AND c.api_key_id = r.api_key_id
 AND c.origin = r.origin AND c.region = COALESCE(r.region, '')
 AND c.connection_id IS NOT DISTINCT FROM r.connection_id AND c.provider = r.provider
 AND c.model = COALESCE(r.model_served, r.model_requested)
 AND c.service_tier = COALESCE(r.service_tier, '')
 AND c.certainty = CASE
       WHEN r.cost_basis = 'exact' THEN 'exact'
       WHEN r.price ->> 'note' LIKE '%output estimated at 4 bytes a token' THEN 'output_estimated'
       WHEN r.cost_basis = 'estimated' OR r.outcome = 'interrupted' THEN 'estimated'
       WHEN r.price ->> 'note' LIKE '%no usage from the provider: estimated at 4 bytes a token' THEN 'estimated'
       WHEN r.price ->> 'note' LIKE '%texts were shortened to fit the spool' THEN 'estimated'
       ELSE 'exact'
     END
 AND c.long_prompt
     = (r.fresh_input + r.cache_read + r.cache_write_5m + r.cache_write_1h + r.audio_input > 200000)
JOIN settlement s ON s.tenant_id = c.tenant_id AND s.issuer = c.issuer AND s.month = c.month AND s.measure = c.measure
WHERE r.tenant_id = $1 AND r.day = $2 AND r.id = $3
  AND (r.cost IS NOT NULL OR r.fresh_input + r.cache_read + r.cache_write_5m + r.cache_write_1h + r.output
       + r.audio_input + r.audio_output + r.web_searches > 0)
