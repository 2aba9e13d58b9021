-- The audit proves itself: every event of a tenant, and every event of the operators, carries the hash of the one
-- before (ADR 0014). Number, hashes and order are given here, by a trigger, to whoever inserts: no code can forget them.

-- One field of what is hashed: absent, or its length and its bytes. So no two lists of fields make the same bytes.
CREATE FUNCTION audit_field(of bytea) RETURNS bytea LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN of IS NULL THEN '\x00'::bytea ELSE '\x01'::bytea || int8send(octet_length(of)) || of END
$$;

-- The hash of an event at its place: SHA-256 over the encoding `costlens/audit/1`, which `domain::audit::chain` and the
-- book describe, and build a second time to verify it.
CREATE FUNCTION audit_hash(
    chain text, seq bigint, prev bytea, id uuid, at timestamptz, actor text, action text, target text, change jsonb,
    request_id uuid, address text
) RETURNS bytea LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT sha256(
        public.audit_field('costlens/audit/1') || public.audit_field(convert_to(chain, 'UTF8'))
        || public.audit_field(int8send(seq)) || public.audit_field(prev) || public.audit_field(uuid_send(id))
        || public.audit_field(int8send((extract(epoch FROM at) * 1000000)::bigint))
        || public.audit_field(convert_to(actor, 'UTF8')) || public.audit_field(convert_to(action, 'UTF8'))
        || public.audit_field(convert_to(target, 'UTF8')) || public.audit_field(convert_to(change::text, 'UTF8'))
        || public.audit_field(uuid_send(request_id)) || public.audit_field(convert_to(address, 'UTF8')))
$$;

-- The same for what an erasure keeps: encoding `costlens/kept-audit/1`.
CREATE FUNCTION kept_audit_hash(erasure_id uuid, n bigint, prev bytea, at timestamptz, action text)
    RETURNS bytea LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT sha256(
        public.audit_field('costlens/kept-audit/1')
        || public.audit_field(convert_to('erasure:' || erasure_id::text, 'UTF8'))
        || public.audit_field(int8send(n)) || public.audit_field(prev)
        || public.audit_field(int8send((extract(epoch FROM at) * 1000000)::bigint))
        || public.audit_field(convert_to(action, 'UTF8')))
$$;

-- Where a tenant's chain ends, and where what was pruned of it ended. It goes with the account itself.
CREATE TABLE audit_head (
    tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
    seq bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(hash) = 32),
    pruned_seq bigint NOT NULL DEFAULT 0,
    pruned_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(pruned_hash) = 32),
    CHECK (0 <= pruned_seq AND pruned_seq <= seq)
);
ALTER TABLE audit_head ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_head FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON audit_head TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON audit_head FOR SELECT TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON audit_head FOR SELECT TO costlens_system USING (true);
GRANT SELECT ON audit_head TO costlens_app, costlens_system;
INSERT INTO retention (table_name, keep_days, reason) VALUES ('audit_head', NULL, 'goes with the account itself');

-- The operators' chain has one head.
CREATE TABLE operator_event_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(hash) = 32)
);
INSERT INTO operator_event_head DEFAULT VALUES;
GRANT SELECT ON operator_event_head TO costlens_system;

ALTER TABLE audit_event
    ADD COLUMN seq bigint, ADD COLUMN prev_hash bytea, ADD COLUMN hash bytea, ADD COLUMN address text;
ALTER TABLE operator_event
    ADD COLUMN request_id uuid,
    ADD COLUMN seq bigint, ADD COLUMN prev_hash bytea, ADD COLUMN hash bytea, ADD COLUMN address text;
ALTER TABLE kept_audit_event ADD COLUMN prev_hash bytea, ADD COLUMN hash bytea;

-- What was written before is chained in the order of its ids, which is that of its times.
DO $$
DECLARE
    zeros CONSTANT bytea := decode(repeat('00', 32), 'hex');
    of record;
    event record;
    n bigint;
    before bytea;
    now_at bytea;
BEGIN
    FOR of IN SELECT t.id AS tenant_id FROM tenant t WHERE EXISTS (SELECT FROM audit_event a WHERE a.tenant_id = t.id)
    LOOP
        -- An erasure under way may have kept, and removed, the first of them: the numbers go on where it is.
        SELECT coalesce(max(greatest(k.n - (
            SELECT count(*) FROM audit_event a WHERE a.tenant_id = of.tenant_id AND a.at <= k.at), 0)), 0)
        INTO n
        FROM closure c, LATERAL (
            SELECT max(e.n) AS n, max(e.at) AS at FROM kept_audit_event e WHERE e.erasure_id = c.erasure_id) k
        WHERE c.tenant_id = of.tenant_id;
        INSERT INTO audit_head (tenant_id, seq, pruned_seq) VALUES (of.tenant_id, n, n);
        before := zeros;
        FOR event IN SELECT * FROM audit_event a WHERE a.tenant_id = of.tenant_id ORDER BY a.id LOOP
            n := n + 1;
            now_at := audit_hash('tenant:' || of.tenant_id, n, before, event.id, event.at, event.actor, event.action,
                event.target, event.change, event.request_id, NULL);
            UPDATE audit_event a SET seq = n, prev_hash = before, hash = now_at
            WHERE a.tenant_id = of.tenant_id AND a.id = event.id;
            before := now_at;
        END LOOP;
        UPDATE audit_head h SET seq = n, hash = before WHERE h.tenant_id = of.tenant_id;
    END LOOP;

    n := 0;
    before := zeros;
    FOR event IN SELECT * FROM operator_event o ORDER BY o.id LOOP
        n := n + 1;
        now_at := audit_hash('operator', n, before, event.id, event.at, event.actor, event.action, event.target,
            event.change, NULL, NULL);
        UPDATE operator_event o SET seq = n, prev_hash = before, hash = now_at WHERE o.id = event.id;
        before := now_at;
    END LOOP;
    UPDATE operator_event_head SET seq = n, hash = before;

    FOR of IN SELECT DISTINCT k.erasure_id FROM kept_audit_event k LOOP
        before := zeros;
        FOR event IN SELECT * FROM kept_audit_event k WHERE k.erasure_id = of.erasure_id ORDER BY k.n LOOP
            now_at := kept_audit_hash(of.erasure_id, event.n, before, event.at, event.action);
            UPDATE kept_audit_event k SET prev_hash = before, hash = now_at
            WHERE k.erasure_id = of.erasure_id AND k.n = event.n;
            before := now_at;
        END LOOP;
    END LOOP;
END
$$;

ALTER TABLE audit_event
    ALTER COLUMN seq SET NOT NULL, ALTER COLUMN prev_hash SET NOT NULL, ALTER COLUMN hash SET NOT NULL,
    ADD CONSTRAINT audit_event_place UNIQUE (tenant_id, seq);
ALTER TABLE operator_event
    ALTER COLUMN seq SET NOT NULL, ALTER COLUMN prev_hash SET NOT NULL, ALTER COLUMN hash SET NOT NULL,
    ADD CONSTRAINT operator_event_place UNIQUE (seq);
ALTER TABLE kept_audit_event ALTER COLUMN prev_hash SET NOT NULL, ALTER COLUMN hash SET NOT NULL;

-- What is done too often is counted before it is done once more, and so are refused sign-ins.
CREATE INDEX audit_event_time ON audit_event (tenant_id, at);
CREATE INDEX operator_event_refused ON operator_event (at) WHERE action = 'session.refused';

-- The head's row is locked from here to the commit, so whoever inserts does it last (`TenantConn::commit`).
CREATE FUNCTION audit_event_chained() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO public.audit_head (tenant_id) VALUES (NEW.tenant_id) ON CONFLICT DO NOTHING;
    SELECT h.seq + 1, h.hash INTO NEW.seq, NEW.prev_hash
    FROM public.audit_head h WHERE h.tenant_id = NEW.tenant_id FOR UPDATE;
    NEW.hash := public.audit_hash('tenant:' || NEW.tenant_id, NEW.seq, NEW.prev_hash, NEW.id, NEW.at, NEW.actor,
        NEW.action, NEW.target, NEW.change, NEW.request_id, NEW.address);
    UPDATE public.audit_head SET seq = NEW.seq, hash = NEW.hash WHERE tenant_id = NEW.tenant_id;
    RETURN NEW;
END
$$;
CREATE TRIGGER chained BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_event_chained();

CREATE FUNCTION operator_event_chained() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT h.seq + 1, h.hash INTO NEW.seq, NEW.prev_hash FROM public.operator_event_head h FOR UPDATE;
    NEW.hash := public.audit_hash('operator', NEW.seq, NEW.prev_hash, NEW.id, NEW.at, NEW.actor, NEW.action,
        NEW.target, NEW.change, NEW.request_id, NEW.address);
    UPDATE public.operator_event_head SET seq = NEW.seq, hash = NEW.hash;
    RETURN NEW;
END
$$;
CREATE TRIGGER chained BEFORE INSERT ON operator_event FOR EACH ROW EXECUTE FUNCTION operator_event_chained();

-- Whoever owns the tables may lift what follows; it stands against slips, and the chain against the rest.
CREATE FUNCTION audit_event_stays() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' AND (
        EXISTS (SELECT FROM public.audit_head h WHERE h.tenant_id = OLD.tenant_id AND OLD.seq <= h.pruned_seq)
        -- An erasure takes what was kept before: one that came since is kept first, by its next attempt.
        OR EXISTS (SELECT FROM public.closure c JOIN public.erasure e ON e.id = c.erasure_id
                   JOIN public.kept_audit_event k ON k.erasure_id = e.id AND k.n = OLD.seq
                   WHERE c.tenant_id = OLD.tenant_id AND e.state = 'erasing'))
    THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'an event is added and never changed'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_append_only';
END
$$;
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_event_stays();

CREATE FUNCTION audit_head_goes_on() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.tenant_id = OLD.tenant_id AND NEW.pruned_seq >= OLD.pruned_seq
        AND (NEW.seq = OLD.seq + 1 OR (NEW.seq = OLD.seq AND NEW.hash = OLD.hash))
    THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND EXISTS (
        SELECT FROM public.closure c JOIN public.erasure e ON e.id = c.erasure_id
        WHERE c.tenant_id = OLD.tenant_id AND e.state = 'erasing')
    THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the head of a chain goes on by one event'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_append_only';
END
$$;
CREATE TRIGGER goes_on BEFORE UPDATE OR DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_head_goes_on();

CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'what % holds is added to and never changed', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_append_only';
END
$$;
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON operator_event FOR EACH ROW EXECUTE FUNCTION audit_stays();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON kept_audit_event FOR EACH ROW EXECUTE FUNCTION audit_stays();
CREATE TRIGGER is_not_emptied BEFORE TRUNCATE ON audit_event EXECUTE FUNCTION audit_stays();
CREATE TRIGGER is_not_emptied BEFORE TRUNCATE ON audit_head EXECUTE FUNCTION audit_stays();
CREATE TRIGGER is_not_emptied BEFORE TRUNCATE ON operator_event EXECUTE FUNCTION audit_stays();
CREATE TRIGGER is_not_emptied BEFORE TRUNCATE ON kept_audit_event EXECUTE FUNCTION audit_stays();

-- Signing in writes its event in the transaction of the session; the daily anchor reads heads and what led to them.
CREATE POLICY system_adds ON audit_event FOR INSERT TO costlens_system WITH CHECK (true);
CREATE POLICY system_reads ON audit_event FOR SELECT TO costlens_system USING (true);
GRANT INSERT ON audit_event TO costlens_system;
GRANT SELECT (tenant_id, seq, at, action, prev_hash, hash) ON audit_event TO costlens_system;

-- Nothing of an audit goes before it is 90 days old, whatever a rule or a caller says. This bound alone reads the
-- server's clock: it is a fence, and no business time.
ALTER TABLE retention ADD CONSTRAINT audit_is_kept_90_days CHECK (
    table_name NOT IN ('audit_event', 'operator_event', 'kept_audit_event') OR keep_days IS NULL OR keep_days >= 90);

-- Removes the oldest events of chains, from each chain's beginning on, and leaves where that ended in its head.
CREATE FUNCTION prune_audit(before timestamptz, most bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    chain record;
    head public.audit_head;
    upto bigint;
    upto_hash bytea;
    removed bigint := 0;
    gone bigint;
BEGIN
    IF before > clock_timestamp() - interval '90 days' THEN
        RAISE EXCEPTION 'an audit is kept for at least 90 days'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_is_kept_90_days';
    END IF;
    FOR chain IN
        SELECT h.tenant_id FROM public.audit_head h
        JOIN public.audit_event a ON a.tenant_id = h.tenant_id AND a.seq = h.pruned_seq + 1
        WHERE a.at < before
    LOOP
        EXIT WHEN removed >= most;
        SELECT * INTO head FROM public.audit_head h WHERE h.tenant_id = chain.tenant_id FOR UPDATE;
        SELECT least(
            coalesce((SELECT min(a.seq) FROM public.audit_event a
                      WHERE a.tenant_id = chain.tenant_id AND a.at >= before) - 1, head.seq),
            head.pruned_seq + most - removed) INTO upto;
        SELECT a.hash INTO upto_hash FROM public.audit_event a WHERE a.tenant_id = chain.tenant_id AND a.seq = upto;
        CONTINUE WHEN upto_hash IS NULL;
        UPDATE public.audit_head SET pruned_seq = upto, pruned_hash = upto_hash WHERE tenant_id = chain.tenant_id;
        DELETE FROM public.audit_event WHERE tenant_id = chain.tenant_id AND seq <= upto;
        GET DIAGNOSTICS gone = ROW_COUNT;
        removed := removed + gone;
    END LOOP;
    RETURN removed;
END
$$;

-- Writes the audit that is kept, in the chain's order and by its numbers. Again: what came since.
CREATE OR REPLACE FUNCTION keep_audit(of uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
    event record;
    last bigint;
    before bytea;
    now_at bytea;
BEGIN
    PERFORM FROM public.erasure e WHERE e.id = of FOR UPDATE;
    SELECT k.n, k.hash INTO last, before
    FROM public.kept_audit_event k WHERE k.erasure_id = of ORDER BY k.n DESC LIMIT 1;
    before := coalesce(before, decode(repeat('00', 32), 'hex'));
    FOR event IN
        SELECT a.seq, a.at, a.action FROM public.audit_event a
        WHERE a.tenant_id = erased AND a.seq > coalesce(last, 0) ORDER BY a.seq
    LOOP
        now_at := public.kept_audit_hash(of, event.seq, before, event.at, event.action);
        INSERT INTO public.kept_audit_event (erasure_id, n, at, action, prev_hash, hash)
        VALUES (of, event.seq, event.at, event.action, before, now_at);
        before := now_at;
    END LOOP;
    RETURN (SELECT count(*) FROM public.kept_audit_event k WHERE k.erasure_id = of);
END
$$;

-- The last of an account: its chain's head, the link to its erasure and its own row.
CREATE OR REPLACE FUNCTION erase_tenant_itself(of uuid, certified jsonb, at timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
BEGIN
    DELETE FROM public.audit_head WHERE tenant_id = erased;
    UPDATE public.erasure SET state = 'certified', ended_at = at, certificate = certified WHERE id = of;
    DELETE FROM public.closure WHERE tenant_id = erased;
    DELETE FROM public.tenant WHERE id = erased;
END
$$;

-- The head of the chain goes with the account itself, as the closure does.
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
    -- A row's place is its partition and its ctid.
    EXECUTE format(
        'DELETE FROM public.%1$I AS t USING (SELECT tableoid, ctid FROM public.%1$I WHERE tenant_id = $1 LIMIT $2) AS few
         WHERE t.tenant_id = $1 AND t.tableoid = few.tableoid AND t.ctid = few.ctid', wanted)
    USING erased, most;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;

-- Each day's anchor: a kept file with every chain's head. What stands here finds the file and is checked against it.
CREATE TABLE audit_anchor (
    n bigint PRIMARY KEY CHECK (n > 0),
    day date NOT NULL UNIQUE,
    at timestamptz NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    chains bigint NOT NULL
);
GRANT SELECT, INSERT ON audit_anchor TO costlens_system;
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON audit_anchor FOR EACH ROW EXECUTE FUNCTION audit_stays();
CREATE TRIGGER is_not_emptied BEFORE TRUNCATE ON audit_anchor EXECUTE FUNCTION audit_stays();

REVOKE ALL ON FUNCTION audit_field(bytea),
    audit_hash(text, bigint, bytea, uuid, timestamptz, text, text, text, jsonb, uuid, text),
    kept_audit_hash(uuid, bigint, bytea, timestamptz, text), audit_event_chained(), operator_event_chained(),
    audit_event_stays(), audit_head_goes_on(), audit_stays(), prune_audit(timestamptz, bigint),
    keep_audit(uuid), erase_tenant_itself(uuid, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prune_audit(timestamptz, bigint), keep_audit(uuid),
    erase_tenant_itself(uuid, jsonb, timestamptz) TO costlens_system;
