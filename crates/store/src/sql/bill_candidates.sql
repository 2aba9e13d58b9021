-- What may be AI on the bill $2, by where it ran and on what, the dearest first, at most $3 rows of each currency; with the
-- rule by which it counts as AI, where one does.
SELECT service, usage_account, region, instance_type, accelerators, by_rule, currency, cost, lines
FROM (
    SELECT service, usage_account, region, instance_type, accelerators, by_rule, currency, cost, lines,
           row_number() OVER (PARTITION BY currency ORDER BY cost DESC, service, usage_account, region, instance_type) AS rank
    FROM (
        SELECT service, usage_account, region, class ->> 'instance_type' AS instance_type,
               concat_ws(' × ', class ->> 'accelerator_count', class ->> 'accelerator') AS accelerators, by_rule, currency,
               sum(unblended) AS cost, sum(lines)::bigint AS lines
        FROM bill_daily_fact
        WHERE tenant_id = $1 AND bill_id = $2 AND (verdict = 'candidate' OR by_rule IS NOT NULL)
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ) sums
) ranked
WHERE rank <= $3
ORDER BY currency, rank
