-- Whoever belongs to no tenant any more is erased like a tenant's rows are: after thirty days, or with the account that it
-- belonged to last.

-- Since which night nobody's member: the nightly purge notes it, whoever joins takes it away.
ALTER TABLE user_account ADD COLUMN memberless_since timestamptz;
CREATE INDEX user_account_memberless ON user_account (memberless_since) WHERE memberless_since IS NOT NULL;

CREATE FUNCTION note_joined() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE public.user_account SET memberless_since = NULL
    WHERE id = NEW.user_id AND memberless_since IS NOT NULL;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION note_joined() FROM PUBLIC;
CREATE TRIGGER note_joined AFTER INSERT ON member FOR EACH ROW EXECUTE FUNCTION note_joined();

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('user_account', 30, 'who belongs to no organisation any more; so long it may be asked back as who it was');

-- Whom a tenant removed does not come back by its provider unasked, though nobody knows here any more who that was: its
-- name there stays as a hash, and leads to no person.
ALTER TABLE sso_identity ALTER COLUMN user_id DROP NOT NULL;
ALTER TABLE sso_identity
    ADD CONSTRAINT sso_identity_forgotten CHECK (user_id IS NOT NULL OR subject ~ '^sha256:[0-9a-f]{64}$');
-- Whoever is asked back is known by its name again.
GRANT DELETE ON sso_identity TO costlens_system;

CREATE FUNCTION forgotten_subject(of uuid, issuer text, subject text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'sha256:' || encode(sha256(convert_to(of::text || ' ' || issuer || ' ' || subject, 'UTF8')), 'hex')
$$;

REVOKE ALL ON FUNCTION forgotten_subject(uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forgotten_subject(uuid, text, text) TO costlens_system;

-- Erases those of these people who belong to no tenant, and what hangs on them; how many. Whoever is about to join is
-- waited for: a new member holds its person's row.
CREATE FUNCTION forget_people(candidates uuid[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    people uuid[];
    addresses text[];
BEGIN
    PERFORM FROM public.user_account u WHERE u.id = ANY (candidates) ORDER BY u.id FOR UPDATE;
    SELECT array_agg(u.id), array_agg(DISTINCT lower(u.email)) INTO people, addresses
    FROM public.user_account u
    WHERE u.id = ANY (candidates) AND NOT EXISTS (SELECT FROM public.member m WHERE m.user_id = u.id);
    IF people IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE public.sso_identity i
    SET subject = public.forgotten_subject(i.tenant_id, i.issuer, i.subject), user_id = NULL
    WHERE i.user_id = ANY (people);
    DELETE FROM public.user_account u WHERE u.id = ANY (people);
    -- Mails to their addresses, but for those of others who have the same.
    DELETE FROM public.user_link l
    WHERE lower(l.email) = ANY (addresses) AND l.user_id IS NULL
      AND NOT EXISTS (SELECT FROM public.user_account u WHERE lower(u.email) = lower(l.email));
    RETURN cardinality(people);
END
$$;
REVOKE ALL ON FUNCTION forget_people(uuid[]) FROM PUBLIC;

-- Erases some of those who have belonged to no tenant since this moment; how many. Not those for whom this issuer vouches,
-- which keeps them: they go when it says so.
CREATE FUNCTION forget_memberless(before timestamptz, kept_by text, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    people uuid[];
BEGIN
    SELECT array_agg(few.id) INTO people
    FROM (
        SELECT u.id FROM public.user_account u
        WHERE u.memberless_since < before
          AND NOT EXISTS (SELECT FROM public.member m WHERE m.user_id = u.id)
          AND NOT EXISTS (SELECT FROM public.user_identity i WHERE i.user_id = u.id AND i.issuer = kept_by)
        ORDER BY u.memberless_since LIMIT most
        FOR UPDATE OF u SKIP LOCKED
    ) few;
    RETURN public.forget_people(people);
END
$$;
REVOKE ALL ON FUNCTION forget_memberless(timestamptz, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_memberless(timestamptz, text, integer) TO costlens_system;

-- With the last row of a tenant that tells of a person, the person goes: who was its member to the end, unless it is
-- another's, too; and who was removed before, unless anything else tells of it, or Clerk, which told that it has it.
CREATE OR REPLACE FUNCTION erase_tenant_rows(of uuid, wanted text, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
    person text;
    people uuid[];
    removed bigint;
    forgotten bigint;
BEGIN
    IF wanted IN ('closure', 'audit_head') OR NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname = wanted AND c.relkind IN ('r', 'p')
    ) THEN
        RAISE EXCEPTION '% is no tenant table', wanted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'erasure_table';
    END IF;
    -- Of who was removed long ago, the audit alone may know.
    person := CASE
        WHEN wanted IN ('session', 'sso_identity', 'member') THEN 't.user_id'
        WHEN wanted = 'audit_event' THEN
            'CASE WHEN t.action = ''member.removed'' THEN substring(t.target FROM ''^usr_([0-9a-f]{32})$'')::uuid END'
        ELSE 'NULL::uuid'
    END;
    -- A row's place is its partition and its ctid.
    EXECUTE format(
        'WITH gone AS (
             DELETE FROM public.%1$I AS t
             USING (SELECT tableoid, ctid FROM public.%1$I WHERE tenant_id = $1 LIMIT $2) AS few
             WHERE t.tenant_id = $1 AND t.tableoid = few.tableoid AND t.ctid = few.ctid
             RETURNING %2$s AS person)
         SELECT count(*), array_agg(DISTINCT person) FILTER (WHERE person IS NOT NULL) FROM gone', wanted, person)
    INTO removed, people USING erased, most;
    IF wanted <> 'member' AND people IS NOT NULL THEN
        SELECT array_agg(p.id) INTO people
        FROM unnest(people) AS p (id)
        WHERE NOT EXISTS (SELECT FROM public.member m WHERE m.user_id = p.id)
          AND NOT EXISTS (SELECT FROM public.session s WHERE s.user_id = p.id)
          AND NOT EXISTS (SELECT FROM public.sso_identity i WHERE i.user_id = p.id)
          AND NOT EXISTS (
              SELECT FROM public.user_identity i
              JOIN public.outer_object o ON o.issuer = i.issuer AND o.kind = 'user' AND o.id = i.subject AND NOT o.gone
              WHERE i.user_id = p.id
          );
    END IF;
    IF people IS NOT NULL THEN
        forgotten := public.forget_people(people);
        IF forgotten > 0 THEN
            PERFORM public.add_erased(of, 'rows:user_account', forgotten);
        END IF;
    END IF;
    RETURN removed;
END
$$;

-- Which chain of the audit went with the account: SHA-256 of its name, as the daily anchors call it. It stays as the
-- pseudonym that it is, so that an anchored chain that is gone is either an erased account's or an alarm.
ALTER TABLE erasure ADD COLUMN chain_tag bytea CHECK (octet_length(chain_tag) = 32);
