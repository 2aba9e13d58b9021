WITH counted AS (
    SELECT * FROM unnest($1, $2, $3) AS counted (tenant_id, version, seals)
),
-- Locked in one order, whatever order the rows are found in.
held AS (
    SELECT k.tenant_id, k.version, c.seals
    FROM tenant_key k
    JOIN counted c USING (tenant_id, version)
    ORDER BY k.tenant_id, k.version
    FOR NO KEY UPDATE OF k
)
UPDATE tenant_key k
SET seals = k.seals + held.seals
FROM held
WHERE k.tenant_id = held.tenant_id AND k.version = held.version
