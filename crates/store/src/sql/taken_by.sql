-- The account of another connection at work that delivers what counts of the scope $2: of some of its paying accounts, and
-- with lines of the accounts $4 of its lines.
SELECT c.account_id AS account
FROM bill b
JOIN bill_delivery d ON d.tenant_id = b.tenant_id AND d.bill_id = b.id
JOIN aws_connection c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
WHERE b.tenant_id = $1 AND b.superseded_at IS NULL
  AND split_part(b.scope, ' ', 1) = split_part($2, ' ', 1)
  AND split_part(b.scope, ' ', 2) = split_part($2, ' ', 2)
  AND string_to_array(split_part(b.scope, ' ', 3), ',') && string_to_array(split_part($2, ' ', 3), ',')
  AND c.id <> $3 AND c.state NOT IN ('paused', 'revoked')
  AND EXISTS (
      SELECT FROM bill_daily_fact f
      WHERE f.tenant_id = b.tenant_id AND f.bill_id = b.id
        AND (f.usage_account = '' OR '' = ANY ($4) OR f.usage_account = ANY ($4))
  )
LIMIT 1
