-- What breaks the schema's rules, one line each. A tenant table is one with a column tenant_id, and `tenant`.
WITH doors AS (
    SELECT oid, rolname FROM pg_roles
    WHERE rolname IN ('costlens_app', 'costlens_writer', 'costlens_system', 'costlens_runtime')
),
own AS (
    SELECT c.oid, c.relname::text AS name, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.relowner,
           c.relispartition
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm')
),
tenant_table AS (
    SELECT o.*,
           CASE o.name WHEN 'tenant' THEN 'id' ELSE 'tenant_id' END AS tenant_column,
           (SELECT a.attnum FROM pg_attribute a
            WHERE a.attrelid = o.oid AND a.attname = CASE o.name WHEN 'tenant' THEN 'id' ELSE 'tenant_id' END) AS tenant_attnum
    FROM own o
    WHERE o.relkind IN ('r', 'p') AND NOT o.relispartition
      AND (o.name = 'tenant'
           OR EXISTS (SELECT FROM pg_attribute a
                      WHERE a.attrelid = o.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
)
SELECT name || ': the primary key does not begin with ' || tenant_column AS fault
FROM tenant_table t
WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary AND i.indkey[0] = t.tenant_attnum)
UNION ALL
SELECT name || ': no foreign key from tenant_id to tenant'
FROM tenant_table t
WHERE name <> 'tenant'
  AND NOT EXISTS (SELECT FROM pg_constraint k
                  WHERE k.conrelid = t.oid AND k.contype = 'f' AND k.confrelid = 'tenant'::regclass
                    AND k.conkey = ARRAY[t.tenant_attnum])
UNION ALL
SELECT name || ': row-level security is not forced'
FROM tenant_table
WHERE NOT (relrowsecurity AND relforcerowsecurity)
UNION ALL
SELECT name || ': no index begins with ' || tenant_column
FROM tenant_table t
WHERE NOT EXISTS (SELECT FROM pg_index i
                  WHERE i.indrelid = t.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = t.tenant_attnum)
UNION ALL
SELECT name || ': no retention row'
FROM tenant_table
WHERE name NOT IN (SELECT table_name FROM retention)
UNION ALL
SELECT table_name || ': a retention row without a table'
FROM retention
WHERE table_name NOT IN (SELECT name FROM own)
UNION ALL
SELECT t.name || ': the policy ' || p.polname || ' lets costlens_app see every tenant'
FROM tenant_table t
JOIN pg_policy p ON p.polrelid = t.oid
WHERE (p.polroles = '{0}' OR 'costlens_app'::regrole::oid = ANY (p.polroles))
  AND pg_get_expr(p.polqual, p.polrelid) IS DISTINCT FROM
      format('(%s = (NULLIF(current_setting(''costlens.tenant''::text, true), ''''::text))::uuid)', t.tenant_column)
UNION ALL
SELECT t.name || ': the policy ' || p.polname || ' is open to every role'
FROM tenant_table t
JOIN pg_policy p ON p.polrelid = t.oid
WHERE p.polroles = '{0}'
UNION ALL
SELECT o.name || ': a partition with grants'
FROM own o
WHERE o.relispartition
  AND EXISTS (SELECT FROM aclexplode(o.relacl) a WHERE a.grantee <> o.relowner)
UNION ALL
SELECT o.name || ': a view that a door may read goes round the policies'
FROM own o
WHERE o.relkind IN ('v', 'm')
  AND EXISTS (SELECT FROM aclexplode(o.relacl) a WHERE a.grantee = 0 OR a.grantee IN (SELECT oid FROM doors))
UNION ALL
SELECT o.name || ': owned by a door'
FROM own o
WHERE o.relowner IN (SELECT oid FROM doors)
UNION ALL
SELECT rolname || ': may create in the schema'
FROM doors
WHERE has_schema_privilege(oid, 'public', 'CREATE') AND rolname <> 'costlens_runtime'
UNION ALL
SELECT p.proname || '(): security definer without a fixed search_path, or open to all'
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
  AND (NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search\_path=%')
       OR p.proacl IS NULL
       OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0))
ORDER BY fault
