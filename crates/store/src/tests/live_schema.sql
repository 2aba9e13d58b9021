-- The tables in diesel's words, to be compared with schema.rs. The retention registry and the migrations' own
-- table are not diesel's to read.
SELECT c.relname::text AS name,
       array_agg(
           a.attname || ' -> ' || replace(
               CASE WHEN a.attnotnull THEN '%' ELSE 'Nullable<%>' END, '%',
               CASE format_type(a.atttypid, NULL)
                   WHEN 'uuid' THEN 'Uuid'
                   WHEN 'text' THEN 'Text'
                   WHEN 'bytea' THEN 'Binary'
                   WHEN 'boolean' THEN 'Bool'
                   WHEN 'integer' THEN 'Int4'
                   WHEN 'bigint' THEN 'Int8'
                   WHEN 'numeric' THEN 'Numeric'
                   WHEN 'date' THEN 'Date'
                   WHEN 'jsonb' THEN 'Jsonb'
                   WHEN 'timestamp with time zone' THEN 'Timestamptz'
                   WHEN 'uuid[]' THEN 'Array<Uuid>'
                   WHEN 'text[]' THEN 'Array<Text>'
                   WHEN 'integer[]' THEN 'Array<Int4>'
                   WHEN 'date[]' THEN 'Array<Date>'
                   ELSE format_type(a.atttypid, NULL)
               END)
           ORDER BY a.attnum
       ) AS columns,
       (SELECT array_agg(k.attname::text ORDER BY u.position)
        FROM pg_index i
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS u (attnum, position)
        JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = u.attnum
        WHERE i.indrelid = c.oid AND i.indisprimary) AS key
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relname NOT IN ('retention', '__diesel_schema_migrations')
GROUP BY c.oid, c.relname
