-- The months of the connection $2 that a look should not pass over: not read to their end, read by other rules than $3's,
-- or read and no longer counting, because a file was uploaded while the connection was at rest.
SELECT m.month, COALESCE(m.state = 'current' AND b.superseded_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM bill other
    JOIN bill_delivery od ON od.tenant_id = other.tenant_id AND od.bill_id = other.id
    JOIN aws_connection c ON c.tenant_id = od.tenant_id AND c.id = od.connection_id
    WHERE other.tenant_id = $1 AND other.superseded_at IS NULL
      AND split_part(other.scope, ' ', 1) = split_part(b.scope, ' ', 1)
      AND split_part(other.scope, ' ', 2) = split_part(b.scope, ' ', 2)
      AND string_to_array(split_part(other.scope, ' ', 3), ',') && string_to_array(split_part(b.scope, ' ', 3), ',')
      AND c.id <> $2 AND c.state NOT IN ('paused', 'revoked')
      AND EXISTS (
          SELECT FROM bill_daily_fact own
          JOIN bill_daily_fact f ON f.tenant_id = own.tenant_id AND f.usage_account = own.usage_account
          WHERE own.tenant_id = b.tenant_id AND own.bill_id = b.id AND f.bill_id = other.id
      )
), false) AS is_displaced, m.state <> 'current' OR m.rules_version <> $3 AS is_unread, m.state = 'failed' AS is_failed
FROM bill_month m
LEFT JOIN bill_delivery d ON d.tenant_id = m.tenant_id AND d.id = m.delivery_id
LEFT JOIN bill b ON b.tenant_id = d.tenant_id AND b.id = d.bill_id
WHERE m.tenant_id = $1 AND m.connection_id = $2
ORDER BY m.month DESC
