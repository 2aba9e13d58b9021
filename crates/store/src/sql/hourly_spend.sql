-- The hourly rollup as it stands, a page after the place $8 to $13, which is null for the first. $2 to $7 narrow where
-- they are not null. The order is the primary key's.
SELECT hour, api_key_id, provider, model, outcome, cost_basis, requests, fresh_input, cache_read, cache_write_5m,
       cache_write_1h, output, reasoning, audio_input, audio_output, web_searches, cost
FROM spend_hourly
WHERE tenant_id = $1
  AND ($2 IS NULL OR hour >= date_trunc('hour', $2, 'UTC'))
  AND ($3 IS NULL OR hour < $3)
  -- What the index can begin at, whatever the plan.
  AND hour >= coalesce($8, '-infinity'::timestamptz)
  AND ($4 IS NULL OR api_key_id = $4)
  AND ($5 IS NULL OR provider = $5)
  AND ($6 IS NULL OR model = $6)
  AND ($7 IS NULL OR outcome = $7)
  AND ($8 IS NULL OR (hour, api_key_id, provider, model, outcome, cost_basis) > ($8, $9, $10, $11, $12, $13))
ORDER BY hour, api_key_id, provider, model, outcome, cost_basis
LIMIT $14
