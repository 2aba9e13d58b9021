-- Closing an account: frozen at once, erased after the days of grace, proven.

-- Set from the request to the erasure: keys, sessions and workflows stop at it.
ALTER TABLE tenant ADD COLUMN closing_at timestamptz;
GRANT UPDATE (closing_at) ON tenant TO costlens_app;
CREATE POLICY tenant ON session TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
GRANT SELECT (tenant_id, id, ended_at), UPDATE (ended_at) ON session TO costlens_app;
CREATE POLICY tenant ON sign_in_link TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
GRANT SELECT (tenant_id, used_at), UPDATE (used_at) ON sign_in_link TO costlens_app;

-- What leads from the account to its erasure. It goes with the account, and with it the only link between the two.
CREATE TABLE closure (
    tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
    erasure_id uuid NOT NULL UNIQUE,
    requested_by text NOT NULL
);
ALTER TABLE closure ENABLE ROW LEVEL SECURITY;
ALTER TABLE closure FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON closure TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON closure TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON closure TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, DELETE ON closure TO costlens_app;
GRANT SELECT ON closure TO costlens_system;
INSERT INTO retention (table_name, keep_days, reason) VALUES ('closure', NULL, 'goes with the account');

-- What is left of an account: a random number, times, counts and the certificate. No name, no tenant's id.
CREATE TABLE erasure (
    id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('grace', 'erasing', 'certified', 'cancelled')),
    requested_at timestamptz NOT NULL,
    erase_at timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    begun_at timestamptz,
    ended_at timestamptz,
    -- The last of the days 14, 20 and 25 that was told to the operator.
    alarmed_day integer,
    -- SHA-256 of the tenant's id: a backup from before that is brought back knows by it whom to erase again.
    tenant_hash bytea,
    evidence jsonb NOT NULL,
    certificate jsonb
);
ALTER TABLE erasure ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasure FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON erasure TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY system ON erasure TO costlens_system USING (true) WITH CHECK (true);
-- A tenant sees its own by its closure, and no other.
-- It asks for one and takes it back during the days of grace; that it begins is not a tenant's transaction's to say.
CREATE POLICY seen ON erasure FOR SELECT TO costlens_app USING (id IN (SELECT erasure_id FROM closure));
CREATE POLICY asked ON erasure FOR INSERT TO costlens_app
    WITH CHECK (state = 'grace' AND id IN (SELECT erasure_id FROM closure));
CREATE POLICY taken_back ON erasure FOR UPDATE TO costlens_app
    USING (state = 'grace' AND id IN (SELECT erasure_id FROM closure))
    WITH CHECK (state IN ('grace', 'cancelled') AND id IN (SELECT erasure_id FROM closure));
GRANT SELECT, INSERT, UPDATE (state, ended_at) ON erasure TO costlens_app;
GRANT SELECT, UPDATE ON erasure TO costlens_system;
CREATE INDEX erasure_open ON erasure (erase_at) WHERE state IN ('grace', 'erasing');

-- The link to an erasure goes when the account is kept, or when nothing else of it is left, and not between.
CREATE FUNCTION closure_goes() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM public.erasure e WHERE e.id = OLD.erasure_id AND e.state IN ('grace', 'erasing')) THEN
        RAISE EXCEPTION 'the erasure % is open', OLD.erasure_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'closure_open';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER closure_goes BEFORE DELETE ON closure FOR EACH ROW EXECUTE FUNCTION closure_goes();

-- The audit that must be kept, under the pseudonym: what was done and when, not by whom or to what.
CREATE TABLE kept_audit_event (
    erasure_id uuid NOT NULL REFERENCES erasure (id),
    n bigint NOT NULL,
    at timestamptz NOT NULL,
    action text NOT NULL,
    PRIMARY KEY (erasure_id, n)
);
GRANT SELECT ON kept_audit_event TO costlens_system;

-- The tenant of an erasure that has begun, or an error: no function below does anything for any other.
CREATE FUNCTION erasing_tenant(of uuid) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found uuid;
BEGIN
    SELECT c.tenant_id INTO found
    FROM public.closure c JOIN public.erasure e ON e.id = c.erasure_id
    WHERE e.id = of AND e.state = 'erasing';
    IF found IS NULL THEN
        RAISE EXCEPTION 'no erasure % is under way', of
            USING ERRCODE = 'check_violation', CONSTRAINT = 'erasure_under_way';
    END IF;
    RETURN found;
END
$$;

-- Removes some of an erased tenant's rows from one of the tenant tables.
CREATE FUNCTION erase_tenant_rows(of uuid, wanted text, most integer) RETURNS bigint
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

-- Writes the audit that is kept. Again: nothing.
CREATE FUNCTION keep_audit(of uuid) RETURNS bigint
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

-- What is left of a tenant, table by table, as the catalogue knows tables: independent of any list that the
-- erasure works through. A column `tenant_id` or `tenant` of type uuid makes a table a tenant's, in any schema.
CREATE FUNCTION count_tenant_rows(of uuid) RETURNS TABLE (name text, rows bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
    found record;
BEGIN
    FOR found IN
        SELECT n.nspname, c.relname, a.attname
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.atttypid = 'uuid'::regtype
          AND a.attname IN ('tenant_id', 'tenant')
          AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
        ORDER BY n.nspname, c.relname
    LOOP
        name := CASE found.nspname WHEN 'public' THEN found.relname ELSE found.nspname || '.' || found.relname END;
        EXECUTE format('SELECT count(*) FROM %I.%I WHERE %I = $1', found.nspname, found.relname, found.attname)
        INTO rows USING erased;
        RETURN NEXT;
    END LOOP;
END
$$;

-- The last of an account: the link to its erasure and its own row. Foreign keys refuse it while anything is left.
CREATE FUNCTION erase_tenant_itself(of uuid, certified jsonb, at timestamptz) RETURNS void
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

REVOKE ALL ON FUNCTION erasing_tenant(uuid), erase_tenant_rows(uuid, text, integer), keep_audit(uuid),
    count_tenant_rows(uuid), erase_tenant_itself(uuid, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erasing_tenant(uuid), erase_tenant_rows(uuid, text, integer), keep_audit(uuid),
    count_tenant_rows(uuid), erase_tenant_itself(uuid, jsonb, timestamptz) TO costlens_system;
