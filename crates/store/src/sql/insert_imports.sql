-- Claims the calls that were never counted: not by their source's id, not by the provider's id of the answer, and not
-- carried by the proxy within two days. Gives back the ids of the rows that may be inserted.
INSERT INTO imported_call (
    tenant_id, origin, source_id, day, request_id, response_id, imported_at, claimed_cost, user_name, end_user, team,
    service, tags
)
SELECT u.*
FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::date[], $5::uuid[], $6::text[], $7::timestamptz[], $8::numeric[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::jsonb[]
) AS u (
    tenant_id, origin, source_id, day, request_id, response_id, imported_at, claimed_cost, user_name, end_user, team,
    service, tags
)
WHERE u.response_id IS NULL OR NOT EXISTS (
    SELECT FROM request r
    WHERE r.tenant_id = u.tenant_id AND r.response_id = u.response_id AND r.origin = 'proxy'
      AND r.day >= u.day - 2 AND r.day <= u.day + 2
)
ORDER BY u.tenant_id, u.origin, u.source_id
ON CONFLICT DO NOTHING
RETURNING request_id
