-- The AI charges of the bills that count, a page after the place $4 to $6, which is null for the first. $2 and $3 narrow
-- the days where they are not null. With $8 only what no settlement has whose bills all count: other currencies than
-- dollars, and bills that are not settled yet.
SELECT f.bill_id, f.n, f.day, f.billing_account, f.usage_account, f.region, f.billing_entity, f.product_code,
       f.product_name, f.usage_type, f.operation, f.principal, f.line_item_type, f.currency, f.class, f.pricing_unit,
       f.usage_quantity, f.tokens, f.unblended, f.net_unblended, f.amortised, f.lines,
       f.net_amortised, f.list
FROM bill_daily_fact f
JOIN bill b ON b.tenant_id = f.tenant_id AND b.id = f.bill_id
WHERE f.tenant_id = $1
  AND b.superseded_at IS NULL
  AND f.verdict = 'ai'
  AND ($2 IS NULL OR f.day >= $2)
  AND ($3 IS NULL OR f.day <= $3)
  -- What the index can begin at, whatever the plan.
  AND f.day >= coalesce($4, '-infinity'::date)
  AND ($4 IS NULL OR (f.day, f.bill_id, f.n) > ($4, $5, $6))
  AND (NOT $8 OR f.currency <> 'USD' OR NOT EXISTS (
      SELECT FROM settlement s
      WHERE s.tenant_id = f.tenant_id AND s.month = date_trunc('month', f.day::timestamp)::date
        AND s.measure = 'net_unblended' AND f.bill_id = ANY (s.bill_ids)
        AND NOT EXISTS (
            SELECT FROM unnest(s.bill_ids) AS of_it (id)
            WHERE NOT EXISTS (
                SELECT FROM bill o WHERE o.tenant_id = f.tenant_id AND o.id = of_it.id AND o.superseded_at IS NULL
            )
        )
  ))
ORDER BY f.day, f.bill_id, f.n
LIMIT $7
