-- Calls that never passed the proxy stand in the ledger beside those that did (ADR 0025): who saw a call, the region that
-- an import says it went to, and the provider's own id of its answer, by which two rows are known to be one call.
ALTER TABLE request
    ADD COLUMN origin text NOT NULL DEFAULT 'proxy' CHECK (origin IN ('proxy', 'litellm', 'otlp')),
    ADD COLUMN region text,
    ADD COLUMN response_id text;
CREATE INDEX request_response ON request (tenant_id, response_id) WHERE response_id IS NOT NULL;
GRANT SELECT (origin, response_id) ON request TO costlens_writer;

-- What a source says of a call, and that it was counted: each of its ids once, and each answer once, whoever told of it.
-- No prompt and no answer. `day` and `request_id` are the row's; where the proxy turned out to have carried the call, the
-- row is gone and `superseded_by` names the proxy's.
CREATE TABLE imported_call (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    origin text NOT NULL CHECK (origin IN ('litellm', 'otlp')),
    source_id text NOT NULL CHECK (source_id <> ''),
    day date NOT NULL,
    request_id uuid NOT NULL,
    response_id text,
    imported_at timestamptz NOT NULL,
    -- What the source says that it cost. Nothing is made of it.
    claimed_cost numeric,
    user_name text,
    end_user text,
    team text,
    service text,
    tags jsonb NOT NULL,
    superseded_by uuid,
    PRIMARY KEY (tenant_id, origin, source_id)
);
CREATE UNIQUE INDEX imported_call_request ON imported_call (tenant_id, request_id);
CREATE UNIQUE INDEX imported_call_response ON imported_call (tenant_id, response_id) WHERE response_id IS NOT NULL;

ALTER TABLE imported_call ENABLE ROW LEVEL SECURITY;
ALTER TABLE imported_call FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON imported_call TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON imported_call TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY writer ON imported_call TO costlens_writer USING (true) WITH CHECK (true);

GRANT SELECT ON imported_call TO costlens_app;
-- ON CONFLICT and RETURNING want to read the key.
GRANT INSERT, SELECT (tenant_id, origin, source_id, request_id) ON imported_call TO costlens_writer;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('imported_call', NULL, 'says that an imported call was counted');

-- Takes imported calls out of ledger and rollup that the proxy has, too: of these answers of these tenants. Whoever brings
-- either row calls it after its commit, so that whichever comes second finds both. Again: nothing.
CREATE FUNCTION supersede_imports(tenants uuid[], answers text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gone bigint;
    whose uuid[];
    hours timestamptz[];
BEGIN
    WITH told AS (
        SELECT DISTINCT u.tenant_id, u.answer FROM unnest(tenants, answers) AS u (tenant_id, answer)
    ),
    twins AS MATERIALIZED (
        SELECT i.tenant_id, i.origin, i.source_id, i.day, i.request_id, p.id AS proxied
        FROM told t
        JOIN public.imported_call i ON i.tenant_id = t.tenant_id AND i.response_id = t.answer
        CROSS JOIN LATERAL (
            SELECT r.id FROM public.request r
            WHERE r.tenant_id = i.tenant_id AND r.response_id = i.response_id AND r.origin = 'proxy'
              AND r.day >= i.day - 2 AND r.day <= i.day + 2
            ORDER BY r.id LIMIT 1
        ) p
        WHERE i.superseded_by IS NULL
        ORDER BY i.tenant_id, i.origin, i.source_id
        FOR UPDATE OF i
    ),
    marked AS (
        UPDATE public.imported_call i SET superseded_by = t.proxied
        FROM twins t
        WHERE i.tenant_id = t.tenant_id AND i.origin = t.origin AND i.source_id = t.source_id
    ),
    taken AS (
        DELETE FROM public.request r USING twins t
        WHERE r.tenant_id = t.tenant_id AND r.day = t.day AND r.id = t.request_id AND r.origin <> 'proxy'
        RETURNING r.tenant_id, date_trunc('hour', r.started_at, 'UTC') AS hour, r.api_key_id, r.provider,
                  COALESCE(r.model_served, r.model_requested) AS model, r.outcome, r.cost_basis, r.cost, r.fresh_input,
                  r.cache_read, r.cache_write_5m, r.cache_write_1h, r.output, r.reasoning, r.audio_input, r.audio_output,
                  r.web_searches
    ),
    -- In the order of the key, as the shipper does: the two wait for each other and never in a circle.
    summed AS (
        INSERT INTO public.spend_hourly AS s (
            tenant_id, hour, api_key_id, provider, model, outcome, cost_basis, requests,
            fresh_input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, audio_input,
            audio_output, web_searches, cost
        )
        SELECT t.tenant_id, t.hour, t.api_key_id, t.provider, t.model, t.outcome, t.cost_basis, -count(*),
               -sum(t.fresh_input)::bigint, -sum(t.cache_read)::bigint, -sum(t.cache_write_5m)::bigint,
               -sum(t.cache_write_1h)::bigint, -sum(t.output)::bigint, -sum(t.reasoning)::bigint,
               -sum(t.audio_input)::bigint, -sum(t.audio_output)::bigint, -sum(t.web_searches)::bigint, -sum(t.cost)
        FROM taken t
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        ORDER BY 1, 2, 3, 4, 5, 6, 7
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
    SELECT count(*), array_agg(DISTINCT t.tenant_id), array_agg(DISTINCT t.hour) INTO gone, whose, hours FROM taken t;
    -- A sum of no calls is no row.
    IF gone > 0 THEN
        DELETE FROM public.spend_hourly s
        WHERE s.tenant_id = ANY (whose) AND s.hour = ANY (hours) AND s.requests = 0;
    END IF;
    RETURN gone;
END
$$;
REVOKE ALL ON FUNCTION supersede_imports(uuid[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION supersede_imports(uuid[], text[]) TO costlens_writer;
