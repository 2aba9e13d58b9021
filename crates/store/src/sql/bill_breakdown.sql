-- Sums of a bill's facts by one dimension ($6) and measure ($7), apart by currency, the dearest first, at most $8
-- rows of each currency. `token_cost` is the part that is billed by tokens, for the unit rate. A sum of which a part is
-- unknown is unknown, and stands last.
SELECT slice, currency, cost, tokens, token_cost, lines
FROM (
    SELECT slice, currency, cost, tokens, token_cost, lines,
           row_number() OVER (PARTITION BY currency ORDER BY cost DESC NULLS LAST, slice) AS rank
    FROM (
    SELECT slice, currency,
           CASE WHEN count(cost) = count(*) THEN sum(cost) END AS cost,
           COALESCE(sum(tokens), 0) AS tokens,
           CASE WHEN bool_and(cost IS NOT NULL OR tokens IS NULL)
               THEN COALESCE(sum(cost) FILTER (WHERE tokens IS NOT NULL), 0)
           END AS token_cost,
           sum(lines)::bigint AS lines
    FROM (
    SELECT f.currency, f.tokens, f.lines,
           CASE $6
               WHEN 'service' THEN f.service
               WHEN 'category' THEN f.category
               WHEN 'model' THEN COALESCE(f.model, '')
               WHEN 'meter' THEN f.meter
               WHEN 'account' THEN f.usage_account
               WHEN 'region' THEN f.region
               WHEN 'principal' THEN f.principal
               WHEN 'tier' THEN f.tier
               WHEN 'routing' THEN f.routing
               WHEN 'instance_type' THEN COALESCE(f.class ->> 'instance_type', '')
               WHEN 'accelerator' THEN concat_ws(' × ', f.class ->> 'accelerator_count', f.class ->> 'accelerator')
               WHEN 'day' THEN to_char(f.day, 'YYYY-MM-DD')
           END AS slice,
           CASE $7
               WHEN 'unblended' THEN f.unblended
               WHEN 'net_unblended' THEN f.net_unblended
               WHEN 'amortised' THEN f.amortised
               WHEN 'net_amortised' THEN f.net_amortised
               WHEN 'list' THEN f.list
           END AS cost
    FROM bill_daily_fact f
    JOIN bill b ON b.tenant_id = f.tenant_id AND b.id = f.bill_id
    WHERE f.tenant_id = $1
      -- One bill by its id, whether it still counts or not; otherwise every one that counts.
      AND CASE WHEN $2 IS NULL THEN b.superseded_at IS NULL ELSE b.id = $2 END
      AND ($3 IS NULL OR f.day >= $3)
      AND ($4 IS NULL OR f.day < $4)
      AND ($5 IS NULL OR f.verdict = $5)
    ) AS facts
    GROUP BY slice, currency
    ) AS sums
) AS slices
WHERE rank <= $8
ORDER BY currency, cost DESC NULLS LAST, slice
