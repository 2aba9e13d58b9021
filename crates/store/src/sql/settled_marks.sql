-- Which settlements there are of the months from the day $2 to the day $3, each null for no bound, so that whoever reads them over many transactions notices that one was replaced.
SELECT issuer || '|' || month::text || '|' || measure || '|' || settled_at::text AS mark
FROM settlement
WHERE tenant_id = $1
  AND ($2 IS NULL OR month >= date_trunc('month', $2::timestamp)::date) AND ($3 IS NULL OR month <= $3)
ORDER BY 1
