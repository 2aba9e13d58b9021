-- AI lines that no rule could take apart, by what they say of themselves, the dearest first, currency by currency, at
-- most $3 rows of each. Of one bill, whether it still counts or not; otherwise of every one that counts.
SELECT usage_type, product_code, product_name, service, pricing_unit, currency, cost, lines, first_day, last_day
FROM (
    SELECT f.usage_type, f.product_code, f.product_name, f.service, f.pricing_unit, f.currency,
           sum(f.unblended) AS cost, sum(f.lines)::bigint AS lines,
           min(f.day) AS first_day, max(f.day) AS last_day,
           row_number() OVER (
               PARTITION BY f.currency
               ORDER BY abs(sum(f.unblended)) DESC, f.usage_type, f.product_code, f.product_name, f.pricing_unit
           ) AS rank
    FROM bill_daily_fact f
    JOIN bill b ON b.tenant_id = f.tenant_id AND b.id = f.bill_id
    WHERE f.tenant_id = $1
      AND CASE WHEN $2 IS NULL THEN b.superseded_at IS NULL ELSE b.id = $2 END
      AND NOT (f.class ->> 'understood')::boolean
    GROUP BY f.usage_type, f.product_code, f.product_name, f.service, f.pricing_unit, f.currency
) AS drift
WHERE rank <= $3
ORDER BY currency, rank
