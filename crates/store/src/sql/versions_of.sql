-- The bills that count and in whose place one in the scope $2 does: of the same issuer and months, of none but its paying
-- accounts, and with lines of the accounts $3 of its lines. Only AWS names those alike in all formats. Where it was delivered
-- ($4), an upload with lines of other accounts as well goes on counting for those.
SELECT b.id
FROM bill b
WHERE b.tenant_id = $1 AND b.superseded_at IS NULL
  AND split_part(b.scope, ' ', 1) = split_part($2, ' ', 1)
  AND split_part(b.scope, ' ', 2) = split_part($2, ' ', 2)
  AND (split_part(b.scope, ' ', 3) = split_part($2, ' ', 3)
       OR split_part(b.scope, ' ', 3) <> ''
       AND string_to_array(split_part(b.scope, ' ', 3), ',') <@ string_to_array(split_part($2, ' ', 3), ','))
  AND (split_part(b.scope, ' ', 1) <> 'aws' OR cardinality($3) = 0 OR '' = ANY ($3)
       OR NOT EXISTS (SELECT FROM bill_daily_fact f WHERE f.tenant_id = b.tenant_id AND f.bill_id = b.id)
       OR EXISTS (
           SELECT FROM bill_daily_fact f
           WHERE f.tenant_id = b.tenant_id AND f.bill_id = b.id AND (f.usage_account = '' OR f.usage_account = ANY ($3))
       ))
  AND (NOT $4 OR split_part(b.scope, ' ', 1) <> 'aws' OR '' = ANY ($3)
       OR EXISTS (SELECT FROM bill_delivery d WHERE d.tenant_id = b.tenant_id AND d.bill_id = b.id)
       OR NOT EXISTS (
           SELECT FROM bill_daily_fact f
           WHERE f.tenant_id = b.tenant_id AND f.bill_id = b.id AND f.usage_account <> ''
             AND NOT f.usage_account = ANY ($3)
       ))
