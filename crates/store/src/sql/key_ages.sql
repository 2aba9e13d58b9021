SELECT t.id AS tenant_id, k.newest, k.created_at, coalesce(k.versions > 1, false) AS has_older,
       coalesce(k.all_current, true) AS all_current, ({older_texts}) AS has_older_texts,
       coalesce(k.seals, 0) AS seals
FROM tenant t
CROSS JOIN LATERAL (
    SELECT max(version) AS newest, max(created_at) AS created_at, count(*) AS versions,
           (array_agg(seals ORDER BY version DESC))[1] AS seals,
           bool_and(substring(wrapped FROM 1 FOR length($1)) = $1) AS all_current
    FROM tenant_key
    WHERE tenant_id = t.id
) k
WHERE $2 IS NULL OR t.id > $2
ORDER BY t.id
LIMIT $3
