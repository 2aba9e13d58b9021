-- What a day ($2) has in the settled export, a page after the place $3, which is null for the first: calls at what they cost
-- by each of the bills' costs, calls that no bill has, and what the bills have beside calls. A settlement counts as long as
-- all of its bills do.
WITH valid AS (
    SELECT s.issuer, s.month, s.measure,
           -- Months that were settled before the cost after discounts was read have the one before them.
           CASE WHEN bool_or(s.measure = 'net_amortised') OVER (PARTITION BY s.issuer)
               THEN 'net_amortised' ELSE 'amortised' END AS spread
    FROM settlement s
    WHERE s.tenant_id = $1 AND s.month = date_trunc('month', $2::timestamp)::date
      AND NOT EXISTS (
          SELECT FROM unnest(s.bill_ids) AS of_it (id)
          WHERE NOT EXISTS (
              SELECT FROM bill b WHERE b.tenant_id = $1 AND b.id = of_it.id AND b.superseded_at IS NULL
          )
      )
), cells AS (
    SELECT c.issuer, c.api_key_id, c.connection_id, c.origin, c.region AS imported_from, c.provider, c.model,
           c.service_tier, c.certainty, c.long_prompt,
           max(c.state) FILTER (WHERE c.measure = 'net_unblended') AS state,
           max(c.calls) AS calls, max(c.unpriced_calls) AS unpriced_calls, max(c.estimated) AS estimated,
           COALESCE(max(c.settled) FILTER (WHERE c.measure = 'unblended'), 0) AS contracted,
           COALESCE(max(c.settled) FILTER (WHERE c.measure = 'net_unblended'), 0) AS billed,
           COALESCE(max(c.settled) FILTER (WHERE c.measure = v.spread), 0) AS effective,
           max((
               SELECT sum((part ->> 'quantity')::numeric) FROM jsonb_array_elements(c.parts) AS part
               WHERE part ->> 'kind' <> 'searches'
           )) AS tokens
    FROM settlement_cell c
    JOIN valid v ON v.issuer = c.issuer AND v.month = c.month AND v.measure = c.measure
    WHERE c.tenant_id = $1 AND c.day = $2
    GROUP BY c.issuer, c.api_key_id, c.connection_id, c.origin, c.region, c.provider, c.model, c.service_tier,
             c.certainty, c.long_prompt
), known AS (
    SELECT api_key_id, provider, model, sum(calls) AS calls, sum(unpriced_calls) AS unpriced_calls,
           sum(estimated) AS estimated
    FROM cells
    GROUP BY api_key_id, provider, model
), metered AS (
    SELECT api_key_id, provider, model, sum(requests) AS calls,
           COALESCE(sum(requests) FILTER (WHERE cost_basis = 'unpriced'), 0) AS unpriced_calls,
           COALESCE(sum(cost), 0) AS estimated
    FROM spend_hourly
    WHERE tenant_id = $1
      AND hour >= $2::timestamp AT TIME ZONE 'UTC' AND hour < ($2 + 1)::timestamp AT TIME ZONE 'UTC'
    GROUP BY api_key_id, provider, model
), late AS (
    SELECT m.api_key_id, m.provider, m.model, m.calls - COALESCE(k.calls, 0) AS calls,
           GREATEST(m.unpriced_calls - COALESCE(k.unpriced_calls, 0), 0) AS unpriced_calls,
           m.estimated - COALESCE(k.estimated, 0) AS estimated
    FROM metered m
    LEFT JOIN known k ON k.api_key_id = m.api_key_id AND k.provider = m.provider AND k.model = m.model
    WHERE m.calls > COALESCE(k.calls, 0)
), charges AS (
    SELECT concat_ws('|', '1', issuer, api_key_id, COALESCE(connection_id::text, ''), origin, imported_from, provider,
                     model, service_tier, certainty, long_prompt) AS place,
           state AS kind, issuer, NULL::text AS code, api_key_id, provider, model, service_tier,
           ''::text AS account, ''::text AS region, ''::text AS principal, calls, tokens,
           CASE WHEN unpriced_calls = 0 THEN estimated END AS list, contracted, billed, effective, origin
    FROM cells
    WHERE state <> 'absent'
    UNION ALL
    SELECT concat_ws('|', '2', issuer, api_key_id, COALESCE(connection_id::text, ''), origin, imported_from, provider,
                     model, service_tier, certainty, long_prompt),
           'unbilled', NULL, NULL, api_key_id, provider, model, service_tier, '', '', '', calls, tokens,
           CASE WHEN unpriced_calls = 0 THEN estimated END,
           CASE WHEN unpriced_calls < calls THEN estimated END, NULL,
           CASE WHEN unpriced_calls < calls THEN estimated END, origin
    FROM cells
    WHERE state = 'absent'
    UNION ALL
    SELECT concat_ws('|', '3', api_key_id, provider, model),
           'unbilled', NULL, NULL, api_key_id, provider, model, '', '', '', '', calls, NULL,
           CASE WHEN unpriced_calls = 0 THEN estimated END,
           CASE WHEN unpriced_calls < calls THEN estimated END, NULL,
           -- Hours do not say who saw their calls.
           CASE WHEN unpriced_calls < calls THEN estimated END, NULL
    FROM late
    UNION ALL
    SELECT concat_ws('|', '4', r.issuer, r.code, r.account, r.region, r.principal, r.model),
           'beside_calls', r.issuer, r.code, NULL, '', r.model, '', r.account, r.region, r.principal, 0,
           NULLIF(max(r.tokens), 0), NULL,
           COALESCE(sum(r.amount) FILTER (WHERE r.measure = 'unblended'), 0),
           COALESCE(sum(r.amount) FILTER (WHERE r.measure = 'net_unblended'), 0),
           COALESCE(sum(r.amount) FILTER (WHERE r.measure = v.spread), 0), NULL
    FROM settlement_residual r
    JOIN valid v ON v.issuer = r.issuer AND v.month = r.month AND v.measure = r.measure
    WHERE r.tenant_id = $1 AND r.month = date_trunc('month', $2::timestamp)::date AND r.day = $2
      AND r.side = 'outside'
    GROUP BY r.issuer, r.code, r.account, r.region, r.principal, r.model
)
SELECT place, kind, issuer, code, api_key_id, provider, model, service_tier, account, region, principal,
       calls::bigint AS calls, tokens::bigint AS tokens, list, contracted, billed, effective, origin
FROM charges
WHERE $3 IS NULL OR place COLLATE "C" > $3 COLLATE "C"
ORDER BY place COLLATE "C"
LIMIT $4
