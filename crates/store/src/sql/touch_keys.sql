-- Keys' last uses; the rows are locked in the order of their key. An older time never replaces a newer one.
WITH used AS (
    SELECT k.tenant_id, k.id, u.at
    FROM unnest($1, $2, $3) AS u (tenant_id, id, at)
    JOIN api_key k ON k.tenant_id = u.tenant_id AND k.id = u.id
    WHERE k.last_used_at IS NULL OR k.last_used_at < u.at
    ORDER BY k.tenant_id, k.id
    FOR NO KEY UPDATE OF k
)
UPDATE api_key
SET last_used_at = used.at
FROM used
WHERE api_key.tenant_id = used.tenant_id AND api_key.id = used.id
