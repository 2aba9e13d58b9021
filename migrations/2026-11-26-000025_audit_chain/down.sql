DROP TABLE audit_anchor;
CREATE OR REPLACE FUNCTION erase_tenant_rows(of uuid, wanted text, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
    removed bigint;
BEGIN
    IF wanted = 'closure' OR NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname = wanted AND c.relkind IN ('r', 'p')
    ) THEN
        RAISE EXCEPTION '% is no tenant table', wanted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'erasure_table';
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
CREATE OR REPLACE FUNCTION erase_tenant_itself(of uuid, certified jsonb, at timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
BEGIN
    UPDATE public.erasure SET state = 'certified', ended_at = at, certificate = certified WHERE id = of;
    DELETE FROM public.closure WHERE tenant_id = erased;
    DELETE FROM public.tenant WHERE id = erased;
END
$$;
CREATE OR REPLACE FUNCTION keep_audit(of uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
    kept bigint;
BEGIN
    INSERT INTO public.kept_audit_event (erasure_id, n, at, action)
    SELECT of, already.n + row_number() OVER (ORDER BY a.id), a.at, a.action
    FROM public.audit_event a,
         (SELECT coalesce(max(k.n), 0) AS n, max(k.at) AS at FROM public.kept_audit_event k WHERE k.erasure_id = of) already
    WHERE a.tenant_id = erased AND (already.at IS NULL OR a.at > already.at);
    SELECT count(*) INTO kept FROM public.kept_audit_event WHERE erasure_id = of;
    RETURN kept;
END
$$;
DROP FUNCTION prune_audit(timestamptz, bigint);
ALTER TABLE retention DROP CONSTRAINT audit_is_kept_90_days;
REVOKE INSERT, SELECT (tenant_id, seq, at, action, prev_hash, hash) ON audit_event FROM costlens_system;
DROP POLICY system_reads ON audit_event;
DROP POLICY system_adds ON audit_event;
DROP TRIGGER is_not_emptied ON kept_audit_event;
DROP TRIGGER is_not_emptied ON operator_event;
DROP TRIGGER is_not_emptied ON audit_event;
DROP TRIGGER stays ON kept_audit_event;
DROP TRIGGER stays ON operator_event;
DROP TRIGGER stays ON audit_event;
DROP TRIGGER chained ON operator_event;
DROP TRIGGER chained ON audit_event;
DELETE FROM retention WHERE table_name = 'audit_head';
DROP TABLE operator_event_head;
DROP TABLE audit_head;
DROP FUNCTION audit_stays();
DROP FUNCTION audit_head_goes_on();
DROP FUNCTION audit_event_stays();
DROP FUNCTION operator_event_chained();
DROP FUNCTION audit_event_chained();
DROP INDEX operator_event_refused;
DROP INDEX audit_event_time;
ALTER TABLE kept_audit_event DROP COLUMN hash, DROP COLUMN prev_hash;
ALTER TABLE operator_event
    DROP COLUMN address, DROP COLUMN hash, DROP COLUMN prev_hash, DROP COLUMN seq, DROP COLUMN request_id;
ALTER TABLE audit_event DROP COLUMN address, DROP COLUMN hash, DROP COLUMN prev_hash, DROP COLUMN seq;
DROP FUNCTION kept_audit_hash(uuid, bigint, bytea, timestamptz, text);
DROP FUNCTION audit_hash(text, bigint, bytea, uuid, timestamptz, text, text, text, jsonb, uuid, text);
DROP FUNCTION audit_field(bytea);
