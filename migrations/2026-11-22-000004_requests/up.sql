-- One row per proxied call. The day is the one in the id (a UUIDv7), so a replayed insert meets its first row.
-- The key is not a foreign key: keys are never deleted, and the shipper checks them before it inserts.
CREATE TABLE request (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    day date NOT NULL,
    id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    connection_id uuid,
    started_at timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    first_byte_ms bigint,
    provider text NOT NULL,
    endpoint text NOT NULL,
    model_requested text NOT NULL,
    model_served text,
    service_tier text,
    streamed boolean NOT NULL,
    status integer,
    outcome text NOT NULL CHECK (outcome IN ('completed', 'failed', 'client_gone', 'interrupted')),
    error_code text,
    fresh_input bigint NOT NULL,
    cache_read bigint NOT NULL,
    cache_write_5m bigint NOT NULL,
    cache_write_1h bigint NOT NULL,
    output bigint NOT NULL,
    reasoning bigint NOT NULL,
    audio_input bigint NOT NULL,
    audio_output bigint NOT NULL,
    web_searches bigint NOT NULL,
    cost_basis text NOT NULL CHECK (cost_basis IN ('exact', 'estimated', 'unpriced')),
    cost numeric,
    price jsonb NOT NULL,
    caller_request_id text,
    provider_request_id text,
    PRIMARY KEY (tenant_id, day, id),
    CONSTRAINT request_unpriced_has_no_cost CHECK ((cost IS NULL) = (cost_basis = 'unpriced'))
) PARTITION BY RANGE (day);

ALTER TABLE request ENABLE ROW LEVEL SECURITY;
ALTER TABLE request FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON request TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON request TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY writer ON request TO costlens_writer USING (true) WITH CHECK (true);

GRANT SELECT ON request TO costlens_app;
-- ON CONFLICT and RETURNING want to read the key.
GRANT INSERT, SELECT (tenant_id, day, id) ON request TO costlens_writer;

-- The doors own nothing and create nothing: this function, run as its owner, makes one day's partition. The
-- window and the ceiling bound what a caller gone mad can do. A partition gets no grants: a grant on it would
-- go round the parent's policies.
CREATE FUNCTION ensure_request_partition(wanted date) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    partition text := 'request_' || to_char(wanted, 'YYYYMMDD');
BEGIN
    IF wanted IS NULL OR wanted < date '2020-01-01' OR wanted >= date '2100-01-01' THEN
        RAISE EXCEPTION 'no request partition for %: outside of the years 2020 to 2099', wanted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'request_partition_window';
    END IF;
    -- Read from the catalogue itself: to_regclass() may answer from a cache that has not heard of a neighbour.
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = partition) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('costlens.request_partition', 0));
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = partition) THEN
        RETURN;
    END IF;
    IF (SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.request'::regclass) >= 4000 THEN
        RAISE EXCEPTION 'there are 4000 request partitions already'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'request_partition_ceiling';
    END IF;
    -- Made apart and attached: that takes a lighter lock on the parent than CREATE ... PARTITION OF.
    EXECUTE format('CREATE TABLE public.%I (LIKE public.request INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
    EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, costlens_app, costlens_writer, costlens_system', partition);
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE public.request ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
        partition, wanted, wanted + 1);
END
$$;
REVOKE ALL ON FUNCTION ensure_request_partition(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_request_partition(date) TO costlens_writer, costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES ('request', NULL, 'cost metadata is the ledger');
