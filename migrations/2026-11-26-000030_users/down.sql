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
    EXECUTE format(
        'DELETE FROM public.%1$I AS t USING (SELECT tableoid, ctid FROM public.%1$I WHERE tenant_id = $1 LIMIT $2) AS few
         WHERE t.tenant_id = $1 AND t.tableoid = few.tableoid AND t.ctid = few.ctid', wanted)
    USING erased, most;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;
DELETE FROM retention WHERE table_name IN ('member', 'invitation');
REVOKE UPDATE (name) ON tenant FROM costlens_app;
ALTER TABLE tenant DROP COLUMN one_hour_sign_in;
REVOKE UPDATE (proven_at, two_factors, refresh_used_at) ON session FROM costlens_system;
REVOKE SELECT (user_id) ON session FROM costlens_app;
DROP INDEX session_by_id;
ALTER TABLE session
    DROP COLUMN user_id, DROP COLUMN method, DROP COLUMN proven_at, DROP COLUMN two_factors, DROP COLUMN sign_in_id,
    DROP COLUMN refresh_hash, DROP COLUMN refresh_used_at, DROP COLUMN refresh_expires_at, DROP COLUMN outer_session,
    DROP COLUMN read_only, DROP COLUMN browser;
DROP TABLE invitation, exchange_code, user_link, recovery_code, user_identity;
DROP POLICY fellow ON user_account;
DROP TABLE member;
DROP TABLE user_account;
