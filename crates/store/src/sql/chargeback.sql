-- What the calls of the month from $2 to $3 (exclusive) are charged, by key or model ($7) where $5 is null, else by what the
-- label $5 of their keys says; dearest first. What comes after the first $6 is one more row, so that nothing is left out.
--
-- A call is in a cell of its month's settlement, or it has its estimate: its issuer has no bill, or it reached the ledger
-- after its month was settled. How many those are the rollup says, by day, key, provider and model.
WITH cells AS (
    SELECT day, api_key_id, provider, model, sum(calls) AS calls, sum(unpriced_calls) AS unpriced_calls,
           sum(estimated) AS estimated,
           COALESCE(sum(calls) FILTER (WHERE state = 'settled'), 0) AS settled_calls,
           COALESCE(sum(settled) FILTER (WHERE state = 'settled'), 0) AS settled,
           COALESCE(sum(calls) FILTER (WHERE state = 'provisional'), 0) AS provisional_calls,
           COALESCE(sum(settled) FILTER (WHERE state = 'provisional'), 0) AS provisional,
           COALESCE(sum(calls) FILTER (WHERE state = 'absent'), 0) AS absent_calls,
           COALESCE(sum(estimated) FILTER (WHERE state = 'absent'), 0) AS absent,
           COALESCE(sum(unpriced_calls) FILTER (WHERE state <> 'settled'), 0) AS unknown_calls
    FROM settlement_cell
    WHERE tenant_id = $1 AND month = $2 AND measure = $4
    GROUP BY day, api_key_id, provider, model
), metered AS (
    SELECT (hour AT TIME ZONE 'UTC')::date AS day, api_key_id, provider, model, sum(requests) AS calls,
           COALESCE(sum(requests) FILTER (WHERE cost_basis = 'unpriced'), 0) AS unpriced_calls,
           COALESCE(sum(cost), 0) AS estimated
    FROM spend_hourly
    WHERE tenant_id = $1
      AND hour >= $2::timestamp AT TIME ZONE 'UTC' AND hour < $3::timestamp AT TIME ZONE 'UTC'
    GROUP BY 1, 2, 3, 4
), late AS (
    SELECT api_key_id, model,
           COALESCE(m.calls - COALESCE(c.calls, 0) > 0, false) AS has_late,
           COALESCE(m.calls, 0) - COALESCE(c.calls, 0) AS calls,
           COALESCE(m.estimated, 0) - COALESCE(c.estimated, 0) AS estimated,
           GREATEST(COALESCE(m.unpriced_calls, 0) - COALESCE(c.unpriced_calls, 0), 0) AS unpriced_calls,
           COALESCE(c.calls, 0) AS cell_calls, COALESCE(c.estimated, 0) AS cell_estimated,
           COALESCE(c.settled_calls, 0) AS settled_calls, COALESCE(c.settled, 0) AS settled,
           COALESCE(c.provisional_calls, 0) AS provisional_calls, COALESCE(c.provisional, 0) AS provisional,
           COALESCE(c.absent_calls, 0) AS absent_calls, COALESCE(c.absent, 0) AS absent,
           COALESCE(c.unknown_calls, 0) AS unknown_calls
    FROM cells c FULL JOIN metered m USING (day, api_key_id, provider, model)
), keys AS (
    SELECT api_key_id, model,
           sum(cell_calls) + COALESCE(sum(calls) FILTER (WHERE has_late), 0) AS calls,
           sum(cell_estimated) + COALESCE(sum(estimated) FILTER (WHERE has_late), 0) AS estimated,
           sum(settled_calls) AS settled_calls, sum(settled) AS settled,
           sum(provisional_calls) AS provisional_calls, sum(provisional) AS provisional,
           sum(absent_calls) + COALESCE(sum(calls) FILTER (WHERE has_late), 0) AS unbilled_calls,
           sum(absent) + COALESCE(sum(estimated) FILTER (WHERE has_late), 0) AS unbilled,
           sum(unknown_calls) + COALESCE(sum(unpriced_calls) FILTER (WHERE has_late), 0) AS unpriced_calls
    FROM late
    GROUP BY api_key_id, model
), slices AS (
    SELECT CASE WHEN $5 IS NOT NULL THEN l.value WHEN $7 = 'model' THEN k.model ELSE k.api_key_id::text END AS slice,
           CASE WHEN $7 = 'key' THEN min(a.name) END AS name,
           sum(k.calls) AS calls, sum(k.estimated) AS estimated, sum(k.settled_calls) AS settled_calls,
           sum(k.settled) AS settled, sum(k.provisional_calls) AS provisional_calls,
           sum(k.provisional) AS provisional, sum(k.unbilled_calls) AS unbilled_calls, sum(k.unbilled) AS unbilled,
           sum(k.unpriced_calls) AS unpriced_calls
    FROM keys k
    LEFT JOIN api_key a ON a.tenant_id = $1 AND a.id = k.api_key_id
    LEFT JOIN api_key_label l ON l.tenant_id = $1 AND l.api_key_id = k.api_key_id AND l.name = $5
    GROUP BY 1
), placed AS (
    SELECT *, row_number() OVER (ORDER BY settled + provisional + unbilled DESC, slice NULLS LAST) AS place
    FROM slices
)
SELECT min(slice) AS slice, min(name) AS name, LEAST(place, $6 + 1) > $6 AS is_rest,
       sum(calls)::bigint AS calls, sum(estimated) AS estimated, sum(settled_calls)::bigint AS settled_calls,
       sum(settled) AS settled, sum(provisional_calls)::bigint AS provisional_calls, sum(provisional) AS provisional,
       sum(unbilled_calls)::bigint AS unbilled_calls, sum(unbilled) AS unbilled,
       sum(unpriced_calls)::bigint AS unpriced_calls
FROM placed
GROUP BY LEAST(place, $6 + 1)
ORDER BY LEAST(place, $6 + 1)
