-- The cells of the days $2 to $3 (exclusive) by the measure $4, of the key $5, provider $6 and model $7 where
-- they are not null.
SELECT c.day, c.api_key_id, c.connection_id, c.origin, c.region, c.provider, c.model, c.service_tier, c.certainty,
       c.long_prompt, c.state, c.calls, c.even, c.parts,
       -- Dollars say nothing of what is billed in another currency.
       c.day <= s.complete_through AND cardinality(s.other_currencies) = 0 AS is_whole
FROM settlement_cell c
JOIN settlement s ON s.tenant_id = c.tenant_id AND s.issuer = c.issuer AND s.month = c.month AND s.measure = c.measure
WHERE c.tenant_id = $1 AND c.day >= $2 AND c.day < $3 AND c.measure = $4
  AND ($5 IS NULL OR c.api_key_id = $5) AND ($6 IS NULL OR c.provider = $6) AND ($7 IS NULL OR c.model = $7)
