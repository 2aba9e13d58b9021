-- The order of locks: the class before its day, as whoever reads a body comes, and audits by tenant.

-- Drops one day of a class that is past its time, and writes into each tenant's audit how many bodies went, in one
-- transaction. `tenants` are whose bodies were seen, `events` the ids of their events; where others have come meanwhile
-- nothing is done. It waits for nobody longer than two seconds.
CREATE OR REPLACE FUNCTION drop_body_day(
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
    EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', 'request_body_' || of_class);
    EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', partition);
    FOR found IN EXECUTE format('SELECT tenant_id, count(*) AS bodies FROM public.%I GROUP BY tenant_id ORDER BY tenant_id', partition) LOOP
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
