UPDATE queue.job AS j
   SET status = CASE WHEN o.kind NOT IN ('retry', 'sleep', 'wait', 'release') THEN o.kind
                     WHEN j.cancel_requested THEN 'cancelled' ELSE 'pending' END,
       attempts = CASE o.kind WHEN 'release' THEN greatest(j.attempts - 1, 0)
                              WHEN 'sleep' THEN 0 WHEN 'wait' THEN 0 ELSE j.attempts END,
       run_at = CASE WHEN o.kind = 'wait' AND j.signals <> o.signals THEN clock_timestamp()
                     WHEN o.kind IN ('retry', 'sleep', 'wait')
                     THEN coalesce(o.run_at, clock_timestamp()) + o.delay_ms * interval '1 millisecond'
                     ELSE j.run_at END,
       waits_for = CASE WHEN o.kind = 'wait' AND j.signals = o.signals AND NOT j.cancel_requested
                        THEN o.waits_for END,
       done_at = CASE WHEN o.kind IN ('done', 'dead', 'cancelled') OR j.cancel_requested
                      THEN clock_timestamp() END,
       error = CASE o.kind WHEN 'release' THEN j.error ELSE o.error END,
       error_class = CASE o.kind WHEN 'release' THEN j.error_class ELSE o.class END,
       error_code = CASE o.kind WHEN 'release' THEN j.error_code ELSE o.code END,
       story = queue.told(j.story, o.entry || jsonb_build_object(
           'at', clock_timestamp(), 'attempt', j.attempts,
           'ran_ms', (extract(epoch FROM clock_timestamp() - j.started_at) * 1000)::bigint)),
       progress = coalesce(o.progress, j.progress),
       session = NULL
  FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::bigint[], $7::text[],
              $8::text[], $9::text[], $10::jsonb[], $11::jsonb[], $12::text[], $13::int[])
       AS o (id, session, epoch, kind, run_at, delay_ms, error, class, code, entry, progress, waits_for, signals)
 WHERE j.id = o.id AND j.session = o.session AND j.epoch = o.epoch AND j.status = 'running'
RETURNING j.id
