-- The bills that count, of the same issuer and accounts as the scope $2 and with months in common with $3 to $4: whether
-- a connection at work delivered each, and whether it is a version of the scope.
SELECT b.id, b.name, b.scope = $2 AS is_version, EXISTS (
    SELECT FROM bill_delivery d
    JOIN aws_connection c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
    WHERE d.tenant_id = b.tenant_id AND d.bill_id = b.id AND c.state NOT IN ('paused', 'revoked')
) AS is_delivered
FROM bill b
WHERE b.tenant_id = $1 AND b.superseded_at IS NULL AND b.first_month <= $4 AND b.last_month >= $3
  AND split_part(b.scope, ' ', 1) = split_part($2, ' ', 1)
  AND split_part(b.scope, ' ', 3) = split_part($2, ' ', 3)
ORDER BY is_delivered DESC, b.id DESC
LIMIT 100
