-- The bills that count, of the same issuer as the scope $2 and of some of its paying accounts, with months in common with $3
-- to $4: whether a connection at work delivered each, and how its months, accounts and lines are to the scope's. $5 are the
-- accounts of the scope's lines; only AWS names those alike in all formats. $6 are left out.
SELECT b.id, b.name, split_part(b.scope, ' ', 2) = split_part($2, ' ', 2) AS is_of_same_months,
    string_to_array(split_part(b.scope, ' ', 3), ',') <@ string_to_array(split_part($2, ' ', 3), ',') AS is_covered,
    split_part(b.scope, ' ', 1) <> 'aws' OR cardinality($5) = 0 OR '' = ANY ($5)
    OR NOT EXISTS (SELECT FROM bill_daily_fact f WHERE f.tenant_id = b.tenant_id AND f.bill_id = b.id)
    OR EXISTS (
        SELECT FROM bill_daily_fact f
        WHERE f.tenant_id = b.tenant_id AND f.bill_id = b.id AND (f.usage_account = '' OR f.usage_account = ANY ($5))
    ) AS shares_lines,
    split_part(b.scope, ' ', 1) = 'aws' AND cardinality($5) > 0 AND NOT '' = ANY ($5)
    AND EXISTS (
        SELECT FROM bill_daily_fact f
        WHERE f.tenant_id = b.tenant_id AND f.bill_id = b.id AND f.usage_account <> '' AND NOT f.usage_account = ANY ($5)
    ) AS has_other_lines,
    EXISTS (
        SELECT FROM bill_delivery d
        JOIN aws_connection c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
        WHERE d.tenant_id = b.tenant_id AND d.bill_id = b.id AND c.state NOT IN ('paused', 'revoked')
    ) AS is_delivered
FROM bill b
WHERE b.tenant_id = $1 AND b.superseded_at IS NULL AND NOT b.id = ANY ($6)
  AND COALESCE(b.first_month, date_trunc('month', b.first_day)::date) <= $4
  AND COALESCE(b.last_month, date_trunc('month', b.last_day)::date) >= $3
  AND split_part(b.scope, ' ', 1) = split_part($2, ' ', 1)
  AND (split_part(b.scope, ' ', 3) = split_part($2, ' ', 3)
       OR string_to_array(split_part(b.scope, ' ', 3), ',') && string_to_array(split_part($2, ' ', 3), ','))
ORDER BY shares_lines DESC, is_delivered DESC, b.id DESC
LIMIT 100
