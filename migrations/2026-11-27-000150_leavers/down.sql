ALTER TABLE erasure DROP COLUMN chain_tag;
CREATE OR REPLACE FUNCTION erase_tenant_rows(of uuid, wanted text, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
    removed bigint;
BEGIN
    IF wanted IN ('closure', 'audit_head') OR NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname = wanted AND c.relkind IN ('r', 'p')
    ) THEN
        RAISE EXCEPTION '% is no tenant table', wanted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'erasure_table';
    END IF;
    IF wanted = 'member' THEN
        WITH gone AS (
            DELETE FROM public.member WHERE tenant_id = erased AND user_id IN (
                SELECT user_id FROM public.member WHERE tenant_id = erased LIMIT most)
            RETURNING user_id
        ), people AS (
            DELETE FROM public.user_account u USING gone
            WHERE u.id = gone.user_id
              AND NOT EXISTS (SELECT FROM public.member m WHERE m.user_id = u.id AND m.tenant_id <> erased)
            RETURNING u.email
        ), links AS (
            DELETE FROM public.user_link WHERE lower(email) IN (SELECT lower(people.email) FROM people)
        )
        SELECT count(*) INTO removed FROM gone;
        RETURN removed;
    END IF;
    -- A row's place is its partition and its ctid.
    EXECUTE format(
        'DELETE FROM public.%1$I AS t USING (SELECT tableoid, ctid FROM public.%1$I WHERE tenant_id = $1 LIMIT $2) AS few
         WHERE t.tenant_id = $1 AND t.tableoid = few.tableoid AND t.ctid = few.ctid', wanted)
    USING erased, most;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;
DROP FUNCTION forget_memberless(timestamptz, text, integer);
DROP FUNCTION forget_people(uuid[]);
REVOKE DELETE ON sso_identity FROM costlens_system;
DELETE FROM sso_identity WHERE user_id IS NULL;
ALTER TABLE sso_identity DROP CONSTRAINT sso_identity_forgotten;
ALTER TABLE sso_identity ALTER COLUMN user_id SET NOT NULL;
DROP FUNCTION forgotten_subject(uuid, text, text);
DELETE FROM retention WHERE table_name = 'user_account';
DROP TRIGGER note_joined ON member;
DROP FUNCTION note_joined();
ALTER TABLE user_account DROP COLUMN memberless_since;
