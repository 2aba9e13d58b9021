-- A month's settled costs by one dimension ($4), dearest first, at most $5.
SELECT slice, sum(calls)::bigint AS calls, sum(estimated) AS estimated, sum(settled) AS settled,
       COALESCE(sum(settled) FILTER (WHERE state = 'provisional'), 0) AS provisional
FROM (
    SELECT CASE $4
               WHEN 'key' THEN api_key_id::text
               WHEN 'model' THEN model
               WHEN 'connection' THEN CASE origin WHEN 'proxy' THEN connection_id::text ELSE origin END
               WHEN 'origin' THEN origin
               WHEN 'day' THEN to_char(day, 'YYYY-MM-DD')
           END AS slice,
           calls, estimated, settled, state
    FROM settlement_cell
    WHERE tenant_id = $1 AND month = $2 AND measure = $3 AND issuer = $6 AND state <> 'absent'
) AS cells
GROUP BY slice
ORDER BY settled DESC, slice
LIMIT $5
