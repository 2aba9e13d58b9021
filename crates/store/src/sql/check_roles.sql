-- The login role, and every role it may become by SET ROLE, with what each could do to row-level security.
SELECT r.rolname::text AS name,
       r.rolsuper AS superuser,
       r.rolbypassrls AS bypasses,
       EXISTS (
           SELECT FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p', 'v', 'm')
             AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
       ) AS owns,
       r.rolname = current_user AS current
FROM pg_roles r
WHERE pg_has_role(session_user, r.oid, 'MEMBER')
