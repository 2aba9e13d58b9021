-- What an erasure took away is counted in the transaction that takes it away: of an attempt that dies in between, the
-- certificate would say too little.

-- Adds to the count of one step of an erasure that is under way. The queue's rows are erased by the queue's role, which
-- counts them with this.
CREATE FUNCTION add_erased(of uuid, step text, more bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM public.erasing_tenant(of);
    UPDATE public.erasure e
    SET evidence = e.evidence || jsonb_build_object(step, coalesce((e.evidence ->> step)::bigint, 0) + more)
    WHERE e.id = of;
END
$$;

-- Destroys an erased tenant's data keys. Waits for transactions that may be sealing under them.
CREATE FUNCTION erase_data_keys(of uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
    removed bigint;
    of_subjects bigint;
BEGIN
    DELETE FROM public.tenant_key WHERE tenant_id = erased;
    GET DIAGNOSTICS removed = ROW_COUNT;
    DELETE FROM public.subject_key WHERE tenant_id = erased;
    GET DIAGNOSTICS of_subjects = ROW_COUNT;
    PERFORM public.add_erased(of, 'data_keys', removed + of_subjects);
    RETURN removed + of_subjects;
END
$$;

-- As before, and counted.
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
    ELSE
        -- A row's place is its partition and its ctid.
        EXECUTE format(
            'DELETE FROM public.%1$I AS t USING (SELECT tableoid, ctid FROM public.%1$I WHERE tenant_id = $1 LIMIT $2) AS few
             WHERE t.tenant_id = $1 AND t.tableoid = few.tableoid AND t.ctid = few.ctid', wanted)
        USING erased, most;
        GET DIAGNOSTICS removed = ROW_COUNT;
    END IF;
    PERFORM public.add_erased(of, 'rows:' || wanted, removed);
    RETURN removed;
END
$$;

REVOKE ALL ON FUNCTION add_erased(uuid, text, bigint), erase_data_keys(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_erased(uuid, text, bigint) TO costlens_worker;
GRANT EXECUTE ON FUNCTION erase_data_keys(uuid) TO costlens_system;
