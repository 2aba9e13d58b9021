INSERT INTO queue.job (id, queue, tenant, args, metadata, max_attempts, run_at, priority, key, expires_at, trace,
                       parent, run)
SELECT n.id, n.queue, n.tenant, n.args, n.metadata, n.max_attempts,
       coalesce(n.run_at, clock_timestamp()) + n.delay_ms * interval '1 millisecond',
       n.priority, n.key, n.expires_at, n.trace, n.parent, n.run
  FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::jsonb[], $5::jsonb[], $6::int[], $7::timestamptz[],
              $8::bigint[], $9::int[], $10::text[], $11::timestamptz[], $12::text[], $13::uuid[], $14::uuid[])
       AS n (id, queue, tenant, args, metadata, max_attempts, run_at, delay_ms, priority, key, expires_at, trace,
             parent, run)
 -- In one order everywhere, so that two transactions with the same keys wait for each other and never deadlock.
 ORDER BY n.queue, n.key, n.id
    ON CONFLICT (queue, key) WHERE key IS NOT NULL DO NOTHING
RETURNING id
