-- The batch as arrays, in the order of the columns. One statement: rows and rollup are committed together, and
-- only rows that are new are added up. Both inserts go in the order of their key, so that shippers that send the
-- same facts at once wait for each other and never in a circle. Facts of unknown keys fall out of `batch`.
WITH batch AS (
    SELECT u.*
    FROM unnest(
        $1::uuid[], $2::date[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[],
        $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
        $14::boolean[], $15::integer[], $16::text[], $17::text[], $18::bigint[], $19::bigint[],
        $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[], $25::bigint[],
        $26::bigint[], $27::text[], $28::numeric[], $29::jsonb[], $30::text[], $31::text[], $32::text[],
        $33::text[], $34::text[], $35::text[]
    ) AS u (
        tenant_id, day, id, api_key_id, connection_id, started_at, duration_ms, first_byte_ms,
        provider, endpoint, model_requested, model_served, service_tier, streamed, status, outcome,
        error_code, fresh_input, cache_read, cache_write_5m, cache_write_1h, output, reasoning,
        audio_input, audio_output, web_searches, cost_basis, cost, price, caller_request_id,
        provider_request_id, body, origin, region, response_id
    )
    WHERE EXISTS (SELECT FROM api_key k WHERE k.tenant_id = u.tenant_id AND k.id = u.api_key_id)
),
inserted AS (
    INSERT INTO request (
        tenant_id, day, id, api_key_id, connection_id, started_at, duration_ms, first_byte_ms,
        provider, endpoint, model_requested, model_served, service_tier, streamed, status, outcome,
        error_code, fresh_input, cache_read, cache_write_5m, cache_write_1h, output, reasoning,
        audio_input, audio_output, web_searches, cost_basis, cost, price, caller_request_id,
        provider_request_id, body, origin, region, response_id
    )
    SELECT * FROM batch ORDER BY tenant_id, day, id
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, day, id
),
summed AS (
    INSERT INTO spend_hourly AS s (
        tenant_id, hour, api_key_id, provider, model, outcome, cost_basis, requests,
        fresh_input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, audio_input,
        audio_output, web_searches, cost
    )
    SELECT b.tenant_id, date_trunc('hour', b.started_at, 'UTC') AS hour, b.api_key_id, b.provider,
           COALESCE(b.model_served, b.model_requested) AS model, b.outcome, b.cost_basis, count(*),
           sum(b.fresh_input)::bigint, sum(b.cache_read)::bigint, sum(b.cache_write_5m)::bigint,
           sum(b.cache_write_1h)::bigint, sum(b.output)::bigint, sum(b.reasoning)::bigint,
           sum(b.audio_input)::bigint, sum(b.audio_output)::bigint, sum(b.web_searches)::bigint,
           sum(b.cost)
    FROM batch b
    JOIN inserted i ON i.tenant_id = b.tenant_id AND i.day = b.day AND i.id = b.id
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
SELECT b.id, EXISTS (SELECT FROM inserted i WHERE i.tenant_id = b.tenant_id AND i.day = b.day AND i.id = b.id) AS is_new
FROM batch b
