-- The price catalogue in versions. Version 0 came with the build and has no row; a version never changes.
CREATE TABLE price_version (
    n bigint PRIMARY KEY CHECK (n > 0),
    published_at timestamptz NOT NULL,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    -- Where it was fetched from.
    source text NOT NULL,
    -- The review that let it pass; NULL where the checks alone did.
    review_id uuid,
    diff jsonb NOT NULL,
    document text NOT NULL
);
GRANT SELECT, INSERT ON price_version TO costlens_system;

-- A document that a person must look at first. One is open at a time: a newer document takes its place.
CREATE TABLE price_review (
    id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('needs_review', 'approved', 'refused', 'superseded')),
    fetched_at timestamptz NOT NULL,
    -- The version that it was compared with.
    base bigint NOT NULL,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    source text NOT NULL,
    diff jsonb NOT NULL,
    document text NOT NULL,
    decided_at timestamptz,
    version bigint REFERENCES price_version (n),
    CONSTRAINT price_review_decided CHECK ((state = 'needs_review') = (decided_at IS NULL)),
    CONSTRAINT price_review_version CHECK ((state = 'approved') = (version IS NOT NULL))
);
CREATE UNIQUE INDEX price_review_open ON price_review ((true)) WHERE state = 'needs_review';
GRANT SELECT, INSERT, UPDATE (state, decided_at, version) ON price_review TO costlens_system;

-- How the fetching goes. One row, which is also the lock under which a version or a review is written.
CREATE TABLE price_feed (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    source text,
    etag text,
    sha256 bytea CHECK (length(sha256) = 32),
    -- When a document was last fetched or confirmed unchanged; before the first time, since when it is tried.
    good_at timestamptz,
    checked_at timestamptz,
    outcome text CHECK (outcome IN ('unchanged', 'published', 'needs_review', 'failed')),
    problem text,
    alarmed_at timestamptz
);
INSERT INTO price_feed DEFAULT VALUES;
GRANT SELECT, UPDATE (source, etag, sha256, good_at, checked_at, outcome, problem, alarmed_at)
    ON price_feed TO costlens_system;

-- Calls without a price, found without reading the others.
CREATE INDEX request_unpriced ON request (tenant_id, provider, day, id) WHERE cost_basis = 'unpriced';

-- Which tenants have some, and which models are in use, by the rollup.
CREATE INDEX spend_hourly_unpriced ON spend_hourly (tenant_id, provider) WHERE cost_basis = 'unpriced';
GRANT SELECT (provider, model, cost_basis) ON spend_hourly TO costlens_system;

-- An operator's wish to price calls anew whose published price was corrected. No tenant's data stands in it.
CREATE TABLE price_correction (
    id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('previewing', 'previewed', 'running', 'done', 'cancelled')),
    provider text NOT NULL,
    price_id text NOT NULL,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL CHECK (to_at > from_at),
    version bigint NOT NULL,
    reason text NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    ended_at timestamptz,
    -- Whether every tenant of the present phase has its row in `repricing`.
    spread boolean NOT NULL DEFAULT false
);
GRANT SELECT, INSERT, UPDATE (state, confirmed_at, ended_at, spread) ON price_correction TO costlens_system;

-- One walk over one tenant's calls. Its cursor moves in the transaction that prices what lies before it.
CREATE TABLE repricing (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('unpriced', 'preview', 'correction')),
    -- What makes asking twice one walk.
    key text NOT NULL,
    version bigint NOT NULL,
    correction_id uuid,
    -- Of a correction: which calls.
    provider text,
    price_id text,
    -- Also of a walk over calls without a price: those before were looked at with the same prices.
    from_at timestamptz,
    to_at timestamptz,
    cursor_provider text,
    cursor_day date,
    cursor_id uuid,
    seen bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    -- What the changed calls cost before and cost now. Unpriced calls cost nothing known before.
    old_cost numeric NOT NULL DEFAULT 0,
    new_cost numeric NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT repricing_correction CHECK (
        (kind = 'unpriced') = (correction_id IS NULL)
        AND (correction_id IS NULL) = (provider IS NULL AND price_id IS NULL AND to_at IS NULL)
        AND (correction_id IS NULL OR from_at IS NOT NULL)
    )
);
CREATE UNIQUE INDEX repricing_once ON repricing (tenant_id, kind, key);
CREATE INDEX repricing_correction_id ON repricing (correction_id) WHERE correction_id IS NOT NULL;

-- A call whose price was found or corrected later: what stood in its row before. Rows are added and never changed.
CREATE TABLE request_repricing (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    request_id uuid NOT NULL,
    repricing_id uuid NOT NULL,
    at timestamptz NOT NULL,
    version bigint NOT NULL,
    old_basis text NOT NULL,
    old_cost numeric,
    old_price jsonb NOT NULL,
    new_basis text NOT NULL,
    new_cost numeric NOT NULL,
    PRIMARY KEY (tenant_id, request_id, repricing_id)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['repricing', 'request_repricing'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY owner ON %I TO CURRENT_USER USING (true) WITH CHECK (true)', name);
        EXECUTE format($p$CREATE POLICY tenant ON %I TO costlens_app
            USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
            WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)$p$, name);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE (cursor_provider, cursor_day, cursor_id, seen, changed, old_cost, new_cost, finished_at)
    ON repricing TO costlens_app;
GRANT SELECT ON request_repricing TO costlens_app;
-- The operator sees sums.
CREATE POLICY system ON repricing TO costlens_system USING (true) WITH CHECK (false);
GRANT SELECT (tenant_id, kind, correction_id, seen, changed, old_cost, new_cost, finished_at) ON repricing
    TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('repricing', NULL, 'says why amounts of the ledger are others than they were'),
    ('request_repricing', NULL, 'the first price of a call that was priced later');

-- Gives calls of the tenant of this transaction another price, keeps what they cost before, and moves the rollup, all
-- at once. A call without a price gets one; a call with a price gets another one only by a correction, and once by
-- each. It is the only way in which a recorded cost changes.
CREATE FUNCTION reprice_requests(
    of uuid, days date[], ids uuid[], bases text[], costs numeric[], prices jsonb[], at timestamptz,
    OUT changed bigint, OUT old_cost numeric, OUT new_cost numeric
)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    whose uuid := NULLIF(current_setting('costlens.tenant', true), '')::uuid;
    walk public.repricing%ROWTYPE;
    hours timestamptz[];
BEGIN
    SELECT * INTO walk FROM public.repricing w WHERE w.tenant_id = whose AND w.id = of FOR UPDATE;
    IF NOT FOUND OR walk.finished_at IS NOT NULL OR walk.kind = 'preview' THEN
        RAISE EXCEPTION 'no repricing % is under way', of
            USING ERRCODE = 'check_violation', CONSTRAINT = 'repricing_under_way';
    END IF;
    WITH offered AS (
        SELECT * FROM unnest(days, ids, bases, costs, prices) AS o (day, id, basis, cost, price)
    ),
    taken AS MATERIALIZED (
        SELECT r.day, r.id, r.api_key_id, date_trunc('hour', r.started_at, 'UTC') AS hour, r.provider,
               COALESCE(r.model_served, r.model_requested) AS model, r.outcome,
               r.cost_basis AS was_basis, r.cost AS was_cost, r.price AS was_price,
               r.fresh_input, r.cache_read, r.cache_write_5m, r.cache_write_1h, r.output, r.reasoning,
               r.audio_input, r.audio_output, r.web_searches, o.basis, o.cost, o.price
        FROM offered o JOIN public.request r ON r.tenant_id = whose AND r.day = o.day AND r.id = o.id
        WHERE o.basis <> 'unpriced' AND o.cost IS NOT NULL
          AND CASE walk.kind
              WHEN 'unpriced' THEN r.cost_basis = 'unpriced'
              ELSE r.cost_basis <> 'unpriced' AND r.provider = walk.provider
                   AND r.price ->> 'price_id' = walk.price_id
                   AND r.started_at >= walk.from_at AND r.started_at < walk.to_at
                   AND NOT EXISTS (
                       SELECT FROM public.request_repricing p
                       WHERE p.tenant_id = whose AND p.request_id = r.id AND p.repricing_id = of)
              END
        ORDER BY r.day, r.id
        FOR UPDATE OF r
    ),
    updated AS (
        UPDATE public.request r SET cost_basis = t.basis, cost = t.cost, price = t.price
        FROM taken t WHERE r.tenant_id = whose AND r.day = t.day AND r.id = t.id
    ),
    recorded AS (
        INSERT INTO public.request_repricing
            (tenant_id, request_id, repricing_id, at, version, old_basis, old_cost, old_price, new_basis, new_cost)
        SELECT whose, t.id, of, reprice_requests.at, walk.version, t.was_basis, t.was_cost, t.was_price, t.basis, t.cost
        FROM taken t
    ),
    moves AS (
        SELECT t.hour, t.api_key_id, t.provider, t.model, t.outcome, t.was_basis AS basis, -1 AS sign, -t.was_cost AS cost,
               t.fresh_input, t.cache_read, t.cache_write_5m, t.cache_write_1h, t.output, t.reasoning,
               t.audio_input, t.audio_output, t.web_searches
        FROM taken t
        UNION ALL
        SELECT t.hour, t.api_key_id, t.provider, t.model, t.outcome, t.basis, 1, t.cost,
               t.fresh_input, t.cache_read, t.cache_write_5m, t.cache_write_1h, t.output, t.reasoning,
               t.audio_input, t.audio_output, t.web_searches
        FROM taken t
    ),
    -- In the order of the key, as the shipper does: the two wait for each other and never in a circle.
    summed AS (
        INSERT INTO public.spend_hourly AS s (
            tenant_id, hour, api_key_id, provider, model, outcome, cost_basis, requests,
            fresh_input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, audio_input,
            audio_output, web_searches, cost
        )
        SELECT whose, m.hour, m.api_key_id, m.provider, m.model, m.outcome, m.basis, sum(m.sign),
               sum(m.sign * m.fresh_input)::bigint, sum(m.sign * m.cache_read)::bigint,
               sum(m.sign * m.cache_write_5m)::bigint, sum(m.sign * m.cache_write_1h)::bigint,
               sum(m.sign * m.output)::bigint, sum(m.sign * m.reasoning)::bigint,
               sum(m.sign * m.audio_input)::bigint, sum(m.sign * m.audio_output)::bigint,
               sum(m.sign * m.web_searches)::bigint, sum(m.cost)
        FROM moves m
        GROUP BY 2, 3, 4, 5, 6, 7
        ORDER BY 2, 3, 4, 5, 6, 7
        ON CONFLICT (tenant_id, hour, api_key_id, provider, model, outcome, cost_basis) DO UPDATE SET
            requests = s.requests + excluded.requests,
            fresh_input = s.fresh_input + excluded.fresh_input,
            cache_read = s.cache_read + excluded.cache_read,
            cache_write_5m = s.cache_write_5m + excluded.cache_write_5m,
            cache_write_1h = s.cache_write_1h + excluded.cache_write_1h,
            output = s.output + excluded.output,
            reasoning = s.reasoning + excluded.reasoning,
            audio_input = s.audio_input + excluded.audio_input,
            audio_output = s.audio_output + excluded.audio_output,
            web_searches = s.web_searches + excluded.web_searches,
            -- Both are NULL or neither: the basis is part of the key.
            cost = s.cost + excluded.cost
    )
    SELECT count(*), COALESCE(sum(t.was_cost), 0), COALESCE(sum(t.cost), 0), array_agg(DISTINCT t.hour)
    INTO changed, old_cost, new_cost, hours
    FROM taken t;
    -- A sum of no calls is no row.
    DELETE FROM public.spend_hourly s WHERE s.tenant_id = whose AND s.hour = ANY (hours) AND s.requests = 0;
END
$$;
REVOKE ALL ON FUNCTION reprice_requests(uuid, date[], uuid[], text[], numeric[], jsonb[], timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reprice_requests(uuid, date[], uuid[], text[], numeric[], jsonb[], timestamptz)
    TO costlens_app;
