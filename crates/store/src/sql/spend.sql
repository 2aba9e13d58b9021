-- Sums of the hourly rollup. $4 to $6 narrow where they are not null. $7 and $8 choose what rows are told
-- apart by, so that one statement serves the series, the breakdown and the totals. Groups that $10 does not name
-- are one, whose name is null.
SELECT bucket AS at,
       slice,
       sum(requests)::bigint AS requests,
       (sum(requests) FILTER (WHERE cost_basis = 'exact'))::bigint AS exact_requests,
       (sum(requests) FILTER (WHERE cost_basis = 'estimated'))::bigint AS estimated_requests,
       (sum(requests) FILTER (WHERE cost_basis = 'unpriced'))::bigint AS unpriced_requests,
       (sum(requests) FILTER (WHERE outcome <> 'completed'))::bigint AS failed_requests,
       sum(fresh_input)::bigint AS fresh_input,
       sum(cache_read)::bigint AS cache_read,
       sum(cache_write_5m)::bigint AS cache_write_5m,
       sum(cache_write_1h)::bigint AS cache_write_1h,
       sum(output)::bigint AS output,
       sum(reasoning)::bigint AS reasoning,
       sum(audio_input)::bigint AS audio_input,
       sum(audio_output)::bigint AS audio_output,
       sum(web_searches)::bigint AS web_searches,
       sum(cost) AS cost,
       sum(cost) FILTER (WHERE cost_basis = 'exact') AS exact_cost,
       sum(cost) FILTER (WHERE cost_basis = 'estimated') AS estimated_cost
FROM (
    SELECT named.*, CASE WHEN $10 IS NULL OR name = ANY ($10) THEN name END AS slice
    FROM (
        SELECT s.*,
               CASE $7 WHEN 'hour' THEN s.hour WHEN 'day' THEN date_trunc('day', s.hour, 'UTC') END AS bucket,
               CASE $8 WHEN 'model' THEN s.model WHEN 'provider' THEN s.provider WHEN 'key' THEN s.api_key_id::text END
                   AS name
        FROM spend_hourly s
        WHERE s.tenant_id = $1
          AND s.hour >= date_trunc('hour', $2, 'UTC') AND s.hour < $3
          AND ($4 IS NULL OR s.api_key_id = $4)
          AND ($5 IS NULL OR s.provider = $5)
          AND ($6 IS NULL OR s.model = $6)
    ) AS named
) AS hours
GROUP BY bucket, slice
ORDER BY bucket, cost DESC NULLS LAST, requests DESC, slice
LIMIT $9
