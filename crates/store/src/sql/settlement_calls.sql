-- The calls of the days $2 to $3 (exclusive) that went through the connections $4, and the imported ones that went to the
-- providers $5 (all of them where those are null), added up by everything that a bill or a reader may tell them apart by.
-- They begin from the moment $6 to $7 (exclusive), of the key $8, provider $9 and model $10, where those are not null; $11
-- and $12 are the ids that bound the same time, which the index has.
-- `settled_call.sql` finds a call's sum by the same expressions. A call without a price of which nobody counted what it
-- used is in none: its share would be nothing, and what it cost nobody knows.
SELECT day, api_key_id, CASE origin WHEN 'proxy' THEN connection_id END AS connection_id, origin,
       COALESCE(region, '') AS region, provider, COALESCE(model_served, model_requested) AS model,
       COALESCE(service_tier, '') AS service_tier,
       CASE
           WHEN cost_basis = 'exact' THEN 'exact'
           WHEN price ->> 'note' LIKE '%output estimated at 4 bytes a token' THEN 'output_estimated'
           WHEN cost_basis = 'estimated' OR outcome = 'interrupted' THEN 'estimated'
           WHEN price ->> 'note' LIKE '%no usage from the provider: estimated at 4 bytes a token' THEN 'estimated'
           WHEN price ->> 'note' LIKE '%texts were shortened to fit the spool' THEN 'estimated'
           ELSE 'exact'
       END AS certainty,
       fresh_input + cache_read + cache_write_5m + cache_write_1h + audio_input > 200000 AS long_prompt,
       count(*) AS calls,
       count(*) FILTER (WHERE cost IS NULL) AS unpriced_calls,
       COALESCE(sum(cost), 0) AS estimated,
       sum(fresh_input)::bigint AS fresh_input,
       sum(cache_read)::bigint AS cache_read,
       sum(cache_write_5m)::bigint AS cache_write_5m,
       sum(cache_write_1h)::bigint AS cache_write_1h,
       sum(output)::bigint AS output,
       sum(audio_input)::bigint AS audio_input,
       sum(audio_output)::bigint AS audio_output,
       sum(web_searches)::bigint AS web_searches
FROM request
WHERE tenant_id = $1 AND day >= $2 AND day < $3
  AND CASE origin
          WHEN 'proxy' THEN $4 IS NULL OR connection_id = ANY ($4)
          ELSE $5 IS NULL OR provider = ANY ($5)
      END
  AND ($6 IS NULL OR started_at >= $6) AND ($7 IS NULL OR started_at < $7)
  AND ($8 IS NULL OR api_key_id = $8) AND ($9 IS NULL OR provider = $9)
  AND ($10 IS NULL OR COALESCE(model_served, model_requested) = $10)
  AND id >= COALESCE($11, '00000000-0000-0000-0000-000000000000') AND id <= COALESCE($12, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  AND (cost IS NOT NULL OR fresh_input + cache_read + cache_write_5m + cache_write_1h + output + audio_input
       + audio_output + web_searches > 0)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
