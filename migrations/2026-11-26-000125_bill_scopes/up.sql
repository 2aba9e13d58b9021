-- A bill is of an issuer, of months and of paying accounts, in whatever format it came: a CUR and a FOCUS export of one
-- month are versions of each other, and both counting would double the month.
ALTER TABLE bill ADD COLUMN first_month date, ADD COLUMN last_month date;

UPDATE bill SET first_month = to_date(split_part(scope, ' ', 2) || '-01', 'YYYY-MM-DD'),
                last_month = to_date(split_part(scope, ' ', 2) || '-01', 'YYYY-MM-DD')
WHERE split_part(scope, ' ', 2) ~ '^[0-9]{4}-[0-9]{2}$';

-- The newest of those that now share a scope counts.
UPDATE bill older SET superseded_at = newer.created_at
FROM bill newer
WHERE older.superseded_at IS NULL AND newer.superseded_at IS NULL AND older.tenant_id = newer.tenant_id
  AND older.format IN ('legacy_cur', 'cur2', 'focus') AND newer.format IN ('legacy_cur', 'cur2', 'focus')
  AND substr(older.scope, strpos(older.scope, ' ')) = substr(newer.scope, strpos(newer.scope, ' '))
  AND (older.created_at, older.id) < (newer.created_at, newer.id);

UPDATE bill SET scope = 'aws' || substr(scope, strpos(scope, ' ')) WHERE format IN ('legacy_cur', 'cur2', 'focus');
UPDATE bill SET scope = split_part(format, '_', 1) || substr(scope, strpos(scope, ' '))
WHERE format IN ('anthropic_costs', 'openai_costs');
