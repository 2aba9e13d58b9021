-- The AI on the bills that count, of the days from $2 to $3 (exclusive), by the measure $4, each format and currency alone.
SELECT b.format, f.currency,
       sum(CASE $4
           WHEN 'unblended' THEN f.unblended
           WHEN 'net_unblended' THEN f.net_unblended
           -- As settlement has it: what is unknown after discounts is what it was before them, and what a commitment covers
           -- at who knows what is what was billed.
           WHEN 'net_amortised' THEN COALESCE(f.net_amortised, f.amortised, f.net_unblended)
           ELSE COALESCE(f.amortised, f.unblended)
       END) AS billed
FROM bill_daily_fact f
JOIN bill b ON b.tenant_id = f.tenant_id AND b.id = f.bill_id
WHERE f.tenant_id = $1 AND f.day >= $2 AND f.day < $3 AND f.verdict = 'ai' AND b.superseded_at IS NULL
GROUP BY b.format, f.currency
ORDER BY b.format, f.currency
