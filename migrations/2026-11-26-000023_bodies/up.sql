-- Prompts and answers, sealed before they came here. Parted by how long they are kept and then by the day of their
-- call, so that what is past its time is dropped whole: no row is looked at, and nothing is left for a vacuum.
CREATE TABLE request_body (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    class text NOT NULL CHECK (class IN ('7d', '30d', '90d', '365d', 'forever')),
    day date NOT NULL,
    id uuid NOT NULL,
    subject_id uuid NOT NULL,
    key_version integer NOT NULL,
    started_at timestamptz NOT NULL,
    redacted boolean NOT NULL,
    -- What passed, which is more than what is kept where the call's row says `truncated`.
    request_bytes bigint NOT NULL,
    response_bytes bigint NOT NULL,
    sealed_request bytea NOT NULL,
    sealed_response bytea NOT NULL,
    PRIMARY KEY (tenant_id, class, day, id)
) PARTITION BY LIST (class);
-- Which keys are still needed.
CREATE INDEX request_body_key ON request_body (tenant_id, subject_id, key_version);
-- Sealed bytes do not compress.
ALTER TABLE request_body ALTER COLUMN sealed_request SET STORAGE EXTERNAL,
                         ALTER COLUMN sealed_response SET STORAGE EXTERNAL;
ALTER TABLE request_body ENABLE ROW LEVEL SECURITY;
ALTER TABLE request_body FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON request_body TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON request_body TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY writer ON request_body TO costlens_writer USING (true) WITH CHECK (true);
CREATE POLICY system ON request_body TO costlens_system USING (true) WITH CHECK (true);

CREATE TABLE request_body_7d PARTITION OF request_body FOR VALUES IN ('7d') PARTITION BY RANGE (day);
CREATE TABLE request_body_30d PARTITION OF request_body FOR VALUES IN ('30d') PARTITION BY RANGE (day);
CREATE TABLE request_body_90d PARTITION OF request_body FOR VALUES IN ('90d') PARTITION BY RANGE (day);
CREATE TABLE request_body_365d PARTITION OF request_body FOR VALUES IN ('365d') PARTITION BY RANGE (day);
CREATE TABLE request_body_forever PARTITION OF request_body FOR VALUES IN ('forever') PARTITION BY RANGE (day);
DO $$
DECLARE
    class text;
BEGIN
    FOREACH class IN ARRAY ARRAY['7d', '30d', '90d', '365d', 'forever'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', 'request_body_' || class);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', 'request_body_' || class);
    END LOOP;
END
$$;

-- A tenant reads its own, and removes what it keeps for a shorter time than it once said.
GRANT SELECT, DELETE ON request_body TO costlens_app;
-- ON CONFLICT wants to read the key.
GRANT INSERT, SELECT (tenant_id, class, day, id) ON request_body TO costlens_writer;
-- The nightly purge finds who keeps what for too long; no door that crosses tenants reads what is sealed.
GRANT SELECT (tenant_id, class, day, id, started_at) ON request_body TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('request_body', NULL, 'each class of its partitions has an end of its own');

-- As for calls: the doors own nothing, so this function makes one day's partition of a class. A partition gets no
-- grants: a grant on it would go round the parent's policies.
CREATE FUNCTION ensure_body_partition(of_class text, wanted date) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    parent text := 'request_body_' || of_class;
    partition text := parent || '_' || to_char(wanted, 'YYYYMMDD');
BEGIN
    IF of_class IS NULL OR of_class NOT IN ('7d', '30d', '90d', '365d', 'forever')
        OR wanted IS NULL OR wanted < date '2020-01-01' OR wanted >= date '2100-01-01' THEN
        RAISE EXCEPTION 'no partition of bodies for % and %', of_class, wanted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'body_partition_window';
    END IF;
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = partition) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('costlens.body_partition', 0));
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = partition) THEN
        RETURN;
    END IF;
    IF (SELECT count(*) FROM pg_inherits WHERE inhparent = ('public.' || parent)::regclass) >= 4000 THEN
        RAISE EXCEPTION 'there are 4000 partitions of bodies of the class % already', of_class
            USING ERRCODE = 'check_violation', CONSTRAINT = 'body_partition_window';
    END IF;
    EXECUTE format(
        'CREATE TABLE public.%I (LIKE public.request_body INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
        partition);
    EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, costlens_app, costlens_writer, costlens_system', partition);
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
        parent, partition, wanted, wanted + 1);
END
$$;

-- How many days a class is kept. What is kept for ever has an end only where the operator set one, of 30 days or more.
CREATE FUNCTION body_class_days(of_class text, forever_days integer) RETURNS integer
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE of_class
        WHEN '7d' THEN 7 WHEN '30d' THEN 30 WHEN '90d' THEN 90 WHEN '365d' THEN 365
        WHEN 'forever' THEN CASE WHEN forever_days >= 30 THEN forever_days END
    END
$$;

-- The days of bodies that are past their time at a moment, as the catalogue knows partitions, oldest first.
CREATE FUNCTION expired_body_days(as_of timestamptz, forever_days integer) RETURNS TABLE (class text, day date)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT found.class, found.day
    FROM (
        SELECT substring(c.relname FROM '^request_body_([0-9a-z]+)_[0-9]{8}$') AS class,
               to_date(substring(c.relname FROM '_([0-9]{8})$'), 'YYYYMMDD') AS day
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
          AND c.relname ~ '^request_body_(7d|30d|90d|365d|forever)_[0-9]{8}$'
    ) found
    -- The last call of the day must be past it, too.
    WHERE (found.day + 1 + public.body_class_days(found.class, forever_days)) <= (as_of AT TIME ZONE 'UTC')::date
    ORDER BY found.day, found.class
$$;

-- Whose bodies a day holds.
CREATE FUNCTION body_day_tenants(of_class text, of_day date) RETURNS TABLE (tenant_id uuid, bodies bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT b.tenant_id, count(*) FROM public.request_body b
    WHERE b.class = of_class AND b.day = of_day GROUP BY b.tenant_id ORDER BY b.tenant_id
$$;

-- Drops one day of a class that is past its time, and writes into each tenant's audit how many bodies went, in one
-- transaction. `tenants` are whose bodies were seen, `events` the ids of their events; where others have come meanwhile
-- nothing is done. It waits for nobody longer than two seconds.
CREATE FUNCTION drop_body_day(
    of_class text, of_day date, as_of timestamptz, forever_days integer, tenants uuid[], events uuid[]
) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    partition text := 'request_body_' || of_class || '_' || to_char(of_day, 'YYYYMMDD');
    found record;
    place integer;
    gone bigint := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM public.expired_body_days(as_of, forever_days) e WHERE e.class = of_class AND e.day = of_day) THEN
        RAISE EXCEPTION 'the bodies of % in class % are not past their time', of_day, of_class
            USING ERRCODE = 'check_violation', CONSTRAINT = 'body_day_expired';
    END IF;
    EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', partition);
    FOR found IN EXECUTE format('SELECT tenant_id, count(*) AS bodies FROM public.%I GROUP BY tenant_id', partition) LOOP
        place := array_position(tenants, found.tenant_id);
        IF place IS NULL THEN
            RAISE EXCEPTION 'bodies came while their day was being dropped'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'body_day_seen';
        END IF;
        INSERT INTO public.audit_event (tenant_id, id, at, actor, action, target, change)
        VALUES (found.tenant_id, events[place], as_of, 'schedule', 'bodies.purged', NULL,
                jsonb_build_object('class', of_class, 'day', of_day, 'bodies', found.bodies, 'partition_dropped', true));
        gone := gone + found.bodies;
    END LOOP;
    EXECUTE format('DROP TABLE public.%I', partition);
    RETURN gone;
END
$$;

REVOKE ALL ON FUNCTION ensure_body_partition(text, date), body_class_days(text, integer),
    expired_body_days(timestamptz, integer), body_day_tenants(text, date),
    drop_body_day(text, date, timestamptz, integer, uuid[], uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_body_partition(text, date) TO costlens_writer, costlens_system;
GRANT EXECUTE ON FUNCTION body_class_days(text, integer), expired_body_days(timestamptz, integer),
    body_day_tenants(text, date), drop_body_day(text, date, timestamptz, integer, uuid[], uuid[]) TO costlens_system;
