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

-- Erases some rows of a table, and counts them. Workers of before count what `erase_tenant_rows` tells them.
CREATE FUNCTION erase_counted_rows(of uuid, wanted text, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    removed bigint := public.erase_tenant_rows(of, wanted, most);
BEGIN
    PERFORM public.add_erased(of, 'rows:' || wanted, removed);
    RETURN removed;
END
$$;

REVOKE ALL ON FUNCTION add_erased(uuid, text, bigint), erase_data_keys(uuid), erase_counted_rows(uuid, text, integer)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_erased(uuid, text, bigint) TO costlens_worker;
GRANT EXECUTE ON FUNCTION erase_data_keys(uuid), erase_counted_rows(uuid, text, integer) TO costlens_system;
