-- The account of another connection at work that delivers what counts in the scope $2.
SELECT c.account_id AS account
FROM bill b
JOIN bill_delivery d ON d.tenant_id = b.tenant_id AND d.bill_id = b.id
JOIN aws_connection c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
WHERE b.tenant_id = $1 AND b.scope = $2 AND b.superseded_at IS NULL
  AND c.id <> $3 AND c.state NOT IN ('paused', 'revoked')
LIMIT 1
