UPDATE queue.job AS j
   SET status = CASE WHEN o.kind NOT IN ('retry', 'sleep', 'wait', 'release', 'later') THEN o.kind
                     WHEN j.cancel_requested THEN 'cancelled' ELSE 'pending' END,
       attempts = CASE WHEN o.kind IN ('release', 'later') THEN greatest(j.attempts - 1, 0)
                       WHEN o.kind IN ('sleep', 'wait') THEN 0 ELSE j.attempts END,
       run_at = CASE WHEN o.kind = 'wait' AND j.signals <> o.signals THEN clock_timestamp()
                     WHEN o.kind IN ('retry', 'sleep', 'wait', 'later')
                     THEN coalesce(o.run_at, clock_timestamp()) + o.delay_ms * interval '1 millisecond'
                     ELSE j.run_at END,
       waits_for = CASE WHEN o.kind = 'wait' AND j.signals = o.signals AND NOT j.cancel_requested
                        THEN o.waits_for END,
       done_at = CASE WHEN o.kind IN ('done', 'dead', 'cancelled') OR j.cancel_requested
                      THEN clock_timestamp() END,
       error = CASE WHEN o.kind IN ('release', 'later') THEN j.error ELSE o.error END,
       error_class = CASE WHEN o.kind IN ('release', 'later') THEN j.error_class ELSE o.class END,
       error_code = CASE WHEN o.kind IN ('release', 'later') THEN j.error_code ELSE o.code END,
       story = queue.told(j.story, o.entry || jsonb_build_object(
           'at', clock_timestamp(), 'attempt', j.attempts,
           'ran_ms', (extract(epoch FROM clock_timestamp() - j.started_at) * 1000)::bigint)),
       progress = coalesce(o.progress, j.progress),
       -- It has got on, so what it was suspected of is over.
       crashes = CASE WHEN o.kind IN ('done', 'sleep', 'wait') THEN 0 ELSE j.crashes END,
       crashed_under = CASE WHEN o.kind IN ('done', 'sleep', 'wait') THEN NULL ELSE j.crashed_under END,
       session = NULL
  FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::bigint[], $7::text[],
              $8::text[], $9::text[], $10::jsonb[], $11::jsonb[], $12::text[], $13::int[])
       AS o (id, session, epoch, kind, run_at, delay_ms, error, class, code, entry, progress, waits_for, signals)
 WHERE j.id = o.id AND j.session = o.session AND j.epoch = o.epoch AND j.status = 'running'
RETURNING j.id
