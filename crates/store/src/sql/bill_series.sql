-- Sums of the bills' facts by day, by one dimension ($6, or none) and measure ($7), apart by currency. A sum of which
-- a part is unknown is unknown.
SELECT day, slice, currency, CASE WHEN count(cost) = count(*) THEN sum(cost) END AS cost
FROM (
    SELECT f.day, f.currency,
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
GROUP BY day, slice, currency
ORDER BY day, currency, cost DESC NULLS LAST, slice
