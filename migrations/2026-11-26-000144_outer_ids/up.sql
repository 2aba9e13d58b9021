-- What Clerk told of an erased tenant goes with it: of its organisation over there, and of people who belong to no other.
-- Some of each kind at a time, people before the memberships by which they are found; nothing: there is no more.
CREATE FUNCTION erase_outer_ids(of uuid, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
    vouches text;
    place text;
    people text[];
    sessions text[];
    messages bigint;
    objects bigint;
    removed bigint;
    orphans bigint;
BEGIN
    SELECT o.issuer, o.organization INTO vouches, place FROM public.outer_organization o WHERE o.tenant_id = erased;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    -- Its members here, whoever belonged to it over there, and the person whose own it is.
    SELECT coalesce(array_agg(p.person), '{}') INTO people
    FROM (
        SELECT i.subject AS person
        FROM public.member m JOIN public.user_identity i ON i.user_id = m.user_id
        WHERE m.tenant_id = erased AND i.issuer = vouches
        UNION
        SELECT o.person FROM public.outer_object o
        WHERE o.issuer = vouches AND o.kind = 'membership' AND o.organization = place
        UNION
        SELECT place
    ) p
    WHERE NOT EXISTS (
        SELECT FROM public.user_identity i JOIN public.member m ON m.user_id = i.user_id
        WHERE i.issuer = vouches AND i.subject = p.person AND m.tenant_id <> erased
    ) AND NOT EXISTS (
        SELECT FROM public.outer_object o
        JOIN public.outer_organization other ON other.issuer = o.issuer AND other.organization = o.organization
        WHERE o.issuer = vouches AND o.kind = 'membership' AND o.person = p.person AND NOT o.gone
          AND other.tenant_id <> erased
    );
    SELECT coalesce(array_agg(DISTINCT s.outer_session), '{}') INTO sessions
    FROM public.session s JOIN public.user_identity i ON i.user_id = s.user_id
    WHERE s.tenant_id = erased AND s.outer_session IS NOT NULL AND i.issuer = vouches AND i.subject = ANY (people);

    DELETE FROM public.inbox_event e USING (
        SELECT f.source, f.message_id FROM public.inbox_event f
        WHERE f.source = 'clerk' AND (
            f.payload ->> 'organization' = place OR f.payload ->> 'person' = ANY (people)
            OR f.payload ->> 'id' = ANY (people || sessions))
        LIMIT most
    ) few
    WHERE e.source = few.source AND e.message_id = few.message_id;
    GET DIAGNOSTICS messages = ROW_COUNT;

    DELETE FROM public.outer_object o USING (
        SELECT f.issuer, f.kind, f.id FROM public.outer_object f
        WHERE f.issuer = vouches AND (
            (f.kind = 'user' AND f.id = ANY (people))
            OR (f.kind = 'session' AND f.id = ANY (sessions))
            OR (f.kind = 'organization' AND f.id = place)
            OR (f.kind = 'membership' AND f.organization <> place AND f.person = ANY (people)))
        LIMIT most
    ) few
    WHERE o.issuer = few.issuer AND o.kind = few.kind AND o.id = few.id;
    GET DIAGNOSTICS objects = ROW_COUNT;
    IF messages < most AND objects < most THEN
        DELETE FROM public.outer_object o USING (
            SELECT f.issuer, f.kind, f.id FROM public.outer_object f
            WHERE f.issuer = vouches AND f.kind = 'membership' AND f.organization = place
            LIMIT most
        ) few
        WHERE o.issuer = few.issuer AND o.kind = few.kind AND o.id = few.id;
        GET DIAGNOSTICS removed = ROW_COUNT;
        objects := objects + removed;
    END IF;
    -- Who was taken out of it over there before its end is its member no more, and nobody's. Members go with their table.
    WITH gone AS (
        DELETE FROM public.user_account u USING public.user_identity i
        WHERE i.user_id = u.id AND i.issuer = vouches AND i.subject = ANY (people) AND u.password_hash IS NULL
          AND NOT EXISTS (SELECT FROM public.member m WHERE m.user_id = u.id)
          AND NOT EXISTS (SELECT FROM public.user_identity o WHERE o.user_id = u.id AND o.issuer <> vouches)
        RETURNING u.email
    ), links AS (
        DELETE FROM public.user_link WHERE lower(email) IN (SELECT lower(gone.email) FROM gone)
    )
    SELECT count(*) INTO orphans FROM gone;
    IF orphans > 0 THEN
        PERFORM public.add_erased(of, 'rows:user_account', orphans);
    END IF;
    PERFORM public.add_erased(of, 'rows:inbox_event', messages);
    PERFORM public.add_erased(of, 'rows:outer_object', objects);
    RETURN messages + objects + orphans;
END
$$;
REVOKE ALL ON FUNCTION erase_outer_ids(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_outer_ids(uuid, integer) TO costlens_system;
