-- A call that comes late for an account that is erased is nobody's. What is left of the account tells it by the hash of
-- its id, which is all that the writer may ask for.
CREATE INDEX erasure_tenant_hash ON erasure (tenant_hash) WHERE tenant_hash IS NOT NULL;

-- Those of these tenants whose erasure has begun or is over. The hash is that of the id as it is shown.
CREATE FUNCTION erased_tenants(asked uuid[]) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT u.tenant_id
    FROM unnest(asked) AS u (tenant_id)
    JOIN public.erasure e
        ON e.tenant_hash = sha256(convert_to('ten_' || replace(u.tenant_id::text, '-', ''), 'UTF8'))
$$;
REVOKE ALL ON FUNCTION erased_tenants(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erased_tenants(uuid[]) TO costlens_writer;
